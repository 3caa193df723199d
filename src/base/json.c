/* The JSON reader.
 *
 * hl_json_check goes once over the text: a loop around "a value starts here" and "a value has ended", with one bit per open
 * bracket in a 64-bit word instead of recursion. Strings are scanned eight bytes at a time while they are plain ASCII.
 * Failures: the first byte that no longer fits the grammar (HL_ESYNTAX, text names what and where), a bracket too deep
 * (HL_ETOOBIG). Every read is bounded by the slice; no byte behind it is looked at.
 *
 * The walkers run over a text that was checked, so they only find where values end; they too stay inside the slice. */
#include "base/json.h"
#include "base/err.h"
#include "base/defs.h"
#include "base/str.h"
#include "base/utf8.h"

/* --- scanning: each takes a position and the end and returns where the token ends --- */

struct reader {
	const char *start, *end;
	const char *bad;  /* first offending byte */
	const char *why;  /* NULL = fine so far */
};

static const char *fail(struct reader *r, const char *at, const char *why)
{
	r->bad = at;
	r->why = why;
	return NULL;
}

static inline bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

static inline bool is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

static inline const char *skip_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u

/* Marks (0x80) in each byte of w that is a quote, a backslash, a control or not ASCII. A byte above a marked one may be
 * marked wrongly, which costs a look at it and nothing else. */
static inline uint64_t specials(uint64_t w)
{
	uint64_t quote = w ^ ONES * '"', slash = w ^ ONES * '\\';
	return ((quote - ONES) | (slash - ONES) | (w - ONES * 0x20) | w) & HIGHS;
}

/* The next byte of a string's inside that is not plain, or end. */
static inline const char *skip_plain(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t w;
		memcpy(&w, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		w = __builtin_bswap64(w);
#endif
		uint64_t m = specials(w);
		if (m)
			return p + (__builtin_ctzll(m) >> 3);
		p += 8;
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)(*p - 0x20) < 0x60)
		p++;
	return p;
}

static inline int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at p; -1 when they are not there. */
static int32_t hex4(const char *p, const char *end)
{
	int32_t v = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int d = hex_value(p[i]);
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* p: the backslash. */
static const char *scan_escape(struct reader *r, const char *p)
{
	if (r->end - p < 2)
		return fail(r, r->end, "the text ends inside a string");
	switch (p[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return p + 2;
	case 'u':
		return hex4(p + 2, r->end) < 0 ? fail(r, p, "\\u without four hex digits") : p + 6;
	default:
		return fail(r, p, "unknown escape");
	}
}

/* p: behind the opening quote. Returns the position behind the closing one. */
static const char *scan_string(struct reader *r, const char *p)
{
	for (;;) {
		p = skip_plain(p, r->end);
		if (p == r->end)
			return fail(r, p, "the text ends inside a string");
		unsigned char c = (unsigned char)*p;
		if (c == '"')
			return p + 1;
		if (c == '\\') {
			p = scan_escape(r, p);
			if (!p)
				return NULL;
		} else if (c < 0x20) {
			return fail(r, p, "control byte in a string");
		} else {
			uint32_t scalar;
			int n;
			do {
				n = hl_utf8_step(p, r->end, &scalar);
				if (n < 0)
					return fail(r, p, "invalid UTF-8");
				p += n;
			} while (p < r->end && (unsigned char)*p >= 0x80);
		}
	}
}

static const char *scan_number(struct reader *r, const char *p)
{
	const char *end = r->end, *q;
	if (*p == '-')
		p++;
	if (p == end || !is_digit(*p))
		return fail(r, p, "a digit is missing");
	q = *p == '0' ? p + 1 : skip_digits(p, end);
	if (q < end && is_digit(*q))
		return fail(r, p, "a number starts with 0");
	p = q;
	if (p < end && *p == '.') {
		q = skip_digits(p + 1, end);
		if (q == p + 1)
			return fail(r, q, "a digit is missing");
		p = q;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		q = skip_digits(p, end);
		if (q == p)
			return fail(r, q, "a digit is missing");
		p = q;
	}
	return p;
}

static const char *scan_literal(struct reader *r, const char *p, const char *word, size_t n)
{
	if ((size_t)(r->end - p) < n || memcmp(p, word, n) != 0)
		return fail(r, p, "unknown word");
	return p + n;
}

/* A value without brackets. */
static const char *scan_scalar(struct reader *r, const char *p)
{
	switch (*p) {
	case '"':
		return scan_string(r, p + 1);
	case 't':
		return scan_literal(r, p, "true", 4);
	case 'f':
		return scan_literal(r, p, "false", 5);
	case 'n':
		return scan_literal(r, p, "null", 4);
	default:
		if (*p == '-' || is_digit(*p))
			return scan_number(r, p);
		return fail(r, p, "a value is missing");
	}
}

/* `"name" :` and the space around it. p: where the name must start. */
static const char *scan_name(struct reader *r, const char *p)
{
	if (p == r->end || *p != '"')
		return fail(r, p, "a member name is missing");
	p = scan_string(r, p + 1);
	if (!p)
		return NULL;
	p = skip_space(p, r->end);
	if (p == r->end || *p != ':')
		return fail(r, p, "':' is missing");
	return skip_space(p + 1, r->end);
}

/* --- the grammar --- */

enum { SCAN_TOO_DEEP = -1, SCAN_BAD, SCAN_OK };

struct nesting {
	uint64_t objects; /* lowest bit: innermost bracket; 1 = object */
	unsigned depth, max;
};

/* After a value: eats commas and closing brackets up to the next value's start. *p becomes NULL on a failure; true when the
 * outermost value has ended. */
static inline bool end_value(struct reader *r, struct nesting *n, const char **p)
{
	while (n->depth > 0) {
		const char *q = skip_space(*p, r->end);
		bool object = n->objects & 1;
		if (q == r->end) {
			*p = fail(r, q, object ? "the text ends inside an object" : "the text ends inside an array");
			return false;
		}
		if (*q == ',') {
			q = skip_space(q + 1, r->end);
			*p = object ? scan_name(r, q) : q;
			return false;
		}
		if (*q != (object ? '}' : ']')) {
			*p = fail(r, q, object ? "',' or '}' is missing" : "',' or ']' is missing");
			return false;
		}
		n->objects >>= 1;
		n->depth--;
		*p = q + 1;
	}
	return true;
}

/* One value from *p on, to its end. */
static int scan_value(struct reader *r, struct nesting *n, const char **p)
{
	const char *q = *p, *end = r->end;
	for (;;) {
		if (q == end) {
			fail(r, q, "a value is missing");
			return SCAN_BAD;
		}
		bool object = *q == '{';
		if (object || *q == '[') {
			if (n->depth == n->max) {
				r->bad = q;
				return SCAN_TOO_DEEP;
			}
			n->depth++;
			n->objects = n->objects << 1 | object;
			q = skip_space(q + 1, end);
			if (q < end && *q == (object ? '}' : ']')) {
				n->depth--;
				n->objects >>= 1;
				q++;
			} else {
				if (object)
					q = scan_name(r, q);
				if (!q)
					return SCAN_BAD;
				continue;
			}
		} else {
			q = scan_scalar(r, q);
			if (!q)
				return SCAN_BAD;
		}
		bool done = end_value(r, n, &q);
		if (!q)
			return SCAN_BAD;
		if (done) {
			*p = q;
			return SCAN_OK;
		}
	}
}

static enum hl_json_type type_of(char first)
{
	switch (first) {
	case '{':
		return HL_JSON_OBJECT;
	case '[':
		return HL_JSON_ARRAY;
	case '"':
		return HL_JSON_STRING;
	case 't':
	case 'f':
		return HL_JSON_BOOL;
	case 'n':
		return HL_JSON_NULL;
	default:
		return HL_JSON_NUMBER;
	}
}

int hl_json_check(struct hl_str text, unsigned depth_max, struct hl_json *out, struct hl_err *err)
{
	if (text.len == 0)
		return hl_err_set(err, HL_ESYNTAX, "a value is missing at byte 0");
	struct reader r = { .start = text.ptr, .end = text.ptr + text.len };
	struct nesting n = { .max = HL_MIN(depth_max, (unsigned)HL_JSON_DEPTH_MAX) };
	const char *first = skip_space(r.start, r.end), *p = first;
	int rc = scan_value(&r, &n, &p);
	if (rc == SCAN_TOO_DEEP)
		return hl_err_set(err, HL_ETOOBIG, "nested deeper than %u levels at byte %zu", n.max,
				(size_t)(r.bad - r.start));
	if (rc == SCAN_OK) {
		const char *rest = skip_space(p, r.end);
		if (rest < r.end) {
			fail(&r, rest, "something follows the value");
			rc = SCAN_BAD;
		}
	}
	if (rc == SCAN_BAD)
		return hl_err_set(err, HL_ESYNTAX, "%s at byte %zu", r.why, (size_t)(r.bad - r.start));
	if (out)
		*out = (struct hl_json){ type_of(*first), { first, (size_t)(p - first) } };
	return 0;
}

/* --- walking a checked text --- */

/* p: behind the opening quote; returns the position of the closing one. */
static const char *find_quote(const char *p, const char *end)
{
	while (p < end) {
		if (*p == '"')
			return p;
		p += *p == '\\' ? 2 : 1;
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
	if (p >= end) {
		it->at = NULL;
		return false;
	}
	const char *after = skip_value(p, end);
	it->value = (struct hl_json){ type_of(*p), { p, (size_t)(after - p) } };
	it->at = after;
	return true;
}

/* --- strings --- */

enum { DECODE_BAD = -1 };

/* Decodes the escape at *p (a backslash) of a checked text and moves *p behind it; DECODE_BAD for half a surrogate pair. */
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
