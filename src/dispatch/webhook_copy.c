/* What create and update share before anything is stored. */
#include "dispatch/webhook_copy.h"

#include "base/err.h"
#include "net/egress.h"
#include <stdio.h>

static bool dup_str(struct hl_arena *a, struct hl_str *s)
{
	if (s->len == 0) {
		*s = HL_STR("");
		return true;
	}
	*s = hl_arena_dup(a, *s);
	return s->ptr != NULL;
}

static bool dup_types(struct hl_arena *a, struct hl_webhook *w)
{
	struct hl_str *v = HL_ARENA_ARRAY(a, struct hl_str, w->n_event_types + 1);
	bool ok = v != NULL;
	for (size_t i = 0; ok && i < w->n_event_types; i++) {
		v[i] = w->event_types[i];
		ok = dup_str(a, &v[i]);
	}
	w->event_types = v;
	return ok;
}

static bool dup_headers(struct hl_arena *a, struct hl_webhook *w)
{
	struct hl_header *v = HL_ARENA_ARRAY(a, struct hl_header, w->n_headers + 1);
	bool ok = v != NULL;
	for (size_t i = 0; ok && i < w->n_headers; i++) {
		v[i] = w->headers[i];
		ok = dup_str(a, &v[i].name) && dup_str(a, &v[i].value);
	}
	w->headers = v;
	return ok;
}

int hl_webhook_dup(struct hl_arena *a, const struct hl_webhook *w, struct hl_webhook *out)
{
	*out = *w;
	bool ok = dup_str(a, &out->name) && dup_str(a, &out->description) && dup_str(a, &out->url) &&
			dup_str(a, &out->reason) && dup_str(a, &out->metadata) && dup_str(a, &out->last_failure_message);
	return ok && dup_types(a, out) && dup_headers(a, out) ? 0 : HL_ENOMEM;
}

void hl_webhook_merge(struct hl_webhook *w, uint32_t fields, const struct hl_webhook *v)
{
	if (fields & HL_WF_NAME)
		w->name = v->name;
	if (fields & HL_WF_DESCRIPTION)
		w->description = v->description;
	if (fields & HL_WF_URL)
		w->url = v->url;
	if (fields & HL_WF_FORMAT)
		w->format = v->format;
	if (fields & HL_WF_EVENT_TYPES) {
		w->event_types = v->event_types;
		w->n_event_types = v->n_event_types;
	}
	if (fields & HL_WF_SERVER)
		w->server = v->server;
	if (fields & HL_WF_STATE) {
		w->state = v->state;
		w->reason = v->state == HL_WEBHOOK_DISABLED ? v->reason : HL_STR("");
	}
	if (fields & HL_WF_HEADERS) {
		w->headers = v->headers;
		w->n_headers = v->n_headers;
	}
	if (fields & HL_WF_TIMEOUT)
		w->timeout_ms = v->timeout_ms;
	if (fields & HL_WF_RATE_LIMIT)
		w->rate_limit = v->rate_limit;
	if (fields & HL_WF_MAX_IN_FLIGHT)
		w->max_in_flight = v->max_in_flight;
	if (fields & HL_WF_RETRY)
		w->retry = v->retry;
	if (fields & HL_WF_WINDOW)
		w->window_s = v->window_s;
	if (fields & HL_WF_METADATA)
		w->metadata = v->metadata;
}

int hl_webhook_judge_url(const struct hl_egress *egress, struct hl_arena *a, struct hl_webhook *w, struct hl_err *err)
{
	struct hl_url url;
	const char *reason = "";
	int rc = hl_url_parse(w->url, a, &url, err);
	if (rc) {
		if (err)
			snprintf(err->field, sizeof(err->field), "/url");
		return rc;
	}
	if (w->https_only && !url.https)
		return hl_err_field(err, HL_EURL, "/url", "the URL must begin with https://");
	if (egress) {
		if (hl_egress_judge_port(egress, url.https, url.port, &reason))
			return hl_err_field(err, HL_EURL, "/url", "%s (see egress.ports, egress.allow_http)", reason);
		rc = hl_egress_judge_host(egress, url.host, url.port, &reason);
		if (rc)
			return hl_err_field(err, rc, "/url", "%.120s: %s (see egress.allow_networks, egress.allow_hosts)", url.host.ptr,
					reason);
	}
	w->url = url.text;
	if (w->name.len == 0)
		w->name = hl_str_make(url.host.ptr, HL_MIN(url.host.len, (size_t)HL_NAME_MAX));
	return 0;
}
