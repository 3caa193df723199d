/* The queues in memory, by webhook. */
#ifndef HL_DISPATCH_QUEUES_H
#define HL_DISPATCH_QUEUES_H

#include "dispatch/core.h"

/* A webhook without a queue has nothing pending but what is being published right now. NULL: it has none. */
struct hl_queue *hl_queues_get(struct hl_dispatcher *d, uint32_t webhook);
/* pending: it may have pending deliveries in the store, to be read by refills. The caller touches it. NULL on ENOMEM: the
 * dispatcher is behind then. */
struct hl_queue *hl_queues_make(struct hl_dispatcher *d, const struct hl_webhook *w, bool pending);
/* The queue leaves the map; destroyed now, or when its last attempt has ended (hl_queues_retire sees to that). */
void hl_queues_drop(struct hl_dispatcher *d, struct hl_queue *q);
void hl_queues_retire(struct hl_dispatcher *d, struct hl_queue *q);

#endif
