/* The alert engine's life, and how rules get into memory and out of it.
 *
 * Open: everything is read (load.c), every item is judged once, so that what became true while nobody looked, or was about to
 * fire when the process ended, fires now. Every turn of the dispatcher: triggers start, rules are rejudged, the checkpoint goes
 * on. Close: nothing new begins, what is under way ends, then all is freed; what waited to fire does so after the next start. */
#include "alerts/internal.h"

#include "base/check.h"
#include "base/err.h"
#include "store/accounts.h"
#include <stdlib.h>

/* ---- calls -------------------------------------------------------------------------------------------------------- */

int hl_alerts_admit(struct hl_alerts *a, struct hl_err *err)
{
	if (a->closing)
		return hl_err_set(err, HL_ECLOSED, "the alert engine is closing");
	return hl_core_admit(a->d, err);
}

void hl_alerts_submit(struct hl_alerts *a, struct hl_command *c)
{
	hl_alerts_began(a);
	hl_core_submit(a->d, c);
}

static void destroy(struct hl_alerts *a)
{
	if (a->d->guest == &a->guest)
		a->d->guest = NULL;
	hl_triggers_fini(&a->triggers);
	hl_rejudge_fini(&a->rejudge);
	hl_checkpoint_fini(&a->checkpoint);
	hl_map_u64_fini(&a->disabled);
	if (a->rules)
		hl_rules_destroy(a->rules);
	if (a->market)
		hl_market_destroy(a->market);
	free(a);
}

static void settle(struct hl_alerts *a)
{
	if (!a->closing || a->n_calls > 0)
		return;
	hl_close_cb cb = a->on_closed;
	void *data = a->on_closed_data;
	destroy(a);
	if (cb)
		cb(data);
}

void hl_alerts_ended(struct hl_alerts *a)
{
	HL_CHECK(a->n_calls > 0);
	a->n_calls--;
	settle(a);
}

/* ---- rules -------------------------------------------------------------------------------------------------------- */

int hl_alerts_rule_of(const struct hl_alerts *a, const struct hl_alert_row *row, struct hl_rule *out)
{
	struct hl_rule r = {
		.number = row->number, .item = hl_market_find(a->market, row->item), .kind = (enum hl_alert_kind)row->kind,
		.currency = HL_CURRENCY_NONE, .threshold = row->threshold,
	};
	if (row->currency[0])
		r.currency = (uint16_t)hl_currency_number(hl_str_from(row->currency));
	if (r.item == HL_MARKET_NO_ITEM)
		return HL_ECORRUPT;
	*out = r;
	return 0;
}

/* After each judging; rc: what it said. */
static void judged(struct hl_alerts *a, int rc)
{
	hl_triggers_judged(&a->triggers);
	if (rc)
		hl_rejudge_all(a);
}

void hl_alerts_judge_item(struct hl_alerts *a, uint32_t item)
{
	judged(a, hl_rules_judge(a->rules, a->market, item, hl_trigger_fire, a));
}

void hl_alerts_judge_currencies(struct hl_alerts *a, const uint16_t *currencies, size_t n)
{
	judged(a, hl_rules_judge_currencies(a->rules, a->market, currencies, n, hl_trigger_fire, a));
}

void hl_alerts_rule_judge(struct hl_alerts *a, uint64_t number)
{
	judged(a, hl_rules_judge_one(a->rules, a->market, number, hl_trigger_fire, a));
}

void hl_alerts_rule_enter(struct hl_alerts *a, const struct hl_alert_row *row)
{
	struct hl_rule rule;
	if (hl_alerts_disabled(a, row->account))
		return;
	int rc = hl_alerts_rule_of(a, row, &rule);
	rc = rc ? rc : hl_rules_add(a->rules, &rule);
	if (rc)
		judged(a, rc);
	else
		hl_alerts_rule_judge(a, rule.number);
}

void hl_alerts_rule_leave(struct hl_alerts *a, uint64_t number)
{
	(void)hl_rules_remove(a->rules, number);
	hl_trigger_forget(&a->triggers, number);
}

/* ---- what the dispatcher tells ------------------------------------------------------------------------------------ */

static hl_ms_t on_tick(void *data)
{
	struct hl_alerts *a = data;
	hl_ms_t now = hl_core_mono(a->d);
	if (a->closing)
		return INT64_MAX;
	hl_ms_t rejudge = hl_rejudge_tick(a, now), triggers = hl_triggers_tick(a, now);
	return HL_MIN(HL_MIN(rejudge, triggers), hl_checkpoint_tick(a, now));
}

/* The row is the newest there is: perhaps newer than what we are told of, never older. */
static void on_account(void *data, uint32_t account)
{
	struct hl_alerts *a = data;
	struct hl_account_row row;
	if (a->closing || !hl_account_row_get(hl_core_read(a->d), account, &row))
		return;
	if (!row.disabled) {
		if (hl_map_u64_del(&a->disabled, account))
			hl_rejudge_account(a, account, false);
	} else if (hl_map_u64_put(&a->disabled, account, a)) {
		hl_log(&a->d->log, HL_LOG_ERROR, "alert.no_memory", "account=%u; its rules are refused one by one", account);
	}
}

/* ---- open, close -------------------------------------------------------------------------------------------------- */

static int make_parts(struct hl_alerts *a)
{
	hl_triggers_init(&a->triggers);
	hl_rejudge_init(&a->rejudge);
	hl_checkpoint_init(&a->checkpoint);
	hl_map_u64_init(&a->disabled);
	int rc = hl_market_create(&a->market);
	return rc ? rc : hl_rules_create(&a->rules);
}

int hl_alerts_open(struct hl_alerts **out, struct hl_dispatcher *d, struct hl_err *err)
{
	HL_CHECK(!d->guest);
	struct hl_alerts *a = calloc(1, sizeof(*a));
	if (!a)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	a->d = d;
	int rc = make_parts(a);
	rc = rc ? hl_err_set(err, rc, "%s", hl_strerror(rc)) : hl_alerts_load(a, err);
	if (rc) {
		destroy(a);
		return rc;
	}
	a->guest = (struct hl_guest){ .data = a, .tick = on_tick, .account_changed = on_account };
	d->guest = &a->guest;
	for (uint32_t i = 0; i < hl_market_count(a->market); i++)
		hl_alerts_judge_item(a, i);
	hl_log(&d->log, HL_LOG_INFO, "alerts.open", "items=%u quotes=%llu rules=%zu firing=%zu", hl_market_count(a->market),
			(unsigned long long)hl_market_quotes(a->market), hl_rules_count(a->rules), hl_triggers_waiting(&a->triggers));
	hl_core_soon(d);
	*out = a;
	return 0;
}

void hl_alerts_close(struct hl_alerts *a, hl_close_cb cb, void *data)
{
	HL_CHECK(!a->closing);
	a->closing = true;
	a->on_closed = cb;
	a->on_closed_data = data;
	settle(a);
}

void hl_alerts_stats(const struct hl_alerts *a, struct hl_alerts_stats *out)
{
	*out = (struct hl_alerts_stats){
		.items = hl_market_count(a->market), .quotes = hl_market_quotes(a->market),
		.rules_enabled = hl_rules_count(a->rules) + hl_triggers_waiting(&a->triggers),
		.firing = hl_triggers_waiting(&a->triggers) + a->triggers.n_flights, .ticks = a->ticks, .fired = a->fired,
		.log_bytes = a->checkpoint.log_bytes,
		.memory_bytes = hl_market_memory_bytes(a->market) + hl_rules_memory_bytes(a->rules),
	};
}
