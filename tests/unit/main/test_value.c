/* Option values: what reads, what does not, and how numbers are written back. */
#include "main/value.h"

#include <hookline/dispatcher.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const uint64_t ANY = UINT64_MAX;

static void durations(void **state)
{
	(void)state;
	uint32_t v = 7;
	static const struct { const char *text; uint32_t ms; } good[] = {
		{ "0", 0 }, { "1ms", 1 }, { "15s", 15000 }, { "2m", 120000 }, { "48h", 172800000 }, { "30d", 2592000000u },
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(hl_value_parse(HL_VALUE_MS, good[i].text, 0, ANY, &v, NULL), HL_OK);
		assert_int_equal(v, good[i].ms);
	}
	static const char *const bad[] = { "", "15", "s", "-1s", "1.5s", "1 s", "1S", "1h30m", "+1s", "99999999999999999999s",
		"50d" /* more than 32 bits of ms */, "18446744073709551615d", "0x1s", "1sx" };
	v = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(hl_value_parse(HL_VALUE_MS, bad[i], 0, ANY, &v, NULL), HL_EINVAL);
	assert_int_equal(v, 7);
	assert_int_equal(hl_value_parse(HL_VALUE_S, "48h", 60, 604800, &v, NULL), HL_OK);
	assert_int_equal(v, 172800);
	assert_int_equal(hl_value_parse(HL_VALUE_S, "500ms", 0, ANY, &v, NULL), HL_EINVAL);
}

static void sizes(void **state)
{
	(void)state;
	uint64_t v;
	static const struct { const char *text; uint64_t bytes; } good[] = {
		{ "0", 0 }, { "17", 17 }, { "17B", 17 }, { "1K", 1024 }, { "512KiB", 524288 }, { "64MiB", 64 << 20 },
		{ "64GiB", (uint64_t)64 << 30 }, { "16TiB", (uint64_t)16 << 40 },
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(hl_value_parse(HL_VALUE_SIZE, good[i].text, 0, ANY, &v, NULL), HL_OK);
		assert_true(v == good[i].bytes);
	}
	assert_int_equal(hl_value_parse(HL_VALUE_SIZE, "16777217TiB", 0, ANY, &v, NULL), HL_EINVAL);
	assert_int_equal(hl_value_parse(HL_VALUE_SIZE, "1MB", 0, ANY, &v, NULL), HL_EINVAL);
}

static void range_is_told(void **state)
{
	(void)state;
	struct hl_err err;
	uint32_t v = 0;
	assert_int_equal(hl_value_parse(HL_VALUE_MS, "2m", 100, 60000, &v, &err), HL_EINVAL);
	assert_string_equal(err.text, "\"2m\" is not a duration such as 500ms, 15s or 2m, from 100ms to 1m");
	assert_int_equal(hl_value_parse(HL_VALUE_COUNT, "0", 1, 20, &v, &err), HL_EINVAL);
	assert_string_equal(err.text, "\"0\" is not a number, from 1 to 20");
}

static void words(void **state)
{
	(void)state;
	bool b = false;
	assert_int_equal(hl_value_parse(HL_VALUE_BOOL, "Yes", 0, 1, &b, NULL), HL_OK);
	assert_true(b);
	assert_int_equal(hl_value_parse(HL_VALUE_BOOL, "off", 0, 1, &b, NULL), HL_OK);
	assert_false(b);
	assert_int_equal(hl_value_parse(HL_VALUE_BOOL, "maybe", 0, 1, &b, NULL), HL_EINVAL);
	enum hl_log_level level;
	assert_int_equal(hl_value_parse(HL_VALUE_LEVEL, "debug", 0, 0, &level, NULL), HL_OK);
	assert_int_equal(level, HL_LOG_DEBUG);
	assert_int_equal(hl_value_parse(HL_VALUE_LEVEL, "trace", 0, 0, &level, NULL), HL_EINVAL);
	enum hl_log_format format;
	assert_int_equal(hl_value_parse(HL_VALUE_LOG_FORMAT, "json", 0, 0, &format, NULL), HL_OK);
	assert_int_equal(format, HL_LOG_FORMAT_JSON);
	enum hl_sandbox_mode sandbox;
	assert_int_equal(hl_value_parse(HL_VALUE_SANDBOX, "require", 0, 0, &sandbox, NULL), HL_OK);
	assert_int_equal(sandbox, HL_SANDBOX_REQUIRE);
	assert_int_equal(hl_value_parse(HL_VALUE_SANDBOX, "on", 0, 0, &sandbox, NULL), HL_EINVAL);
	uint32_t mode;
	assert_int_equal(hl_value_parse(HL_VALUE_MODE, "0660", 0, 0777, &mode, NULL), HL_OK);
	assert_int_equal(mode, 0660);
	assert_int_equal(hl_value_parse(HL_VALUE_MODE, "1777", 0, 0777, &mode, NULL), HL_EINVAL);
	assert_int_equal(hl_value_parse(HL_VALUE_MODE, "0680", 0, 0777, &mode, NULL), HL_EINVAL);
}

static void texts(void **state)
{
	(void)state;
	const char *s = "old";
	assert_int_equal(hl_value_parse(HL_VALUE_TEXT, "Hookline", 1, 10, &s, NULL), HL_OK);
	assert_string_equal(s, "Hookline");
	assert_int_equal(hl_value_parse(HL_VALUE_TEXT, "", 1, 10, &s, NULL), HL_EINVAL);
	assert_int_equal(hl_value_parse(HL_VALUE_TEXT, "a\r\nb", 1, 10, &s, NULL), HL_EINVAL);
	assert_int_equal(hl_value_parse(HL_VALUE_TEXT, "12345678901", 1, 10, &s, NULL), HL_EINVAL);
	assert_int_equal(hl_value_parse(HL_VALUE_PATH, "", 0, 10, &s, NULL), HL_OK);
	assert_null(s);
}

static void retries(void **state)
{
	(void)state;
	struct hl_retry r;
	assert_int_equal(hl_value_parse(HL_VALUE_RETRY, "hourly", 0, 0, &r, NULL), HL_OK);
	assert_int_equal(r.kind, HL_RETRY_HOURLY);
	assert_int_equal(hl_value_parse(HL_VALUE_RETRY, "5s, 30s,2m", 0, 0, &r, NULL), HL_OK);
	assert_int_equal(r.kind, HL_RETRY_DELAYS);
	assert_int_equal(r.n_delays, 3);
	assert_int_equal(r.delays_s[2], 120);
	static const char *const bad[] = { "", "5s,", "0s", "0", "49h", "sometimes", "5s;6s" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(hl_value_parse(HL_VALUE_RETRY, bad[i], 0, 0, &r, NULL), HL_EINVAL);
	char many[400] = "1s";
	for (int i = 0; i < HL_DELAYS_MAX; i++)
		strcat(many, ",1s");
	assert_int_equal(hl_value_parse(HL_VALUE_RETRY, many, 0, 0, &r, NULL), HL_EINVAL);
	many[strlen(many) - 3] = '\0';
	assert_int_equal(hl_value_parse(HL_VALUE_RETRY, many, 0, 0, &r, NULL), HL_OK);
	assert_int_equal(r.n_delays, HL_DELAYS_MAX);
}

static void formatting(void **state)
{
	(void)state;
	char out[32];
	static const struct { enum hl_value_kind kind; uint64_t v; const char *text; } rows[] = {
		{ HL_VALUE_MS, 0, "0" }, { HL_VALUE_MS, 90000, "90s" }, { HL_VALUE_MS, 1500, "1500ms" },
		{ HL_VALUE_S, 172800, "48h" }, { HL_VALUE_S, 2592000, "30d" }, { HL_VALUE_SIZE, (uint64_t)64 << 30, "64GiB" },
		{ HL_VALUE_SIZE, 1000, "1000B" }, { HL_VALUE_COUNT, 5, "5" }, { HL_VALUE_MODE, 0640, "0640" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		hl_value_format(rows[i].kind, rows[i].v, out, sizeof(out));
		assert_string_equal(out, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations), cmocka_unit_test(sizes), cmocka_unit_test(range_is_told), cmocka_unit_test(words),
		cmocka_unit_test(texts), cmocka_unit_test(retries), cmocka_unit_test(formatting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
