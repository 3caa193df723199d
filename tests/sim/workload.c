/* Random days: publishers and people (calls.c), receivers in changing moods, clocks that jump, disks that stall, fill, fail and
 * lose what was not synced, memory that runs out, processes that are killed.
 *
 * A run: some webhooks, then steps; in each one thing happens and a little time or none passes. In the end the world heals: the
 * disk works, every receiver answers, nobody is paused. Then everything must end as it should. */
#include "sim.h"

#include "dispatch/queues.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the world around ---- */

static void change_mood(struct sim *m)
{
	enum sim_mood mood = sim_chance(m, 40) ? SIM_OK : (enum sim_mood)sim_below(m, SIM_MOODS);
	if (mood == SIM_GONE && sim_chance(m, 70))
		mood = SIM_HANG;
	m->webhooks[sim_below(m, m->n_webhooks)].mood = mood;
	if (sim_chance(m, 5)) /* the network is down, or up again */
		for (unsigned i = 0; i < m->n_webhooks; i++)
			m->webhooks[i].mood = mood == SIM_GONE ? SIM_OK : mood;
}

static void jump(struct sim *m)
{
	hl_ms_t by = sim_chance(m, 50) ? (hl_ms_t)sim_below(m, 3 * SIM_HOUR) : (hl_ms_t)sim_below(m, 72) * SIM_HOUR;
	sim_jump(m, sim_chance(m, 50) ? by : -by);
}

/* Others take the room on the disk, or give it back. */
static void change_room(struct sim *m)
{
	disk_room(sim_chance(m, 30) ? UINT64_MAX : sim_chance(m, 50) ? 0 : (uint64_t)sim_below(m, 100) << 20);
}

/* A queue reads everything from the store again, as it does after many a trouble. */
static void forget_windows(struct sim *m)
{
	const struct sim_webhook *w = sim_any_webhook(m);
	struct hl_queue *q = w ? hl_queues_get(m->f.d, w->number) : NULL;
	if (!q)
		return;
	hl_queue_drop_windows(q);
	hl_scheduler_touch(&m->f.d->scheduler, q);
}

/* ---- ends and starts ---- */

/* Small windows and caches, so that their edges are met with few rows. */
static void squeeze(struct sim *m)
{
	struct hl_dispatcher *d = m->f.d;
	if (m->seed % 2)
		d->shared.n_fresh_max = d->shared.n_due_max = sim_below(m, 60);
	if (m->seed % 3)
		d->events.bytes_max = sim_below(m, 3000);
}

/* Opens the store as the last end left it; may be ended in the middle of that, again and again. */
void sim_open(struct sim *m)
{
	for (;;) {
		struct hl_err err = { 0 };
		m->unsynced = true;
		sim_audit(m);
		if (sim_chance(m, 10)) { /* a new store is made with few operations */
			enum disk_fault how = sim_chance(m, 50) ? DISK_POWER_CUT : DISK_KILLED;
			disk_plan(1 + sim_below(m, m->ever_open ? 30 : 8), how);
		}
		int rc = fx_try_open(&m->f, &err);
		if (rc == 0)
			fx_pump(&m->f);
		if (!disk_dead()) {
			SIM_CHECK(m, rc == 0, "the store does not open: %s %s", hl_errname(rc), err.text);
			disk_plan(0, DISK_FINE);
			m->ever_open = true;
			return;
		}
		m->crashing = true;
		if (rc == 0)
			fx_die(&m->f);
		disk_settle();
	}
}

void sim_restart(struct sim *m, enum disk_fault end)
{
	sim_note(m, "the process ends: how", end, disk_counts()->operations, 0);
	m->crashing = end != DISK_FINE;
	if (end == DISK_FINE) {
		fx_close(&m->f);
	} else {
		disk_end(end);
		fx_die(&m->f);
	}
	disk_settle();
	if (sim_chance(m, 20))
		fakeenv_advance(&m->f.world, sim_below(m, 30 * SIM_HOUR));
	sim_open(m);
	sim_reopened(m);
	squeeze(m);
}

static void plan_end(struct sim *m)
{
	static const enum disk_fault ends[] = { DISK_FAILS, DISK_KILLED, DISK_POWER_CUT };
	enum disk_fault end = ends[sim_below(m, 3)];
	disk_plan(1 + sim_below(m, 40), end);
}

/* The store failed, or the process was ended in the middle of a commit. */
static void after_fault(struct sim *m)
{
	SIM_CHECK(m, disk_failed() || m->memory_fails, "the store failed: %s", hl_store_death(m->f.d->store));
	if (m->f.fatal && sim_chance(m, 50)) { /* it goes on for a while, and takes nothing more */
		SIM_CHECK(m, hl_dispatcher_ready(m->f.d, NULL) == HL_EFATAL, "ready, but the store failed");
		sim_publish(m, true);
		fx_advance(&m->f, sim_below(m, SIM_SECOND));
	}
	sim_restart(m, disk_failed() ? DISK_POWER_CUT : DISK_KILLED);
}

/* ---- steps ---- */

static void pass_time(struct sim *m)
{
	unsigned kind = sim_below(m, 10);
	if (kind < 2)
		return; /* the next step shares the turn */
	if (kind < 4) {
		for (unsigned n = sim_below(m, 4); n > 0; n--)
			(void)fx_turn(&m->f);
		return;
	}
	static const unsigned longest[] = { 5, 100, 2 * SIM_SECOND, 20 * SIM_SECOND, 5 * SIM_MINUTE, SIM_HOUR };
	fx_advance(&m->f, sim_below(m, longest[kind - 4]));
}

#define STEPS(X)                                                                                           \
	X(24, sim_publish(m, false)) X(8, sim_burst(m)) X(14, change_mood(m)) X(2, sim_create(m))         \
	X(4, sim_set_state(m, sim_any_webhook(m), HL_WEBHOOK_PAUSED))                                     \
	X(6, sim_set_state(m, sim_any_webhook(m), HL_WEBHOOK_ENABLED))                                    \
	X(1, sim_delete(m)) X(1, sim_rotate(m)) X(2, sim_move(m)) X(2, sim_recover(m)) X(4, sim_replay(m)) \
	X(6, sim_touch_delivery(m, 0)) X(6, sim_touch_delivery(m, 1)) X(3, sim_touch_delivery(m, 2))      \
	X(2, sim_test(m)) X(2, m->f.disk_stalled = true) X(5, m->f.disk_stalled = false) X(2, change_room(m)) X(4, forget_windows(m)) \
	X(1, sim_restart(m, DISK_KILLED)) X(1, sim_restart(m, DISK_POWER_CUT)) X(1, sim_restart(m, DISK_FINE)) X(3, plan_end(m)) X(1, jump(m))

/* The loop began its turn with a snapshot; the storage thread is faster: what happens next is decided on an old one. */
static void fall_behind(struct sim *m)
{
	if (!m->f.disk_late || m->f.disk_stalled || !sim_chance(m, 25))
		return;
	(void)hl_core_read(m->f.d);
	(void)hl_commit_run(m->f.d->commit);
}

static void step(struct sim *m)
{
	fall_behind(m);
#define X(weight, call) + (weight)
	unsigned dice = sim_below(m, 0 STEPS(X));
#undef X
#define X(weight, call)                                         \
	if (dice < (weight)) {                                  \
		m->doing = #call;                               \
		if (m->trace)                                   \
			printf("%10lld %4u  %s\n", (long long)m->f.world.mono_ms, m->step, #call); \
		call;                                           \
		return;                                         \
	}                                                       \
	dice -= (weight);
	STEPS(X)
#undef X
}

static void set_up(struct sim *m)
{
	struct hl_options *o = &m->f.options;
	o->max_in_flight = 1 + sim_below(m, 40);
	o->max_slow = 1 + sim_below(m, 8);
	o->max_connections = 8 + sim_below(m, 60);
	o->max_uncommitted = 1 + sim_below(m, 60);
	o->park_after = 2 + sim_below(m, 5);
	if (m->seed % 7 == 0) {
		m->retention = true;
		o->retention_s = 3600 * (1 + sim_below(m, 48));
		o->retention_percent = 1;
		o->store_max_bytes = 64 << 20;
	}
	sim_open(m);
	for (unsigned i = 0; i < 2; i++) {
		struct fx_result r = { 0 };
		struct hl_event_type t = { .name = hl_str_from(sim_types[i]), .title = HL_STR("t") };
		t.dialect_categories[HL_DIALECT_ABOUTYOU] = HL_STR("x");
		SIM_CHECK(m, hl_event_type_put(m->f.d, &t, fx_on_done, &r, NULL) == 0, "event type");
		fx_pump(&m->f);
	}
	for (unsigned n = m->seed % 4 ? 1 + sim_below(m, 5) : 3 + sim_below(m, 12); n > 0; n--)
		sim_create(m);
	fx_pump(&m->f);
	squeeze(m);
	m->f.disk_late = m->seed % 5 > 1;
	m->f.disk_takes_ms = m->seed % 5 > 2 ? 1 + sim_below(m, sim_chance(m, 50) ? 10 : 300) : 0;
	m->memory_fails = m->seed % 4 == 3; /* a transaction that cannot begin is fatal too */
	sim_faults(m->memory_fails ? 15 : 0, m->seed);
}

/* ---- the end ---- */

static bool all_ended(struct fx *f, void *data)
{
	struct hl_totals t;
	struct hl_job_row job;
	struct hl_txn *txn = hl_core_read(f->d);
	(void)data;
	hl_totals_get(txn, 0, &t);
	return t.by_state[HL_DELIVERY_PENDING] == 0 && f->d->n_runs == 0 && !hl_job_next(txn, 0, &job);
}

/* All receivers answer, nobody is paused: everything ends. */
static void heal(struct sim *m)
{
	m->doing = "healing";
	sim_faults(0, 0);
	disk_plan(0, DISK_FINE);
	disk_room(UINT64_MAX);
	m->f.disk_stalled = false;
	for (unsigned i = 0; i < m->n_webhooks; i++)
		m->webhooks[i].mood = SIM_OK;
	fx_advance(&m->f, 20 * SIM_SECOND);
	for (unsigned i = 0; i < m->n_webhooks; i++)
		sim_set_state(m, &m->webhooks[i], HL_WEBHOOK_ENABLED);
	fx_pump(&m->f);
	SIM_CHECK(m, hl_dispatcher_ready(m->f.d, NULL) == 0, "publishes are not accepted again");
	hl_ms_t longest = sim_expect_success(m);
	fx_advance(&m->f, 8 * SIM_MINUTE + (hl_ms_t)m->f.d->numbers.delivery * SIM_SECOND);
	sim_check_drained(m);
	(void)fx_until(&m->f, all_ended, NULL, longest + SIM_HOUR);
	sim_settle_recoveries(m);
	sim_check_engine(m);
	sim_check_end(m);
}

uint64_t sim_finish(struct sim *m)
{
	heal(m);
	fx_close(&m->f);
	sim_audit(m);
	uint64_t hash = m->hash ^ disk_counts()->hash;
	sim_fini(m);
	free(m);
	return hash;
}

uint64_t sim_run(uint64_t seed, bool trace)
{
	struct sim *m = malloc(sizeof(*m));
	sim_init(m, seed, trace);
	set_up(m);
	unsigned steps = seed % 4 ? 10 + sim_below(m, 60) : 20 + sim_below(m, 180);
	for (m->step = 1; m->step <= steps; m->step++) {
		step(m);
		pass_time(m);
		if (m->f.fatal || disk_failed())
			after_fault(m);
		m->wall_max_ms = HL_MAX(m->wall_max_ms, fx_now(&m->f));
		sim_check_engine(m);
		sim_check_stored(m);
		sim_check_held(m);
		if (m->step % 16 == 0)
			sim_settle_recoveries(m);
		fx_forget(&m->f);
	}
	return sim_finish(m);
}
