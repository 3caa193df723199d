/* Where the server listens: the configured addresses and the sockets systemd handed over. Gathered before anything is
 * opened, so that the egress rule knows them; attached to the HTTP server when the store is ours. */
#ifndef HL_MAIN_LISTENERS_H
#define HL_MAIN_LISTENERS_H

#include "base/buf.h"
#include "http/server.h"
#include "main/config.h"

enum { HL_LISTENERS_INHERITED_MAX = 4, HL_LISTENERS_MAX = HL_CONFIG_LISTEN_MAX + HL_LISTENERS_INHERITED_MAX };

struct hl_listeners {
	struct {
		struct hl_addr addr;
		int fd;              /* -1 = to be bound; otherwise ours until attached */
	} v[HL_LISTENERS_MAX];
	unsigned n;
};

/* Takes LISTEN_PID and LISTEN_FDS out of the environment. Port 0 is bound here, because only then it is known. */
HL_MUST_CHECK int hl_listeners_gather(struct hl_listeners *l, const struct hl_config *c, struct hl_err *err);
/* Appends "address:port,…" of the TCP ones, for hl_options.own_listeners. */
void hl_listeners_own(const struct hl_listeners *l, struct hl_buf *out);
HL_MUST_CHECK int hl_listeners_attach(struct hl_listeners *l, struct hl_server *server, unsigned unix_mode, struct hl_err *err);
void hl_listeners_close(struct hl_listeners *l); /* what was not attached */

#endif
