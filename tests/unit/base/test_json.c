/* hl_json_check: grammar, UTF-8, depth, bounds, messages. */
#include "base_test.h"
#include "base/json.h"
#include "json_corpus.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int check(struct hl_str text)
{
	struct hl_json v;
	struct hl_err err;
	return hl_json_check(text, 64, &v, &err);
}

static void accepts(void **state)
{
	(void)state;
	struct guard g;
	guard_open(&g, 4096);
	for (size_t i = 0; i < COUNT(json_good); i++)
		if (check(guard_put(&g, hl_str_from(json_good[i]))) != 0)
			fail_msg("refused %s", json_good[i]);
	guard_close(&g);
}

static void refuses(void **state)
{
	(void)state;
	struct guard g;
	guard_open(&g, 4096);
	for (size_t i = 0; i < COUNT(json_bad); i++)
		if (check(guard_put(&g, hl_str_from(json_bad[i]))) != HL_ESYNTAX)
			fail_msg("accepted %s", json_bad[i]);
	assert_int_equal(check(HL_STR_NONE), HL_ESYNTAX);
	assert_int_equal(check(HL_STR("\0")), HL_ESYNTAX);
	assert_int_equal(check(HL_STR("1\0")), HL_ESYNTAX);
	assert_int_equal(check(HL_STR("\"a\0b\"")), HL_ESYNTAX);
	assert_int_equal(check(HL_STR("[1\0]")), HL_ESYNTAX);
	assert_int_equal(check(HL_STR("{\"a\0\":1}")), HL_ESYNTAX);
	guard_close(&g);
}

/* No prefix of a bracketed or quoted text is a text, and none makes the reader look past its end. */
static void prefixes(void **state)
{
	(void)state;
	struct guard g;
	guard_open(&g, 4096);
	for (size_t i = 0; i < COUNT(json_good); i++) {
		struct hl_str whole = hl_str_trim(hl_str_from(json_good[i]));
		if (!strchr("[{\"", whole.ptr[0]))
			continue;
		for (size_t n = 0; n < whole.len; n++)
			assert_int_equal(check(guard_put(&g, (struct hl_str){ whole.ptr, n })), HL_ESYNTAX);
	}
	guard_close(&g);
}

/* Each corpus text stays good or bad as an element, as a member, and at every offset against eight-byte words. */
static void nested_and_shifted(void **state)
{
	(void)state;
	struct hl_buf b = { 0 };
	for (size_t i = 0; i < COUNT(json_good) + COUNT(json_bad); i++) {
		bool good = i < COUNT(json_good);
		const char *text = good ? json_good[i] : json_bad[i - COUNT(json_good)];
		/* "1,000" and the like are fine once they stand inside brackets */
		bool ambiguous = !good && (strchr(text, ',') || strchr(text, ']') || strchr(text, '}') ||
				strchr(text, '"'));
		for (int shift = 0; shift < 9; shift++) {
			hl_buf_reset(&b);
			hl_buf_fmt(&b, "%*s[1,%s]", shift, "", text);
			if (!ambiguous && strspn(text, " \n") < strlen(text) && (check(hl_buf_all(&b)) == 0) != good)
				fail_msg("element %s", text);
			hl_buf_reset(&b);
			hl_buf_fmt(&b, "{%*s\"k\":%s }", shift, "", text);
			if (!ambiguous && strcmp(text, "") != 0 && (check(hl_buf_all(&b)) == 0) != good)
				fail_msg("member %s", text);
		}
	}
	hl_buf_fini(&b);
}

/* Every byte value at every place of a string of every length up to 20: only quote, backslash, controls and lone
 * bytes of UTF-8 are refused. */
static void every_byte_in_strings(void **state)
{
	(void)state;
	char s[32];
	for (size_t n = 1; n <= 20; n++)
		for (size_t at = 0; at < n; at++)
			for (int c = 0; c < 256; c++) {
				s[0] = s[n + 1] = '"';
				memset(s + 1, 'a', n);
				s[1 + at] = (char)c;
				bool fine = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
				if ((check((struct hl_str){ s, n + 2 }) == 0) != fine)
					fail_msg("byte %d at %zu of %zu", c, at, n);
			}
}

static void depth(void **state)
{
	(void)state;
	struct hl_json v;
	struct hl_err err;
	for (unsigned n = 0; n < 100; n++)
		for (int kind = 0; kind < 3; kind++) { /* arrays, objects, both */
			struct hl_buf b = { 0 };
			for (unsigned i = 0; i < n; i++)
				hl_buf_cstr(&b, kind == 0 || (kind == 2 && i % 2) ? "[" : "{\"a\":");
			hl_buf_cstr(&b, "1");
			for (unsigned i = n; i-- > 0;)
				hl_buf_cstr(&b, kind == 0 || (kind == 2 && i % 2) ? "]" : "}");
			assert_int_equal(hl_json_check(hl_buf_all(&b), 64, &v, &err), n <= 64 ? 0 : HL_ETOOBIG);
			assert_int_equal(hl_json_check(hl_buf_all(&b), 5, &v, NULL), n <= 5 ? 0 : HL_ETOOBIG);
			assert_int_equal(hl_json_check(hl_buf_all(&b), 0, &v, NULL), n == 0 ? 0 : HL_ETOOBIG);
			assert_int_equal(hl_json_check(hl_buf_all(&b), 1000, &v, NULL), n <= 64 ? 0 : HL_ETOOBIG);
			hl_buf_fini(&b);
		}
	assert_int_equal(hl_json_check(HL_STR("[[]]"), 1, &v, &err), HL_ETOOBIG);
	assert_string_equal(err.text, "nested deeper than 1 levels at byte 1");
	assert_int_equal(hl_json_check(HL_STR("[[],[],{}]"), 2, &v, &err), 0);
	/* A million brackets are refused, not recursed into. */
	char *deep = malloc(1000000);
	memset(deep, '[', 1000000);
	assert_int_equal(hl_json_check((struct hl_str){ deep, 1000000 }, 64, &v, &err), HL_ETOOBIG);
	free(deep);
}

static void messages(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "", "a value is missing at byte 0" },
		{ "  ", "a value is missing at byte 2" },
		{ "[1,]", "a value is missing at byte 3" },
		{ "{\"a\":1,}", "a member name is missing at byte 7" },
		{ "{\"a\" 1}", "':' is missing at byte 5" },
		{ "{\"a\":1 \"b\"", "',' or '}' is missing at byte 7" },
		{ "[1 2]", "',' or ']' is missing at byte 3" },
		{ "[1", "the text ends inside an array at byte 2" },
		{ "{\"a\":1", "the text ends inside an object at byte 6" },
		{ "{} x", "something follows the value at byte 3" },
		{ "\"abc", "the text ends inside a string at byte 4" },
		{ "\"a\nb\"", "control byte in a string at byte 2" },
		{ "\"abcdefghi\xff\"", "invalid UTF-8 at byte 10" },
		{ "\"\xc3\xa4\xc3\"", "invalid UTF-8 at byte 3" },
		{ "\"\\x\"", "unknown escape at byte 1" },
		{ "\"\\u12\"", "\\u without four hex digits at byte 1" },
		{ "[01]", "a number starts with 0 at byte 1" },
		{ "1.", "a digit is missing at byte 2" },
		{ "nil", "unknown word at byte 0" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct hl_json v;
		struct hl_err err = { .field = "old" };
		assert_int_equal(hl_json_check(hl_str_from(cases[i][0]), 64, &v, &err), HL_ESYNTAX);
		assert_string_equal(err.text, cases[i][1]);
		assert_string_equal(err.field, "");
		assert_int_equal(err.code, HL_ESYNTAX);
	}
}

static void describes_the_value(void **state)
{
	(void)state;
	static const struct {
		const char *text, *raw;
		enum hl_json_type type;
	} cases[] = {
		{ " null ", "null", HL_JSON_NULL }, { "\ntrue", "true", HL_JSON_BOOL }, { "false", "false",
				HL_JSON_BOOL },
		{ " -1.5e3\t", "-1.5e3", HL_JSON_NUMBER }, { " \"a b\" ", "\"a b\"", HL_JSON_STRING },
		{ " [ 1 ] ", "[ 1 ]", HL_JSON_ARRAY }, { "\r\n{ }\r\n", "{ }", HL_JSON_OBJECT },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct hl_json v;
		assert_int_equal(hl_json_check(hl_str_from(cases[i].text), 64, &v, NULL), 0);
		assert_int_equal(v.type, cases[i].type);
		assert_str(v.raw, cases[i].raw);
	}
	assert_int_equal(hl_json_check(HL_STR("[]"), 64, NULL, NULL), 0);
}

/* Random bytes from an alphabet of trouble: whatever the verdict, no read past the end. */
static void noise(void **state)
{
	(void)state;
	static const char alphabet[] = "[]{}:,\"\\ \n0123456789.-+eEtruefalsn\x80\xc3\xe2\xf0\xffu";
	struct rnd r = { 11 };
	struct guard g;
	guard_open(&g, 4096);
	for (int turn = 0; turn < 200000; turn++) {
		char s[40];
		size_t n = rnd_below(&r, sizeof s);
		for (size_t i = 0; i < n; i++)
			s[i] = alphabet[rnd_below(&r, sizeof alphabet)];
		(void)check(guard_put(&g, (struct hl_str){ s, n }));
	}
	guard_close(&g);
}

/* --- member by member --- */

/* The verdict of a pull; the members are put together again as [key=value]. */
static int pull(struct hl_str text, char *out, size_t cap)
{
	struct hl_json_pull p;
	struct hl_err err;
	size_t n = 0;
	out[0] = '\0';
	for (hl_json_pull(&p, text); hl_json_pull_next(&p);)
		n += (size_t)snprintf(out + n, cap - n, "[%.*s=%d:%.*s]", HL_FMT(p.key), p.value.type, HL_FMT(p.value.raw));
	assert_false(hl_json_pull_next(&p));
	return hl_json_pull_end(&p, &err);
}

static void pulls(void **state)
{
	(void)state;
	static const struct { const char *text; int rc; const char *members; } cases[] = {
		{ "{}", 0, "" },
		{ " { } ", 0, "" },
		{ "{\"a\":1}", 0, "[a=2:1]" },
		{ " { \"a\" : 1 , \"b\":[ 1,{} ]\n,\"\":\"x\" , \"a\\\"\" : null } ", 0, "[a=2:1][b=4:[ 1,{} ]][=3:\"x\"][a\\\"=0:null]" },
		{ "", HL_ESYNTAX, "" },
		{ "  ", HL_ESYNTAX, "" },
		{ "1", HL_EINVAL, "" },
		{ "[{}]", HL_EINVAL, "" },
		{ "[", HL_ESYNTAX, "" },
		{ "x", HL_ESYNTAX, "" },
		{ "{\"a\":1,}", HL_ESYNTAX, "[a=2:1]" },
		{ "{,}", HL_ESYNTAX, "" },
		{ "{\"a\":1 \"b\":2}", HL_ESYNTAX, "[a=2:1]" },
		{ "{\"a\":1]", HL_ESYNTAX, "[a=2:1]" },
		{ "{\"a\":1", HL_ESYNTAX, "[a=2:1]" },
		{ "{\"a\":1}}", HL_ESYNTAX, "[a=2:1]" },
		{ "{\"a\":1} x", HL_ESYNTAX, "[a=2:1]" },
		{ "{a:1}", HL_ESYNTAX, "" },
		{ "{\"a\" 1}", HL_ESYNTAX, "" },
		{ "{\"a\":}", HL_ESYNTAX, "" },
	};
	char got[256];
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (pull(hl_str_from(cases[i].text), got, sizeof got) != cases[i].rc || strcmp(got, cases[i].members))
			fail_msg("%s gave %s", cases[i].text, got);
	}
	char deep[200] = "{\"a\":";
	memset(deep + 5, '[', 63);
	memset(deep + 68, ']', 63);
	deep[131] = '}';
	assert_int_equal(pull(hl_str_make(deep, 132), got, sizeof got), HL_OK);
	deep[4] = ' ';
	memmove(deep + 6, deep + 5, 127);
	memcpy(deep, "{\"a\":[", 6);
	assert_int_equal(pull(hl_str_make(deep, 133), got, sizeof got), HL_ESYNTAX);
}

/* Whatever the text, the verdict is that of check and type, and no byte behind the end is read. */
static void pulls_agree_with_check(void **state)
{
	(void)state;
	static const char alphabet[] = "{}{}\"\"aa::,,[] 01.-\\ntruef\xc3\xa9u";
	struct rnd r = { 13 };
	struct guard g;
	char got[1024];
	guard_open(&g, 4096);
	for (int turn = 0; turn < 300000; turn++) {
		char s[24];
		size_t n = rnd_below(&r, sizeof s);
		for (size_t i = 0; i < n; i++)
			s[i] = i == 0 ? '{' : alphabet[rnd_below(&r, sizeof alphabet)];
		struct hl_str text = guard_put(&g, (struct hl_str){ s, n });
		struct hl_json v;
		int rc = hl_json_check(text, 64, &v, NULL);
		if (!rc && v.type != HL_JSON_OBJECT)
			rc = HL_EINVAL;
		if (pull(text, got, sizeof got) != rc)
			fail_msg("%.*s", HL_FMT(text));
	}
	for (size_t i = 0; i < COUNT(json_good) + COUNT(json_bad); i++) {
		char whole[4096];
		bool good = i < COUNT(json_good);
		int n = snprintf(whole, sizeof whole, "{\"k\":%s}", good ? json_good[i] : json_bad[i - COUNT(json_good)]);
		struct hl_str text = guard_put(&g, hl_str_make(whole, (size_t)n));
		char big[8192];
		assert_int_equal(pull(text, big, sizeof big), check(text));
	}
	guard_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(refuses),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(nested_and_shifted),
		cmocka_unit_test(every_byte_in_strings),
		cmocka_unit_test(depth),
		cmocka_unit_test(messages),
		cmocka_unit_test(describes_the_value),
		cmocka_unit_test(noise),
		cmocka_unit_test(pulls),
		cmocka_unit_test(pulls_agree_with_check),
	};
	return RUN(tests);
}
