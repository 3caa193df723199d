/* The audit of alerts and of the market: rows and their index, events kept beside events, items, quotes, log, rates. See
 * audit.c for how it goes. */
#include "store/alerts.h"
#include "store/audit_private.h"
#include "store/market.h"
#include <inttypes.h>

static uint64_t u64_at(struct hl_str s, size_t at)
{
	return hl_be64_get((const uint8_t *)s.ptr + at);
}

static bool item_known(struct hl_audit_run *a, uint64_t item_id)
{
	return hl_audit_has(a, HL_TABLE_MARKET_ITEM, hl_dbkey_u64(HL_DBKEY_NONE, item_id));
}

/* ---- alerts ------------------------------------------------------------------------------------------------------- */

static bool alert_row(struct hl_audit_run *a, uint64_t number, struct hl_alert_row *out)
{
	struct hl_str bytes;
	return hl_txn_get(&a->txn, HL_TABLE_ALERT, HL_DBKEY(hl_dbkey_u64(HL_DBKEY_NONE, number)), &bytes) &&
			hl_alert_row_decode(bytes, out) == 0;
}

static void count_alert(struct hl_totals *t, const struct hl_alert_row *r)
{
	t->alerts[r->dialect]++;
	t->alerts_enabled += r->enabled;
}

static void each_alert(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_alert_row r;
	struct hl_str dialect;
	a->sum.alerts++;
	if (key.len != 8 || hl_alert_row_decode(value, &r) || r.number != u64_at(key, 0)) {
		hl_audit_damage(a, "an alert row is damaged");
		return;
	}
	count_alert(hl_audit_totals(a, r.account), &r);
	count_alert(hl_audit_totals(a, 0), &r);
	if (!hl_txn_get(&a->txn, HL_TABLE_ALERT_BY_ACCOUNT, HL_DBKEY(hl_pair_key(r.account, r.number)), &dialect))
		hl_audit_damage(a, "alert %" PRIu64 ": missing in alert_by_account", r.number);
	else if (dialect.len != 1 || (uint8_t)dialect.ptr[0] != r.dialect)
		hl_audit_damage(a, "alert %" PRIu64 ": another dialect in alert_by_account", r.number);
	if (!item_known(a, r.item))
		hl_audit_damage(a, "alert %" PRIu64 ": item %" PRIu64 " is not there", r.number, r.item);
}

static void each_alert_by_account(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_alert_row r;
	a->sum.index_entries++;
	if (key.len != 12 || value.len != 1 || !alert_row(a, u64_at(key, 4), &r) ||
			r.account != hl_be32_get((const uint8_t *)key.ptr))
		hl_audit_damage(a, "alert_by_account: an entry without its alert");
}

static void each_alert_event(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_alert_event_row r;
	struct hl_event_row e;
	a->sum.alert_events++;
	if (key.len != 12 || hl_alert_event_row_decode(value, &r)) {
		hl_audit_damage(a, "an alert event is damaged");
		return;
	}
	uint32_t account = hl_be32_get((const uint8_t *)key.ptr);
	hl_audit_totals(a, account)->alert_events[r.dialect]++;
	hl_audit_totals(a, 0)->alert_events[r.dialect]++;
	if (!hl_audit_event(a, u64_at(key, 4), &e) || e.account != account)
		hl_audit_damage(a, "alert event %" PRIu64 ": its event is not there, or another account's", u64_at(key, 4));
}

/* ---- the market --------------------------------------------------------------------------------------------------- */

static void each_item(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_market_item r;
	a->sum.market_items++;
	if (key.len != 8 || hl_market_item_decode(value, &r))
		hl_audit_damage(a, "a market item is damaged");
}

/* Every quote of a block is of an item that is there; only: of this one (0 = any). */
static bool block_good(struct hl_audit_run *a, struct hl_str block, uint64_t only)
{
	struct hl_block_reader r;
	struct hl_market_quote q;
	bool bid;
	hl_block_read(&r, block);
	while (hl_block_next(&r, &q, &bid))
		if ((only && q.item_id != only) || !item_known(a, q.item_id))
			return false;
	return hl_block_end(&r) == 0;
}

static void each_quotes(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	if (key.len != 8 || !block_good(a, value, u64_at(key, 0)))
		hl_audit_damage(a, "market_quotes: the quotes of an item are damaged, or another's");
}

static void each_block(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	a->sum.market_blocks++;
	if (key.len != 8 || !block_good(a, value, 0))
		hl_audit_damage(a, "market_log: a block is damaged, or of an unknown item");
}

static void check_rates(struct hl_audit_run *a)
{
	struct hl_rates_row rates;
	struct hl_str bytes;
	if (hl_txn_get(&a->txn, HL_TABLE_META, HL_STR("rates"), &bytes) && hl_rates_row_decode(bytes, &rates))
		hl_audit_damage(a, "the exchange rates are damaged");
}

int hl_audit_alerts(struct hl_audit_run *a)
{
	static const struct {
		enum hl_table table;
		hl_audit_each each;
	} passes[] = {
		{ HL_TABLE_ALERT, each_alert },
		{ HL_TABLE_ALERT_BY_ACCOUNT, each_alert_by_account },
		{ HL_TABLE_ALERT_EVENT, each_alert_event },
		{ HL_TABLE_MARKET_ITEM, each_item },
		{ HL_TABLE_MARKET_QUOTES, each_quotes },
		{ HL_TABLE_MARKET_LOG, each_block },
	};
	int rc = 0;
	for (size_t i = 0; !rc && i < sizeof(passes) / sizeof(passes[0]); i++)
		rc = hl_audit_table(a, passes[i].table, passes[i].each);
	if (!rc)
		check_rates(a);
	return rc ? rc : hl_txn_status(&a->txn);
}
