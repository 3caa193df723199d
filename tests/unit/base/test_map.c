/* Both maps against arrays indexed by a small key, deletion during a walk, tombstones. */
#include "base_test.h"
#include "base/map.h"

#include <stdio.h>

enum { KEYS = 3000 };
static char names[KEYS][16];
static char cells[KEYS]; /* addresses serve as values */

static struct hl_str name_of(size_t i)
{
	return hl_str_from(names[i]);
}

static void u64_model(void **state)
{
	(void)state;
	for (uint64_t round = 1; round <= 4; round++) {
		struct rnd r = { round };
		struct hl_map_u64 m;
		static void *model[KEYS];
		size_t count = 0;
		memset(model, 0, sizeof model);
		hl_map_u64_init(&m);
		for (int step = 0; step < 60000; step++) {
			size_t k = rnd_below(&r, round % 2 ? 40 : KEYS);
			uint64_t key = round == 3 ? (uint64_t)k << 32 : k * 1000003u; /* 0 included */
			void *v = &cells[rnd_below(&r, KEYS)];
			switch (rnd_below(&r, 3)) {
			case 0:
				assert_int_equal(hl_map_u64_put(&m, key, v), 0);
				count += !model[k];
				model[k] = v;
				break;
			case 1:
				assert_ptr_equal(hl_map_u64_del(&m, key), model[k]);
				count -= model[k] != NULL;
				model[k] = NULL;
				break;
			default:
				assert_ptr_equal(hl_map_u64_get(&m, key), model[k]);
			}
			assert_int_equal(m.count, count);
			assert_true((m.count + m.tombs) * 4 <= m.cap * 3);
		}
		hl_map_u64_fini(&m);
		assert_int_equal(m.count, 0);
	}
}

static void str_model(void **state)
{
	(void)state;
	struct rnd r = { 77 };
	struct hl_map_str m;
	static void *model[KEYS];
	size_t count = 0;
	memset(model, 0, sizeof model);
	hl_map_str_init(&m);
	for (int step = 0; step < 200000; step++) {
		size_t k = rnd_below(&r, KEYS);
		void *v = &cells[rnd_below(&r, KEYS)];
		switch (rnd_below(&r, 3)) {
		case 0:
			assert_int_equal(hl_map_str_put(&m, name_of(k), v), 0);
			count += !model[k];
			model[k] = v;
			break;
		case 1:
			assert_ptr_equal(hl_map_str_del(&m, name_of(k)), model[k]);
			count -= model[k] != NULL;
			model[k] = NULL;
			break;
		default:
			assert_ptr_equal(hl_map_str_get(&m, name_of(k)), model[k]);
		}
		assert_int_equal(m.count, count);
	}
	size_t pos = 0, seen = 0;
	struct hl_str key;
	void *value;
	while (hl_map_str_next(&m, &pos, &key, &value)) {
		size_t k = (size_t)atoi(key.ptr + 1);
		assert_ptr_equal(model[k], value);
		seen++;
	}
	assert_int_equal(seen, count);
	hl_map_str_fini(&m);
}

/* Entries come and go forever without the table growing. */
static void tombstones_do_not_pile_up(void **state)
{
	(void)state;
	struct hl_map_u64 m = { 0 };
	for (uint64_t i = 0; i < 100000; i++) {
		assert_int_equal(hl_map_u64_put(&m, i, cells), 0);
		if (i >= 5)
			assert_non_null(hl_map_u64_del(&m, i - 5));
	}
	assert_int_equal(m.count, 5);
	assert_true(m.cap <= 32);
	hl_map_u64_fini(&m);
}

/* A table that is nearly as full as it gets stays where it is while entries are exchanged: freed places are used
 * again. */
static void exchanging_needs_no_memory(void **state)
{
	(void)state;
	struct hl_map_u64 m = { 0 };
	struct hl_map_str s = { 0 };
	for (size_t i = 0; i < 11; i++) {
		assert_int_equal(hl_map_u64_put(&m, i, &cells[i]), 0);
		assert_int_equal(hl_map_str_put(&s, name_of(i), &cells[i]), 0);
	}
	const void *m_slots = m.slots, *s_slots = s.slots;
	for (size_t i = 0; i < 1000; i++) {
		assert_non_null(hl_map_u64_del(&m, i % 11));
		assert_int_equal(hl_map_u64_put(&m, i % 11, cells), 0);
		assert_non_null(hl_map_str_del(&s, name_of(i % 11)));
		assert_int_equal(hl_map_str_put(&s, name_of(i % 11), cells), 0);
	}
	assert_ptr_equal(m.slots, m_slots);
	assert_ptr_equal(s.slots, s_slots);
	hl_map_u64_fini(&m);
	hl_map_str_fini(&s);
}

static void delete_during_walk(void **state)
{
	(void)state;
	struct hl_map_u64 m = { 0 };
	struct hl_map_str s = { 0 };
	static unsigned seen[KEYS];
	memset(seen, 0, sizeof seen);
	for (size_t i = 0; i < KEYS; i++) {
		assert_int_equal(hl_map_u64_put(&m, i, &cells[i]), 0);
		assert_int_equal(hl_map_str_put(&s, name_of(i), &cells[i]), 0);
	}
	size_t pos = 0;
	uint64_t key;
	void *value;
	while (hl_map_u64_next(&m, &pos, &key, &value)) {
		assert_ptr_equal(value, &cells[key]);
		seen[key]++;
		if (key % 3)
			assert_ptr_equal(hl_map_u64_del(&m, key), value);
	}
	for (size_t i = 0; i < KEYS; i++) {
		assert_int_equal(seen[i], 1);
		assert_int_equal(hl_map_u64_get(&m, i) != NULL, i % 3 == 0);
	}
	pos = 0;
	size_t n = 0;
	for (struct hl_str k; hl_map_str_next(&s, &pos, &k, NULL); n++)
		assert_non_null(hl_map_str_del(&s, k));
	assert_int_equal(n, KEYS);
	assert_int_equal(s.count, 0);
	pos = 0;
	assert_false(hl_map_str_next(&s, &pos, NULL, NULL));
	hl_map_u64_fini(&m);
	hl_map_str_fini(&s);
}

static void empty_and_odd_keys(void **state)
{
	(void)state;
	struct hl_map_str s = { 0 };
	struct hl_map_u64 m = { 0 };
	size_t pos = 0;
	assert_null(hl_map_str_get(&s, HL_STR("x")));
	assert_null(hl_map_str_del(&s, HL_STR("x")));
	assert_false(hl_map_str_next(&s, &pos, NULL, NULL));
	assert_null(hl_map_u64_del(&m, 0));
	assert_int_equal(hl_map_str_put(&s, HL_STR_NONE, &cells[1]), 0);
	assert_int_equal(hl_map_str_put(&s, HL_STR("a\0b"), &cells[2]), 0);
	assert_int_equal(hl_map_str_put(&s, HL_STR("a\0c"), &cells[3]), 0);
	assert_ptr_equal(hl_map_str_get(&s, HL_STR("")), &cells[1]);
	assert_ptr_equal(hl_map_str_get(&s, HL_STR("a\0b")), &cells[2]);
	assert_ptr_equal(hl_map_str_get(&s, HL_STR("a\0c")), &cells[3]);
	assert_null(hl_map_str_get(&s, HL_STR("a")));
	assert_int_equal(hl_map_u64_put(&m, UINT64_MAX, cells), 0);
	assert_ptr_equal(hl_map_u64_get(&m, UINT64_MAX), cells);
	hl_map_str_fini(&s);
	hl_map_u64_fini(&m);
}

/* Replacing a value takes over the new key slice too: the old one may be freed with the old value. */
static void replacing_takes_the_new_slice(void **state)
{
	(void)state;
	struct hl_map_str s = { 0 };
	char *old = strdup("key"), *fresh = strdup("key");
	assert_int_equal(hl_map_str_put(&s, hl_str_from(old), &cells[1]), 0);
	assert_int_equal(hl_map_str_put(&s, hl_str_from(fresh), &cells[2]), 0);
	memset(old, 'x', 3);
	free(old);
	assert_ptr_equal(hl_map_str_get(&s, HL_STR("key")), &cells[2]);
	assert_int_equal(s.count, 1);
	hl_map_str_fini(&s);
	free(fresh);
}

static int make_names(void **state)
{
	(void)state;
	for (int i = 0; i < KEYS; i++)
		snprintf(names[i], sizeof names[i], "k%d", i);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u64_model),
		cmocka_unit_test(str_model),
		cmocka_unit_test(tombstones_do_not_pile_up),
		cmocka_unit_test(exchanging_needs_no_memory),
		cmocka_unit_test(delete_during_walk),
		cmocka_unit_test(empty_and_odd_keys),
		cmocka_unit_test(replacing_takes_the_new_slice),
	};
	return cmocka_run_group_tests(tests, make_names, NULL);
}
