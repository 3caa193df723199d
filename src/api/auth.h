/* Who asks, for which account, and may they: key, scope, account, rate limit. */
#ifndef HL_API_AUTH_H
#define HL_API_AUTH_H

#include "api/call.h"

/* Which of the mounts that share a prefix is meant: the one of the key's dialect when the key is presented as that dialect
 * does; else the one whose documented way was used, or the first. n ≥ 1. */
struct hl_mount *hl_auth_choose(struct hl_call *c, struct hl_mount *const *mounts, size_t n);
/* Sets c->key, c->scopes, c->account and the rate limit fields of the answer. false: answered (401, 403, 404, 429). */
bool hl_auth(struct hl_call *c);
/* The tier of the account acted for. */
const struct hl_tier *hl_auth_tier(struct hl_call *c);

#endif
