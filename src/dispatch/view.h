/* Stored rows as the public structs show them. Slices stay those of the row: as long-lived as it. */
#ifndef HL_DISPATCH_VIEW_H
#define HL_DISPATCH_VIEW_H

#include "dispatch/destination.h"

void hl_event_from_row(const struct hl_dispatcher *d, uint64_t number, const struct hl_event_row *row, struct hl_event *out);
/* event and destination save look-ups when the caller has them; NULL: they are read from the loop's snapshot. The event type
 * is then copied into the turn's arena. */
void hl_delivery_from_row(struct hl_dispatcher *d, uint64_t number, const struct hl_delivery_row *row,
		const struct hl_event *event, const struct hl_destination *destination, struct hl_delivery *out);
/* id and activity are filled in from the counters of txn; an overlap of secrets that is over is not shown. */
void hl_webhook_view(struct hl_dispatcher *d, struct hl_txn *txn, struct hl_webhook *w);

#endif
