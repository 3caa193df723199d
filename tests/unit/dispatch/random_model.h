/* What the random test believes: what was acknowledged, what was told about it, what was sent. It is naive on purpose: it
 * knows the promises of docs/delivery.md and nothing of how they are kept. Only where a promise depends on what the engine
 * decided (why an attempt is made, whether its queue is parked) does it look inside.
 *
 * A violated promise prints the seed, the step and what is wrong, and ends the process. */
#ifndef HL_TEST_RANDOM_MODEL_H
#define HL_TEST_RANDOM_MODEL_H

#include "fixture.h"

enum { RM_WEBHOOKS_MAX = 40, RM_ACCOUNTS = 3, RM_IDS = 8, RM_FLIGHTS_MAX = 4096, RM_JUMPS_MAX = 64 };

enum rm_mood { RM_OK, RM_SLOW, RM_500, RM_503, RM_BUSY, RM_HINT_503, RM_CONNECT, RM_DNS, RM_HANG, RM_FINAL, RM_GONE, RM_MOODS };

struct rm_webhook {
	uint32_t number, account;
	enum hl_webhook_state state;     /* as told */
	bool strict;
	bool unsure;                     /* a recovery may be under way: failed ones come back */
	uint32_t rate, max_in_flight;    /* 0 = none, default */
	enum rm_mood mood;
	double tokens;
	hl_ms_t tokens_mono_ms;
	hl_ms_t opened_mono_ms;          /* its queue, parked or held before; 0 = never since the start */
};

struct rm_delivery {
	bool known;
	uint8_t webhook;                 /* index */
	uint64_t event;
	hl_ms_t due_at_ms, since_mono_ms;/* no attempt before this, as known since then */
	hl_ms_t expires_at_ms;           /* 0 = none */
	int state;                       /* as told; HL_DELIVERY_PENDING until then */
	bool told;                       /* an attempt was */
	bool hand;                       /* somebody retried it: its times are not checked any more */
	bool asked, early;               /* the newest request: was answered with a hint, came before its time */
	bool hint;                       /* waits for what the receiver asked for */
	hl_ms_t sent_mono_ms, told_mono_ms; /* newest request, newest outcome */
	uint32_t n_requests, n_told;     /* sent; attempts when last heard of */
	uint32_t n_lost;                 /* sent and not stored: a crash, an end, no memory */
	bool must_succeed;
};

struct rm_event {
	uint64_t number, first;
	uint32_t account, n;
	uint32_t n_replays;              /* deliveries acknowledged by replays */
};

struct rm_flight {
	uint64_t delivery;
	uint8_t webhook;
	bool direct;
	hl_ms_t end_mono_ms;
};

struct rm_id {                           /* a publisher's own id */
	uint64_t event;                  /* acknowledged first; 0 = never */
	uint32_t n;
	hl_ms_t at_ms;
	bool twice;                      /* another after 48 hours of some clock: either may be the answer */
};

struct rm {
	struct fx f;                     /* first: the engine's hooks are given it */
	uint64_t seed, dice;
	unsigned step;
	const char *doing;
	bool crashing;                   /* what is told now never happened */
	bool unsynced;                   /* opened again: webhooks and attempts are to be compared with the store */
	struct rm_webhook webhooks[RM_WEBHOOKS_MAX];
	unsigned n_webhooks;
	struct rm_delivery *deliveries;  /* by number */
	size_t cap;
	struct rm_event *events;
	size_t n_events;
	struct rm_id ids[RM_ACCOUNTS + 1][RM_IDS];
	struct rm_flight flights[RM_FLIGHTS_MAX];
	size_t n_flights;
	hl_ms_t disturbed_mono_ms;       /* latest jump, start, stall or change of a webhook's state */
	hl_ms_t held_mono_ms;            /* rm_check_held looked last */
	uint64_t n_outstanding;          /* calls not answered */
	bool dropped_history;            /* some rows are gone for good */
	hl_ms_t wall_max_ms;             /* latest the clock ever showed */
	struct { hl_ms_t mono_ms, ahead_ms; } clocks[RM_JUMPS_MAX]; /* from when on it was how far ahead of the other clock */
	unsigned n_clocks;
};

void rm_init(struct rm *m, uint64_t seed);
void rm_fini(struct rm *m);
_Noreturn void rm_fail(struct rm *m, const char *fmt, ...) HL_PRINTF(2, 3);
#define RM_CHECK(m, cond, ...) do { if (!(cond)) rm_fail(m, __VA_ARGS__); } while (0)

/* Random numbers of the workload; the engine draws its own. */
uint64_t rm_random(struct rm *m);
static inline unsigned rm_below(struct rm *m, unsigned n) { return (unsigned)(rm_random(m) % n); }
static inline bool rm_chance(struct rm *m, unsigned percent) { return rm_below(m, 100) < percent; }

/* True while the process that answers is one that was killed already. */
bool rm_ghost(const struct rm *m);
struct rm_delivery *rm_delivery(struct rm *m, uint64_t number);
struct rm_webhook *rm_webhook(struct rm *m, uint32_t number);
/* Webhook states as the store has them now: in step with what the engine does in the same callback. */
void rm_learn_states(struct rm *m);
/* An event was acknowledged: it is stored with all its deliveries. */
void rm_learn_event(struct rm *m, uint32_t account, uint64_t number, uint32_t n);
/* An event that was told at once, so that the store is as its publish found it: only webhooks that receive got a delivery. */
void rm_check_targets(struct rm *m, uint32_t account, uint64_t event);
/* Calls of the fixture. */
bool rm_on_request(void *model, const struct fx_request *r, struct fx_answer *out);
void rm_on_attempt(void *fixture, const struct hl_outcome *o);
void rm_on_log(void *fixture, enum hl_log_level level, const char *line);

/* The wall clock is set. */
void rm_jump(struct rm *m, hl_ms_t by_ms);
/* Whatever holds at every moment. */
void rm_check_engine(struct rm *m);
/* Deliveries of webhooks that do not send end with their windows (a clock set back in between makes some wait for others). */
void rm_check_held(struct rm *m);
/* A while after all receivers answer: no queue is parked, and what waited while it was has been sent. */
void rm_check_drained(struct rm *m);
/* After an end in order, or a crash, and the start that followed. */
void rm_reopened(struct rm *m);
/* Recoveries that are through make failed deliveries final again. */
void rm_settle_recoveries(struct rm *m);
/* From now on all receivers answer: marks what has time enough to succeed. Returns how long the longest window is still open. */
hl_ms_t rm_expect_success(struct rm *m);
/* Everything has ended: nothing was forgotten, lost or sent twice. */
void rm_check_end(struct rm *m);
/* The directory while closed: audited. */
void rm_audit(struct rm *m);

/* random_faults.c: from now on this share of the batches finds no memory once. */
void rm_faults(unsigned percent, uint64_t seed);

#endif
