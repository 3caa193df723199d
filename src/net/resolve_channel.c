/* c-ares without threads: it tells which descriptors it wants watched, one uv_poll each, and when it wants to be
 * woken, one uv_timer; ares_process_fd does the rest and calls back.
 *
 * c-ares closes a descriptor right after it said that it no longer wants it watched, so the poll is stopped inside
 * that call; the handle itself is closed in the background. If a descriptor cannot be watched for lack of memory, the
 * question times out like one that was never answered. A channel is closed by destroying the c-ares side first, which
 * ends all questions and watches, and then counting down the handles. */
#include "net/resolve_channel.h"

#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include <ares.h>
#include <stdlib.h>

enum { TRIES = 3 };

struct hl_resolve_channel {
	uv_loop_t *loop;
	ares_channel ares;
	uv_timer_t timer;
	struct hl_list watches;
	unsigned n_handles;          /* not yet closed */
	void (*on_closed)(void *data); /* set = closing */
	void *on_closed_data;
};

/* A descriptor of c-ares. */
struct watch {
	struct hl_list node;
	struct hl_resolve_channel *channel;
	ares_socket_t fd;
	uv_poll_t poll;
};

/* What a question needs until its answer. */
struct question {
	hl_resolve_channel_cb cb;
	void *data;
};

static void handle_closed(struct hl_resolve_channel *c)
{
	if (--c->n_handles > 0)
		return;
	void (*cb)(void *data) = c->on_closed;
	void *data = c->on_closed_data;
	HL_CHECK(cb);
	free(c);
	ares_library_cleanup();
	cb(data);
}

static void on_watch_closed(uv_handle_t *h)
{
	struct watch *w = h->data;
	struct hl_resolve_channel *c = w->channel;
	free(w);
	handle_closed(c);
}

static void on_timer_closed(uv_handle_t *h)
{
	handle_closed(h->data);
}

static void on_timer(uv_timer_t *timer);

/* Sleeps until c-ares needs us; at least a millisecond, because libuv 1.44 spins on 0. */
static void rearm(struct hl_resolve_channel *c)
{
	struct timeval tv;
	if (c->on_closed)
		return;
	if (ares_timeout(c->ares, NULL, &tv))
		HL_CHECK(uv_timer_start(&c->timer, on_timer, (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1,
				0) == 0);
	else
		uv_timer_stop(&c->timer);
}

static void on_timer(uv_timer_t *timer)
{
	struct hl_resolve_channel *c = timer->data;
	ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	rearm(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	struct hl_resolve_channel *c = w->channel;
	/* An error is left to c-ares, which meets it when it reads. */
	bool in = status < 0 || (events & UV_READABLE), out = status < 0 || (events & UV_WRITABLE);
	ares_process_fd(c->ares, in ? w->fd : ARES_SOCKET_BAD, out ? w->fd : ARES_SOCKET_BAD);
	rearm(c);
}

static struct watch *watch_open(struct hl_resolve_channel *c, ares_socket_t fd)
{
	struct watch *w = calloc(1, sizeof *w);
	if (!w || uv_poll_init(c->loop, &w->poll, fd)) {
		free(w);
		return NULL;
	}
	w->channel = c;
	w->fd = fd;
	w->poll.data = w;
	hl_list_push_back(&c->watches, &w->node);
	c->n_handles++;
	return w;
}

static void on_sock_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct hl_resolve_channel *c = data;
	struct watch *w = NULL;
	HL_LIST_EACH(n, &c->watches) {
		if (HL_LIST_ENTRY(n, struct watch, node)->fd == fd)
			w = HL_LIST_ENTRY(n, struct watch, node);
	}
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
	if (events) {
		if (!w)
			w = watch_open(c, fd);
		if (w)
			(void)uv_poll_start(&w->poll, events, on_poll);
	} else if (w) {
		hl_list_remove(&w->node);
		uv_poll_stop(&w->poll);
		uv_close((uv_handle_t *)&w->poll, on_watch_closed);
	}
}

/* "address[:port]" entries as c-ares wants them. */
static int set_servers(ares_channel ares, const char *list, struct hl_err *err)
{
	struct ares_addr_port_node nodes[HL_RESOLVE_SERVERS_MAX];
	size_t n = 0;
	struct hl_str rest = hl_str_from(list);
	memset(nodes, 0, sizeof nodes);
	while (rest.ptr) {
		struct hl_str entry = hl_str_trim(hl_str_split(&rest, ','));
		struct hl_addr a;
		if (n == HL_RESOLVE_SERVERS_MAX)
			return hl_err_field(err, HL_EINVAL, "egress.dns_servers", "more than %d servers", HL_RESOLVE_SERVERS_MAX);
		if (!hl_addr_parse_ip(entry, 53, &a) && (hl_addr_parse(entry, &a, NULL) || hl_addr_is_unix(&a)))
			return hl_err_field(err, HL_EINVAL, "egress.dns_servers",
					"\"%.*s\" is not an address with or without a port", (int)HL_MIN(entry.len, 80), entry.ptr);
		nodes[n].family = a.sa.sa_family;
		nodes[n].udp_port = nodes[n].tcp_port = hl_addr_port(&a);
		if (hl_addr_is_v4(&a))
			nodes[n].addr.addr4 = a.v4.sin_addr;
		else
			memcpy(&nodes[n].addr.addr6, &a.v6.sin6_addr, 16);
		if (n > 0)
			nodes[n - 1].next = &nodes[n];
		n++;
	}
	return ares_set_servers_ports(ares, nodes) == ARES_SUCCESS ? HL_OK : hl_err_set(err, HL_ENOMEM, "out of memory");
}

static int ares_open(struct hl_resolve_channel *c, const char *servers, uint32_t try_ms, struct hl_err *err)
{
	struct ares_options o = {
		/* Names are absolute: no search list, no "ndots", no $HOSTALIASES. */
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = (int)try_ms,
		.tries = TRIES,
		.lookups = (char *)(uintptr_t)"fb",
		.sock_state_cb = on_sock_state,
		.sock_state_cb_data = c,
	};
	int rc = ares_init_options(&c->ares, &o, ARES_OPT_FLAGS | ARES_OPT_NDOTS | ARES_OPT_DOMAINS | ARES_OPT_TIMEOUTMS
			| ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
	if (rc != ARES_SUCCESS)
		return hl_err_set(err, rc == ARES_ENOMEM ? HL_ENOMEM : HL_EIO, "resolver: %s", ares_strerror(rc));
	rc = hl_str_trim(hl_str_from(servers)).len ? set_servers(c->ares, servers, err) : HL_OK;
	if (rc)
		ares_destroy(c->ares);
	return rc;
}

int hl_resolve_channel_create(struct hl_resolve_channel **out, uv_loop_t *loop, const char *servers, uint32_t try_ms,
		struct hl_err *err)
{
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	struct hl_resolve_channel *c = calloc(1, sizeof *c);
	int rc = c ? HL_OK : hl_err_set(err, HL_ENOMEM, "out of memory");
	if (c) {
		c->loop = loop;
		hl_list_init(&c->watches);
		rc = ares_open(c, servers, try_ms, err);
	}
	if (rc) {
		free(c);
		ares_library_cleanup();
		return rc;
	}
	uv_timer_init(loop, &c->timer);
	c->timer.data = c;
	c->n_handles = 1;
	*out = c;
	return HL_OK;
}

void hl_resolve_channel_close(struct hl_resolve_channel *c, void (*cb)(void *data), void *data)
{
	HL_CHECK(!c->on_closed && cb);
	c->on_closed = cb;
	c->on_closed_data = data;
	ares_destroy(c->ares);
	HL_CHECK(hl_list_empty(&c->watches));
	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

/* Addresses and shortest TTL of an answer; more than HL_RESOLVE_ADDRS_MAX when not all of them fit. */
static size_t collect(const struct ares_addrinfo *ai, struct hl_addr *out, hl_ms_t *out_ttl_ms)
{
	size_t n = 0;
	hl_ms_t ttl_ms = INT32_MAX;
	for (const struct ares_addrinfo_node *i = ai->nodes; i; i = i->ai_next) {
		if (n == HL_RESOLVE_ADDRS_MAX)
			return n + 1;
		if (hl_addr_from_sockaddr(i->ai_addr, (socklen_t)i->ai_addrlen, &out[n]))
			n++;
		ttl_ms = HL_MIN(ttl_ms, (hl_ms_t)i->ai_ttl * 1000);
	}
	for (const struct ares_addrinfo_cname *i = ai->cnames; i; i = i->next)
		ttl_ms = HL_MIN(ttl_ms, (hl_ms_t)i->ttl * 1000);
	*out_ttl_ms = ttl_ms;
	return n;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
	struct question q = *(struct question *)arg;
	struct hl_addr addrs[HL_RESOLVE_ADDRS_MAX];
	hl_ms_t ttl_ms = 0;
	size_t n = 0;
	(void)timeouts;
	free(arg);
	if (ai) {
		n = status == ARES_SUCCESS ? collect(ai, addrs, &ttl_ms) : 0;
		ares_freeaddrinfo(ai);
	}
	if (n > HL_RESOLVE_ADDRS_MAX)
		q.cb(q.data, HL_ENOTFOUND, "the name has more addresses than are looked at", NULL, 0, 0);
	else if (n > 0)
		q.cb(q.data, HL_OK, "", addrs, n, ttl_ms);
	else if (status == ARES_SUCCESS || status == ARES_ENODATA)
		q.cb(q.data, HL_ENOTFOUND, "the name has no address", NULL, 0, 0);
	else if (status == ARES_ENOTFOUND)
		q.cb(q.data, HL_ENOTFOUND, "no such name", NULL, 0, 0);
	else if (status == ARES_EDESTRUCTION)
		q.cb(q.data, HL_ECLOSED, "the resolver was closed", NULL, 0, 0);
	else
		q.cb(q.data, HL_EDNS, status == ARES_ETIMEOUT ? "no answer from the name servers in time"
				: ares_strerror(status), NULL, 0, 0);
}

void hl_resolve_channel_ask(struct hl_resolve_channel *c, const char *name, hl_resolve_channel_cb cb, void *data)
{
	/* CARES_HOSTS lets tests and odd installations replace /etc/hosts. */
	struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_ENVHOSTS, .ai_family = AF_UNSPEC,
			.ai_socktype = SOCK_STREAM };
	struct question *q = malloc(sizeof *q);
	if (!q) {
		cb(data, HL_EDNS, "out of memory", NULL, 0, 0);
		return;
	}
	*q = (struct question){ .cb = cb, .data = data };
	ares_getaddrinfo(c->ares, name, NULL, &hints, on_answer, q);
	rearm(c);
}
