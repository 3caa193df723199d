/* The growable buffer, alone and against a model. */
#include "base_test.h"
#include "base/buf.h"

#include <stdio.h>

static void appending(void **state)
{
	(void)state;
	struct hl_buf b;
	hl_buf_init(&b);
	assert_true(hl_buf_check(&b));
	hl_buf_cstr(&b, "a");
	hl_buf_str(&b, HL_STR("bc"));
	hl_buf_str(&b, HL_STR_NONE);
	hl_buf_char(&b, 'd');
	hl_buf_u64(&b, UINT64_MAX);
	hl_buf_char(&b, ' ');
	hl_buf_i64(&b, INT64_MIN);
	hl_buf_i64(&b, 0);
	hl_buf_fmt(&b, "%s-%03d", "x", 7);
	hl_buf_fmt(&b, "%s", "");
	assert_str(hl_buf_all(&b), "abcd18446744073709551615 -92233720368547758080x-007");
	assert_true(hl_buf_ok(&b) && hl_buf_check(&b));
	assert_string_equal(b.data, "abcd18446744073709551615 -92233720368547758080x-007");
	hl_buf_fini(&b);
	assert_null(b.data);
	hl_buf_cstr(&b, "again");
	assert_str(hl_buf_all(&b), "again");
	hl_buf_fini(&b);
}

static void maximum(void **state)
{
	(void)state;
	struct hl_buf b = { .max = 10 };
	hl_buf_cstr(&b, "0123456789");
	assert_true(hl_buf_ok(&b));
	assert_int_equal(b.cap, 11);
	hl_buf_char(&b, 'x');
	assert_false(hl_buf_ok(&b));
	assert_str(hl_buf_all(&b), "0123456789");
	hl_buf_add(&b, "", 0);
	assert_false(hl_buf_reserve(&b, 0));
	hl_buf_consume(&b, 10);
	hl_buf_cstr(&b, "y");
	assert_int_equal(b.len, 0);
	hl_buf_reset(&b);
	hl_buf_fmt(&b, "%d%s", 12345, "6789012");
	assert_false(hl_buf_ok(&b));
	assert_int_equal(b.len, 0);
	assert_true(hl_buf_check(&b));
	hl_buf_reset(&b);
	hl_buf_cstr(&b, "0123456789");
	hl_buf_consume(&b, 4);
	hl_buf_cstr(&b, "abcd"); /* fits only because what was read is dropped */
	assert_true(hl_buf_ok(&b));
	assert_str(hl_buf_unread(&b), "456789abcd");
	hl_buf_fini(&b);
	assert_int_equal(b.max, 10);
}

static void sizes_that_overflow(void **state)
{
	(void)state;
	struct hl_buf b = { 0 };
	hl_buf_cstr(&b, "abc");
	assert_false(hl_buf_reserve(&b, SIZE_MAX));
	assert_false(hl_buf_ok(&b));
	hl_buf_reset(&b);
	assert_false(hl_buf_reserve(&b, SIZE_MAX - 3));
	hl_buf_reset(&b);
	assert_false(hl_buf_reserve(&b, SIZE_MAX / 2));
	hl_buf_reset(&b);
	b.max = 100;
	assert_false(hl_buf_reserve(&b, SIZE_MAX));
	assert_true(hl_buf_check(&b));
	hl_buf_fini(&b);
}

static void cursors(void **state)
{
	(void)state;
	struct hl_buf b = { 0 };
	assert_int_equal(hl_buf_unread(&b).len, 0);
	hl_buf_consume(&b, 0);
	hl_buf_cstr(&b, "hello world");
	hl_buf_consume(&b, 6);
	assert_str(hl_buf_unread(&b), "world");
	assert_str(hl_buf_all(&b), "hello world");
	hl_buf_consume(&b, 5);
	assert_int_equal(b.rd, 0);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	hl_buf_fini(&b);
}

/* What was reserved may be filled directly. */
static void direct_fill(void **state)
{
	(void)state;
	struct hl_buf b = { 0 };
	assert_true(hl_buf_reserve(&b, 1000));
	assert_true(b.cap - b.len > 1000);
	memset(b.data, 'x', 1000);
	b.len += 1000;
	b.data[b.len] = '\0';
	assert_true(hl_buf_check(&b));
	hl_buf_cstr(&b, "y");
	assert_int_equal(b.data[1000], 'y');
	hl_buf_fini(&b);
}

/* Random appends and reads against a flat record of everything ever appended. */
static void model(void **state)
{
	(void)state;
	static char all[400000];
	for (uint64_t round = 1; round <= 20; round++) {
		struct rnd r = { round };
		struct hl_buf b = { .max = round % 2 ? 700 : 0 };
		size_t end = 0, start = 0;
		while (end < sizeof all - 1000) {
			char piece[400];
			size_t n = rnd_below(&r, sizeof piece);
			for (size_t i = 0; i < n; i++)
				piece[i] = (char)rnd_u64(&r);
			bool fits = !b.max || end - start + n <= b.max;
			if (fits) {
				hl_buf_add(&b, piece, n);
				memcpy(all + end, piece, n);
				end += n;
			}
			assert_true(hl_buf_ok(&b) && hl_buf_check(&b));
			assert_true(hl_buf_unread(&b).len == end - start);
			assert_memory_equal(hl_buf_unread(&b).ptr, all + start, end - start);
			n = rnd_below(&r, (uint32_t)(end - start + 1));
			hl_buf_consume(&b, n);
			start += n;
			assert_true(hl_buf_check(&b));
		}
		assert_true(b.cap < 20000); /* what was read does not pile up */
		hl_buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appending),
		cmocka_unit_test(maximum),
		cmocka_unit_test(sizes_that_overflow),
		cmocka_unit_test(cursors),
		cmocka_unit_test(direct_fill),
		cmocka_unit_test(model),
	};
	return RUN(tests);
}
