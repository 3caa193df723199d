/* Every allocation of the engine fails once, on the loop and while a batch is applied: a call says HL_ENOMEM and is made again,
 * or it did what it should, perhaps later. In the end each rule has fired once per enabled period, and the store is sound.
 *
 * Allocations are counted only while the engine works, not in the fixture. No webhooks, so that nothing is sent. */
#include "engine.h"

#include "dispatch/engine.h"
#include "store/store_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USD_20 = 20000000 };

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool armed;
static unsigned left; /* until the one that fails; 0 = it has */

static bool fails(void)
{
	return armed && left && --left == 0;
}

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }

static void turns(struct ax *x)
{
	armed = true;
	for (unsigned i = 0; i < 12; i++) {
		hl_engine_tick(x->f.d);
		(void)hl_commit_run(x->f.d->commit);
		(void)hl_commit_tell(x->f.d->commit);
		hl_engine_turn_end(x->f.d);
	}
	armed = false;
}

/* Did a call end as it should? Else it failed for memory, and is to be made again. */
static bool done(struct ax *x, const struct ax_result *r)
{
	armed = false;
	if (!r->called)
		turns(x);
	assert_true(r->called);
	assert_true(r->status == 0 || (r->status == HL_ENOMEM && left == 0));
	return r->status == 0;
}

#define AGAIN(x, r, ...)                                                        \
	do {                                                                    \
		memset(&(r), 0, sizeof(r));                                     \
		armed = true;                                                   \
		__VA_ARGS__;                                                    \
	} while (!done((x), &(r)))

static void put_items(struct ax *x, struct ax_result *r)
{
	const struct hl_market_item items[] = { { 100, HL_STR("another"), HL_STR("") }, { 1, HL_STR("renamed"), HL_STR("x") } };
	r->status = hl_market_put_items(x->a, items, 2, ax_on_done, r, NULL);
	r->called = r->status != 0;
}

static void put_rates(struct ax *x, struct ax_result *r)
{
	const struct hl_rate rates[] = { { "EUR", HL_RATE_SCALE / 4 } };
	r->status = hl_market_put_rates(x->a, rates, 1, 0, ax_on_done, r, NULL);
	r->called = r->status != 0;
}

static void batch(struct ax *x, struct ax_result *r)
{
	struct hl_alert v[3];
	for (size_t i = 0; i < 3; i++)
		v[i] = ax_alert(HL_ALERT_PRICE_BELOW, 2, USD_20 - 2 + (int64_t)i, "USD");
	r->status = hl_alert_create_batch(x->a, v, 3, NULL, NULL, ax_on_batch, r, NULL);
	r->called = r->status != 0;
}

static void on_list(void *data, int status, const struct hl_alert_event *v, size_t n, const struct hl_page_info *info)
{
	struct ax_result *r = data;
	(void)v;
	(void)info;
	r->called = true;
	r->status = status;
	r->n = n;
}

static void list_events(struct ax *x, struct ax_result *r)
{
	const struct hl_alert_event_query q = { .account = 1, .dialect = -1, .page = { .limit = 10, .want_total = true } };
	r->status = hl_alert_event_list(x->a, &q, on_list, r);
	r->called = r->status != 0;
}

/* The n-th allocation fails; false: there are not so many. */
static bool run(unsigned n)
{
	static struct ax x;
	struct ax_result r;
	struct hl_market_quote q[] = { ax_quote(1, "p1", 2500), ax_quote(2, "p2", 1500), ax_quote(1, "p3", 1500) };
	struct hl_alert eur = ax_alert(HL_ALERT_PRICE_BELOW, 3, 5000000, "EUR"), first = ax_alert(HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	uint64_t once, twice;
	ax_init(&x);
	fx_webhook_state(&x.f, x.webhook, HL_WEBHOOK_PAUSED);
	ax_ask(&x, 3, "p1", 2000);
	left = n;
	AGAIN(&x, r, put_items(&x, &r));
	AGAIN(&x, r, ax_rule_begin(&x, &first, NULL, &r));
	twice = r.alert.number;
	AGAIN(&x, r, ax_rule_begin(&x, &eur, NULL, &r));
	once = r.alert.number;
	AGAIN(&x, r, batch(&x, &r));
	AGAIN(&x, r, ax_quotes_begin(&x, false, q, 3, &r));
	turns(&x);
	AGAIN(&x, r, put_rates(&x, &r));
	turns(&x);
	fx_advance(&x.f, 30000); /* whatever is done later */
	AGAIN(&x, r, ax_update_begin(&x, twice, HL_ALF_ENABLED, &(struct hl_alert){ .enabled = true }, &r));
	turns(&x);
	AGAIN(&x, r, list_events(&x, &r));
	x.a->checkpoint.from_bytes = 1;
	turns(&x);
	fx_advance(&x.f, 30000);
	assert_int_equal(ax_events_of(&x, twice), 2);
	assert_int_equal(ax_events_of(&x, once), 1);
	assert_int_equal(ax_events(&x), 2 + 1 + 3);
	assert_int_equal(x.a->checkpoint.log_bytes, 0);
	ax_audit(&x);
	ax_close(&x);
	ax_open(&x);
	struct hl_market_view v;
	assert_int_equal(hl_market_get(x.a, 1, &v), 0);
	assert_int_equal(v.best_ask, 1500); /* a link may be lost for want of memory, a price never */
	assert_int_equal(ax_events(&x), 6);
	ax_fini(&x);
	return left == 0;
}

static void test_each_fails(void **state)
{
	unsigned n = 1;
	(void)state;
	while (run(n))
		n++;
	print_message("%u allocations\n", n - 1);
	assert_true(n > 60);
}

/* Opening: HL_ENOMEM and nothing is left behind, or everything is there. */
static void test_open(void **state)
{
	static struct ax x;
	bool failed = true;
	(void)state;
	ax_init(&x);
	for (uint64_t i = 1; i <= 3; i++) {
		ax_rule(&x, HL_ALERT_PRICE_BELOW, i, USD_20, "EUR");
		ax_ask(&x, i, "p1", 9000);
	}
	for (unsigned n = 1; failed; n++) {
		struct hl_err err = { 0 };
		struct hl_alerts *a;
		ax_close(&x);
		fx_open(&x.f);
		left = n;
		armed = true;
		int rc = hl_alerts_open(&a, x.f.d, &err);
		armed = false;
		failed = left == 0;
		assert_true(rc == 0 || (rc == HL_ENOMEM && failed));
		hl_engine_turn_end(x.f.d); /* forgets what could not be read */
		if (rc)
			ax_open(&x);
		else
			x.a = a;
		struct hl_alerts_stats s;
		hl_alerts_stats(x.a, &s);
		assert_true(s.items == 3 && s.quotes == 3 && s.rules_enabled == 3);
	}
	ax_fini(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_fails),
		cmocka_unit_test(test_open),
	};
	return cmocka_run_group_tests_name("alerts: allocations", tests, NULL, NULL);
}
