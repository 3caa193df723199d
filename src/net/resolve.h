/* Names to addresses: c-ares on the loop, no threads, with a small cache in front.
 *
 *   if (hl_resolver_get(r, host, &addrs, &n) == HL_OK)      known already: use them, no callback
 *   else rc = hl_resolve_start(r, &w, host, on_resolved, me)  otherwise ask; on_resolved runs once, later
 *
 * Names are absolute: the search list is never used. /etc/hosts (or the file named by $CARES_HOSTS) comes first, then
 * DNS for A and AAAA. The answer is all addresses, in the order to try them. */
#ifndef HL_NET_RESOLVE_H
#define HL_NET_RESOLVE_H

#include "base/env.h"
#include "base/list.h"
#include "net/resolve_cache.h"
#include "net/resolve_channel.h"
#include <uv.h>

enum {
	HL_RESOLVE_HOST_MAX = 253,      /* bytes of a name, without trailing dot */
	HL_RESOLVE_QUERIES_MAX = 1024,  /* names being asked for at once; more is HL_EBUSY */
	HL_RESOLVE_TTL_MIN_MS = 5000,   /* shorter TTLs are kept this long */
	HL_RESOLVE_TTL_MAX_MS = 300000,
	HL_RESOLVE_NEGATIVE_MS = 5000,  /* "no such name", and any other failure, is kept this long */
	HL_RESOLVE_BUDGET_MS = 5000,    /* default for a whole look-up */
};

struct hl_resolver;

struct hl_resolver_options {
	const char *servers;     /* comma list "address[:port]" ("[v6]:port"); NULL or "" = the system's */
	uint32_t budget_ms;      /* for one look-up, all tries included; 0 = HL_RESOLVE_BUDGET_MS */
};

/* status HL_OK: addrs[0 … n-1], n ≥ 1, port 0, borrowed until the callback returns. HL_EDNS: `text` says why ("no such
 * name", "no answer from the name servers in 5000 ms", …); static. HL_ECANCELED: the resolver was closed. */
typedef void (*hl_resolve_cb)(void *data, int status, const struct hl_addr *addrs, size_t n, const char *text);

/* One wait for one name; embedded in its owner, zeroed before first use. */
struct hl_resolve {
	struct hl_list node;       /* in its query, or in the resolver's list of answers to hand out */
	struct hl_resolve_answer *answer;     /* counted; set while waiting to be handed out */
	struct hl_resolver *resolver;     /* NULL when not waiting */
	hl_resolve_cb cb;
	void *data;
};

/* Errors: HL_EINVAL (servers), HL_ENOMEM, HL_EIO. env is borrowed and must outlive the resolver. */
HL_MUST_CHECK int hl_resolver_create(struct hl_resolver **out, uv_loop_t *loop, const struct hl_env *env,
		const struct hl_resolver_options *o, struct hl_err *err);
/* Every waiter is told HL_ECANCELED, then cb runs and the resolver is gone. */
void hl_resolver_close(struct hl_resolver *r, void (*cb)(void *data), void *data);
/* Reads resolv.conf and hosts again and empties the cache; look-ups under way are asked anew. On error all stays as
 * it was. */
HL_MUST_CHECK int hl_resolver_reload(struct hl_resolver *r, struct hl_err *err);

/* What is known without asking: an IP literal, or a fresh cached answer. HL_OK (addresses borrowed until control
 * returns to the loop or the next call on r), else HL_EAGAIN: use hl_resolve_start, which also hands out a cached
 * failure. */
HL_MUST_CHECK int hl_resolver_get(struct hl_resolver *r, struct hl_str host, const struct hl_addr **out_addrs,
		size_t *out_n);
/* Looks up, merging with a look-up under way for the same name. Non-zero (HL_EINVAL: empty or over-long name,
 * HL_EBUSY, HL_ECLOSED, HL_ENOMEM): cb never runs. Zero: exactly once, never before this returns. */
HL_MUST_CHECK int hl_resolve_start(struct hl_resolver *r, struct hl_resolve *w, struct hl_str host,
		hl_resolve_cb cb, void *data);
/* Stops waiting: cb will not run, *w is free for reuse at once. Not waiting: nothing. The look-up itself goes on and
 * feeds the cache. */
void hl_resolve_cancel(struct hl_resolve *w);
static inline bool hl_resolve_waiting(const struct hl_resolve *w) { return w->resolver != NULL; }

uint64_t hl_resolver_queries(const struct hl_resolver *r); /* names asked for past the cache, ever */
size_t hl_resolver_cached(const struct hl_resolver *r);    /* names in the cache now */

#endif
