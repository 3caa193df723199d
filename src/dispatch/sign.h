/* Secrets and signatures: makes and checks "whsec_…" texts, keeps a keyed HMAC per secret, writes the headers of a
 * request.
 *
 * Loop thread only: a signer's contexts are re-used for every message. */
#ifndef HL_DISPATCH_SIGN_H
#define HL_DISPATCH_SIGN_H

#include "base/buf.h"
#include "base/env.h"
#include <hookline/webhook.h>

enum {
	HL_SECRET_RAW_LEN = 32,            /* of a generated secret */
	HL_SECRET_RAW_MIN = 24,
	HL_SECRET_RAW_MAX = 75,
	HL_SECRET_CAP = HL_SECRET_TEXT_MAX + 1,
	HL_SECRET_GENERATED_LEN = 6 + 44,
};

/* ---- secrets ---- */

/* "whsec_" + base64 of 32 random bytes and a NUL; returns the length (50). */
size_t hl_secret_generate(const struct hl_env *env, char out[HL_SECRET_CAP]);
/* "whsec_" + strict base64 of 24–75 bytes; HL_EINVAL with field "/secret". err->text never shows the secret. */
HL_MUST_CHECK int hl_secret_check(struct hl_str text, struct hl_err *err);
/* The raw key behind the prefix. */
HL_MUST_CHECK int hl_secret_parse(struct hl_str text, uint8_t out[HL_SECRET_RAW_MAX], size_t *out_len,
		struct hl_err *err);
void hl_secret_last4(struct hl_str text, char out[5]);
/* Overwrites memory that held a secret; the compiler cannot drop it. */
void hl_secret_wipe(void *p, size_t n);

/* ---- keyed contexts, one signer per secret ---- */

/* About 1 KiB each inside OpenSSL (twice that for the dialects that sign with the text). Zeroed memory is an empty
 * signer. */
struct hl_signer {
	struct evp_mac_ctx_st *raw;        /* keyed with the decoded secret: Standard Webhooks */
	struct evp_mac_ctx_st *text;       /* keyed with the whole text; NULL for dialects that do not need it */
};

HL_MUST_CHECK int hl_signer_init(struct hl_signer *s, enum hl_dialect dialect, struct hl_str secret,
		struct hl_err *err);
void hl_signer_fini(struct hl_signer *s);      /* OpenSSL cleanses the keys; empty afterwards */

/* ---- the headers of one attempt ---- */

struct hl_sign {
	enum hl_dialect dialect;
	enum hl_format format;
	struct hl_signer *current;         /* keyed for the same dialect; may be NULL for discord and telegram */
	struct hl_signer *previous;        /* during a rotation overlap, else NULL */
	struct hl_str event_id;            /* webhook-id */
	struct hl_str delivery_id;
	struct hl_str event_type;
	uint32_t attempt;                  /* 1, 2, … */
	int64_t timestamp_s;               /* of this attempt */
	const struct hl_str *body;         /* the request body in n_body pieces */
	size_t n_body;
};

/* Whether requests of this format are signed (not discord, not telegram: their platforms cannot check it). */
bool hl_sign_wanted(enum hl_format format);
/* Whether the dialect's requests carry this header (any case), so that a webhook may not set it. */
bool hl_sign_owns_header(enum hl_dialect dialect, struct hl_str name);
/* Appends "name: value\r\n" lines: hookline-delivery-id, hookline-attempt and, when signed, the Standard Webhooks trio
 * and the dialect's own. HL_ENOMEM; HL_EIO when OpenSSL fails. */
HL_MUST_CHECK int hl_sign_headers(struct hl_buf *out, const struct hl_sign *r);

#endif
