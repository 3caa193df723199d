/* Log lines: form, levels, cutting, quoting, the ring. */
#include "base_test.h"
#include "base/log.h"
#include <hookline/dispatcher.h>

#include <stdio.h>

static char last[HL_LOG_LINE_MAX];
static int last_level = -1, calls;

static void sink(void *data, int level, const char *line)
{
	assert_ptr_equal(data, &calls);
	assert_true(strlen(line) < sizeof last);
	strcpy(last, line);
	last_level = level;
	calls++;
}

static const struct hl_log info = { HL_LOG_INFO, sink, &calls };

static void form(void **state)
{
	(void)state;
	hl_log(&info, HL_LOG_WARN, "queue.parked", "webhook=%s failures=%u", "w1", 5u);
	assert_string_equal(last, "level=warn ev=queue.parked webhook=w1 failures=5");
	assert_int_equal(last_level, HL_LOG_WARN);
	hl_log(&info, HL_LOG_ERROR, "a.b", "%s", "");
	assert_string_equal(last, "level=error ev=a.b ");
	hl_log(&info, HL_LOG_INFO, "x", "v=%s", "a\nlevel=error\t\x7f");
	assert_string_equal(last, "level=info ev=x v=a?level=error??");
}

static void levels(void **state)
{
	(void)state;
	int before = calls;
	struct hl_log nowhere = { HL_LOG_DEBUG, NULL, NULL };
	hl_log(&info, HL_LOG_DEBUG, "x", "y");
	hl_log(NULL, HL_LOG_ERROR, "x", "y");
	hl_log(&nowhere, HL_LOG_ERROR, "x", "y");
	assert_int_equal(calls, before);
	struct hl_log debug = { HL_LOG_DEBUG, sink, &calls };
	hl_log(&debug, HL_LOG_DEBUG, "x", "y");
	assert_string_equal(last, "level=debug ev=x y");
}

static void cutting(void **state)
{
	(void)state;
	char big[4000];
	for (size_t shift = 0; shift < 4; shift++) {
		memset(big, 'a', shift);
		for (size_t i = shift; i + 4 < sizeof big; i += 4)
			memcpy(big + i, "\xF0\x9F\x98\x80", 5);
		hl_log(&info, HL_LOG_INFO, "big", "v=%s", big);
		size_t head = strlen("level=info ev=big v=") + shift;
		assert_true(strlen(last) > HL_LOG_LINE_MAX - 10);
		assert_int_equal((strlen(last) - head) % 4, 0);
	}
	memset(big, 'e', sizeof big);
	big[sizeof big - 1] = '\0';
	hl_log(&info, HL_LOG_INFO, big, "v=%d", 1);
	assert_int_equal(strlen(last), HL_LOG_LINE_MAX - 1);
}

static void quoting(void **state)
{
	(void)state;
	char out[64];
	assert_string_equal(hl_log_quote(HL_STR("plain/1.2:3"), out, sizeof out), "plain/1.2:3");
	assert_string_equal(hl_log_quote(HL_STR(""), out, sizeof out), "\"\"");
	assert_string_equal(hl_log_quote(HL_STR_NONE, out, sizeof out), "\"\"");
	assert_string_equal(hl_log_quote(HL_STR("a b"), out, sizeof out), "\"a b\"");
	assert_string_equal(hl_log_quote(HL_STR("a=b"), out, sizeof out), "\"a=b\"");
	assert_string_equal(hl_log_quote(HL_STR("\"\\\n\0\xff"), out, sizeof out), "\"\\\"\\\\\\x0a\\x00\\xff\"");
	assert_string_equal(hl_log_quote(HL_STR("abcdef"), out, 5), "\"ab\"");
	assert_string_equal(hl_log_quote(HL_STR("a\nb"), out, 7), "\"a\"");
	assert_string_equal(hl_log_quote(HL_STR("a\nb"), out, 8), "\"a\\x0a\"");
	assert_string_equal(hl_log_quote(HL_STR("abc"), out, 2), "");
	assert_string_equal(hl_log_quote(HL_STR("abc"), out, 0), "");
	for (size_t cap = 1; cap < 40; cap++) {
		memset(out, '#', sizeof out);
		hl_log_quote(HL_STR("tab\there \"quoted\" \x01\x02"), out, cap);
		assert_true(strlen(out) < cap);
		assert_int_equal(out[cap], '#');
	}
}

static char dumped[80][HL_LOG_LINE_MAX];
static size_t n_dumped;

static void collect(const char *line)
{
	assert_true(n_dumped < 80);
	strcpy(dumped[n_dumped++], line);
}

static void ring_keeps_the_last(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++)
		hl_log(&info, HL_LOG_INFO, "n", "i=%d", i);
	hl_log(&info, HL_LOG_DEBUG, "n", "not enabled");
	n_dumped = 0;
	hl_log_ring_dump(collect);
	assert_int_equal(n_dumped, 64);
	for (int i = 0; i < 64; i++) {
		char want[64];
		snprintf(want, sizeof want, "level=info ev=n i=%d", 200 - 64 + i);
		assert_string_equal(dumped[i], want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(form),
		cmocka_unit_test(levels),
		cmocka_unit_test(cutting),
		cmocka_unit_test(quoting),
		cmocka_unit_test(ring_keeps_the_last),
	};
	return RUN(tests);
}
