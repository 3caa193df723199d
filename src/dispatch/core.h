/* The dispatcher from the inside: what its files share. The public face is <hookline/dispatcher.h>.
 *
 * Everything here lives on the loop. The storage thread sees commands only; a command carries copies, never pointers into
 * these structs that the loop might change. */
#ifndef HL_DISPATCH_CORE_H
#define HL_DISPATCH_CORE_H

#include "base/arena.h"
#include "base/env.h"
#include "base/log.h"
#include "dispatch/catalogue.h"
#include "dispatch/scheduler.h"
#include "dispatch/sign.h"
#include "dispatch/subscriptions.h"
#include "http/exchange.h"
#include "store/accounts.h"
#include "store/commit.h"
#include "store/idem.h"
#include "store/index.h"
#include "store/jobs.h"
#include "store/scan.h"
#include "store/webhooks.h"
#include <hookline/dispatcher.h>

/* How requests leave: the real HTTP client, or a test's receiver. Same contract as hl_exchange_start/cancel. */
struct hl_transport {
	void *data;
	int (*start)(void *data, struct hl_exchange *x, const struct hl_exchange_request *r, hl_exchange_cb cb, void *cb_data);
	void (*cancel)(void *data, struct hl_exchange *x);
};

/* How the dispatcher asks to be called again: hl_engine_tick at or after at_mono_ms (INT64_MAX = not by time), or
 * in the next turn of the loop (soon). */
struct hl_alarm {
	void *data;
	void (*set)(void *data, hl_ms_t at_mono_ms);
	void (*soon)(void *data);
};

/* A floor above that lives on the dispatcher's turns (alerts). */
struct hl_guest {
	void *data;
	hl_ms_t (*tick)(void *data);     /* part of hl_engine_tick while open; when it wants to be called next (monotonic) */
	void (*account_changed)(void *data, uint32_t account); /* its row is another one, durably */
};

/* Options after parsing; strings are owned. */
struct hl_settings {
	struct hl_policy_defaults policy;
	struct hl_policy_finals finals;
	uint32_t rotation_overlap_s;
	uint32_t timeout_ms, timeout_dialects_ms;
	uint32_t max_in_flight_per_webhook;
	uint32_t park_after;
	uint32_t max_uncommitted;
	uint32_t retention_s;
	uint64_t retention_bytes;
	uint64_t data_max;
	char user_agent[128];
};

enum hl_core_room { HL_ROOM_ENOUGH, HL_ROOM_QUOTA_FULL, HL_ROOM_DISK_FULL, HL_ROOM_SPENT };

enum hl_core_state { HL_CORE_OPEN, HL_CORE_DRAINING, HL_CORE_CLOSING, HL_CORE_CLOSED };

enum {
	HL_DIRECT_MAX = 64,              /* tests, verifications and synchronous retries at once */
	HL_COMMIT_BACKLOG_MAX = 65536,   /* commands waiting for the disk before changes are refused with HL_EBUSY */
	HL_COMMIT_BYTES_MAX = 256 << 20,
};

struct hl_attempt_run;
struct hl_janitor;

struct hl_dispatcher {
	enum hl_core_state state;
	enum hl_core_room room;          /* as last told */
	hl_ms_t look_at_room_mono_ms;    /* while SPENT */
	bool failed;                     /* the store failed: every change is HL_EFATAL */
	int behind;                      /* 0, or why what is stored could not be followed: nothing is admitted until it is */
	struct hl_settings set;
	const struct hl_env *env;        /* the loop's */
	struct hl_log log;
	struct hl_transport transport;
	struct hl_alarm alarm;
	const struct hl_egress *egress;  /* NULL without the real client: nothing is judged at creation then */

	struct hl_store *store;
	struct hl_commit *commit;
	struct hl_numbers numbers;       /* next ones to give out */
	struct hl_arena turn;            /* what answers borrow; reset at the end of the loop turn */

	struct hl_subscriptions *subscriptions;
	struct hl_catalogue catalogue;
	struct hl_map_u64 generations;   /* account → uint64_t*: as stored */
	struct hl_event_cache events;
	struct hl_queue_shared shared;
	struct hl_map_u64 queues;        /* webhook → hl_queue */
	struct hl_scheduler scheduler;
	struct hl_list runs;             /* hl_attempt_run.link: from dispatch until durable */
	struct hl_list free_runs;
	uint32_t n_runs, n_free_runs, n_direct;
	uint32_t n_uncommitted;          /* outcomes waiting for the disk */
	uint32_t n_commands;             /* other commands of this floor not done */
	hl_ms_t wall_minus_mono_ms;      /* at the last look: tells clock jumps */

	struct hl_list walks;            /* hl_long_walk.link: long reads under way */
	uint32_t n_walks;
	struct hl_janitor *janitor;
	const struct hl_guest *guest;    /* NULL = none; its owner's, who takes it away before it goes */
	struct hl_stats stats;           /* counters and histograms; gauges are filled in on request */

	/* hooks */
	void *hook_data;
	void (*on_attempt)(void *data, const struct hl_outcome *o);
	void (*on_fatal)(void *data, const struct hl_err *err);
	void (*on_log)(void *data, enum hl_log_level level, const char *line);
	void (*fill_port_stats)(struct hl_dispatcher *d, struct hl_stats *out); /* what only the port knows; NULL on virtual time */
	/* closing */
	void (*on_drained)(struct hl_dispatcher *d);
	hl_ms_t grace_until_mono_ms;
	void *port;                      /* dispatcher.c's: loop handles and HTTP client */
};

/* ---- time ---- */
/* On the loop the clocks stand still during a turn (dispatcher.c): one reading of the kernel's serves all of it. */
static inline hl_ms_t hl_core_wall(const struct hl_dispatcher *d) { return hl_env_wall_ms(d->env); }
static inline hl_ms_t hl_core_mono(const struct hl_dispatcher *d) { return hl_env_mono_ms(d->env); }

/* For apply functions: the storage thread reads the real clock. */
static inline hl_ms_t hl_core_store_wall(const struct hl_dispatcher *d) { return hl_env_wall_ms(hl_store_env(d->store)); }

/* ---- shared errands (core.c) ---- */

/* Whether a change may be taken now: HL_ECLOSED, HL_EFATAL, HL_EBUSY, HL_ENOMEM, HL_ECORRUPT. */
HL_MUST_CHECK int hl_core_admit(struct hl_dispatcher *d, struct hl_err *err);
/* Counts a command so that closing waits for it; call hl_core_command_done first in its done callback. */
void hl_core_submit(struct hl_dispatcher *d, struct hl_command *c);
void hl_core_command_done(struct hl_dispatcher *d);
/* What is stored (a webhook, an event type, a queue) could not be followed: rc is HL_ENOMEM, or the store is damaged. All is looked
 * at again in the next ticks (hl_webhook_state_catch_up). */
void hl_core_behind(struct hl_dispatcher *d, int rc);
/* The loop's read snapshot. */
static inline struct hl_txn *hl_core_read(struct hl_dispatcher *d) { return hl_store_read(d->store); }
/* Whether queued attempts may begin, after any change of what that depends on. */
void hl_core_hold(struct hl_dispatcher *d);
/* Runs hl_engine_tick in the next turn. */
static inline void hl_core_soon(struct hl_dispatcher *d) { d->alarm.soon(d->alarm.data); }
uint64_t hl_core_generation(struct hl_dispatcher *d, uint32_t account);
HL_MUST_CHECK int hl_core_set_generation(struct hl_dispatcher *d, uint32_t account, uint64_t generation);
void hl_core_id(const struct hl_dispatcher *d, enum hl_id_kind kind, uint64_t number, hl_ms_t created_at_ms,
		char out[HL_ID_CAP]);

#endif
