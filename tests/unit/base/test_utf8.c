/* UTF-8: every scalar, every short byte string against a table-free definition, cutting and repair. */
#include "base_test.h"
#include "base/utf8.h"

static void every_scalar(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x10FFFF; c++) {
		char out[4];
		uint32_t back = 0;
		if (c >= 0xD800 && c <= 0xDFFF)
			continue;
		size_t n = hl_utf8_put(c, out);
		if (n != (c < 0x80 ? 1u : c < 0x800 ? 2u : c < 0x10000 ? 3u : 4u))
			fail_msg("length of U+%04X", c);
		if (hl_utf8_step(out, out + n, &back) != (int)n || back != c || !hl_utf8_valid((struct hl_str){ out,
				n }))
			fail_msg("U+%04X does not come back", c);
		if (n > 1 && hl_utf8_valid((struct hl_str){ out, n - 1 }))
			fail_msg("U+%04X accepted when cut", c);
	}
	char out[4];
	assert_int_equal(hl_utf8_put(0xD800, out), 3);
	assert_memory_equal(out, "\xEF\xBF\xBD", 3);
	assert_int_equal(hl_utf8_put(0x110000, out), 3);
}

/* All strings of up to three bytes: valid exactly when they are a concatenation of what hl_utf8_put writes. */
static bool naive(const unsigned char *p, size_t n)
{
	if (n == 0)
		return true;
	if (p[0] < 0x80)
		return naive(p + 1, n - 1);
	if (n >= 2 && (p[0] & 0xE0) == 0xC0 && (p[1] & 0xC0) == 0x80) {
		unsigned v = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
		return v >= 0x80 && naive(p + 2, n - 2);
	}
	if (n >= 3 && (p[0] & 0xF0) == 0xE0 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80) {
		unsigned v = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
		return v >= 0x800 && (v < 0xD800 || v > 0xDFFF) && naive(p + 3, n - 3);
	}
	return false;
}

static void every_short_string(void **state)
{
	(void)state;
	for (uint32_t v = 0; v < 1u << 24; v += v < 1u << 16 ? 1 : 7) {
		unsigned char s[3] = { (unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16) };
		for (size_t n = 1; n <= 3; n++)
			if (hl_utf8_valid((struct hl_str){ (char *)s, n }) != naive(s, n))
				fail_msg("%02x %02x %02x, %zu bytes", s[0], s[1], s[2], n);
	}
}

static void four_bytes(void **state)
{
	(void)state;
	static const char *const good[] = { "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "\xF1\x80\x80\x80" };
	static const char *const bad[] = { "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x90\x80",
		"\xF0\x90\x80\x7F", "\xF0\x90\xC0\x80", "\xF8\x88\x80\x80\x80" };
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(hl_utf8_valid(hl_str_from(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(hl_utf8_valid(hl_str_from(bad[i])));
	assert_true(hl_utf8_valid(HL_STR_NONE));
	assert_true(hl_utf8_valid(HL_STR("a\0b")));
}

static void bad_byte_anywhere(void **state)
{
	(void)state;
	struct guard g;
	guard_open(&g, 64);
	for (size_t n = 1; n < 40; n++)
		for (size_t at = 0; at < n; at++) {
			char s[40];
			memset(s, 'a', n);
			struct hl_str text = guard_put(&g, (struct hl_str){ s, n });
			assert_true(hl_utf8_valid(text));
			s[at] = '\xC3'; /* lead byte without its continuation, at the end without anything */
			text = guard_put(&g, (struct hl_str){ s, n });
			assert_false(hl_utf8_valid(text));
		}
	guard_close(&g);
}

static void count_and_cut(void **state)
{
	(void)state;
	struct hl_str s = HL_STR("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z");
	assert_int_equal(hl_utf8_count(s), 5);
	assert_int_equal(hl_utf8_count(HL_STR_NONE), 0);
	static const size_t ends[] = { 0, 1, 3, 6, 10, 11, 11 };
	for (size_t n = 0; n < 7; n++)
		assert_int_equal(hl_utf8_cut(s, n).len, ends[n]);
	static const size_t bytes[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11 };
	for (size_t n = 0; n < 13; n++)
		assert_int_equal(hl_utf8_cut_bytes(s, n).len, bytes[n]);
	assert_int_equal(hl_utf8_cut_bytes(HL_STR_NONE, 5).len, 0);
}

static void check_repair(const char *in, size_t n_chars, const char *want)
{
	struct hl_buf b = { 0 };
	hl_utf8_repair(&b, hl_str_from(in), n_chars);
	assert_str(hl_buf_all(&b), want);
	assert_true(hl_utf8_valid(hl_buf_all(&b)));
	hl_buf_fini(&b);
}

#define FFFD "\xEF\xBF\xBD"

static void repair(void **state)
{
	(void)state;
	check_repair("", 10, "");
	check_repair("abc", 2, "ab");
	check_repair("a\xFFz", 10, "a" FFFD "z");
	check_repair("\xC3", 10, FFFD);
	check_repair("\xE2\x82", 10, FFFD);               /* one cut character, one mark */
	check_repair("\xE2\x82" "a", 10, FFFD "a");
	check_repair("\xF0\x9F\x98", 10, FFFD);
	check_repair("\xED\xA0\x80", 10, FFFD FFFD FFFD); /* a surrogate is three bad bytes (Unicode, table 3-8) */
	check_repair("\xC0\x80", 10, FFFD FFFD);
	check_repair("\xFF\xFF\xFF", 2, FFFD FFFD);
	check_repair("\xE2\x82\xAC\xC3\xA4x", 2, "\xE2\x82\xAC\xC3\xA4");
	struct rnd r = { 5 };
	for (int turn = 0; turn < 5000; turn++) {
		char s[32];
		size_t n = rnd_below(&r, sizeof s);
		struct hl_buf b = { 0 };
		for (size_t i = 0; i < n; i++)
			s[i] = (char)(rnd_below(&r, 3) ? 0x80 + rnd_below(&r, 128) : rnd_below(&r, 128));
		hl_utf8_repair(&b, (struct hl_str){ s, n }, SIZE_MAX);
		assert_true(hl_utf8_valid(hl_buf_all(&b)));
		if (hl_utf8_valid((struct hl_str){ s, n }))
			assert_true(hl_str_eq(hl_buf_all(&b), (struct hl_str){ s, n }));
		hl_buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_scalar),
		cmocka_unit_test(every_short_string),
		cmocka_unit_test(four_bytes),
		cmocka_unit_test(bad_byte_anywhere),
		cmocka_unit_test(count_and_cut),
		cmocka_unit_test(repair),
	};
	return RUN(tests);
}
