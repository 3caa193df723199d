/* Deadlines: they come when they should, move, vanish, and may be changed from inside one. */
#include "http_test.h"
#include "base/defs.h"
#include "http/deadline.h"
#include "loop.h"

struct item {
	struct hl_deadline d;
	struct hl_deadlines *set;
	struct item *other;
	int n;
	hl_ms_t again_ms;
	bool fired;
	uint64_t at_ms;
};

static int n_order;
static int order[16];

static void on_item(struct hl_deadline *d)
{
	struct item *i = HL_CONTAINER_OF(d, struct item, d);
	order[n_order++] = i->n;
	i->fired = true;
	i->at_ms = uv_now(i->set->loop);
	if (i->other)
		hl_deadline_remove(i->set, &i->other->d);
	if (i->again_ms) {
		assert_int_equal(hl_deadline_set(i->set, d, i->again_ms), 0);
		i->again_ms = 0;
		i->fired = false;
	}
}

static void closed(void *data)
{
	*(bool *)data = true;
}

static void comes_in_order(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct hl_deadlines s;
	struct item it[6];
	bool gone = false;
	loop_init(&loop);
	assert_int_equal(hl_deadlines_init(&s, &loop), 0);
	memset(it, 0, sizeof(it));
	for (int i = 0; i < 6; i++) {
		it[i].n = i;
		it[i].set = &s;
		hl_deadline_init(&it[i].d, on_item);
	}
	n_order = 0;
	uint64_t start_ms = uv_now(&loop);
	assert_int_equal(hl_deadline_set(&s, &it[0].d, 40), 0);
	assert_int_equal(hl_deadline_set(&s, &it[1].d, 5), 0);
	assert_int_equal(hl_deadline_set(&s, &it[1].d, 30), 0);  /* later */
	assert_int_equal(hl_deadline_set(&s, &it[2].d, 60), 0);
	assert_int_equal(hl_deadline_set(&s, &it[2].d, 10), 0);  /* earlier */
	assert_int_equal(hl_deadline_set(&s, &it[3].d, 20), 0);
	hl_deadline_clear(&it[3].d);                             /* never */
	assert_int_equal(hl_deadline_set(&s, &it[4].d, 35), 0);  /* removed by 1 */
	it[1].other = &it[4];
	assert_int_equal(hl_deadline_set(&s, &it[5].d, 1), 0);   /* sets itself again */
	it[5].again_ms = 50;
	assert_true(loop_until(&loop, &it[5].fired, 2000));
	static const int want[] = { 5, 2, 1, 0, 5 };
	assert_int_equal(n_order, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(order[i], want[i]);
	assert_true(it[1].at_ms >= start_ms + 30);
	assert_true(it[2].at_ms >= start_ms + 10 && it[2].at_ms < it[1].at_ms);
	for (int i = 0; i < 6; i++)
		hl_deadline_remove(&s, &it[i].d);
	hl_deadlines_close(&s, closed, &gone);
	assert_true(loop_until(&loop, &gone, 1000));
	loop_fini(&loop);
}

/* Moving a deadline a million times later leaves one entry in the heap. */
static void moving_is_cheap(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct hl_deadlines s;
	struct hl_deadline d;
	bool gone = false;
	loop_init(&loop);
	assert_int_equal(hl_deadlines_init(&s, &loop), 0);
	hl_deadline_init(&d, on_item);
	for (int i = 1; i < 1000000; i++) {
		assert_int_equal(hl_deadline_set(&s, &d, i), 0);
		if (i % 1000 == 0)
			hl_deadline_clear(&d);
	}
	assert_int_equal(s.heap.count, 1);
	hl_deadline_remove(&s, &d);
	hl_deadlines_close(&s, closed, &gone);
	assert_true(loop_until(&loop, &gone, 1000));
	loop_fini(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_in_order),
		cmocka_unit_test(moving_is_cheap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
