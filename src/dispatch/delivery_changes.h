/* A delivery that waits for its time again, told to its queue. */
#ifndef HL_DISPATCH_DELIVERY_CHANGES_H
#define HL_DISPATCH_DELIVERY_CHANGES_H

#include "dispatch/deliveries.h"

/* After the commit that gave the row its due time. One that is being attempted now comes back with its outcome. */
void hl_delivery_requeue(struct hl_dispatcher *d, uint64_t number, const struct hl_delivery_row *row);

#endif
