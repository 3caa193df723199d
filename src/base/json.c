/* The JSON check.
 *
 * hl_json_check goes once over the text: a loop around "a value starts here" and "a value has ended", with one bit
 * per open bracket in a 64-bit word instead of recursion. Strings are scanned eight bytes at a time while they are
 * plain ASCII. Failures: the first byte that no longer fits the grammar (HL_ESYNTAX, text names what and where), a
 * bracket too deep (HL_ETOOBIG). Every read is bounded by the slice; no byte behind it is looked at. Walking the
 * text is jsonwalk.c's; hl_json_pull does both at once, for the members of one object. */
#include "base/json_scan.h"
#include "base/defs.h"
#include "base/err.h"
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

static inline const char *skip_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
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

/* After a value: eats commas and closing brackets up to the next value's start. *p becomes NULL on a failure; true
 * when the outermost value has ended. */
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

/* --- member by member --- */

void hl_json_pull(struct hl_json_pull *p, struct hl_str text)
{
	*p = (struct hl_json_pull){ .start = text.ptr, .at = text.ptr, .end = text.ptr + text.len };
}

static bool pull_fail(struct hl_json_pull *p, const char *at, const char *why)
{
	p->rc = HL_ESYNTAX;
	p->bad = at;
	p->why = why;
	return false;
}

/* To the next member's name; NULL when there is none, because the object ends (rc HL_OK) or the text is wrong. */
static const char *pull_to_name(struct hl_json_pull *p)
{
	const char *end = p->end, *q = p->at ? skip_space(p->at, end) : end;
	if (!p->inside) {
		struct hl_json whole;
		struct hl_err err;
		if (q == end || *q != '{') {
			/* Rare enough to be read twice: what is wrong, that it is no JSON or that it is no object? */
			p->rc = hl_json_check(hl_str_make(p->start, (size_t)(end - p->start)), HL_JSON_DEPTH_MAX, &whole, &err)
					? HL_ESYNTAX : HL_EINVAL;
			p->bad = q;
			p->why = q == end ? "a value is missing" : "an object must begin";
			return NULL;
		}
		p->inside = true;
		q = skip_space(q + 1, end);
	} else if (q < end && *q == ',') {
		q = skip_space(q + 1, end);
		if (q < end && *q == '}')
			pull_fail(p, q, "a member name is missing");
	} else if (q == end || *q != '}') {
		pull_fail(p, q, q == end ? "the text ends inside an object" : "',' or '}' is missing");
	}
	if (p->rc)
		return NULL;
	if (q == end || *q != '}')
		return q;
	q = skip_space(q + 1, end);
	p->over = true;
	if (q < end)
		pull_fail(p, q, "something follows the value");
	return NULL;
}

bool hl_json_pull_next(struct hl_json_pull *p)
{
	struct reader r = { .start = p->start, .end = p->end };
	struct nesting n = { .max = HL_JSON_DEPTH_MAX - 1 };
	const char *name = p->rc || p->over ? NULL : pull_to_name(p);
	if (!name)
		return false;
	const char *value = scan_name(&r, name), *q = value;
	if (!value)
		return pull_fail(p, r.bad, r.why);
	int rc = scan_value(&r, &n, &q);
	if (rc != SCAN_OK)
		return pull_fail(p, r.bad, rc == SCAN_BAD ? r.why : "nested too deep");
	const char *close = value - 1;
	while (*close != '"')
		close--;
	p->key = hl_str_make(name + 1, (size_t)(close - name - 1));
	p->value = (struct hl_json){ type_of(*value), { value, (size_t)(q - value) } };
	p->at = q;
	return true;
}

int hl_json_pull_end(const struct hl_json_pull *p, struct hl_err *err)
{
	if (p->rc == HL_EINVAL)
		return hl_err_set(err, HL_EINVAL, "must be a JSON object");
	if (p->rc)
		return hl_err_set(err, p->rc, "%s at byte %zu", p->why, (size_t)(p->bad - p->start));
	return HL_OK;
}
