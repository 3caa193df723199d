/* Every allocation of market and index fails once: HL_ENOMEM and as before, or done as asked for. Then the same step again
 * succeeds, and in the end everything is there.
 *
 * The linker sends malloc, calloc and realloc through here; the n-th call after arm(n) answers NULL. */
#include "alerts/rules.h"
#include "base/str.h"
#include <hookline/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned until; /* 0 = none is to fail */
static bool failed;

static bool fails(void)
{
	if (until == 0 || --until > 0)
		return false;
	failed = true;
	return true;
}

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }

static void arm(unsigned n)
{
	until = n;
	failed = false;
}

/* Did the call fail as it may? Then it is to be made again. */
static bool again(int rc)
{
	assert_true(rc >= 0 || (rc == HL_ENOMEM && failed));
	return rc < 0;
}

enum { ITEMS = 200, PROVIDERS = 20, RULES = 3000 };

static void fill_market(struct hl_market *m)
{
	for (uint64_t i = 1; i <= ITEMS; i++) {
		struct hl_market_item v = { i, HL_STR("a name"), HL_STR("p") };
		while (again(hl_market_put_item(m, &v, NULL)))
			assert_int_equal(hl_market_count(m), i - 1);
		while (again(hl_market_put_item(m, &v, NULL)))
			;
	}
	for (int p = 0; p < PROVIDERS; p++) {
		char name[16];
		snprintf(name, sizeof name, "p%d", p);
		while (again(hl_market_provider_put(m, hl_str_from(name))))
			assert_int_equal(hl_market_providers(m), p);
	}
	for (uint32_t n = 0; n < ITEMS * PROVIDERS; n++) {
		uint32_t item = n % ITEMS, p = n / ITEMS;
		bool moved;
		struct hl_market_quote q = { .cents = 100 - p, .count = 1, .link = HL_STR("http://example/1") };
		while (again(hl_market_room(m, false, item, p)))
			;
		/* after that it may only cost the link */
		assert_int_equal(hl_market_set(m, false, item, p, &q, &moved), 0);
		assert_true(moved);
		struct hl_market_view v;
		char buf[HL_MARKET_LINK_MAX];
		hl_market_view_of(m, item, &v, buf);
		assert_int_equal(v.best_ask, 100 - p);
		assert_true(hl_str_eq(v.ask_link, q.link) || (failed && v.ask_link.len == 0));
		while (again(hl_market_set(m, true, item, p, &q, NULL)))
			assert_int_equal(hl_market_best_bid(m, item), p ? 100 : 0);
		assert_int_equal(hl_market_quotes(m), 2 * n + 2);
	}
}

static int on_fired(void *data, const struct hl_rule_fired *f)
{
	(void)f;
	++*(size_t *)data;
	return 0;
}

static void fill_rules(struct hl_rules *r, const struct hl_market *m)
{
	size_t n_fired = 0;
	for (uint64_t n = 1; n <= RULES; n++) {
		struct hl_rule v = { .number = n, .item = (uint32_t)(n % 7 ? n % ITEMS : 0), .kind = n % 2,
			.currency = (uint16_t)(n % 3), .threshold = (int64_t)n };
		while (again(hl_rules_add(r, &v))) {
			assert_int_equal(hl_rules_count(r), n - 1);
			assert_false(hl_rules_remove(r, n));
		}
		assert_int_equal(hl_rules_count(r), n);
	}
	for (uint64_t n = 1; n <= RULES; n += 2) {
		assert_true(hl_rules_remove(r, n));
		assert_false(hl_rules_get(r, n, &(struct hl_rule){ 0 }));
	}
	for (uint32_t i = 0; i < ITEMS; i++)
		assert_int_equal(hl_rules_judge(r, m, i, on_fired, &n_fired), 0);
	assert_int_equal(n_fired, 0); /* no rates */
	assert_int_equal(hl_rules_count(r), RULES / 2);
}

static void each_fails_once(void **state)
{
	(void)state;
	bool ran = false;
	unsigned tried = 0, denied = 0;
	for (unsigned n = 1; !ran; n += n < 200 ? 1 : 1 + n / 16) {
		struct hl_market *m;
		struct hl_rules *r;
		tried++;
		arm(n);
		while (again(hl_market_create(&m)))
			;
		while (again(hl_rules_create(&r)))
			;
		fill_market(m);
		fill_rules(r, m);
		ran = !failed;
		denied += failed;
		until = 0;
		hl_rules_destroy(r);
		hl_market_destroy(m);
	}
	print_message("%u runs, %u with an allocation denied\n", tried, denied);
	assert_true(denied > 200);
}

/* The shrinking of a heap needs no memory to succeed. */
static void denied_while_shrinking(void **state)
{
	(void)state;
	struct hl_rules *r;
	assert_int_equal(hl_rules_create(&r), 0);
	for (uint64_t n = 1; n <= 1000; n++) {
		struct hl_rule v = { .number = n, .kind = HL_ALERT_PRICE_BELOW, .currency = 1, .threshold = (int64_t)n };
		assert_int_equal(hl_rules_add(r, &v), 0);
	}
	for (uint64_t n = 1; n <= 1000; n++) {
		arm(1);
		assert_true(hl_rules_remove(r, n));
	}
	until = 0;
	assert_int_equal(hl_rules_count(r), 0);
	hl_rules_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_fails_once), cmocka_unit_test(denied_while_shrinking) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
