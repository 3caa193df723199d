/* The outbound client: what exchanges share, and the order in which it is made and taken apart.
 *
 * Open: egress rule, TLS context, resolver, connection hub, deadlines, pool. A failure on the way undoes what was made;
 * what has handles is closed in the background.
 * Close: every exchange is ended with HL_ECANCELED and its callback run from the idle handle; when none is left the pool
 * closes its connections, then resolver, hub, deadlines and the idle handle close, then the memory goes. */
#include "http/client.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/err.h"
#include <stdlib.h>

enum { CONNECT_MS = 5000 };

static void step_down(struct hl_client *c);

static void finish(struct hl_client_user *u)
{
	u->finish(u);
}

static void on_idle(uv_idle_t *idle)
{
	struct hl_client *c = idle->data;
	struct hl_list now;
	hl_list_init(&now);
	while (!hl_list_empty(&c->ended)) /* what ends meanwhile waits for the next turn */
		hl_list_push_back(&now, hl_list_pop_front(&c->ended));
	while (!hl_list_empty(&now))
		finish(HL_LIST_ENTRY(hl_list_pop_front(&now), struct hl_client_user, node));
	if (hl_list_empty(&c->ended))
		(void)uv_idle_stop(&c->idle);
	if (c->state == HL_CLIENT_CLOSING)
		step_down(c);
}

void hl_client_wake(struct hl_client *c)
{
	(void)uv_idle_start(&c->idle, on_idle);
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

static void free_client(struct hl_client *c)
{
	hl_tls_ctx_destroy(c->tls);
	hl_egress_fini(&c->egress);
	hl_buf_fini(&c->head);
	free(c);
}

static void on_idle_closed(uv_handle_t *h)
{
	struct hl_client *c = h->data;
	void (*cb)(void *) = c->on_closed;
	void *data = c->on_closed_data;
	free_client(c);
	if (cb)
		cb(data);
}

static void on_part_closed(void *data)
{
	struct hl_client *c = data;
	HL_CHECK(c->n_closing > 0);
	if (--c->n_closing == 0)
		uv_close((uv_handle_t *)&c->idle, on_idle_closed);
}

static void on_pool_closed(void *data)
{
	struct hl_client *c = data;
	c->n_closing = 3;
	hl_resolver_close(c->resolver, on_part_closed, c);
	hl_conn_hub_close(&c->hub, on_part_closed, c);
	hl_deadlines_close(&c->deadlines, on_part_closed, c);
}

static void step_down(struct hl_client *c)
{
	if (c->pool_closing || !hl_list_empty(&c->users) || !hl_list_empty(&c->ended))
		return;
	c->pool_closing = true;
	hl_pool_close(&c->pool, on_pool_closed, c);
}

static void cancel(struct hl_client_user *u)
{
	u->cancel(u);
}

void hl_client_close(struct hl_client *c, void (*cb)(void *data), void *data)
{
	HL_CHECK(c->state == HL_CLIENT_OPEN);
	c->state = HL_CLIENT_CLOSING;
	c->on_closed = cb;
	c->on_closed_data = data;
	while (!hl_list_empty(&c->users))
		cancel(HL_LIST_ENTRY(c->users.next, struct hl_client_user, node));
	hl_client_wake(c);
}

/* ---- the beginning --------------------------------------------------------------------------------------------------- */

/* The parts that own handles; on failure those already made close in the background, and the memory goes with the last. */
static int open_parts(struct hl_client *c, const struct hl_client_options *o, struct hl_err *err)
{
	struct hl_conn_hub_options hub = {
		.tls = c->tls,
		.egress = &c->egress,
		.connect_timeout_ms = c->connect_timeout_ms,
		.handshake_timeout_ms = o->handshake_timeout_ms,
	};
	unsigned made = 0;
	(void)uv_idle_init(c->loop, &c->idle); /* cannot fail */
	c->idle.data = c;
	int rc = hl_deadlines_init(&c->deadlines, c->loop);
	if (rc == 0) {
		made++;
		rc = hl_conn_hub_init(&c->hub, c->loop, c->env, &hub);
	}
	if (rc == 0) {
		made++;
		rc = hl_resolver_create(&c->resolver, c->loop, c->env, &o->resolver, err);
		if (rc == 0)
			return 0;
	} else {
		(void)hl_err_set(err, rc, "out of memory");
	}
	c->n_closing = made + 1;
	if (made > 1)
		hl_conn_hub_close(&c->hub, on_part_closed, c);
	if (made > 0)
		hl_deadlines_close(&c->deadlines, on_part_closed, c);
	on_part_closed(c);
	return rc;
}

int hl_client_open(struct hl_client **out, uv_loop_t *loop, const struct hl_client_options *o, struct hl_err *err)
{
	struct hl_client *c = calloc(1, sizeof(*c));
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	c->loop = loop;
	c->env = o->env ? o->env : &hl_env_real;
	c->log = o->log;
	c->connect_timeout_ms = o->connect_timeout_ms ? o->connect_timeout_ms : CONNECT_MS;
	hl_list_init(&c->users);
	hl_list_init(&c->ended);
	int rc = hl_egress_init(&c->egress, &o->egress, err);
	if (rc) {
		free(c);
		return rc;
	}
	rc = hl_tls_ctx_create(&c->tls, o->ca_file, err);
	if (rc) {
		hl_egress_fini(&c->egress);
		free(c);
		return rc;
	}
	rc = open_parts(c, o, err);
	if (rc)
		return rc;
	struct hl_pool_options pool = { .connections_max = o->connections_max, .idle_timeout_ms = o->idle_timeout_ms };
	hl_pool_init(&c->pool, &c->hub, &c->deadlines, &pool);
	*out = c;
	return 0;
}

int hl_client_reload(struct hl_client *c, struct hl_err *err)
{
	int tls = hl_tls_ctx_reload(c->tls, err);
	if (tls == 0)
		hl_pool_retire(&c->pool); /* an authority may be trusted no longer */
	int dns = hl_resolver_reload(c->resolver, tls ? NULL : err);
	return tls ? tls : dns;
}
