/* Turns and limits.
 *
 * A queue that may send lies in one lane, in the list of its account; accounts and queues go to the back of their lists
 * after each start (round robin with one delivery as the quantum). A queue that may not send yet because of time lies in the
 * heap of wakes. One that waits for something else (a free slot of its own, a refill) lies nowhere: whatever it waits for
 * calls hl_scheduler_touch. */
#include "dispatch/scheduler.h"

#include "base/check.h"
#include "base/env.h"
#include <stdlib.h>

/* An account's place in the lanes. */
struct hl_turn {
	struct hl_list link[HL_LANE_N];   /* in scheduler.lanes; linked while queues[lane] is not empty */
	struct hl_list queues[HL_LANE_N]; /* hl_queue.ring */
	uint32_t account;
	uint32_t n;                       /* queues in all lanes */
};

int hl_scheduler_init(struct hl_scheduler *s, const struct hl_scheduler_ops *ops, const struct hl_env *env,
		uint32_t max_in_flight, uint32_t max_slow, uint32_t max_total)
{
	*s = (struct hl_scheduler){ .ops = *ops, .env = env, .max_in_flight = max_in_flight, .max_slow = max_slow,
		.max_total = max_total };
	for (int i = 0; i < HL_LANE_N; i++)
		hl_list_init(&s->lanes[i]);
	hl_list_init(&s->young);
	hl_heap_init(&s->wakes);
	hl_map_u64_init(&s->turns);
	return 0;
}

void hl_scheduler_fini(struct hl_scheduler *s)
{
	HL_CHECK(hl_list_empty(&s->young) && s->turns.count == 0);
	hl_heap_fini(&s->wakes);
	hl_map_u64_fini(&s->turns);
}

static struct hl_turn *turn_of(struct hl_scheduler *s, uint32_t account)
{
	struct hl_turn *t = hl_map_u64_get(&s->turns, account);
	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->account = account;
	for (int i = 0; i < HL_LANE_N; i++)
		hl_list_init(&t->queues[i]);
	if (hl_map_u64_put(&s->turns, account, t) != 0) {
		free(t);
		return NULL;
	}
	return t;
}

static void leave_lane(struct hl_scheduler *s, struct hl_queue *q)
{
	if (q->lane < 0)
		return;
	struct hl_turn *t = hl_map_u64_get(&s->turns, q->account);
	hl_list_remove(&q->ring);
	if (hl_list_empty(&t->queues[q->lane]))
		hl_list_remove(&t->link[q->lane]);
	q->lane = -1;
	s->n_ready--;
	if (--t->n == 0) {
		hl_map_u64_del(&s->turns, q->account);
		free(t);
	}
}

static bool enter_lane(struct hl_scheduler *s, struct hl_queue *q, enum hl_lane lane)
{
	struct hl_turn *t = turn_of(s, q->account);
	if (!t)
		return false;
	hl_list_push_back(&t->queues[lane], &q->ring);
	if (!hl_list_linked(&t->link[lane]))
		hl_list_push_back(&s->lanes[lane], &t->link[lane]);
	t->n++;
	s->n_ready++;
	q->lane = (int)lane;
	return true;
}

void hl_scheduler_forget(struct hl_scheduler *s, struct hl_queue *q)
{
	leave_lane(s, q);
	hl_heap_remove(&s->wakes, &q->wake);
}

static void wake_at(struct hl_scheduler *s, struct hl_queue *q, hl_ms_t at_mono_ms)
{
	hl_heap_remove(&s->wakes, &q->wake);
	if (hl_heap_push(&s->wakes, &q->wake, at_mono_ms) != 0)
		hl_queue_reload_due(q); /* out of memory: the next touch tries again */
}

static bool crowded(const struct hl_scheduler *s)
{
	return (uint64_t)(s->fast + s->slow) * 4 >= (uint64_t)s->max_total * 3;
}

void hl_scheduler_touch(struct hl_scheduler *s, struct hl_queue *q)
{
	hl_ms_t now = hl_env_mono_ms(s->env), wake = 0;
	if (now >= q->hold_mono_ms && (hl_queue_wants_fresh(q) || hl_queue_wants_due(q)))
		s->ops.refill(s->ops.data, q);
	enum hl_ready ready = hl_queue_ready(q, now, &wake);
	hl_heap_remove(&s->wakes, &q->wake);
	if (ready == HL_READY_NOT) {
		leave_lane(s, q);
		if (wake)
			wake_at(s, q, wake);
		return;
	}
	enum hl_lane lane = ready == HL_READY_FRESH ? HL_LANE_FRESH : HL_LANE_RETRY;
	if (hl_queue_suspect(q) || (!q->proven && crowded(s)))
		lane = HL_LANE_SLOW;
	if (q->lane == (int)lane)
		return;
	leave_lane(s, q);
	if (!enter_lane(s, q, lane))
		wake_at(s, q, now + 1000);
}

/* Attempts that just became older than HL_QUEUE_OLD_MS move to the slow side and make their queue suspect. */
static void age_young(struct hl_scheduler *s, hl_ms_t now_mono_ms)
{
	while (!hl_list_empty(&s->young)) {
		struct hl_slot *slot = HL_LIST_ENTRY(s->young.next, struct hl_slot, young);
		if (slot->started_mono_ms + HL_QUEUE_OLD_MS > now_mono_ms)
			break;
		hl_list_remove(&slot->young);
		slot->old = true;
		slot->queue->n_old++;
		if (!slot->slow) {
			slot->slow = true;
			s->fast--;
			s->slow++;
			if (slot->retry)
				s->retries--;
		}
		hl_scheduler_touch(s, slot->queue);
	}
}

static void wake_queues(struct hl_scheduler *s, hl_ms_t now_mono_ms)
{
	struct hl_heap_node *n;
	while ((n = hl_heap_peek(&s->wakes)) && n->key <= now_mono_ms) {
		hl_heap_pop(&s->wakes);
		hl_scheduler_touch(s, HL_CONTAINER_OF(n, struct hl_queue, wake));
	}
}

static bool retries_have_room(const struct hl_scheduler *s)
{
	return hl_list_empty(&s->lanes[HL_LANE_FRESH]) ||
	       (uint64_t)s->retries * 100 < (uint64_t)s->max_in_flight * HL_SCHEDULER_RETRY_PERCENT;
}

static int choose_lane(struct hl_scheduler *s)
{
	bool slow = s->slow < s->max_slow && !crowded(s) && !hl_list_empty(&s->lanes[HL_LANE_SLOW]);
	bool room = s->fast < s->max_in_flight && s->fast + s->slow < s->max_total;
	bool fresh = room && !hl_list_empty(&s->lanes[HL_LANE_FRESH]);
	bool retry = room && !hl_list_empty(&s->lanes[HL_LANE_RETRY]) && retries_have_room(s);
	uint32_t pick = s->pick++;
	if (slow && (pick % 2 == 0 || (!fresh && !retry)))
		return HL_LANE_SLOW;
	if (retry && (!fresh || pick % 10 >= 7))
		return HL_LANE_RETRY;
	return fresh ? HL_LANE_FRESH : slow ? HL_LANE_SLOW : -1;
}

static struct hl_queue *next_queue(struct hl_scheduler *s, enum hl_lane lane)
{
	struct hl_turn *t = HL_CONTAINER_OF(s->lanes[lane].next, struct hl_turn, link[lane]);
	struct hl_queue *q = HL_LIST_ENTRY(t->queues[lane].next, struct hl_queue, ring);
	hl_list_remove(&t->link[lane]);
	hl_list_push_back(&s->lanes[lane], &t->link[lane]);
	hl_list_remove(&q->ring);
	hl_list_push_back(&t->queues[lane], &q->ring);
	return q;
}

static void begin_slot(struct hl_scheduler *s, struct hl_queue *q, struct hl_slot *slot, const struct hl_work *w,
		enum hl_lane lane, hl_ms_t now_mono_ms)
{
	slot->queue = q;
	slot->delivery = w->delivery;
	slot->started_mono_ms = now_mono_ms;
	slot->slow = lane == HL_LANE_SLOW;
	slot->old = false;
	slot->retry = !w->fresh;
	slot->probe = w->probe;
	hl_list_push_back(&s->young, &slot->young);
	if (w->fresh)
		hl_queue_note_fresh(q, slot);
	q->busy++;
	if (w->probe)
		q->probing = true;
	if (slot->slow) {
		s->slow++;
	} else {
		s->fast++;
		if (slot->retry)
			s->retries++;
	}
}

/* One start from `lane`. */
static void start_one(struct hl_scheduler *s, enum hl_lane lane, hl_ms_t now_mono_ms)
{
	struct hl_queue *q = next_queue(s, lane);
	if (lane != HL_LANE_SLOW && !q->proven && crowded(s)) { /* it entered the lane before it got crowded */
		hl_scheduler_touch(s, q);
		return;
	}
	struct hl_work work = { 0 };
	struct hl_slot *slot = NULL;
	if (!hl_queue_take(q, now_mono_ms, retries_have_room(s), &work)) {
		leave_lane(s, q);
		return;
	}
	struct hl_work begun = work; /* start takes what work holds */
	enum hl_start rc = s->ops.start(s->ops.data, q, &work, &slot);
	if (rc == HL_START_OK)
		begin_slot(s, q, slot, &begun, lane, now_mono_ms);
	else if (rc == HL_START_FAILED)
		hl_queue_put_back(q, &begun, now_mono_ms);
	hl_scheduler_touch(s, q);
}

bool hl_scheduler_run(struct hl_scheduler *s)
{
	hl_ms_t now = hl_env_mono_ms(s->env);
	age_young(s, now);
	wake_queues(s, now);
	for (int n = 0; n < HL_SCHEDULER_BURST; n++) {
		int lane = s->held ? -1 : choose_lane(s);
		if (lane < 0)
			return false;
		start_one(s, (enum hl_lane)lane, now);
	}
	return true;
}

static void end_slot(struct hl_scheduler *s, struct hl_slot *slot)
{
	struct hl_queue *q = slot->queue;
	HL_CHECK(q->busy > 0);
	q->busy--;
	if (slot->old)
		q->n_old--;
	if (slot->slow) {
		s->slow--;
	} else {
		s->fast--;
		if (slot->retry)
			s->retries--;
	}
	hl_list_remove(&slot->young);
}

enum hl_queue_change hl_scheduler_finish(struct hl_scheduler *s, struct hl_slot *slot, const struct hl_judgement *j)
{
	struct hl_queue *q = slot->queue;
	uint32_t rnd = 0;
	if (j->verdict != HL_VERDICT_SUCCEEDED) /* only delays of probes need it: a system call saved */
		hl_env_random(s->env, &rnd, sizeof(rnd));
	end_slot(s, slot);
	q->idle_mono_ms = hl_env_mono_ms(s->env);
	enum hl_queue_change change =
			hl_queue_learn(q, slot, j, hl_env_wall_ms(s->env), hl_env_mono_ms(s->env), rnd);
	hl_scheduler_touch(s, q);
	return change;
}

void hl_scheduler_drop(struct hl_scheduler *s, struct hl_slot *slot)
{
	if (slot->probe)
		slot->queue->probing = false;
	end_slot(s, slot);
	hl_list_remove(&slot->fresh);
}

hl_ms_t hl_scheduler_next(const struct hl_scheduler *s)
{
	struct hl_heap_node *n = hl_heap_peek(&s->wakes);
	hl_ms_t at = n ? n->key : INT64_MAX;
	if (!hl_list_empty(&s->young)) {
		struct hl_slot *slot = HL_LIST_ENTRY(s->young.next, struct hl_slot, young);
		at = HL_MIN(at, slot->started_mono_ms + HL_QUEUE_OLD_MS);
	}
	return at;
}

bool hl_scheduler_check(const struct hl_scheduler *s)
{
	return s->retries <= s->fast && s->fast <= s->max_in_flight;
}
