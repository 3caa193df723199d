/* Market records and rates: what is taken, what is refused with which pointer, and that no rate goes through a float. */
#include "api/market_json.h"

#include "base/str.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct fixture {
	struct hl_arena arena;
	struct hl_err err;
	struct hl_reader r;
};

static int setup(void **state)
{
	static struct fixture f;
	memset(&f, 0, sizeof(f));
	hl_arena_init(&f.arena, 0);
	f.r = (struct hl_reader){ .arena = &f.arena, .err = &f.err };
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	hl_arena_fini(&f->arena);
	return 0;
}

static bool is(struct hl_str s, const char *want)
{
	return hl_str_eq(s, hl_str_from(want));
}

static void test_ask(void **state)
{
	struct fixture *f = *state;
	struct hl_market_quote q;
	char line[] = "{\"provider\":\"buff163\",\"item_id\":156,\"market_hash_name\":\"AK-47 | Redline\",\"phase\":null,"
			"\"lowest_ask\":1950,\"lowest_ask_decimal\":\"19.50\",\"quantity\":12,\"link\":\"https:\\/\\/x.example\\/\\u00e9\","
			"\"url\":{\"any\":[1,2]},\"timestamp\":\"2026-04-12T18:20:11Z\",\"last_updated\":5}";
	assert_int_equal(hl_market_read_quote(&f->r, false, hl_str_from(line), &q), HL_OK);
	memset(line, 'x', sizeof(line) - 1); /* nothing points into the line */
	assert_int_equal(q.item_id, 156);
	assert_true(is(q.provider, "buff163"));
	assert_int_equal(q.cents, 1950);
	assert_int_equal(q.count, 12);
	assert_true(is(q.link, "https://x.example/\xc3\xa9"));
	assert_true(q.at_ms == 1776018011000);
}

static void test_bid_and_defaults(void **state)
{
	struct fixture *f = *state;
	struct hl_market_quote q;
	assert_int_equal(hl_market_read_quote(&f->r, true, HL_STR("{\"item\\u005fid\":1,\"provider\":\"p\",\"highest_bid\":5,"
			"\"num_bids\":0,\"lowest_ask\":\"no business here\",\"link\":7}"), &q), HL_OK);
	assert_int_equal(q.item_id, 1);
	assert_int_equal(q.cents, 5);
	assert_int_equal(q.count, 0);
	assert_int_equal(q.link.len, 0);
	assert_int_equal(hl_market_read_quote(&f->r, false, HL_STR("{\"item_id\":9007199254740991,\"provider\":\"p\","
			"\"lowest_ask\":null,\"link\":null,\"timestamp\":null}"), &q), HL_OK);
	assert_true(q.item_id == HL_MARKET_ITEM_ID_MAX - 1);
	assert_int_equal(q.cents, 0);
	assert_int_equal(q.count, 1);
	assert_true(q.at_ms == 0);
}

static void test_bad_lines(void **state)
{
	static const struct { const char *line; int rc; const char *field; } cases[] = {
		{ "", HL_ESYNTAX, "" },
		{ "[]", HL_EINVAL, "" },
		{ "7", HL_EINVAL, "" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":1", HL_ESYNTAX, "" },
		{ "{\"item_id\":\"x\",\"provider\":\"p\",\"lowest_ask\":1", HL_ESYNTAX, "" }, /* no JSON: nothing else matters */
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":1}}", HL_ESYNTAX, "" },
		{ "{\"provider\":\"p\",\"lowest_ask\":1}", HL_EINVAL, "/item_id" },
		{ "{\"item_id\":1,\"lowest_ask\":1}", HL_EINVAL, "/provider" },
		{ "{\"item_id\":1,\"provider\":\"p\"}", HL_EINVAL, "/lowest_ask" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"highest_bid\":1}", HL_EINVAL, "/lowest_ask" },
		{ "{\"item_id\":0,\"provider\":\"p\",\"lowest_ask\":1}", HL_EINVAL, "/item_id" },
		{ "{\"item_id\":-1,\"provider\":\"p\",\"lowest_ask\":1}", HL_EINVAL, "/item_id" },
		{ "{\"item_id\":9007199254740992,\"provider\":\"p\",\"lowest_ask\":1}", HL_EINVAL, "/item_id" },
		{ "{\"item_id\":1.0,\"provider\":\"p\",\"lowest_ask\":1}", HL_EINVAL, "/item_id" },
		{ "{\"item_id\":\"1\",\"provider\":\"p\",\"lowest_ask\":1}", HL_EINVAL, "/item_id" },
		{ "{\"item_id\":1,\"provider\":null,\"lowest_ask\":1}", HL_EINVAL, "/provider" },
		{ "{\"item_id\":1,\"provider\":5,\"lowest_ask\":1}", HL_EINVAL, "/provider" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":19.5}", HL_EINVAL, "/lowest_ask" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":\"19\"}", HL_EINVAL, "/lowest_ask" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":99999999999999999999}", HL_EINVAL, "/lowest_ask" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":1,\"quantity\":-1}", HL_EINVAL, "/quantity" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":1,\"quantity\":4294967296}", HL_EINVAL, "/quantity" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":1,\"quantity\":null}", HL_EINVAL, "/quantity" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":1,\"link\":1}", HL_EINVAL, "/link" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":1,\"link\":\"\\ud800\"}", HL_ESYNTAX, "/link" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":1,\"timestamp\":\"yesterday\"}", HL_EINVAL, "/timestamp" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":1,\"timestamp\":17}", HL_EINVAL, "/timestamp" },
		{ "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":1,\"provider\":\"q\"}", HL_EDUPLICATE, "/provider" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hl_market_quote q;
		f->err = (struct hl_err){ .code = 0 };
		int rc = hl_market_read_quote(&f->r, false, hl_str_from(cases[i].line), &q);
		if (rc != cases[i].rc || strcmp(f->err.field, cases[i].field) || f->err.code != rc || !f->err.text[0])
			fail_msg("%s: %d %s %s", cases[i].line, rc, f->err.field, f->err.text);
	}
}

static void test_item(void **state)
{
	struct fixture *f = *state;
	struct hl_market_item v;
	char long_name[400];
	assert_int_equal(hl_market_read_item(&f->r, HL_STR("{\"item_id\":7,\"market_hash_name\":\"\\u2605 Knife\",\"phase\":\"P2\","
			"\"rarity\":{\"x\":1}}"), &v), HL_OK);
	assert_int_equal(v.item_id, 7);
	assert_true(is(v.name, "\xe2\x98\x85 Knife"));
	assert_true(is(v.phase, "P2"));
	for (int n = 255; n <= 256; n++) {
		snprintf(long_name, sizeof(long_name), "{\"item_id\":7,\"market_hash_name\":\"%0*d\"}", n, 0);
		assert_int_equal(hl_market_read_item(&f->r, hl_str_from(long_name), &v), n == 255 ? HL_OK : HL_EINVAL);
	}
	assert_string_equal(f->err.field, "/market_hash_name");
	for (int n = 64; n <= 65; n++) {
		snprintf(long_name, sizeof(long_name), "{\"item_id\":7,\"market_hash_name\":\"x\",\"phase\":\"%0*d\"}", n, 0);
		assert_int_equal(hl_market_read_item(&f->r, hl_str_from(long_name), &v), n == 64 ? HL_OK : HL_EINVAL);
	}
	assert_string_equal(f->err.field, "/phase");
	assert_int_equal(hl_market_read_item(&f->r, HL_STR("{\"item_id\":7,\"market_hash_name\":\"\"}"), &v), HL_EINVAL);
}

static void test_rates_are_exact(void **state)
{
	static const struct { const char *text; int64_t want; } good[] = { /* times 1e8 */
		{ "1", 100000000 }, { "0.92", 92000000 }, { "0.1", 10000000 }, { "0.3", 30000000 }, { "149.515", 14951500000 },
		{ "0.00000001", 1 }, { "1e-8", 1 }, { "9.2e-1", 92000000 }, { "920000e-6", 92000000 }, { "9.2E+1", 9200000000 },
		{ "0.92000000000000000000000000000000", 92000000 }, { "1.10000000", 110000000 }, { "0", 0 }, { "-0.5", -50000000 },
		{ "0e999999999999999999", 0 }, { "16384.12345678", 1638412345678 }, { "92233720368.54775807", INT64_MAX },
		{ "0.12345678e0", 12345678 }, { "10000000000000000000000e-20", 10000000000 },
	};
	static const char *const bad[] = {
		"0.000000001", "0.123456789", "1e-9", "92233720368.54775808", "1e11", "1e400", "1e-400", "1e99999999999999999999",
		"123456789012345678901234567890", "0.30000000000000004",
	};
	struct fixture *f = *state;
	int64_t v;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (hl_rate_parse(hl_str_from(good[i].text), &v) || v != good[i].want)
			fail_msg("%s", good[i].text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (hl_rate_parse(hl_str_from(bad[i]), &v) != HL_EINVAL)
			fail_msg("%s was taken as %lld", bad[i], (long long)v);
	/* every rate comes back as it was written */
	for (int64_t rate = 1; rate < INT64_MAX / 11; rate = rate * 11 + 7) {
		struct hl_buf out = { .data = NULL };
		struct hl_jsonw w;
		hl_jsonw_init(&w, &out);
		hl_rate_write(&w, rate);
		assert_int_equal(hl_rate_parse(hl_buf_all(&out), &v), HL_OK);
		assert_true(v == rate);
		hl_buf_fini(&out);
	}
	(void)f;
}

static void test_rates(void **state)
{
	struct fixture *f = *state;
	const struct hl_rate *v;
	size_t n;
	hl_ms_t at;
	assert_int_equal(hl_market_read_rates(&f->r, HL_STR("{\"timestamp\":\"2026-04-12T18:20:11Z\",\"rates\":{\"EUR\":0.92,\"USD\":1}}"),
			&v, &n, &at), HL_OK);
	assert_int_equal(n, 2);
	assert_string_equal(v[0].currency, "EUR");
	assert_true(v[0].rate == 92000000 && at == 1776018011000);
	assert_int_equal(hl_market_read_rates(&f->r, HL_STR("{\"rates\":{}}"), &v, &n, &at), HL_OK);
	assert_true(n == 0 && at == 0);
	static const struct { const char *text; const char *field; } bad[] = {
		{ "{}", "/rates" }, { "{\"rates\":[]}", "/rates" }, { "{\"rates\":{\"EURO\":1}}", "/rates/EURO" },
		{ "{\"rates\":{\"EUR\":\"1\"}}", "/rates/EUR" }, { "{\"rates\":{\"EUR\":0.123456789}}", "/rates/EUR" },
		{ "{\"rates\":{},\"base\":\"EUR\"}", "/base" }, { "{\"rates\":{},\"timestamp\":\"x\"}", "/timestamp" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(hl_market_read_rates(&f->r, hl_str_from(bad[i].text), &v, &n, &at), HL_EINVAL);
		assert_string_equal(f->err.field, bad[i].field);
	}
	struct hl_buf many = { .data = NULL };
	hl_buf_cstr(&many, "{\"rates\":{");
	for (int i = 0; i <= HL_MARKET_CURRENCIES_MAX; i++)
		hl_buf_fmt(&many, "%s\"%c%c%c\":1", i ? "," : "", 'A' + i / 26 / 26, 'A' + i / 26 % 26, 'A' + i % 26);
	hl_buf_cstr(&many, "}}");
	assert_int_equal(hl_market_read_rates(&f->r, hl_buf_all(&many), &v, &n, &at), HL_EINVAL);
	assert_string_equal(f->err.field, "/rates");
	hl_buf_fini(&many);
}

static void test_pointers(void **state)
{
	struct fixture *f = *state;
	static const struct { bool bid; const char *from, *to; } cases[] = {
		{ false, "/price", "/lowest_ask" }, { true, "/price", "/highest_bid" }, { true, "/quantity", "/num_bids" },
		{ false, "/quantity", "/quantity" }, { false, "/link", "/link" }, { false, "", "" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(f->err.field, sizeof(f->err.field), "%s", cases[i].from);
		hl_market_pointer(cases[i].bid, &f->err);
		assert_string_equal(f->err.field, cases[i].to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_ask), T(test_bid_and_defaults), T(test_bad_lines), T(test_item), T(test_rates_are_exact), T(test_rates),
		T(test_pointers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
