/* What the floors alerts and service may use of a dispatcher besides the public API: its store and its commit queue. */
#ifndef HL_DISPATCH_DISPATCHER_H
#define HL_DISPATCH_DISPATCHER_H

#include "dispatch/core.h"

struct hl_store *hl_dispatcher_store(struct hl_dispatcher *d);
struct hl_commit *hl_dispatcher_commit(struct hl_dispatcher *d);
/* The loop's clocks, for the loop only: apply functions use hl_store_env. */
const struct hl_env *hl_dispatcher_env(const struct hl_dispatcher *d);
const struct hl_log *hl_dispatcher_log(const struct hl_dispatcher *d);
/* The next number of a kind (HL_ID_ACCOUNT, HL_ID_KEY, HL_ID_SERVER); never given out again. */
uint64_t hl_dispatcher_numbers_take(struct hl_dispatcher *d, enum hl_id_kind kind);
/* An account's row was changed and that is durable: tells the guest. */
void hl_dispatcher_account_changed(struct hl_dispatcher *d, uint32_t account);

#endif
