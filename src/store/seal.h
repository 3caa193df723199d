/* Secrets at rest: the key file and AES-256-GCM. A sealed value is nonce (12 bytes) + ciphertext + tag (16 bytes); what
 * it is and whose is authenticated with it, so a value moved to another record does not open. Any thread. */
#ifndef HL_STORE_SEAL_H
#define HL_STORE_SEAL_H

#include "base/buf.h"
#include "base/env.h"
#include <hookline/error.h>

enum { HL_SEAL_KEY_LEN = 32, HL_SEAL_OVERHEAD = 28 };

enum hl_seal_kind {
	HL_SEAL_CHECK = 1,            /* the constant that tells a right key from a wrong one */
	HL_SEAL_SECRET,               /* number = webhook */
	HL_SEAL_ANSWER,               /* number = account */
	HL_SEAL_ADDRESS,              /* number = webhook: its URL and the values of its headers */
};

struct hl_seal_key {
	uint8_t bytes[HL_SEAL_KEY_LEN];
	uint8_t id[8];                /* derived from bytes; names the key without telling it */
};

/* Reads a key file. HL_EKEY with the reason: missing, malformed, or readable by others. */
HL_MUST_CHECK int hl_seal_key_load(const char *file, struct hl_seal_key *out, struct hl_err *err);
/* Makes a new key and its file (0600, file and directory synced). HL_EEXIST when the file is there. */
HL_MUST_CHECK int hl_seal_key_make(const char *file, const struct hl_env *env, struct hl_seal_key *out,
		struct hl_err *err);
void hl_seal_key_wipe(struct hl_seal_key *k);

/* Appends the sealed form of plain. HL_ENOMEM, HL_EIO when the library fails. */
HL_MUST_CHECK int hl_seal(const struct hl_seal_key *k, const struct hl_env *env, enum hl_seal_kind kind,
		uint64_t number,
		struct hl_str plain, struct hl_buf *out);
/* Appends the plaintext. HL_EKEY when it does not open (wrong key, wrong record, damaged); out is as before then. */
HL_MUST_CHECK int hl_unseal(const struct hl_seal_key *k, enum hl_seal_kind kind, uint64_t number, struct hl_str sealed,
		struct hl_buf *out);

#endif
