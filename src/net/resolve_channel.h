/* One c-ares channel driven by the loop: asks for one name at a time per call, no cache, no merging. The only file
 * that knows c-ares. For resolve.c. */
#ifndef HL_NET_RESOLVE_CHANNEL_H
#define HL_NET_RESOLVE_CHANNEL_H

#include "net/addr.h"
#include <uv.h>

enum {
	HL_RESOLVE_ADDRS_MAX = 64,     /* of one name; one with more is refused, because all of them must be judged */
	HL_RESOLVE_SERVERS_MAX = 16,
};

struct hl_resolve_channel;

/* HL_OK: n ≥ 1 addresses with port 0 in the order to try them, good for ttl_ms. HL_ENOTFOUND: the servers say there
 * is no such name, no address for it, or too many. HL_EDNS: nobody could say. HL_ECLOSED: the channel was closed. text is
 * static. */
typedef void (*hl_resolve_channel_cb)(void *data, int status, const char *text, const struct hl_addr *addrs, size_t n,
		hl_ms_t ttl_ms);

/* servers: comma list "address[:port]"; "" = those of resolv.conf. try_ms: patience with one server at the first try,
 * doubled with each of two more. HL_EINVAL with the entry named, HL_ENOMEM, HL_EIO. */
HL_MUST_CHECK int hl_resolve_channel_create(struct hl_resolve_channel **out, uv_loop_t *loop, const char *servers,
		uint32_t try_ms, struct hl_err *err);
/* Ends every question with HL_ECLOSED before it returns; frees the channel and calls cb later. */
void hl_resolve_channel_close(struct hl_resolve_channel *c, void (*cb)(void *data), void *data);
/* name: lower-case host name, absolute although written without trailing dot. cb runs exactly once, perhaps before
 * this returns (a name found in the hosts file). */
void hl_resolve_channel_ask(struct hl_resolve_channel *c, const char *name, hl_resolve_channel_cb cb, void *data);

#endif
