/* Reading a JSON text that hl_json_check has accepted: where its values begin and end, what its strings say, and
 * whether an object has the members it should have.
 *
 * Nothing is built: a value is a slice of the text, found again on every walk. Memory is needed only for a string
 * with escapes. What the check cannot refuse fails here: half a surrogate pair or U+0000 where a text is wanted
 * (HL_ESYNTAX), a member of the wrong type, missing or unknown (HL_EINVAL), given twice (HL_EDUPLICATE). A text
 * that was not checked gives nonsense, but no read outside the slice. */
#include "base/json_scan.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"

/* p: behind the opening quote; returns the position of the closing one. */
static const char *find_quote(const char *p, const char *end)
{
	while ((p = skip_plain(p, end)) < end) {
		if (*p == '"')
			return p;
		p += *p == '\\' && end - p > 1 ? 2 : 1;
	}
	return end;
}

static const char *min_ptr(const char *a, const char *b)
{
	return a < b ? a : b;
}

static const char *skip_string(const char *p, const char *end)
{
	return min_ptr(find_quote(p + 1, end) + 1, end);
}

/* p: the value's first byte. */
static const char *skip_value(const char *p, const char *end)
{
	unsigned depth = 0;
	if (*p != '{' && *p != '[' && *p != '"') {
		while (p < end && *p != ',' && *p != '}' && *p != ']' && !is_space(*p))
			p++;
		return p;
	}
	while (p < end) {
		char c = *p;
		if (c == '"') {
			p = skip_string(p, end);
		} else {
			depth += c == '{' || c == '[';
			depth -= c == '}' || c == ']';
			p++;
		}
		if (depth == 0)
			break;
	}
	return p;
}

void hl_json_each(struct hl_json_iter *it, struct hl_json container)
{
	*it = (struct hl_json_iter){ 0 };
	if ((container.type != HL_JSON_OBJECT && container.type != HL_JSON_ARRAY) || container.raw.len < 2)
		return;
	it->at = container.raw.ptr + 1;
	it->end = container.raw.ptr + container.raw.len - 1; /* the closing bracket, which tells object from array */
}

bool hl_json_next(struct hl_json_iter *it)
{
	const char *p = it->at, *end = it->end;
	if (!p)
		return false;
	p = skip_space(p, end);
	if (p < end && *p == ',')
		p = skip_space(p + 1, end);
	if (p < end && *end == '}') {
		const char *name = p + 1, *close = find_quote(name, end);
		it->key = (struct hl_str){ name, (size_t)(close - name) };
		p = skip_space(min_ptr(close + 1, end), end);
		p = skip_space(min_ptr(p + 1, end), end); /* ':' */
	}
	const char *after = p < end ? skip_value(p, end) : p;
	if (after == p) { /* the end, or not a checked text */
		it->at = NULL;
		return false;
	}
	it->value = (struct hl_json){ type_of(*p), { p, (size_t)(after - p) } };
	it->at = after;
	return true;
}

/* --- strings --- */

enum { DECODE_BAD = -1 };

/* Decodes the escape at *p (a backslash) of a checked text and moves *p behind it; DECODE_BAD for half a surrogate
 * pair. */
static int32_t decode_escape(const char **p, const char *end)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;
	if (end - *p < 2)
		return DECODE_BAD;
	char c = (*p)[1];
	if (c != 'u') {
		at = c ? strchr(from, c) : NULL;
		*p += 2;
		return at ? to[at - from] : DECODE_BAD;
	}
	int32_t unit = hex4(*p + 2, end), low;
	if (unit < 0)
		return DECODE_BAD;
	*p += 6;
	if (unit < 0xD800 || unit > 0xDFFF)
		return unit;
	if (unit > 0xDBFF || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
		return DECODE_BAD;
	low = hex4(*p + 2, end);
	if (low < 0xDC00 || low > 0xDFFF)
		return DECODE_BAD;
	*p += 6;
	return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

/* The bytes between the quotes; a raw key has none around it and cannot start with one. */
static struct hl_str inside(struct hl_str raw)
{
	if (raw.len >= 2 && raw.ptr[0] == '"')
		return (struct hl_str){ raw.ptr + 1, raw.len - 2 };
	return raw;
}

int hl_json_string(struct hl_arena *a, struct hl_json v, bool allow_nul, struct hl_str *out)
{
	if (v.type != HL_JSON_STRING)
		return HL_EINVAL;
	struct hl_str s = inside(v.raw);
	if (s.len == 0 || !memchr(s.ptr, '\\', s.len)) {
		*out = s;
		return 0;
	}
	char *text = hl_arena_alloc(a, s.len + 1), *w = text; /* an escape is never shorter than what it stands for */
	if (!text)
		return HL_ENOMEM;
	for (const char *p = s.ptr, *end = p + s.len; p < end;) {
		if (*p != '\\') {
			*w++ = *p++;
			continue;
		}
		int32_t scalar = decode_escape(&p, end);
		if (scalar < 0 || (scalar == 0 && !allow_nul))
			return HL_ESYNTAX;
		w += hl_utf8_put((uint32_t)scalar, w);
	}
	*w = '\0';
	*out = (struct hl_str){ text, (size_t)(w - text) };
	return 0;
}

/* Is the raw key, decoded, this name? */
static bool key_is(struct hl_str raw, struct hl_str name)
{
	if (raw.len == 0 || !memchr(raw.ptr, '\\', raw.len))
		return hl_str_eq(raw, name);
	for (const char *p = raw.ptr, *end = p + raw.len; p < end;) {
		char piece[4];
		size_t n = 1;
		if (*p != '\\') {
			piece[0] = *p++;
		} else {
			int32_t scalar = decode_escape(&p, end);
			if (scalar < 0)
				return false;
			n = hl_utf8_put((uint32_t)scalar, piece);
		}
		if (name.len < n || memcmp(name.ptr, piece, n) != 0)
			return false;
		name.ptr += n;
		name.len -= n;
	}
	return name.len == 0;
}

bool hl_json_get(struct hl_json object, struct hl_str name, struct hl_json *out)
{
	struct hl_json_iter it;
	bool found = false;
	if (object.type != HL_JSON_OBJECT)
		return false;
	for (hl_json_each(&it, object); hl_json_next(&it);) {
		if (key_is(it.key, name)) {
			*out = it.value; /* the last of several, as JavaScript has it */
			found = true;
		}
	}
	return found;
}

bool hl_json_i64(struct hl_json v, int64_t *out)
{
	return v.type == HL_JSON_NUMBER && hl_str_i64(v.raw, out);
}

bool hl_json_bool(struct hl_json v, bool *out)
{
	if (v.type != HL_JSON_BOOL)
		return false;
	*out = v.raw.ptr[0] == 't';
	return true;
}

/* --- objects against a table --- */

/* "prefix/name", the name as JSON Pointer wants it (~0, ~1), without bytes that would spoil a message; cut to fit. */
static int member_error(struct hl_err *err, int code, const char *prefix, struct hl_str raw_key, const char *text)
{
	char field[sizeof err->field + 8];
	size_t n = 0, room = sizeof field - 8;
	for (; *prefix && n < room; prefix++)
		field[n++] = *prefix;
	field[n++] = '/';
	for (const char *p = raw_key.ptr, *end = p + raw_key.len; p < end && n < room;) {
		int32_t scalar = (unsigned char)*p;
		bool escaped = *p == '\\';
		if (escaped)
			scalar = decode_escape(&p, end);
		else
			p++;
		if (scalar < 0x20 || scalar == 0x7F)
			field[n++] = '?';
		else if (escaped && scalar >= 0x80)
			n += hl_utf8_put((uint32_t)scalar, field + n);
		else if (scalar != '~' && scalar != '/')
			field[n++] = (char)scalar;
		else {
			field[n++] = '~';
			field[n++] = scalar == '~' ? '0' : '1';
		}
	}
	field[n] = '\0';
	return hl_err_field(err, code, field, "%s", text);
}

static int type_error(struct hl_err *err, const char *prefix, struct hl_str raw_key, unsigned types)
{
	static const char *const names[] = { "null", "a boolean", "a number", "a string", "an array", "an object" };
	char text[96] = "must be ";
	size_t n = strlen(text), first = n;
	for (size_t i = HL_ARRAY_LEN(names); i-- > 0;) {
		if (!(types & 1u << i))
			continue;
		const char *sep = n > first ? " or " : "";
		size_t sep_len = strlen(sep), len = strlen(names[i]);
		memcpy(text + n, sep, sep_len);
		memcpy(text + n + sep_len, names[i], len + 1);
		n += sep_len + len;
	}
	return member_error(err, HL_EINVAL, prefix, raw_key, text);
}

static struct hl_json_field *find_field(struct hl_json_field *fields, size_t n, struct hl_str raw_key)
{
	for (size_t i = 0; i < n; i++)
		if (key_is(raw_key, hl_str_from(fields[i].name)))
			return &fields[i];
	return NULL;
}

int hl_json_object(struct hl_json object, struct hl_json_field *fields, size_t n, bool refuse_unknown,
		const char *prefix, struct hl_err *err)
{
	struct hl_json_iter it;
	for (size_t i = 0; i < n; i++) {
		fields[i].seen = false;
		fields[i].value = (struct hl_json){ 0 };
	}
	if (object.type != HL_JSON_OBJECT)
		return hl_err_field(err, HL_EINVAL, prefix, "must be an object");
	for (hl_json_each(&it, object); hl_json_next(&it);) {
		struct hl_json_field *f = find_field(fields, n, it.key);
		if (!f && refuse_unknown)
			return member_error(err, HL_EINVAL, prefix, it.key, "is not a known member");
		if (!f)
			continue;
		if (f->seen)
			return member_error(err, HL_EDUPLICATE, prefix, it.key, "is given twice");
		if (!(f->types & 1u << it.value.type))
			return type_error(err, prefix, it.key, f->types);
		f->seen = true;
		f->value = it.value;
	}
	for (size_t i = 0; i < n; i++)
		if (fields[i].required && !fields[i].seen)
			return member_error(err, HL_EINVAL, prefix, hl_str_from(fields[i].name), "is missing");
	return 0;
}
