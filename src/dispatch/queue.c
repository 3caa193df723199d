/* One webhook's pending deliveries in memory.
 *
 * The happy path: a publish pushes a fresh entry, the scheduler asks hl_queue_ready, takes the entry, the attempt succeeds,
 * hl_queue_learn widens the window by 1/N.
 *
 * What else happens:
 *  - The fresh ring is full, or the queue is behind: the entry stays in the store, fresh_more remembers that, and the ring is
 *    filled again from fresh_next when it runs low. Entries come strictly in ascending order, so nothing is seen twice.
 *  - An attempt fails: its next due time is stored, then pushed here if it lies inside the window of due entries.
 *  - A due entry may be read from the store while its delivery is in flight or waits here already: `claims` and `waiting`
 *    know, and it is skipped.
 *  - The receiver is gone: park_after failures that say so park the queue. One delivery at a time probes, later and later.
 *  - It is back: the first success drains. A new drain generation makes everything due that began to wait in an older one;
 *    a number and not a time, because a clock set back would make fresh failures look older than the mark. */
#include "dispatch/queue.h"

#include "base/check.h"
#include "base/str.h"
#include <stdlib.h>

enum { RING_KEPT = 64 };

int hl_queue_create(struct hl_queue **out, struct hl_queue_shared *shared, uint32_t account, uint32_t webhook,
		const struct hl_queue_limits *limits)
{
	struct hl_queue *q = calloc(1, sizeof(*q));
	if (!q)
		return HL_ENOMEM;
	q->shared = shared;
	q->account = account;
	q->webhook = webhook;
	q->state = HL_QUEUE_OPEN;
	q->lane = -1;
	q->upto_due_ms = INT64_MIN;
	hl_list_init(&q->fresh_in_flight);
	hl_heap_init(&q->due);
	hl_queue_set_limits(q, limits);
	q->window = HL_MIN((double)HL_QUEUE_START_WINDOW, (double)q->limits.max_in_flight);
	q->tokens = (double)limits->rate_per_s;
	*out = q;
	return 0;
}

void hl_queue_set_limits(struct hl_queue *q, const struct hl_queue_limits *limits)
{
	HL_CHECK(limits->max_in_flight >= 1);
	q->limits = *limits;
	q->window = HL_MIN(HL_MAX(q->window, 1.0), (double)limits->max_in_flight);
	q->tokens = HL_MIN(q->tokens, (double)limits->rate_per_s);
}

void hl_queue_destroy(struct hl_queue *q)
{
	if (!q)
		return;
	HL_CHECK(q->busy == 0 && q->lane < 0 && !hl_heap_linked(&q->wake) && !hl_list_linked(&q->sweep));
	hl_queue_drop_windows(q);
	while (hl_list_pop_front(&q->fresh_in_flight))
		; /* their outcomes may still wait for the disk */
	hl_heap_fini(&q->due);
	free(q);
}

/* ---- pace ---- */

bool hl_queue_suspect(const struct hl_queue *q)
{
	return q->last_timeout || q->n_old > 0;
}

/* Milliseconds until the rate limit lets one more through; 0 = now. */
static hl_ms_t rate_wait(struct hl_queue *q, hl_ms_t now_mono_ms)
{
	if (q->limits.rate_per_s == 0)
		return 0;
	double rate = (double)q->limits.rate_per_s;
	q->tokens = HL_MIN(rate, q->tokens + (double)(now_mono_ms - q->tokens_mono_ms) * rate / 1000.0);
	q->tokens_mono_ms = now_mono_ms;
	return q->tokens >= 1.0 ? 0 : (hl_ms_t)((1.0 - q->tokens) * 1000.0 / rate) + 1;
}

/* The waiting delivery a probe may take before its time: not one the receiver or the publisher asked to hold back. */
static struct hl_due_entry *probe_candidate(struct hl_queue *q, hl_ms_t now_mono_ms)
{
	struct hl_heap_node *top = hl_heap_peek(&q->due);
	if (!top)
		return NULL;
	if (top->key <= now_mono_ms)
		return HL_CONTAINER_OF(top, struct hl_due_entry, node);
	if (q->limits.strict)
		return NULL;
	struct hl_due_entry *best = NULL; /* least recently probed, then the one due first */
	for (size_t i = 0; i < q->due.count; i++) {
		struct hl_due_entry *e = HL_CONTAINER_OF(q->due.nodes[i], struct hl_due_entry, node);
		if (e->due.why == HL_WAIT_BACKOFF &&
		    (!best || e->tried < best->tried || (e->tried == best->tried && e->node.key < best->node.key)))
			best = e;
	}
	return best;
}

static enum hl_ready ready_parked(struct hl_queue *q, hl_ms_t now_mono_ms, hl_ms_t *out_wake_mono_ms)
{
	if (q->probing || q->busy > 0)
		return HL_READY_NOT;
	if (q->fresh_count == 0 && !probe_candidate(q, now_mono_ms)) {
		struct hl_heap_node *top = hl_heap_peek(&q->due);
		*out_wake_mono_ms = top ? HL_MAX(top->key, q->probe_mono_ms) : 0;
		return HL_READY_NOT;
	}
	if (now_mono_ms < q->probe_mono_ms) {
		*out_wake_mono_ms = q->probe_mono_ms;
		return HL_READY_NOT;
	}
	return HL_READY_RETRY;
}

enum hl_ready hl_queue_ready(struct hl_queue *q, hl_ms_t now_mono_ms, hl_ms_t *out_wake_mono_ms)
{
	*out_wake_mono_ms = 0;
	if (q->state != HL_QUEUE_OPEN && q->state != HL_QUEUE_PARKED)
		return HL_READY_NOT;
	if (now_mono_ms < q->hold_mono_ms) {
		*out_wake_mono_ms = q->hold_mono_ms;
		return HL_READY_NOT;
	}
	if (q->state == HL_QUEUE_PARKED)
		return ready_parked(q, now_mono_ms, out_wake_mono_ms);
	uint32_t limit = hl_queue_suspect(q) ? 1 : (uint32_t)q->window;
	if (q->busy >= limit)
		return HL_READY_NOT;
	struct hl_heap_node *top = hl_heap_peek(&q->due);
	bool due = top && top->key <= now_mono_ms;
	if (q->fresh_count == 0 && !due) {
		*out_wake_mono_ms = top ? top->key : 0;
		return HL_READY_NOT;
	}
	hl_ms_t wait = rate_wait(q, now_mono_ms);
	if (wait > 0) {
		*out_wake_mono_ms = now_mono_ms + wait;
		return HL_READY_NOT;
	}
	return q->fresh_count > 0 ? HL_READY_FRESH : HL_READY_RETRY;
}

static void take_fresh(struct hl_queue *q, struct hl_work *out)
{
	struct hl_fresh_entry *e = &q->fresh[q->fresh_head];
	*out = (struct hl_work){ .delivery = e->delivery, .event = e->event, .ref = e->ref, .fresh = true };
	q->fresh_head = (q->fresh_head + 1) % q->fresh_cap;
	q->fresh_count--;
	q->shared->n_fresh--;
	if (q->fresh_count == 0 && q->fresh_cap > RING_KEPT) { /* a burst is over: its memory goes back */
		free(q->fresh);
		q->fresh = NULL;
		q->fresh_cap = q->fresh_head = 0;
	}
}

static void take_due(struct hl_queue *q, struct hl_due_entry *e, struct hl_work *out)
{
	*out = (struct hl_work){ .delivery = e->due.delivery, .event = e->due.event, .due = e->due };
	out->ref = hl_event_cache_find(q->shared->events, e->due.event);
	hl_queue_forget_due(q, e);
}

bool hl_queue_take(struct hl_queue *q, hl_ms_t now_mono_ms, bool allow_retry, struct hl_work *out)
{
	q->turn++;
	if (q->state == HL_QUEUE_PARKED) {
		struct hl_due_entry *e = probe_candidate(q, now_mono_ms);
		if (q->fresh_count > 0 && (!e || q->turn % 2))
			take_fresh(q, out);
		else if (e) {
			bool early = e->node.key > now_mono_ms;
			take_due(q, e, out);
			out->early = early;
		} else
			return false;
		out->probe = true;
		q->n_probes++;
		return true;
	}
	struct hl_heap_node *top = hl_heap_peek(&q->due);
	bool due = top && top->key <= now_mono_ms;
	if (q->fresh_count > 0 && !(due && allow_retry && q->turn % 3 == 0))
		take_fresh(q, out);
	else if (due)
		take_due(q, HL_CONTAINER_OF(top, struct hl_due_entry, node), out);
	else
		return false;
	if (q->limits.rate_per_s) {
		(void)rate_wait(q, now_mono_ms); /* a full bucket does not grow while its queue waits for its turn */
		q->tokens -= 1.0;
	}
	return true;
}

/* ---- what an attempt teaches ---- */

static hl_ms_t jittered(hl_ms_t delay, uint32_t rnd)
{
	hl_ms_t span = delay * 2 * HL_QUEUE_PROBE_JITTER_PERCENT / 100;
	return delay - span / 2 + (hl_ms_t)(rnd % (uint32_t)(span + 1));
}

static void set_probe(struct hl_queue *q, hl_ms_t delay, hl_ms_t now_mono_ms, uint32_t rnd)
{
	q->probe_delay_ms = HL_MIN(delay, (hl_ms_t)HL_QUEUE_PROBE_MAX_MS);
	q->probe_mono_ms = now_mono_ms + jittered(q->probe_delay_ms, rnd);
}

static void adjust_window(struct hl_queue *q, enum hl_feedback f)
{
	double max = (double)q->limits.max_in_flight;
	switch (f) {
	case HL_FEEDBACK_SUCCESS:
		q->window = HL_MIN(max, q->window + 1.0 / q->window);
		break;
	case HL_FEEDBACK_BACK_OFF:
		q->window = HL_MAX(1.0, q->window - 1.0);
		break;
	case HL_FEEDBACK_HALVE:
		q->window = HL_MAX(1.0, q->window / 2.0);
		break;
	case HL_FEEDBACK_NEUTRAL:
		break;
	}
}

static enum hl_queue_change learn_failure(struct hl_queue *q, const struct hl_slot *slot, bool unavailable,
		hl_ms_t now_mono_ms, uint32_t rnd)
{
	q->unavailable = unavailable ? q->unavailable + 1 : 0;
	q->proven = q->proven && !unavailable;
	if (q->state == HL_QUEUE_PARKED && slot->probe) {
		set_probe(q, q->probe_delay_ms * 2, now_mono_ms, rnd);
	} else if (q->state == HL_QUEUE_OPEN && q->unavailable >= q->limits.park_after) {
		hl_queue_move(q, HL_QUEUE_PARKED);
		set_probe(q, HL_QUEUE_PROBE_MIN_MS, now_mono_ms, rnd);
		return HL_QUEUE_WAS_PARKED;
	}
	return HL_QUEUE_SAME;
}

enum hl_queue_change hl_queue_learn(struct hl_queue *q, const struct hl_slot *slot, const struct hl_judgement *j,
		hl_ms_t now_ms, hl_ms_t now_mono_ms, uint32_t rnd)
{
	if (slot->probe)
		q->probing = false;
	q->last_timeout = j->error_class == HL_CLASS_TIMEOUT;
	adjust_window(q, j->feedback);
	if (j->verdict != HL_VERDICT_SUCCEEDED)
		return learn_failure(q, slot, j->unavailable, now_mono_ms, rnd);

	q->unavailable = 0;
	q->proven = true;
	if (q->state != HL_QUEUE_PARKED)
		return HL_QUEUE_SAME;
	hl_queue_move(q, HL_QUEUE_OPEN);
	q->window = 1.0; /* ramp up again */
	hl_queue_drain(q, q->drain_gen + 1, now_ms, now_mono_ms);
	return HL_QUEUE_WAS_OPENED;
}

void hl_queue_drain(struct hl_queue *q, uint32_t gen, hl_ms_t now_ms, hl_ms_t now_mono_ms)
{
	q->drain_gen = gen;
	q->draining = true;
	if (hl_queue_retime(q, now_ms, now_mono_ms) != 0)
		hl_queue_reload_due(q);
}

void hl_queue_restore_parked(struct hl_queue *q, hl_ms_t now_mono_ms)
{
	hl_queue_move(q, HL_QUEUE_PARKED);
	q->unavailable = q->limits.park_after;
	hl_queue_probe_now(q, now_mono_ms);
}

void hl_queue_probe_now(struct hl_queue *q, hl_ms_t now_mono_ms)
{
	q->probe_delay_ms = HL_QUEUE_PROBE_MIN_MS;
	q->probe_mono_ms = now_mono_ms;
}

void hl_queue_move(struct hl_queue *q, enum hl_queue_state to)
{
	static const uint8_t allowed[] = {
		[HL_QUEUE_OPEN] = 1 << HL_QUEUE_PARKED | 1 << HL_QUEUE_HELD | 1 << HL_QUEUE_GONE,
		[HL_QUEUE_PARKED] = 1 << HL_QUEUE_OPEN | 1 << HL_QUEUE_HELD | 1 << HL_QUEUE_GONE,
		[HL_QUEUE_HELD] = 1 << HL_QUEUE_OPEN | 1 << HL_QUEUE_GONE,
		[HL_QUEUE_GONE] = 0,
	};
	if (q->state == to)
		return;
	HL_CHECK(allowed[q->state] & 1 << to);
	enum hl_queue_state from = q->state;
	q->state = to;
	if (to == HL_QUEUE_HELD || to == HL_QUEUE_GONE)
		hl_queue_drop_windows(q);
	if (to == HL_QUEUE_OPEN) {
		q->unavailable = 0;
		if (from == HL_QUEUE_HELD)
			q->window = HL_MIN((double)HL_QUEUE_START_WINDOW, (double)q->limits.max_in_flight);
	}
}

bool hl_queue_idle(const struct hl_queue *q)
{
	return q->fresh_count == 0 && !q->fresh_more && q->due.count == 0 && !q->due_more && q->busy == 0 && !q->fresh_loading &&
	       !q->due_loading;
}

bool hl_queue_check(const struct hl_queue *q)
{
	uint64_t last = 0;
	for (uint32_t i = 0; i < q->fresh_count; i++) {
		uint64_t d = q->fresh[(q->fresh_head + i) % q->fresh_cap].delivery;
		if (d <= last || d >= q->fresh_next)
			return false;
		last = d;
	}
	bool held = q->state == HL_QUEUE_HELD || q->state == HL_QUEUE_GONE;
	return q->window >= 1.0 && q->window <= (double)q->limits.max_in_flight && q->n_old <= q->busy &&
	       !(held && (q->fresh_count || q->due.count));
}
