/* Market records in, as a stream of any length; one answer when all of it is durable and in force.
 *
 *   body ─► splitter ─► read and checked ─► block (≤ HL_MARKET_BLOCK_MAX) ─► library, ≤ 4 blocks at once ─► counts
 *
 * A block is handed over when it is full, and when nothing more has come while none of ours is under way: a slow feed is
 * in force at once, a fast one travels in large blocks. Nothing is allocated per line: records point into an arena that
 * goes with the block. Reading pauses while four blocks are under way, or while the library says HL_EBUSY; if then none of
 * ours is under way whose end would tell when to go on, a timer does, for half a minute at most.
 *
 * Failures: a bad record is counted and (the first hundred) told with its line; the others are taken. A body that stops
 * being a list ends there, told in the same way; one that never was one is 400. A block that could not be stored ends it
 * all: the rest is not read, the answer is the error, and since every quote stands for itself the client sends all of it
 * again. A client that goes away: what was handed over counts. */
#include "api/market_stream.h"

#include "api/market_json.h"
#include "api/query.h"
#include "api/splitter.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCKS_MAX = 4, TEXT_MAX = 1 << 20, BUSY_RETRY_MS = 20, BUSY_MAX_MS = 30000 };

struct feed;

/* What is streamed. */
struct feed_kind {
	/* Reads and checks the entry into the block's next place. */
	int (*read)(struct feed *f, struct hl_reader *r, struct hl_str text);
	int (*apply)(struct feed *f, struct hl_err *err);
	/* What is wrong with a record of the block now. NULL: a record that was good stays good. */
	int (*check)(struct feed *f, size_t i, struct hl_err *err);
	bool bids;
};

struct feed {
	struct hl_call *call;
	const struct feed_kind *kind;
	struct hl_splitter splitter;
	struct hl_arena arena;       /* text of the block */
	size_t n;                    /* records in the block */
	size_t n_waiting;            /* blocks under way */
	bool over;                   /* the body has ended, or stopped making sense */
	bool paused;
	bool has_timer;              /* timer is a handle of the loop: the feed is freed when it is closed */
	uv_timer_t timer;            /* runs while the library is busy with other things */
	uint64_t busy_since_ms;      /* by the loop's clock, 0 = it is not */
	uint64_t accepted, rejected;
	struct hl_buf errors;        /* the first rejected ones: elements of a JSON array */
	struct hl_jsonw errors_writer;
	const char *no_list;         /* why the body is not even the beginning of a list, NULL = it is */
	struct hl_err failed;        /* a block could not be stored; code 0 = all could */
	uint64_t lines[HL_MARKET_BLOCK_MAX]; /* where each record of the block stood */
	union {
		struct hl_market_quote quotes[HL_MARKET_BLOCK_MAX];
		struct hl_market_item items[HL_MARKET_BLOCK_MAX];
	};
};

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void feed_free(struct feed *f)
{
	hl_splitter_fini(&f->splitter);
	hl_arena_fini(&f->arena);
	hl_buf_fini(&f->errors);
	if (f->has_timer)
		uv_close((uv_handle_t *)&f->timer, on_timer_closed);
	else
		free(f);
}

/* ---- what was wrong ----------------------------------------------------------------------------------------------- */

static void reject(struct feed *f, uint64_t line, const struct hl_problem *p)
{
	struct hl_jsonw *w = &f->errors_writer;
	if (f->rejected++ >= HL_MARKET_ERRORS_MAX)
		return;
	hl_jsonw_object(w);
	hl_jsonw_key(w, "line");
	hl_jsonw_u64(w, line);
	hl_jsonw_key(w, "code");
	hl_jsonw_cstr(w, hl_problem_code(p));
	hl_jsonw_key(w, "detail");
	hl_jsonw_str(w, hl_problem_detail(p));
	hl_jsonw_key(w, "pointer");
	if (p->pointer.len)
		hl_jsonw_str(w, p->pointer);
	else
		hl_jsonw_null(w);
	hl_jsonw_object_end(w);
}

static void reject_error(struct feed *f, uint64_t line, int code, struct hl_err *err)
{
	hl_market_pointer(f->kind->bids, err);
	struct hl_problem p = hl_problem_from(code, err);
	if (code == HL_ENOTFOUND) { /* the record's item, not the route's object */
		p.detail = hl_str_from(err->text);
		p.pointer = HL_STR("/item_id");
	}
	reject(f, line, &p);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------- */

static void pump(struct feed *f);

static void fail(struct feed *f, int code, const struct hl_err *err)
{
	if (f->failed.code)
		return;
	if (err && err->code == code)
		f->failed = *err;
	else
		hl_err_set(&f->failed, code, "%s", hl_strerror(code));
}

static void applied(void *data, int status, const struct hl_err *err)
{
	struct feed *f = data;
	f->n_waiting--;
	if (status)
		fail(f, status, err);
	pump(f);
}

static int apply_quotes(struct feed *f, struct hl_err *err)
{
	return hl_market_apply(f->call->api->alerts, f->kind->bids, f->quotes, f->n, applied, f, err);
}

static int apply_items(struct feed *f, struct hl_err *err)
{
	return hl_market_put_items(f->call->api->alerts, f->items, f->n, applied, f, err);
}

/* Records were good one by one, but not together: each was the market's last new provider. By now the market knows those it
 * has room for, so the others can be told. */
static void sift(struct feed *f)
{
	size_t kept = 0;
	for (size_t i = 0; i < f->n; i++) {
		struct hl_err err = { .code = 0 };
		int rc = f->kind->check(f, i, &err);
		if (rc) {
			reject_error(f, f->lines[i], rc, &err);
			continue;
		}
		f->lines[kept] = f->lines[i];
		f->quotes[kept++] = f->quotes[i];
	}
	f->n = kept;
}

static void on_timer(uv_timer_t *t)
{
	pump(t->data);
}

/* false: it has been busy for too long. */
static bool wait_for_others(struct feed *f)
{
	uv_loop_t *loop = f->call->api->loop;
	if (!f->has_timer) {
		uv_timer_init(loop, &f->timer);
		f->timer.data = f;
		f->has_timer = true;
	}
	if (!f->busy_since_ms)
		f->busy_since_ms = uv_now(loop);
	return uv_now(loop) - f->busy_since_ms < BUSY_MAX_MS && !uv_timer_start(&f->timer, on_timer, BUSY_RETRY_MS, 0);
}

/* false: not now; one of ours will come back, or the timer fire. */
static bool hand_over(struct feed *f)
{
	struct hl_err err = { .code = 0 };
	if (f->n_waiting == BLOCKS_MAX)
		return false;
	int rc = f->kind->apply(f, &err);
	if (rc == HL_ELIMIT && f->kind->check) {
		sift(f);
		if (!f->n)
			return true;
		rc = f->kind->apply(f, &err);
	}
	if (rc == HL_EBUSY && (f->n_waiting || wait_for_others(f)))
		return false;
	if (rc) {
		fail(f, rc, &err);
	} else {
		f->busy_since_ms = 0;
		f->n_waiting++;
		f->accepted += f->n;
	}
	f->n = 0;
	return true;
}

static int check_quote(struct feed *f, size_t i, struct hl_err *err)
{
	return hl_market_check(f->call->api->alerts, &f->quotes[i], err);
}

static int read_quote(struct feed *f, struct hl_reader *r, struct hl_str text)
{
	int rc = hl_market_read_quote(r, f->kind->bids, text, &f->quotes[f->n]);
	return rc ? rc : check_quote(f, f->n, r->err);
}

static int read_item(struct feed *f, struct hl_reader *r, struct hl_str text)
{
	return hl_market_read_item(r, text, &f->items[f->n]);
}

/* ---- entries ------------------------------------------------------------------------------------------------------ */

static void take_entry(struct feed *f, const struct hl_split_entry *e)
{
	struct hl_err err;
	struct hl_reader r = { .arena = &f->arena, .err = &err };
	struct hl_problem p = { .kind = HL_PROBLEM_TOO_LARGE, .detail = HL_STR("a record is at most 65536 bytes") };
	if (!f->n)
		hl_arena_reset(&f->arena);
	if (e->result == HL_SPLIT_ENTRY) {
		err.code = 0;
		err.field[0] = err.text[0] = '\0';
		int rc = f->kind->read(f, &r, e->text);
		if (rc == HL_ENOMEM)
			fail(f, rc, NULL);
		else if (rc)
			reject_error(f, e->line, rc, &err);
		else
			f->lines[f->n++] = e->line;
		return;
	}
	if (e->result == HL_SPLIT_BROKEN) {
		p.kind = HL_PROBLEM_BAD_JSON;
		p.detail = hl_str_from(e->why);
		f->over = true;
		if (e->line == 1)
			f->no_list = e->why;
	}
	reject(f, e->line, &p);
}

/* Takes what there is; true when that was all. */
static bool take_all(struct feed *f)
{
	struct hl_split_entry e;
	while (!f->failed.code) {
		if ((f->n == HL_MARKET_BLOCK_MAX || f->arena.used > TEXT_MAX) && f->n && !hand_over(f))
			return false;
		if (!hl_splitter_next(&f->splitter, &e))
			return true;
		take_entry(f, &e);
	}
	return true;
}

/* ---- the answer --------------------------------------------------------------------------------------------------- */

static void answer(struct hl_call *c, struct feed *f)
{
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "accepted");
	hl_jsonw_u64(&w, f->accepted);
	hl_jsonw_key(&w, "rejected");
	hl_jsonw_u64(&w, f->rejected);
	hl_jsonw_key(&w, "errors");
	hl_jsonw_array_end(&f->errors_writer);
	hl_jsonw_raw(&w, hl_buf_ok(&f->errors) ? hl_buf_all(&f->errors) : HL_STR("[]"));
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

static void finish(struct feed *f)
{
	struct hl_call *c = f->call;
	if (!c->request) {
		hl_call_finish(c, 499);
	} else if (f->failed.code) {
		struct hl_problem p = hl_problem_from(f->failed.code, &f->failed);
		char detail[400];
		snprintf(detail, sizeof(detail), "%.*s; not all of the body was stored, send it again", HL_FMT(hl_problem_detail(&p)));
		p.detail = hl_str_from(detail);
		p.pointer = HL_STR("");
		hl_call_problem(c, &p);
	} else if (f->no_list && !f->accepted) {
		struct hl_problem p = { .kind = HL_PROBLEM_BAD_JSON, .detail = hl_str_from(f->no_list) };
		hl_call_problem(c, &p);
	} else {
		answer(c, f);
	}
	feed_free(f);
}

static void set_paused(struct feed *f, bool paused)
{
	if (paused == f->paused)
		return;
	f->paused = paused;
	if (paused)
		hl_request_pause(f->call->request);
	else
		hl_request_resume(f->call->request);
}

/* Takes and hands over as much as can be now. The only place where a feed ends: f may be gone afterwards. */
static void pump(struct feed *f)
{
	bool all = true;
	if (f->call->request) {
		all = take_all(f);
		if (all && f->n && !f->failed.code && (f->over || !f->n_waiting))
			all = hand_over(f);
		if (f->failed.code)
			f->over = true;
	}
	if (!f->n_waiting && (!f->call->request || (f->over && all)))
		finish(f);
	else if (f->call->request && !f->over)
		set_paused(f, !all);
}

/* ---- the request -------------------------------------------------------------------------------------------------- */

static void on_body(void *data, struct hl_str piece)
{
	struct feed *f = data;
	if (f->over)
		return; /* what follows the end of the list's sense */
	if (hl_splitter_feed(&f->splitter, piece))
		fail(f, HL_ENOMEM, NULL);
	pump(f);
}

static void on_end(void *data)
{
	struct feed *f = data;
	f->over = true;
	hl_splitter_end(&f->splitter);
	pump(f);
}

static void on_writable(void *data)
{
	(void)data; /* nothing is written before the end */
}

static void on_abort(void *data)
{
	pump(data);
}

static void begin(struct hl_call *c, const struct feed_kind *kind)
{
	static const struct hl_stream stream = {
		.on_body = on_body, .on_end = on_end, .on_writable = on_writable, .on_abort = on_abort,
	};
	enum hl_content type = hl_call_content(c);
	if (!hl_query_none(c))
		return;
	if (type == HL_CONTENT_OTHER) {
		hl_call_header(c, "Accept-Post", HL_STR("application/x-ndjson, application/json"));
		hl_call_problem_kind(c, HL_PROBLEM_UNSUPPORTED_MEDIA_TYPE);
		return;
	}
	struct feed *f = malloc(sizeof(*f));
	if (!f) {
		hl_call_fail(c, HL_ENOMEM, NULL);
		return;
	}
	memset(f, 0, offsetof(struct feed, lines));
	f->call = c;
	f->kind = kind;
	hl_arena_init(&f->arena, 0);
	hl_splitter_init(&f->splitter, type == HL_CONTENT_JSON ? HL_SPLIT_LIST : HL_SPLIT_LINES, HL_MARKET_ENTRY_MAX);
	hl_jsonw_init(&f->errors_writer, &f->errors);
	hl_jsonw_array(&f->errors_writer);
	c->stream = &stream;
	c->stream_data = f;
}

void hl_market_stream_items(struct hl_call *c)
{
	static const struct feed_kind kind = { read_item, apply_items, NULL, false };
	begin(c, &kind);
}

void hl_market_stream_asks(struct hl_call *c)
{
	static const struct feed_kind kind = { read_quote, apply_quotes, check_quote, false };
	begin(c, &kind);
}

void hl_market_stream_bids(struct hl_call *c)
{
	static const struct feed_kind kind = { read_quote, apply_quotes, check_quote, true };
	begin(c, &kind);
}
