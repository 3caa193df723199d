/* Life of a dispatcher.
 *
 * Open: options are parsed, the store is opened (its gate says what is wrong with it), the commit queue starts, memory is
 * filled from the store (feed.c), the first tick follows. Every tick: the clock is looked at for jumps, the scheduler starts
 * what may start, the janitor does its bites, the alarm is set for the earliest of their wishes.
 *
 * Close: nothing new is started; attempts in flight end or are dropped after the grace; their outcomes are committed; then
 * the commit queue and the store close. */
#include "dispatch/engine.h"

#include "dispatch/attempt.h"
#include "dispatch/feed.h"
#include "dispatch/janitor.h"
#include "dispatch/options.h"
#include "dispatch/walks.h"
#include "dispatch/webhook_state.h"

#include "base/check.h"
#include "base/crash.h"
#include "base/err.h"
#include <stdlib.h>

enum { CLOCK_JUMP_MS = 2000, ROOM_LOOK_MS = 2000 };

/* ---- clock jumps ---- */

static void look_at_clock(struct hl_dispatcher *d)
{
	hl_ms_t wall = hl_core_wall(d), mono = hl_core_mono(d);
	hl_ms_t jump = wall - mono - d->wall_minus_mono_ms;
	if (jump > -CLOCK_JUMP_MS && jump < CLOCK_JUMP_MS)
		return;
	d->wall_minus_mono_ms = wall - mono;
	hl_log(&d->log, HL_LOG_WARN, "clock.jumped", "ms=%lld", (long long)jump);
	size_t pos = 0;
	void *q;
	while (hl_map_u64_next(&d->queues, &pos, NULL, &q)) {
		if (hl_queue_retime(q, wall, mono) != 0)
			hl_queue_reload_due(q);
		hl_scheduler_touch(&d->scheduler, q);
	}
}

/* ---- room ---- */

/* Here and not where it is found out: the storage thread has no log. */
static void tell_room(struct hl_dispatcher *d, const struct hl_store_usage *u)
{
	if (d->room == HL_ROOM_SPENT)
		hl_log(&d->log, HL_LOG_ERROR, "store.reserve_spent", "deliveries wait, too, until the disk has room");
	else if (d->room == HL_ROOM_DISK_FULL)
		hl_log(&d->log, HL_LOG_ERROR, "store.disk_full", "publishes are refused until the disk has room");
	else if (d->room == HL_ROOM_QUOTA_FULL)
		hl_log(&d->log, HL_LOG_ERROR, "store.quota_full", "used=%llu max=%llu; publishes are refused until something is deleted",
				(unsigned long long)u->used_bytes, (unsigned long long)u->max_bytes);
	else
		hl_log(&d->log, HL_LOG_WARN, "store.room", "publishes are accepted again");
}

/* Attempts whose outcomes would not fit do not begin: the commit would fail, and after the restart they would all be made
 * again. Room is looked for with every batch; when nothing goes on, the janitor's is one. Returns when to look again. */
static hl_ms_t look_at_room(struct hl_dispatcher *d)
{
	struct hl_store_usage u;
	hl_store_usage(d->store, &u);
	enum hl_core_room room = !hl_store_full(d->store) ? HL_ROOM_ENOUGH : u.spent ? HL_ROOM_SPENT :
			u.disk_full ? HL_ROOM_DISK_FULL : HL_ROOM_QUOTA_FULL;
	if (room != d->room) {
		d->room = room;
		tell_room(d, &u);
		hl_core_hold(d);
	}
	if (room != HL_ROOM_SPENT)
		return INT64_MAX;
	if (hl_core_mono(d) >= d->look_at_room_mono_ms) {
		d->look_at_room_mono_ms = hl_core_mono(d) + ROOM_LOOK_MS;
		hl_janitor_wake(d);
	}
	return d->look_at_room_mono_ms;
}

/* ---- ticks ---- */

static void check_drained(struct hl_dispatcher *d)
{
	if (d->state != HL_CORE_DRAINING)
		return;
	if (d->n_runs > 0 && hl_core_mono(d) >= d->grace_until_mono_ms)
		hl_attempt_cancel_all(d);
	if (d->n_runs > 0 || d->n_commands > 0)
		return;
	HL_CRASH_POINT(DRAIN_ATTEMPTS);
	d->state = HL_CORE_CLOSING;
	void (*cb)(struct hl_dispatcher *) = d->on_drained;
	cb(d);
}

void hl_engine_tick(struct hl_dispatcher *d)
{
	hl_walks_tick(d);
	if (d->state == HL_CORE_DRAINING) {
		bool grace = hl_core_mono(d) < d->grace_until_mono_ms; /* past it, whatever ends calls for a turn itself */
		d->alarm.set(d->alarm.data, grace ? d->grace_until_mono_ms : INT64_MAX);
		check_drained(d);
		return;
	}
	if (d->state != HL_CORE_OPEN)
		return;
	hl_ms_t behind = hl_webhook_state_catch_up(d);
	look_at_clock(d);
	hl_ms_t room = look_at_room(d);
	bool more = hl_scheduler_run(&d->scheduler);
	hl_ms_t janitor = hl_janitor_tick(d);
	hl_ms_t guest = d->guest ? d->guest->tick(d->guest->data) : INT64_MAX;
	hl_ms_t next = HL_MIN(HL_MIN(hl_scheduler_next(&d->scheduler), behind), HL_MIN(janitor, guest));
	d->alarm.set(d->alarm.data, HL_MIN(next, room));
	if (more)
		hl_core_soon(d);
}

void hl_engine_turn_end(struct hl_dispatcher *d)
{
	hl_store_read_reset(d->store);
	hl_arena_reset(&d->turn);
}

bool hl_engine_step(struct hl_dispatcher *d)
{
	return hl_commit_step(d->commit);
}

static void on_fatal(void *data, const struct hl_err *err)
{
	struct hl_dispatcher *d = data;
	d->failed = true;
	hl_core_hold(d);
	hl_log(&d->log, HL_LOG_ERROR, "store.failed", "text=\"%s\"", err ? err->text : "");
	if (d->on_fatal)
		d->on_fatal(d->hook_data, err);
}

/* ---- open ---- */

static bool in_catalogue(void *data, enum hl_dialect dialect, struct hl_str type)
{
	struct hl_dispatcher *d = data;
	return hl_catalogue_has(&d->catalogue, dialect, type);
}

static int open_store(struct hl_dispatcher *d, const struct hl_options *o, uv_loop_t *loop, struct hl_err *err)
{
	struct hl_store_options so = { .dir = o->data_dir, .max_bytes = o->store_max_bytes, .key_file = o->key_file,
		.create = true, .takeover = o->takeover, .env = o->env };
	struct hl_commit_options co = { .threaded = loop != NULL, .on_fatal = on_fatal, .data = d };
	int rc = hl_store_open(&d->store, &so, err);
	if (rc)
		return rc;
	rc = hl_store_reserve(d->store, 0); /* whether attempts may begin is known from the start */
	if (rc && rc != HL_EFULL)
		return hl_err_set(err, rc, "keep room for outcomes: %s", hl_strerror(rc));
	rc = hl_commit_open(&d->commit, loop, d->store, &co, err);
	if (rc)
		return rc;
	struct hl_txn *txn = hl_core_read(d);
	hl_store_next_numbers(txn, &d->numbers);
	rc = hl_txn_status(txn);
	return rc ? hl_err_set(err, rc, "read the store: %s", hl_strerror(rc)) : 0;
}

static void log_sink(void *data, int level, const char *line)
{
	struct hl_dispatcher *d = data;
	d->on_log(d->hook_data, (enum hl_log_level)level, line);
}

static void init_parts(struct hl_dispatcher *d, const struct hl_options *o)
{
	struct hl_scheduler_ops ops = { .data = d, .start = hl_attempt_start, .refill = hl_feed_refill };
	hl_arena_init(&d->turn, 0);
	hl_catalogue_init(&d->catalogue);
	hl_map_u64_init(&d->generations);
	hl_event_cache_init(&d->events, o->window_bytes / 2);
	d->shared.events = &d->events;
	d->shared.n_fresh_max = o->window_bytes / 4 / sizeof(struct hl_fresh_entry);
	d->shared.n_due_max = o->window_bytes / 4 / (sizeof(struct hl_due_entry) + 32);
	hl_map_u64_init(&d->shared.waiting);
	hl_map_u64_init(&d->shared.claims);
	hl_map_u64_init(&d->queues);
	hl_list_init(&d->runs);
	hl_list_init(&d->free_runs);
	hl_list_init(&d->walks);
	hl_scheduler_init(&d->scheduler, &ops, d->env, o->max_in_flight, o->max_slow, o->max_connections);
	d->wall_minus_mono_ms = hl_core_wall(d) - hl_core_mono(d);
}

static void fini_parts(struct hl_dispatcher *d)
{
	size_t pos = 0;
	void *v;
	uint64_t key;
	while (hl_map_u64_next(&d->queues, &pos, &key, &v)) {
		struct hl_queue *q = v;
		hl_scheduler_forget(&d->scheduler, q);
		hl_map_u64_del(&d->queues, key);
		hl_destination_release(q->destination);
		hl_queue_destroy(q);
	}
	for (pos = 0; hl_map_u64_next(&d->generations, &pos, &key, &v);) {
		hl_map_u64_del(&d->generations, key);
		free(v);
	}
	hl_attempt_free_all(d);
	hl_scheduler_fini(&d->scheduler);
	hl_subscriptions_destroy(d->subscriptions);
	hl_catalogue_fini(&d->catalogue);
	hl_map_u64_fini(&d->generations);
	hl_map_u64_fini(&d->queues);
	hl_map_u64_fini(&d->shared.waiting);
	hl_map_u64_fini(&d->shared.claims);
	hl_event_cache_fini(&d->events);
	hl_janitor_destroy(d);
	hl_arena_fini(&d->turn);
}

int hl_engine_open(struct hl_dispatcher **out, const struct hl_options *o, const struct hl_engine_ports *ports,
		struct hl_err *err)
{
	struct hl_dispatcher *d = calloc(1, sizeof(*d));
	if (!d)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	d->env = ports->env ? ports->env : o->env ? o->env : &hl_env_real;
	d->transport = ports->transport;
	d->alarm = ports->alarm;
	d->egress = ports->egress;
	d->hook_data = o->data;
	d->on_attempt = o->on_attempt;
	d->on_fatal = o->on_fatal;
	d->on_log = o->on_log;
	d->log = (struct hl_log){ .level = o->log_level, .sink = o->on_log ? log_sink : NULL, .data = d };
	init_parts(d, o);
	int rc = hl_options_apply(d, o, err);
	if (rc == 0)
		rc = hl_subscriptions_create(&d->subscriptions, in_catalogue, d);
	if (rc == 0)
		rc = open_store(d, o, ports->loop, err);
	if (rc == 0)
		rc = hl_janitor_create(d);
	if (rc == 0)
		rc = hl_feed_start(d, err);
	HL_CRASH_POINT(START_ENGINE);
	if (rc) {
		d->state = HL_CORE_CLOSING;
		hl_engine_abandon(d);
		return err && err->code == rc ? rc : hl_err_set(err, rc, "%s", hl_strerror(rc));
	}
	*out = d;
	hl_core_soon(d);
	return 0;
}

/* ---- close ---- */

void hl_engine_drain(struct hl_dispatcher *d, hl_ms_t grace_ms, void (*on_drained)(struct hl_dispatcher *d))
{
	HL_CHECK(d->state == HL_CORE_OPEN);
	d->state = HL_CORE_DRAINING;
	hl_core_hold(d);
	d->on_drained = on_drained;
	d->grace_until_mono_ms = hl_core_mono(d) + grace_ms;
	hl_core_soon(d);
}

struct freeing {
	struct hl_dispatcher *d;
	void (*cb)(void *data);
	void *data;
};

static void commit_closed(void *data)
{
	struct freeing f = *(struct freeing *)data;
	free(data);
	HL_CRASH_POINT(DRAIN_STORE);
	fini_parts(f.d);
	hl_store_close(f.d->store);
	hl_log(&f.d->log, HL_LOG_INFO, "dispatcher.closed", "at=end");
	free(f.d);
	if (f.cb)
		f.cb(f.data);
}

void hl_engine_free(struct hl_dispatcher *d, void (*cb)(void *data), void *data)
{
	struct freeing *f = malloc(sizeof(*f));
	HL_CHECK(f);
	*f = (struct freeing){ d, cb, data };
	d->state = HL_CORE_CLOSED;
	hl_store_read_reset(d->store);
	hl_commit_close(d->commit, commit_closed, f);
}

static void no_alarm(void *data, hl_ms_t at_mono_ms)
{
	(void)data;
	(void)at_mono_ms;
}

static void no_turn(void *data)
{
	(void)data;
}

void hl_engine_abandon(struct hl_dispatcher *d)
{
	d->alarm = (struct hl_alarm){ .set = no_alarm, .soon = no_turn }; /* the port does not wait for what is under way */
	if (d->commit) {
		hl_engine_free(d, NULL, NULL);
		return;
	}
	fini_parts(d);
	hl_store_close(d->store);
	free(d);
}
