/* The heap against a plain array searched for its minimum. */
#include "base_test.h"
#include "base/heap.h"

enum { NODES = 300 };

static void order_of_equals(void **state)
{
	(void)state;
	struct hl_heap h;
	struct hl_heap_node n[100] = { 0 };
	hl_heap_init(&h);
	assert_null(hl_heap_peek(&h));
	assert_null(hl_heap_pop(&h));
	for (int i = 0; i < 100; i++)
		assert_int_equal(hl_heap_push(&h, &n[i], i % 2), 0);
	for (int i = 0; i < 100; i += 2)
		assert_ptr_equal(hl_heap_pop(&h), &n[i]);
	for (int i = 1; i < 100; i += 2)
		assert_ptr_equal(hl_heap_pop(&h), &n[i]);
	assert_int_equal(h.count, 0);
	hl_heap_fini(&h);
}

static void check_shape(const struct hl_heap *h)
{
	for (size_t i = 0; i < h->count; i++) {
		assert_int_equal(h->nodes[i]->pos, i + 1);
		if (i > 0)
			assert_true(h->nodes[(i - 1) / 2]->key <= h->nodes[i]->key);
	}
}

static void model(void **state)
{
	(void)state;
	for (uint64_t round = 1; round <= 6; round++) {
		struct rnd r = { round };
		struct hl_heap h = { 0 };
		static struct hl_heap_node n[NODES];
		memset(n, 0, sizeof n);
		for (int step = 0; step < 20000; step++) {
			struct hl_heap_node *x = &n[rnd_below(&r, NODES)], *min = NULL;
			if (!hl_heap_linked(x)) {
				int64_t key = (int64_t)rnd_below(&r, 50) - 25;
				if (rnd_below(&r, 20) == 0)
					key = rnd_below(&r, 2) ? INT64_MAX : INT64_MIN;
				assert_int_equal(hl_heap_push(&h, x, key), 0);
			} else if (rnd_below(&r, 2)) {
				hl_heap_remove(&h, x);
				assert_false(hl_heap_linked(x));
				hl_heap_remove(&h, x);
			}
			size_t linked = 0;
			for (int i = 0; i < NODES; i++) {
				if (!hl_heap_linked(&n[i]))
					continue;
				linked++;
				if (!min || n[i].key < min->key || (n[i].key == min->key && n[i].seq < min->seq))
					min = &n[i];
			}
			assert_int_equal(h.count, linked);
			assert_ptr_equal(hl_heap_peek(&h), min);
			if (rnd_below(&r, 8) == 0)
				assert_ptr_equal(hl_heap_pop(&h), min);
			if (step % 500 == 0)
				check_shape(&h);
		}
		hl_heap_fini(&h);
	}
}

static void shrinks(void **state)
{
	(void)state;
	struct hl_heap h = { 0 };
	struct hl_heap_node *n = calloc(10000, sizeof *n);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(hl_heap_push(&h, &n[i], 10000 - i), 0);
	assert_true(h.cap >= 10000);
	for (int i = 0; i < 10000; i++)
		assert_ptr_equal(hl_heap_pop(&h), &n[9999 - i]);
	assert_true(h.cap <= 64);
	hl_heap_fini(&h);
	free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_of_equals),
		cmocka_unit_test(model),
		cmocka_unit_test(shrinks),
	};
	return RUN(tests);
}
