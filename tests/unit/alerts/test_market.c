/* The market: items, providers, best prices as they come and go, links, rates, search. */
#include "alerts/market.h"
#include "base/defs.h"
#include "base/str.h"
#include <hookline/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct hl_market *market;

static int setup(void **state)
{
	(void)state;
	return hl_market_create(&market);
}

static int teardown(void **state)
{
	(void)state;
	hl_market_destroy(market);
	return 0;
}

static uint32_t item(uint64_t id, const char *name, const char *phase)
{
	struct hl_market_item v = { id, hl_str_from(name), hl_str_from(phase) };
	uint32_t i = 0;
	struct hl_err err;
	assert_int_equal(hl_market_check_item(&v, &err), 0);
	assert_int_equal(hl_market_put_item(market, &v, &i), 0);
	return i;
}

static bool set(bool bids, uint32_t i, const char *provider, int64_t cents, uint32_t count, const char *link)
{
	int p = hl_market_provider_put(market, hl_str_from(provider));
	struct hl_market_quote q = { .cents = cents, .count = count, .link = hl_str_from(link), .at_ms = 1700000000123 };
	bool moved;
	assert_true(p >= 0);
	assert_int_equal(hl_market_set(market, bids, i, (uint32_t)p, &q, &moved), 0);
	return moved;
}

static void check_view(uint32_t i, int64_t ask, const char *ask_provider, const char *link, int64_t bid, const char *bid_provider)
{
	struct hl_market_view v;
	char buf[HL_MARKET_LINK_MAX];
	hl_market_view_of(market, i, &v, buf);
	assert_int_equal(v.best_ask, ask);
	assert_int_equal(v.best_bid, bid);
	assert_int_equal(hl_market_best_ask(market, i), ask);
	assert_int_equal(hl_market_best_bid(market, i), bid);
	assert_true(hl_str_eq(v.ask_provider, hl_str_from(ask_provider)));
	assert_true(hl_str_eq(v.ask_link, hl_str_from(link)));
	assert_true(hl_str_eq(v.bid_provider, hl_str_from(bid_provider)));
}

static void items(void **state)
{
	(void)state;
	struct hl_market_item v;
	for (uint64_t id = 1; id <= 1000; id++)
		assert_int_equal(item(id * 7919, "name", ""), id - 1);
	assert_int_equal(hl_market_count(market), 1000);
	assert_int_equal(hl_market_find(market, 7919 * 500), 499);
	assert_int_equal(hl_market_find(market, 7919 * 500 + 1), HL_MARKET_NO_ITEM);
	assert_int_equal(item(7919 * 500, "★ Karambit | Doppler", "Ruby"), 499);
	assert_int_equal(hl_market_count(market), 1000);
	hl_market_item_of(market, 499, &v);
	assert_int_equal(v.item_id, 7919 * 500);
	assert_true(hl_str_eq(v.name, HL_STR("★ Karambit | Doppler")) && hl_str_eq(v.phase, HL_STR("Ruby")));
	hl_market_item_of(market, 498, &v);
	assert_true(hl_str_eq(v.name, HL_STR("name")) && v.phase.len == 0);
}

static void checks_of_items(void **state)
{
	(void)state;
	static char long_name[HL_MARKET_NAME_MAX + 2];
	memset(long_name, 'n', sizeof long_name);
	struct { struct hl_market_item v; const char *field; } t[] = {
		{ { 0, HL_STR("n"), HL_STR("") }, "/item_id" },
		{ { HL_MARKET_ITEM_ID_MAX, HL_STR("n"), HL_STR("") }, "/item_id" },
		{ { 1, HL_STR(""), HL_STR("") }, "/name" },
		{ { 1, { long_name, HL_MARKET_NAME_MAX + 1 }, HL_STR("") }, "/name" },
		{ { 1, HL_STR("\xff"), HL_STR("") }, "/name" },
		{ { 1, HL_STR("n"), { long_name, HL_MARKET_PHASE_MAX + 1 } }, "/phase" },
		{ { 1, HL_STR("n"), HL_STR("\xc3") }, "/phase" },
		{ { HL_MARKET_ITEM_ID_MAX - 1, { long_name, HL_MARKET_NAME_MAX }, { long_name, HL_MARKET_PHASE_MAX } }, NULL },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(t); i++) {
		struct hl_err err;
		int rc = hl_market_check_item(&t[i].v, &err);
		assert_int_equal(rc, t[i].field ? HL_EINVAL : 0);
		if (rc)
			assert_string_equal(err.field, t[i].field);
		else
			assert_int_equal(hl_market_put_item(market, &t[i].v, NULL), 0);
	}
}

static void checks_of_quotes(void **state)
{
	(void)state;
	static char link[HL_MARKET_LINK_MAX + 1];
	memset(link, 'l', sizeof link);
	item(5, "n", "");
	struct hl_market_quote good = { .item_id = 5, .provider = HL_STR("buff163"), .cents = HL_MARKET_CENTS_MAX, .count = UINT32_MAX,
		.link = { link, HL_MARKET_LINK_MAX }, .at_ms = 1 };
	struct hl_err err;
	assert_int_equal(hl_market_check_quote(market, &good, &err), 0);
	good.cents = INT64_MIN;
	assert_int_equal(hl_market_check_quote(market, &good, &err), 0);
#define BAD(code, pointer, ...) do { struct hl_market_quote q = good; __VA_ARGS__; \
	assert_int_equal(hl_market_check_quote(market, &q, &err), code); assert_string_equal(err.field, pointer); } while (0)
	BAD(HL_ENOTFOUND, "/item_id", q.item_id = 6);
	BAD(HL_EINVAL, "/item_id", q.item_id = 0);
	BAD(HL_EINVAL, "/item_id", q.item_id = HL_MARKET_ITEM_ID_MAX);
	BAD(HL_EINVAL, "/provider", q.provider = HL_STR(""));
	BAD(HL_EINVAL, "/provider", q.provider = HL_STR("a b"));
	BAD(HL_EINVAL, "/provider", q.provider = ((struct hl_str){ link, HL_MARKET_PROVIDER_MAX + 1 }));
	BAD(HL_EINVAL, "/price", q.cents = HL_MARKET_CENTS_MAX + 1);
	BAD(HL_EINVAL, "/link", q.link.len++);
	BAD(HL_EINVAL, "/link", q.link = HL_STR("\xf0\x28"));
	BAD(HL_EINVAL, "/timestamp", q.at_ms = -1);
	BAD(HL_EINVAL, "/timestamp", q.at_ms = INT64_MAX);
#undef BAD
	good.provider = hl_str_make(link, HL_MARKET_PROVIDER_MAX);
	assert_int_equal(hl_market_check_quote(market, &good, &err), 0);
}

static void providers(void **state)
{
	(void)state;
	item(5, "n", "");
	char name[16];
	struct hl_err err;
	struct hl_market_quote q = { .item_id = 5, .provider = HL_STR("one-more"), .cents = 1, .count = 1 };
	assert_int_equal(hl_market_provider_put(market, HL_STR("a/b")), HL_EINVAL);
	assert_int_equal(hl_market_provider_find(market, HL_STR("p1")), HL_ENOTFOUND);
	for (int i = 0; i < HL_MARKET_PROVIDERS_MAX; i++) {
		assert_int_equal(hl_market_check_quote(market, &q, &err), 0);
		snprintf(name, sizeof name, "p%d", i);
		assert_int_equal(hl_market_provider_put(market, hl_str_from(name)), i);
		assert_int_equal(hl_market_provider_put(market, hl_str_from(name)), i);
	}
	assert_int_equal(hl_market_provider_put(market, HL_STR("one-more")), HL_ELIMIT);
	assert_int_equal(hl_market_check_quote(market, &q, &err), HL_ELIMIT);
	assert_string_equal(err.field, "/provider");
	assert_int_equal(hl_market_provider_find(market, HL_STR("p255")), 255);
	assert_true(hl_str_eq(hl_market_provider_name(market, 255), HL_STR("p255")));
	/* every one of them for one item */
	for (int i = 0; i < HL_MARKET_PROVIDERS_MAX; i++) {
		snprintf(name, sizeof name, "p%d", i);
		set(false, 0, name, 1000 - i, 1, "");
		set(true, 0, name, 1 + i, 1, "");
	}
	check_view(0, 745, "p255", "", 256, "p255");
	assert_int_equal(hl_market_quotes(market), 2 * HL_MARKET_PROVIDERS_MAX);
}

static void best_prices(void **state)
{
	(void)state;
	uint32_t a = item(1, "a", ""), b = item(2, "b", "");
	check_view(a, 0, "", "", 0, "");
	assert_true(set(false, a, "x", 2000, 3, "http://x/1"));
	check_view(a, 2000, "x", "http://x/1", 0, "");
	assert_false(set(false, a, "y", 2000, 1, "http://y/1")); /* the same: the first known stays */
	check_view(a, 2000, "x", "http://x/1", 0, "");
	assert_true(set(false, a, "y", 1999, 1, "http://y/1"));
	assert_false(set(false, a, "x", 1999, 1, "http://x/2")); /* the same again */
	check_view(a, 1999, "x", "http://x/2", 0, "");
	assert_false(set(false, a, "x", 5000, 1, "http://x/2"));
	check_view(a, 1999, "y", "http://y/1", 0, "");
	assert_true(set(false, a, "y", 6000, 1, "http://y/1")); /* the best got worse */
	check_view(a, 5000, "x", "http://x/2", 0, "");
	assert_true(set(false, a, "x", 5000, 0, "http://x/2")); /* no pieces */
	check_view(a, 6000, "y", "http://y/1", 0, "");
	assert_false(set(false, a, "x", 7000, 1, ""));
	assert_true(set(false, a, "y", 0, 1, "")); /* no price */
	check_view(a, 7000, "x", "", 0, "");
	assert_true(set(false, a, "x", -1, 1, "http://x/3"));
	check_view(a, 0, "", "", 0, "");
	assert_int_equal(hl_market_quotes(market), 0);

	assert_true(set(true, b, "y", 100, 1, ""));
	assert_true(set(true, b, "z", 101, 1, ""));
	assert_false(set(true, b, "x", 101, 1, ""));
	check_view(b, 0, "", "", 101, "x");
	assert_true(set(true, b, "x", HL_MARKET_CENTS_MAX, 1, ""));
	assert_true(set(true, b, "x", 1, 1, ""));
	check_view(b, 0, "", "", 101, "z");
	assert_true(set(true, b, "z", 0, 0, ""));
	check_view(b, 0, "", "", 100, "y");
	check_view(a, 0, "", "", 0, "");
	assert_int_equal(hl_market_quotes(market), 2);
}

/* Loading ahead looks at nothing that is not there, and finds what is. */
static void touch(void **state)
{
	(void)state;
	uint32_t a = item(1, "a", "");
	for (int p = 0; p < 4; p++) {
		for (enum hl_market_depth d = HL_MARKET_TOUCH_ITEM; d <= HL_MARKET_TOUCH_LINK; d++) {
			hl_market_touch(market, false, a, (uint32_t)p, d);
			hl_market_touch(market, true, a, 255, d);
		}
		set(false, a, (const char *[]){ "x", "y", "z", "w" }[p], 100 - p, 1, p % 2 ? "http://x" : "");
		check_view(a, 100 - p, (const char *[]){ "x", "y", "z", "w" }[p], p % 2 ? "http://x" : "", 0, "");
	}
}

/* Providers come to an item in any order and are found again. */
static void any_order(void **state)
{
	(void)state;
	char name[16];
	uint32_t a = item(1, "a", "");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "p%d", i);
		assert_int_equal(hl_market_provider_put(market, hl_str_from(name)), i);
	}
	for (int lap = 0; lap < 3; lap++) {
		for (int i = 0; i < 100; i++) {
			int p = i * 37 % 100;
			if (lap == 0 && p % 3 == 0)
				continue; /* comes later */
			snprintf(name, sizeof name, "p%d", p);
			set(false, a, name, 1000 + p + lap, 1, name);
		}
	}
	size_t pos = 0;
	char buf[HL_MARKET_LINK_MAX];
	struct hl_market_quote q;
	for (int p = 0; p < 100; p++) {
		assert_true(hl_market_next(market, false, a, &pos, &q, buf));
		snprintf(name, sizeof name, "p%d", p);
		assert_true(hl_str_eq(q.provider, hl_str_from(name)) && hl_str_eq(q.link, q.provider) && q.cents == 1002 + p);
	}
	assert_false(hl_market_next(market, false, a, &pos, &q, buf));
	check_view(a, 1002, "p0", "p0", 0, "");
}

static void walk(void **state)
{
	(void)state;
	uint32_t a = item(77, "a", "");
	set(false, a, "x", HL_MARKET_CENTS_MAX, UINT32_MAX, "http://x/item?id=77");
	set(false, a, "y", 5, 0, "http://y");
	set(false, a, "z", 5, 2, "");
	set(true, a, "z", 4, 9, "");
	size_t pos = 0;
	struct hl_market_quote q;
	char buf[HL_MARKET_LINK_MAX];
	assert_true(hl_market_next(market, false, a, &pos, &q, buf));
	assert_true(hl_str_eq(q.provider, HL_STR("x")) && hl_str_eq(q.link, HL_STR("http://x/item?id=77")));
	assert_int_equal(q.cents, HL_MARKET_CENTS_MAX);
	assert_int_equal(q.count, UINT32_MAX);
	assert_int_equal(q.item_id, 77);
	assert_int_equal(q.at_ms, 1700000000123);
	assert_true(hl_market_next(market, false, a, &pos, &q, buf));
	assert_true(hl_str_eq(q.provider, HL_STR("z")) && q.cents == 5 && q.count == 2 && q.link.len == 0);
	assert_false(hl_market_next(market, false, a, &pos, &q, buf));
	pos = 0;
	assert_true(hl_market_next(market, true, a, &pos, &q, buf));
	assert_true(hl_str_eq(q.provider, HL_STR("z")) && q.cents == 4 && q.count == 9);
	assert_false(hl_market_next(market, true, a, &pos, &q, buf));
}

/* Any link comes back as it was, whatever it shares with the provider's first, and the ends alone are kept. */
static void links(void **state)
{
	(void)state;
	static char longest[HL_MARKET_LINK_MAX + 1];
	memset(longest, 'a', HL_MARKET_LINK_MAX);
	const char *t[] = { "https://market.example/listing/730/AK-47", "https://market.example/listing/730/M4A1-S", "https://", "h", "",
		"https://market.example/listing/730/AK-47", "https://market.example/listing/730/AK-47/more", longest,
		"https://market.example/listing/730/AK-4", "x" };
	uint32_t a = item(1, "a", "");
	for (size_t i = 0; i < HL_ARRAY_LEN(t); i++) {
		set(false, a, "x", 100 + (int64_t)i, 1, t[i]);
		check_view(a, 100 + (int64_t)i, "x", t[i], 0, "");
	}
	for (uint64_t i = 2; i < 2000; i++)
		item(i, "b", "");
	size_t before = hl_market_memory_bytes(market);
	for (uint32_t i = 1; i < 1999; i++) {
		char link[80];
		snprintf(link, sizeof link, "https://market.example/listing/730/%u", i);
		set(false, i, "x", 100, 1, link);
	}
	/* two quotes' room of 24 bytes, one short link */
	assert_true(hl_market_memory_bytes(market) - before <= 1998 * (64 + 32));
	before = hl_market_memory_bytes(market);
	for (uint32_t i = 1; i < 1999; i++)
		set(false, i, "x", 0, 0, "");
	assert_true(hl_market_memory_bytes(market) == before - 1998 * 32);
}

static void rates(void **state)
{
	(void)state;
	uint16_t changed[HL_MARKET_CURRENCIES_MAX], usd = (uint16_t)hl_currency_number(HL_STR("USD")),
		eur = (uint16_t)hl_currency_number(HL_STR("EUR")), jpy = (uint16_t)hl_currency_number(HL_STR("JPY"));
	size_t n;
	struct hl_rate table[HL_MARKET_CURRENCIES_MAX];
	assert_int_equal(hl_market_rate(market, usd), HL_RATE_SCALE);
	assert_int_equal(hl_market_rate(market, eur), 0);
	assert_int_equal(hl_market_rate(market, HL_CURRENCY_NONE), 0);
	assert_int_equal(hl_market_rates(market, table), 1);
	hl_market_set_rates(market, (struct hl_rate[]){ { "EUR", 92000000 }, { "USD", HL_RATE_SCALE } }, 2, changed, &n);
	assert_int_equal(n, 1);
	assert_int_equal(changed[0], eur);
	hl_market_set_rates(market, (struct hl_rate[]){ { "EUR", 92000000 }, { "JPY", 15000000000 } }, 2, changed, &n);
	assert_int_equal(n, 1);
	assert_int_equal(changed[0], jpy);
	assert_int_equal(hl_market_rates(market, table), 3);
	hl_market_set_rates(market, (struct hl_rate[]){ { "EUR", 92000001 } }, 1, changed, &n);
	assert_int_equal(n, 1);
	assert_int_equal(hl_market_rate(market, eur), 92000001);
	assert_int_equal(hl_market_rate(market, jpy), 0);
	assert_int_equal(hl_market_rate(market, usd), HL_RATE_SCALE);
	hl_market_set_rates(market, NULL, 0, changed, &n);
	assert_int_equal(n, 0);
	assert_int_equal(hl_market_rates(market, table), 1);
	assert_string_equal(table[0].currency, "USD");
	assert_int_equal(table[0].rate, HL_RATE_SCALE);
}

static void checks_of_rates(void **state)
{
	(void)state;
	struct hl_err err;
	static struct hl_rate v[HL_MARKET_CURRENCIES_MAX + 1];
	uint16_t changed[HL_MARKET_CURRENCIES_MAX];
	size_t n;
	struct { struct hl_rate rate; int code; const char *field; } t[] = {
		{ { "EUR", 1 }, 0, "" }, { { "EUR", 0 }, HL_EINVAL, "/rates/EUR" }, { { "EUR", -1 }, HL_EINVAL, "/rates/EUR" },
		{ { "eur", 1 }, HL_EINVAL, "/rates/eur" }, { { "EU", 1 }, HL_EINVAL, "/rates/EU" }, { { "", 1 }, HL_EINVAL, "/rates/" },
		{ { "E1R", 1 }, HL_EINVAL, "/rates/E1R" }, { { "USD", 1 }, HL_EINVAL, "/rates/USD" }, { { "USD", HL_RATE_SCALE }, 0, "" },
		{ { .currency = { 'E', 'U', 'R', 'O' }, .rate = 1 }, HL_EINVAL, "/rates/EURO" },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(t); i++) {
		assert_int_equal(hl_market_check_rates(&t[i].rate, 1, &err), t[i].code);
		if (t[i].code)
			assert_string_equal(err.field, t[i].field);
	}
	assert_int_equal(hl_market_check_rates((struct hl_rate[]){ { "EUR", 1 }, { "EUR", 2 } }, 2, &err), HL_EDUPLICATE);
	for (uint16_t i = 0; i < HL_ARRAY_LEN(v); i++) {
		v[i].rate = 1 + i;
		hl_currency_code(i, v[i].currency);
		assert_int_equal(hl_currency_number(hl_str_from(v[i].currency)), i);
	}
	assert_int_equal(hl_market_check_rates(v, HL_MARKET_CURRENCIES_MAX, &err), HL_ELIMIT); /* with USD one too many */
	assert_string_equal(err.field, "/rates");
	assert_int_equal(hl_market_check_rates(v, HL_MARKET_CURRENCIES_MAX - 1, &err), 0);
	hl_market_set_rates(market, v, HL_MARKET_CURRENCIES_MAX - 1, changed, &n);
	assert_int_equal(n, HL_MARKET_CURRENCIES_MAX - 1);
	v[0] = (struct hl_rate){ "USD", HL_RATE_SCALE };
	assert_int_equal(hl_market_check_rates(v, HL_MARKET_CURRENCIES_MAX, &err), 0);
	hl_market_set_rates(market, v, HL_MARKET_CURRENCIES_MAX, changed, &n);
	assert_int_equal(n, 1);
}

static bool finds(const char *name, const char *search)
{
	return hl_market_name_contains(hl_str_from(name), hl_str_from(search));
}

static void search(void **state)
{
	(void)state;
	assert_true(finds("AK-47 | Redline (Field-Tested)", "ak-47"));
	assert_true(finds("AK-47 | Redline (Field-Tested)", "REDLINE (f"));
	assert_true(finds("AK-47 | Redline (Field-Tested)", "tested)"));
	assert_true(finds("AK-47", ""));
	assert_true(finds("aab", "ab"));
	assert_false(finds("AK-47", "AK-477"));
	assert_false(finds("", "a"));
	assert_false(finds("[", "{"));
	assert_true(finds("★ StatTrak™ Karambit", "★ stattrak™ k"));
	assert_true(finds("Édition ÀÖÞ", "édition àöþ"));
	assert_false(finds("×", "÷"));
	assert_true(finds("Žižka ŁÓDŹ Ÿ", "žIŽKA łódź ÿ"));
	assert_true(finds("ΑΒΓ ПРИВЕТ Ёж", "αβγ привет ё"));
	assert_true(finds("龍王", "王"));
	assert_false(finds("龍", "\xbe\x8d")); /* half a character is none */
	uint32_t i = item(4701, "M4A4 | 龍王 (Dragon King)", "");
	assert_true(hl_market_matches(market, i, HL_STR("4701")));
	assert_true(hl_market_matches(market, i, HL_STR("dragon")));
	assert_false(hl_market_matches(market, i, HL_STR("470")));
	assert_false(hl_market_matches(market, i, HL_STR("47011")));
	assert_true(hl_market_matches(market, i, HL_STR("4")));
	assert_true(hl_market_matches(market, i, HL_STR("")));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(items), T(checks_of_items), T(checks_of_quotes), T(providers), T(best_prices), T(touch), T(any_order),
		T(walk), T(links), T(rates),
		T(checks_of_rates), T(search),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
