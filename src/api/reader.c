/* Readers: type and presence were checked by hl_json_object; here stand the ranges and forms. A text error inside a string
 * (a lone surrogate, U+0000) is HL_ESYNTAX like any other malformed byte. */
#include "api/reader.h"

#include "base/err.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "base/utf8.h"

#include <stdio.h>

int hl_read_object(struct hl_reader *r, struct hl_str text, bool empty_ok, struct hl_json_field *fields, size_t n)
{
	struct hl_json top;
	if (empty_ok && !text.len)
		text = HL_STR("{}");
	int rc = hl_json_check(text, HL_JSON_DEPTH_MAX, &top, r->err);
	if (rc == HL_ETOOBIG) {
		if (r->err)
			r->err->code = HL_ESYNTAX;
		return HL_ESYNTAX;
	}
	if (rc)
		return rc;
	if (top.type != HL_JSON_OBJECT)
		return hl_err_set(r->err, HL_EINVAL, "the body must be a JSON object");
	return hl_json_object(top, fields, n, !r->lenient, "", r->err);
}

int hl_read_fail(struct hl_reader *r, const struct hl_json_field *f, const char *fmt, ...)
{
	char text[200], pointer[80];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(pointer, sizeof(pointer), "/%s", f->name);
	return hl_err_field(r->err, HL_EINVAL, pointer, "%s", text);
}

static bool is_null(const struct hl_json_field *f)
{
	return f->value.type == HL_JSON_NULL;
}

int hl_read_text(struct hl_reader *r, const struct hl_json_field *f, size_t chars_max, struct hl_str *out)
{
	struct hl_str s = HL_STR("");
	if (!f->seen)
		return HL_OK;
	if (!is_null(f)) {
		int rc = hl_json_string(r->arena, f->value, false, &s);
		if (rc == HL_ENOMEM)
			return hl_err_set(r->err, rc, "no memory for the request");
		if (rc) {
			hl_read_fail(r, f, "holds a lone surrogate or U+0000");
			if (r->err)
				r->err->code = HL_ESYNTAX;
			return HL_ESYNTAX;
		}
		if (hl_utf8_count(s) > chars_max)
			return hl_read_fail(r, f, "must not be longer than %zu characters", chars_max);
	}
	*out = s;
	return HL_OK;
}

int hl_read_bool(struct hl_reader *r, const struct hl_json_field *f, bool *out)
{
	if (!f->seen)
		return HL_OK;
	if (!hl_json_bool(f->value, out))
		return hl_read_fail(r, f, "must be true or false");
	return HL_OK;
}

int hl_read_u32(struct hl_reader *r, const struct hl_json_field *f, uint32_t min, uint32_t max, uint32_t *out)
{
	int64_t v = 0;
	if (!f->seen)
		return HL_OK;
	if (!is_null(f) && (!hl_json_i64(f->value, &v) || v < min || v > max))
		return hl_read_fail(r, f, "must be a whole number from %u to %u", min, max);
	*out = (uint32_t)v;
	return HL_OK;
}

/* "12.5" → 12500. No sign, no exponent, at most three decimals. */
static bool decimal_ms(struct hl_str s, uint64_t *out)
{
	struct hl_str frac = s, whole = hl_str_split(&frac, '.');
	uint64_t w, f = 0;
	if (!hl_str_u64(whole, &w) || w > UINT32_MAX)
		return false;
	if (frac.ptr) {
		if (frac.len < 1 || frac.len > 3 || !hl_str_u64(frac, &f))
			return false;
		for (size_t i = frac.len; i < 3; i++)
			f *= 10;
	}
	*out = w * 1000 + f;
	return true;
}

int hl_read_seconds(struct hl_reader *r, const struct hl_json_field *f, uint32_t min_ms, uint32_t max_ms, uint32_t *out_ms)
{
	uint64_t ms = 0;
	if (!f->seen)
		return HL_OK;
	if (!is_null(f) && (!decimal_ms(f->value.raw, &ms) || ms < min_ms || ms > max_ms))
		return hl_read_fail(r, f, "must be seconds between %g and %g, with at most three decimals", min_ms / 1e3, max_ms / 1e3);
	*out_ms = (uint32_t)ms;
	return HL_OK;
}

int hl_read_time(struct hl_reader *r, const struct hl_json_field *f, hl_ms_t *out_at_ms)
{
	struct hl_str s;
	hl_ms_t at = 0;
	if (!f->seen)
		return HL_OK;
	int rc = hl_read_text(r, f, 64, &s);
	if (rc)
		return rc;
	if (!is_null(f) && (!hl_rfc3339_parse(s, &at) || at <= 0))
		return hl_read_fail(r, f, "must be a time as in RFC 3339, e.g. 2026-04-12T18:20:11Z");
	*out_at_ms = at;
	return HL_OK;
}

int hl_read_name(struct hl_reader *r, const struct hl_json_field *f, int (*parse)(struct hl_str), const char *known, int *out)
{
	struct hl_str s;
	if (!f->seen)
		return HL_OK;
	int rc = hl_read_text(r, f, 128, &s);
	if (rc)
		return rc;
	int v = parse(s);
	if (v < 0)
		return hl_read_fail(r, f, "must be one of %s", known);
	*out = v;
	return HL_OK;
}

bool hl_word_valid(struct hl_str s, size_t max)
{
	if (!s.len || s.len > max)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
			return false;
	}
	return true;
}
