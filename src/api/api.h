/* The HTTP API: everything between a request and the library.
 *
 * The main program opens dispatcher, service and api, and gives hl_api_handler() to its HTTP servers: one for its public
 * listeners, one (trusted) for DIR/control.sock, whose peers it has judged by their credentials.
 * To stop: hl_api_drain, drain and close the servers, hl_service_close, hl_dispatcher_close, then hl_api_destroy. */
#ifndef HL_API_API_H
#define HL_API_API_H

#include "http/server.h"
#include "service/service.h"
#include <hookline/alert.h>

struct hl_api;

struct hl_api_options {
	uv_loop_t *loop;               /* the dispatcher's */
	struct hl_dispatcher *dispatcher;
	struct hl_service *service;
	struct hl_alerts *alerts;
	const struct hl_env *env;      /* NULL = the real one */
	const struct hl_log *log;      /* NULL = none */
	const char *version;           /* for build_info; borrowed for good. NULL = "" */
	uint32_t body_max;             /* bytes of one event in a batch; give the servers the same. 0 = 1 MiB */
};

/* HL_ENOMEM. */
HL_MUST_CHECK int hl_api_create(struct hl_api **out, const struct hl_api_options *o, struct hl_err *err);
/* Every request must have ended: servers closed, dispatcher closed. */
void hl_api_destroy(struct hl_api *api);
/* trusted: requests act as admin without a key. The api must outlive the server. */
struct hl_request_handler hl_api_handler(struct hl_api *api, bool trusted);
/* Its counters appear in /metrics; at most 4. Take it off before it is closed. */
void hl_api_add_server(struct hl_api *api, const struct hl_server *server);
void hl_api_remove_server(struct hl_api *api, const struct hl_server *server);
/* From now on /readyz says shutting_down. */
void hl_api_drain(struct hl_api *api);

#endif
