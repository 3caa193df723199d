/* Clocks and randomness. */
#include "base_test.h"
#include "base/env.h"

#include <time.h>

static void clocks(void **state)
{
	(void)state;
	hl_ms_t a = hl_env_mono_ms(&hl_env_real), b = hl_env_mono_ms(&hl_env_real);
	assert_true(a > 0 && b >= a);
	hl_ms_t wall = hl_env_wall_ms(&hl_env_real);
	time_t now = time(NULL);
	assert_true(wall / 1000 >= now - 2 && wall / 1000 <= now + 2);
}

static void random_bytes(void **state)
{
	(void)state;
	unsigned char a[600] = { 0 }, b[600] = { 0 };
	hl_env_random(&hl_env_real, a, sizeof a - 1);
	hl_env_random(&hl_env_real, b, sizeof b - 1);
	assert_memory_not_equal(a, b, sizeof a);
	assert_int_equal(a[sizeof a - 1], 0);
	hl_env_random(&hl_env_real, a, 0);
}

/* Hands out a counter as "random" 32-bit values, so that every value can be looked at. */
static void counting(void *data, void *out, size_t n)
{
	uint32_t *next = data;
	assert_int_equal(n, sizeof *next);
	memcpy(out, next, n);
	*next += 0x01000193u; /* odd: passes through all values */
}

static void below_stays_below(void **state)
{
	(void)state;
	uint32_t next = 0;
	struct hl_env e = { .data = &next, .random = counting };
	static const uint32_t limits[] = { 1, 2, 3, 7, 10, 1000, 0x80000000u, 0x80000001u, UINT32_MAX };
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
		for (int k = 0; k < 2000; k++)
			assert_true(hl_env_random_below(&e, limits[i]) < limits[i]);
}

static void below_is_even(void **state)
{
	(void)state;
	unsigned seen[6] = { 0 };
	for (int i = 0; i < 60000; i++)
		seen[hl_env_random_below(&hl_env_real, 6)]++;
	for (int i = 0; i < 6; i++)
		assert_in_range(seen[i], 9300, 10700); /* 10000 ± 7 sigma */
}

/* With n = 3·2^30 a quarter of the draws must be thrown away; without that, some results are twice as likely. */
static void below_draws_again(void **state)
{
	(void)state;
	unsigned third[3] = { 0 };
	uint32_t n = 3u << 30;
	for (int i = 0; i < 30000; i++)
		third[hl_env_random_below(&hl_env_real, n) % 3]++;
	for (int i = 0; i < 3; i++)
		assert_in_range(third[i], 9400, 10600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(below_stays_below),
		cmocka_unit_test(below_is_even),
		cmocka_unit_test(below_draws_again),
	};
	return RUN(tests);
}
