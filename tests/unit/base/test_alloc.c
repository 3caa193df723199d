/* Every collection of the base floor, driven once for each allocation it makes, with that allocation failing: the
 * failure is reported, nothing that was there before is lost, nothing leaks, and going on afterwards works. */
#include "base_test.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/heap.h"
#include "base/json.h"
#include "base/map.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);

static long fail_at; /* the n-th allocation from now fails; 0 = none */
static long made;

static bool fails(void)
{
	return ++made == fail_at;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t k, size_t n)
{
	return fails() ? NULL : __real_calloc(k, n);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

/* Runs the scenario with its 1st, 2nd, … allocation failing, until a run does not reach that many. */
static void fail_each(void (*scenario)(void))
{
	long n = 0;
	do {
		fail_at = ++n;
		made = 0;
		scenario();
	} while (made >= n);
	assert_true(n > 2); /* it did allocate */
	fail_at = 0;
}

static void buf_scenario(void)
{
	struct hl_buf b = { 0 };
	char want[600];
	size_t good = 0;
	for (size_t i = 0; i < sizeof want; i++) {
		want[i] = (char)('a' + i % 26);
		if (i % 3)
			hl_buf_char(&b, want[i]);
		else
			hl_buf_fmt(&b, "%c", want[i]);
		if (hl_buf_ok(&b))
			good = i + 1;
		assert_true(hl_buf_check(&b));
	}
	assert_int_equal(b.len, good);
	assert_memory_equal(good ? b.data : "", want, good);
	if (!hl_buf_ok(&b)) {
		hl_buf_reset(&b);
		hl_buf_cstr(&b, "on we go");
		assert_str(hl_buf_all(&b), "on we go");
	}
	hl_buf_fini(&b);
}

static void arena_scenario(void)
{
	struct hl_arena a;
	unsigned failed = 0;
	hl_arena_init(&a, 0);
	for (size_t i = 0; i < 300; i++) {
		size_t used = a.used, n = i % 50 == 49 ? 40000 : 100 + i;
		unsigned char *p = hl_arena_alloc(&a, n);
		if (p)
			memset(p, 0xEE, n);
		else
			assert_int_equal(a.used, used);
		failed += p == NULL;
	}
	assert_true(failed <= 1);
	hl_arena_reset(&a);
	hl_arena_fini(&a);
}

static void map_scenario(void)
{
	struct hl_map_u64 m = { 0 };
	struct hl_map_str s = { 0 };
	static char cell[200];
	static char names[200][2];
	bool in_m[200] = { false }, in_s[200] = { false };
	for (size_t i = 0; i < 200; i++) {
		names[i][0] = (char)i;
		size_t m_count = m.count, s_count = s.count;
		in_m[i] = hl_map_u64_put(&m, i, &cell[i]) == 0;
		in_s[i] = hl_map_str_put(&s, (struct hl_str){ names[i], 1 }, &cell[i]) == 0;
		assert_int_equal(m.count, m_count + in_m[i]);
		assert_int_equal(s.count, s_count + in_s[i]);
		for (size_t k = 0; k <= i; k++) {
			assert_ptr_equal(hl_map_u64_get(&m, k), in_m[k] ? &cell[k] : NULL);
			assert_ptr_equal(hl_map_str_get(&s, (struct hl_str){ names[k], 1 }), in_s[k] ? &cell[k] : NULL);
		}
	}
	hl_map_u64_fini(&m);
	hl_map_str_fini(&s);
}

static void heap_scenario(void)
{
	struct hl_heap h = { 0 };
	static struct hl_heap_node n[200];
	size_t linked = 0;
	memset(n, 0, sizeof n);
	for (int i = 0; i < 200; i++) {
		int rc = hl_heap_push(&h, &n[i], (i * 37) % 200);
		assert_true(rc == 0 || rc == HL_ENOMEM);
		assert_int_equal(hl_heap_linked(&n[i]), rc == 0);
		linked += rc == 0;
	}
	int64_t last = -1;
	for (struct hl_heap_node *x; (x = hl_heap_pop(&h)) != NULL; linked--) { /* failing to shrink does not matter */
		assert_true(x->key > last);
		last = x->key;
	}
	assert_int_equal(linked, 0);
	hl_heap_fini(&h);
}

static void json_scenario(void)
{
	struct hl_arena a;
	struct hl_json v;
	struct hl_str s;
	struct hl_buf b = { 0 };
	hl_arena_init(&a, 0);
	assert_int_equal(hl_json_check(HL_STR("\"a\\tb\""), 1, &v, NULL), 0); /* allocates nothing */
	int rc = hl_json_string(&a, v, false, &s);
	assert_true(rc == 0 || rc == HL_ENOMEM);
	if (rc == 0)
		assert_str(s, "a\tb");
	hl_json_quote(&b,
			HL_STR("something that is longer than the first room a buffer gets, \"quotes\" and all"));
	if (hl_buf_ok(&b))
		assert_int_equal(hl_json_check(hl_buf_all(&b), 1, &v, NULL), 0);
	hl_buf_fini(&b);
	hl_arena_fini(&a);
}

static void buf(void **state)
{
	(void)state;
	fail_each(buf_scenario);
}

static void arena(void **state)
{
	(void)state;
	fail_each(arena_scenario);
}

static void map(void **state)
{
	(void)state;
	fail_each(map_scenario);
}

static void heap(void **state)
{
	(void)state;
	fail_each(heap_scenario);
}

static void json(void **state)
{
	(void)state;
	fail_each(json_scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf),
		cmocka_unit_test(arena),
		cmocka_unit_test(map),
		cmocka_unit_test(heap),
		cmocka_unit_test(json),
	};
	return RUN(tests);
}
