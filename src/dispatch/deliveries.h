/* Deliveries as their readers see them. */
#ifndef HL_DISPATCH_DELIVERIES_H
#define HL_DISPATCH_DELIVERIES_H

#include "dispatch/hidden.h"

/* The row as the account may see it: another account's, an unknown one and a dropped one are HL_ENOTFOUND; a pending one of
 * a deleted webhook is cancelled already. */
HL_MUST_CHECK int hl_delivery_visible(struct hl_dispatcher *d, uint32_t account, uint64_t number, struct hl_delivery_row *out);

#endif
