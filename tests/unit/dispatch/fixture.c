/* See fixture.h. Nothing here knows what is tested; what cannot go wrong aborts. */
#include "fixture.h"

#include "dispatch/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURNS_MAX = 200000 };  /* within one moment of the clock: more is a loop without end */

struct fx_rule {
	struct fx_rule *next;
	char *prefix;
	struct fx_answer answer;   /* strings are owned */
	char *strings[3];
};

struct fx_flight {
	struct fx_flight *next;
	struct hl_exchange *x;
	hl_exchange_cb cb;
	void *data;
	hl_ms_t started_mono_ms, due_mono_ms;
	bool cancelled;
	struct fx_answer answer;
	char *strings[3];
};

static _Noreturn void HL_PRINTF(1, 2) die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "fixture: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	abort();
}

static void *must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

static char *copy_bytes(const void *p, size_t n)
{
	char *s = must(malloc(n + 1));
	if (n)
		memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

/* The answer's texts, owned by `strings`. */
static void own_strings(struct fx_answer *a, char *strings[3])
{
	const char **members[3] = { &a->body, &a->retry_after, &a->location };
	for (size_t i = 0; i < 3; i++) {
		strings[i] = *members[i] ? copy_bytes(*members[i], strlen(*members[i])) : NULL;
		*members[i] = strings[i];
	}
}

static void free_strings(char *strings[3])
{
	for (size_t i = 0; i < 3; i++)
		free(strings[i]);
}

/* ---- transport ---- */

static struct fx_request *log_request(struct fx *f, const struct hl_exchange_request *r)
{
	if (f->n_requests == f->cap_requests) {
		f->cap_requests = f->cap_requests ? f->cap_requests * 2 : 64;
		f->requests = must(realloc(f->requests, f->cap_requests * sizeof(*f->requests)));
	}
	struct fx_request *q = &f->requests[f->n_requests++];
	size_t len = 0;
	for (size_t i = 0; i < r->n_body; i++)
		len += r->body[i].len;
	*q = (struct fx_request){ .at_ms = f->world.wall_ms, .mono_ms = f->world.mono_ms, .body_len = len,
		.url = copy_bytes(r->url->text.ptr, r->url->text.len), .fields = copy_bytes(r->fields.ptr, r->fields.len),
		.timeout_ms = r->timeout_ms };
	q->body = must(malloc(len + 1));
	size_t at = 0;
	for (size_t i = 0; i < r->n_body; i++) {
		memcpy(q->body + at, r->body[i].ptr, r->body[i].len);
		at += r->body[i].len;
	}
	q->body[len] = '\0';
	return q;
}

static void free_rule(struct fx_rule *r)
{
	free_strings(r->strings);
	free(r->prefix);
	free(r);
}

static void choose(struct fx *f, const struct fx_request *q, struct fx_flight *flight)
{
	struct fx_answer a = { 0 };
	struct fx_rule *used_up = NULL;
	if (!f->decide || !f->decide(f->decide_data, q, &a)) {
		for (struct fx_rule **at = &f->rules; *at; at = &(*at)->next) {
			struct fx_rule *r = *at;
			if (strncmp(q->url, r->prefix, strlen(r->prefix)) != 0)
				continue;
			a = r->answer;
			if (r->answer.times && --r->answer.times == 0) {
				*at = r->next;
				used_up = r;
			}
			break;
		}
	}
	flight->answer = a;
	own_strings(&flight->answer, flight->strings);
	if (used_up)
		free_rule(used_up);
}

static int transport_start(void *data, struct hl_exchange *x, const struct hl_exchange_request *r, hl_exchange_cb cb,
		void *cb_data)
{
	struct fx *f = data;
	struct fx_flight *flight = must(calloc(1, sizeof(*flight)));
	choose(f, log_request(f, r), flight);
	struct fx_answer *a = &flight->answer;
	hl_ms_t wait = a->latency_ms ? a->latency_ms : 1;
	if (a->hang || wait >= r->timeout_ms) {
		wait = r->timeout_ms;
		a->error_class = HL_CLASS_TIMEOUT;
	}
	flight->x = x;
	flight->cb = cb;
	flight->data = cb_data;
	flight->started_mono_ms = f->world.mono_ms;
	flight->due_mono_ms = f->world.mono_ms + wait;
	struct fx_flight **end = &f->flights;
	while (*end)
		end = &(*end)->next;
	*end = flight;
	f->n_flights++;
	return 0;
}

static void transport_cancel(void *data, struct hl_exchange *x)
{
	struct fx *f = data;
	for (struct fx_flight *p = f->flights; p; p = p->next) {
		if (p->x == x)
			p->cancelled = true;
	}
}

static void fill_result(const struct fx_flight *p, hl_ms_t now_mono_ms, struct hl_exchange_result *r)
{
	const struct fx_answer *a = &p->answer;
	*r = (struct hl_exchange_result){ .tls = "", .dns_ms = -1, .connect_ms = -1, .tls_ms = -1, .first_byte_ms = -1,
		.total_ms = (int32_t)(now_mono_ms - p->started_mono_ms) };
	if (p->cancelled) {
		r->error = HL_ECANCELED;
		return;
	}
	r->error_class = a->error_class;
	if (a->error_class != HL_CLASS_NONE) {
		snprintf(r->text, sizeof(r->text), "%s", hl_class_sentence(a->error_class));
		return;
	}
	snprintf(r->address, sizeof(r->address), "192.0.2.1:443");
	r->first_byte_ms = r->total_ms;
	r->status = (uint16_t)(a->status ? a->status : 200);
	r->body = hl_str_from(a->body);
	r->retry_after = hl_str_from(a->retry_after);
	r->location = hl_str_from(a->location);
}

/* Hands out the answers whose time has come. */
static bool deliver(struct fx *f)
{
	bool any = false;
	for (;;) {
		struct fx_flight **at = &f->flights, *p;
		while (*at && !(*at)->cancelled && (*at)->due_mono_ms > f->world.mono_ms)
			at = &(*at)->next;
		p = *at;
		if (!p)
			return any;
		*at = p->next;
		f->n_flights--;
		struct hl_exchange_result r;
		fill_result(p, f->world.mono_ms, &r);
		p->cb(p->data, p->x, &r);
		free_strings(p->strings);
		free(p);
		any = true;
	}
}

/* ---- alarm ---- */

static void alarm_set(void *data, hl_ms_t at_mono_ms)
{
	((struct fx *)data)->alarm_mono_ms = at_mono_ms;
}

static void alarm_soon(void *data)
{
	((struct fx *)data)->soon = true;
}

/* ---- scripts ---- */

void fx_script(struct fx *f, const char *url_prefix, const struct fx_answer *a)
{
	struct fx_rule *r = must(calloc(1, sizeof(*r)));
	r->prefix = copy_bytes(url_prefix, strlen(url_prefix));
	r->answer = *a;
	own_strings(&r->answer, r->strings);
	r->next = f->rules;
	f->rules = r;
}

void fx_unscript(struct fx *f)
{
	struct fx_rule *next;
	for (struct fx_rule *r = f->rules; r; r = next) {
		next = r->next;
		free_rule(r);
	}
	f->rules = NULL;
}

/* ---- life ---- */

static void on_fatal(void *data, const struct hl_err *err)
{
	struct fx *f = data;
	f->fatal = err->code;
	f->n_fatals++;
}

static void log_line(void *data, int level, const char *line)
{
	struct fx *f = data;
	fprintf(stderr, "[%lld] %d %s\n", (long long)(f->world.wall_ms - fakeenv_epoch_ms), level, line);
	if (f->options.on_log)
		f->options.on_log(f, (enum hl_log_level)level, line);
}

void fx_init(struct fx *f)
{
	memset(f, 0, sizeof(*f));
	fakeenv_init(&f->world, 1);
	tmpdir_make(&f->dir);
	hl_options_init(&f->options);
	f->options.data_dir = f->dir.path;
	f->options.env = &f->world.env;
	f->options.store_max_bytes = 1ull << 30;
	f->options.data = f;
	f->options.on_fatal = on_fatal;
	f->alarm_mono_ms = INT64_MAX;
}

int fx_try_open(struct fx *f, struct hl_err *err)
{
	struct hl_engine_ports ports = {
		.transport = { .data = f, .start = transport_start, .cancel = transport_cancel },
		.alarm = { .data = f, .set = alarm_set, .soon = alarm_soon },
		.egress = f->egress,
	};
	f->alarm_mono_ms = INT64_MAX;
	f->drained = f->freed = false;
	f->fatal = 0;
	f->n_fatals = 0;
	int rc = hl_engine_open(&f->d, &f->options, &ports, err);
	if (rc == 0 && getenv("FX_LOG"))
		f->d->log = (struct hl_log){ .level = HL_LOG_DEBUG, .sink = log_line, .data = f };
	return rc;
}

void fx_open(struct fx *f)
{
	struct hl_err err = { 0 };
	int rc = fx_try_open(f, &err);
	if (rc)
		die("open: %s: %s", hl_errname(rc), err.text);
	fx_pump(f);
}

static void on_drained(struct hl_dispatcher *d)
{
	((struct fx *)d->hook_data)->drained = true;
}

static void on_freed(void *data)
{
	((struct fx *)data)->freed = true;
}

static void drop_flights(struct fx *f)
{
	while (f->flights) {
		f->flights->cancelled = true;
		deliver(f);
	}
}

static void end(struct fx *f)
{
	hl_engine_free(f->d, on_freed, f);
	if (!f->freed)
		die("hl_engine_free did not finish");
	f->d = NULL;
	f->soon = false;
	f->alarm_mono_ms = INT64_MAX;
}

void fx_close(struct fx *f)
{
	f->disk_stalled = false;
	hl_engine_drain(f->d, 1000, on_drained);
	fx_advance(f, 2000);
	if (!f->drained)
		die("the dispatcher did not drain");
	end(f);
}

static void copy_file(const char *from, const char *to)
{
	char bytes[65536];
	size_t n;
	FILE *in = fopen(from, "r"), *out = fopen(to, "w");
	if (!in || !out)
		die("cannot copy %s", from);
	while ((n = fread(bytes, 1, sizeof(bytes), in)) > 0) {
		if (fwrite(bytes, 1, n, out) != n)
			die("cannot write %s", to);
	}
	fclose(in);
	if (fclose(out))
		die("cannot write %s", to);
}

void fx_die(struct fx *f)
{
	hl_ms_t takes_ms = f->disk_takes_ms;
	f->disk_takes_ms = f->disk_until_mono_ms = 0; /* no time passes any more */
	drop_flights(f);
	f->disk_stalled = false;
	hl_engine_drain(f->d, 0, on_drained);
	while (!f->drained && fx_turn(f))
		;
	if (!f->drained)
		die("the dispatcher did not drain");
	end(f);
	f->disk_takes_ms = takes_ms;
}

void fx_crash(struct fx *f)
{
	char file[TMPDIR_PATH_CAP], saved[TMPDIR_PATH_CAP];
	tmpdir_path(&f->dir, "data.mdb", file);
	tmpdir_path(&f->dir, "data.saved", saved);
	copy_file(file, saved);
	fx_die(f);
	if (rename(saved, file))
		die("cannot restore the store");
	fx_open(f);
}

void fx_fini(struct fx *f)
{
	if (f->d)
		fx_close(f);
	drop_flights(f);
	fx_unscript(f);
	fx_forget(f);
	free(f->requests);
	tmpdir_remove(&f->dir);
}

/* ---- time ---- */

/* What has taken its time is told, then the next batch begins. */
static bool slow_disk(struct fx *f)
{
	if (f->world.mono_ms < f->disk_until_mono_ms)
		return false;
	bool told = hl_commit_tell(f->d->commit), begun = hl_commit_run(f->d->commit);
	if (begun)
		f->disk_until_mono_ms = f->world.mono_ms + 1 + (hl_ms_t)((fakeenv_next(&f->world) >> 20) % (uint64_t)f->disk_takes_ms);
	return told || begun;
}

/* One batch and its callbacks; late: one of the two, both or none. */
static bool disk(struct fx *f)
{
	if (!f->d || f->drained || f->disk_stalled)
		return false;
	if (!f->disk_late)
		return hl_engine_step(f->d);
	if (f->disk_takes_ms)
		return slow_disk(f);
	uint64_t dice = fakeenv_next(&f->world) >> 20;
	if (dice % 3 > 0)
		(void)hl_commit_run(f->d->commit);
	if (dice / 3 % 2 && hl_commit_tell(f->d->commit))
		return true;
	return hl_commit_backlog(f->d->commit) > 0;
}

bool fx_turn(struct fx *f)
{
	bool any = deliver(f);
	if (f->d && (f->soon || f->alarm_mono_ms <= f->world.mono_ms) && !f->drained) {
		f->soon = false;
		f->alarm_mono_ms = INT64_MAX;
		hl_engine_tick(f->d);
		any = true;
	}
	any |= disk(f);
	if (f->d)
		hl_engine_turn_end(f->d);
	f->n_turns++;
	return any;
}

void fx_pump(struct fx *f)
{
	unsigned n = 0;
	while (fx_turn(f)) {
		if (++n > TURNS_MAX)
			die("turns without end at %lld", (long long)f->world.mono_ms);
	}
}

static hl_ms_t next_moment(const struct fx *f)
{
	hl_ms_t at = f->d && !f->drained ? f->alarm_mono_ms : INT64_MAX;
	if (f->d && f->disk_until_mono_ms > f->world.mono_ms && !f->disk_stalled)
		at = HL_MIN(at, f->disk_until_mono_ms);
	for (const struct fx_flight *p = f->flights; p; p = p->next)
		at = HL_MIN(at, p->due_mono_ms);
	return at;
}

static bool never(struct fx *f, void *data)
{
	(void)f;
	(void)data;
	return false;
}

bool fx_until(struct fx *f, bool (*pred)(struct fx *f, void *data), void *data, hl_ms_t max_ms)
{
	hl_ms_t target = f->world.mono_ms + max_ms;
	for (;;) {
		fx_pump(f);
		if (pred(f, data))
			return true;
		hl_ms_t at = next_moment(f);
		if (at > target)
			break;
		fakeenv_advance(&f->world, HL_MAX(at - f->world.mono_ms, 0));
	}
	fakeenv_advance(&f->world, target - f->world.mono_ms);
	fx_pump(f);
	return pred(f, data);
}

void fx_advance(struct fx *f, hl_ms_t ms)
{
	(void)fx_until(f, never, NULL, ms);
}
