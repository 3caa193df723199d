/* The text of a key, and the names of what a key may do.
 *
 *   hlk_ 0000a1 Fq…(43)…z 3bC9xK      59 characters
 *        id     secret    check
 *
 * id: the key's number, six base62 digits; secret: 32 random bytes; check: CRC-32 of all before it, so that a secret
 * scanner (and we) know a mistyped key without asking. The public part "hlk_0000a1" is the prefix shown in listings. */
#ifndef HL_SERVICE_KEY_TEXT_H
#define HL_SERVICE_KEY_TEXT_H

#include "base/env.h"
#include <hookline/error.h>

/* X(bit, NAME, text) */
#define HL_SCOPE_TABLE(X)          \
	X(0, ADMIN, "admin")       \
	X(1, PUBLISH, "publish")   \
	X(2, MANAGE, "manage")     \
	X(3, READ, "read")
#define HL_X(bit, name, text) HL_SCOPE_##name = 1 << (bit),
enum hl_scope { HL_SCOPE_TABLE(HL_X) };
#undef HL_X
enum { HL_SCOPE_ALL = HL_SCOPE_ADMIN | HL_SCOPE_PUBLISH | HL_SCOPE_MANAGE | HL_SCOPE_READ };

const char *hl_scope_name(unsigned bit);               /* of one bit; NULL for none of ours */
unsigned hl_scope_parse(struct hl_str text);           /* one scope; 0 when unknown */
/* "publish,read" → set; false names nothing but is wrong: empty, unknown or twice. */
bool hl_scopes_parse(struct hl_str text, unsigned *out);

enum {
	HL_KEY_ID_LEN = 6, HL_KEY_SECRET_LEN = 43, HL_KEY_CHECK_LEN = 6,
	HL_KEY_PREFIX_LEN = 4 + HL_KEY_ID_LEN,
	HL_KEY_TEXT_LEN = HL_KEY_PREFIX_LEN + HL_KEY_SECRET_LEN + HL_KEY_CHECK_LEN,
	HL_KEY_TEXT_CAP = HL_KEY_TEXT_LEN + 1,
};

void hl_key_text_make(const struct hl_env *env, uint32_t number, char out[HL_KEY_TEXT_CAP]);
/* Shape and check digits only: tells the number. HL_ESYNTAX. */
HL_MUST_CHECK int hl_key_text_parse(struct hl_str text, uint32_t *out_number);
/* The number in a bare prefix "hlk_0000a1". HL_ESYNTAX. */
HL_MUST_CHECK int hl_key_prefix_parse(struct hl_str text, uint32_t *out_number);

#endif
