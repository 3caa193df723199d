/* Deadlines in a heap behind one uv_timer.
 *
 * The node's key in the heap is a lower bound of the deadline's time. When the key comes up, a deadline that was moved
 * later is pushed again with its real time, one that was cleared is dropped, and only the rest fire. So the usual life of
 * a deadline (set, moved, moved, cleared) touches the heap once or twice however often it moves.
 * A deadline that moves earlier must be put in its place at once. */
#include "http/deadline.h"
#include "base/check.h"
#include "base/defs.h"

static hl_ms_t now_ms(const struct hl_deadlines *s)
{
	return (hl_ms_t)uv_now(s->loop);
}

static void on_timer(uv_timer_t *t);

static void arm(struct hl_deadlines *s)
{
	const struct hl_heap_node *first = hl_heap_peek(&s->heap);
	if (!first || s->firing || (s->armed_ms && s->armed_ms <= first->key))
		return; /* an alarm that comes too early finds nothing due and arms itself again */
	s->armed_ms = HL_MAX(first->key, 1);
	hl_ms_t in_ms = HL_MAX(first->key - now_ms(s), 1); /* never 0: libuv 1.44 would spin */
	(void)uv_timer_start(&s->timer, on_timer, (uint64_t)in_ms, 0);
}

static void on_timer(uv_timer_t *t)
{
	struct hl_deadlines *s = t->data;
	struct hl_heap_node *first;
	s->armed_ms = 0;
	s->firing = true;
	while ((first = hl_heap_peek(&s->heap)) && first->key <= now_ms(s)) {
		struct hl_deadline *d = HL_CONTAINER_OF(hl_heap_pop(&s->heap), struct hl_deadline, node);
		if (d->at_ms > now_ms(s)) {
			HL_CHECK(hl_heap_push(&s->heap, &d->node, d->at_ms) == 0); /* its old place is free: cannot fail */
		} else if (d->at_ms) {
			d->at_ms = 0;
			d->cb(d);
		}
	}
	s->firing = false;
	arm(s);
}

int hl_deadlines_init(struct hl_deadlines *s, uv_loop_t *loop)
{
	*s = (struct hl_deadlines){ .loop = loop };
	hl_heap_init(&s->heap);
	if (uv_timer_init(loop, &s->timer))
		return HL_ENOMEM;
	s->timer.data = s;
	return 0;
}

static void on_timer_closed(uv_handle_t *h)
{
	struct hl_deadlines *s = h->data;
	hl_heap_fini(&s->heap);
	s->on_closed(s->on_closed_data);
}

void hl_deadlines_close(struct hl_deadlines *s, void (*cb)(void *data), void *data)
{
	HL_CHECK(s->heap.count == 0);
	s->on_closed = cb;
	s->on_closed_data = data;
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

int hl_deadline_set(struct hl_deadlines *s, struct hl_deadline *d, hl_ms_t in_ms)
{
	hl_ms_t at_ms = now_ms(s) + HL_MAX(in_ms, 1);
	if (hl_heap_linked(&d->node)) {
		if (d->node.key <= at_ms) {
			d->at_ms = at_ms;
			return 0;
		}
		hl_heap_remove(&s->heap, &d->node);
	}
	d->at_ms = 0;
	int rc = hl_heap_push(&s->heap, &d->node, at_ms);
	if (rc)
		return rc;
	d->at_ms = at_ms;
	arm(s);
	return 0;
}

void hl_deadline_remove(struct hl_deadlines *s, struct hl_deadline *d)
{
	d->at_ms = 0;
	hl_heap_remove(&s->heap, &d->node);
}
