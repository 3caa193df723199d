/* The rules of delivery, as arithmetic: what an answer means, when to try again, when to stop.
 *
 * Nothing here waits, stores or looks at a clock: times come in, verdicts go out. All times are wall time. */
#ifndef HL_DISPATCH_POLICY_H
#define HL_DISPATCH_POLICY_H

#include <hookline/event.h>

enum {
	HL_POLICY_HOUR_MS = 3600 * 1000,
	HL_POLICY_STRICT_WINDOW_S = 48 * 3600,
	HL_POLICY_JITTER_PERCENT = 10,   /* exponential: a delay grows by 0 to 10 % */
	HL_POLICY_HINTS_SHORT = 3,       /* this many hints of a delivery may be as short as 1 s … */
	HL_POLICY_HINT_MIN_MS = 1000,
	HL_POLICY_HINT_LONG_MS = 60000,  /* … later ones are at least this long */
	HL_POLICY_HINT_MAX_MS = 7 * 86400 * 1000, /* longer hints are cut to this (the longest window) */
	HL_POLICY_GRACE_MS = 60000,      /* an attempt due at the end of its window is on time until then */
	HL_POLICY_EXPIRY_LEAD_MS = 1000, /* the last attempt before expires_at is due this much earlier */
};

/* ---- the statuses that end a delivery ---- */

/* Bit s - 400 is set when status s (400 … 599) ends a delivery. */
struct hl_policy_finals {
	uint64_t bits[4];
};

/* "400,405,411"; spaces around entries are allowed, "" is the empty list. Entries: 400 … 599, each once at most.
 * HL_EINVAL with the entry in err->text (err->field is the caller's to set). */
HL_MUST_CHECK int hl_policy_finals_parse(struct hl_str text, struct hl_policy_finals *out, struct hl_err *err);
bool hl_policy_finals_has(const struct hl_policy_finals *f, unsigned status);

/* ---- the retry policy of a webhook ---- */

struct hl_policy {
	enum hl_retry_kind kind;   /* EXPONENTIAL, HOURLY or DELAYS */
	bool strict;               /* no hints, no late attempt */
	uint32_t window_s;         /* how long to keep trying */
	uint32_t jitter_percent;   /* a delay grows by 0 … this */
	uint32_t n_delays;         /* EXPONENTIAL and DELAYS: ≥ 1 */
	uint32_t delays_s[HL_DELAYS_MAX];
};

/* What webhooks that say nothing get. */
struct hl_policy_defaults {
	struct hl_retry native;    /* kind DEFAULT = exponential */
	struct hl_retry dialects;  /* kind DEFAULT = hourly */
	uint32_t window_s;         /* 0 = 48 h */
};

/* From the webhook's dialect, strict, retry and window_s. Strict: hourly for 48 h whatever else is set. */
void hl_policy_init(struct hl_policy *p, const struct hl_webhook *w, const struct hl_policy_defaults *d);

/* ---- what an answer means ---- */

enum hl_verdict {
	HL_VERDICT_SUCCEEDED,
	HL_VERDICT_RETRY,
	HL_VERDICT_FINAL,          /* the delivery failed */
	HL_VERDICT_FINAL_DISABLE,  /* … and the webhook is to be disabled with `reason` */
};

/* What the queue's concurrency does with it. */
enum hl_feedback {
	HL_FEEDBACK_SUCCESS,       /* +1/N */
	HL_FEEDBACK_BACK_OFF,      /* −1 */
	HL_FEEDBACK_HALVE,         /* timeout */
	HL_FEEDBACK_NEUTRAL,
};

/* What came back from one exchange. Slices borrowed for the call. */
struct hl_answer {
	enum hl_class error_class; /* NONE: a complete HTTP answer; else DNS … BLOCKED_ADDRESS, INTERNAL */
	uint16_t http_status;      /* 0 = none */
	struct hl_str body;        /* as much of it as was kept, raw bytes */
	struct hl_str location;    /* header values, "" = absent */
	struct hl_str retry_after;
};

struct hl_judgement {
	enum hl_verdict verdict;
	enum hl_class error_class; /* NONE on success, HTTP_STATUS, RECEIVER_SAID_NO, or the answer's */
	enum hl_feedback feedback;
	bool unavailable;          /* counts towards parking: transport errors, timeouts, 502, 503, 504 */
	hl_ms_t hint_ms;           /* pause the receiver asks for; 0 = none (429, 503 only; never strict) */
	char error[96];            /* HTTP answers: text for people, "HTTP 503"; else "": the exchange knows better */
	char reason[96];           /* FINAL_DISABLE: why, else "" */
};

void hl_policy_judge(const struct hl_policy *p, enum hl_format format, const struct hl_policy_finals *finals,
		const struct hl_answer *a, hl_ms_t now_ms, struct hl_judgement *out);

/* ---- when to try again ---- */

/* Where a delivery stands. */
struct hl_policy_state {
	hl_ms_t window_from_ms;
	hl_ms_t window_until_ms;
	hl_ms_t expires_at_ms;     /* 0 = none */
	uint32_t n_attempts;       /* attempts counted against HL_ATTEMPTS_MAX: made in their turn, so without probes
	                            * ahead of their time; the one just ended is included */
	uint32_t n_scheduled;      /* those of them since window_from: the position in the schedule */
	uint32_t n_hints;          /* hints followed since window_from; such an attempt takes no step in the schedule */
	hl_ms_t started_at_ms;     /* the attempt just ended */
};

/* The window of a delivery: from max(created, deliver_after) to min(from + window, expires_at). 0 = not set. */
void hl_policy_window(const struct hl_policy *p, hl_ms_t created_at_ms, hl_ms_t deliver_after_ms, hl_ms_t expires_at_ms,
		hl_ms_t *out_from_ms, hl_ms_t *out_until_ms);

/* When the next attempt is due after a retryable one that ended at now_ms; 0 = there is none, the delivery failed. The
 * last attempt the limit allows is due at the window's end, so that the limit never ends a delivery early; an hourly
 * window has as many attempts as slots, whatever the clock did.
 * hint_ms: judgement's (0 = none). rnd: any random number; decides the jitter. */
hl_ms_t hl_policy_next(const struct hl_policy *p, const struct hl_policy_state *s, hl_ms_t now_ms, hl_ms_t hint_ms,
		uint32_t rnd);

/* A stored due time as it counts now. decided_at_ms is when it was set. Not for deliver_after, which is the
 * publisher's. When the clock went back behind that moment, the wait is the same but starts now, so a jump delays
 * nothing by more than one interval. */
hl_ms_t hl_policy_due(hl_ms_t next_at_ms, hl_ms_t decided_at_ms, hl_ms_t now_ms);

/* ---- whether to try at all, asked right before an attempt and by the sweep ---- */

enum hl_at_dispatch {
	HL_AT_ATTEMPT,        /* go (also when the window ended less than the grace ago) */
	HL_AT_ATTEMPT_LATE,   /* past the end: one attempt, trigger "late"; hl_policy_next answers 0 after it */
	HL_AT_HOLD,           /* inside the window, but the webhook does not deliver now; parked: a probe may go */
	HL_AT_END_EXPIRED,    /* fails: class EXPIRED */
	HL_AT_END_PAUSED,     /* fails: class PAUSED */
	HL_AT_END_PARKED,     /* fails: the newest probe's class and text */
	HL_AT_END_STRICT,     /* fails: keeps its last outcome */
};

enum hl_at_dispatch hl_policy_at_dispatch(const struct hl_policy *p, hl_ms_t window_until_ms, hl_ms_t expires_at_ms,
		enum hl_webhook_state state, bool parked, hl_ms_t now_ms);

#endif
