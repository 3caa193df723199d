/* What the engine does when a webhook changed in the store. */
#ifndef HL_DISPATCH_WEBHOOK_STATE_H
#define HL_DISPATCH_WEBHOOK_STATE_H

#include "dispatch/core.h"

/* After the commit of any change to the row of the account's webhook, be it that the row is gone: brings subscriptions, account
 * generation, queue state and limits in step with the store; drops the cached destination. */
void hl_webhook_state_changed(struct hl_dispatcher *d, uint32_t account, uint32_t webhook);
/* Follows all that was missed (hl_core_behind). At the start of each tick; tells when to look again (monotonic), INT64_MAX:
 * nothing is missed. */
hl_ms_t hl_webhook_state_catch_up(struct hl_dispatcher *d);

#endif
