/* The engine without a loop: the clock stands until the test moves it, receivers answer by script, the disk commits when
 * it is asked to. 48 hours pass in milliseconds, and the same seed gives the same run.
 *
 *   struct fx f;
 *   fx_init(&f);                                  // a directory of its own, default options; change f.options now
 *   fx_open(&f);                                  // f.d is the dispatcher
 *   uint32_t w = fx_webhook(&f, "https://a.example/hook");
 *   fx_script(&f, "https://a.example/", &(struct fx_answer){ .status = 503, .times = 2 });
 *   fx_publish(&f, "order.created", "{}");
 *   fx_advance(&f, 3600 * 1000);                  // from alarm to alarm
 *   assert_int_equal(f.n_requests, 3);
 *   fx_close(&f);                                 // or fx_crash(&f): as after kill -9, opened again
 *   fx_fini(&f);
 *
 * A turn of the loop is: answers that came, the tick that is due, one batch of commits with its callbacks, the end of the
 * turn (what was borrowed is gone then). fx_pump makes turns until nothing is left to do at this moment. */
#ifndef HL_TEST_FIXTURE_H
#define HL_TEST_FIXTURE_H

#include "dispatch/core.h"

#include "fakeenv.h"
#include "tmpdir.h"

/* What a receiver does with a request. Zeroed memory answers 200 with an empty body after 1 ms. */
struct fx_answer {
	unsigned status;          /* 0 = 200, unless error_class says that no answer comes */
	enum hl_class error_class;/* DNS, CONNECT, TIMEOUT …: nothing is answered */
	const char *body;         /* NULL = "" */
	const char *retry_after;  /* NULL = absent */
	const char *location;
	hl_ms_t latency_ms;       /* 0 = 1 */
	bool hang;                /* until the request's own timeout, then class TIMEOUT */
	unsigned times;           /* the rule is used so often and then forgotten; 0 = for ever */
};

/* A request as it left. Strings are the fixture's until fx_fini or fx_forget. */
struct fx_request {
	hl_ms_t at_ms;            /* wall */
	hl_ms_t mono_ms;
	char *url;
	char *fields;             /* header lines */
	char *body;
	size_t body_len;
	uint32_t timeout_ms;
};

struct fx_rule;
struct fx_flight;

struct fx {
	struct fakeenv world;
	struct tmpdir dir;
	struct hl_options options; /* .data stays the fixture */
	struct hl_dispatcher *d;  /* NULL while closed */
	struct hl_egress *egress; /* NULL = nothing is judged at creation; the test's */
	/* receivers */
	struct fx_rule *rules;    /* newest first */
	/* Optional; asked before the rules. true: *out is the answer. */
	bool (*decide)(void *data, const struct fx_request *r, struct fx_answer *out);
	void *decide_data;
	struct fx_flight *flights;/* requests without answer */
	size_t n_flights;
	struct fx_request *requests; /* log of what was sent, oldest first */
	size_t n_requests, cap_requests;
	/* alarm */
	hl_ms_t alarm_mono_ms;    /* INT64_MAX = none */
	bool soon;
	bool disk_stalled;        /* commits wait until this is false again */
	bool disk_late;           /* batches are told some turns after they are durable, at random: as with a storage thread */
	hl_ms_t disk_takes_ms;    /* … at random up to so long after they began, and one after the other; 0 = no time passes */
	hl_ms_t disk_until_mono_ms; /* the batch under way is told then */
	/* counts */
	uint64_t n_turns;
	bool drained;
	bool freed;
	int fatal;                /* code told by on_fatal, 0 = none */
	unsigned n_fatals;        /* how often it was called since the start */
};

void fx_init(struct fx *f);
void fx_fini(struct fx *f);
/* Opens the store of the directory; aborts the test on failure. */
void fx_open(struct fx *f);
int fx_try_open(struct fx *f, struct hl_err *err);
/* Ends in order: attempts in flight end or are dropped after the grace. */
void fx_close(struct fx *f);
/* As kill -9 at this moment: what was not committed is lost; opens again. */
void fx_crash(struct fx *f);
/* The first half of a crash: the process is gone. It ends in order here, so what it still commits has to come to nothing:
 * the caller puts the old file back, or has a disk that takes no more. */
void fx_die(struct fx *f);

/* One turn; false: there was nothing to do. */
bool fx_turn(struct fx *f);
/* Turns until nothing is left to do now. */
void fx_pump(struct fx *f);
/* Moves the clock by ms, stopping at every alarm and answer on the way. */
void fx_advance(struct fx *f, hl_ms_t ms);
/* Moves on until pred says so, at most max_ms; tells whether it did. */
bool fx_until(struct fx *f, bool (*pred)(struct fx *f, void *data), void *data, hl_ms_t max_ms);
static inline hl_ms_t fx_now(const struct fx *f) { return f->world.wall_ms; }

/* Requests whose URL begins so are answered like this; the newest rule that fits wins. */
void fx_script(struct fx *f, const char *url_prefix, const struct fx_answer *a);
void fx_unscript(struct fx *f);              /* forgets every rule */
/* Requests logged whose URL begins so. */
size_t fx_count(const struct fx *f, const char *url_prefix);
const struct fx_request *fx_last(const struct fx *f, const char *url_prefix); /* NULL = none */
void fx_forget(struct fx *f);                /* empties the log of requests */
/* The value of a header of a logged request; "" when it is not there. Until the next call. */
const char *fx_header(const struct fx_request *r, const char *name);

/* ---- common errands; they abort the test on failure ---- */

/* What the newest answer to one of the errands below was; copied, so that it outlives the turn. */
struct fx_result {
	bool called;
	int status;
	struct hl_err err;
	uint64_t number;          /* webhook, event or delivery; a count */
	uint32_t n_deliveries;
	bool replayed;
	char secret[HL_SECRET_CAP];
	char answer[256];
	struct hl_attempt attempt;/* without its slices */
};
/* Callbacks that fill in a struct fx_result given as data. */
void fx_on_webhook(void *data, int status, const struct hl_err *err, const struct hl_webhook_result *r);
void fx_on_publish(void *data, int status, const struct hl_published *p);
void fx_on_delivery(void *data, int status, const struct hl_err *err, const struct hl_delivery *v);
void fx_on_attempt(void *data, int status, const struct hl_delivery *v, const struct hl_attempt *a);
void fx_on_count(void *data, int status, uint64_t n);
void fx_on_done(void *data, int status, const struct hl_err *err);

/* Of the default account; committed when they return. */
uint32_t fx_webhook(struct fx *f, const char *url);
uint32_t fx_webhook_make(struct fx *f, const struct hl_webhook *w); /* w->account 0 = the default one */
void fx_webhook_state(struct fx *f, uint32_t webhook, enum hl_webhook_state state);
struct fx_result fx_publish_as(struct fx *f, uint32_t account, const struct hl_publish *p);
uint64_t fx_publish(struct fx *f, const char *type, const char *data); /* the event's number */
/* Does not pump: for many at once. */
void fx_publish_begin(struct fx *f, uint32_t account, const struct hl_publish *p, struct fx_result *out);
/* The delivery as it is now; its slices are gone. Turns nothing. */
struct hl_delivery fx_delivery(struct fx *f, uint64_t number);

#endif
