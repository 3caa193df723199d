/* A bounded list of header fields, held as offsets into one buffer, and the rules for fields that users may add. */
#ifndef HL_HTTP_HEADERS_H
#define HL_HTTP_HEADERS_H

#include "base/buf.h"
#include <hookline/error.h>

enum {
	HL_HEADERS_CAP = 128,       /* entries a list can hold; the limit in force is hl_message_limits.headers_max */
	HL_HEAD_CAP = 65535,        /* bytes of head an entry's offsets can name */
};

struct hl_header_entry {
	uint16_t name_at, name_len;   /* offsets into hl_headers.bytes */
	uint16_t value_at, value_len; /* value without surrounding blanks */
};

struct hl_headers {
	struct hl_buf bytes;          /* the whole head as it came */
	uint16_t n;
	struct hl_header_entry v[HL_HEADERS_CAP];
};

struct hl_header hl_headers_at(const struct hl_headers *h, size_t i);
/* First field of that name (ASCII case-insensitive); false when absent. */
bool hl_headers_get(const struct hl_headers *h, struct hl_str name, struct hl_str *out_value);
unsigned hl_headers_count(const struct hl_headers *h, struct hl_str name);
/* True when the comma list in any field `name` holds `token` (case-insensitive), e.g. Connection: close. */
bool hl_headers_has_token(const struct hl_headers *h, struct hl_str name, struct hl_str token);

bool hl_header_name_valid(struct hl_str name);   /* RFC 9110 token, 1–256 bytes */
bool hl_header_value_valid(struct hl_str value); /* visible ASCII, inner blanks and obs-text; no control byte */
/* May a user add this field to the requests of a webhook? HL_EINVAL with err->text naming the rule: token and visible
 * bytes only; no Host, no length or framing, no hop-by-hop field, nothing that begins with "webhook-" or "hookline-". */
HL_MUST_CHECK int hl_header_check_custom(struct hl_str name, struct hl_str value, struct hl_err *err);

/* ---- writing heads: appending to *out ---- */

const char *hl_status_phrase(unsigned status);            /* "OK"; "" for an unknown one */
void hl_head_status(struct hl_buf *out, unsigned status); /* "HTTP/1.1 200 OK" */
/* Bytes that would end a line or are control bytes become spaces: no value can add a field. */
void hl_head_field(struct hl_buf *out, struct hl_str name, struct hl_str value);
void hl_head_field_u64(struct hl_buf *out, struct hl_str name, uint64_t value);
void hl_head_end(struct hl_buf *out);                     /* the empty line */

#endif
