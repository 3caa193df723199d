/* Event rows. */
#ifndef HL_STORE_EVENTS_H
#define HL_STORE_EVENTS_H

#include "store/counts.h"
#include "store/meta.h"

/* number must be larger than every number ever given to an event. Counts it for its account. */
void hl_event_append(struct hl_txn *txn, uint64_t number, const struct hl_event_row *row);
/* Slices are borrowed from the table: copy them before writing. */
bool hl_event_row_get(struct hl_txn *txn, uint64_t number, struct hl_event_row *out);
/* Removes the row, its index entry and what an alert keeps beside it. The event's deliveries are the caller's business. */
void hl_event_del(struct hl_txn *txn, uint64_t number, const struct hl_event_row *row);

#endif
