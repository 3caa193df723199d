/* Alerts: the row, one entry by account, the totals; the same for what they fired. */
#include "store/alerts.h"
#include "base/defs.h"

static struct hl_dbkey number_key(uint64_t number)
{
	return hl_dbkey_u64(HL_DBKEY_NONE, number);
}

static struct hl_dbkey account_key(uint32_t account, uint64_t number)
{
	return hl_dbkey_u64(hl_dbkey_u32(HL_DBKEY_NONE, account), number);
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

bool hl_alert_row_get(struct hl_txn *txn, uint64_t number, struct hl_alert_row *out)
{
	struct hl_str bytes;
	if (!hl_txn_get(txn, HL_TABLE_ALERT, HL_DBKEY(number_key(number)), &bytes))
		return false;
	int rc = hl_alert_row_decode(bytes, out);
	if (rc)
		hl_txn_fail(txn, rc);
	return rc == 0;
}

static void count(struct hl_txn *txn, const struct hl_alert_row *row, uint64_t n)
{
	struct hl_totals *both[] = { hl_totals_edit(txn, row->account), hl_totals_edit(txn, 0) };
	for (size_t i = 0; i < HL_ARRAY_LEN(both); i++) {
		both[i]->alerts[row->dialect] += n;
		both[i]->alerts_enabled += row->enabled ? n : 0;
	}
}

void hl_alert_row_put(struct hl_txn *txn, const struct hl_alert_row *old, const struct hl_alert_row *row)
{
	struct hl_str dialect = hl_str_make(&row->dialect, 1);
	hl_buf_reset(&txn->scratch);
	hl_alert_row_encode(&txn->scratch, row);
	hl_txn_put_scratch(txn, HL_TABLE_ALERT, HL_DBKEY(number_key(row->number)), old == NULL);
	if (old)
		count(txn, old, UINT64_MAX); /* one less */
	else
		hl_txn_put(txn, HL_TABLE_ALERT_BY_ACCOUNT, HL_DBKEY(account_key(row->account, row->number)), dialect);
	count(txn, row, 1);
}

void hl_alert_row_del(struct hl_txn *txn, const struct hl_alert_row *row)
{
	hl_meta_numbers_keep(txn, HL_TABLE_ALERT, row->number);
	(void)hl_txn_del(txn, HL_TABLE_ALERT_BY_ACCOUNT, HL_DBKEY(account_key(row->account, row->number)));
	(void)hl_txn_del(txn, HL_TABLE_ALERT, HL_DBKEY(number_key(row->number)));
	count(txn, row, UINT64_MAX);
}

/* ---- events ------------------------------------------------------------------------------------------------------- */

static void count_event(struct hl_txn *txn, uint32_t account, uint8_t dialect, uint64_t n)
{
	hl_totals_edit(txn, account)->alert_events[dialect] += n;
	hl_totals_edit(txn, 0)->alert_events[dialect] += n;
}

void hl_alert_event_put(struct hl_txn *txn, uint32_t account, uint64_t event, const struct hl_alert_event_row *row)
{
	hl_buf_reset(&txn->scratch);
	hl_alert_event_row_encode(&txn->scratch, row);
	hl_txn_put_scratch(txn, HL_TABLE_ALERT_EVENT, HL_DBKEY(account_key(account, event)), false);
	count_event(txn, account, row->dialect, 1);
}

bool hl_alert_event_get(struct hl_txn *txn, uint32_t account, uint64_t event, struct hl_alert_event_row *out)
{
	struct hl_str bytes;
	if (!hl_txn_get(txn, HL_TABLE_ALERT_EVENT, HL_DBKEY(account_key(account, event)), &bytes))
		return false;
	int rc = hl_alert_event_row_decode(bytes, out);
	if (rc)
		hl_txn_fail(txn, rc);
	return rc == 0;
}

void hl_alert_event_del(struct hl_txn *txn, uint32_t account, uint64_t event)
{
	struct hl_alert_event_row row;
	if (!hl_alert_event_get(txn, account, event, &row))
		return;
	(void)hl_txn_del(txn, HL_TABLE_ALERT_EVENT, HL_DBKEY(account_key(account, event)));
	count_event(txn, account, row.dialect, UINT64_MAX);
}

/* ---- walks -------------------------------------------------------------------------------------------------------- */

static enum hl_table table_of(const struct hl_alert_walk *w)
{
	return w->events ? HL_TABLE_ALERT_EVENT : w->account ? HL_TABLE_ALERT_BY_ACCOUNT : HL_TABLE_ALERT;
}

static struct hl_dbkey key_of(const struct hl_alert_walk *w, uint64_t number)
{
	return w->account || w->events ? account_key(w->account, number) : number_key(number);
}

static bool walk_begin(struct hl_cursor *c, const struct hl_alert_walk *w)
{
	if (w->oldest_first)
		return w->after < UINT64_MAX && hl_cursor_seek(c, HL_DBKEY(key_of(w, w->after + 1)));
	return hl_cursor_seek_before(c, HL_DBKEY(key_of(w, w->before ? w->before : UINT64_MAX)));
}

/* The number at the cursor; 0: the walk's end. */
static uint64_t walk_number(const struct hl_cursor *c, const struct hl_alert_walk *w)
{
	struct hl_dbkey start = key_of(w, 0);
	if (c->key.len != start.len || memcmp(c->key.ptr, start.bytes, start.len - 8) != 0)
		return 0;
	uint64_t n = hl_be64_get((const uint8_t *)c->key.ptr + start.len - 8);
	return n > w->after && (!w->before || n < w->before) ? n : 0;
}

int hl_alert_walk_step(struct hl_txn *txn, struct hl_alert_walk *w, size_t max_steps, hl_alert_walk_cb each, void *data)
{
	struct hl_cursor c;
	hl_cursor_open(&c, txn, table_of(w));
	bool ok = walk_begin(&c, w), go_on = true;
	for (size_t n = 0; go_on; n++) {
		uint64_t number = ok ? walk_number(&c, w) : 0;
		w->done = number == 0;
		if (w->done || n == max_steps)
			break;
		*(w->oldest_first ? &w->after : &w->before) = number;
		go_on = each(data, number, c.value);
		ok = go_on && (w->oldest_first ? hl_cursor_next(&c) : hl_cursor_prev(&c));
	}
	hl_cursor_close(&c);
	return hl_txn_status(txn);
}
