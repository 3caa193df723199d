/* Brings a queue's work from the store into its windows: at start, and when a window runs low. */
#ifndef HL_DISPATCH_FEED_H
#define HL_DISPATCH_FEED_H

#include "dispatch/core.h"

enum { HL_FEED_FRESH = 1024, HL_FEED_DUE = 512 }; /* entries read at once */

/* scheduler_ops.refill. A command, so that it sees every outcome submitted before it. */
void hl_feed_refill(void *dispatcher, struct hl_queue *q);
/* Reads catalogue, webhooks and counters; makes the queues of webhooks with pending deliveries, their start spread over a
 * time that fits the backlog. */
HL_MUST_CHECK int hl_feed_start(struct hl_dispatcher *d, struct hl_err *err);

#endif
