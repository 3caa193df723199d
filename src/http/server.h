/* The inbound HTTP/1.1 server: listening sockets and connections; requests go to one handler (http/request.h). */
#ifndef HL_HTTP_SERVER_H
#define HL_HTTP_SERVER_H

#include "http/connection.h"
#include "net/addr.h"
#include <uv.h>

struct hl_server;

void hl_server_options_init(struct hl_server_options *o);

/* o and handler are copied; handler->data is borrowed. HL_EINVAL, HL_ENOMEM. */
HL_MUST_CHECK int hl_server_open(struct hl_server **out, uv_loop_t *loop, const struct hl_server_options *o,
		const struct hl_request_handler *handler, struct hl_err *err);
/* Before or after the loop runs; several times. See net/listener.h for the errors. */
HL_MUST_CHECK int hl_server_listen(struct hl_server *s, const struct hl_addr *addr, unsigned unix_mode, struct hl_err *err);
HL_MUST_CHECK int hl_server_listen_fd(struct hl_server *s, int fd, struct hl_err *err);
unsigned hl_server_listeners(const struct hl_server *s);
const struct hl_addr *hl_server_listener_addr(const struct hl_server *s, unsigned i);
const struct hl_server_stats *hl_server_stats(const struct hl_server *s);

/* Stops listening, closes idle connections, lets requests finish (their answers say Connection: close). cb runs once,
 * later, when no connection is left; hl_server_close must still follow. Once only. */
void hl_server_drain(struct hl_server *s, void (*cb)(void *data), void *data);
/* Breaks off what is left (on_abort for requests under way, before this returns), frees the server, then cb. A drain
 * under way is not told any more. */
void hl_server_close(struct hl_server *s, void (*cb)(void *data), void *data);

#endif
