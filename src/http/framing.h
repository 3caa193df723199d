/* Where a head ends, and what its fields say about where the message goes and how long it is. */
#ifndef HL_HTTP_FRAMING_H
#define HL_HTTP_FRAMING_H

#include "http/headers.h"

struct hl_framing {
	unsigned hosts;           /* Host fields */
	unsigned encodings;       /* Transfer-Encoding fields */
	unsigned expects;         /* Expect fields with something in them */
	bool upgrade;             /* an Upgrade field is there */
	bool close;               /* Connection says so */
	struct hl_str host, encoding, expect; /* values; of several fields, the last */
};

/* Where a scan stands in a line; a head starts in the middle of its start line, trailers at the start of a line. */
enum { HL_LINE_MIDDLE, HL_LINE_CR, HL_LINE_START, HL_LINE_EMPTY_CR };
/* How much of `in` belongs to the head (or the trailers): all of it, or up to the empty line's last byte (*out_end), or up
 * to the first byte that programs read in different ways (*out_reason): a line that ends with CR or LF alone, one that
 * begins with a blank (it would continue the line before) or with a colon. *line is carried from piece to piece. */
size_t hl_framing_scan(uint8_t *line, struct hl_str in, bool *out_end, const char **out_reason);
/* One pass over the fields. Values lose the blanks around them, in the list too. */
void hl_framing_survey(struct hl_headers *h, struct hl_framing *out);
/* uri-host [":" port] of RFC 9110 §7.2, loosely: the letters of a name or an address, and a port. */
bool hl_framing_host_valid(struct hl_str host);

#endif
