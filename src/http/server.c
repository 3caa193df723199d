/* The inbound server: options, listening sockets, and the order in which it all ends.
 *
 * Open: the hub (what connections share) and the listener. A connection comes: it is created, accepted and started; when
 * its memory is gone the listener may accept another one in its place. While few places are left, another one that rests
 * is closed for each that comes; when none rests, those who come wait in the kernel's backlog.
 * Drain: the listener closes, idle connections are closed, the others end with the answer they are at; told when none
 * is left. Close: whatever is left is broken off, then listener, hub and server go, in that order, each after the
 * callbacks of the one before. */
#include "http/server.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/err.h"
#include "net/listener.h"
#include <hookline/dispatcher.h>
#include <stdlib.h>

enum {
	ACCEPT_AGAIN_MS = 100,
	SPARE_SHARE = 16,          /* one place in so many is kept free, for those who come meanwhile */
	CROWDED_TELL_MS = 10000,   /* the log hears of a crowd this often */
};
enum server_state { OPEN, DRAINING, DRAINED, CLOSING };

struct hl_server {
	enum server_state state;
	struct hl_connection_hub hub;
	struct hl_listener listener;
	struct hl_deadline accept_again; /* set when a connection could not be taken for want of memory */
	bool listening;              /* the listener is not closed yet */
	bool listener_closing;
	bool hub_closing;
	void (*on_drained)(void *data);
	void *on_drained_data;
	void (*on_closed)(void *data);
	void *on_closed_data;
};

void hl_server_options_init(struct hl_server_options *o)
{
	*o = (struct hl_server_options){
		.connections_max = 1024,
		.head_timeout_ms = 10000,
		.body_timeout_ms = 30000,
		.idle_timeout_ms = 65000,
		.write_timeout_ms = 30000,
		.linger_timeout_ms = 2000,
		.body_max = 1 << 20,
		.stream_rate_min = 1024,
		.writable_mark = 1 << 20,
		.answer_max = 64 << 20,
		.limits = hl_request_limits,
	};
}

static void step_down(struct hl_server *s);

/* Who has rested longest and owes the client nothing; failing that, the first of those who do. NULL when all are busy. */
static struct hl_connection *idlest(struct hl_connection_hub *hub)
{
	for (struct hl_list *node; (node = hl_list_pop_front(&hub->resting));) {
		struct hl_connection *c = HL_LIST_ENTRY(node, struct hl_connection, rest_node);
		if (!hl_connection_unwritten(c))
			return c;
		hl_list_push_back(&hub->owing, node);
	}
	return hl_list_empty(&hub->owing) ? NULL : HL_LIST_ENTRY(hub->owing.next, struct hl_connection, rest_node);
}

/* Few places are left. Requests under way are never given up, so a crowd that connects and does not ask, or does not read
 * its answers, shuts nobody out. */
static void make_room(struct hl_connection_hub *hub)
{
	struct hl_connection *c = idlest(hub);
	hl_ms_t now_ms = (hl_ms_t)uv_now(hub->loop);
	if (!c)
		return;
	hub->stats.dropped++;
	hl_connection_close(c);
	if (hub->crowded_told_ms && now_ms - hub->crowded_told_ms < CROWDED_TELL_MS)
		return;
	hub->crowded_told_ms = now_ms;
	if (hub->o.log)
		hl_log(hub->o.log, HL_LOG_WARN, "http.crowded", "connections=%u max=%u under_way=%u dropped=%llu", hub->n_open,
				hub->o.connections_max, hub->n_live, (unsigned long long)hub->stats.dropped);
}

static void on_connection(struct hl_listener *l, struct hl_listener_socket *socket)
{
	struct hl_server *s = l->data;
	uint32_t max = s->hub.o.connections_max;
	if (s->hub.n_open >= max - HL_MAX(max / SPARE_SHARE, 1))
		make_room(&s->hub);
	struct hl_connection *c = hl_connection_create(&s->hub, socket->is_pipe);
	if (!c) {
		int rc = hl_deadline_set(&s->hub.deadlines, &s->accept_again, ACCEPT_AGAIN_MS);
		(void)rc; /* without memory for that too, it is offered again when another connection goes */
		return;
	}
	if (hl_listener_accept(socket, &c->stream)) {
		hl_connection_close(c);
		return;
	}
	hl_connection_start(c);
	uv_os_fd_t fd;
	const struct hl_server_options *o = &s->hub.o;
	if (o->admit && (uv_fileno((uv_handle_t *)&c->stream, &fd) || !o->admit(o->admit_data, fd)))
		hl_connection_close(c);
}

static void on_accept_again(struct hl_deadline *d)
{
	struct hl_server *s = HL_CONTAINER_OF(d, struct hl_server, accept_again);
	if (s->listening && !s->listener_closing)
		hl_listener_resume(&s->listener);
}

static void on_gone(struct hl_connection_hub *hub, bool accepted)
{
	struct hl_server *s = HL_CONTAINER_OF(hub, struct hl_server, hub);
	if (accepted && s->listening)
		hl_listener_release(&s->listener);
	step_down(s);
}

int hl_server_open(struct hl_server **out, uv_loop_t *loop, const struct hl_server_options *o,
		const struct hl_request_handler *handler, struct hl_err *err)
{
	struct hl_server_options opt = *o;
	if (!handler->on_request || !handler->on_abort)
		return hl_err_set(err, HL_EINVAL, "the handler needs on_request and on_abort");
	if (opt.connections_max == 0 || opt.stream_rate_min == 0 || opt.limits.head_max > HL_HEAD_CAP
			|| opt.limits.headers_max > HL_HEADERS_CAP)
		return hl_err_set(err, HL_EINVAL, "a limit of the HTTP server is out of range");
	if (!opt.env)
		opt.env = &hl_env_real;
	if (!opt.connections_soft)
		opt.connections_soft = HL_MAX(opt.connections_max - opt.connections_max / 4, 1);
	struct hl_server *s = calloc(1, sizeof(*s));
	if (!s)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	int rc = hl_connection_hub_init(&s->hub, loop, &opt, handler);
	if (rc) {
		free(s);
		return hl_err_set(err, rc, "out of memory");
	}
	s->hub.on_gone = on_gone;
	hl_deadline_init(&s->accept_again, on_accept_again);
	hl_listener_init(&s->listener, loop, opt.connections_max, on_connection, s);
	s->listening = true;
	*out = s;
	return 0;
}

int hl_server_listen(struct hl_server *s, const struct hl_addr *addr, unsigned unix_mode, struct hl_err *err)
{
	if (s->state != OPEN)
		return hl_err_set(err, HL_ECLOSED, "the server is closing");
	return hl_listener_add(&s->listener, addr, unix_mode, err);
}

int hl_server_listen_fd(struct hl_server *s, int fd, struct hl_err *err)
{
	if (s->state != OPEN)
		return hl_err_set(err, HL_ECLOSED, "the server is closing");
	return hl_listener_add_fd(&s->listener, fd, err);
}

unsigned hl_server_listeners(const struct hl_server *s)
{
	return s->listener.n_sockets;
}

const struct hl_addr *hl_server_listener_addr(const struct hl_server *s, unsigned i)
{
	return hl_listener_addr(&s->listener, i);
}

const struct hl_server_stats *hl_server_stats(const struct hl_server *s)
{
	return &s->hub.stats;
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

static void on_hub_closed(void *data)
{
	struct hl_server *s = data;
	void (*cb)(void *) = s->on_closed;
	void *cb_data = s->on_closed_data;
	free(s);
	cb(cb_data);
}

static void on_listener_closed(struct hl_listener *l)
{
	struct hl_server *s = l->data;
	s->listening = false;
	step_down(s);
}

static void close_listener(struct hl_server *s)
{
	if (s->listener_closing)
		return;
	s->listener_closing = true;
	hl_listener_close(&s->listener, on_listener_closed);
}

/* Called whenever something has gone: is it all gone? */
static void step_down(struct hl_server *s)
{
	if (s->listening || s->hub.stats.connections > 0)
		return;
	if (s->state == DRAINING) {
		s->state = DRAINED;
		s->on_drained(s->on_drained_data);
	} else if (s->state == CLOSING && !s->hub_closing) {
		s->hub_closing = true;
		hl_deadline_remove(&s->hub.deadlines, &s->accept_again);
		hl_connection_hub_close(&s->hub, on_hub_closed, s);
	}
}

void hl_server_drain(struct hl_server *s, void (*cb)(void *data), void *data)
{
	HL_CHECK(s->state == OPEN);
	s->state = DRAINING;
	s->on_drained = cb;
	s->on_drained_data = data;
	s->hub.draining = true;
	HL_LIST_EACH(it, &s->hub.connections) {
		struct hl_connection *c = HL_LIST_ENTRY(it, struct hl_connection, node);
		if (hl_connection_quiet(c))
			hl_connection_close(c);
	}
	close_listener(s);
}

void hl_server_close(struct hl_server *s, void (*cb)(void *data), void *data)
{
	HL_CHECK(s->state != CLOSING);
	bool drained = s->state == DRAINED;
	s->state = CLOSING;
	s->on_closed = cb;
	s->on_closed_data = data;
	while (!hl_list_empty(&s->hub.connections))
		hl_connection_abort(HL_LIST_ENTRY(s->hub.connections.next, struct hl_connection, node));
	close_listener(s);
	if (drained)
		step_down(s);
}
