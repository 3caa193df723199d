/* An absolute http or https URL, taken apart, checked and normalised.
 *
 * What is refused and why stands beside each rule in url.c. Whether the host may be reached is not judged here: the
 * egress rule does that, on names and on resolved addresses. */
#ifndef HL_HTTP_URL_H
#define HL_HTTP_URL_H

#include "base/arena.h"
#include <hookline/webhook.h>

enum hl_host_kind { HL_HOST_NAME, HL_HOST_IPV4, HL_HOST_IPV6 };

struct hl_url {
	bool https;
	enum hl_host_kind host_kind;
	uint16_t port;            /* explicit or the scheme's */
	struct hl_str host;       /* lower case, no brackets, no trailing dot; ends in NUL; for DNS, SNI and certificates */
	struct hl_str authority;  /* host, in brackets if IPv6, with the port unless it is the scheme's: the Host header */
	struct hl_str target;     /* path and query, at least "/" */
	struct hl_str text;       /* the whole URL, normalised; ends in NUL */
};

/* Slices of *out live in `a`. HL_EURL with err->text naming the rule; HL_ENOMEM. *out is written only on success. */
HL_MUST_CHECK int hl_url_parse(struct hl_str in, struct hl_arena *a, struct hl_url *out, struct hl_err *err);

#endif
