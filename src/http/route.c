/* From a URL to a connection: the part of an exchange before its request is sent.
 *
 * Port and host are judged, the name is looked up, every address is judged, a kept connection is taken or the addresses
 * are tried in turn, each with an equal share of what is left of the connect timeout. Failures: exchange.c's story. */
#include "base/defs.h"
#include "base/err.h"
#include "http/exchange.h"
#include <stdio.h>

static const char not_allowed[] = "the address is not allowed";

static void blocked(struct hl_exchange *x, const char *what, const char *reason)
{
	(void)snprintf(x->result.detail, sizeof(x->result.detail), "%s: %s", what, reason);
	hl_exchange_fail(x, HL_CLASS_BLOCKED_ADDRESS, "%s", not_allowed);
}

static void note_error(struct hl_exchange *x, const struct hl_err *err)
{
	x->result.error_class = hl_conn_class(err->code);
	if (err->code == HL_EBLOCKED) {
		(void)snprintf(x->result.detail, sizeof(x->result.detail), "%.190s", err->text);
		(void)snprintf(x->result.text, sizeof(x->result.text), "%s", not_allowed);
		return;
	}
	(void)snprintf(x->result.text, sizeof(x->result.text), "%.190s", *err->text ? err->text : hl_strerror(err->code));
}

static void connect_next(struct hl_exchange *x);

/* A connection attempt failed: the next address may do better, unless the trouble is not with the address. */
void hl_exchange_connect_failed(struct hl_exchange *x, const struct hl_err *err)
{
	x->result.connect_ms = x->pc->conn.connect_ms;
	x->result.tls_ms = x->pc->conn.tls_ms;
	if (err->code != HL_EBLOCKED) /* where a connection ended up instead is nothing for the webhook's owner */
		(void)snprintf(x->result.address, sizeof(x->result.address), "%s", x->pc->conn.address);
	note_error(x, err);
	bool tcp_failed = x->pc->conn.connect_ms < 0;
	hl_exchange_let_go(x);
	if (tcp_failed && err->code != HL_EBLOCKED && err->code != HL_ENOMEM)
		connect_next(x);
	else
		hl_exchange_end(x);
}

/* This address took its share of the connect timeout. (The last one is the hub's to time out.) */
static void on_connect_until(struct hl_deadline *d)
{
	struct hl_exchange *x = HL_CONTAINER_OF(d, struct hl_exchange, connect_until);
	if (x->state != HL_EXCHANGE_CONNECTING || x->pc->conn.state != HL_CONN_CONNECTING)
		return;
	struct hl_err err = { 0 };
	(void)hl_err_set(&err, HL_ETIMEDOUT, "no connection in time");
	hl_exchange_connect_failed(x, &err);
}

/* A kept connection to one of the addresses: true when there was one and the request is on its way (or has failed). */
static bool reuse(struct hl_exchange *x)
{
	struct hl_pool_key key;
	for (unsigned i = 0; i < x->n_addrs && !x->fresh; i++) {
		hl_pool_key_make(&key, x->request.url, &x->addrs[i]);
		x->pc = hl_pool_take(&x->client->pool, &key, &hl_exchange_ops, x);
		if (!x->pc)
			continue;
		x->result.reused = true;
		x->result.resumed = x->pc->conn.resumed;
		x->result.connect_ms = x->result.tls_ms = -1;
		hl_exchange_send(x);
		return true;
	}
	return false;
}

/* The share of the connect timeout for the address at hand, the rest being left to those after it. */
static void limit_connect(struct hl_exchange *x)
{
	hl_ms_t now_ms = (hl_ms_t)uv_now(x->client->loop);
	unsigned left = (unsigned)x->n_addrs - x->addr_next; /* after this one */
	if (!x->connect_by_ms)
		x->connect_by_ms = now_ms + x->client->connect_timeout_ms;
	if (left == 0 && x->n_addrs == 1)
		return;
	hl_ms_t share_ms = (x->connect_by_ms - now_ms) / (hl_ms_t)(left + 1);
	if (hl_deadline_set(&x->client->deadlines, &x->connect_until, share_ms))
		return; /* without memory for it, the hub's limit applies */
}

static bool try_connect(struct hl_exchange *x)
{
	while (x->addr_next < x->n_addrs) {
		struct hl_err err = { 0 };
		struct hl_pool_key key;
		struct hl_conn_target t = {
			.addr = x->addrs[x->addr_next],
			.host = x->request.url->host,
			.tls = x->request.url->https,
			.trusted = x->trusted,
		};
		hl_pool_key_make(&key, x->request.url, &t.addr);
		int rc = hl_pool_connect(&x->client->pool, &key, &t, &hl_exchange_ops, x, &x->pc, &err);
		if (rc == HL_EAGAIN)
			return false;
		x->addr_next++;
		if (rc == 0) {
			hl_exchange_move(x, HL_EXCHANGE_CONNECTING);
			limit_connect(x);
			return true;
		}
		if (!err.code)
			(void)hl_err_set(&err, rc, "%s", hl_strerror(rc));
		x->pc = NULL;
		note_error(x, &err);
	}
	hl_exchange_end(x); /* with the last address's error */
	return true;
}

static void connect_next(struct hl_exchange *x)
{
	if (try_connect(x))
		return;
	hl_exchange_move(x, HL_EXCHANGE_WAITING);
	hl_pool_wait(&x->client->pool, &x->waiter);
}

/* Our turn in the pool's line. */
static bool on_room(struct hl_pool_waiter *w)
{
	struct hl_exchange *x = HL_CONTAINER_OF(w, struct hl_exchange, waiter);
	return reuse(x) || try_connect(x);
}

/* ---- addresses ------------------------------------------------------------------------------------------------------- */

/* All addresses must pass; the first few are kept for connecting. */
static void got_addresses(struct hl_exchange *x, const struct hl_addr *addrs, size_t n)
{
	const struct hl_egress *e = &x->client->egress;
	const struct hl_url *url = x->request.url;
	const char *reason = "";
	bool any = x->request.allow_any_address;
	for (size_t i = 0; !any && i < n; i++) {
		char text[HL_ADDR_TEXT_CAP];
		if (!hl_egress_judge_answer(e, url->host, &addrs[i], 1, url->port, &reason))
			continue;
		(void)hl_addr_format_ip(&addrs[i], text);
		blocked(x, text, reason);
		return;
	}
	x->n_addrs = x->addr_next = 0;
	for (size_t i = 0; i < n; i++) {
		struct hl_addr a = addrs[i];
		hl_addr_set_port(&a, url->port);
		if (any && hl_egress_is_own(e, &a)) {
			blocked(x, "own listener", "the address is ours");
			return;
		}
		if (x->n_addrs < HL_EXCHANGE_ADDRS_MAX)
			x->addrs[x->n_addrs++] = a;
	}
	x->trusted = any || hl_egress_trusts(e, url->host);
	if (!reuse(x))
		connect_next(x);
}

static void on_resolved(void *data, int status, const struct hl_addr *addrs, size_t n, const char *text)
{
	struct hl_exchange *x = data;
	x->result.dns_ms = hl_exchange_since_ms(x, x->phase_ms);
	if (status)
		hl_exchange_fail(x, HL_CLASS_DNS, "%s", text ? text : hl_strerror(status));
	else
		got_addresses(x, addrs, n);
}

void hl_exchange_resolve(struct hl_exchange *x)
{
	struct hl_resolver *r = x->client->resolver;
	const struct hl_url *url = x->request.url;
	const struct hl_addr *addrs;
	size_t n;
	int rc = hl_resolver_get(r, url->host, &addrs, &n);
	if (rc == 0) {
		x->result.dns_ms = url->host_kind == HL_HOST_NAME ? 0 : -1;
		got_addresses(x, addrs, n);
		return;
	}
	x->phase_ms = hl_env_mono_ms(x->client->env);
	rc = hl_resolve_start(r, &x->resolve, url->host, on_resolved, x);
	if (rc)
		hl_exchange_fail(x, HL_CLASS_DNS, "the name cannot be looked up: %s", hl_strerror(rc));
}

void hl_exchange_route(struct hl_exchange *x)
{
	const struct hl_egress *e = &x->client->egress;
	const struct hl_url *url = x->request.url;
	const char *reason = "";
	if (hl_egress_judge_port(e, url->https, url->port, &reason)) {
		blocked(x, "port", reason);
		return;
	}
	if (!x->request.allow_any_address && hl_egress_judge_host(e, url->host, url->port, &reason)) {
		blocked(x, "host", reason);
		return;
	}
	hl_exchange_resolve(x);
}

void hl_exchange_route_init(struct hl_exchange *x)
{
	x->waiter.cb = on_room;
	hl_deadline_init(&x->connect_until, on_connect_until);
}
