/* What the fields of a head say about where the message goes and how long it is. */
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

/* One pass over the fields. Values lose the blanks around them, in the list too. */
void hl_framing_survey(struct hl_headers *h, struct hl_framing *out);
/* uri-host [":" port] of RFC 9110 §7.2, loosely: the letters of a name or an address, and a port. */
bool hl_framing_host_valid(struct hl_str host);

#endif
