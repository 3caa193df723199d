/* POST /v1/events/batch: events in, one result line each out, in order, while both directions flow.
 *
 *   body ─► splitter ─► hl_publish ×256 in flight ─► ring of results ─► answer
 *
 * Each entry gets the next place in the ring. Its result is written there when the event is durable (or at once when it is
 * bad), and the front of the ring is sent as far as it is complete. Reading pauses while the ring is full, while 8 MiB of
 * results wait for the client, or while the library says HL_EBUSY; it goes on when any of these ends.
 *
 * Some proxies stop sending a request's body once its answer has begun. They ask for "Hookline-Results: at-end": then the
 * answer begins when the body has been read, or when the results kept for it have grown to the same 8 MiB.
 *
 * Failures: a bad entry is a result like any other. A body that stops being an array ends with one last result. A client
 * that goes away: what was handed over is stored all the same; the batch is freed when the last of it has come back. */
#include "api/auth.h"
#include "api/publish_json.h"
#include "api/query.h"
#include "api/resources.h"
#include "api/splitter.h"
#include "base/check.h"
#include "base/crash.h"
#include "base/defs.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

enum { RING = 256, UNREAD_MAX = 8 << 20 };

enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_DONE };

struct slot {
	struct batch *batch;
	enum slot_state state;
	uint64_t line;
	struct hl_buf result;   /* one line, kept for reuse */
};

struct batch {
	struct hl_call *call;
	struct hl_splitter splitter;
	struct hl_arena arena;  /* of the entry being read */
	struct hl_buf out;      /* results on their way to the answer */
	uint64_t lines;         /* entries taken */
	size_t head, n;         /* the ring: oldest place, places taken */
	size_t n_waiting;
	bool over;              /* the body has ended, or stopped making sense */
	bool at_end;            /* results wait in out until the body is over */
	bool begun;             /* the answer's head is on its way */
	bool paused;
	struct slot ring[RING];
};

static void batch_free(struct batch *b)
{
	hl_splitter_fini(&b->splitter);
	hl_arena_fini(&b->arena);
	hl_buf_fini(&b->out);
	for (size_t i = 0; i < RING; i++)
		hl_buf_fini(&b->ring[i].result);
	free(b);
}

/* ---- results ------------------------------------------------------------------------------------------------------ */

static struct slot *slot_take(struct batch *b)
{
	HL_CHECK(b->n < RING);
	struct slot *s = &b->ring[(b->head + b->n++) % RING];
	HL_CHECK(s->state == SLOT_FREE);
	s->batch = b;
	s->line = b->lines;
	s->state = SLOT_WAITING;
	b->n_waiting++;
	return s;
}

static void slot_open(struct slot *s, struct hl_jsonw *w, unsigned status)
{
	hl_buf_reset(&s->result);
	hl_jsonw_init(w, &s->result);
	hl_jsonw_object(w);
	hl_jsonw_key(w, "line");
	hl_jsonw_u64(w, s->line);
	hl_jsonw_key(w, "status");
	hl_jsonw_u64(w, status);
}

static void slot_close(struct slot *s, struct hl_jsonw *w)
{
	hl_jsonw_object_end(w);
	hl_buf_char(&s->result, '\n');
	s->state = SLOT_DONE;
	s->batch->n_waiting--;
}

static void slot_problem(struct slot *s, const struct hl_problem *p)
{
	struct hl_jsonw w;
	slot_open(s, &w, hl_problem_status(p));
	hl_problem_members(&w, p);
	slot_close(s, &w);
}

static void slot_fail(struct slot *s, int code, const struct hl_err *err)
{
	struct hl_problem p = hl_problem_from(code, err);
	slot_problem(s, &p);
}

static void send_results(struct batch *b)
{
	if (!b->call->request || (b->at_end && !b->over && b->out.len < UNREAD_MAX))
		return;
	if (!b->begun)
		hl_call_begin(b->call, 202, "application/x-ndjson");
	b->begun = true;
	if (b->out.len && hl_buf_ok(&b->out))
		hl_response_write(b->call->request, hl_buf_all(&b->out));
	hl_buf_reset(&b->out);
}

/* Sends what is complete at the front of the ring. */
static void flush(struct batch *b)
{
	while (b->n && b->ring[b->head].state == SLOT_DONE) {
		struct slot *s = &b->ring[b->head];
		/* No memory for a result: it is left out, which means "not known" to the client. */
		if (hl_buf_ok(&s->result))
			hl_buf_str(&b->out, hl_buf_all(&s->result));
		s->state = SLOT_FREE;
		b->head = (b->head + 1) % RING;
		b->n--;
	}
	send_results(b);
}

/* ---- entries ------------------------------------------------------------------------------------------------------ */

static void pump(struct batch *b);

static void published(void *data, int status, const struct hl_published *p)
{
	struct slot *s = data;
	struct batch *b = s->batch;
	struct hl_jsonw w;
	struct hl_err err;
	if (status) {
		slot_fail(s, status, hl_published_error(status, p, &err));
	} else {
		slot_open(s, &w, 202);
		hl_published_members(&w, p);
		slot_close(s, &w);
		HL_CRASH_POINT(BATCH_RESULT);
	}
	pump(b);
}

enum taken {
	TAKEN,      /* one entry more is in the ring */
	TAKEN_ALL,  /* what was fed so far is used up */
	TAKEN_NOT,  /* the library is busy; something of ours will come back and the entry be tried again */
};

static enum taken publish(struct batch *b, struct hl_str text)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = { .arena = &b->arena, .err = &err };
	struct hl_webhook_scope scope = { .api = b->call->api, .account = b->call->account };
	struct hl_publish p;
	bool alone = b->n_waiting == 0;
	hl_arena_reset(&b->arena);
	int rc = hl_publish_read(&r, &scope, text, &p);
	struct slot *s = slot_take(b);
	if (!rc)
		rc = hl_publish(b->call->api->dispatcher, b->call->account, &p, published, s, &err);
	if (rc == HL_EBUSY && !alone) {
		s->state = SLOT_FREE;
		b->n--;
		b->n_waiting--;
		return TAKEN_NOT;
	}
	if (rc)
		slot_fail(s, rc, &err);
	return TAKEN;
}

static enum taken take_entry(struct batch *b)
{
	char too_large[80];
	snprintf(too_large, sizeof(too_large), "the event is larger than %u bytes (limits.body_max)", b->call->api->body_max);
	struct hl_problem p = { .kind = HL_PROBLEM_TOO_LARGE, .detail = hl_str_from(too_large) };
	struct hl_split_entry e;
	if (!hl_splitter_next(&b->splitter, &e))
		return TAKEN_ALL;
	b->lines++;
	if (e.result == HL_SPLIT_ENTRY) {
		enum taken t = publish(b, e.text);
		if (t == TAKEN_NOT) {
			b->lines--;
			hl_splitter_back(&b->splitter);
		}
		return t;
	}
	if (e.result == HL_SPLIT_BROKEN) {
		p.kind = HL_PROBLEM_BAD_JSON;
		p.detail = hl_str_from(e.why);
		b->over = true;
	}
	slot_problem(slot_take(b), &p);
	return TAKEN;
}

static bool blocked(const struct batch *b)
{
	return b->n == RING || hl_response_unwritten(b->call->request) > UNREAD_MAX;
}

static void finish(struct batch *b)
{
	struct hl_call *c = b->call;
	batch_free(b);
	if (c->request) {
		hl_response_end(c->request);
		hl_call_finish(c, 202);
	} else {
		hl_call_finish(c, 499);
	}
}

static void set_paused(struct batch *b, bool paused)
{
	if (paused == b->paused)
		return;
	b->paused = paused;
	if (paused)
		hl_request_pause(b->call->request);
	else
		hl_request_resume(b->call->request);
}

/* Takes and answers as much as can be now. The only place where a batch ends: b may be gone afterwards. */
static void pump(struct batch *b)
{
	enum taken t = TAKEN;
	flush(b);
	while (b->call->request && !blocked(b) && t == TAKEN) {
		t = take_entry(b);
		if (b->n == RING)
			flush(b);
	}
	flush(b);
	if (!b->call->request ? b->n_waiting == 0 : t == TAKEN_ALL && b->over && b->n == 0)
		finish(b);
	else if (b->call->request && !b->over)
		set_paused(b, t != TAKEN_ALL);
}

/* ---- the request -------------------------------------------------------------------------------------------------- */

static void on_body(void *data, struct hl_str piece)
{
	struct batch *b = data;
	struct hl_problem p = { .kind = HL_PROBLEM_BUSY, .detail = HL_STR("no memory for the rest of the batch") };
	if (b->over)
		return; /* what follows the end of the array's sense */
	if (b->n < RING && hl_splitter_feed(&b->splitter, piece)) {
		b->over = true;
		b->lines++;
		slot_problem(slot_take(b), &p);
	}
	pump(b);
}

static void on_end(void *data)
{
	struct batch *b = data;
	b->over = true;
	hl_splitter_end(&b->splitter);
	pump(b);
}

static void on_writable(void *data)
{
	pump(data);
}

static void on_abort(void *data)
{
	struct batch *b = data;
	if (b->n_waiting == 0)
		finish(b);
}

static bool wants_results_at_end(const struct hl_request *r)
{
	struct hl_str when;
	return hl_headers_get(r->headers, HL_STR("hookline-results"), &when) && hl_str_ieq(when, HL_STR("at-end"));
}

static void batch(struct hl_call *c)
{
	static const struct hl_stream stream = {
		.on_body = on_body, .on_end = on_end, .on_writable = on_writable, .on_abort = on_abort,
	};
	enum hl_content type = hl_call_content(c);
	if (!hl_query_none(c))
		return;
	if (!hl_auth_tier(c)->batch) {
		hl_call_problem_kind(c, HL_PROBLEM_NOT_IN_TIER);
		return;
	}
	if (type == HL_CONTENT_OTHER) {
		hl_call_header(c, "Accept-Post", HL_STR("application/x-ndjson, application/json"));
		hl_call_problem_kind(c, HL_PROBLEM_UNSUPPORTED_MEDIA_TYPE);
		return;
	}
	struct batch *b = calloc(1, sizeof(*b));
	if (!b) {
		hl_call_fail(c, HL_ENOMEM, NULL);
		return;
	}
	b->call = c;
	hl_arena_init(&b->arena, 0);
	hl_splitter_init(&b->splitter, type == HL_CONTENT_JSON ? HL_SPLIT_ARRAY : HL_SPLIT_LINES, c->api->body_max);
	c->stream = &stream;
	c->stream_data = b;
	b->at_end = wants_results_at_end(c->request);
	send_results(b);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_POST, "/events/batch", HL_SCOPE_PUBLISH, HL_ROUTE_STREAM, batch },
};
const struct hl_routes hl_routes_batch = { routes, HL_ARRAY_LEN(routes) };
