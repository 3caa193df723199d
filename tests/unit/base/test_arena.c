/* The bump allocator. */
#include "base_test.h"
#include "base/arena.h"

static void pieces(void **state)
{
	(void)state;
	struct hl_arena a;
	struct rnd r = { 3 };
	hl_arena_init(&a, 0);
	for (int turn = 0; turn < 3; turn++) {
		static struct {
			unsigned char *p;
			size_t n;
		} got[2000];
		for (size_t i = 0; i < 2000; i++) {
			size_t n = rnd_below(&r, 50) ? rnd_below(&r, 200) : rnd_below(&r, 100000);
			unsigned char *p = hl_arena_alloc(&a, n);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 16, 0);
			for (size_t k = 0; k < n; k++)
				if (p[k] != 0)
					fail_msg("not zeroed");
			memset(p, (int)(i & 0xff), n);
			got[i].p = p;
			got[i].n = n;
		}
		for (size_t i = 0; i < 2000; i++) /* nobody wrote into a neighbour */
			for (size_t k = 0; k < got[i].n; k++)
				if (got[i].p[k] != (i & 0xff))
					fail_msg("overlap");
		hl_arena_reset(&a);
		assert_int_equal(a.used, 0);
	}
	hl_arena_fini(&a);
	assert_null(a.head);
}

static void limit(void **state)
{
	(void)state;
	struct hl_arena a;
	hl_arena_init(&a, 64);
	assert_non_null(hl_arena_alloc(&a, 1));
	assert_non_null(hl_arena_alloc(&a, 48));
	assert_int_equal(a.used, 64);
	assert_null(hl_arena_alloc(&a, 1));
	assert_null(hl_arena_alloc(&a, SIZE_MAX));
	assert_null(hl_arena_alloc(&a, SIZE_MAX - 15));
	hl_arena_reset(&a);
	assert_null(hl_arena_alloc(&a, 65));
	assert_non_null(hl_arena_alloc(&a, 64));
	hl_arena_fini(&a);
	struct hl_arena zeroed = { 0 };
	assert_non_null(hl_arena_alloc(&zeroed, 0));
	hl_arena_fini(&zeroed);
	hl_arena_fini(&zeroed);
}

static void copies(void **state)
{
	(void)state;
	struct hl_arena a;
	hl_arena_init(&a, 0);
	struct hl_str s = hl_arena_dup(&a, HL_STR("a\0b"));
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.ptr, "a\0b", 4);
	s = hl_arena_dup(&a, HL_STR_NONE);
	assert_non_null(s.ptr);
	assert_int_equal(s.len, 0);
	assert_int_equal(s.ptr[0], 0);
	hl_arena_fini(&a);
	hl_arena_init(&a, 16);
	assert_null(hl_arena_dup(&a, HL_STR("0123456789abcdef")).ptr);
	assert_non_null(hl_arena_dup(&a, HL_STR("0123456789abcde")).ptr);
	hl_arena_fini(&a);
}

/* What one arena took from another is whole, and goes with it. */
static void taken(void **state)
{
	(void)state;
	struct hl_arena a, b;
	hl_arena_init(&a, 0);
	hl_arena_init(&b, 0);
	for (int turn = 0; turn < 3; turn++) {
		struct hl_str s[3];
		s[0] = turn ? hl_arena_dup(&a, HL_STR("own")) : HL_STR("own");
		s[1] = hl_arena_dup(&b, HL_STR("first"));
		assert_non_null(hl_arena_alloc(&b, 9000)); /* another block */
		s[2] = hl_arena_dup(&b, HL_STR("last"));
		size_t used = a.used + b.used;
		hl_arena_take(&a, &b);
		assert_true(a.used == used && b.used == 0 && !b.head);
		hl_arena_take(&a, &b); /* nothing */
		assert_true(a.used == used);
		hl_arena_fini(&b);
		assert_non_null(hl_arena_alloc(&a, 5000));
		assert_true(hl_str_eq(s[0], HL_STR("own")) && hl_str_eq(s[1], HL_STR("first")) && hl_str_eq(s[2], HL_STR("last")));
		hl_arena_reset(&a);
	}
	hl_arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces),
		cmocka_unit_test(limit),
		cmocka_unit_test(copies),
		cmocka_unit_test(taken),
	};
	return RUN(tests);
}
