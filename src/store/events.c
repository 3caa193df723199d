/* Event rows: appended at publish, deleted by retention, never changed. */
#include "store/events.h"
#include "store/alerts.h"

static struct hl_dbkey event_key(uint64_t number)
{
	return hl_dbkey_u64(HL_DBKEY_NONE, number);
}

void hl_event_append(struct hl_txn *txn, uint64_t number, const struct hl_event_row *row)
{
	hl_buf_reset(&txn->scratch);
	hl_event_row_encode(&txn->scratch, row);
	hl_txn_put_scratch(txn, HL_TABLE_EVENT, HL_DBKEY(event_key(number)), true);
	hl_totals_edit(txn, row->account)->events++;
	hl_totals_edit(txn, 0)->events++;
}

bool hl_event_row_get(struct hl_txn *txn, uint64_t number, struct hl_event_row *out)
{
	struct hl_str bytes;
	if (!hl_txn_get(txn, HL_TABLE_EVENT, HL_DBKEY(event_key(number)), &bytes))
		return false;
	int rc = hl_event_row_decode(bytes, out);
	if (rc)
		hl_txn_fail(txn, rc);
	return rc == 0;
}

void hl_event_del(struct hl_txn *txn, uint64_t number, const struct hl_event_row *row)
{
	uint32_t account = row->account; /* the row's bytes may lie in the table */
	struct hl_dbkey by_account = hl_dbkey_u64(hl_dbkey_u32(HL_DBKEY_NONE, account), number);
	hl_meta_numbers_keep(txn, HL_TABLE_EVENT, number);
	if (number < hl_txn_bounds(txn)->events_running)
		(void)hl_txn_del(txn, HL_TABLE_EVENT_BY_ACCOUNT, HL_DBKEY(by_account));
	hl_alert_event_del(txn, account, number);
	if (!hl_txn_del(txn, HL_TABLE_EVENT, HL_DBKEY(event_key(number))))
		return;
	hl_totals_edit(txn, account)->events--;
	hl_totals_edit(txn, 0)->events--;
}
