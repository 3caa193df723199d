/* The JSON writer. It keeps no stack: a comma is due exactly when the last thing written was a complete value, and
 * an end bracket completes one. Whether members and brackets match is the caller's grammar; whether memory sufficed
 * is asked of the buffer at the end. */
#include "base/json.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "base/utf8.h"

void hl_jsonw_init(struct hl_jsonw *w, struct hl_buf *out)
{
	*w = (struct hl_jsonw){ .out = out };
}

static void comma(struct hl_jsonw *w)
{
	if (w->need_comma)
		hl_buf_char(w->out, ',');
	w->need_comma = true;
}

static void open_bracket(struct hl_jsonw *w, char c)
{
	comma(w);
	hl_buf_char(w->out, c);
	w->need_comma = false;
	w->depth++;
}

static void close_bracket(struct hl_jsonw *w, char c)
{
	HL_CHECK(w->depth > 0);
	hl_buf_char(w->out, c);
	w->need_comma = true;
	w->depth--;
}

void hl_jsonw_object(struct hl_jsonw *w)
{
	open_bracket(w, '{');
}

void hl_jsonw_object_end(struct hl_jsonw *w)
{
	close_bracket(w, '}');
}

void hl_jsonw_array(struct hl_jsonw *w)
{
	open_bracket(w, '[');
}

void hl_jsonw_array_end(struct hl_jsonw *w)
{
	close_bracket(w, ']');
}

void hl_jsonw_key(struct hl_jsonw *w, const char *name)
{
	comma(w);
	hl_buf_char(w->out, '"');
	hl_buf_cstr(w->out, name);
	hl_buf_cstr(w->out, "\":");
	w->need_comma = false;
}

void hl_jsonw_key_str(struct hl_jsonw *w, struct hl_str name)
{
	comma(w);
	hl_json_quote(w->out, name);
	hl_buf_char(w->out, ':');
	w->need_comma = false;
}

void hl_jsonw_str(struct hl_jsonw *w, struct hl_str s)
{
	comma(w);
	hl_json_quote(w->out, s);
}

void hl_jsonw_cstr(struct hl_jsonw *w, const char *s)
{
	hl_jsonw_str(w, hl_str_from(s));
}

void hl_jsonw_u64(struct hl_jsonw *w, uint64_t v)
{
	comma(w);
	hl_buf_u64(w->out, v);
}

void hl_jsonw_i64(struct hl_jsonw *w, int64_t v)
{
	comma(w);
	hl_buf_i64(w->out, v);
}

void hl_jsonw_bool(struct hl_jsonw *w, bool v)
{
	comma(w);
	hl_buf_cstr(w->out, v ? "true" : "false");
}

void hl_jsonw_null(struct hl_jsonw *w)
{
	comma(w);
	hl_buf_cstr(w->out, "null");
}

void hl_jsonw_raw(struct hl_jsonw *w, struct hl_str json)
{
	comma(w);
	hl_buf_str(w->out, json);
}

void hl_jsonw_time(struct hl_jsonw *w, hl_ms_t at_ms)
{
	char text[HL_RFC3339_CAP];
	if (at_ms == 0) {
		hl_jsonw_null(w);
		return;
	}
	size_t n = hl_rfc3339_format(at_ms, text);
	hl_jsonw_str(w, (struct hl_str){ text, n });
}

/* What a byte that cannot stand for itself is replaced with; returns the length. */
static size_t escape(unsigned char c, char out[6])
{
	static const char hex[] = "0123456789abcdef";
	static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
	const char *at = c ? strchr(from, c) : NULL;
	out[0] = '\\';
	if (at) {
		out[1] = to[at - from];
		return 2;
	}
	out[1] = 'u';
	out[2] = out[3] = '0';
	out[4] = hex[c >> 4];
	out[5] = hex[c & 15];
	return 6;
}

void hl_json_quote(struct hl_buf *out, struct hl_str s)
{
	const char *p = s.ptr, *end = p + s.len, *good = p;
	hl_buf_char(out, '"');
	while (p < end) {
		unsigned char c = (unsigned char)*p;
		uint32_t scalar;
		int n = c < 0x80 ? 1 : hl_utf8_step(p, end, &scalar);
		bool plain = c < 0x80 ? c >= 0x20 && c != '"' && c != '\\' : n > 0;
		if (!plain) {
			char esc[6];
			hl_buf_add(out, good, (size_t)(p - good));
			if (c < 0x80)
				hl_buf_add(out, esc, escape(c, esc));
			else
				hl_buf_add(out, "\xEF\xBF\xBD", 3);
			n = n < 0 ? -n : n;
			good = p + n;
		}
		p += n;
	}
	hl_buf_add(out, good, (size_t)(p - good));
	hl_buf_char(out, '"');
}
