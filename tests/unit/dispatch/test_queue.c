/* Queues in memory: windows, pace, parking. */
#include "fakeenv.h"

#include "dispatch/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct world {
	struct hl_event_cache events;
	struct hl_queue_shared shared;
	struct hl_queue *q;
	hl_ms_t wall, mono;
};

static const struct hl_queue_limits limits = { .max_in_flight = 20, .park_after = 5 };

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	hl_event_cache_init(&w->events, 1 << 20);
	w->shared.events = &w->events;
	w->shared.n_fresh_max = w->shared.n_due_max = 1000000;
	hl_map_u64_init(&w->shared.waiting);
	hl_map_u64_init(&w->shared.claims);
	w->wall = 1000000;
	w->mono = 5000;
	assert_int_equal(hl_queue_create(&w->q, &w->shared, 1, 7, &limits), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	hl_queue_destroy(w->q);
	assert_int_equal(w->shared.waiting.count, 0);
	hl_map_u64_fini(&w->shared.waiting);
	hl_map_u64_fini(&w->shared.claims);
	hl_event_cache_fini(&w->events);
	free(w);
	return 0;
}

static struct hl_due due_at(uint64_t delivery, hl_ms_t at, uint8_t why, hl_ms_t set_at)
{
	return (struct hl_due){ .due_at_ms = at, .delivery = delivery, .event = 1, .why = why, .attempts = 1, .set_at_ms = set_at };
}

static enum hl_ready ready(struct world *w)
{
	hl_ms_t wake;
	return hl_queue_ready(w->q, w->mono, &wake);
}

static hl_ms_t wake_of(struct world *w)
{
	hl_ms_t wake;
	assert_int_equal(hl_queue_ready(w->q, w->mono, &wake), HL_READY_NOT);
	return wake;
}

/* Begins and ends one attempt; returns what it did to the queue. */
static enum hl_queue_change attempt(struct world *w, enum hl_class class, bool unavailable, uint64_t *out_delivery)
{
	struct hl_work work;
	assert_true(hl_queue_take(w->q, w->mono, true, &work));
	struct hl_slot slot = { .queue = w->q, .delivery = work.delivery, .probe = work.probe, .retry = !work.fresh };
	struct hl_judgement j = { .verdict = class == HL_CLASS_NONE ? HL_VERDICT_SUCCEEDED : HL_VERDICT_RETRY,
		.error_class = class, .unavailable = unavailable,
		.feedback = class == HL_CLASS_NONE ? HL_FEEDBACK_SUCCESS : class == HL_CLASS_TIMEOUT ? HL_FEEDBACK_HALVE :
										HL_FEEDBACK_BACK_OFF };
	if (out_delivery)
		*out_delivery = work.delivery;
	return hl_queue_learn(w->q, &slot, &j, w->wall, w->mono, 4711);
}

static void test_fresh_in_order(void **state)
{
	struct world *w = *state;
	for (uint64_t i = 1; i <= 100; i++)
		assert_true(hl_queue_push_fresh(w->q, i * 3, i, NULL));
	assert_true(hl_queue_check(w->q));
	assert_int_equal(hl_queue_fresh_floor(w->q, NULL), 3);
	for (uint64_t i = 1; i <= 100; i++) {
		struct hl_work work;
		assert_int_equal(ready(w), HL_READY_FRESH);
		assert_true(hl_queue_take(w->q, w->mono, true, &work));
		assert_int_equal(work.delivery, i * 3);
		assert_true(work.fresh);
	}
	assert_int_equal(ready(w), HL_READY_NOT);
	assert_int_equal(hl_queue_fresh_floor(w->q, NULL), 301);
}

static void test_floor_knows_attempts_in_flight(void **state)
{
	struct world *w = *state;
	struct hl_slot slot = { .queue = w->q };
	struct hl_work work;
	assert_true(hl_queue_push_fresh(w->q, 10, 1, NULL));
	assert_true(hl_queue_push_fresh(w->q, 20, 1, NULL));
	assert_true(hl_queue_take(w->q, w->mono, true, &work));
	slot.delivery = work.delivery;
	hl_list_push_back(&w->q->fresh_in_flight, &slot.fresh);
	assert_int_equal(hl_queue_fresh_floor(w->q, NULL), 10);
	assert_int_equal(hl_queue_fresh_floor(w->q, &slot), 20);
	hl_list_remove(&slot.fresh);
	assert_int_equal(hl_queue_fresh_floor(w->q, NULL), 20);
}

static void test_full_ring_leaves_the_rest_in_the_store(void **state)
{
	struct world *w = *state;
	for (uint64_t i = 1; i <= HL_QUEUE_FRESH_MAX; i++)
		assert_true(hl_queue_push_fresh(w->q, i, i, NULL));
	assert_false(hl_queue_push_fresh(w->q, HL_QUEUE_FRESH_MAX + 1, 1, NULL));
	assert_false(hl_queue_push_fresh(w->q, HL_QUEUE_FRESH_MAX + 2, 1, NULL));
	assert_true(w->q->fresh_more);
	assert_int_equal(w->q->fresh_next, HL_QUEUE_FRESH_MAX + 1);
	assert_false(hl_queue_wants_fresh(w->q));
	struct hl_work work;
	while (hl_queue_take(w->q, w->mono, true, &work))
		;
	assert_true(hl_queue_wants_fresh(w->q));
	/* the refill's answer: one of them is already being attempted */
	static int claim;
	assert_int_equal(hl_map_u64_put(&w->shared.claims, HL_QUEUE_FRESH_MAX + 1, &claim), 0);
	struct hl_fresh more[] = { { HL_QUEUE_FRESH_MAX + 1, 1 }, { HL_QUEUE_FRESH_MAX + 2, 1 } };
	assert_int_equal(hl_queue_load_fresh(w->q, w->q->epoch, more, 2, HL_QUEUE_FRESH_MAX + 3, false), 0);
	assert_true(hl_queue_take(w->q, w->mono, true, &work));
	assert_int_equal(work.delivery, HL_QUEUE_FRESH_MAX + 2);
	assert_false(hl_queue_take(w->q, w->mono, true, &work));
	assert_true(hl_queue_push_fresh(w->q, HL_QUEUE_FRESH_MAX + 3, 1, NULL));
}

static void test_little_memory_keeps_windows_small(void **state)
{
	struct world *w = *state;
	w->shared.n_fresh_max = w->shared.n_due_max = 0;
	uint64_t i = 1;
	while (hl_queue_push_fresh(w->q, i, i, NULL))
		i++;
	assert_int_equal(i, HL_QUEUE_LEAST + 1);
	assert_int_equal(w->shared.n_fresh, HL_QUEUE_LEAST);
	struct hl_fresh more[100];
	for (size_t k = 0; k < 100; k++)
		more[k] = (struct hl_fresh){ i + k, 1 };
	struct hl_work work;
	for (uint64_t n = 1; n < i + 100; n++) { /* every one comes, in order, a few at a time */
		if (w->q->fresh_count == 0) {
			assert_true(w->q->fresh_more);
			size_t at = (size_t)(w->q->fresh_next - i);
			assert_int_equal(hl_queue_load_fresh(w->q, w->q->epoch, more + at, 100 - at, i + 100, false), 0);
			assert_true(w->q->fresh_count <= HL_QUEUE_LEAST);
		}
		assert_true(hl_queue_take(w->q, w->mono, true, &work));
		assert_int_equal(work.delivery, n);
	}
	assert_int_equal(w->shared.n_fresh, 0);
	assert_false(w->q->fresh_more);
	struct hl_due d[100];
	for (size_t k = 0; k < 100; k++)
		d[k] = due_at(1000 + k, w->wall + (hl_ms_t)k, HL_WAIT_BACKOFF, w->wall);
	w->q->due_more = true;
	assert_int_equal(hl_queue_load_due(w->q, w->q->epoch, d, 100, false, w->wall, w->mono), 0);
	assert_int_equal(w->q->due.count, HL_QUEUE_LEAST);
	assert_true(w->q->due_more);
	assert_int_equal(w->q->upto_delivery, 1000 + HL_QUEUE_LEAST - 1);
}

static void test_answer_to_an_older_refill_is_void(void **state)
{
	struct world *w = *state;
	w->q->fresh_more = w->q->due_more = true;
	uint32_t epoch = w->q->epoch;
	hl_queue_drop_windows(w->q);
	struct hl_fresh f[] = { { 9, 1 } };
	struct hl_due d[] = { due_at(9, w->wall, HL_WAIT_BACKOFF, 0) };
	assert_int_equal(hl_queue_load_fresh(w->q, epoch, f, 1, 10, false), 0);
	assert_int_equal(hl_queue_load_due(w->q, epoch, d, 1, false, w->wall, w->mono), 0);
	assert_true(w->q->fresh_more && w->q->due_more);
	assert_int_equal(w->q->fresh_count, 0);
	assert_int_equal(w->q->due.count, 0);
}

static void test_due_wakes_at_its_time(void **state)
{
	struct world *w = *state;
	struct hl_due d = due_at(5, w->wall + 3000, HL_WAIT_BACKOFF, w->wall);
	assert_int_equal(hl_queue_push_due(w->q, &d, false, w->wall, w->mono), 0);
	assert_int_equal(wake_of(w), w->mono + 3000);
	w->mono += 3000;
	assert_int_equal(ready(w), HL_READY_RETRY);
	struct hl_work work;
	assert_true(hl_queue_take(w->q, w->mono, true, &work));
	assert_int_equal(work.delivery, 5);
	assert_false(work.fresh);
}

static void test_due_beyond_the_window_stays_in_the_store(void **state)
{
	struct world *w = *state;
	w->q->due_more = true;
	struct hl_due d[] = { due_at(1, w->wall + 10, 0, 0), due_at(2, w->wall + 20, 0, 0) };
	assert_int_equal(hl_queue_load_due(w->q, w->q->epoch, d, 2, true, w->wall, w->mono), 0);
	struct hl_due later = due_at(3, w->wall + 30, 0, 0), sooner = due_at(4, w->wall + 15, 0, 0);
	assert_int_equal(hl_queue_push_due(w->q, &later, false, w->wall, w->mono), 0);
	assert_int_equal(w->q->due.count, 2);
	assert_int_equal(hl_queue_push_due(w->q, &sooner, false, w->wall, w->mono), 0);
	assert_int_equal(w->q->due.count, 3);
	/* loading again what is there already changes nothing */
	assert_int_equal(hl_queue_load_due(w->q, w->q->epoch, d, 2, false, w->wall, w->mono), 0);
	assert_int_equal(w->q->due.count, 3);
}

static void test_window_follows_the_receiver(void **state)
{
	struct world *w = *state;
	for (uint64_t i = 1; i <= 2000; i++)
		assert_true(hl_queue_push_fresh(w->q, i, 1, NULL));
	assert_true(w->q->window == 5.0);
	for (int i = 0; i < 5; i++)
		attempt(w, HL_CLASS_NONE, false, NULL);
	assert_true(w->q->window > 5.9 && w->q->window < 6.1);
	for (int i = 0; i < 500; i++)
		attempt(w, HL_CLASS_NONE, false, NULL);
	assert_true(w->q->window == 20.0);
	attempt(w, HL_CLASS_TIMEOUT, true, NULL);
	assert_true(w->q->window == 10.0);
	assert_true(hl_queue_suspect(w->q));
	attempt(w, HL_CLASS_RESET, true, NULL);
	assert_true(w->q->window == 9.0);
	assert_false(hl_queue_suspect(w->q));
	for (int i = 0; i < 100; i++)
		attempt(w, HL_CLASS_HTTP_STATUS, false, NULL);
	assert_true(w->q->window == 1.0);
}

static void test_rate_limit(void **state)
{
	struct world *w = *state;
	hl_queue_set_limits(w->q, &(struct hl_queue_limits){ .max_in_flight = 20, .park_after = 5, .rate_per_s = 10 });
	w->q->tokens_mono_ms = w->mono;
	w->q->tokens = 10;
	for (uint64_t i = 1; i <= 100; i++)
		assert_true(hl_queue_push_fresh(w->q, i, 1, NULL));
	int sent = 0;
	for (hl_ms_t end = w->mono + 2000; w->mono < end;) {
		hl_ms_t wake;
		if (hl_queue_ready(w->q, w->mono, &wake) == HL_READY_NOT) {
			assert_true(wake > w->mono);
			w->mono = wake;
			continue;
		}
		attempt(w, HL_CLASS_NONE, false, NULL);
		sent++;
	}
	assert_in_range(sent, 29, 31); /* the burst of one second, then 10 a second */
}

static void park(struct world *w)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(attempt(w, HL_CLASS_CONNECT, true, NULL), HL_QUEUE_SAME);
	assert_int_equal(attempt(w, HL_CLASS_CONNECT, true, NULL), HL_QUEUE_WAS_PARKED);
	assert_int_equal(w->q->state, HL_QUEUE_PARKED);
}

static void test_parks_and_probes_ever_later(void **state)
{
	struct world *w = *state;
	for (uint64_t i = 1; i <= 60; i++)
		assert_true(hl_queue_push_fresh(w->q, i, 1, NULL));
	park(w);
	hl_ms_t delay = HL_QUEUE_PROBE_MIN_MS;
	for (int i = 0; i < 12; i++) {
		hl_ms_t wake = wake_of(w);
		assert_in_range(wake - w->mono, delay * 8 / 10, delay * 12 / 10);
		w->mono = wake;
		assert_int_equal(ready(w), HL_READY_RETRY);
		assert_int_equal(attempt(w, HL_CLASS_CONNECT, true, NULL), HL_QUEUE_SAME);
		delay = HL_MIN(delay * 2, (hl_ms_t)HL_QUEUE_PROBE_MAX_MS);
	}
	/* an answer that is no success keeps it parked */
	w->mono = wake_of(w);
	assert_int_equal(attempt(w, HL_CLASS_HTTP_STATUS, false, NULL), HL_QUEUE_SAME);
	assert_int_equal(w->q->state, HL_QUEUE_PARKED);
	w->mono = wake_of(w);
	assert_int_equal(attempt(w, HL_CLASS_NONE, false, NULL), HL_QUEUE_WAS_OPENED);
	assert_int_equal(w->q->state, HL_QUEUE_OPEN);
	assert_int_equal(w->q->drain_gen, 1);
	assert_true(w->q->window == 1.0);
}

static void test_failures_in_between_do_not_park(void **state)
{
	struct world *w = *state;
	for (uint64_t i = 1; i <= 60; i++)
		assert_true(hl_queue_push_fresh(w->q, i, 1, NULL));
	for (int i = 0; i < 4; i++)
		attempt(w, HL_CLASS_CONNECT, true, NULL);
	attempt(w, HL_CLASS_HTTP_STATUS, false, NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(attempt(w, HL_CLASS_CONNECT, true, NULL), HL_QUEUE_SAME);
}

static void test_probes_rotate_and_respect_hints(void **state)
{
	struct world *w = *state;
	for (uint64_t i = 1; i <= 5; i++)
		assert_true(hl_queue_push_fresh(w->q, i, 1, NULL));
	park(w);
	struct hl_due d[4];
	for (uint64_t i = 0; i < 4; i++) {
		d[i] = due_at(i + 1, w->wall + 3600000 + (hl_ms_t)i, i == 0 ? HL_WAIT_HINT : HL_WAIT_BACKOFF, w->wall);
		assert_int_equal(hl_queue_push_due(w->q, &d[i], false, w->wall, w->mono), 0);
	}
	uint64_t seen[6];
	for (int i = 0; i < 6; i++) {
		w->mono = wake_of(w);
		attempt(w, HL_CLASS_CONNECT, true, &seen[i]);
		assert_int_equal(hl_queue_push_due(w->q, &d[seen[i] - 1], true, w->wall, w->mono), 0);
	}
	static const uint64_t expect[] = { 2, 3, 4, 2, 3, 4 }; /* 1 waits because the receiver asked for it */
	assert_memory_equal(seen, expect, sizeof(expect));
}

static void test_drain_makes_older_backoffs_due(void **state)
{
	struct world *w = *state;
	for (uint64_t i = 1; i <= 5; i++)
		assert_true(hl_queue_push_fresh(w->q, i, 1, NULL));
	park(w);
	struct hl_due probed = due_at(3, w->wall + 3600000, HL_WAIT_BACKOFF, w->wall);
	struct hl_due backoff = due_at(1, w->wall + 3600001, HL_WAIT_BACKOFF, w->wall);
	struct hl_due hint = due_at(2, w->wall + 3600000, HL_WAIT_HINT, w->wall);
	assert_int_equal(hl_queue_push_due(w->q, &probed, false, w->wall, w->mono), 0);
	assert_int_equal(hl_queue_push_due(w->q, &backoff, false, w->wall, w->mono), 0);
	assert_int_equal(hl_queue_push_due(w->q, &hint, false, w->wall, w->mono), 0);
	w->mono = wake_of(w);
	assert_int_equal(attempt(w, HL_CLASS_NONE, false, NULL), HL_QUEUE_WAS_OPENED);
	struct hl_work work;
	assert_int_equal(ready(w), HL_READY_RETRY);
	assert_true(hl_queue_take(w->q, w->mono, true, &work));
	assert_int_equal(work.delivery, 1);
	/* failing again puts it into the new generation: no second drain */
	backoff.drain_gen = w->q->drain_gen;
	assert_int_equal(hl_queue_push_due(w->q, &backoff, false, w->wall, w->mono), 0);
	assert_int_equal(ready(w), HL_READY_NOT);
}

static void test_strict_queue_neither_probes_early_nor_drains(void **state)
{
	struct world *w = *state;
	hl_queue_set_limits(w->q, &(struct hl_queue_limits){ .max_in_flight = 20, .park_after = 5, .strict = true });
	for (uint64_t i = 1; i <= 5; i++)
		assert_true(hl_queue_push_fresh(w->q, i, 1, NULL));
	park(w);
	struct hl_due d = due_at(1, w->wall + 3600000, HL_WAIT_BACKOFF, w->wall);
	assert_int_equal(hl_queue_push_due(w->q, &d, false, w->wall, w->mono), 0);
	assert_int_equal(wake_of(w), w->mono + 3600000);
	hl_queue_drain(w->q, 5, w->wall, w->mono);
	assert_int_equal(wake_of(w), w->mono + 3600000);
}

static void test_clock_jumps(void **state)
{
	struct world *w = *state;
	struct hl_due d = due_at(1, w->wall + 3600000, HL_WAIT_BACKOFF, w->wall);
	assert_int_equal(hl_queue_push_due(w->q, &d, false, w->wall, w->mono), 0);
	w->wall -= 86400000; /* back a day: the hour that was left stays an hour */
	assert_int_equal(hl_queue_retime(w->q, w->wall, w->mono), 0);
	assert_int_equal(wake_of(w), w->mono + 3600000);
	w->wall += 3 * 86400000ll; /* forward: due now */
	assert_int_equal(hl_queue_retime(w->q, w->wall, w->mono), 0);
	assert_int_equal(ready(w), HL_READY_RETRY);
	/* read from the store after the clock went back: waits its own interval, counted from now */
	hl_queue_reload_due(w->q);
	w->wall -= 10 * 86400000ll;
	assert_int_equal(hl_queue_load_due(w->q, w->q->epoch, &d, 1, false, w->wall, w->mono), 0);
	assert_int_equal(wake_of(w), w->mono + 3600000);
}

static void test_held_queue_forgets_and_resumes(void **state)
{
	struct world *w = *state;
	assert_true(hl_queue_push_fresh(w->q, 4, 1, NULL));
	assert_true(hl_queue_push_fresh(w->q, 6, 1, NULL));
	hl_queue_move(w->q, HL_QUEUE_HELD);
	assert_true(hl_queue_check(w->q));
	assert_int_equal(ready(w), HL_READY_NOT);
	assert_false(hl_queue_wants_fresh(w->q));
	assert_false(hl_queue_push_fresh(w->q, 8, 1, NULL));
	hl_queue_move(w->q, HL_QUEUE_OPEN);
	assert_true(hl_queue_wants_fresh(w->q));
	assert_int_equal(w->q->fresh_next, 4);
}

static void test_remove(void **state)
{
	struct world *w = *state;
	for (uint64_t i = 1; i <= 5; i++)
		assert_true(hl_queue_push_fresh(w->q, i, 1, NULL));
	struct hl_due d = due_at(9, w->wall, HL_WAIT_MANUAL, w->wall);
	assert_int_equal(hl_queue_push_due(w->q, &d, false, w->wall, w->mono), 0);
	assert_true(hl_queue_remove(w->q, 3));
	assert_true(hl_queue_remove(w->q, 9));
	assert_false(hl_queue_remove(w->q, 3));
	static const uint64_t expect[] = { 1, 2, 4, 5 };
	for (size_t i = 0; i < 4; i++) {
		struct hl_work work;
		assert_true(hl_queue_take(w->q, w->mono, true, &work));
		assert_int_equal(work.delivery, expect[i]);
	}
}

static void test_put_back_loses_nothing(void **state)
{
	struct world *w = *state;
	struct hl_work work;
	assert_true(hl_queue_push_fresh(w->q, 3, 1, NULL));
	assert_true(hl_queue_push_fresh(w->q, 5, 1, NULL));
	assert_true(hl_queue_take(w->q, w->mono, true, &work));
	hl_queue_put_back(w->q, &work, w->mono);
	assert_true(w->q->fresh_more);
	assert_int_equal(w->q->fresh_next, 3);
	assert_int_equal(wake_of(w), w->mono + HL_QUEUE_HOLD_MS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_fresh_in_order), T(test_floor_knows_attempts_in_flight), T(test_full_ring_leaves_the_rest_in_the_store),
		T(test_little_memory_keeps_windows_small), T(test_answer_to_an_older_refill_is_void), T(test_due_wakes_at_its_time),
		T(test_due_beyond_the_window_stays_in_the_store), T(test_window_follows_the_receiver), T(test_rate_limit),
		T(test_parks_and_probes_ever_later), T(test_failures_in_between_do_not_park),
		T(test_probes_rotate_and_respect_hints), T(test_drain_makes_older_backoffs_due),
		T(test_strict_queue_neither_probes_early_nor_drains), T(test_clock_jumps), T(test_held_queue_forgets_and_resumes),
		T(test_remove), T(test_put_back_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
