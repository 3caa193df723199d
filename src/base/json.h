/* A strict RFC 8259 reader that validates a whole text in one pass and hands out slices, and an appending writer.
 *
 * Reading: hl_json_check first (whole text: grammar, UTF-8, depth), then walk it with cursors; the walkers trust a
 * checked text. Numbers keep their bytes. Strings are slices of the raw text between the quotes; hl_json_string decodes.
 * Why our own: an event's data must be delivered byte for byte, and every C library re-serialises, loses digits, is
 * 20 times slower, or accepts what is not JSON (docs/performance.md). */
#ifndef HL_BASE_JSON_H
#define HL_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include <hookline/error.h>

enum hl_json_type { HL_JSON_NULL, HL_JSON_BOOL, HL_JSON_NUMBER, HL_JSON_STRING, HL_JSON_ARRAY, HL_JSON_OBJECT };

enum { HL_JSON_DEPTH_MAX = 64 };

struct hl_json {
	enum hl_json_type type;
	struct hl_str raw;      /* the value's bytes, quotes and brackets included, no surrounding space */
};

/* Validates text (one value, surrounding white space allowed) and describes it. depth_max: nesting of arrays and objects.
 * HL_ESYNTAX with err->text telling what and at which byte; HL_ETOOBIG when too deep. */
HL_MUST_CHECK int hl_json_check(struct hl_str text, unsigned depth_max, struct hl_json *out, struct hl_err *err);

/* Walks the members of an object / elements of an array of a checked text. Start with zeroed iterator. */
struct hl_json_iter {
	const char *at, *end;
	struct hl_str key;      /* objects: raw bytes between the quotes; decode with hl_json_string when it has escapes */
	struct hl_json value;
};
void hl_json_each(struct hl_json_iter *it, struct hl_json container);
bool hl_json_next(struct hl_json_iter *it);
/* Member of an object by decoded name, the last of several; false when absent. */
bool hl_json_get(struct hl_json object, struct hl_str name, struct hl_json *out);

/* Decodes a string value (or raw key) into arena memory; no copy when there is nothing to decode. Lone surrogates are
 * HL_ESYNTAX, as is U+0000 when !allow_nul. */
HL_MUST_CHECK int hl_json_string(struct hl_arena *a, struct hl_json v, bool allow_nul, struct hl_str *out);
bool hl_json_i64(struct hl_json v, int64_t *out);  /* integers without fraction or exponent */
bool hl_json_bool(struct hl_json v, bool *out);

/* Reading an object against a table: each known member at most once, unknown ones refused or ignored. */
struct hl_json_field {
	const char *name;
	unsigned types;         /* bit set of 1 << enum hl_json_type that are allowed */
	bool required;
	bool seen;              /* out: present (also when null) */
	struct hl_json value;   /* out */
};
/* HL_EINVAL/HL_EDUPLICATE with err->field = prefix + "/name". refuse_unknown: an unlisted member is an error naming it. */
HL_MUST_CHECK int hl_json_object(struct hl_json object, struct hl_json_field *fields, size_t n, bool refuse_unknown,
		const char *prefix, struct hl_err *err);

/* The members of one object, checked as they are met: one pass over the text instead of a check and a walk, for texts that
 * come by the hundred thousand. What was handed out counts only when hl_json_pull_end says HL_OK.
 *
 *   hl_json_pull(&p, text);
 *   while (hl_json_pull_next(&p)) … p.key (raw bytes between the quotes), p.value …
 *   rc = hl_json_pull_end(&p, err);  // HL_ESYNTAX (also too deep); HL_EINVAL: JSON, but no object */
struct hl_json_pull {
	const char *start, *at, *end;
	struct hl_str key;
	struct hl_json value;
	bool inside;            /* behind the opening bracket */
	bool over;              /* behind the closing one */
	int rc;
	const char *bad;        /* first offending byte, when rc is not HL_OK */
	const char *why;
};
void hl_json_pull(struct hl_json_pull *p, struct hl_str text);
bool hl_json_pull_next(struct hl_json_pull *p);
HL_MUST_CHECK int hl_json_pull_end(const struct hl_json_pull *p, struct hl_err *err);

/* Writing: a state-free appender; commas are put by the writer. */
struct hl_jsonw {
	struct hl_buf *out;
	unsigned depth;
	bool need_comma;
};
void hl_jsonw_init(struct hl_jsonw *w, struct hl_buf *out);
void hl_jsonw_object(struct hl_jsonw *w);
void hl_jsonw_object_end(struct hl_jsonw *w);
void hl_jsonw_array(struct hl_jsonw *w);
void hl_jsonw_array_end(struct hl_jsonw *w);
void hl_jsonw_key(struct hl_jsonw *w, const char *name);        /* a literal without characters to escape */
void hl_jsonw_key_str(struct hl_jsonw *w, struct hl_str name);
void hl_jsonw_str(struct hl_jsonw *w, struct hl_str s);         /* escaped; invalid UTF-8 becomes U+FFFD */
void hl_jsonw_cstr(struct hl_jsonw *w, const char *s);
void hl_jsonw_u64(struct hl_jsonw *w, uint64_t v);
void hl_jsonw_i64(struct hl_jsonw *w, int64_t v);
void hl_jsonw_bool(struct hl_jsonw *w, bool v);
void hl_jsonw_null(struct hl_jsonw *w);
void hl_jsonw_raw(struct hl_jsonw *w, struct hl_str json);      /* bytes that are JSON already */
void hl_jsonw_time(struct hl_jsonw *w, hl_ms_t at_ms);          /* RFC 3339 string; null for 0 */
/* Appends s as a quoted JSON string, for code that builds text by hand. */
void hl_json_quote(struct hl_buf *out, struct hl_str s);

#endif
