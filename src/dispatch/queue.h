/* One webhook's pending deliveries, as far as they are in memory, and the rules for sending them.
 *
 * Memory holds two windows of the queue; the rest stays in the store and is read when a window runs low.
 *   fresh   never attempted, ascending by delivery number: a ring
 *   due     waiting for a time (backoff, hint, deliver_after, manual): a heap by monotonic time
 *
 *            +--------- resume ----------- HELD <---- pause, disable --+
 *            v                                                         |
 *   ------> OPEN --- park_after failures that say "unavailable" ---> PARKED --- delete ---> GONE
 *            ^------------- a probe succeeds (drain) ------------------+        (from anywhere)
 *
 * Nothing here stores, sends or reads a clock: times come in. All on the loop. */
#ifndef HL_DISPATCH_QUEUE_H
#define HL_DISPATCH_QUEUE_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "dispatch/event_cache.h"
#include "dispatch/policy.h"
#include "store/scan.h"

enum hl_queue_state { HL_QUEUE_OPEN, HL_QUEUE_PARKED, HL_QUEUE_HELD, HL_QUEUE_GONE };

enum {
	HL_QUEUE_START_WINDOW = 5,      /* concurrency of a queue nothing is known about */
	HL_QUEUE_FRESH_MAX = 8192,      /* entries of the fresh ring */
	HL_QUEUE_DUE_MAX = 1024,        /* entries of the due heap */
	HL_QUEUE_LEAST = 32,            /* entries of each that a queue may hold however little memory is left */
	HL_QUEUE_PROBE_MIN_MS = 5000,
	HL_QUEUE_PROBE_MAX_MS = 300000,
	HL_QUEUE_PROBE_JITTER_PERCENT = 20,
	HL_QUEUE_HOLD_MS = 5000,        /* pause after a start that failed */
	HL_QUEUE_OLD_MS = 1000,         /* an attempt this old is slow */
};

/* An entry of the fresh ring. */
struct hl_fresh_entry {
	uint64_t delivery;
	uint64_t event;
	struct hl_event_ref *ref;       /* held; NULL = read the event when its turn comes */
};

/* An entry of the due heap. */
struct hl_due_entry {
	struct hl_heap_node node;       /* key: monotonic time it is due at */
	struct hl_due due;              /* as stored */
	uint32_t tried;                 /* the queue's probe count when it was last probed early, 0 = never */
};

/* A delivery taken out of its queue to be attempted. */
struct hl_work {
	uint64_t delivery;
	uint64_t event;
	struct hl_event_ref *ref;       /* given; NULL = not in memory */
	bool fresh;
	bool probe;
	bool early;                     /* a probe made before the delivery's own time */
	struct hl_due due;              /* of a delivery that waited */
};

/* An attempt as its queue and the scheduler see it; embedded in struct hl_attempt_run. */
struct hl_slot {
	struct hl_list young;           /* in the scheduler's list of attempts younger than HL_QUEUE_OLD_MS */
	struct hl_list fresh;           /* in the queue's list of first attempts under way, ascending by delivery */
	struct hl_queue *queue;
	uint64_t delivery;
	hl_ms_t started_mono_ms;
	bool slow;                      /* counts against max_slow, else against max_in_flight */
	bool old;                       /* was seen older than HL_QUEUE_OLD_MS */
	bool retry;                     /* not a first attempt: counts against the retries' share */
	bool probe;
};

/* What limits a queue; from the webhook and the options. */
struct hl_queue_limits {
	uint32_t max_in_flight;         /* ≥ 1 */
	uint32_t rate_per_s;            /* 0 = none */
	uint32_t park_after;            /* consecutive failures */
	bool strict;
};

/* What all queues of a dispatcher share. */
struct hl_queue_shared {
	struct hl_event_cache *events;
	struct hl_map_u64 waiting;      /* delivery → hl_due_entry in some queue's heap */
	uint64_t n_fresh;               /* entries of all fresh rings; those of all heaps: waiting.count */
	uint64_t n_fresh_max, n_due_max;/* past these a queue holds HL_QUEUE_LEAST of each at most */
	struct hl_map_u64 claims;       /* delivery → attempt, from dispatch until its outcome is durable; not the queues' to change */
};

struct hl_queue {
	struct hl_queue_shared *shared;
	uint32_t webhook;
	uint32_t account;
	enum hl_queue_state state;
	struct hl_queue_limits limits;
	uint32_t epoch;                 /* grows when the windows are dropped: an answer to an older refill is void */
	struct hl_destination *destination; /* held; NULL until the first attempt needs it, or after a change */

	/* fresh window */
	struct hl_fresh_entry *fresh;   /* ring */
	uint32_t fresh_head, fresh_count, fresh_cap;
	bool fresh_more;                /* the store holds more, from fresh_next on */
	bool fresh_loading;
	uint64_t fresh_next;            /* number to read on from; when !fresh_more, one past the newest seen */
	struct hl_list fresh_in_flight; /* hl_slot.fresh: first attempts whose outcome is not durable */

	/* due window: every stored entry up to (upto_due_ms, upto_delivery) is in the heap or claimed */
	struct hl_heap due;
	bool due_more;
	bool due_loading;
	bool draining;                  /* until a load reached the end of the stored entries */
	hl_ms_t upto_due_ms;
	uint64_t upto_delivery;
	uint32_t drain_gen;             /* as stored; what began to wait for backoff in an older one is due at once */

	/* pace */
	double window;                  /* concurrency allowed, 1 … limits.max_in_flight */
	uint32_t busy;                  /* attempts in flight */
	uint32_t n_old;                 /* of them, older than HL_QUEUE_OLD_MS */
	bool last_timeout;
	bool proven;                    /* the newest outcome that tells was a success: this receiver answers */
	uint32_t turn;                  /* picks made; decides between fresh and due */
	double tokens;                  /* of the rate limit */
	hl_ms_t tokens_mono_ms;

	hl_ms_t hold_mono_ms;           /* nothing starts before: the last start failed for want of memory or of its webhook */

	/* parking */
	uint32_t unavailable;           /* consecutive failures that said so */
	hl_ms_t probe_delay_ms;
	hl_ms_t probe_mono_ms;          /* next probe not before */
	bool probing;                   /* a probe is in flight */
	uint32_t n_probes;              /* probes made; lets them rotate over the deliveries */

	/* the scheduler's */
	struct hl_list ring;            /* in one of its rings */
	int lane;                       /* which; -1 = none */
	struct hl_heap_node wake;
	hl_ms_t idle_mono_ms;           /* when it last had work; for forgetting idle queues */
	struct hl_list sweep;           /* in the janitor's list of parked and held queues */
};

HL_MUST_CHECK int hl_queue_create(struct hl_queue **out, struct hl_queue_shared *shared, uint32_t account, uint32_t webhook,
		const struct hl_queue_limits *limits);
void hl_queue_destroy(struct hl_queue *q); /* nothing in flight, in no ring */
/* Forgets both windows (not what is in flight); the store is to be read again from fresh_next on. */
void hl_queue_drop_windows(struct hl_queue *q);
void hl_queue_set_limits(struct hl_queue *q, const struct hl_queue_limits *limits);

/* A delivery that was just published. Takes ref when it returns true; false: it stays in the store (window full). */
bool hl_queue_push_fresh(struct hl_queue *q, uint64_t delivery, uint64_t event, struct hl_event_ref *ref);
/* What a refill read from the store; ends fresh_loading. */
HL_MUST_CHECK int hl_queue_load_fresh(struct hl_queue *q, uint32_t epoch, const struct hl_fresh *v, size_t n,
		uint64_t next, bool more);
bool hl_queue_wants_fresh(const struct hl_queue *q);
/* Lowest number that may be a never-attempted pending delivery: what the stored cursor may advance to. `ended` (or NULL):
 * a slot whose outcome goes to the store together with the floor, so it does not hold it. */
uint64_t hl_queue_fresh_floor(const struct hl_queue *q, const struct hl_slot *ended);
/* A first attempt is under way until slot->fresh is removed: holds the floor. */
void hl_queue_note_fresh(struct hl_queue *q, struct hl_slot *slot);

/* An entry that was just stored (an outcome, a manual retry, a delayed publish). early: it was probed before its time. */
HL_MUST_CHECK int hl_queue_push_due(struct hl_queue *q, const struct hl_due *due, bool early, hl_ms_t now_ms,
		hl_ms_t now_mono_ms);
HL_MUST_CHECK int hl_queue_load_due(struct hl_queue *q, uint32_t epoch, const struct hl_due *v, size_t n, bool more, hl_ms_t now_ms,
		hl_ms_t now_mono_ms);
bool hl_queue_wants_due(const struct hl_queue *q);
/* The store changed behind the window (recovery, resume): read all due entries again. */
void hl_queue_reload_due(struct hl_queue *q);
/* Takes a delivery out of both windows; false when it was in neither. */
bool hl_queue_remove(struct hl_queue *q, uint64_t delivery);
/* The wall clock jumped: computes every due time again (forward: earlier; back: the wait that was left stays). */
HL_MUST_CHECK int hl_queue_retime(struct hl_queue *q, hl_ms_t now_ms, hl_ms_t now_mono_ms);

enum hl_ready { HL_READY_NOT, HL_READY_FRESH, HL_READY_RETRY };
/* Whether an attempt may start now; if not, *out_wake_mono_ms is when to ask again (0 = when something happens). */
enum hl_ready hl_queue_ready(struct hl_queue *q, hl_ms_t now_mono_ms, hl_ms_t *out_wake_mono_ms);
bool hl_queue_suspect(const struct hl_queue *q);
/* Takes the next delivery (hl_queue_ready said it may); the caller claims it. allow_retry: the retries' share has room. */
bool hl_queue_take(struct hl_queue *q, hl_ms_t now_mono_ms, bool allow_retry, struct hl_work *out);

/* Takes an entry out of the heap and frees it. */
void hl_queue_forget_due(struct hl_queue *q, struct hl_due_entry *e);
/* The work could not be begun: forget both windows, read everything again a little later, this delivery included. */
void hl_queue_put_back(struct hl_queue *q, const struct hl_work *w, hl_ms_t now_mono_ms);

/* What an ended attempt teaches. Returns what happened to the state. */
enum hl_queue_change { HL_QUEUE_SAME, HL_QUEUE_WAS_PARKED, HL_QUEUE_WAS_OPENED };
enum hl_queue_change hl_queue_learn(struct hl_queue *q, const struct hl_slot *slot, const struct hl_judgement *j,
		hl_ms_t now_ms, hl_ms_t now_mono_ms, uint32_t rnd);
/* A new drain generation was stored (or is about to be, with the outcome that opened the queue). */
void hl_queue_drain(struct hl_queue *q, uint32_t gen, hl_ms_t now_ms, hl_ms_t now_mono_ms);
/* Parked when the process ended: goes on probing, at once. */
void hl_queue_restore_parked(struct hl_queue *q, hl_ms_t now_mono_ms);
/* The next probe of a parked queue is due at once, and the delays between probes begin anew. */
void hl_queue_probe_now(struct hl_queue *q, hl_ms_t now_mono_ms);
/* Pause, disable, resume, delete. Moves to HELD, OPEN or GONE. */
void hl_queue_move(struct hl_queue *q, enum hl_queue_state to);
bool hl_queue_idle(const struct hl_queue *q);   /* no work known anywhere, nothing in flight */
bool hl_queue_check(const struct hl_queue *q);  /* invariants */

#endif
