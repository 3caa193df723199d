/* The start: items, rates, the quotes of items as last written, over them the log from the oldest block on, the disabled accounts,
 * and the enabled rules of the others. Nothing is judged before everything is there.
 *
 * What does not fit together (a rule or a quote of an item that is not there, a row that does not decode) is HL_ECORRUPT; the
 * audit says more. */
#include "alerts/internal.h"

#include "base/crash.h"
#include "base/err.h"
#include "store/alerts.h"
#include "store/market.h"

struct load {
	struct hl_alerts *a;
	int rc;
};

static bool load_item(void *data, const struct hl_market_item *item)
{
	struct load *l = data;
	uint32_t index;
	l->rc = hl_checkpoint_reserve(&l->a->checkpoint, hl_market_count(l->a->market) + (uint64_t)1);
	l->rc = l->rc ? l->rc : hl_market_put_item(l->a->market, item, &index);
	return l->rc == 0;
}

int hl_alerts_play(struct hl_alerts *a, struct hl_str block, bool dirty)
{
	struct hl_block_reader r;
	struct hl_market_quote q;
	bool bid;
	hl_block_read(&r, block);
	while (hl_block_next(&r, &q, &bid)) {
		uint32_t item = hl_market_find(a->market, q.item_id);
		if (item == HL_MARKET_NO_ITEM)
			return HL_ECORRUPT;
		int provider = hl_market_provider_put(a->market, q.provider);
		if (provider < 0)
			return provider == HL_ENOMEM ? HL_ENOMEM : HL_ECORRUPT;
		int rc = hl_market_set(a->market, bid, item, (uint32_t)provider, &q, NULL);
		if (rc)
			return rc;
		if (dirty)
			hl_checkpoint_note(&a->checkpoint, item);
	}
	return hl_block_end(&r);
}

static bool load_quotes(void *data, uint64_t item_id, struct hl_str block)
{
	struct load *l = data;
	(void)item_id;
	l->rc = hl_alerts_play(l->a, block, false);
	return l->rc == 0;
}

static bool load_block(void *data, uint64_t number, struct hl_str block)
{
	struct load *l = data;
	l->rc = hl_alerts_play(l->a, block, true);
	HL_CRASH_POINT(START_ALERTS);
	hl_checkpoint_logged(&l->a->checkpoint, number, block.len);
	return l->rc == 0;
}

static void load_rates(struct hl_alerts *a, struct hl_txn *txn)
{
	struct hl_rates_row rates;
	uint16_t changed[HL_MARKET_CURRENCIES_MAX];
	size_t n;
	if (!hl_market_rates_get(txn, &rates))
		return;
	if (hl_market_check_rates(rates.rates, rates.n, NULL))
		hl_txn_fail(txn, HL_ECORRUPT);
	else
		hl_market_set_rates(a->market, rates.rates, rates.n, changed, &n);
}

static bool load_account(void *data, const struct hl_account_row *row)
{
	struct load *l = data;
	if (row->disabled)
		l->rc = hl_map_u64_put(&l->a->disabled, row->number, l->a);
	return l->rc == 0;
}

static bool load_rule(void *data, uint64_t number, struct hl_str value)
{
	struct load *l = data;
	struct hl_alert_row row;
	struct hl_rule rule;
	(void)number;
	l->rc = hl_alert_row_decode(value, &row);
	if (!l->rc && row.enabled && !hl_alerts_disabled(l->a, row.account)) {
		l->rc = hl_alerts_rule_of(l->a, &row, &rule);
		l->rc = l->rc ? l->rc : hl_rules_add(l->a->rules, &rule);
	}
	return l->rc == 0;
}

static int load_all(struct load *l, struct hl_txn *txn)
{
	struct hl_alert_walk rules = { .oldest_first = true };
	hl_market_item_each(txn, load_item, l);
	if (!l->rc)
		load_rates(l->a, txn);
	if (!l->rc)
		hl_market_quotes_each(txn, load_quotes, l);
	if (!l->rc)
		hl_market_log_each(txn, load_block, l);
	if (!l->rc)
		hl_account_row_each(txn, 0, load_account, l);
	int rc = l->rc ? l->rc : hl_alert_walk_step(txn, &rules, SIZE_MAX, load_rule, l);
	return l->rc ? l->rc : rc;
}

int hl_alerts_load(struct hl_alerts *a, struct hl_err *err)
{
	struct load l = { .a = a };
	struct hl_txn *txn = hl_core_read(a->d);
	int rc = load_all(&l, txn);
	rc = rc ? rc : hl_txn_status(txn);
	return rc ? hl_err_set(err, rc, "read alerts and market: %s", hl_strerror(rc)) : 0;
}
