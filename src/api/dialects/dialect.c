/* Small things: lookups that do not see over the dialect's fence, changes of webhooks up to their answers, lenient numbers,
 * and the walk over all webhooks for the listings that know no pages. That walk goes page by page, each a turn of the loop, and
 * writes the objects of a page in its turn; the last one puts the pages together. */
#include "api/dialects/dialect.h"

#include "api/auth.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

#include <stdlib.h>

/* ---- errors ------------------------------------------------------------------------------------------------------- */

void hl_dialect_error(struct hl_call *c, unsigned status, const char *code, const char *fmt, ...)
{
	struct hl_buf text = { .data = NULL };
	va_list ap;
	va_start(ap, fmt);
	hl_buf_vfmt(&text, fmt, ap);
	va_end(ap);
	struct hl_problem p = { .kind = HL_PROBLEM_BAD_REQUEST, .status = status, .code = code };
	if (hl_buf_ok(&text))
		p.detail = hl_buf_all(&text);
	hl_call_problem(c, &p);
	hl_buf_fini(&text);
}

struct hl_str hl_dialect_member(struct hl_str pointer)
{
	if (!pointer.len || pointer.ptr[0] != '/')
		return HL_STR_NONE;
	hl_str_split(&pointer, '/');
	return hl_str_split(&pointer, '/');
}

/* ---- members ------------------------------------------------------------------------------------------------------ */

int hl_dialect_catalogue(struct hl_call *c, const struct hl_event_type **out, size_t *out_n)
{
	return hl_event_type_list(c->api->dispatcher, c->mount->dialect, out, out_n);
}

static const struct hl_event_type *find_type(const struct hl_event_type *v, size_t n, struct hl_str name)
{
	for (size_t i = 0; i < n; i++)
		if (hl_str_eq(v[i].name, name))
			return &v[i];
	return NULL;
}

static void add_once(struct hl_str *list, size_t *n, struct hl_str s)
{
	for (size_t i = 0; i < *n; i++)
		if (hl_str_eq(list[i], s))
			return;
	list[(*n)++] = s;
}

int hl_dialect_read_types(struct hl_call *c, struct hl_reader *r, const struct hl_json_field *f,
		struct hl_str (*spell)(struct hl_arena *a, struct hl_str text), struct hl_dialect_types *out)
{
	struct hl_json_iter it = { .at = NULL };
	const struct hl_event_type *known;
	size_t n_known, i = 0;
	*out = (struct hl_dialect_types){ .n = 0 };
	if (!hl_dialect_given(f))
		return HL_OK;
	int rc = hl_dialect_catalogue(c, &known, &n_known);
	if (rc)
		return hl_err_set(r->err, rc, "the catalogue of event types cannot be read");
	out->v = HL_ARENA_ARRAY(r->arena, struct hl_str, HL_EVENT_TYPES_MAX);
	out->unknown = HL_ARENA_ARRAY(r->arena, struct hl_str, HL_EVENT_TYPES_MAX);
	if (!out->v || !out->unknown)
		return hl_err_set(r->err, HL_ENOMEM, "no memory for the request");
	for (hl_json_each(&it, f->value); hl_json_next(&it); i++) {
		struct hl_str text, other;
		if (i == HL_EVENT_TYPES_MAX)
			return hl_read_fail(r, f, "must not have more than %d entries", HL_EVENT_TYPES_MAX);
		if (it.value.type != HL_JSON_STRING || hl_json_string(r->arena, it.value, false, &text))
			return hl_read_fail(r, f, "entry %zu must be a string", i);
		const struct hl_event_type *t = find_type(known, n_known, text);
		if (!t && spell && (other = spell(r->arena, text)).ptr)
			t = find_type(known, n_known, other);
		if (t)
			add_once(out->v, &out->n, t->name);
		else
			add_once(out->unknown, &out->n_unknown, text);
	}
	return HL_OK;
}

int hl_dialect_read_known_types(struct hl_call *c, struct hl_reader *r, const struct hl_json_field *f, struct hl_webhook *w)
{
	struct hl_dialect_types t;
	int rc = hl_dialect_read_types(c, r, f, NULL, &t);
	if (!rc && t.n_unknown)
		rc = hl_read_fail(r, f, "\"%.*s\" is not a known event type", (int)HL_MIN(t.unknown[0].len, (size_t)100),
				t.unknown[0].ptr);
	w->event_types = t.v;
	w->n_event_types = t.n;
	return rc;
}

/* ---- objects ------------------------------------------------------------------------------------------------------ */

int hl_dialect_webhook_numbered(struct hl_call *c, uint64_t number, struct hl_webhook *out)
{
	if (number > UINT32_MAX)
		return HL_ENOTFOUND;
	int rc = hl_webhook_get(c->api->dispatcher, c->account, (uint32_t)number, false, out);
	return !rc && (int)out->dialect != c->mount->dialect ? HL_ENOTFOUND : rc;
}

int hl_dialect_webhook(struct hl_call *c, size_t i, struct hl_webhook *out)
{
	uint64_t number;
	int rc = hl_id_parse(c->api->dispatcher, HL_ID_WEBHOOK, c->params[i], &number);
	return rc ? rc : hl_dialect_webhook_numbered(c, number, out);
}

int hl_dialect_delivery(struct hl_call *c, size_t i, struct hl_delivery *out)
{
	uint64_t number;
	int rc = hl_id_parse(c->api->dispatcher, HL_ID_DELIVERY, c->params[i], &number);
	if (!rc)
		rc = hl_delivery_get(c->api->dispatcher, c->account, number, out);
	return !rc && (int)out->dialect != c->mount->dialect ? HL_ENOTFOUND : rc;
}

/* false: answered. */
static bool found(struct hl_call *c, int rc)
{
	if (rc)
		hl_call_fail(c, rc == HL_ESYNTAX ? HL_ENOTFOUND : rc, NULL);
	return !rc;
}

bool hl_dialect_find_webhook(struct hl_call *c, size_t i, struct hl_webhook *out)
{
	return found(c, hl_dialect_webhook(c, i, out));
}

bool hl_dialect_find_delivery(struct hl_call *c, size_t i, struct hl_delivery *out)
{
	return found(c, hl_dialect_delivery(c, i, out));
}

struct hl_str hl_dialect_failure(const struct hl_delivery *v)
{
	if (v->last_class == HL_CLASS_NONE)
		return HL_STR("");
	return v->last_error.len ? v->last_error : hl_str_from(hl_class_sentence(v->last_class));
}

hl_ms_t hl_dialect_next_at(struct hl_call *c, const struct hl_delivery *v)
{
	struct hl_webhook w;
	struct hl_webhook_stats s;
	if (v->state != HL_DELIVERY_PENDING || hl_webhook_get(c->api->dispatcher, c->account, v->webhook, false, &w) ||
			w.state != HL_WEBHOOK_ENABLED)
		return 0;
	if (!hl_webhook_stats(c->api->dispatcher, c->account, v->webhook, &s) && s.parked)
		return HL_MAX(v->next_at_ms, s.next_attempt_at_ms);
	return v->next_at_ms;
}

void hl_dialect_snapshot(struct hl_call *c, const struct hl_delivery *v, struct hl_webhook *out)
{
	if (hl_webhook_get_revision(c->api->dispatcher, c->account, v->webhook, v->webhook_revision, out))
		*out = (struct hl_webhook){ .number = v->webhook, .account = v->account, .dialect = v->dialect };
}

/* ---- changes ------------------------------------------------------------------------------------------------------ */

void hl_dialect_create(struct hl_call *c, struct hl_webhook *w, unsigned success, hl_write write)
{
	struct hl_err err = { .code = 0 };
	const struct hl_tier *tier = hl_auth_tier(c);
	if (!tier->webhooks) {
		hl_call_problem_kind(c, HL_PROBLEM_NOT_IN_TIER);
		return;
	}
	w->account = c->account;
	w->dialect = (enum hl_dialect)c->mount->dialect;
	int rc = hl_webhook_create(c->api->dispatcher, w, HL_STR(""), tier->max_webhooks, hl_call_expect(c, success, write),
			hl_call_webhook_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

void hl_dialect_update(struct hl_call *c, const struct hl_webhook *now, uint32_t fields, const struct hl_webhook *values,
		hl_write write)
{
	struct hl_err err = { .code = 0 };
	if (!fields) {
		write(c, now, HL_STR(""));
		hl_call_send(c, 200);
		return;
	}
	hl_call_expect(c, 200, write);
	int rc = hl_webhook_update(c->api->dispatcher, c->account, now->number, fields, values, hl_call_webhook_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

void hl_dialect_rotate(struct hl_call *c, uint32_t webhook, hl_write write)
{
	struct hl_err err = { .code = 0 };
	int rc = hl_webhook_rotate(c->api->dispatcher, c->account, webhook, UINT32_MAX, HL_STR(""), hl_call_expect(c, 200, write),
			hl_call_webhook_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void deleted(void *data, int status, const struct hl_err *err, const struct hl_webhook_result *r)
{
	struct hl_call *c = data;
	(void)r;
	if (status) {
		hl_call_fail(c, status, err);
		return;
	}
	if (!c->text) {
		hl_call_send_empty(c, 204);
		return;
	}
	hl_buf_reset(&c->out);
	hl_buf_cstr(&c->out, c->text);
	hl_call_send(c, 200);
}

void hl_dialect_delete(struct hl_call *c, uint32_t webhook, bool drop_history, const char *text)
{
	struct hl_err err = { .code = 0 };
	c->text = text;
	int rc = hl_webhook_delete(c->api->dispatcher, c->account, webhook, drop_history, deleted, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

/* ---- listings ----------------------------------------------------------------------------------------------------- */

int hl_dialect_integer(const struct hl_query *q, int64_t *out)
{
	if (!q->seen)
		return HL_OK;
	bool minus = q->value.len && q->value.ptr[0] == '-';
	struct hl_str digits = hl_str_make(q->value.ptr + minus, q->value.len - minus);
	if (!digits.len || !hl_str_all_between(digits, '0', '9'))
		return HL_ESYNTAX;
	if (!hl_str_i64(q->value, out))
		*out = minus ? INT64_MIN : INT64_MAX;
	return HL_OK;
}

bool hl_dialect_offset_page(struct hl_call *c, const struct hl_query *limit, const struct hl_query *offset, uint32_t usual,
		uint32_t max)
{
	int64_t n = usual, skip = 0;
	if (hl_dialect_integer(limit, &n)) {
		hl_call_bad_parameter(c, limit->name, "must be a whole number");
		return false;
	}
	if (hl_dialect_integer(offset, &skip) || skip < 0) {
		hl_call_bad_parameter(c, offset->name, "must be a whole number from 0 on");
		return false;
	}
	c->page = (struct hl_page){
		.limit = n < 1 ? 1 : n > max ? max : (uint32_t)n, .offset = skip > UINT32_MAX ? UINT32_MAX : (uint32_t)skip,
		.want_total = true,
	};
	return true;
}

struct walk {
	struct hl_call *c;
	const char *member;
	bool oldest_first;
	hl_dialect_item item;
	struct hl_webhook_query query;
	struct hl_buf text;          /* the objects of each page, with commas between them */
	struct hl_buf ends;          /* size_t each: where in `text` a page ends */
};

static void walk_destroy(struct walk *w)
{
	hl_buf_fini(&w->text);
	hl_buf_fini(&w->ends);
	free(w);
}

static size_t end_of(const struct walk *w, size_t page)
{
	size_t at;
	memcpy(&at, w->ends.data + page * sizeof(at), sizeof(at));
	return at;
}

/* Pages come newest first. */
static void walk_answer(struct walk *walk)
{
	struct hl_call *c = walk->c;
	struct hl_jsonw w;
	size_t n = walk->ends.len / sizeof(size_t);
	hl_call_writer(c, &w);
	if (walk->member) {
		hl_jsonw_object(&w);
		hl_jsonw_key(&w, walk->member);
	}
	hl_jsonw_array(&w);
	for (size_t i = 0; i < n; i++) {
		size_t page = walk->oldest_first ? n - 1 - i : i, from = page ? end_of(walk, page - 1) : 0;
		hl_jsonw_raw(&w, hl_str_make(walk->text.data + from, end_of(walk, page) - from));
	}
	hl_jsonw_array_end(&w);
	if (walk->member)
		hl_jsonw_object_end(&w);
	walk_destroy(walk);
	hl_call_send(c, 200);
}

static void walk_write(struct walk *w, const struct hl_webhook *v, size_t n)
{
	struct hl_jsonw page;
	for (size_t i = 0; i < n; i++) {
		if (i)
			hl_buf_char(&w->text, ',');
		hl_jsonw_init(&page, &w->text);
		w->item(w->c, &page, &v[w->oldest_first ? n - 1 - i : i]);
	}
	if (n)
		hl_buf_add(&w->ends, &w->text.len, sizeof(w->text.len));
}

static void walk_on(struct walk *w);

static void walk_page(void *data, int status, const struct hl_webhook *v, size_t n, const struct hl_page_info *info)
{
	struct walk *w = data;
	struct hl_call *c = w->c;
	if (!status)
		walk_write(w, v, n);
	if (!status && !(hl_buf_ok(&w->text) && hl_buf_ok(&w->ends)))
		status = HL_ENOMEM;
	if (status) {
		walk_destroy(w);
		hl_call_fail(c, status, NULL);
	} else if (info->has_older && n) {
		w->query.page.before = v[n - 1].number;
		walk_on(w);
	} else {
		walk_answer(w);
	}
}

static void walk_on(struct walk *w)
{
	struct hl_call *c = w->c;
	int rc = hl_webhook_list(c->api->dispatcher, &w->query, walk_page, w);
	if (rc) {
		walk_destroy(w);
		hl_call_fail(c, rc, NULL);
	}
}

void hl_dialect_list_webhooks(struct hl_call *c, const char *member, bool oldest_first, hl_dialect_item item)
{
	struct walk *w = calloc(1, sizeof(*w));
	if (!w) {
		hl_call_problem_kind(c, HL_PROBLEM_BUSY);
		return;
	}
	*w = (struct walk){
		.c = c, .member = member, .oldest_first = oldest_first, .item = item,
		.query = { .account = c->account, .dialect = c->mount->dialect, .state = -1, .page.limit = HL_LIMIT_MAX },
	};
	walk_on(w);
}
