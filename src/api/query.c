/* Taking a query apart, and turning cursors into pages and back.
 *
 * A page's cursors name its own ends: next = older than its last row, prev = newer than its first one. Their filter hash
 * covers route, account and every other parameter but limit, so a cursor cannot be carried to another listing. */
#include "api/query.h"

#include "base/check.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "base/utf8.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

struct hl_str hl_percent_decode(struct hl_arena *a, struct hl_str s, bool plus)
{
	char *out = hl_arena_alloc(a, s.len + 1);
	size_t n = 0;
	if (!out)
		return HL_STR_NONE;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '%') {
			int hi = i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1, lo = i + 2 < s.len ? hex_digit(s.ptr[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return HL_STR_NONE;
			out[n++] = (char)(hi << 4 | lo);
			i += 2;
		} else {
			out[n++] = s.ptr[i] == '+' && plus ? ' ' : s.ptr[i];
		}
	}
	return hl_str_make(out, n);
}

static bool take(struct hl_call *c, struct hl_query *q, size_t n, struct hl_str name, struct hl_str value)
{
	bool lenient = (c->mount->flags & HL_MOUNT_LENIENT) != 0;
	for (size_t i = 0; i < n; i++) {
		if (!hl_str_eq(hl_str_from(q[i].name), name))
			continue;
		if (q[i].seen && !lenient) {
			hl_call_bad_parameter(c, q[i].name, "given twice");
			return false;
		}
		q[i].seen = true;
		q[i].value = value;
		return true;
	}
	if (lenient)
		return true;
	char shown[80];
	hl_call_bad_parameter(c, hl_log_quote(name, shown, sizeof(shown)), "is not a parameter of this route");
	return false;
}

bool hl_query_read(struct hl_call *c, struct hl_query *q, size_t n)
{
	struct hl_str rest = c->request->query;
	for (size_t i = 0; i < n; i++) {
		q[i].seen = false;
		q[i].value = HL_STR("");
	}
	while (rest.ptr) {
		struct hl_str value = hl_str_split(&rest, '&');
		if (!value.len)
			continue;
		struct hl_str name = hl_percent_decode(c->request->arena, hl_str_split(&value, '='), true);
		if (!value.ptr && (c->mount->flags & HL_MOUNT_LENIENT))
			value = HL_STR("");
		if (value.ptr)
			value = hl_percent_decode(c->request->arena, value, true);
		if (!name.ptr || !value.ptr || !hl_utf8_valid(name) || !hl_utf8_valid(value)) {
			hl_call_bad_parameter(c, "query", "must be name=value pairs, percent-encoded UTF-8");
			return false;
		}
		if (!take(c, q, n, name, value))
			return false;
	}
	return true;
}

bool hl_query_none(struct hl_call *c)
{
	return hl_query_read(c, NULL, 0);
}

bool hl_query_time(struct hl_call *c, const struct hl_query *q, hl_ms_t *out_at_ms)
{
	if (!q->seen || hl_rfc3339_parse(q->value, out_at_ms))
		return true;
	hl_call_bad_parameter(c, q->name, "must be a time as in RFC 3339, e.g. 2026-04-12T18:20:11Z (\"+\" is %%2B)");
	return false;
}

bool hl_query_bool(struct hl_call *c, const struct hl_query *q, bool *out)
{
	bool yes = hl_str_eq(q->value, HL_STR("true"));
	if (q->seen && !yes && !hl_str_eq(q->value, HL_STR("false"))) {
		hl_call_bad_parameter(c, q->name, "must be true or false");
		return false;
	}
	if (q->seen)
		*out = yes;
	return true;
}

bool hl_query_word(struct hl_call *c, const struct hl_query *q, size_t max, struct hl_str *out)
{
	if (q->seen && !hl_word_valid(q->value, max)) {
		hl_call_bad_parameter(c, q->name, "must be 1 to %zu of A-Z a-z 0-9 _ . -", max);
		return false;
	}
	*out = q->value;
	return true;
}

bool hl_query_name(struct hl_call *c, const struct hl_query *q, int (*parse)(struct hl_str), const char *known, int *out)
{
	int v = q->seen ? parse(q->value) : 0;
	if (v < 0) {
		hl_call_bad_parameter(c, q->name, "must be one of %s", known);
		return false;
	}
	if (q->seen)
		*out = v;
	return true;
}

bool hl_query_id(struct hl_call *c, const struct hl_query *q, enum hl_id_kind kind, uint64_t *out_number, bool *out_known)
{
	*out_number = 0;
	*out_known = true;
	if (!q->seen)
		return true;
	int rc = hl_id_parse(c->api->dispatcher, kind, q->value, out_number);
	if (rc == HL_ESYNTAX) {
		hl_call_bad_parameter(c, q->name, "must be an id (a UUID)");
		return false;
	}
	*out_known = !rc;
	return true;
}

/* ---- pages -------------------------------------------------------------------------------------------------------- */

void hl_query_select(struct hl_call *c, const struct hl_query *q, size_t n)
{
	struct hl_buf text = { .data = NULL };
	hl_call_route_name(c->mount, c->route, &text);
	hl_buf_fmt(&text, " %u", c->account);
	for (size_t i = 0; i < n; i++) {
		hl_buf_char(&text, '\0');
		hl_buf_str(&text, q[i].value);
	}
	c->filter = hl_page_cursor_filter(hl_service_cursor_key(c->api->service), hl_buf_all(&text));
	hl_buf_fini(&text);
}

bool hl_query_cursor(struct hl_call *c, const struct hl_query *q, struct hl_page_cursor *out)
{
	*out = (struct hl_page_cursor){ .number = 0 };
	if (!q->seen)
		return true;
	int rc = hl_page_cursor_parse(hl_service_cursor_key(c->api->service), q->value, c->filter, out);
	if (rc)
		hl_call_bad_parameter(c, q->name, "%s", rc == HL_EMISMATCH ? "belongs to another list or other filters" :
				"is not one of ours");
	return !rc;
}

bool hl_query_page(struct hl_call *c, const struct hl_query *q, size_t n)
{
	const struct hl_query *limit = &q[n - 2], *cursor = &q[n - 1];
	uint64_t v = HL_LIMIT_DEFAULT;
	HL_CHECK(n >= 2 && limit->name[0] == 'l' && cursor->name[0] == 'c');
	if (limit->seen && (!hl_str_u64(limit->value, &v) || v < 1 || v > HL_LIMIT_MAX)) {
		hl_call_bad_parameter(c, "limit", "must be a whole number from 1 to %d", HL_LIMIT_MAX);
		return false;
	}
	c->page = (struct hl_page){ .limit = (uint32_t)v };
	struct hl_page_cursor at;
	hl_query_select(c, q, n - 2);
	if (!hl_query_cursor(c, cursor, &at))
		return false;
	if (at.newer)
		c->page.after = at.number;
	else
		c->page.before = at.number;
	return true;
}

void hl_page_begin(struct hl_call *c, struct hl_jsonw *w)
{
	hl_call_writer(c, w);
	hl_jsonw_object(w);
	hl_jsonw_key(w, "data");
	hl_jsonw_array(w);
}

/* The same request with another cursor, as a Link value. */
static void link_add(struct hl_call *c, struct hl_buf *out, const char *rel, const char *cursor)
{
	struct hl_str rest = c->request->query;
	hl_buf_fmt(out, "%s<%.*s?", out->len ? ", " : "", HL_FMT(c->request->path));
	while (rest.ptr) {
		struct hl_str pair = hl_str_split(&rest, '&');
		/* Only what may stand inside <> goes back out; our own parameters never hold anything else unencoded. */
		if (pair.len && !hl_str_starts(pair, HL_STR("cursor=")) && !memchr(pair.ptr, '>', pair.len))
			hl_buf_fmt(out, "%.*s&", HL_FMT(pair));
	}
	hl_buf_fmt(out, "cursor=%s>; rel=\"%s\"", cursor, rel);
}

void hl_page_cursor_member(struct hl_call *c, struct hl_jsonw *w, const char *member, bool newer, uint64_t number,
		char text[HL_PAGE_CURSOR_CAP])
{
	struct hl_page_cursor cursor = { .newer = newer, .number = number, .filter = c->filter };
	hl_jsonw_key(w, member);
	text[0] = '\0';
	if (!number) {
		hl_jsonw_null(w);
		return;
	}
	hl_page_cursor_format(hl_service_cursor_key(c->api->service), &cursor, text);
	hl_jsonw_cstr(w, text);
}

static void cursor_put(struct hl_call *c, struct hl_jsonw *w, struct hl_buf *link, const char *member, const char *rel,
		bool newer, uint64_t number)
{
	char text[HL_PAGE_CURSOR_CAP];
	hl_page_cursor_member(c, w, member, newer, number, text);
	if (c->request && text[0])
		link_add(c, link, rel, text);
}

void hl_page_end(struct hl_call *c, struct hl_jsonw *w, uint64_t first, uint64_t last, const struct hl_page_info *info)
{
	struct hl_buf link = { .data = NULL };
	hl_jsonw_array_end(w);
	cursor_put(c, w, &link, "next_cursor", "next", false, info->has_older ? last : 0);
	cursor_put(c, w, &link, "prev_cursor", "prev", true, info->has_newer ? first : 0);
	hl_jsonw_object_end(w);
	if (link.len && hl_buf_ok(&link))
		hl_call_header(c, "Link", hl_buf_all(&link));
	hl_buf_fini(&link);
	hl_call_send(c, 200);
}

void hl_page_empty(struct hl_call *c)
{
	struct hl_jsonw w;
	struct hl_page_info info = { .has_older = false };
	hl_page_begin(c, &w);
	hl_page_end(c, &w, 0, 0, &info);
}
