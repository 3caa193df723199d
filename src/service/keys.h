/* API keys: made, recognised, listed, revoked.
 *
 *   hlk_ 0000a1 Fq…(43)…z 3bC9xK      59 characters
 *        id     secret    check
 *
 * id: the key's number, six base62 digits; secret: 32 random bytes; check: CRC-32 of all before it, so that a secret
 * scanner (and we) know a mistyped key without asking. Stored is the SHA-256 of the whole text. The public part
 * "hlk_0000a1" is the prefix shown in listings. */
#ifndef HL_SERVICE_KEYS_H
#define HL_SERVICE_KEYS_H

#include "service/accounts.h"

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

struct hl_key {
	uint32_t number;
	uint32_t account;
	enum hl_dialect dialect;     /* the one API the key opens */
	unsigned scopes;             /* set of enum hl_scope */
	struct hl_str name;
	char prefix[HL_KEY_PREFIX_LEN + 1];
	char last4[5];
	hl_ms_t created_at_ms;
	hl_ms_t expires_at_ms;       /* 0 = never */
	hl_ms_t revoked_at_ms;       /* 0 = not */
	hl_ms_t last_used_at_ms;     /* to the minute; 0 = never */
};

/* ---- the text ---------------------------------------------------------------------------------------------------- */

void hl_key_text_make(const struct hl_env *env, uint32_t number, char out[HL_KEY_TEXT_CAP]);
/* Shape and check digits only: tells the number. HL_ESYNTAX. */
HL_MUST_CHECK int hl_key_text_parse(struct hl_str text, uint32_t *out_number);
/* The number in a bare prefix "hlk_0000a1". HL_ESYNTAX. */
HL_MUST_CHECK int hl_key_prefix_parse(struct hl_str text, uint32_t *out_number);

/* ---- on the loop -------------------------------------------------------------------------------------------------- */

/* Who presents this key? HL_ENOTFOUND: malformed, unknown or another secret (indistinguishable on purpose);
 * HL_EPERM: revoked; HL_ETIMEDOUT: expired. Notes the use (written behind, at most once a minute per key). */
HL_MUST_CHECK int hl_key_authenticate(struct hl_service *s, struct hl_str text, struct hl_key *out);
HL_MUST_CHECK int hl_key_get(struct hl_service *s, uint32_t number, struct hl_key *out);
/* account 0 = all. See hl_account_list. */
HL_MUST_CHECK int hl_key_list(struct hl_service *s, uint32_t account, const struct hl_page *page, struct hl_key *out,
		size_t *out_n, struct hl_page_info *info);
/* Uses account, dialect, scopes, name, expires_at_ms of *k. The result's secret is the key's text. HL_ENOTFOUND from the
 * callback: no such account. */
HL_MUST_CHECK int hl_key_create(struct hl_service *s, const struct hl_key *k, const struct hl_idempotency *idem,
		hl_change_cb cb, void *data, struct hl_err *err);
/* From its callback on nobody gets in with it; a revoked key stays listed. Revoking twice is no error. */
HL_MUST_CHECK int hl_key_revoke(struct hl_service *s, uint32_t number, hl_change_cb cb, void *data, struct hl_err *err);

#endif
