/* Rows of alerts and of what they fired. Each change keeps the index by account and the totals (alerts by dialect, enabled
 * ones, events by dialect) with it. */
#ifndef HL_STORE_ALERTS_H
#define HL_STORE_ALERTS_H

#include "store/counts.h"
#include "store/meta.h"

bool hl_alert_row_get(struct hl_txn *txn, uint64_t number, struct hl_alert_row *out);
/* old: the row as it is stored, NULL for a new one (whose number was never used). */
void hl_alert_row_put(struct hl_txn *txn, const struct hl_alert_row *old, const struct hl_alert_row *row);
void hl_alert_row_del(struct hl_txn *txn, const struct hl_alert_row *row);

/* A walk over numbers in one direction, which may go on in a later transaction: over alerts of an account (0 = all, upwards
 * only) or over the events its alerts made. */
struct hl_alert_walk {
	uint32_t account;
	bool events;
	bool oldest_first;
	uint64_t after, before;       /* exclusive bounds; 0 = open. Narrowed as the walk goes */
	bool done;                    /* nothing is left */
};
/* value: the entry's (account 0: the alert's row; else its dialect byte, or the event row). false = enough for now. */
typedef bool (*hl_alert_walk_cb)(void *data, uint64_t number, struct hl_str value);
/* Looks at up to max_steps entries. Returns hl_txn_status; each must not write. */
HL_MUST_CHECK int hl_alert_walk_step(struct hl_txn *txn, struct hl_alert_walk *w, size_t max_steps, hl_alert_walk_cb each,
		void *data);

/* event must be larger than every event of an alert of that account. */
void hl_alert_event_put(struct hl_txn *txn, uint32_t account, uint64_t event, const struct hl_alert_event_row *row);
/* Slices are borrowed from the table. */
bool hl_alert_event_get(struct hl_txn *txn, uint32_t account, uint64_t event, struct hl_alert_event_row *out);
void hl_alert_event_del(struct hl_txn *txn, uint32_t account, uint64_t event); /* none there: nothing */

#endif
