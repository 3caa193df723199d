/* The door out of a call: status and body go to the client if there still is one, the access line is written, the counters
 * go up, the call is freed. */
#include "api/call.h"

#include "base/check.h"
#include "base/str.h"

#include <stdlib.h>

/* ---- headers of the answer ---------------------------------------------------------------------------------------- */

/* Values are kept as offsets until the answer is sent, because the buffer may move: len counts from ptr = offset. */
void hl_call_header(struct hl_call *c, const char *name, struct hl_str value)
{
	if (c->n_headers == HL_CALL_HEADERS_MAX)
		HL_NEVER("more header fields than a call may send");
	size_t at = c->header_text.len;
	hl_buf_str(&c->header_text, value);
	hl_buf_char(&c->header_text, '\0');
	if (!hl_buf_ok(&c->header_text))
		return; /* out of memory: the answer goes without it */
	c->headers[c->n_headers++] = (struct hl_header){
		.name = hl_str_from(name), .value = { (const char *)(uintptr_t)at, value.len },
	};
}

void hl_call_header_fmt(struct hl_call *c, const char *name, const char *fmt, ...)
{
	struct hl_buf text = { .data = NULL };
	va_list ap;
	va_start(ap, fmt);
	hl_buf_vfmt(&text, fmt, ap);
	va_end(ap);
	if (hl_buf_ok(&text))
		hl_call_header(c, name, hl_buf_all(&text));
	hl_buf_fini(&text);
}

static void settle_headers(struct hl_call *c)
{
	for (size_t i = 0; i < c->n_headers; i++)
		c->headers[i].value.ptr = c->header_text.data + (uintptr_t)c->headers[i].value.ptr;
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

static void count(struct hl_api *api, size_t route_index, unsigned status, double s)
{
	struct hl_route_count *k = &api->counts[route_index < api->n_routes ? route_index : api->n_routes];
	for (size_t i = 0; i < HL_API_CODES_MAX; i++)
		if (k->status[i] == status || !k->status[i]) {
			k->status[i] = (uint16_t)status;
			k->n[i]++;
			break;
		}
	size_t bucket = 0;
	for (double bound = 0.0005; bucket < HL_HISTOGRAM_BUCKETS - 1 && s > bound; bound *= 2)
		bucket++;
	api->durations.buckets[bucket]++;
	api->durations.count++;
	api->durations.sum_s += s;
}

void hl_call_finish(struct hl_call *c, unsigned status)
{
	struct hl_api *api = c->api;
	if (c->answer)
		hl_answer_abandon(c->answer);
	double s = (double)(uv_hrtime() - c->started_ns) / 1e9;
	count(api, c->route_index, status, s);
	if (hl_log_on(api->log, HL_LOG_DEBUG))
		hl_log(api->log, HL_LOG_DEBUG, "http.request", "method=%s route=%s%s status=%u ms=%.3f key=%u account=%u%s",
				hl_method_name(c->method), c->route ? c->mount->prefixes[0] : "none", c->route ? c->route->pattern : "",
				status, s * 1e3, c->key, c->account, c->request ? "" : " gone=1");
	hl_buf_fini(&c->out);
	hl_buf_fini(&c->header_text);
	free(c);
	api->n_calls--;
}

void hl_call_begin(struct hl_call *c, unsigned status, const char *content_type)
{
	hl_call_header(c, "Content-Type", hl_str_from(content_type));
	settle_headers(c);
	hl_response_begin(c->request, status, c->headers, c->n_headers);
}

/* To the client, if there still is one; returns the status it got. */
static unsigned respond(struct hl_call *c, unsigned status, const char *content_type)
{
	if (!c->request)
		return status;
	if (!hl_buf_ok(&c->out)) {
		/* No memory for the answer that was wanted; a short one needs less. */
		hl_buf_fini(&c->out);
		hl_buf_init(&c->out);
		status = 503;
		content_type = NULL;
	}
	if (content_type)
		hl_call_header(c, "Content-Type", hl_str_from(content_type));
	settle_headers(c);
	hl_response_send(c->request, status, c->headers, c->n_headers, hl_buf_all(&c->out));
	return status;
}

void hl_call_send_as(struct hl_call *c, unsigned status, const char *content_type)
{
	hl_call_finish(c, respond(c, status, content_type));
}

void hl_call_send(struct hl_call *c, unsigned status)
{
	hl_call_send_as(c, status, "application/json");
}

void hl_call_send_empty(struct hl_call *c, unsigned status)
{
	hl_buf_reset(&c->out);
	hl_call_send_as(c, status, NULL);
}

void hl_call_replay(struct hl_call *c, unsigned status, struct hl_str answer)
{
	hl_buf_reset(&c->out);
	hl_buf_str(&c->out, answer);
	hl_call_header(c, "Idempotent-Replayed", HL_STR("true"));
	hl_call_send(c, status);
}

static unsigned respond_problem(struct hl_call *c, const struct hl_problem *p)
{
	unsigned retry_s = hl_problem_retry_s(p->kind);
	const char *type = c->mount ? c->mount->error_type : "application/problem+json";
	hl_buf_reset(&c->out);
	if (retry_s && p->kind != HL_PROBLEM_RATE_LIMITED) /* that one told the exact time already */
		hl_call_header_fmt(c, "Retry-After", "%u", retry_s);
	unsigned status = c->mount ? c->mount->write_error(c, p) : hl_call_write_problem(c, p);
	if (status == 401)
		hl_call_header(c, "WWW-Authenticate", c->mount && !(c->mount->credentials & HL_CREDENTIAL_BEARER) ?
				HL_STR("ApiKey realm=\"hookline\"") : HL_STR("Bearer realm=\"hookline\""));
	return respond(c, status, type ? type : "application/json");
}

void hl_call_problem(struct hl_call *c, const struct hl_problem *p)
{
	hl_call_finish(c, respond_problem(c, p));
}

void hl_call_part(struct hl_call *c, const struct hl_problem *p)
{
	respond_problem(c, p);
	c->request = NULL;
}

unsigned hl_call_write_problem(struct hl_call *c, const struct hl_problem *p)
{
	hl_problem_write(&c->out, p);
	return hl_problem_status(p);
}

void hl_call_problem_kind(struct hl_call *c, enum hl_problem_kind kind)
{
	struct hl_problem p = { .kind = kind };
	hl_call_problem(c, &p);
}

void hl_call_bad_parameter(struct hl_call *c, const char *name, const char *fmt, ...)
{
	struct hl_buf text = { .data = NULL };
	va_list ap;
	hl_buf_fmt(&text, "%s: ", name);
	va_start(ap, fmt);
	hl_buf_vfmt(&text, fmt, ap);
	va_end(ap);
	struct hl_problem p = {
		.kind = HL_PROBLEM_BAD_PARAMETER, .extra_name = "parameter", .extra = hl_str_from(name),
	};
	if (hl_buf_ok(&text))
		p.detail = hl_buf_all(&text);
	hl_call_problem(c, &p);
	hl_buf_fini(&text);
}

/* Which rule refuses an address is for operators: told to everybody it would map the network around us. */
static void hide_rule(struct hl_call *c, struct hl_problem *p)
{
	char text[300];
	if (p->kind != HL_PROBLEM_ADDRESS_BLOCKED)
		return;
	hl_log(c->api->log, HL_LOG_WARN, "http.blocked", "route=%s%s account=%u text=%s", c->mount->prefixes[0], c->route->pattern,
			c->account, hl_log_quote(p->detail, text, sizeof(text)));
	if (!(c->scopes & HL_SCOPE_ADMIN))
		p->detail = HL_STR("");
}

void hl_call_fail(struct hl_call *c, int code, const struct hl_err *err)
{
	struct hl_problem p = hl_problem_from(code, err);
	hide_rule(c, &p);
	if (p.kind == HL_PROBLEM_INTERNAL) {
		char text[300];
		hl_log(c->api->log, HL_LOG_ERROR, "http.internal", "route=%s%s error=%s text=%s",
				c->route ? c->mount->prefixes[0] : "none", c->route ? c->route->pattern : "", hl_errname(code),
				hl_log_quote(hl_str_from(err ? err->text : ""), text, sizeof(text)));
	}
	hl_call_problem(c, &p);
}

enum hl_content hl_call_content(const struct hl_call *c)
{
	const struct hl_headers *h = c->request->headers;
	struct hl_str type;
	if (hl_headers_count(h, HL_STR("content-type")) != 1 || !hl_headers_get(h, HL_STR("content-type"), &type))
		return HL_CONTENT_OTHER;
	type = hl_str_trim(hl_str_split(&type, ';'));
	if (hl_str_ieq(type, HL_STR("application/json")))
		return HL_CONTENT_JSON;
	if (hl_str_ieq(type, HL_STR("application/x-ndjson")) || hl_str_ieq(type, HL_STR("application/ndjson")) ||
			hl_str_ieq(type, HL_STR("application/jsonl")))
		return HL_CONTENT_NDJSON;
	return HL_CONTENT_OTHER;
}

/* ---- on the way --------------------------------------------------------------------------------------------------- */

void hl_call_route_name(const struct hl_mount *m, const struct hl_route *r, struct hl_buf *out)
{
	hl_buf_cstr(out, m->prefixes[0]);
	hl_buf_cstr(out, r->pattern);
}

void hl_call_writer(struct hl_call *c, struct hl_jsonw *w)
{
	hl_buf_reset(&c->out);
	hl_jsonw_init(w, &c->out);
}

struct hl_reader hl_call_reader(struct hl_call *c, struct hl_err *err)
{
	bool lenient = (c->mount->flags & HL_MOUNT_LENIENT) != 0;
	return (struct hl_reader){ .arena = c->request->arena, .err = err, .lenient = lenient };
}

const struct hl_idempotency *hl_call_expect(struct hl_call *c, unsigned success, hl_write write)
{
	c->success = success;
	c->write = write;
	c->idem.render = write;
	c->idem.data = c;
	return c->once ? &c->idem : NULL;
}

bool hl_call_hold(struct hl_call *c)
{
	struct hl_buf before = { .data = NULL };
	if (!c->once)
		return true;
	int rc = hl_answer_begin(c->api->service, c->account, &c->idem, &before, &c->answer);
	if (rc == HL_EEXIST)
		hl_call_replay(c, 200, hl_buf_all(&before));
	else if (rc == HL_EBUSY)
		hl_call_problem_kind(c, HL_PROBLEM_IDEMPOTENCY_IN_PROGRESS);
	else if (rc)
		hl_call_fail(c, rc, NULL);
	hl_buf_fini(&before);
	return !rc;
}

static void kept(void *data, int status, const struct hl_err *err, const struct hl_change_result *r)
{
	struct hl_call *c = data;
	(void)err;
	(void)r;
	if (status)
		hl_log(c->api->log, HL_LOG_WARN, "http.answer_not_kept", "route=%s%s error=%s", c->mount->prefixes[0],
				c->route->pattern, hl_errname(status));
	hl_call_send(c, 200); /* the work was done: the client must know, kept or not */
}

void hl_call_send_held(struct hl_call *c)
{
	struct hl_answer *held = c->answer;
	c->answer = NULL;
	if (!held || hl_answer_keep(held, hl_buf_all(&c->out), kept, c))
		hl_call_send(c, 200);
}

static void answer_change(struct hl_call *c, int status, const struct hl_err *err, const void *object, struct hl_str secret,
		bool replayed, struct hl_str answer)
{
	if (status)
		hl_call_fail(c, status, err);
	else if (replayed)
		hl_call_replay(c, c->success, answer);
	else if (!c->write)
		hl_call_send_empty(c, c->success);
	else if (!object) /* changed, and gone again before it could be read */
		hl_call_fail(c, HL_ENOTFOUND, NULL);
	else {
		/* With an idempotency key c->out holds the answer already: the bytes that were kept. */
		if (!c->once)
			c->write(c, object, secret);
		hl_call_send(c, c->success);
	}
}

void hl_call_changed(void *call, int status, const struct hl_err *err, const struct hl_change_result *r)
{
	answer_change(call, status, err, r ? r->object : NULL, r ? r->secret : HL_STR(""), r && r->replayed,
			r ? r->answer : HL_STR(""));
}

void hl_call_webhook_changed(void *call, int status, const struct hl_err *err, const struct hl_webhook_result *r)
{
	answer_change(call, status, err, r ? r->webhook : NULL, r ? r->secret : HL_STR(""), r && r->replayed,
			r ? r->answer : HL_STR(""));
}

bool hl_call_id(struct hl_call *c, size_t i, enum hl_id_kind kind, uint64_t *out_number)
{
	HL_CHECK(i < c->n_params);
	if (!hl_id_parse(c->api->dispatcher, kind, c->params[i], out_number))
		return true;
	hl_call_problem_kind(c, HL_PROBLEM_NOT_FOUND);
	return false;
}
