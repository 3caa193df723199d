/* Any bytes as a JSON text, judged and read by jansson too: the verdicts are equal and the values are.
 *
 * Where jansson is stricter by its own choice (numbers that do not fit its types, half surrogate pairs, U+0000 in a name,
 * 2048 levels) only its verdict is set aside. Repeated names: both let the last one count. */
#include "base/json.h"
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>

static struct hl_arena arena;

static void same(struct hl_json ours, const json_t *theirs);

static void same_text(struct hl_json ours, const char *text, size_t len)
{
	struct hl_str s;
	HL_CHECK(!hl_json_string(&arena, ours, true, &s));
	HL_CHECK(s.len == len && !memcmp(s.ptr, text, len));
	/* what the writer makes of it means the same again */
	struct hl_buf quoted = { .data = NULL };
	struct hl_json v;
	struct hl_str back;
	hl_json_quote(&quoted, s);
	HL_CHECK(hl_buf_ok(&quoted) && !hl_json_check(hl_buf_all(&quoted), 1, &v, NULL));
	HL_CHECK(!hl_json_string(&arena, v, true, &back) && hl_str_eq(s, back));
	hl_buf_fini(&quoted);
}

static void same_number(struct hl_json ours, const json_t *theirs)
{
	int64_t i;
	if (json_is_integer(theirs)) {
		HL_CHECK(hl_json_i64(ours, &i) && i == json_integer_value(theirs));
		return;
	}
	char text[512];
	if (ours.raw.len >= sizeof(text))
		return;
	memcpy(text, ours.raw.ptr, ours.raw.len);
	text[ours.raw.len] = '\0';
	HL_CHECK(strtod(text, NULL) == json_real_value(theirs));
}

static void same_members(struct hl_json ours, const json_t *theirs)
{
	struct hl_json_iter it = { .at = NULL };
	size_t n = 0;
	for (hl_json_each(&it, ours); hl_json_next(&it); n++) {
		struct hl_str name;
		struct hl_json last;
		HL_CHECK(!hl_json_string(&arena, (struct hl_json){ .type = HL_JSON_STRING, .raw = it.key }, true, &name));
		const json_t *v = json_object_getn(theirs, name.ptr, name.len);
		HL_CHECK(v && hl_json_get(ours, name, &last));
		if (last.raw.ptr == it.value.raw.ptr)
			same(it.value, v);
	}
	HL_CHECK(n >= json_object_size(theirs));
}

static void same(struct hl_json ours, const json_t *theirs)
{
	struct hl_json_iter it = { .at = NULL };
	size_t i = 0;
	bool b;
	switch (ours.type) {
	case HL_JSON_NULL:
		HL_CHECK(json_is_null(theirs));
		break;
	case HL_JSON_BOOL:
		HL_CHECK(hl_json_bool(ours, &b) && json_is_boolean(theirs) && b == json_is_true(theirs));
		break;
	case HL_JSON_NUMBER:
		same_number(ours, theirs);
		break;
	case HL_JSON_STRING:
		same_text(ours, json_string_value(theirs), json_string_length(theirs));
		break;
	case HL_JSON_ARRAY:
		for (hl_json_each(&it, ours); hl_json_next(&it); i++)
			same(it.value, json_array_get(theirs, i));
		HL_CHECK(i == json_array_size(theirs));
		break;
	default:
		same_members(ours, theirs);
	}
}

/* jansson's reasons that are not JSON's. */
static bool own_limit(const json_error_t *err)
{
	static const char *const reasons[] = { "too big integer", "too big negative integer", "real number overflow",
		"invalid Unicode '\\u", "NUL byte in object key not supported" };
	for (size_t i = 0; i < HL_ARRAY_LEN(reasons); i++)
		if (strncmp(err->text, reasons[i], strlen(reasons[i])) == 0)
			return true;
	return false;
}

/* The reader of one pass says the same as check and walk. */
static void pull(struct hl_str text, bool good, struct hl_json v)
{
	struct hl_json_pull p;
	struct hl_json_iter it = { .at = NULL };
	bool object = good && v.type == HL_JSON_OBJECT;
	if (object)
		hl_json_each(&it, v);
	hl_json_pull(&p, text);
	while (hl_json_pull_next(&p)) {
		if (!object)
			continue;
		HL_CHECK(hl_json_next(&it) && hl_str_eq(it.key, p.key) && hl_str_eq(it.value.raw, p.value.raw));
		HL_CHECK(it.value.type == p.value.type);
	}
	int rc = hl_json_pull_end(&p, NULL);
	HL_CHECK(rc == (object ? HL_OK : good ? HL_EINVAL : HL_ESYNTAX));
	HL_CHECK(!object || !hl_json_next(&it));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str text = fuzz_own(hl_str_make(data, len));
	struct hl_json v;
	json_error_t why;
	bool good = !hl_json_check(text, HL_JSON_DEPTH_MAX, &v, NULL);
	json_t *theirs = memchr(text.ptr, '\0', text.len) ? NULL :
			json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
	if (good && !theirs)
		HL_CHECK(!memchr(text.ptr, '\0', text.len) && own_limit(&why));
	if (!good && theirs) /* only depth sets us apart */
		HL_CHECK(hl_json_check(text, HL_JSON_DEPTH_MAX, &v, NULL) == HL_ETOOBIG);
	if (good && theirs)
		same(v, theirs);
	pull(text, good, v);
	json_decref(theirs);
	hl_arena_reset(&arena);
	free((void *)(uintptr_t)text.ptr);
	return 0;
}
