/* Life of a dispatcher, and the errands its files share.
 *
 * Open: options are parsed, the store is opened (its gate says what is wrong with it), the commit queue starts, memory is
 * filled from the store (feed.c), the first tick follows. Every tick: the clock is looked at for jumps, the scheduler starts
 * what may start, the janitor does its bites, the alarm is set for the earliest of their wishes.
 *
 * Close: nothing new is started; attempts in flight end or are dropped after the grace; their outcomes are committed; then
 * the commit queue and the store close. */
#include "dispatch/core.h"

#include "dispatch/attempt.h"
#include "dispatch/feed.h"
#include "dispatch/janitor.h"
#include "dispatch/options.h"
#include "dispatch/walks.h"

#include "base/check.h"
#include "base/err.h"
#include "base/siphash.h"
#include <stdlib.h>

enum { CLOCK_JUMP_MS = 2000 };

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

/* ---- ticks ---- */

static void check_drained(struct hl_dispatcher *d)
{
	if (d->state != HL_CORE_DRAINING)
		return;
	if (d->n_runs > 0 && hl_core_mono(d) >= d->grace_until_mono_ms)
		hl_attempt_cancel_all(d);
	if (d->n_runs > 0 || d->n_commands > 0)
		return;
	d->state = HL_CORE_CLOSING;
	void (*cb)(struct hl_dispatcher *) = d->on_drained;
	cb(d);
}

void hl_core_tick(struct hl_dispatcher *d)
{
	hl_walks_tick(d);
	if (d->state == HL_CORE_DRAINING) {
		d->alarm.set(d->alarm.data, d->grace_until_mono_ms);
		check_drained(d);
		return;
	}
	if (d->state != HL_CORE_OPEN)
		return;
	look_at_clock(d);
	bool more = hl_scheduler_run(&d->scheduler);
	hl_ms_t janitor = hl_janitor_tick(d);
	d->alarm.set(d->alarm.data, HL_MIN(hl_scheduler_next(&d->scheduler), janitor));
	if (more)
		hl_core_soon(d);
}

void hl_core_turn_end(struct hl_dispatcher *d)
{
	hl_store_read_reset(d->store);
	hl_arena_reset(&d->turn);
}

bool hl_core_step(struct hl_dispatcher *d)
{
	return hl_commit_step(d->commit);
}

/* ---- commands ---- */

int hl_core_admit(struct hl_dispatcher *d, struct hl_err *err)
{
	if (d->state != HL_CORE_OPEN)
		return hl_err_set(err, HL_ECLOSED, "the dispatcher is closing");
	if (d->failed)
		return hl_err_set(err, HL_EFATAL, "the store failed; restart the process");
	if (hl_commit_backlog(d->commit) >= HL_COMMIT_BACKLOG_MAX || hl_commit_backlog_bytes(d->commit) >= HL_COMMIT_BYTES_MAX)
		return hl_err_set(err, HL_EBUSY, "too much waits for the disk");
	return 0;
}

void hl_core_submit(struct hl_dispatcher *d, struct hl_command *c)
{
	d->n_commands++;
	hl_commit_submit(d->commit, c);
}

void hl_core_command_done(struct hl_dispatcher *d)
{
	HL_CHECK(d->n_commands > 0);
	d->n_commands--;
	if (d->state == HL_CORE_DRAINING)
		hl_core_soon(d);
}

static void on_fatal(void *data, const struct hl_err *err)
{
	struct hl_dispatcher *d = data;
	d->failed = true;
	d->scheduler.held = true;
	hl_log(&d->log, HL_LOG_ERROR, "store.failed", "text=\"%s\"", err ? err->text : "");
	if (d->on_fatal)
		d->on_fatal(d->hook_data, err);
}

/* ---- generations ---- */

uint64_t hl_core_generation(struct hl_dispatcher *d, uint32_t account)
{
	const uint64_t *g = hl_map_u64_get(&d->generations, account);
	return g ? *g : 0;
}

int hl_core_set_generation(struct hl_dispatcher *d, uint32_t account, uint64_t generation)
{
	uint64_t *g = hl_map_u64_get(&d->generations, account);
	if (!g) {
		g = malloc(sizeof(*g));
		if (!g || hl_map_u64_put(&d->generations, account, g) != 0) {
			free(g);
			return HL_ENOMEM;
		}
		*g = 0;
	}
	*g = HL_MAX(*g, generation);
	return 0;
}

/* ---- queues ---- */

struct hl_queue *hl_core_queue_get(struct hl_dispatcher *d, uint32_t webhook)
{
	return hl_map_u64_get(&d->queues, webhook);
}

struct hl_queue *hl_core_queue_make(struct hl_dispatcher *d, const struct hl_webhook *w, const struct hl_counts *counts)
{
	struct hl_queue_limits limits;
	struct hl_queue *q;
	hl_destination_limits(d, w, &limits);
	if (hl_queue_create(&q, &d->shared, w->account, w->number, &limits) != 0)
		return NULL;
	struct hl_counts known;
	hl_counts_get(hl_core_read(d), w->number, &known);
	q->proven = known.last_success_at_ms > known.last_failure_at_ms;
	q->tokens_mono_ms = q->idle_mono_ms = hl_core_mono(d);
	if (counts) {
		q->fresh_more = q->due_more = true;
		q->fresh_next = counts->fresh_from;
		q->drain_gen = counts->drain_gen;
		q->draining = counts->drain_gen > 0;
		if (counts->parked)
			hl_queue_restore_parked(q, hl_core_mono(d));
	}
	if (w->state != HL_WEBHOOK_ENABLED)
		hl_queue_move(q, HL_QUEUE_HELD);
	if (hl_map_u64_put(&d->queues, w->number, q) != 0) {
		hl_queue_destroy(q);
		return NULL;
	}
	if (counts)
		hl_scheduler_touch(&d->scheduler, q);
	return q;
}

void hl_core_queue_drop(struct hl_dispatcher *d, struct hl_queue *q)
{
	hl_map_u64_del(&d->queues, q->webhook);
	hl_core_queue_retire(d, q);
}

void hl_core_queue_retire(struct hl_dispatcher *d, struct hl_queue *q)
{
	if (q->state != HL_QUEUE_GONE || q->busy > 0)
		return;
	hl_scheduler_forget(&d->scheduler, q);
	hl_destination_release(q->destination);
	hl_queue_destroy(q);
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
		.create = true, .takeover = o->takeover, .env = d->env, .log = &d->log };
	struct hl_commit_options co = { .threaded = loop != NULL, .on_fatal = on_fatal, .data = d };
	int rc = hl_store_open(&d->store, &so, err);
	if (rc)
		return rc;
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
	hl_event_cache_init(&d->events, o->window_bytes);
	d->shared.events = &d->events;
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

int hl_core_open(struct hl_dispatcher **out, const struct hl_options *o, const struct hl_core_ports *ports,
		struct hl_err *err)
{
	struct hl_dispatcher *d = calloc(1, sizeof(*d));
	if (!d)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	d->env = o->env ? o->env : &hl_env_real;
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
	if (rc) {
		d->state = HL_CORE_CLOSING;
		hl_core_abandon(d);
		return err && err->code == rc ? rc : hl_err_set(err, rc, "%s", hl_strerror(rc));
	}
	*out = d;
	hl_core_soon(d);
	return 0;
}

/* ---- close ---- */

void hl_core_drain(struct hl_dispatcher *d, hl_ms_t grace_ms, void (*on_drained)(struct hl_dispatcher *d))
{
	HL_CHECK(d->state == HL_CORE_OPEN);
	d->state = HL_CORE_DRAINING;
	d->scheduler.held = true;
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
	fini_parts(f.d);
	hl_store_close(f.d->store);
	hl_log(&f.d->log, HL_LOG_INFO, "dispatcher.closed", "at=end");
	free(f.d);
	if (f.cb)
		f.cb(f.data);
}

void hl_core_free(struct hl_dispatcher *d, void (*cb)(void *data), void *data)
{
	struct freeing *f = malloc(sizeof(*f));
	HL_CHECK(f);
	*f = (struct freeing){ d, cb, data };
	d->state = HL_CORE_CLOSED;
	hl_store_read_reset(d->store);
	hl_commit_close(d->commit, commit_closed, f);
}

void hl_core_abandon(struct hl_dispatcher *d)
{
	if (d->commit) {
		hl_core_free(d, NULL, NULL);
		return;
	}
	fini_parts(d);
	hl_store_close(d->store);
	free(d);
}

/* ---- ids ---- */

enum { CHECK_BITS = 28 };

static uint32_t id_check(const struct hl_dispatcher *d, enum hl_id_kind kind, uint64_t number, uint64_t at_ms)
{
	uint8_t in[17];
	in[0] = (uint8_t)kind;
	hl_be64_put(in + 1, number);
	hl_be64_put(in + 9, at_ms);
	return (uint32_t)(hl_siphash(hl_store_id_key(d->store), in, sizeof(in)) >> (64 - CHECK_BITS));
}

/* UUIDv7: 48 bits of time, version, 12 + 62 bits: number (46) and check (28). */
void hl_core_id(const struct hl_dispatcher *d, enum hl_id_kind kind, uint64_t number, hl_ms_t created_at_ms,
		char out[HL_ID_CAP])
{
	uint64_t at = (uint64_t)created_at_ms & 0xffffffffffffull;
	uint64_t check = id_check(d, kind, number, at);
	uint8_t b[16];
	/* 74 bits: a = number's top 12, b = number's low 34 and the check's 28 */
	hl_be64_put(b, at << 16 | 0x7000u | (number >> 34 & 0xfff));
	hl_be64_put(b + 8, 2ull << 62 | (number & 0x3ffffffffull) << 28 | check);
	char hex[32];
	hl_hex_encode(b, sizeof(b), hex);
	static const uint8_t cut[] = { 8, 4, 4, 4, 12 };
	size_t at_out = 0, at_in = 0;
	for (size_t i = 0; i < sizeof(cut); i++) {
		if (i)
			out[at_out++] = '-';
		memcpy(out + at_out, hex + at_in, cut[i]);
		at_out += cut[i];
		at_in += cut[i];
	}
	out[at_out] = '\0';
}

void hl_id_format(const struct hl_dispatcher *d, enum hl_id_kind kind, uint64_t number, hl_ms_t created_at_ms,
		char out[HL_ID_CAP])
{
	hl_core_id(d, kind, number, created_at_ms, out);
}

int hl_id_parse(const struct hl_dispatcher *d, enum hl_id_kind kind, struct hl_str text, uint64_t *out_number)
{
	char hex[32];
	uint8_t b[16];
	size_t n = 0;
	if (text.len != HL_ID_LEN)
		return HL_ESYNTAX;
	for (size_t i = 0; i < text.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash != (text.ptr[i] == '-'))
			return HL_ESYNTAX;
		if (!dash)
			hex[n++] = text.ptr[i];
	}
	if (!hl_hex_decode(hl_str_make(hex, sizeof(hex)), b, sizeof(b)))
		return HL_ESYNTAX;
	uint64_t hi = hl_be64_get(b), lo = hl_be64_get(b + 8);
	uint64_t number = (hi & 0xfff) << 34 | (lo >> 28 & 0x3ffffffffull);
	if ((hi >> 12 & 0xf) != 7 || lo >> 62 != 2 || (lo & 0xfffffff) != id_check(d, kind, number, hi >> 16) || number == 0)
		return HL_ENOTFOUND;
	*out_number = number;
	return 0;
}
