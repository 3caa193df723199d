/* Delivery rows and everything that must move with them: due entries, index entries, counters, attempt records. */
#ifndef HL_STORE_DELIVERIES_H
#define HL_STORE_DELIVERIES_H

#include "store/counts.h"
#include "store/meta.h"

/* number must be larger than every number ever given to a delivery. A row with next_at_ms != 0 gets its due entry. */
void hl_delivery_append(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *row);
/* In a write transaction the slices are copies in its arena; in a read transaction they are borrowed. */
bool hl_delivery_row_get(struct hl_txn *txn, uint64_t number, struct hl_delivery_row *out);
/* The one function that changes a delivery. `old` is the row as got in this transaction, unchanged; moves the due
 * entry, by_status (for a row the index holds) and the counters. event, account, webhook, dialect and created_at_ms
 * stay. */
void hl_delivery_change(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *old,
		const struct hl_delivery_row *new_row);
/* Removes the row with its attempts, due and index entries; counters follow. */
void hl_delivery_del(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *row);

/* Stores the record of attempt a->number (= new_row->n_attempts). A short first one goes into new_row (arena memory)
 * and is written by the hl_delivery_change that must follow; others go to the table, trimmed to the first
 * HL_ATTEMPTS_KEPT_FIRST and the last HL_ATTEMPTS_KEPT_LAST. */
void hl_attempt_add(struct hl_txn *txn, uint64_t number, struct hl_delivery_row *new_row, const struct hl_attempt *a);
/* All records kept, oldest first, in arena memory. HL_ECORRUPT, HL_ENOMEM. */
HL_MUST_CHECK int hl_attempt_list(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *row,
		const struct hl_attempt **out, size_t *out_n);

/* Keys shared with scan.c, index.c and audit.c. */
static inline struct hl_dbkey hl_due_key(uint32_t webhook, hl_ms_t due_at_ms, uint64_t delivery)
{
	return hl_dbkey_u64(hl_dbkey_u64(hl_dbkey_u32(HL_DBKEY_NONE, webhook), (uint64_t)due_at_ms), delivery);
}
static inline struct hl_dbkey hl_status_key(uint8_t kind, uint32_t owner, uint8_t state, uint64_t delivery)
{
	return hl_dbkey_u64(hl_dbkey_u8(hl_dbkey_u32(hl_dbkey_u8(HL_DBKEY_NONE, kind), owner), state), delivery);
}
static inline struct hl_dbkey hl_pair_key(uint32_t owner, uint64_t number)
{
	return hl_dbkey_u64(hl_dbkey_u32(HL_DBKEY_NONE, owner), number);
}
/* Whether by_status holds deliveries in this state. */
static inline bool hl_status_indexed(uint8_t state)
{
	return state == HL_DELIVERY_PENDING || state == HL_DELIVERY_FAILED;
}
/* Puts the row's entries into by_webhook, by_account or by_status (index.c). */
void hl_status_put(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *row);

#endif
