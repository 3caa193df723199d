/* Turns and limits, with receivers simulated on virtual time. */
#include "fakeenv.h"

#include "dispatch/scheduler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* An attempt under way in the simulation. */
struct flight {
	struct hl_heap_node ends;
	struct hl_slot slot;
	hl_ms_t published_mono_ms;
	bool fresh;
};

/* How a simulated receiver answers. */
struct receiver {
	struct hl_queue *q;
	hl_ms_t latency_ms;
	enum hl_class class;       /* NONE = success */
};

struct sim {
	struct fakeenv world;
	struct hl_event_cache events;
	struct hl_queue_shared shared;
	struct hl_scheduler s;
	struct receiver *receivers;
	size_t n_receivers;
	struct hl_heap flights;
	uint64_t next_delivery;
	hl_ms_t *published;        /* by delivery number */
	uint64_t published_cap;
	/* results */
	uint64_t order[4096];      /* webhooks in the order they were served */
	size_t n_order;
	uint32_t *latencies;       /* of successes */
	size_t n_latencies;
	uint32_t max_fast, max_slow, max_total;
};

static enum hl_start sim_start(void *data, struct hl_queue *q, struct hl_work *work, struct hl_slot **out_slot)
{
	struct sim *sim = data;
	struct receiver *r = &sim->receivers[q->webhook - 1];
	struct flight *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->published_mono_ms = sim->published[work->delivery];
	f->fresh = work->fresh;
	if (sim->n_order < HL_ARRAY_LEN(sim->order))
		sim->order[sim->n_order++] = q->webhook;
	assert_int_equal(hl_heap_push(&sim->flights, &f->ends, sim->world.mono_ms + r->latency_ms), 0);
	*out_slot = &f->slot;
	return HL_START_OK;
}

static void sim_refill(void *data, struct hl_queue *q)
{
	(void)data;
	q->fresh_more = q->due_more = false;
}

static void sim_init(struct sim *sim, size_t n, uint64_t deliveries, uint32_t max_in_flight, uint32_t max_slow,
		uint32_t max_total)
{
	struct hl_scheduler_ops ops = { .data = sim, .start = sim_start, .refill = sim_refill };
	*sim = (struct sim){ .n_receivers = n, .next_delivery = 1, .published_cap = deliveries + 1 };
	fakeenv_init(&sim->world, 42);
	hl_event_cache_init(&sim->events, 1 << 20);
	sim->shared.events = &sim->events;
	sim->shared.n_fresh_max = sim->shared.n_due_max = 1000000;
	hl_map_u64_init(&sim->shared.waiting);
	hl_map_u64_init(&sim->shared.claims);
	hl_heap_init(&sim->flights);
	sim->receivers = calloc(n, sizeof(*sim->receivers));
	sim->published = calloc(sim->published_cap, sizeof(*sim->published));
	sim->latencies = calloc(sim->published_cap, sizeof(*sim->latencies));
	assert_int_equal(hl_scheduler_init(&sim->s, &ops, &sim->world.env, max_in_flight, max_slow, max_total), 0);
}

static void sim_queue(struct sim *sim, uint32_t webhook, uint32_t account, hl_ms_t latency_ms, enum hl_class class)
{
	struct hl_queue_limits limits = { .max_in_flight = 20, .park_after = 5 };
	struct receiver *r = &sim->receivers[webhook - 1];
	r->latency_ms = latency_ms;
	r->class = class;
	assert_int_equal(hl_queue_create(&r->q, &sim->shared, account, webhook, &limits), 0);
}

static void sim_publish(struct sim *sim, uint32_t webhook)
{
	uint64_t delivery = sim->next_delivery++;
	struct hl_queue *q = sim->receivers[webhook - 1].q;
	assert_true(delivery < sim->published_cap);
	sim->published[delivery] = sim->world.mono_ms;
	hl_queue_push_fresh(q, delivery, delivery, NULL);
	hl_scheduler_touch(&sim->s, q);
}

static void end_flight(struct sim *sim, struct flight *f)
{
	struct receiver *r = &sim->receivers[f->slot.queue->webhook - 1];
	struct hl_judgement j = { .verdict = HL_VERDICT_SUCCEEDED, .feedback = HL_FEEDBACK_SUCCESS };
	if (r->class != HL_CLASS_NONE)
		j = (struct hl_judgement){ .verdict = HL_VERDICT_RETRY, .error_class = r->class, .unavailable = true,
			.feedback = r->class == HL_CLASS_TIMEOUT ? HL_FEEDBACK_HALVE : HL_FEEDBACK_BACK_OFF };
	else
		sim->latencies[sim->n_latencies++] = (uint32_t)(sim->world.mono_ms - f->published_mono_ms);
	struct hl_due due = { .due_at_ms = sim->world.wall_ms + 5000, .delivery = f->slot.delivery, .event = 1, .attempts = 1,
		.set_at_ms = sim->world.wall_ms };
	struct hl_queue *q = f->slot.queue;
	hl_scheduler_finish(&sim->s, &f->slot, &j);
	if (r->class != HL_CLASS_NONE) {
		assert_int_equal(hl_queue_push_due(q, &due, false, sim->world.wall_ms, sim->world.mono_ms), 0);
		hl_scheduler_touch(&sim->s, q);
	}
	hl_list_remove(&f->slot.fresh);
	free(f);
}

/* Ends what is due to end now and starts what may start; checks the limits. */
static void sim_step(struct sim *sim)
{
	struct hl_heap_node *n;
	while ((n = hl_heap_peek(&sim->flights)) && n->key <= sim->world.mono_ms) {
		hl_heap_pop(&sim->flights);
		end_flight(sim, HL_CONTAINER_OF(n, struct flight, ends));
	}
	while (hl_scheduler_run(&sim->s))
		;
	assert_true(hl_scheduler_check(&sim->s));
	sim->max_fast = HL_MAX(sim->max_fast, sim->s.fast);
	sim->max_slow = HL_MAX(sim->max_slow, sim->s.slow);
	sim->max_total = HL_MAX(sim->max_total, sim->s.slow + sim->s.fast);
}

static hl_ms_t sim_next(struct sim *sim)
{
	struct hl_heap_node *n = hl_heap_peek(&sim->flights);
	hl_ms_t next = hl_scheduler_next(&sim->s);
	return n ? HL_MIN(next, n->key) : next;
}

static void sim_fini(struct sim *sim)
{
	struct hl_heap_node *n;
	while ((n = hl_heap_pop(&sim->flights))) {
		struct flight *f = HL_CONTAINER_OF(n, struct flight, ends);
		hl_scheduler_drop(&sim->s, &f->slot);
		free(f);
	}
	for (size_t i = 0; i < sim->n_receivers; i++) {
		hl_scheduler_forget(&sim->s, sim->receivers[i].q);
		hl_queue_destroy(sim->receivers[i].q);
	}
	hl_scheduler_fini(&sim->s);
	hl_heap_fini(&sim->flights);
	hl_map_u64_fini(&sim->shared.waiting);
	hl_map_u64_fini(&sim->shared.claims);
	hl_event_cache_fini(&sim->events);
	free(sim->receivers);
	free(sim->published);
	free(sim->latencies);
}

static int cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static uint32_t percentile(struct sim *sim, unsigned p)
{
	assert_true(sim->n_latencies > 0);
	qsort(sim->latencies, sim->n_latencies, sizeof(*sim->latencies), cmp_u32);
	return sim->latencies[sim->n_latencies * p / 100];
}

static void test_accounts_take_turns_before_queues(void **state)
{
	(void)state;
	struct sim sim;
	sim_init(&sim, 4, 1000, 1, 1, 10); /* one attempt at a time */
	for (uint32_t w = 1; w <= 3; w++)
		sim_queue(&sim, w, 1, 10, HL_CLASS_NONE);
	sim_queue(&sim, 4, 2, 10, HL_CLASS_NONE);
	for (int i = 0; i < 100; i++)
		for (uint32_t w = 1; w <= 4; w++)
			sim_publish(&sim, w);
	while (sim.n_order < 120) {
		sim_step(&sim);
		sim.world.mono_ms = sim_next(&sim);
	}
	unsigned served[5] = { 0 };
	for (size_t i = 0; i < 120; i++)
		served[sim.order[i]]++;
	assert_int_equal(served[4], 60); /* account 2's only queue gets as much as the three of account 1 */
	for (int w = 1; w <= 3; w++)
		assert_int_equal(served[w], 20);
	sim_fini(&sim);
}

static void test_one_busy_queue_does_not_fill_every_slot(void **state)
{
	(void)state;
	struct sim sim;
	sim_init(&sim, 2, 4000, 100, 10, 1000);
	sim_queue(&sim, 1, 1, 500, HL_CLASS_NONE);
	sim_queue(&sim, 2, 1, 5, HL_CLASS_NONE);
	for (int i = 0; i < 2000; i++)
		sim_publish(&sim, 1);
	sim_step(&sim);
	assert_int_equal(sim.s.fast, HL_QUEUE_START_WINDOW);
	sim_publish(&sim, 2);
	sim_step(&sim);
	assert_int_equal(sim.receivers[1].q->busy, 1);
	sim_fini(&sim);
}

static void test_retries_leave_room_for_first_attempts(void **state)
{
	(void)state;
	struct sim sim;
	enum { N = 40 };
	sim_init(&sim, 2 * N, 100000, 100, 10, 1000);
	for (uint32_t w = 1; w <= N; w++) { /* full of retries */
		sim_queue(&sim, w, 1, 400, HL_CLASS_NONE);
		for (uint64_t i = 0; i < 200; i++) {
			struct hl_due due = { .due_at_ms = sim.world.wall_ms, .delivery = sim.next_delivery++, .event = 1,
				.attempts = 1, .set_at_ms = sim.world.wall_ms };
			assert_int_equal(hl_queue_push_due(sim.receivers[w - 1].q, &due, false, sim.world.wall_ms,
						 sim.world.mono_ms), 0);
		}
		hl_scheduler_touch(&sim.s, sim.receivers[w - 1].q);
	}
	for (uint32_t w = N + 1; w <= 2 * N; w++) { /* full of first attempts */
		sim_queue(&sim, w, 1, 400, HL_CLASS_NONE);
		for (int i = 0; i < 200; i++)
			sim_publish(&sim, w);
	}
	for (int i = 0; i < 20; i++) {
		sim_step(&sim);
		assert_true(sim.s.retries <= 30);
		assert_int_equal(sim.s.fast, 100);
		sim.world.mono_ms = sim_next(&sim);
		sim.world.wall_ms += 1;
	}
	sim_fini(&sim);
}

/* The rule that makes the product: receivers that accept and never answer cost the others nothing. */
static void run_hung(uint32_t n_hung, uint32_t n_healthy, double per_s, hl_ms_t duration_ms, uint32_t max_total, bool proven,
		struct sim *sim)
{
	uint32_t n = n_hung + n_healthy;
	uint64_t deliveries = (uint64_t)((double)n * per_s * (double)duration_ms / 1000.0);
	sim_init(sim, n, deliveries + 10, 2000, 500, max_total);
	for (uint32_t w = 1; w <= n; w++)
		sim_queue(sim, w, 1, w <= n_hung ? 15000 : 5, w <= n_hung ? HL_CLASS_TIMEOUT : HL_CLASS_NONE);
	for (uint32_t w = n_hung + 1; w <= n; w++)
		sim->receivers[w - 1].q->proven = proven;
	hl_ms_t start = sim->world.mono_ms;
	for (uint64_t i = 0; i < deliveries; i++) {
		hl_ms_t at = start + (hl_ms_t)((double)i * (double)duration_ms / (double)deliveries);
		for (hl_ms_t next = sim_next(sim); next <= at; next = sim_next(sim)) {
			sim->world.wall_ms += HL_MAX(next - sim->world.mono_ms, (hl_ms_t)0);
			sim->world.mono_ms = HL_MAX(next, sim->world.mono_ms);
			sim_step(sim);
		}
		sim->world.wall_ms += HL_MAX(at - sim->world.mono_ms, (hl_ms_t)0);
		sim->world.mono_ms = HL_MAX(at, sim->world.mono_ms);
		sim_publish(sim, (uint32_t)(fakeenv_next(&sim->world) % n) + 1);
		sim_step(sim);
	}
}

static void test_ten_thousand_hung_receivers(void **state)
{
	(void)state;
	struct sim sim;
	run_hung(10000, 100, 0.2, 60000, 16384, false, &sim);
	uint32_t p50 = percentile(&sim, 50), p99 = percentile(&sim, 99);
	print_message("10,000 hung, 100 healthy: served %zu, p50 %u ms, p99 %u ms, in flight at most %u + %u\n", sim.n_latencies,
			p50, p99, sim.max_fast, sim.max_slow);
	assert_true(p50 <= 10);
	assert_true(p99 < 2000);
	assert_true(sim.max_fast <= 2000);
	sim_fini(&sim);
}

/* Few sockets: what is left of them serves receivers known to answer. */
static void test_hung_receivers_and_few_sockets(void **state)
{
	(void)state;
	struct sim sim;
	run_hung(10000, 100, 0.2, 60000, 2000, true, &sim);
	uint32_t p99 = percentile(&sim, 99);
	print_message("the same with 2000 sockets: served %zu, p50 %u ms, p99 %u ms, in flight at most %u\n", sim.n_latencies,
			percentile(&sim, 50), p99, sim.max_total);
	assert_true(p99 < 2000);
	assert_true(sim.max_total <= 2000);
	sim_fini(&sim);
}

static void test_one_percent_hung_changes_nothing(void **state)
{
	(void)state;
	struct sim none, some;
	run_hung(0, 990, 2, 20000, 16384, false, &none);
	run_hung(10, 990, 2, 20000, 16384, false, &some);
	uint32_t base = percentile(&none, 99), with = percentile(&some, 99);
	print_message("p99 %u ms without, %u ms with 1 %% hung\n", base, with);
	assert_true(with <= base + 1);
	sim_fini(&none);
	sim_fini(&some);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accounts_take_turns_before_queues),
		cmocka_unit_test(test_one_busy_queue_does_not_fill_every_slot),
		cmocka_unit_test(test_retries_leave_room_for_first_attempts),
		cmocka_unit_test(test_ten_thousand_hung_receivers),
		cmocka_unit_test(test_hung_receivers_and_few_sockets),
		cmocka_unit_test(test_one_percent_hung_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
