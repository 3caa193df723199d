/* The simulator: one run of the dispatcher on virtual time, with a network and a disk that do what a seed says.
 *
 * The engine, the group commit and the store are the real ones (tests/unit/dispatch/fixture.h turns the loop, disk.h is the
 * disk). Beside them runs a model that is naive on purpose: it knows what was acknowledged, what was told and what was sent,
 * and the promises of docs/delivery.md, and nothing of how they are kept. Only where a promise depends on what the engine
 * decided (why an attempt is made, in which lane, whether its queue is parked) does it look inside.
 *
 * A violated promise prints the seed, the step and what is wrong, and ends the process.
 *
 *   sim.c            life, dice, trace, failing
 *   receivers.c      what a request meets
 *   model.c          what is known; what must be so after a start
 *   model_sent.c     checks at the moment a request leaves
 *   model_told.c     checks when an outcome is told, and at every moment
 *   model_end.c      checks when every receiver answers again and time enough has passed; the audit
 *   calls.c          what people do
 *   workload.c       what happens to the process; a run
 *   scenario.c       48 hours with 1,000 webhooks
 *   faults.c         clocks and memory between engine and system
 *   main.c           many seeds, many processes */
#ifndef HL_TEST_SIM_H
#define HL_TEST_SIM_H

#include "fixture.h"

#include "disk.h"
#include "faults.h"

enum {
	SIM_WEBHOOKS_MAX = 1000, SIM_ACCOUNTS = 3, SIM_IDS = 8, SIM_FLIGHTS_MAX = 4096, SIM_JUMPS_MAX = 64, SIM_ROWS_MAX = 4000,
	SIM_SECOND = 1000, SIM_MINUTE = 60 * SIM_SECOND, SIM_HOUR = 60 * SIM_MINUTE,
};

enum sim_mood {
	SIM_OK, SIM_SLOW, SIM_500, SIM_503, SIM_BUSY, SIM_HINT_503, SIM_REFUSE, SIM_RESET, SIM_DNS, SIM_TLS, SIM_GARBAGE, SIM_HANG,
	SIM_REDIRECT, SIM_FINAL, SIM_GONE, SIM_FLAKY, SIM_MOODS
};

struct sim_webhook {
	uint32_t number, account;        /* number 0 = it was never made */
	bool made;                       /* that it was is acknowledged */
	enum hl_webhook_state state;     /* as told */
	unsigned n_unsure;               /* changes that may be stored and were not told */
	bool strict, hourly;
	bool recovering;                 /* a recovery may be under way: failed ones come back */
	uint32_t rate, max_in_flight;    /* 0 = none, default */
	enum sim_mood mood;
	char secret[HL_SECRET_CAP];      /* as told last; "" = not sure */
	double tokens;
	hl_ms_t tokens_mono_ms;
	hl_ms_t parking_mono_ms;         /* its queue was parked then; 0 = it is open */
	bool parked;                     /* … and that is stored */
	hl_ms_t opened_mono_ms;          /* its queue, parked or held before; 0 = never since the start */
};

struct sim_delivery {
	bool known;
	uint16_t webhook;                /* index */
	uint64_t event;
	hl_ms_t due_at_ms, since_mono_ms;/* no attempt before this, as known since then */
	hl_ms_t expires_at_ms;           /* 0 = none */
	hl_ms_t until_ms;                /* end of its window, while nobody retried it */
	int state;                       /* as told; HL_DELIVERY_PENDING until then */
	bool told;                       /* an attempt was */
	bool hand;                       /* somebody retried it: its times are not checked any more */
	bool cancelling;                 /* somebody cancelled it, whether they heard of it or not */
	bool single;                     /* a new try: never repeated by itself */
	bool early;                      /* the newest request came before its time */
	hl_ms_t asked_ms;                /* … and was answered: not before this moment; 0 = without a hint */
	bool hint;                       /* waits for what the receiver asked for */
	hl_ms_t sent_mono_ms, told_mono_ms; /* newest request, newest outcome */
	uint32_t n_requests, n_told;     /* sent; attempts when last heard of */
	uint32_t n_lost;                 /* sent and not stored: a crash, an end, no memory */
	bool must_succeed;
};

struct sim_event {
	uint64_t number, first;
	uint32_t account, n;
	uint32_t n_replays;              /* deliveries acknowledged by replays */
	uint32_t value;                  /* what its data says */
};

struct sim_flight {
	uint64_t delivery;
	uint16_t webhook;
	bool direct, slow, retry;
	hl_ms_t start_mono_ms, end_mono_ms;
};

struct sim_id {                          /* a publisher's own id */
	uint64_t event;                  /* acknowledged first; 0 = never */
	uint32_t n;
	hl_ms_t at_ms;
	bool twice;                      /* another after 48 hours of some clock: either may be the answer */
};

struct sim {
	struct fx f;                     /* first: the engine's hooks are given it */
	uint64_t seed, dice;
	uint64_t hash;                   /* of all that happened */
	bool trace;                      /* say it too */
	unsigned step;
	const char *doing;
	bool crashing;                   /* what is told now never happened */
	bool ever_open;                  /* the store was opened once: from then on it must open */
	bool unsynced;                   /* opened again: webhooks and attempts are to be compared with the store */
	unsigned max_webhooks;           /* of this run */
	bool usual;                      /* webhooks have mostly the usual policy */
	bool memory_fails;               /* while batches are applied */
	bool retention;                  /* old rows may go */
	bool dropped_history;            /* some rows were deleted with their webhook */
	struct sim_webhook webhooks[SIM_WEBHOOKS_MAX];
	unsigned n_webhooks;
	struct sim_delivery *deliveries; /* by number */
	size_t cap;
	struct sim_event *events;
	size_t n_events;
	struct sim_id ids[SIM_ACCOUNTS + 1][SIM_IDS];
	struct sim_flight flights[SIM_FLIGHTS_MAX];
	size_t n_flights;
	hl_ms_t disturbed_mono_ms;       /* latest jump, start, stall or change of a webhook's state */
	hl_ms_t held_mono_ms;            /* sim_check_held looked last */
	uint64_t audited_writes;         /* of the disk, when sim_check_stored audited the store last */
	uint64_t n_outstanding;          /* calls not answered */
	hl_ms_t wall_max_ms;             /* latest the clock ever showed */
	struct { hl_ms_t mono_ms, ahead_ms; } clocks[SIM_JUMPS_MAX]; /* from when on it was how far ahead of the other clock */
	unsigned n_clocks;
};

/* ---- sim.c ---- */
void sim_init(struct sim *m, uint64_t seed, bool trace);
void sim_fini(struct sim *m);
_Noreturn void sim_fail(struct sim *m, const char *fmt, ...) HL_PRINTF(2, 3);
#define SIM_CHECK(m, cond, ...) do { if (!(cond)) sim_fail(m, __VA_ARGS__); } while (0)
typedef unsigned long long sim_ull;  /* for printing */

/* Random numbers of the workload; the engine and the disk draw their own. Two draws are never operands of one operator,
 * arguments of one call or values of one initializer: compilers choose the order there, and a seed would be another run with
 * each of them. */
uint64_t sim_random(struct sim *m);
static inline unsigned sim_below(struct sim *m, unsigned n) { return (unsigned)(sim_random(m) % n); }
static inline bool sim_chance(struct sim *m, unsigned percent) { return sim_below(m, 100) < percent; }
/* Something happened. */
void sim_note(struct sim *m, const char *what, uint64_t a, uint64_t b, uint64_t c);
/* True while the process that answers is one that was killed already. */
bool sim_ghost(const struct sim *m);
/* The wall clock is set. */
void sim_jump(struct sim *m, hl_ms_t by_ms);

/* ---- what is known ---- */
struct sim_delivery *sim_delivery(struct sim *m, uint64_t number);
struct sim_webhook *sim_webhook(struct sim *m, uint32_t number);
struct sim_event *sim_event(struct sim *m, uint64_t number); /* NULL = not acknowledged */
/* Fills in what never changes of a delivery; false: its row is gone. */
bool sim_learn_delivery(struct sim *m, uint64_t number, uint32_t account);
/* Webhook states as the store has them now: in step with what the engine does in the same callback. */
void sim_learn_states(struct sim *m);
/* Whether the row may have been deleted: with its webhook's history, or because it ended long ago. */
bool sim_may_be_gone(const struct sim *m, uint64_t number);
/* An event was acknowledged: it is stored with all its deliveries. */
struct sim_event *sim_learn_event(struct sim *m, uint32_t account, uint64_t number, uint32_t n);
/* An event that was told at once, so that the store is as its publish found it: only webhooks that receive got a delivery. */
void sim_check_targets(struct sim *m, uint32_t account, uint64_t event);
/* After an end and the start that followed: before anything is told or sent. */
void sim_catch_up(struct sim *m);
/* … and then everything ever acknowledged is looked for. */
void sim_reopened(struct sim *m);

/* ---- hooks of the fixture ---- */
bool sim_on_request(void *model, const struct fx_request *r, struct fx_answer *out);
void sim_on_attempt(void *fixture, const struct hl_outcome *o);
void sim_on_log(void *fixture, enum hl_log_level level, const char *line);
/* Returns the moment before which the receiver wants no other attempt; 0 = it does not say. */
hl_ms_t sim_choose_answer(struct sim *m, enum sim_mood mood, struct fx_answer *out);

/* ---- checks ---- */
/* Whatever holds at every moment. */
void sim_check_engine(struct sim *m);
/* The store after each step: sound in itself (its counters are what its rows add up to), and with all that was acknowledged. */
void sim_check_stored(struct sim *m);
/* Deliveries of webhooks that do not send end with their windows (a clock set back in between makes some wait for others). */
void sim_check_held(struct sim *m);
/* A while after all receivers answer: no queue is parked, and what waited while it was has been sent. */
void sim_check_drained(struct sim *m);
/* Recoveries that are through make failed deliveries final again. */
void sim_settle_recoveries(struct sim *m);
/* From now on all receivers answer: marks what has time enough to succeed. Returns how long the longest window is still open. */
hl_ms_t sim_expect_success(struct sim *m);
/* Everything has ended: nothing was forgotten, lost or sent twice. */
void sim_check_end(struct sim *m);
/* The directory while closed: audited. */
void sim_audit(struct sim *m);

/* ---- calls.c ---- */
void sim_publish(struct sim *m, bool simple);
void sim_burst(struct sim *m);
void sim_create(struct sim *m);
void sim_set_state(struct sim *m, struct sim_webhook *w, enum hl_webhook_state state);
void sim_move(struct sim *m);
void sim_delete(struct sim *m);
void sim_rotate(struct sim *m);
void sim_recover(struct sim *m);
void sim_replay(struct sim *m);
void sim_touch_delivery(struct sim *m, unsigned what); /* 0 retry, 1 cancel, 2 a new try */
void sim_test(struct sim *m);
struct sim_webhook *sim_any_webhook(struct sim *m);
extern const char *const sim_types[4];

/* ---- workload.c, scenario.c ---- */
/* Opens the store as the last end left it. */
void sim_open(struct sim *m);
/* The process ends and starts again. */
void sim_restart(struct sim *m, enum disk_fault end);
/* All receivers answer, nobody is paused: everything ends, and is checked. Closes and audits; the hash of the run. */
uint64_t sim_finish(struct sim *m);
/* One run from its seed; a hash of all that happened in it. */
uint64_t sim_run(uint64_t seed, bool trace);
uint64_t sim_scenario(uint64_t seed, bool trace);

#endif
