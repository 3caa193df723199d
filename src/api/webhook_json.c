/* The table of webhook members. Each row knows the member's name, the JSON types it takes (null where the member is
 * nullable), the bit of enum hl_webhook_field, how to read it and how to write it. Rules that need more than the member
 * itself (URLs, headers, lengths) are the library's and come back from it with the same pointers. */
#include "api/webhook_json.h"

#include "base/check.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

struct input {
	struct hl_reader *r;
	const struct hl_webhook_scope *scope;
	struct hl_webhook *w;
};

/* ---- server ids --------------------------------------------------------------------------------------------------- */

int hl_server_id_read(struct hl_reader *r, const struct hl_webhook_scope *scope, const struct hl_json_field *f,
		uint64_t *out_number)
{
	struct hl_str text;
	struct hl_subject server;
	uint64_t number = 0;
	if (!f->seen)
		return HL_OK;
	int rc = hl_read_text(r, f, HL_ID_LEN, &text);
	if (rc)
		return rc;
	if (f->value.type != HL_JSON_NULL && (hl_id_parse(scope->api->dispatcher, HL_ID_SERVER, text, &number) ||
			hl_subject_get(scope->api->service, scope->account, number, &server)))
		return hl_read_fail(r, f, "is not the id of a server of this account");
	*out_number = number;
	return HL_OK;
}

void hl_server_id_write(struct hl_jsonw *w, const struct hl_webhook_scope *scope, uint64_t number)
{
	struct hl_subject server;
	char id[HL_ID_CAP];
	if (!number || hl_subject_get(scope->api->service, scope->account, number, &server)) {
		hl_jsonw_null(w);
		return;
	}
	hl_id_format(scope->api->dispatcher, HL_ID_SERVER, number, server.created_at_ms, id);
	hl_jsonw_cstr(w, id);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int read_name(struct input *in, const struct hl_json_field *f)
{
	return hl_read_text(in->r, f, HL_NAME_MAX, &in->w->name);
}

static int read_description(struct input *in, const struct hl_json_field *f)
{
	return hl_read_text(in->r, f, HL_DESCRIPTION_MAX, &in->w->description);
}

static int read_url(struct input *in, const struct hl_json_field *f)
{
	return hl_read_text(in->r, f, HL_URL_MAX, &in->w->url);
}

static int read_format(struct input *in, const struct hl_json_field *f)
{
	int v = HL_FORMAT_STANDARD;
	int rc = hl_read_name(in->r, f, hl_format_parse, "standard, discord, telegram, google_sheets", &v);
	in->w->format = (enum hl_format)v;
	return rc;
}

static int read_event_types(struct input *in, const struct hl_json_field *f)
{
	struct hl_json_iter it = { .at = NULL };
	in->w->event_types = NULL;
	in->w->n_event_types = 0;
	if (f->value.type == HL_JSON_NULL)
		return HL_OK;
	struct hl_str *types = HL_ARENA_ARRAY(in->r->arena, struct hl_str, HL_EVENT_TYPES_MAX);
	if (!types)
		return hl_err_set(in->r->err, HL_ENOMEM, "no memory for the request");
	size_t n = 0;
	for (hl_json_each(&it, f->value); hl_json_next(&it); n++) {
		if (n == HL_EVENT_TYPES_MAX)
			return hl_read_fail(in->r, f, "must not have more than %d entries", HL_EVENT_TYPES_MAX);
		if (it.value.type != HL_JSON_STRING || hl_json_string(in->r->arena, it.value, false, &types[n]) ||
				!hl_word_valid(types[n], HL_EVENT_TYPE_MAX))
			return hl_read_fail(in->r, f, "entry %zu must be 1 to %d of A-Z a-z 0-9 _ . -", n, HL_EVENT_TYPE_MAX);
	}
	in->w->event_types = types;
	in->w->n_event_types = n;
	return HL_OK;
}

static int read_server(struct input *in, const struct hl_json_field *f)
{
	return hl_server_id_read(in->r, in->scope, f, &in->w->server);
}

static int read_enabled(struct input *in, const struct hl_json_field *f)
{
	bool on = true;
	int rc = hl_read_bool(in->r, f, &on);
	in->w->state = on ? HL_WEBHOOK_ENABLED : HL_WEBHOOK_PAUSED;
	return rc;
}

static int read_headers(struct input *in, const struct hl_json_field *f)
{
	struct hl_json_iter it = { .at = NULL };
	in->w->headers = NULL;
	in->w->n_headers = 0;
	if (f->value.type == HL_JSON_NULL)
		return HL_OK;
	struct hl_header *headers = HL_ARENA_ARRAY(in->r->arena, struct hl_header, HL_HEADERS_MAX);
	if (!headers)
		return hl_err_set(in->r->err, HL_ENOMEM, "no memory for the request");
	size_t n = 0;
	for (hl_json_each(&it, f->value); hl_json_next(&it); n++) {
		if (n == HL_HEADERS_MAX)
			return hl_read_fail(in->r, f, "must not have more than %d members", HL_HEADERS_MAX);
		struct hl_json name = { .type = HL_JSON_STRING, .raw = { it.key.ptr - 1, it.key.len + 2 } };
		if (it.value.type != HL_JSON_STRING || hl_json_string(in->r->arena, name, false, &headers[n].name) ||
				hl_json_string(in->r->arena, it.value, false, &headers[n].value))
			return hl_read_fail(in->r, f, "must map names to strings");
		for (size_t i = 0; i < n; i++)
			if (hl_str_ieq(headers[i].name, headers[n].name))
				return hl_read_fail(in->r, f, "names the same field twice");
	}
	in->w->headers = headers;
	in->w->n_headers = n;
	return HL_OK;
}

static int read_timeout(struct input *in, const struct hl_json_field *f)
{
	return hl_read_seconds(in->r, f, 1, HL_TIMEOUT_MAX_MS, &in->w->timeout_ms);
}

static int read_rate_limit(struct input *in, const struct hl_json_field *f)
{
	return hl_read_u32(in->r, f, 1, HL_RATE_MAX, &in->w->rate_limit);
}

static int read_max_in_flight(struct input *in, const struct hl_json_field *f)
{
	return hl_read_u32(in->r, f, 1, HL_IN_FLIGHT_MAX, &in->w->max_in_flight);
}

enum { DELAY_MAX_S = 172800 };

static int read_delays(struct input *in, const struct hl_json_field *f, struct hl_retry *out)
{
	struct hl_json_iter it = { .at = NULL };
	out->kind = HL_RETRY_DELAYS;
	for (hl_json_each(&it, f->value); hl_json_next(&it); out->n_delays++) {
		int64_t v;
		if (out->n_delays == HL_DELAYS_MAX || it.value.type != HL_JSON_NUMBER || !hl_json_i64(it.value, &v) || v < 1 ||
				v > DELAY_MAX_S)
			return hl_read_fail(in->r, f, "must be 1 to %d delays of 1 to %d seconds", HL_DELAYS_MAX, DELAY_MAX_S);
		out->delays_s[out->n_delays] = (uint32_t)v;
	}
	if (!out->n_delays)
		return hl_read_fail(in->r, f, "must be 1 to %d delays of 1 to %d seconds", HL_DELAYS_MAX, DELAY_MAX_S);
	return HL_OK;
}

static int read_retry(struct input *in, const struct hl_json_field *f)
{
	struct hl_retry retry = { .kind = HL_RETRY_DEFAULT };
	int rc = HL_OK, kind = HL_RETRY_DEFAULT;
	if (f->value.type == HL_JSON_ARRAY)
		rc = read_delays(in, f, &retry);
	else if (f->value.type == HL_JSON_STRING) {
		rc = hl_read_name(in->r, f, hl_retry_parse, "exponential, hourly, or an array of seconds", &kind);
		if (!rc && kind != HL_RETRY_EXPONENTIAL && kind != HL_RETRY_HOURLY)
			rc = hl_read_fail(in->r, f, "must be one of exponential, hourly, or an array of seconds");
		retry.kind = (enum hl_retry_kind)kind;
	}
	if (!rc)
		in->w->retry = retry;
	return rc;
}

static int read_window(struct input *in, const struct hl_json_field *f)
{
	return hl_read_u32(in->r, f, 1, HL_WINDOW_MAX_S, &in->w->window_s);
}

static int read_metadata(struct input *in, const struct hl_json_field *f)
{
	in->w->metadata = f->value.type == HL_JSON_NULL ? HL_STR("") : f->value.raw;
	if (in->w->metadata.len > HL_METADATA_MAX)
		return hl_read_fail(in->r, f, "must not be longer than %d bytes", HL_METADATA_MAX);
	return HL_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

struct output {
	struct hl_jsonw *w;
	const struct hl_webhook_scope *scope;
	const struct hl_webhook *v;
};

static void u32_or_null(struct hl_jsonw *w, uint32_t v)
{
	if (v)
		hl_jsonw_u64(w, v);
	else
		hl_jsonw_null(w);
}

static void write_id(struct output *o) { hl_jsonw_cstr(o->w, o->v->id); }
static void write_number(struct output *o) { hl_jsonw_u64(o->w, o->v->number); }
static void write_dialect(struct output *o) { hl_jsonw_cstr(o->w, hl_dialect_name(o->v->dialect)); }
static void write_name(struct output *o) { hl_jsonw_str(o->w, o->v->name); }
static void write_description(struct output *o) { hl_jsonw_str(o->w, o->v->description); }
static void write_url(struct output *o) { hl_jsonw_str(o->w, o->v->url); }
static void write_format(struct output *o) { hl_jsonw_cstr(o->w, hl_format_name(o->v->format)); }
static void write_server(struct output *o) { hl_server_id_write(o->w, o->scope, o->v->server); }
static void write_enabled(struct output *o) { hl_jsonw_bool(o->w, o->v->state == HL_WEBHOOK_ENABLED); }
static void write_state(struct output *o) { hl_jsonw_cstr(o->w, hl_webhook_state_name(o->v->state)); }
static void write_rate_limit(struct output *o) { u32_or_null(o->w, o->v->rate_limit); }
static void write_max_in_flight(struct output *o) { u32_or_null(o->w, o->v->max_in_flight); }
static void write_window(struct output *o) { u32_or_null(o->w, o->v->window_s); }
static void write_last4(struct output *o) { hl_jsonw_cstr(o->w, o->v->secret_last4); }
static void write_previous_until(struct output *o) { hl_jsonw_time(o->w, o->v->previous_secret_until_ms); }
static void write_last_attempt(struct output *o) { hl_jsonw_time(o->w, o->v->last_attempt_at_ms); }
static void write_last_success(struct output *o) { hl_jsonw_time(o->w, o->v->last_success_at_ms); }
static void write_last_failure(struct output *o) { hl_jsonw_time(o->w, o->v->last_failure_at_ms); }
static void write_created(struct output *o) { hl_jsonw_time(o->w, o->v->created_at_ms); }
static void write_updated(struct output *o) { hl_jsonw_time(o->w, o->v->updated_at_ms); }

static void str_or_null(struct hl_jsonw *w, struct hl_str s)
{
	if (s.len)
		hl_jsonw_str(w, s);
	else
		hl_jsonw_null(w);
}

static void write_reason(struct output *o) { str_or_null(o->w, o->v->reason); }
static void write_last_message(struct output *o) { str_or_null(o->w, o->v->last_failure_message); }

static void write_event_types(struct output *o)
{
	hl_jsonw_array(o->w);
	for (size_t i = 0; i < o->v->n_event_types; i++)
		hl_jsonw_str(o->w, o->v->event_types[i]);
	hl_jsonw_array_end(o->w);
}

static void write_headers(struct output *o)
{
	hl_jsonw_object(o->w);
	for (size_t i = 0; i < o->v->n_headers; i++) {
		hl_jsonw_key_str(o->w, o->v->headers[i].name);
		hl_jsonw_str(o->w, o->v->headers[i].value);
	}
	hl_jsonw_object_end(o->w);
}

/* 12500 ms → 12.5 */
static void write_timeout(struct output *o)
{
	char text[32];
	uint32_t ms = o->v->timeout_ms;
	if (!ms) {
		hl_jsonw_null(o->w);
		return;
	}
	int n = snprintf(text, sizeof(text), "%u.%03u", ms / 1000, ms % 1000);
	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	hl_jsonw_raw(o->w, hl_str_make(text, (size_t)n));
}

static void write_retry(struct output *o)
{
	const struct hl_retry *r = &o->v->retry;
	if (r->kind == HL_RETRY_DEFAULT) {
		hl_jsonw_null(o->w);
	} else if (r->kind != HL_RETRY_DELAYS) {
		hl_jsonw_cstr(o->w, hl_retry_name(r->kind));
	} else {
		hl_jsonw_array(o->w);
		for (uint32_t i = 0; i < r->n_delays; i++)
			hl_jsonw_u64(o->w, r->delays_s[i]);
		hl_jsonw_array_end(o->w);
	}
}

static void write_metadata(struct output *o)
{
	hl_jsonw_raw(o->w, o->v->metadata.len ? o->v->metadata : HL_STR("{}"));
}

/* ---- the table ---------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned types;
	uint32_t bit;
	int (*read)(struct input *in, const struct hl_json_field *f);
	void (*write)(struct output *o);
} members[] = {
	{ "id", 0, 0, NULL, write_id },
	{ "number", 0, 0, NULL, write_number },
	{ "dialect", 0, 0, NULL, write_dialect },
	{ "name", HL_T_STRING | HL_T_NULL, HL_WF_NAME, read_name, write_name },
	{ "description", HL_T_STRING | HL_T_NULL, HL_WF_DESCRIPTION, read_description, write_description },
	{ "url", HL_T_STRING, HL_WF_URL, read_url, write_url },
	{ "format", HL_T_STRING, HL_WF_FORMAT, read_format, write_format },
	{ "event_types", HL_T_ARRAY | HL_T_NULL, HL_WF_EVENT_TYPES, read_event_types, write_event_types },
	{ "server", HL_T_STRING | HL_T_NULL, HL_WF_SERVER, read_server, write_server },
	{ "enabled", HL_T_BOOL, HL_WF_STATE, read_enabled, write_enabled },
	{ "state", 0, 0, NULL, write_state },
	{ "reason", 0, 0, NULL, write_reason },
	{ "headers", HL_T_OBJECT | HL_T_NULL, HL_WF_HEADERS, read_headers, write_headers },
	{ "timeout", HL_T_NUMBER | HL_T_NULL, HL_WF_TIMEOUT, read_timeout, write_timeout },
	{ "rate_limit", HL_T_NUMBER | HL_T_NULL, HL_WF_RATE_LIMIT, read_rate_limit, write_rate_limit },
	{ "max_in_flight", HL_T_NUMBER | HL_T_NULL, HL_WF_MAX_IN_FLIGHT, read_max_in_flight, write_max_in_flight },
	{ "retry", HL_T_STRING | HL_T_ARRAY | HL_T_NULL, HL_WF_RETRY, read_retry, write_retry },
	{ "window", HL_T_NUMBER | HL_T_NULL, HL_WF_WINDOW, read_window, write_window },
	{ "metadata", HL_T_OBJECT | HL_T_NULL, HL_WF_METADATA, read_metadata, write_metadata },
	{ "secret_last4", 0, 0, NULL, write_last4 },
	{ "previous_secret_until", 0, 0, NULL, write_previous_until },
	{ "last_attempt_at", 0, 0, NULL, write_last_attempt },
	{ "last_success_at", 0, 0, NULL, write_last_success },
	{ "last_failure_at", 0, 0, NULL, write_last_failure },
	{ "last_failure_message", 0, 0, NULL, write_last_message },
	{ "created_at", 0, 0, NULL, write_created },
	{ "updated_at", 0, 0, NULL, write_updated },
};

int hl_webhook_read(struct hl_reader *r, const struct hl_webhook_scope *scope, struct hl_str text, bool create,
		struct hl_webhook_input *out)
{
	struct hl_json_field fields[HL_ARRAY_LEN(members) + 1];
	size_t row[HL_ARRAY_LEN(members)], n = 0;
	struct hl_webhook_input v = { .w.account = scope->account };
	struct input in = { .r = r, .scope = scope, .w = &v.w };
	memset(fields, 0, sizeof(fields));
	for (size_t i = 0; i < HL_ARRAY_LEN(members); i++) {
		if (!members[i].read)
			continue;
		row[n] = i;
		fields[n].name = members[i].name;
		fields[n].types = members[i].types;
		fields[n++].required = create && members[i].bit == HL_WF_URL;
	}
	struct hl_json_field *secret = &fields[n];
	*secret = (struct hl_json_field){ .name = "secret", .types = HL_T_STRING | HL_T_NULL };
	int rc = hl_read_object(r, text, false, fields, n + create);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if (!fields[i].seen)
			continue;
		rc = members[row[i]].read(&in, &fields[i]);
		if (rc)
			return rc;
		v.fields |= members[row[i]].bit;
	}
	rc = hl_read_text(r, secret, HL_SECRET_TEXT_MAX, &v.secret);
	if (!rc)
		*out = v;
	return rc;
}

void hl_webhook_write(struct hl_jsonw *w, const struct hl_webhook_scope *scope, const struct hl_webhook *v,
		struct hl_str secret)
{
	struct output o = { .w = w, .scope = scope, .v = v };
	hl_jsonw_object(w);
	for (size_t i = 0; i < HL_ARRAY_LEN(members); i++) {
		hl_jsonw_key(w, members[i].name);
		members[i].write(&o);
	}
	if (secret.len) {
		hl_jsonw_key(w, "secret");
		hl_jsonw_str(w, secret);
	}
	hl_jsonw_object_end(w);
}
