/* Reading members of a JSON request. Each reader takes a field that hl_json_object found: absent leaves *out alone, null
 * (where the field allows it) makes it zero or "", a wrong value is HL_EINVAL with the member's pointer in err->field. */
#ifndef HL_API_READER_H
#define HL_API_READER_H

#include "base/json.h"

struct hl_reader {
	struct hl_arena *arena; /* decoded strings live here */
	struct hl_err *err;
	bool lenient;           /* members nobody asks for are ignored, not refused */
};

/* Checks the whole text and takes its members. HL_ESYNTAX (also for too deep), HL_EINVAL, HL_EDUPLICATE. An empty text is
 * {} when `empty_ok`. */
HL_MUST_CHECK int hl_read_object(struct hl_reader *r, struct hl_str text, bool empty_ok, struct hl_json_field *fields,
		size_t n);

int hl_read_fail(struct hl_reader *r, const struct hl_json_field *f, const char *fmt, ...) HL_PRINTF(3, 4);
HL_MUST_CHECK int hl_read_text(struct hl_reader *r, const struct hl_json_field *f, size_t chars_max, struct hl_str *out);
HL_MUST_CHECK int hl_read_bool(struct hl_reader *r, const struct hl_json_field *f, bool *out);
HL_MUST_CHECK int hl_read_u32(struct hl_reader *r, const struct hl_json_field *f, uint32_t min, uint32_t max, uint32_t *out);
/* Seconds with up to three decimals, as milliseconds. */
HL_MUST_CHECK int hl_read_seconds(struct hl_reader *r, const struct hl_json_field *f, uint32_t min_ms, uint32_t max_ms,
		uint32_t *out_ms);
HL_MUST_CHECK int hl_read_time(struct hl_reader *r, const struct hl_json_field *f, hl_ms_t *out_at_ms);
/* A text that parse() (hl_format_parse and the like) knows; -1 from it is refused, `known` tells the choices. */
HL_MUST_CHECK int hl_read_name(struct hl_reader *r, const struct hl_json_field *f, int (*parse)(struct hl_str),
		const char *known, int *out);

/* 1–128 of [A-Za-z0-9_.-], the alphabet of event types and account ids. */
bool hl_word_valid(struct hl_str s, size_t max);

enum {
	HL_T_STRING = 1 << HL_JSON_STRING,
	HL_T_NUMBER = 1 << HL_JSON_NUMBER,
	HL_T_BOOL = 1 << HL_JSON_BOOL,
	HL_T_ARRAY = 1 << HL_JSON_ARRAY,
	HL_T_OBJECT = 1 << HL_JSON_OBJECT,
	HL_T_NULL = 1 << HL_JSON_NULL,
	HL_T_ANY = HL_T_STRING | HL_T_NUMBER | HL_T_BOOL | HL_T_ARRAY | HL_T_OBJECT | HL_T_NULL,
};

#endif
