/* A model of one queue's rules for windows, parking, pauses and clocks, run on virtual time with random seeds. It has no
 * sockets, no store and no concurrency; it exists to settle the rules that src/dispatch/queue.c and policy.c follow:
 *
 *  R1  A slot past the window's end moves to `last`: the end itself, or one second before `expires_at` (never after it).
 *      An attempt that starts within GRACE after the end is the ordinary last one; after that the delivery is "past".
 *  R2  A past delivery ends by the first that applies: expires_at passed -> `expired`; paused -> `paused`; parked -> the
 *      newest probe's reason; strict -> its last outcome; else exactly one attempt marked late. Paused needs no grace.
 *  R3  Every next time is kept with the interval it came from, and is never later than now + interval. When the wall
 *      clock is found behind the newest stored time (while running and at start) a sweep over `due` applies that again
 *      to backoffs and hints. deliver_after is the publisher's wall time: not touched. Windows end by wall time.
 *  R4  Hourly counts: attempt 49 is final whatever the clock says, so a clock set back adds none.
 *  R5  Parked is stored (one bit with the outcome that parked it), else a restart forgets that the backoffs may drain.
 *      After a restart the first probe is due at once.
 *  R6  Drain is a generation in the webhook's record, stored in each `due` value, not a time: a backoff written under an
 *      older generation is due now. (With a time, a clock set back makes every fresh failure due at once: a hot loop.)
 *      Success while parked and resume raise it. Hints and deliver_after ignore it, strict queues too.
 *  R7  A probe made before the delivery's own time changes neither its next time nor its step, and does not count
 *      towards the 200: 48 h of probes each five minutes are 576. The 200th scheduled attempt waits for `last`, so the
 *      limit never ends a delivery early.
 *  R8  Only success opens a parked queue (an answer 500 would only burn the backlog). Probes rotate, least recent first.
 *  R9  Resume opens a parked queue: its owner says it works.                                                          */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef int64_t ms;
enum { SEC = 1000, MIN = 60 * SEC, HOUR = 60 * MIN, GRACE = MIN, PARK_AFTER = 5, N_MAX = 12, ATTEMPTS_MAX = 200 };
static const ms WINDOW = 48 * (ms)HOUR, FOREVER = INT64_MAX / 4;
enum why { FRESH, AFTER, BACKOFF, HINT };            /* why a delivery waits */
enum end { PENDING, SUCCEEDED, F_WINDOW, F_PAUSED, F_PARKED, F_EXPIRED };
enum mood { UP, DOWN, ERR, LIMIT, MOODS };           /* 2xx; connection refused; 500; 429 with Retry-After */
static const ms delays_s[] = { 5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 72000 };

struct delivery {
	ms start, end, last, next, interval;             /* wall times, and the interval `next` came from */
	enum why why;
	enum end state;
	bool exists, expires, late;
	bool clean;                                      /* nothing but the schedule delayed it since its last attempt */
	bool must;                                       /* waits only for a receiver that has returned */
	int gen, steps, hints, last_slot, backs;
	ms tried_mono;                                   /* last attempt; orders the probes */
};
static struct {
	uint64_t rng, seed;
	ms mono, skew, seen_wall;                        /* wall = mono + skew */
	struct delivery d[N_MAX];
	int n, gen, fails, width, attempts, lates;
	bool strict, hourly, paused, parked, running, went_back, jumped;
	bool dead;                                       /* the observer's view: parked, and no success or resume since */
	ms probe_ms, probe_at, drained_by;               /* monotonic */
	ms constant;                                     /* policy "delays" of one entry; 0 = exponential */
	enum mood mood;
} q;

static uint64_t rnd(uint64_t n)
{
	uint64_t z = (q.rng += 0x9E3779B97F4A7C15u);
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return (z ^ (z >> 31)) % n;
}
static ms wall(void) { return q.mono + q.skew; }
static void check(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "seed %llu, %.3f h: %s\n", (unsigned long long)q.seed, (double)q.mono / HOUR, what);
		exit(1);
	}
}
static ms least(ms a, ms b) { return a < b ? a : b; }
static bool due(const struct delivery *d) /* its own time has come */
{
	return d->why == FRESH || d->next <= wall() || (d->why == BACKOFF && d->gen < q.gen && !q.strict);
}
static bool past(const struct delivery *d) { return wall() > d->end + (d->expires || q.paused ? 0 : GRACE); }

static void reschedule(struct delivery *d)
{
	ms now = wall();
	if (now >= d->last || (q.hourly && d->steps >= 49)) {
		d->state = F_WINDOW;
		return;
	}
	if (q.mood == LIMIT && !q.strict) {
		ms hint = (ms)rnd(4000) * SEC, floor = ++d->hints > 3 ? MIN : SEC;
		d->why = HINT, d->next = now + (hint > floor ? hint : floor);
	} else if (q.hourly) {
		ms k = now < d->start ? 0 : (now - d->start) / HOUR + 1;
		d->why = BACKOFF, d->next = least(d->start + k * HOUR, now + HOUR);
	} else {
		int i = d->steps - 1 - d->hints, n = (int)(sizeof(delays_s) / sizeof(*delays_s));
		ms delay = q.constant ? q.constant : delays_s[i < 0 ? 0 : i < n ? i : n - 1] * SEC;
		d->why = BACKOFF, d->next = now + delay + (ms)rnd((uint64_t)delay / 10 + 1);
	}
	if (d->steps == ATTEMPTS_MAX - 1)
		d->next = d->last;
	d->next = least(d->next, d->last);
	d->interval = d->next - now;
	check(!q.hourly || d->why == HINT || d->interval <= HOUR, "more than an hour between hourly attempts");
	d->gen = q.gen, d->clean = !q.parked, d->backs = 0;
}

static void attempt(struct delivery *d, bool probe)
{
	ms now = wall(), slot = (now - d->start) / HOUR;
	bool own = due(d);
	check(d->state == PENDING && !q.paused && q.running, "attempt on an ended, paused or stopped queue");
	check(!d->late, "attempt after the late one");
	check(d->why != AFTER || now >= d->start, "attempt before deliver_after");
	check(!d->expires || now <= d->end, "attempt after expires_at");
	d->late = past(d);
	check(!d->late || (!q.strict && !q.parked), "late attempt in a strict or parked queue");
	check(!d->late || !d->clean || q.jumped, "late without a cause");
	check(!q.strict || own, "strict attempt before its time");
	check(!q.strict || q.went_back || d->steps == 0 || slot > d->last_slot || now >= d->last, "two strict attempts in one hour");
	check(!d->clean || q.parked || q.mono - d->tried_mono <= d->interval * (1 + d->backs) + 2 * MIN, "delayed too long");
	d->tried_mono = q.mono, d->last_slot = (int)slot, d->clean = false, q.attempts++, q.lates += d->late;
	if (own || d->late)
		d->steps++;
	check(d->steps <= (q.hourly ? 49 : ATTEMPTS_MAX), "too many attempts");
	if (q.mood == UP) {
		d->state = SUCCEEDED, q.fails = 0, q.width += q.width < 20, q.dead = false;
		if (q.parked)
			q.parked = false, q.gen++, q.width = 1;
		return;
	}
	q.fails = q.mood == DOWN ? q.fails + 1 : 0, q.width = q.width > 1 ? q.width - 1 : 1;
	if (probe)
		q.probe_ms = least(2 * q.probe_ms, 5 * MIN);
	else if (q.fails >= PARK_AFTER)
		for (int i = (q.parked = q.dead = true, q.probe_ms = 5 * SEC, 0); i < q.n; i++)
			q.d[i].clean = false;
	q.probe_at = q.mono + q.probe_ms * 4 / 5 + (ms)rnd((uint64_t)q.probe_ms * 2 / 5 + 1);
	if (own || d->late)
		reschedule(d);
}

static void turn(void) /* everything the running process does at this moment */
{
	if (!q.running)
		return;
	if (wall() < q.seen_wall)
		for (int i = 0; i < q.n; i++)
			if (q.d[i].why == BACKOFF || q.d[i].why == HINT)
				q.d[i].next = least(q.d[i].next, wall() + q.d[i].interval);
	q.seen_wall = wall();
	struct delivery *probe = NULL;
	int left = q.width;
	for (int i = 0; i < q.n; i++) {
		struct delivery *d = &q.d[i];
		if (!d->exists || d->state != PENDING)
			continue;
		check(!d->must || q.mono <= q.drained_by, "not drained in time");
		check(!past(d) || !d->expires || !d->clean || q.jumped || q.paused || q.parked, "expired before its last attempt");
		if (past(d) && (d->expires || q.paused || q.parked || q.strict))
			d->state = d->expires ? F_EXPIRED : q.paused ? F_PAUSED : q.parked ? F_PARKED : F_WINDOW;
		else if (q.paused)
			continue;
		else if (q.parked && (due(d) || (d->why == BACKOFF && !q.strict)))
			probe = !probe || d->tried_mono < probe->tried_mono ? d : probe;
		else if (!q.parked && left > 0 && (due(d) || past(d)))
			left--, attempt(d, false);
	}
	if (probe && q.parked && q.mono >= q.probe_at)
		attempt(probe, true);
}

static ms wake(void) /* when the process has something to do next, monotonic */
{
	ms at = FOREVER;
	for (int i = 0; i < q.n && q.running; i++) {
		struct delivery *d = &q.d[i];
		if (!d->exists || d->state != PENDING)
			continue;
		ms end = d->end - q.skew + 1 + (d->expires || q.paused ? 0 : GRACE), own = due(d) ? q.mono : d->next - q.skew;
		at = least(at, end);
		if (!q.paused && q.parked && (!q.strict || due(d)) && d->why != HINT && d->why != AFTER)
			at = least(at, q.probe_at);
		else if (!q.paused)
			at = least(at, own);
	}
	return at <= q.mono ? q.mono + SEC : at;
}

static void disturb(bool calm) /* one thing happens from outside */
{
	int what = calm ? 0 : (int)rnd(12);
	for (int i = 0; i < q.n; i++)
		q.d[i].clean &= what != 5 && what != 6, q.d[i].must = false;
	if (what <= 4) {
		q.mood = calm || rnd(3) ? (q.mood == UP && !calm ? DOWN : UP) : (enum mood)rnd(MOODS);
	} else if (what == 5) {
		q.paused = !q.paused;
		if (!q.paused)
			q.parked = q.dead = false, q.fails = 0, q.gen++, q.width = 5;
	} else if (what == 6) {
		q.running = !q.running, q.fails = 0, q.width = 5, q.probe_ms = 5 * SEC, q.probe_at = q.mono;
	} else if (what == 7 || what == 8) {
		ms jump = what == 7 ? -24 * (ms)HOUR : 72 * (ms)HOUR;
		q.skew += jump, q.went_back |= what == 7, q.jumped = true;
		for (int i = 0; i < q.n; i++)
			q.d[i].backs += what == 7;
	} else if (q.running) {
		for (int i = 0; i < q.n; i++)
			if (!q.d[i].exists) {
				bool after = rnd(5) == 0;
				ms start = wall() + (after ? (ms)rnd(20 * HOUR) : 0), life = WINDOW;
				bool expires = rnd(5) == 0;
				if (expires)
					life = (ms)rnd((uint64_t)WINDOW) + MIN;
				q.d[i] = (struct delivery){ .exists = true, .start = start, .end = start + life, .expires = expires,
					.last = start + life - (expires ? SEC : 0), .next = start, .why = after ? AFTER : FRESH, .tried_mono = -1 };
				if (rnd(2))
					break;
			}
	}
	q.drained_by = q.mono + 6 * MIN + N_MAX * SEC;
	for (int i = 0; i < q.n && q.mood == UP && q.running && !q.paused && q.dead && !q.strict; i++)
		q.d[i].must = q.d[i].exists && q.d[i].state == PENDING && (q.d[i].why == FRESH || q.d[i].why == BACKOFF);
}

static void run(uint64_t seed)
{
	q = (typeof(q)){ .rng = seed, .seed = seed, .n = 1 + (int)(seed % N_MAX), .running = true, .width = 5, .skew = 1700000000000 };
	q.strict = rnd(4) == 0, q.hourly = q.strict || rnd(2), q.constant = rnd(4) ? 0 : 10 * MIN;
	ms next = 0;
	for (int left = 40; left > 0;) {
		turn();
		ms at = wake();
		if (next <= at)
			q.mono = next, left--, disturb(false), next += rnd(3) ? (ms)rnd(2 * HOUR) : (ms)rnd(14 * HOUR);
		else
			q.mono = at;
	}
	if (!q.running)
		q.running = true, q.probe_at = q.mono;
	if (!q.strict && !q.paused) /* quiet now: parked work drains, the rest ends with its window */
		disturb(true);
	turn();
	for (ms at, until = q.mono + 14 * 24 * (ms)HOUR; (at = wake()) < until; turn())
		q.mono = at;
	for (int i = 0; i < q.n; i++)
		check(!q.d[i].exists || q.d[i].state != PENDING || q.d[i].end > wall(), "pending past its end");
}

/* The plain cases, exactly. */
static void plain(bool strict, ms constant, ms jump_at, ms jump, int want_attempts, int want_lates, const char *what)
{
	q = (typeof(q)){ .rng = 1, .n = 1, .running = true, .width = 5, .skew = 1700000000000, .strict = strict, .hourly = !constant,
		.constant = constant, .mood = constant ? ERR : DOWN };
	ms s = wall();
	q.d[0] = (struct delivery){ .exists = true, .start = s, .end = s + WINDOW, .last = s + WINDOW, .next = s, .why = FRESH, .tried_mono = -1 };
	for (turn(); q.d[0].state == PENDING; turn()) {
		ms at = wake();
		bool now = jump && q.mono < jump_at && at >= jump_at;
		q.mono = now ? jump_at : at, q.skew += now ? jump : 0, q.d[0].backs += now && jump < 0, q.went_back |= now && jump < 0, q.jumped |= now;
		check(!strict || jump || q.d[0].state != PENDING || q.mono % HOUR == 0 || q.d[0].tried_mono == q.mono - q.mono % HOUR, what);
	}
	check(q.attempts == want_attempts || want_attempts == 0, what);
	check(q.lates == want_lates, what);
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000, first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	plain(true, 0, 0, 0, 49, 0, "strict is 49 hourly attempts");
	plain(true, 0, 10 * (ms)HOUR + 1, -24 * (ms)HOUR, 49, 0, "strict, clock back one day: 49 attempts");
	plain(true, 0, 10 * (ms)HOUR + 1, 72 * (ms)HOUR, 11, 0, "strict, clock forward three days: no late attempt");
	plain(false, 0, 3 * (ms)HOUR + 1, 72 * (ms)HOUR, 5, 1, "forward three days: one late attempt");
	plain(false, 10 * MIN, 0, 0, 200, 0, "a short constant delay: 200 attempts, the last at the end of the window");
	check(q.mono == WINDOW, "the 200th attempt is kept for the end of the window");
	for (uint64_t s = first; s < first + n; s++)
		run(s);
	printf("%llu seeds held\n", (unsigned long long)n);
	return 0;
}
