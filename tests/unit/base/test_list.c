/* The ring against an array of numbers. */
#include "base_test.h"
#include "base/list.h"

struct item {
	int id;
	struct hl_list node;
};

static void model(void **state)
{
	(void)state;
	struct rnd r = { 9 };
	struct hl_list head;
	static struct item items[50];
	int order[50], count = 0;
	hl_list_init(&head);
	for (int i = 0; i < 50; i++)
		items[i].id = i;
	for (int step = 0; step < 50000; step++) {
		struct item *x = &items[rnd_below(&r, 50)];
		if (!hl_list_linked(&x->node)) {
			bool front = rnd_below(&r, 2);
			if (front) {
				hl_list_push_front(&head, &x->node);
				memmove(order + 1, order, (size_t)count * sizeof order[0]);
			} else {
				hl_list_push_back(&head, &x->node);
			}
			order[front ? 0 : count] = x->id;
			count++;
		} else if (rnd_below(&r, 3)) {
			int at = 0;
			while (order[at] != x->id)
				at++;
			hl_list_remove(&x->node);
			hl_list_remove(&x->node);
			count--;
			memmove(order + at, order + at + 1, (size_t)(count - at) * sizeof order[0]);
		} else {
			struct hl_list *first = hl_list_pop_front(&head);
			assert_int_equal(HL_LIST_ENTRY(first, struct item, node)->id, order[0]);
			assert_false(hl_list_linked(first));
			count--;
			memmove(order, order + 1, (size_t)count * sizeof order[0]);
		}
		int i = 0;
		HL_LIST_EACH(it, &head)
			assert_int_equal(HL_LIST_ENTRY(it, struct item, node)->id, order[i++]);
		assert_int_equal(i, count);
		assert_int_equal(hl_list_empty(&head), count == 0);
	}
}

static void removing_while_walking(void **state)
{
	(void)state;
	struct hl_list head;
	struct item items[10] = { 0 };
	hl_list_init(&head);
	assert_null(hl_list_pop_front(&head));
	for (int i = 0; i < 10; i++)
		hl_list_push_back(&head, &items[i].node);
	int n = 0;
	HL_LIST_EACH(it, &head) {
		hl_list_remove(it);
		n++;
	}
	assert_int_equal(n, 10);
	assert_true(hl_list_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model),
		cmocka_unit_test(removing_while_walking),
	};
	return RUN(tests);
}
