/* When rules fire and what comes of it: each condition at its edge, one event per enabled period, what the event says, whom it
 * reaches, the gate and the limit. On virtual time. */
#include "engine.h"

#include "base/json.h"
#include "base/str.h"
#include "dispatch/dispatcher.h"
#include "dispatch/engine.h"
#include <stdio.h>
#include <string.h>

enum { USD_20 = 20000000 };

static int setup(void **state)
{
	static struct ax x;
	ax_init(&x);
	*state = &x;
	return 0;
}

static int teardown(void **state)
{
	ax_fini(*state);
	return 0;
}

/* ---- conditions ---- */

static void test_edges(void **state)
{
	struct ax *x = *state;
	uint64_t below = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	uint64_t above = ax_rule(x, HL_ALERT_PRICE_ABOVE, 2, USD_20, "USD");
	uint64_t spread = ax_rule(x, HL_ALERT_SPREAD_EXCEEDS, 3, 10000000, "");
	ax_ask(x, 1, "a", 2001);
	ax_ask(x, 2, "a", 1999);
	ax_ask(x, 3, "a", 2000);
	assert_int_equal(ax_events(x), 0); /* no bid: no spread */
	ax_bid(x, 3, "b", 1801);
	assert_int_equal(ax_events(x), 0);
	ax_bid(x, 3, "b", 1800);
	assert_int_equal(ax_events_of(x, spread), 1);
	ax_ask(x, 1, "a", 2000);
	assert_int_equal(ax_events_of(x, below), 1);
	ax_ask(x, 2, "a", 2000);
	assert_int_equal(ax_events_of(x, above), 1);
	assert_false(ax_get(x, below).enabled || ax_get(x, above).enabled || ax_get(x, spread).enabled);
}

static void test_currency(void **state)
{
	struct ax *x = *state;
	static const struct hl_rate rates[] = { { "EUR", HL_RATE_SCALE / 4 }, { "JPY", (int64_t)HL_RATE_SCALE * 150 } };
	struct hl_alert_event e;
	uint64_t eur = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, 10000000, "EUR"); /* 0.5 EUR a dollar: 20 dollars */
	ax_ask(x, 1, "a", 2001);
	assert_int_equal(ax_events(x), 0);
	ax_ask(x, 1, "a", 2000);
	assert_int_equal(ax_list_events(x, eur, &e, 1), 1);
	assert_string_equal(e.currency, "EUR");
	assert_int_equal(e.triggered, 10000000);
	assert_int_equal(e.best_ask, 2000);
	uint64_t other = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, 9990000, "EUR");
	uint64_t dollars = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, 19990000, "USD");
	assert_int_equal(ax_events(x), 1);
	ax_rates(x, rates, 2); /* the price stays, the rate falls */
	assert_int_equal(ax_events_of(x, other), 1);
	assert_int_equal(ax_events_of(x, dollars), 0);
	struct hl_alert v = ax_alert(HL_ALERT_PRICE_BELOW, 1, 1, "GBP");
	struct ax_result r;
	ax_rule_begin(x, &v, NULL, &r);
	assert_int_equal(r.status, HL_EINVAL);
	assert_string_equal(r.err.field, "/currency");
}

static void test_best_over_providers(void **state)
{
	struct ax *x = *state;
	uint64_t above = ax_rule(x, HL_ALERT_PRICE_ABOVE, 1, 30000000, "USD");
	struct hl_market_view view;
	ax_ask(x, 1, "a", 3000 - 1);
	ax_ask(x, 1, "b", 5000);
	assert_int_equal(ax_events(x), 0); /* the best ask is the lowest */
	assert_int_equal(hl_market_get(x->a, 1, &view), 0);
	assert_int_equal(view.best_ask, 2999);
	assert_true(hl_str_eq(view.ask_provider, HL_STR("a")));
	ax_ask(x, 1, "a", 0); /* gone: the best is b's now */
	assert_int_equal(ax_events_of(x, above), 1);
	assert_int_equal(hl_market_get(x->a, 9, &view), HL_ENOTFOUND);
}

/* ---- what a trigger does ---- */

static void test_trigger(void **state)
{
	struct ax *x = *state;
	struct hl_alert_event e[2];
	uint32_t other = fx_webhook(&x->f, "https://b.example/hook");
	uint64_t n = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	fx_webhook_state(&x->f, other, HL_WEBHOOK_PAUSED);
	fx_webhook(&x->f, "https://c.example/hook");
	ax_ask(x, 1, "buff163", 1950);
	assert_int_equal(ax_list_events(x, n, e, 2), 1);
	fx_advance(&x->f, 100);
	assert_int_equal(fx_count(&x->f, "https://a.example/"), 1);
	assert_int_equal(fx_count(&x->f, "https://b.example/"), 0);
	assert_int_equal(fx_count(&x->f, "https://c.example/"), 1);
	struct hl_alert v = ax_get(x, n);
	assert_false(v.enabled);
	assert_int_equal(v.last_triggered_at_ms, e[0].created_at_ms);
	assert_int_equal(v.updated_at_ms, e[0].created_at_ms);
	assert_string_equal(v.id, e[0].alert_id);
	ax_ask(x, 1, "buff163", 1900); /* disabled: nothing */
	assert_int_equal(ax_events(x), 1);
	ax_enable(x, n, true);         /* true already */
	assert_int_equal(ax_events_of(x, n), 2);
	assert_false(ax_get(x, n).enabled);
	struct hl_alerts_stats s;
	hl_alerts_stats(x->a, &s);
	assert_int_equal(s.fired, 2);
	assert_int_equal(s.ticks, 2);
	assert_int_equal(s.rules_enabled, 0);
	assert_int_equal(s.firing, 0);
	assert_true(s.log_bytes > 0);
	assert_int_equal(s.items, 3);
	assert_int_equal(s.quotes, 1);
}

static struct hl_str text_member(struct hl_json object, const char *name)
{
	static struct hl_arena arena;
	struct hl_json v;
	struct hl_str s = HL_STR("(none)");
	if (!hl_json_get(object, hl_str_from(name), &v))
		return s;
	if (v.type != HL_JSON_STRING)
		return v.raw;
	assert_int_equal(hl_json_string(&arena, v, false, &s), 0);
	return s;
}

#define HAS(object, name, text) assert_true(hl_str_eq(text_member((object), (name)), HL_STR(text)))

static void test_message(void **state)
{
	struct ax *x = *state;
	const struct hl_market_item item = { 7, HL_STR("M4A4 | \"Howl\" \xE2\x98\x85"), HL_STR("Ruby") };
	struct ax_result r = { 0 };
	struct hl_alert_event e;
	struct hl_json root, data, v;
	assert_int_equal(hl_market_put_items(x->a, &item, 1, ax_on_done, &r, NULL), 0);
	fx_pump(&x->f);
	ax_bid(x, 7, "youpin", 1710);
	uint64_t n = ax_rule(x, HL_ALERT_PRICE_BELOW, 7, USD_20, "USD");
	ax_ask(x, 7, "buff163", 1950);
	fx_advance(&x->f, 100);
	assert_int_equal(ax_list_events(x, n, &e, 1), 1);
	const struct fx_request *q = fx_last(&x->f, "https://a.example/");
	assert_int_equal(hl_json_check(hl_str_make(q->body, q->body_len), 64, &root, NULL), 0);
	HAS(root, "type", "alert.triggered");
	assert_true(hl_json_get(root, HL_STR("data"), &data));
	assert_true(hl_str_eq(text_member(data, "event_id"), hl_str_from(e.id)));
	assert_true(hl_str_eq(text_member(root, "id"), hl_str_from(e.id)));
	assert_true(hl_str_eq(text_member(data, "alert_id"), hl_str_from(e.alert_id)));
	HAS(data, "kind", "price_below");
	HAS(data, "item_id", "7");
	HAS(data, "market_hash_name", "M4A4 | \"Howl\" \xE2\x98\x85");
	HAS(data, "threshold_value", "20.00");
	HAS(data, "threshold_currency", "USD");
	HAS(data, "triggered_value", "19.50");
	HAS(data, "triggered_currency", "USD");
	HAS(data, "best_ask", "19.50");
	HAS(data, "best_bid", "17.10");
	HAS(data, "observed_provider", "buff163");
	HAS(data, "observed_link", "https://market.example/item");
	HAS(data, "reason", "Best ask 19.50 USD is at or below 20.00 USD");
	assert_true(hl_json_get(data, HL_STR("item"), &v));
	HAS(v, "phase", "Ruby");
	HAS(v, "item_id", "7");
}

static void test_spread_message(void **state)
{
	struct ax *x = *state;
	struct hl_webhook chat = { .url = HL_STR("https://discord.example/hook"), .dialect = HL_DIALECT_CS2CAP,
		.format = HL_FORMAT_DISCORD };
	struct hl_event_type type = { .name = HL_STR("alert.triggered"), .title = HL_STR("Alert") };
	struct fx_result done = { 0 };
	type.dialect_categories[HL_DIALECT_CS2CAP] = HL_STR("alert");
	assert_int_equal(hl_event_type_put(x->f.d, &type, fx_on_done, &done, NULL), 0);
	fx_pump(&x->f);
	fx_webhook_make(&x->f, &chat);
	ax_rule(x, HL_ALERT_SPREAD_EXCEEDS, 1, 10000000, "");
	ax_ask(x, 1, "buff163", 3000);
	ax_bid(x, 1, "youpin", 2000);
	fx_advance(&x->f, 100);
	const struct fx_request *q = fx_last(&x->f, "https://a.example/");
	assert_non_null(strstr(q->body, "\"threshold_currency\":null"));
	assert_non_null(strstr(q->body, "\"triggered_currency\":null"));
	assert_non_null(strstr(q->body, "\"triggered_value\":\"33.33\""));
	assert_non_null(strstr(q->body, "\"phase\":null"));
	q = fx_last(&x->f, "https://discord.example/");
	assert_non_null(q);
	assert_non_null(strstr(q->body, "Price alert: AK-47 | Redline 1"));
	assert_non_null(strstr(q->body, "33.33 %"));
	assert_non_null(strstr(q->body, "https://market.example/item"));
}

/* A webhook is made in the same turn: the publish is matched and numbered again, and the message names its own event. */
static void test_matched_again(void **state)
{
	struct ax *x = *state;
	const struct hl_webhook late = { .account = HL_ACCOUNT_DEFAULT, .url = HL_STR("https://late.example/hook") };
	struct hl_market_quote q = ax_quote(1, "a", 1000);
	struct fx_result made = { 0 };
	struct ax_result r;
	struct hl_alert_event e;
	uint64_t n = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	ax_quotes_begin(x, false, &q, 1, &r);
	fx_turn(&x->f); /* the tick is durable */
	assert_true(r.called);
	hl_engine_tick(x->f.d); /* the trigger is handed over… */
	assert_int_equal(x->a->triggers.n_flights, 1);
	assert_int_equal(hl_webhook_create(x->f.d, &late, HL_STR_NONE, 0, NULL, fx_on_webhook, &made, NULL), 0); /* …before this */
	fx_pump(&x->f);
	assert_true(made.called && made.status == 0);
	fx_advance(&x->f, 100);
	assert_int_equal(ax_list_events(x, n, &e, 1), 1);
	const struct fx_request *sent = fx_last(&x->f, "https://late.example/");
	assert_non_null(sent);
	assert_non_null(strstr(sent->body, e.id));
	assert_non_null(strstr(strstr(sent->body, "event_id"), e.id));
	assert_null(strstr(sent->body, "00000000-0000"));
}

static void test_no_receiver(void **state)
{
	struct ax *x = *state;
	struct hl_event ev;
	struct hl_alert_event e;
	fx_webhook_state(&x->f, x->webhook, HL_WEBHOOK_PAUSED);
	uint64_t n = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	ax_ask(x, 1, "a", 1);
	assert_int_equal(ax_list_events(x, n, &e, 1), 1);
	assert_false(ax_get(x, n).enabled);
	assert_int_equal(hl_event_get(x->f.d, HL_ACCOUNT_DEFAULT, e.event, &ev), 0);
	assert_int_equal(ev.n_deliveries, 0);
	assert_int_equal(e.email, HL_ALERT_EMAIL_NONE);
}

static void test_email(void **state)
{
	struct ax *x = *state;
	struct hl_account_row row = { .number = HL_ACCOUNT_DEFAULT, .id = HL_STR("default"), .email = HL_STR("a@b.example"),
		.email_verified = true, .alert_emails = true };
	struct hl_alert_event e;
	ax_account(x, &row);
	uint64_t n = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	ax_ask(x, 1, "a", 1);
	assert_int_equal(ax_list_events(x, n, &e, 1), 1);
	assert_int_equal(e.email, HL_ALERT_EMAIL_SKIPPED);
	row.email_verified = false;
	ax_account(x, &row);
	ax_enable(x, n, true);
	assert_int_equal(ax_list_events(x, n, &e, 1), 2);
	assert_int_equal(e.email, HL_ALERT_EMAIL_NONE);
}

/* ---- the gate and the limit ---- */

static int try_rule(struct ax *x, const struct hl_alert_gate *gate)
{
	struct hl_alert v = ax_alert(HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	struct ax_result r;
	ax_rule_begin(x, &v, gate, &r);
	fx_pump(&x->f);
	assert_true(r.called);
	return r.status;
}

static void test_gate(void **state)
{
	struct ax *x = *state;
	const struct hl_alert_gate nothing = { 0 }, mail = { .email = true }, hooks = { .webhooks = true };
	struct hl_alert v = ax_alert(HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	struct ax_result r;
	assert_int_equal(try_rule(x, &nothing), HL_ECONFLICT);
	assert_int_equal(try_rule(x, &mail), 0);
	assert_int_equal(try_rule(x, &hooks), 0);
	fx_webhook_state(&x->f, x->webhook, HL_WEBHOOK_PAUSED);
	assert_int_equal(try_rule(x, &hooks), HL_ECONFLICT);
	v.enabled = false; /* may be made, and changed, but not enabled */
	ax_rule_begin(x, &v, &hooks, &r);
	fx_pump(&x->f);
	assert_int_equal(r.status, 0);
	uint64_t n = r.alert.number;
	v.enabled = true;
	v.threshold = 1;
	memset(&r, 0, sizeof(r));
	assert_int_equal(hl_alert_update(x->a, HL_ACCOUNT_DEFAULT, -1, n, HL_ALF_THRESHOLD, &v, &hooks, ax_on_alert, &r, NULL), 0);
	fx_pump(&x->f);
	assert_true(r.status == 0 && r.alert.threshold == 1 && !r.alert.enabled);
	memset(&r, 0, sizeof(r));
	assert_int_equal(hl_alert_update(x->a, HL_ACCOUNT_DEFAULT, -1, n, HL_ALF_ENABLED, &v, &hooks, ax_on_alert, &r, NULL), 0);
	fx_pump(&x->f);
	assert_int_equal(r.status, HL_ECONFLICT);
	assert_false(ax_get(x, n).enabled);
}

static void test_limit(void **state)
{
	struct ax *x = *state;
	const struct hl_alert_gate one = { .email = true, .max_enabled = 1 }, three = { .email = true, .max_enabled = 3 };
	struct hl_alert v[4], off;
	struct ax_result a, b;
	for (size_t i = 0; i < 4; i++)
		v[i] = ax_alert(HL_ALERT_PRICE_BELOW, 1 + i % 3, USD_20, "USD");
	ax_rule_begin(x, &v[0], &one, &a); /* two in one batch of the store */
	ax_rule_begin(x, &v[1], &one, &b);
	fx_pump(&x->f);
	assert_int_equal(a.status, 0);
	assert_int_equal(b.status, HL_ELIMIT);
	off = v[1];
	off.enabled = false;
	ax_rule_begin(x, &off, &one, &b);
	fx_pump(&x->f);
	assert_int_equal(b.status, 0);
	memset(&a, 0, sizeof(a));
	assert_int_equal(hl_alert_create_batch(x->a, v, 3, &three, NULL, ax_on_batch, &a, NULL), 0);
	fx_pump(&x->f);
	assert_int_equal(a.status, HL_ELIMIT); /* three more would be four */
	memset(&a, 0, sizeof(a));
	assert_int_equal(hl_alert_create_batch(x->a, v, 2, &three, NULL, ax_on_batch, &a, NULL), 0);
	fx_pump(&x->f);
	assert_int_equal(a.status, 0);
	assert_int_equal(a.n, 2);
	/* one fires: there is room again */
	ax_ask(x, 1, "a", 1);
	memset(&a, 0, sizeof(a));
	assert_int_equal(hl_alert_update(x->a, HL_ACCOUNT_DEFAULT, -1, b.alert.number, HL_ALF_ENABLED, &v[0], &three, ax_on_alert, &a,
			NULL), 0);
	fx_pump(&x->f);
	assert_int_equal(a.status, 0);
}

static struct hl_str say_numbers(void *data, const void *object, struct hl_str secret)
{
	static char text[64];
	const struct hl_alert_batch_made *made = object;
	(void)data;
	(void)secret;
	snprintf(text, sizeof(text), "%d: %llu %s", (int)made->n, (unsigned long long)made->v[0].alert.number, made->v[0].alert.id);
	return hl_str_from(text);
}

/* Rules and the record of their key are one transaction: whoever repeats the request after a crash gets them, not others. */
static void test_batch_happens_once_per_key(void **state)
{
	struct ax *x = *state;
	struct hl_idempotency idem = { .scope = HL_STR("POST /v1/alerts/batch"), .key = HL_STR("k"), .render = say_numbers };
	struct hl_alert v[2];
	struct ax_result r[2] = { { .called = false } };
	char first[64];
	for (size_t i = 0; i < 2; i++)
		v[i] = ax_alert(HL_ALERT_PRICE_BELOW, 1, USD_20 + (int64_t)i, "USD");
	assert_int_equal(hl_alert_create_batch(x->a, v, 2, NULL, &idem, ax_on_batch, &r[0], NULL), 0);
	fx_pump(&x->f);
	assert_true(r[0].status == 0 && r[0].n == 2 && !r[0].replayed);
	struct hl_alert made = ax_get(x, r[0].each[0].number);
	snprintf(first, sizeof(first), "2: %llu %s", (unsigned long long)made.number, made.id);
	ax_crash(x);
	assert_int_equal(hl_alert_create_batch(x->a, v, 2, NULL, &idem, ax_on_batch, &r[1], NULL), 0);
	fx_pump(&x->f);
	assert_true(r[1].status == 0 && r[1].replayed);
	assert_string_equal(r[1].answer, first);
	ax_ask(x, 1, "a", 1);
	assert_int_equal(ax_events(x), 2);
}

static void test_batch(void **state)
{
	struct ax *x = *state;
	const struct hl_alert_gate none = { 0 };
	struct hl_alert v[5];
	struct ax_result r = { 0 };
	for (size_t i = 0; i < 5; i++)
		v[i] = ax_alert(HL_ALERT_PRICE_BELOW, 1, USD_20 + (int64_t)i, "USD");
	v[1].item.item_id = 999999;
	v[3].threshold = 0;
	assert_int_equal(hl_alert_create_batch(x->a, v, 5, NULL, NULL, ax_on_batch, &r, NULL), 0);
	fx_pump(&x->f);
	assert_true(r.called && r.status == 0 && r.n == 5);
	assert_int_equal(r.each[0].status, 0);
	assert_int_equal(r.each[1].status, HL_ENOTFOUND);
	assert_string_equal(r.each[1].field, "/item_id");
	assert_int_equal(r.each[2].status, 0);
	assert_int_equal(r.each[3].status, HL_EINVAL);
	assert_string_equal(r.each[3].field, "/threshold");
	assert_int_equal(r.each[4].number, r.each[0].number + 2);
	assert_int_equal(ax_get(x, r.each[4].number).threshold, USD_20 + 4);
	memset(&r, 0, sizeof(r));
	assert_int_equal(hl_alert_create_batch(x->a, v, 1, &none, NULL, ax_on_batch, &r, NULL), 0);
	fx_pump(&x->f);
	assert_int_equal(r.status, HL_ECONFLICT);
	memset(&r, 0, sizeof(r));
	v[0].item.item_id = 8; /* nothing is left to store */
	assert_int_equal(hl_alert_create_batch(x->a, v, 2, NULL, NULL, ax_on_batch, &r, NULL), 0);
	fx_pump(&x->f);
	assert_true(r.status == 0 && r.each[0].status == HL_ENOTFOUND);
	assert_int_equal(hl_alert_create_batch(x->a, v, 0, NULL, NULL, ax_on_batch, &r, NULL), HL_EINVAL);
	assert_int_equal(hl_alert_create_batch(x->a, v, HL_ALERT_BATCH_MAX + 1, NULL, NULL, ax_on_batch, &r, NULL), HL_EINVAL);
	ax_ask(x, 1, "a", 1);
	assert_int_equal(ax_events(x), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_currency, setup, teardown),
		cmocka_unit_test_setup_teardown(test_best_over_providers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trigger, setup, teardown),
		cmocka_unit_test_setup_teardown(test_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spread_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_matched_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_receiver, setup, teardown),
		cmocka_unit_test_setup_teardown(test_email, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batch_happens_once_per_key, setup, teardown),
	};
	return cmocka_run_group_tests_name("alerts: engine", tests, NULL, NULL);
}
