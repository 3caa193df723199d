/* Counters: per webhook, per account, of the whole store. Edited in memory during a write transaction and written once
 * when it commits; an aborted transaction leaves nothing behind. */
#ifndef HL_STORE_COUNTS_H
#define HL_STORE_COUNTS_H

#include "store/store.h"

/* The counters as this write transaction sees them; valid until it ends. Never NULL: on failure the transaction fails
 * and a place nobody reads is returned. */
struct hl_counts *hl_counts_edit(struct hl_txn *txn, uint32_t webhook);
struct hl_totals *hl_totals_edit(struct hl_txn *txn, uint32_t account); /* 0 = the whole store */
/* Readers (in a write transaction: what was edited counts). All zero when there is no record. */
void hl_counts_get(struct hl_txn *txn, uint32_t webhook, struct hl_counts *out);
void hl_totals_get(struct hl_txn *txn, uint32_t account, struct hl_totals *out);
/* The first account after `after` that has a record (0 = from the start), as it was when the transaction began. */
bool hl_totals_next(struct hl_txn *txn, uint32_t after, uint32_t *out_account, struct hl_totals *out);
/* The record vanishes when the transaction commits. */
void hl_counts_drop(struct hl_txn *txn, uint32_t webhook);
/* Notes one finished attempt: last_* members. */
void hl_counts_note_attempt(struct hl_counts *c, const struct hl_attempt *a);

#endif
