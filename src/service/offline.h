/* The same keys without a server: for the command line, on a store it has opened itself. Synchronous; each call is one
 * transaction. */
#ifndef HL_SERVICE_OFFLINE_H
#define HL_SERVICE_OFFLINE_H

#include "service/keys.h"

struct hl_store;
struct hl_env;

/* Makes account "default" when the store is new. */
HL_MUST_CHECK int hl_offline_prepare(struct hl_store *store, const struct hl_env *env, struct hl_err *err);
/* account: its id, "" = default; HL_ENOTFOUND when unknown. Uses dialect, scopes, name, expires_at_ms of *k. */
HL_MUST_CHECK int hl_offline_key_create(struct hl_store *store, const struct hl_env *env, struct hl_str account,
		const struct hl_key *k, char out_text[HL_KEY_TEXT_CAP], struct hl_err *err);
/* Oldest first; each() returns false to stop. account "" = all; account_id is the id of the key's account. */
HL_MUST_CHECK int hl_offline_key_each(struct hl_store *store, struct hl_str account,
		bool (*each)(void *data, const struct hl_key *k, struct hl_str account_id), void *data, struct hl_err *err);
/* key: its prefix ("hlk_0000a1") or whole text. HL_ENOTFOUND. */
HL_MUST_CHECK int hl_offline_key_revoke(struct hl_store *store, const struct hl_env *env, struct hl_str key,
		struct hl_err *err);

#endif
