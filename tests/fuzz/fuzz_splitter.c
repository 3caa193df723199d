/* Any bytes as a batch: lines, an array, or a list in an envelope. However the stream is cut, the entries are the same; lines
 * are those a plain loop finds, the elements of a JSON array those a JSON reader finds.
 *
 * First the kind, the limit of an entry, eight bytes that decide on the pieces. */
#include "api/splitter.h"
#include "base/json.h"
#include "fuzz.h"

/* Everything that was handed out, as one text. */
struct tale {
	struct hl_buf text;
	size_t n;
};

static void tell(struct tale *t, const struct hl_split_entry *e)
{
	hl_buf_fmt(&t->text, "%d %llu ", e->result, (unsigned long long)e->line);
	if (e->result == HL_SPLIT_ENTRY)
		hl_buf_str(&t->text, e->text);
	if (e->result == HL_SPLIT_BROKEN)
		hl_buf_cstr(&t->text, e->why);
	hl_buf_char(&t->text, '\n');
	t->n++;
}

static void drain(struct hl_splitter *s, struct tale *t, uint64_t *seed)
{
	struct hl_split_entry e;
	while (hl_splitter_next(s, &e)) {
		HL_CHECK(e.result != HL_SPLIT_ENTRY || (e.text.len && e.text.len <= s->entry_max));
		if (seed && e.result == HL_SPLIT_ENTRY && (*seed = *seed * 6364136223846793005u + 1) >> 61 == 0) {
			struct hl_str copy = fuzz_own(e.text);
			hl_splitter_back(s); /* it comes again */
			HL_CHECK(hl_splitter_next(s, &e) && hl_str_eq(e.text, copy));
			free((void *)(uintptr_t)copy.ptr);
		}
		tell(t, &e);
	}
}

static void run(enum hl_split_kind kind, size_t max, struct hl_str in, uint64_t *seed, struct tale *t)
{
	struct hl_splitter s;
	*t = (struct tale){ .n = 0 };
	hl_splitter_init(&s, kind, max);
	while (in.len) {
		HL_CHECK(!hl_splitter_feed(&s, seed ? fuzz_piece(&in, seed) : fuzz_take(&in, in.len)));
		drain(&s, t, seed);
		HL_CHECK(!seed || s.in.len - s.in.rd <= max + 4200);
	}
	hl_splitter_end(&s);
	drain(&s, t, seed);
	hl_splitter_fini(&s);
}

static void plain_lines(size_t max, struct hl_str in, struct tale *t)
{
	*t = (struct tale){ .n = 0 };
	for (uint64_t n = 1; in.ptr; n++) {
		struct hl_str raw = hl_str_split(&in, '\n'), text = hl_str_trim(raw);
		bool large = raw.len > max + 2 || text.len > max;
		if (text.len || large)
			tell(t, &(struct hl_split_entry){ .result = large ? HL_SPLIT_TOO_LARGE : HL_SPLIT_ENTRY, .text = text, .line = n });
	}
}

static void plain_elements(struct hl_json array, struct tale *t)
{
	struct hl_json_iter it = { .at = NULL };
	*t = (struct tale){ .n = 0 };
	for (hl_json_each(&it, array); hl_json_next(&it);)
		tell(t, &(struct hl_split_entry){ .result = HL_SPLIT_ENTRY, .text = it.value.raw, .line = t->n + 1 });
}

static void compare(struct tale *a, struct tale *b)
{
	HL_CHECK(hl_str_eq(hl_buf_all(&a->text), hl_buf_all(&b->text)));
	hl_buf_fini(&b->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len);
	enum hl_split_kind kind = (enum hl_split_kind)(fuzz_u8(&in) % 3);
	size_t max = 1 + fuzz_u8(&in) * 16u;
	uint64_t seed = fuzz_u64(&in);
	struct hl_str text = fuzz_own(in);
	struct hl_json v, items;
	struct tale whole, other;
	run(kind, max, text, NULL, &whole);
	run(kind, max, text, &seed, &other);
	compare(&whole, &other);
	bool large = max < text.len;
	if (kind == HL_SPLIT_LINES) {
		plain_lines(max, text, &other);
		compare(&whole, &other);
	} else if (!large && !hl_json_check(text, HL_JSON_DEPTH_MAX, &v, NULL)) {
		bool list = kind == HL_SPLIT_LIST && v.type == HL_JSON_OBJECT;
		if (!list && v.type == HL_JSON_ARRAY) {
			plain_elements(v, &other);
			compare(&whole, &other);
		} else if (list && !memchr(text.ptr, '\\', text.len) && hl_json_get(v, HL_STR("items"), &items)) {
			if (items.type != HL_JSON_ARRAY)
				HL_CHECK(whole.n >= 1);
		}
	}
	hl_buf_fini(&whole.text);
	free((void *)(uintptr_t)text.ptr);
	return 0;
}
