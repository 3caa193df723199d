/* What of a queue is in memory: the ring of never-attempted deliveries and the heap of waiting ones; filling, emptying, telling
 * what the store holds beyond them (queue.c tells the story). */
#include "dispatch/queue.h"

#include "base/check.h"
#include "base/str.h"
#include <stdlib.h>

enum {
	FRESH_LOW = 64, FRESH_PARKED_MAX = 64, LEAST_LOW = HL_QUEUE_LEAST / 2,
	DUE_LOW = HL_QUEUE_DUE_MAX / 4, DUE_HARD_MAX = HL_QUEUE_DUE_MAX * 16,
};

void hl_queue_forget_due(struct hl_queue *q, struct hl_due_entry *e)
{
	hl_heap_remove(&q->due, &e->node);
	hl_map_u64_del(&q->shared->waiting, e->due.delivery);
	free(e);
}

void hl_queue_drop_windows(struct hl_queue *q)
{
	uint64_t floor = hl_queue_fresh_floor(q, NULL);
	bool had_fresh = q->fresh_count > 0 || q->fresh_more;
	q->shared->n_fresh -= q->fresh_count;
	for (; q->fresh_count > 0; q->fresh_count--) {
		hl_event_cache_release(q->shared->events, q->fresh[q->fresh_head].ref);
		q->fresh_head = (q->fresh_head + 1) % q->fresh_cap;
	}
	free(q->fresh);
	q->fresh = NULL;
	q->fresh_cap = q->fresh_head = 0;
	if (had_fresh) {
		q->fresh_more = true;
		q->fresh_next = floor;
	}
	hl_queue_reload_due(q);
}

void hl_queue_reload_due(struct hl_queue *q)
{
	struct hl_heap_node *n;
	while ((n = hl_heap_peek(&q->due)))
		hl_queue_forget_due(q, HL_CONTAINER_OF(n, struct hl_due_entry, node));
	q->epoch++;
	q->due_more = true;
	q->upto_due_ms = INT64_MIN;
	q->upto_delivery = 0;
}

/* ---- fresh window ---- */

static bool grow_ring(struct hl_queue *q)
{
	uint32_t cap = q->fresh_cap ? q->fresh_cap * 2 : 8;
	struct hl_fresh_entry *ring = malloc(cap * sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < q->fresh_count; i++)
		ring[i] = q->fresh[(q->fresh_head + i) % q->fresh_cap];
	free(q->fresh);
	q->fresh = ring;
	q->fresh_head = 0;
	q->fresh_cap = cap;
	return true;
}

/* Whether the memory for windows allows this queue one more fresh entry. */
static bool fresh_room(const struct hl_queue *q)
{
	uint32_t max = q->state == HL_QUEUE_OPEN ? HL_QUEUE_FRESH_MAX : FRESH_PARKED_MAX;
	return q->fresh_count < max && (q->fresh_count < HL_QUEUE_LEAST || q->shared->n_fresh < q->shared->n_fresh_max);
}

static bool due_room(const struct hl_queue *q)
{
	return q->due.count < HL_QUEUE_LEAST || q->shared->waiting.count < q->shared->n_due_max;
}

static bool ring_push(struct hl_queue *q, struct hl_fresh_entry e)
{
	if (q->fresh_count == q->fresh_cap && !grow_ring(q))
		return false;
	q->fresh[(q->fresh_head + q->fresh_count) % q->fresh_cap] = e;
	q->fresh_count++;
	q->shared->n_fresh++;
	return true;
}

bool hl_queue_push_fresh(struct hl_queue *q, uint64_t delivery, uint64_t event, struct hl_event_ref *ref)
{
	if (q->fresh_more || delivery < q->fresh_next)
		return false;
	if (q->state == HL_QUEUE_HELD || q->state == HL_QUEUE_GONE || !fresh_room(q) ||
	    !ring_push(q, (struct hl_fresh_entry){ delivery, event, ref })) {
		q->fresh_more = true;
		q->fresh_next = delivery;
		return false;
	}
	q->fresh_next = delivery + 1;
	return true;
}

int hl_queue_load_fresh(struct hl_queue *q, uint32_t epoch, const struct hl_fresh *v, size_t n, uint64_t next, bool more)
{
	q->fresh_loading = false;
	if (epoch != q->epoch || !q->fresh_more)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (v[i].delivery < q->fresh_next || hl_map_u64_get(&q->shared->claims, v[i].delivery))
			continue;
		if (!fresh_room(q)) { /* the rest stays where it is */
			q->fresh_next = v[i].delivery;
			return 0;
		}
		struct hl_fresh_entry e = { v[i].delivery, v[i].event, hl_event_cache_find(q->shared->events, v[i].event) };
		if (!ring_push(q, e)) {
			hl_event_cache_release(q->shared->events, e.ref);
			return HL_ENOMEM;
		}
		q->fresh_next = v[i].delivery + 1;
	}
	q->fresh_next = HL_MAX(q->fresh_next, next);
	q->fresh_more = more;
	return 0;
}

bool hl_queue_wants_fresh(const struct hl_queue *q)
{
	if (!q->fresh_more || q->fresh_loading)
		return false;
	uint32_t low = q->shared->n_fresh < q->shared->n_fresh_max ? FRESH_LOW : LEAST_LOW;
	return q->state == HL_QUEUE_OPEN ? q->fresh_count < low : q->state == HL_QUEUE_PARKED && q->fresh_count == 0;
}

void hl_queue_note_fresh(struct hl_queue *q, struct hl_slot *slot)
{
	struct hl_list *at = q->fresh_in_flight.prev; /* nearly always the place: numbers are taken in order */
	while (at != &q->fresh_in_flight && HL_LIST_ENTRY(at, struct hl_slot, fresh)->delivery > slot->delivery)
		at = at->prev;
	hl_list_insert_after(at, &slot->fresh);
}

uint64_t hl_queue_fresh_floor(const struct hl_queue *q, const struct hl_slot *ended)
{
	uint64_t floor = q->fresh_next;
	if (q->fresh_count > 0)
		floor = HL_MIN(floor, q->fresh[q->fresh_head].delivery);
	const struct hl_list *first = q->fresh_in_flight.next;
	if (ended && first == &ended->fresh)
		first = first->next;
	if (first != &q->fresh_in_flight)
		floor = HL_MIN(floor, HL_LIST_ENTRY(first, const struct hl_slot, fresh)->delivery);
	return floor;
}

/* ---- due window ---- */

/* When a stored entry counts as due now, in wall time. */
static hl_ms_t effective_due(const struct hl_queue *q, const struct hl_due *d, hl_ms_t now_ms)
{
	if (d->why == HL_WAIT_BACKOFF && d->drain_gen < q->drain_gen && !q->limits.strict)
		return now_ms;
	if (d->why == HL_WAIT_DELIVER_AFTER)
		return d->due_at_ms; /* a moment the publisher named, not a wait of ours */
	return hl_policy_due(d->due_at_ms, d->set_at_ms, now_ms);
}

static hl_ms_t due_mono(const struct hl_queue *q, const struct hl_due *d, hl_ms_t now_ms, hl_ms_t now_mono_ms)
{
	return now_mono_ms + HL_MAX((hl_ms_t)0, effective_due(q, d, now_ms) - now_ms);
}

static bool after_upto(const struct hl_queue *q, const struct hl_due *d)
{
	if (d->due_at_ms != q->upto_due_ms)
		return d->due_at_ms > q->upto_due_ms;
	return d->delivery > q->upto_delivery;
}

static int add_due(struct hl_queue *q, const struct hl_due *d, bool early, hl_ms_t now_ms, hl_ms_t now_mono_ms)
{
	if (hl_map_u64_get(&q->shared->waiting, d->delivery) || hl_map_u64_get(&q->shared->claims, d->delivery))
		return 0;
	struct hl_due_entry *e = calloc(1, sizeof(*e));
	if (!e)
		return HL_ENOMEM;
	e->due = *d;
	e->tried = early ? q->n_probes : 0;
	int rc = hl_map_u64_put(&q->shared->waiting, d->delivery, e);
	if (rc == 0) {
		rc = hl_heap_push(&q->due, &e->node, due_mono(q, d, now_ms, now_mono_ms));
		if (rc == 0)
			return 0;
		hl_map_u64_del(&q->shared->waiting, d->delivery);
	}
	free(e);
	return rc;
}

int hl_queue_push_due(struct hl_queue *q, const struct hl_due *d, bool early, hl_ms_t now_ms, hl_ms_t now_mono_ms)
{
	if (q->state == HL_QUEUE_HELD || q->state == HL_QUEUE_GONE) {
		q->due_more = true;
		return 0;
	}
	if (after_upto(q, d)) {
		if (q->due_more)
			return 0;
		if (q->due.count >= HL_QUEUE_DUE_MAX || !due_room(q)) {
			q->due_more = true;
			return 0;
		}
		q->upto_due_ms = d->due_at_ms;
		q->upto_delivery = d->delivery;
	} else if (q->due.count >= DUE_HARD_MAX) {
		hl_queue_reload_due(q); /* it reached too far; the store has them all */
		return 0;
	}
	return add_due(q, d, early, now_ms, now_mono_ms);
}

int hl_queue_load_due(struct hl_queue *q, uint32_t epoch, const struct hl_due *v, size_t n, bool more, hl_ms_t now_ms,
		hl_ms_t now_mono_ms)
{
	q->due_loading = false;
	if (epoch != q->epoch || q->state == HL_QUEUE_HELD || q->state == HL_QUEUE_GONE)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (!due_room(q)) { /* the rest stays where it is */
			q->due_more = true;
			return 0;
		}
		int rc = add_due(q, &v[i], false, now_ms, now_mono_ms);
		if (rc)
			return rc;
		if (after_upto(q, &v[i])) {
			q->upto_due_ms = v[i].due_at_ms;
			q->upto_delivery = v[i].delivery;
		}
	}
	q->due_more = more;
	if (!more)
		q->draining = false;
	return 0;
}

bool hl_queue_wants_due(const struct hl_queue *q)
{
	if (!q->due_more || q->due_loading || (q->state != HL_QUEUE_OPEN && q->state != HL_QUEUE_PARKED))
		return false;
	bool room = q->shared->waiting.count < q->shared->n_due_max;
	return q->due.count < (room ? DUE_LOW : LEAST_LOW) || (q->draining && room && q->due.count < DUE_HARD_MAX);
}

bool hl_queue_remove(struct hl_queue *q, uint64_t delivery)
{
	struct hl_due_entry *e = hl_map_u64_get(&q->shared->waiting, delivery);
	if (e) {
		hl_queue_forget_due(q, e);
		return true;
	}
	for (uint32_t i = 0; i < q->fresh_count; i++) {
		struct hl_fresh_entry *at = &q->fresh[(q->fresh_head + i) % q->fresh_cap];
		if (at->delivery != delivery)
			continue;
		hl_event_cache_release(q->shared->events, at->ref);
		for (; i + 1 < q->fresh_count; i++)
			q->fresh[(q->fresh_head + i) % q->fresh_cap] = q->fresh[(q->fresh_head + i + 1) % q->fresh_cap];
		q->fresh_count--;
		q->shared->n_fresh--;
		return true;
	}
	return false;
}

int hl_queue_retime(struct hl_queue *q, hl_ms_t now_ms, hl_ms_t now_mono_ms)
{
	struct hl_heap old = q->due;
	hl_heap_init(&q->due);
	struct hl_heap_node *n;
	int rc = 0;
	while ((n = hl_heap_pop(&old))) {
		struct hl_due_entry *e = HL_CONTAINER_OF(n, struct hl_due_entry, node);
		hl_ms_t was = n->key;
		hl_ms_t now_due = due_mono(q, &e->due, now_ms, now_mono_ms);
		if (rc == 0)
			rc = hl_heap_push(&q->due, n, HL_MIN(was, now_due));
		if (rc) { /* it stays in the store: read it again */
			hl_map_u64_del(&q->shared->waiting, e->due.delivery);
			free(e);
		}
	}
	hl_heap_fini(&old);
	if (rc)
		hl_queue_reload_due(q);
	return rc;
}

void hl_queue_put_back(struct hl_queue *q, const struct hl_work *w, hl_ms_t now_mono_ms)
{
	hl_queue_drop_windows(q);
	q->hold_mono_ms = now_mono_ms + HL_QUEUE_HOLD_MS;
	if (w->fresh) {
		q->fresh_more = true;
		q->fresh_next = HL_MIN(q->fresh_next, w->delivery);
	}
}
