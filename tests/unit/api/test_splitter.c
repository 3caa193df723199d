/* The splitter: whole, byte by byte and in pieces of every size it must cut the same entries. */
#include "api/splitter.h"

#include "base/str.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { MAX = 32 };

/* What came out, as text: [entry] for entries, !large, !broken. */
static char got[4096];

static void drain(struct hl_splitter *s)
{
	struct hl_split_entry e;
	while (hl_splitter_next(s, &e)) {
		size_t n = strlen(got);
		if (e.result == HL_SPLIT_ENTRY)
			snprintf(got + n, sizeof(got) - n, "<%.*s>", HL_FMT(e.text));
		else
			strcat(got, e.result == HL_SPLIT_TOO_LARGE ? "!large" : "!broken");
	}
}

static void run(enum hl_split_kind kind, struct hl_str text, size_t piece)
{
	struct hl_splitter s;
	hl_splitter_init(&s, kind, MAX);
	got[0] = '\0';
	for (size_t at = 0; at < text.len; at += piece) {
		struct hl_str part = { text.ptr + at, text.len - at < piece ? text.len - at : piece };
		assert_int_equal(hl_splitter_feed(&s, part), 0);
		drain(&s);
		assert_true(s.in.cap <= 4096);
	}
	hl_splitter_end(&s);
	drain(&s);
	drain(&s);
	hl_splitter_fini(&s);
}

static void expect(enum hl_split_kind kind, const char *text, const char *wanted)
{
	struct hl_str whole = hl_str_from(text);
	for (size_t piece = 1; piece <= whole.len + 1; piece++) {
		run(kind, whole, piece);
		if (strcmp(got, wanted))
			fail_msg("pieces of %zu of %s\n got    %s\n wanted %s", piece, text, got, wanted);
	}
}

#define L32 "abcdefghijklmnopqrstuvwxyz012345" /* exactly the limit */

static void test_lines(void **state)
{
	(void)state;
	expect(HL_SPLIT_LINES, "", "");
	expect(HL_SPLIT_LINES, "{\"a\":1}\n{\"b\":2}\n", "<{\"a\":1}><{\"b\":2}>");
	expect(HL_SPLIT_LINES, "one\r\ntwo", "<one><two>");
	expect(HL_SPLIT_LINES, "\n\r\n  \none\n\n\ntwo\n ", "<one><two>");
	expect(HL_SPLIT_LINES, L32 "\n" L32 "\r\nx\n", "<" L32 "><" L32 "><x>");
	expect(HL_SPLIT_LINES, "a\n" L32 "6\nb\n" L32 L32 L32 "\nc", "<a>!large<b>!large<c>");
	expect(HL_SPLIT_LINES, L32 L32, "!large");
}

static void test_array(void **state)
{
	(void)state;
	expect(HL_SPLIT_ARRAY, "[]", "");
	expect(HL_SPLIT_ARRAY, " [ \n ] ", "");
	expect(HL_SPLIT_ARRAY, "[{\"a\":1},{\"b\":[1,2,{}]}]", "<{\"a\":1}><{\"b\":[1,2,{}]}>");
	expect(HL_SPLIT_ARRAY, "[ 1 ,\n\"a,]}\\\"\" , null ]\n", "<1><\"a,]}\\\"\"><null>");
	expect(HL_SPLIT_ARRAY, "[\"\\\\\",\"\\\\\\\"]\"]", "<\"\\\\\"><\"\\\\\\\"]\">");
	/* bad inside, good outside: one entry */
	expect(HL_SPLIT_ARRAY, "[{bad},{\"x\":}]", "<{bad}><{\"x\":}>");
	expect(HL_SPLIT_ARRAY, "[1 2,{]},3]", "<1 2><{]}><3>");
}

static void test_array_broken(void **state)
{
	(void)state;
	expect(HL_SPLIT_ARRAY, "", "!broken");
	expect(HL_SPLIT_ARRAY, "{\"a\":1}", "!broken");
	expect(HL_SPLIT_ARRAY, "[1,2", "<1>!broken");
	expect(HL_SPLIT_ARRAY, "[1,]", "<1>!broken");
	expect(HL_SPLIT_ARRAY, "[,1]", "!broken");
	expect(HL_SPLIT_ARRAY, "[1,,2]", "<1>!broken");
	expect(HL_SPLIT_ARRAY, "[1] 2", "<1>!broken");
	expect(HL_SPLIT_ARRAY, "[1][2]", "<1>!broken");
	expect(HL_SPLIT_ARRAY, "[{\"a\":1}", "!broken"); /* no telling whether it was complete */
	expect(HL_SPLIT_ARRAY, "[\"open", "!broken");
}

static void test_array_large(void **state)
{
	(void)state;
	expect(HL_SPLIT_ARRAY, "[1,\"" L32 L32 ",]\",{\"a\":\"" L32 L32 "\"},2]", "<1>!large!large<2>");
	expect(HL_SPLIT_ARRAY, "[\"" L32 L32 L32, "!broken");
}

static void test_list(void **state)
{
	(void)state;
	expect(HL_SPLIT_LIST, "[1,{\"items\":[2]}]", "<1><{\"items\":[2]}>");
	expect(HL_SPLIT_LIST, " { \"items\" : [ 1 , {\"a\":2} ] } ", "<1><{\"a\":2}>");
	expect(HL_SPLIT_LIST, "{\"items\":[]}", "");
	expect(HL_SPLIT_LIST, "{\"meta\":{\"items\":[9],\"x\":\"}],\\\"\"},\"n\":1,\"items\":[1,2],\"pagination\":{\"total\":2}}", "<1><2>");
	expect(HL_SPLIT_LIST, "{\"a\\\"b\":null ,\"items\":[1]}", "<1>");
	expect(HL_SPLIT_LIST, "{\"x\":[[" L32 L32 "]],\"items\":[1]}", "<1>");
	expect(HL_SPLIT_LIST, "{}", "!broken");
	expect(HL_SPLIT_LIST, "{\"meta\":{}}", "!broken");
	expect(HL_SPLIT_LIST, "{\"items\":{}}", "!broken");
	expect(HL_SPLIT_LIST, "{\"items\":null}", "!broken");
	expect(HL_SPLIT_LIST, "{\"items\":[1]", "<1>!broken");
	expect(HL_SPLIT_LIST, "{\"items\":[1],}", "<1>!broken");
	expect(HL_SPLIT_LIST, "{\"items\":[1]]", "<1>!broken");
	expect(HL_SPLIT_LIST, "{\"items\":[1]} x", "<1>!broken");
	expect(HL_SPLIT_LIST, "{\"a\":,\"items\":[1]}", "!broken");
	expect(HL_SPLIT_LIST, "{\"a\" 1}", "!broken");
	expect(HL_SPLIT_LIST, "{items:[1]}", "!broken");
	expect(HL_SPLIT_LIST, "{,}", "!broken");
	expect(HL_SPLIT_LIST, "{\"", "!broken");
	expect(HL_SPLIT_LIST, "{\"" L32 L32 "\":1,\"items\":[]}", "!broken");
	expect(HL_SPLIT_LIST, "1", "!broken");
	expect(HL_SPLIT_LIST, "", "!broken");
}

static void test_line_numbers(void **state)
{
	static const struct { enum hl_split_kind kind; const char *text; unsigned lines[4]; } cases[] = {
		{ HL_SPLIT_LINES, "\n \r\na\n\nb\n" L32 "6\nc", { 3, 5, 6, 7 } },
		{ HL_SPLIT_LIST, "{\"x\":[1,2],\n\"items\":[5,6\n,7,,8]}", { 1, 2, 3, 4 } },
	};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct hl_splitter s;
		struct hl_split_entry e;
		hl_splitter_init(&s, cases[i].kind, MAX);
		assert_int_equal(hl_splitter_feed(&s, hl_str_from(cases[i].text)), 0);
		hl_splitter_end(&s);
		for (size_t k = 0; k < 4; k++) {
			assert_true(hl_splitter_next(&s, &e));
			assert_int_equal(e.line, cases[i].lines[k]);
			if (k < 3 && e.result == HL_SPLIT_ENTRY) {
				hl_splitter_back(&s);
				assert_true(hl_splitter_next(&s, &e));
				assert_int_equal(e.line, cases[i].lines[k]);
			}
		}
		assert_false(hl_splitter_next(&s, &e));
		hl_splitter_fini(&s);
	}
}

/* An entry that could not be taken now comes again, alone or after more was fed. */
static void test_back(void **state)
{
	static const struct { enum hl_split_kind kind; const char *text; } cases[] = {
		{ HL_SPLIT_LINES, "{\"a\":1}\nxx\n" }, { HL_SPLIT_ARRAY, "[{\"a\":1} ,xx]" },
	};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct hl_splitter s;
		struct hl_split_entry e;
		hl_splitter_init(&s, cases[i].kind, MAX);
		size_t half = 9;
		assert_int_equal(hl_splitter_feed(&s, hl_str_make(cases[i].text, half + (i ? 1 : 0))), 0);
		for (int k = 0; k < 3; k++) {
			assert_true(hl_splitter_next(&s, &e));
			assert_true(hl_str_eq(e.text, HL_STR("{\"a\":1}")));
			hl_splitter_back(&s);
		}
		struct hl_str rest = hl_str_from(cases[i].text + half + (i ? 1 : 0));
		assert_int_equal(hl_splitter_feed(&s, rest), 0);
		hl_splitter_end(&s);
		got[0] = '\0';
		drain(&s);
		assert_string_equal(got, "<{\"a\":1}><xx>");
		hl_splitter_fini(&s);
	}
}

/* A body far larger than the limit passes through without being kept. */
static void test_memory(void **state)
{
	struct hl_splitter s;
	struct hl_split_entry e;
	char piece[1000];
	size_t n = 0;
	(void)state;
	memset(piece, 'x', sizeof(piece));
	hl_splitter_init(&s, HL_SPLIT_LINES, MAX);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(hl_splitter_feed(&s, hl_str_make(piece, sizeof(piece))), 0);
		assert_false(hl_splitter_next(&s, &e));
		assert_true(s.in.cap <= 8192);
	}
	assert_int_equal(hl_splitter_feed(&s, HL_STR("\nok\n")), 0);
	while (hl_splitter_next(&s, &e))
		n++;
	assert_int_equal(n, 2);
	hl_splitter_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines), cmocka_unit_test(test_array), cmocka_unit_test(test_array_broken),
		cmocka_unit_test(test_array_large), cmocka_unit_test(test_list), cmocka_unit_test(test_line_numbers), cmocka_unit_test(test_back), cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
