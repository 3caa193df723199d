/* Where a head ends, and what its fields say about where the message goes and how long it is. */
#ifndef HL_HTTP_FRAMING_H
#define HL_HTTP_FRAMING_H

#include "http/headers.h"

struct hl_framing {
	unsigned hosts;           /* Host fields */
	unsigned encodings;       /* Transfer-Encoding fields */
	bool upgrade;             /* an Upgrade field is there */
	bool nameless;            /* a field without a name (llhttp takes it) */
	struct hl_str host, encoding, expect; /* values; of several fields, the last */
};

/* Where a scan stands in a line of the head; start in the middle of the start line. */
enum { HL_LINE_MIDDLE, HL_LINE_START, HL_LINE_CR };
/* How much of `in` belongs to the head; *out_end when that reaches its last byte. *line is carried from piece to piece.
 * SIZE_MAX for a folded line: what its field's value is would be a matter of opinion. */
size_t hl_framing_scan(uint8_t *line, struct hl_str in, bool *out_end);
/* One pass over the fields. Values lose the blanks around them, in the list too. */
void hl_framing_survey(struct hl_headers *h, struct hl_framing *out);
/* uri-host [":" port] of RFC 9110 §7.2, loosely: the letters of a name or an address, and a port. */
bool hl_framing_host_valid(struct hl_str host);

#endif
