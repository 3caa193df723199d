/* Errands of the fixture: what most tests do in the same words, over the public calls only. */
#include "fixture.h"

#include "dispatch/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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

/* ---- the log of requests ---- */

size_t fx_count(const struct fx *f, const char *url_prefix)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n_requests; i++)
		n += strncmp(f->requests[i].url, url_prefix, strlen(url_prefix)) == 0;
	return n;
}

const struct fx_request *fx_last(const struct fx *f, const char *url_prefix)
{
	for (size_t i = f->n_requests; i > 0; i--) {
		if (strncmp(f->requests[i - 1].url, url_prefix, strlen(url_prefix)) == 0)
			return &f->requests[i - 1];
	}
	return NULL;
}

void fx_forget(struct fx *f)
{
	for (size_t i = 0; i < f->n_requests; i++) {
		free(f->requests[i].url);
		free(f->requests[i].fields);
		free(f->requests[i].body);
	}
	f->n_requests = 0;
}

const char *fx_header(const struct fx_request *r, const char *name)
{
	static char value[1024];
	struct hl_str rest = hl_str_from(r->fields);
	value[0] = '\0';
	while (rest.len) {
		struct hl_str line = hl_str_split(&rest, '\n');
		struct hl_str field = hl_str_split(&line, ':');
		if (hl_str_ieq(field, hl_str_from(name)) && line.ptr) {
			line = hl_str_trim(line);
			snprintf(value, sizeof(value), "%.*s", HL_FMT(line));
		}
	}
	return value;
}

/* ---- errands ---- */

static void note(struct fx_result *r, int status, const struct hl_err *err)
{
	if (r->called)
		die("a callback ran twice");
	r->called = true;
	r->status = status;
	if (err)
		r->err = *err;
}

void fx_on_webhook(void *data, int status, const struct hl_err *err, const struct hl_webhook_result *w)
{
	struct fx_result *r = data;
	note(r, status, err);
	if (status)
		return;
	r->number = w->webhook ? w->webhook->number : 0;
	r->replayed = w->replayed;
	snprintf(r->secret, sizeof(r->secret), "%.*s", HL_FMT(w->secret));
	snprintf(r->answer, sizeof(r->answer), "%.*s", HL_FMT(w->answer));
}

void fx_on_publish(void *data, int status, const struct hl_published *p)
{
	struct fx_result *r = data;
	note(r, status, NULL);
	if (status)
		return;
	r->number = p->event;
	r->n_deliveries = p->n_deliveries;
	r->replayed = p->replayed;
	snprintf(r->answer, sizeof(r->answer), "%.*s", HL_FMT(p->answer));
}

void fx_on_delivery(void *data, int status, const struct hl_err *err, const struct hl_delivery *v)
{
	struct fx_result *r = data;
	note(r, status, err);
	if (v)
		r->number = v->number;
}

void fx_on_attempt(void *data, int status, const struct hl_delivery *v, const struct hl_attempt *a)
{
	struct fx_result *r = data;
	note(r, status, NULL);
	if (v)
		r->number = v->number;
	if (a) {
		r->attempt = *a;
		r->attempt.error = r->attempt.response_body = r->attempt.address = r->attempt.tls = HL_STR_NONE;
	}
}

void fx_on_count(void *data, int status, uint64_t n)
{
	struct fx_result *r = data;
	note(r, status, NULL);
	r->number = n;
}

void fx_on_done(void *data, int status, const struct hl_err *err)
{
	note(data, status, err);
}

uint32_t fx_webhook_make(struct fx *f, const struct hl_webhook *w)
{
	struct hl_webhook copy = *w;
	struct fx_result r = { 0 };
	struct hl_err err = { 0 };
	if (!copy.account)
		copy.account = HL_ACCOUNT_DEFAULT;
	int rc = hl_webhook_create(f->d, &copy, HL_STR_NONE, 0, NULL, fx_on_webhook, &r, &err);
	fx_pump(f);
	if (rc || !r.called || r.status)
		die("create webhook: %s %s %s", hl_errname(rc ? rc : r.status), err.field, err.text);
	return (uint32_t)r.number;
}

uint32_t fx_webhook(struct fx *f, const char *url)
{
	return fx_webhook_make(f, &(struct hl_webhook){ .url = hl_str_from(url) });
}

void fx_webhook_state(struct fx *f, uint32_t webhook, enum hl_webhook_state state)
{
	struct hl_webhook w = { .state = state };
	struct fx_result r = { 0 };
	struct hl_err err = { 0 };
	if (state == HL_WEBHOOK_DISABLED)
		w.reason = HL_STR("by test");
	int rc = hl_webhook_update(f->d, HL_ACCOUNT_DEFAULT, webhook, HL_WF_STATE, &w, fx_on_webhook, &r, &err);
	fx_pump(f);
	if (rc || !r.called || r.status)
		die("update webhook: %s %s %s", hl_errname(rc ? rc : r.status), err.field, err.text);
}

void fx_publish_begin(struct fx *f, uint32_t account, const struct hl_publish *p, struct fx_result *out)
{
	struct hl_err err = { 0 };
	*out = (struct fx_result){ 0 };
	int rc = hl_publish(f->d, account, p, fx_on_publish, out, &err);
	if (rc) {
		out->called = true;
		out->status = rc;
		out->err = err;
	}
}

struct fx_result fx_publish_as(struct fx *f, uint32_t account, const struct hl_publish *p)
{
	struct fx_result r;
	fx_publish_begin(f, account, p, &r);
	fx_pump(f);
	if (!r.called)
		die("a publish was not answered");
	return r;
}

uint64_t fx_publish(struct fx *f, const char *type, const char *data)
{
	struct fx_result r = fx_publish_as(f, HL_ACCOUNT_DEFAULT,
			&(struct hl_publish){ .type = hl_str_from(type), .data = hl_str_from(data) });
	if (r.status)
		die("publish: %s %s %s", hl_errname(r.status), r.err.field, r.err.text);
	return r.number;
}

struct hl_delivery fx_delivery(struct fx *f, uint64_t number)
{
	struct hl_delivery v;
	int rc = hl_delivery_get(f->d, HL_ACCOUNT_DEFAULT, number, &v);
	if (rc)
		die("delivery %llu: %s", (unsigned long long)number, hl_errname(rc));
	v.event_type = v.last_error = HL_STR_NONE;
	hl_engine_turn_end(f->d);
	return v;
}
