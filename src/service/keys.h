/* API keys: made, recognised, listed, revoked. Stored is the SHA-256 of a key's text (key_text.h), never the text. */
#ifndef HL_SERVICE_KEYS_H
#define HL_SERVICE_KEYS_H

#include "service/accounts.h"
#include "service/key_text.h"

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
