/* A second opinion on the JSON check: jansson reads the same documents, thousands of them, valid ones and valid
 * ones with a few bytes changed, always the same from fixed seeds.
 *
 * jansson is stricter in three places, which the comparison takes into account by name: integers that do not fit 64
 * bits, reals that overflow a double, and half surrogate pairs. U+0000 it accepts when told to — in values, not in
 * member names. A raw NUL byte it sometimes skips, where the grammar has no place for one. In every other case the
 * verdicts must be equal. */
#include "base_test.h"
#include "base/json.h"

#include <jansson.h>
#include <stdio.h>

/* --- documents --- */

struct gen {
	struct rnd r;
	struct hl_buf out;
};

static void gen_space(struct gen *g)
{
	static const char *const spaces[] = { " ", "\n", "\t", "\r\n", "  " };
	if (rnd_below(&g->r, 4) == 0)
		hl_buf_cstr(&g->out, spaces[rnd_below(&g->r, 5)]);
}

static void gen_string(struct gen *g)
{
	static const char *const pieces[] = { "a", "Z", " ", "0", "/", "\x7f", "\\\"", "\\\\", "\\/", "\\b", "\\f",
			"\\n", "\\r",
		"\\t", "\\u0041", "\\u00e4", "\\uABCD", "\\ud83d\\ude00", "\xc3\xa4", "\xe2\x82\xac",
		"\xf0\x9f\x98\x80",
		"plain text that is longer than a word of eight", "\\u0000", "\\ud800", "\\udc00", "{", "]", ",", ":" };
	hl_buf_char(&g->out, '"');
	for (uint32_t n = rnd_below(&g->r, 8); n > 0; n--) {
		uint32_t k = rnd_below(&g->r, sizeof pieces / sizeof pieces[0]);
		if (k >= 22 && k <= 24 && rnd_below(&g->r, 10)) /* the disputed ones only now and then */
			k = 0;
		hl_buf_cstr(&g->out, pieces[k]);
	}
	hl_buf_char(&g->out, '"');
}

static void gen_number(struct gen *g)
{
	static const char *const odd[] = { "0", "-0", "0.0", "-0.5e-3", "1E+2", "1e5", "9223372036854775807",
		"-9223372036854775808", "9223372036854775808", "123456789012345678901234567890", "1e308", "1e999",
		"-1e-999" };
	if (rnd_below(&g->r, 3) == 0) {
		hl_buf_cstr(&g->out, odd[rnd_below(&g->r, sizeof odd / sizeof odd[0])]);
		return;
	}
	hl_buf_i64(&g->out, (int64_t)(rnd_u64(&g->r) >> rnd_below(&g->r, 64)));
	if (rnd_below(&g->r, 20) == 0)
		hl_buf_cstr(&g->out, ".25");
}

static void gen_value(struct gen *g, unsigned depth);

static void gen_container(struct gen *g, unsigned depth, bool object)
{
	hl_buf_char(&g->out, object ? '{' : '[');
	gen_space(g);
	for (uint32_t n = rnd_below(&g->r, 4); n > 0; n--) {
		if (object) {
			gen_string(g);
			gen_space(g);
			hl_buf_char(&g->out, ':');
		}
		gen_value(g, depth - 1);
		if (n > 1)
			hl_buf_char(&g->out, ',');
		gen_space(g);
	}
	hl_buf_char(&g->out, object ? '}' : ']');
}

static void gen_value(struct gen *g, unsigned depth)
{
	static const char *const words[] = { "null", "true", "false" };
	gen_space(g);
	switch (rnd_below(&g->r, depth ? 6 : 3)) {
	case 0:
		gen_string(g);
		break;
	case 1:
		gen_number(g);
		break;
	case 2:
		hl_buf_cstr(&g->out, words[rnd_below(&g->r, 3)]);
		break;
	default:
		gen_container(g, depth, rnd_below(&g->r, 2));
	}
	gen_space(g);
}

/* One to three changes: a byte replaced, removed, inserted or doubled, or the end cut off. */
static void mutate(struct gen *g)
{
	static const char bytes[] = "\"\\[]{},: \n\t0123456789-+.eEtfnu/ax\x01\x1f\x80\xbf\xc3\xed\xf4\xff";
	struct hl_buf *b = &g->out;
	for (uint32_t n = 1 + rnd_below(&g->r, 3); n > 0 && b->len > 0; n--) {
		size_t at = rnd_below(&g->r, (uint32_t)b->len);
		char c = bytes[rnd_below(&g->r, sizeof bytes)]; /* the NUL at the end included */
		uint32_t how = rnd_below(&g->r, 5);
		switch (how) {
		case 0:
			b->data[at] = c;
			break;
		case 1:
			memmove(b->data + at, b->data + at + 1, b->len - at);
			b->len--;
			break;
		case 2:
		case 3:
			c = how == 2 ? b->data[at] : c;
			hl_buf_char(b, 0);
			memmove(b->data + at + 1, b->data + at, b->len - at - 1);
			b->data[at] = c;
			break;
		default:
			b->len = at;
		}
		b->data[b->len] = '\0';
	}
}

/* --- verdicts --- */

static bool jansson_accepts(struct hl_str s, json_error_t *err)
{
	json_t *root = json_loadb(s.len ? s.ptr : "", s.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, err);
	bool ok = root != NULL;
	json_decref(root);
	return ok;
}

/* jansson's reasons that are its own and not JSON's. */
static bool own_limit(const json_error_t *err)
{
	static const char *const reasons[] = { "too big integer", "too big negative integer", "real number overflow",
		"invalid Unicode '\\u", "NUL byte in object key not supported" };
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (strncmp(err->text, reasons[i], strlen(reasons[i])) == 0)
			return true;
	return false;
}

struct tally {
	unsigned both_accept, both_refuse, own;
};

static void compare(struct hl_str s, struct tally *t)
{
	struct hl_json v;
	struct hl_err err;
	json_error_t theirs_err;
	bool ours = hl_json_check(s, 64, &v, &err) == 0;
	if (memchr(s.ptr, '\0', s.len)) {
		assert_false(ours);
		return;
	}
	bool theirs = jansson_accepts(s, &theirs_err);
	if (ours && !theirs && own_limit(&theirs_err))
		t->own++;
	else if (ours && theirs)
		t->both_accept++;
	else if (!ours && !theirs)
		t->both_refuse++;
	else
		fail_msg("ours: %s, jansson: %s, on: %.*s", ours ? "accepted" : err.text,
				theirs ? "accepted" : theirs_err.text,
				HL_FMT(s));
}

static void valid_documents(void **state)
{
	(void)state;
	struct gen g = { .r = { 101 } };
	struct tally t = { 0 };
	for (int i = 0; i < 10000; i++) {
		hl_buf_reset(&g.out);
		gen_value(&g, 5);
		compare(hl_buf_all(&g.out), &t);
	}
	assert_int_equal(t.both_refuse, 0);
	assert_true(t.own > 100 && t.both_accept > 5000);
	hl_buf_fini(&g.out);
}

static void mutated_documents(void **state)
{
	(void)state;
	struct gen g = { .r = { 202 } };
	struct tally t = { 0 };
	for (int i = 0; i < 60000; i++) {
		hl_buf_reset(&g.out);
		gen_value(&g, 3);
		mutate(&g);
		compare(hl_buf_all(&g.out), &t);
	}
	assert_true(t.both_refuse > 10000 && t.both_accept > 5000);
	hl_buf_fini(&g.out);
}

/* The disputed ones by name: we accept, jansson refuses, and for the reason we think. */
static void disputed(void **state)
{
	(void)state;
	static const char *const texts[] = { "123456789012345678901234567890", "[-99999999999999999999]",
			"{\"a\":1e999}",
		"\"\\ud800\"", "[\"\\udc00x\"]", "{\"\\u0000\":1}" };
	struct tally t = { 0 };
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		compare(hl_str_from(texts[i]), &t);
	assert_int_equal(t.own, sizeof texts / sizeof texts[0]);
}

/* Strings decode to the same bytes. */
static void decoded_strings(void **state)
{
	(void)state;
	struct gen g = { .r = { 303 } };
	struct hl_arena a;
	unsigned compared = 0;
	hl_arena_init(&a, 0);
	for (int i = 0; i < 20000; i++) {
		struct hl_json v;
		struct hl_str ours;
		hl_buf_reset(&g.out);
		gen_string(&g);
		assert_int_equal(hl_json_check(hl_buf_all(&g.out), 0, &v, NULL), 0);
		json_t *root = json_loadb(g.out.data, g.out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		int rc = hl_json_string(&a, v, true, &ours);
		assert_int_equal(rc == 0, root != NULL); /* both refuse half pairs when decoding */
		if (root) {
			assert_true(hl_str_eq(ours, hl_str_make(json_string_value(root), json_string_length(root))));
			compared++;
		}
		json_decref(root);
		hl_arena_reset(&a);
	}
	assert_true(compared > 15000);
	hl_arena_fini(&a);
	hl_buf_fini(&g.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_documents),
		cmocka_unit_test(mutated_documents),
		cmocka_unit_test(disputed),
		cmocka_unit_test(decoded_strings),
	};
	return RUN(tests);
}
