/* The rules of this server for a complete head of a request. */
#ifndef HL_HTTP_JUDGE_H
#define HL_HTTP_JUDGE_H

#include "http/framing.h"

/* The status to refuse it with and *out_reason why, 0 when all is well. target: a slice of h->bytes. */
unsigned hl_request_judge(const struct hl_headers *h, const char *method, struct hl_str target, unsigned minor,
		const struct hl_framing *f, const char **out_reason);

#endif
