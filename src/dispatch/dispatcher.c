/* The public dispatcher: the engine on a libuv loop, with the real HTTP client.
 *
 *   prepare   runs before the loop sleeps: the tick that was asked for, then the read snapshot is given up
 *   idle      keeps the loop from sleeping while a tick is asked for
 *   timer     the alarm
 *
 * What a tick submits is handed to the storage thread right after it, before the loop sleeps. Closing: drain, close the
 * client, close the handles, close commit queue and store, tell the caller. */
#include "dispatch/dispatcher.h"

#include "dispatch/engine.h"
#include "dispatch/stats.h"

#include "base/check.h"
#include "base/err.h"
#include <stdlib.h>

struct port {
	struct hl_dispatcher *d;
	uv_loop_t *loop;
	uv_prepare_t prepare;
	uv_idle_t idle;
	uv_timer_t timer;
	struct hl_client *client;
	struct hl_env env;            /* the loop's clocks: the kernel's, read once a turn */
	hl_ms_t wall_ms;              /* read when the loop's time was loop_ms */
	uint64_t loop_ms;
	hl_ms_t alarm_mono_ms;        /* what the timer is set to; INT64_MAX = off */
	bool soon;
	int n_handles;                /* open ones */
	hl_close_cb cb;
	void *data;
};

/* ---- clocks ---- */

/* Monotonic time as libuv last read it, once a turn; the same clock as hl_env_real's. */
static hl_ms_t loop_mono_ms(void *data)
{
	const struct port *p = data;
	return (hl_ms_t)uv_now(p->loop);
}

static hl_ms_t loop_wall_ms(void *data)
{
	struct port *p = data;
	if (p->loop_ms != uv_now(p->loop) || p->wall_ms == 0) {
		p->loop_ms = uv_now(p->loop);
		p->wall_ms = hl_env_wall_ms(&hl_env_real);
	}
	return p->wall_ms;
}

/* ---- ports ---- */

static int transport_start(void *data, struct hl_exchange *x, const struct hl_exchange_request *r, hl_exchange_cb cb,
		void *cb_data)
{
	struct port *p = data;
	return hl_exchange_start(x, p->client, r, cb, cb_data);
}

static void transport_cancel(void *data, struct hl_exchange *x)
{
	(void)data;
	hl_exchange_cancel(x);
}

static void on_idle(uv_idle_t *h)
{
	(void)h; /* its being active is all that counts */
}

static void alarm_soon(void *data)
{
	struct port *p = data;
	if (p->soon)
		return;
	p->soon = true;
	uv_idle_start(&p->idle, on_idle);
}

static void on_timer(uv_timer_t *t)
{
	struct port *p = t->data;
	p->alarm_mono_ms = INT64_MAX;
	alarm_soon(p);
}

static void alarm_set(void *data, hl_ms_t at_mono_ms)
{
	struct port *p = data;
	if (at_mono_ms == p->alarm_mono_ms)
		return;
	p->alarm_mono_ms = at_mono_ms;
	if (at_mono_ms == INT64_MAX) {
		uv_timer_stop(&p->timer);
		return;
	}
	hl_ms_t wait = at_mono_ms - hl_core_mono(p->d);
	uv_timer_start(&p->timer, on_timer, wait < 1 ? 1 : (uint64_t)wait, 0);
}

static void on_prepare(uv_prepare_t *h)
{
	struct port *p = h->data;
	struct hl_dispatcher *d = p->d;
	if (p->soon) {
		p->soon = false;
		uv_idle_stop(&p->idle);
		hl_engine_tick(d);
	}
	if (d->state == HL_CORE_CLOSED)
		return;
	hl_commit_flush(d->commit);
	hl_engine_turn_end(d);
}

/* ---- closing ---- */

static void on_core_freed(void *data)
{
	struct port *p = data;
	hl_close_cb cb = p->cb;
	void *cb_data = p->data;
	free(p);
	if (cb)
		cb(cb_data);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct port *p = h->data;
	if (--p->n_handles > 0)
		return;
	if (p->d)
		hl_engine_free(p->d, on_core_freed, p);
	else
		on_core_freed(p);
}

static void close_handles(struct port *p)
{
	uv_close((uv_handle_t *)&p->prepare, on_handle_closed);
	uv_close((uv_handle_t *)&p->idle, on_handle_closed);
	uv_close((uv_handle_t *)&p->timer, on_handle_closed);
}

static void on_client_closed(void *data)
{
	close_handles(data);
}

static void on_drained(struct hl_dispatcher *d)
{
	struct port *p = d->port;
	hl_client_close(p->client, on_client_closed, p);
}

void hl_dispatcher_close(struct hl_dispatcher *d, hl_ms_t grace_ms, hl_close_cb cb, void *data)
{
	struct port *p = d->port;
	HL_CHECK(!p->cb && d->state == HL_CORE_OPEN);
	p->cb = cb;
	p->data = data;
	hl_engine_drain(d, grace_ms, on_drained);
}

/* ---- opening ---- */

static int open_client(struct port *p, const struct hl_options *o, struct hl_err *err)
{
	struct hl_client_options co = {
		.env = o->env ? o->env : &p->env,
		.egress = { .allow_networks = o->allow_networks, .allow_hosts = o->allow_hosts,
			.nat64_prefixes = o->nat64_prefixes, .ports = o->ports, .own_listeners = o->own_listeners,
			.allow_http = o->allow_http },
		.resolver = { .servers = o->dns_servers },
		.ca_file = o->ca_file,
		.connect_timeout_ms = o->connect_timeout_ms,
		.handshake_timeout_ms = o->connect_timeout_ms,
		.idle_timeout_ms = o->idle_timeout_ms,
		.connections_max = o->max_connections,
	};
	return hl_client_open(&p->client, p->loop, &co, err);
}

static int open_handles(struct port *p)
{
	int rc = uv_idle_init(p->loop, &p->idle);
	if (rc == 0)
		rc = uv_timer_init(p->loop, &p->timer);
	if (rc == 0)
		rc = uv_prepare_init(p->loop, &p->prepare);
	if (rc)
		return HL_EIO; /* these inits cannot fail in libuv */
	p->prepare.data = p->idle.data = p->timer.data = p;
	p->n_handles = 3;
	return 0;
}

static void fill_stats(struct hl_dispatcher *d, struct hl_stats *out)
{
	struct port *p = d->port;
	out->connections_idle = p->client->pool.n_idle;
	out->dns_queries = hl_resolver_queries(p->client->resolver);
}

static void client_gone(void *data)
{
	close_handles(data);
}

int hl_dispatcher_open(struct hl_dispatcher **out, uv_loop_t *loop, const struct hl_options *o, struct hl_err *err)
{
	struct port *p = calloc(1, sizeof(*p));
	if (!p)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	p->loop = loop;
	p->alarm_mono_ms = INT64_MAX;
	p->env = (struct hl_env){ .data = p, .wall_ms = loop_wall_ms, .mono_ms = loop_mono_ms, .random = hl_env_real.random };
	uv_update_time(loop);
	int rc = open_handles(p);
	if (rc) {
		free(p);
		return hl_err_set(err, rc, "event loop: %s", hl_strerror(rc));
	}
	rc = open_client(p, o, err);
	if (rc) {
		close_handles(p);
		return rc;
	}
	struct hl_engine_ports ports = {
		.transport = { .data = p, .start = transport_start, .cancel = transport_cancel },
		.alarm = { .data = p, .set = alarm_set, .soon = alarm_soon },
		.egress = hl_client_egress(p->client),
		.env = o->env ? o->env : &p->env,
		.loop = loop,
	};
	rc = hl_engine_open(&p->d, o, &ports, err);
	if (rc) {
		p->d = NULL;
		hl_client_close(p->client, client_gone, p);
		return rc;
	}
	p->d->port = p;
	p->d->fill_port_stats = fill_stats;
	p->client->log = &p->d->log;
	uv_prepare_start(&p->prepare, on_prepare);
	*out = p->d;
	return 0;
}

int hl_dispatcher_reload(struct hl_dispatcher *d, struct hl_err *err)
{
	struct port *p = d->port;
	return hl_client_reload(p->client, err);
}

void hl_dispatcher_set_log_level(struct hl_dispatcher *d, enum hl_log_level level)
{
	d->log.level = level;
}

int hl_dispatcher_ready(struct hl_dispatcher *d, struct hl_err *err)
{
	int rc = hl_core_admit(d, err);
	if (rc == 0 && hl_store_full(d->store))
		rc = hl_err_set(err, HL_EFULL, "the store or its disk is full");
	return rc;
}

/* ---- for the floors above ---- */

void hl_dispatcher_account_changed(struct hl_dispatcher *d, uint32_t account)
{
	if (d->guest)
		d->guest->account_changed(d->guest->data, account);
}

struct hl_store *hl_dispatcher_store(struct hl_dispatcher *d)
{
	return d->store;
}

struct hl_commit *hl_dispatcher_commit(struct hl_dispatcher *d)
{
	return d->commit;
}

const struct hl_env *hl_dispatcher_env(const struct hl_dispatcher *d)
{
	return d->env;
}

const struct hl_log *hl_dispatcher_log(const struct hl_dispatcher *d)
{
	return &d->log;
}

uint64_t hl_dispatcher_numbers_take(struct hl_dispatcher *d, enum hl_id_kind kind)
{
	switch (kind) {
	case HL_ID_ACCOUNT:
		return d->numbers.account++;
	case HL_ID_KEY:
		return d->numbers.key++;
	case HL_ID_SERVER:
		return d->numbers.server++;
	default:
		HL_NEVER("a number the engine gives out itself");
	}
}
