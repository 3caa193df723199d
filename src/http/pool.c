/* The pool of outbound connections.
 *
 * Take: the origin's list gives the connection used last, which is the one least likely to have been closed meanwhile.
 * Connect: when the pool is full the longest idle connection of all origins is closed to make room; its place is free
 * only when its handle is gone, so the asker waits in line for that, as it does when nothing is idle.
 * Give: back to the front of its origin's list, with a deadline.
 *
 *   An idle connection says something or ends: closed, whoever comes next opens a new one.
 *   A connection's memory goes when its close callback has run; then one waiter is woken. */
#include "http/pool.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/str.h"
#include <stdlib.h>

enum {
	CONNECTIONS_MAX = 4096,
	IDLE_MS = 4000,
	MARGIN_MS = 1000,    /* closed this long before the server would, so that a request does not cross its FIN */
};

struct hl_pool_origin {
	struct hl_list idle;     /* hl_pool_conn.origin_node, last used first */
	uint32_t n_conns;
	size_t key_len;
	char key[];
};

static void on_wake(struct hl_deadline *d);

void hl_pool_init(struct hl_pool *p, struct hl_conn_hub *hub, struct hl_deadlines *deadlines, const struct hl_pool_options *o)
{
	*p = (struct hl_pool){ .hub = hub, .deadlines = deadlines, .o = *o };
	if (!p->o.connections_max)
		p->o.connections_max = CONNECTIONS_MAX;
	if (!p->o.idle_timeout_ms)
		p->o.idle_timeout_ms = IDLE_MS;
	hl_map_str_init(&p->origins);
	hl_list_init(&p->all);
	hl_list_init(&p->idle);
	hl_list_init(&p->waiters);
	hl_deadline_init(&p->wake_at, on_wake);
}

static void maybe_closed(struct hl_pool *p)
{
	if (!p->closing || p->n_conns > 0)
		return;
	p->closing = false;
	hl_map_str_fini(&p->origins);
	p->on_closed(p->on_closed_data);
}

void hl_pool_close(struct hl_pool *p, void (*cb)(void *data), void *data)
{
	HL_CHECK(hl_list_empty(&p->waiters));
	p->closing = true;
	p->on_closed = cb;
	p->on_closed_data = data;
	hl_deadline_remove(p->deadlines, &p->wake_at);
	HL_LIST_EACH(it, &p->all)
		hl_pool_drop(p, HL_LIST_ENTRY(it, struct hl_pool_conn, all_node));
	maybe_closed(p);
}

void hl_pool_retire(struct hl_pool *p)
{
	HL_LIST_EACH(it, &p->all) {
		struct hl_pool_conn *pc = HL_LIST_ENTRY(it, struct hl_pool_conn, all_node);
		pc->retired = true;
		if (pc->state == HL_POOL_CONN_IDLE)
			hl_pool_drop(p, pc);
	}
}

/* scheme, address and port in binary, then the host: nobody compares texts that could be spelled two ways. */
void hl_pool_key_make(struct hl_pool_key *key, const struct hl_url *url, const struct hl_addr *addr)
{
	size_t n = 0, len;
	const uint8_t *bytes = hl_addr_bytes(addr, &len);
	uint16_t port = hl_addr_port(addr);
	HL_CHECK(bytes && 4 + len + url->host.len <= sizeof(key->bytes));
	key->bytes[n++] = url->https ? 's' : 'p';
	key->bytes[n++] = (char)len;
	key->bytes[n++] = (char)(port >> 8);
	key->bytes[n++] = (char)(port & 255);
	memcpy(key->bytes + n, bytes, len);
	n += len;
	memcpy(key->bytes + n, url->host.ptr, url->host.len);
	key->len = (uint16_t)(n + url->host.len);
}

/* ---- origins --------------------------------------------------------------------------------------------------------- */

static struct hl_pool_origin *find_origin(const struct hl_pool *p, const struct hl_pool_key *key)
{
	return hl_map_str_get(&p->origins, hl_str_make(key->bytes, key->len));
}

static struct hl_pool_origin *make_origin(struct hl_pool *p, const struct hl_pool_key *key)
{
	struct hl_pool_origin *o = calloc(1, sizeof(*o) + key->len);
	if (!o)
		return NULL;
	hl_list_init(&o->idle);
	o->key_len = key->len;
	memcpy(o->key, key->bytes, key->len);
	if (hl_map_str_put(&p->origins, hl_str_make(o->key, o->key_len), o)) {
		free(o);
		return NULL;
	}
	return o;
}

static void release_origin(struct hl_pool *p, struct hl_pool_origin *o)
{
	if (o->n_conns > 0)
		return;
	(void)hl_map_str_del(&p->origins, hl_str_make(o->key, o->key_len));
	free(o);
}

/* ---- connections ----------------------------------------------------------------------------------------------------- */

/* Serves those in line, in order, while there is something to give. One that must go on waiting (an idle connection to
 * somewhere else is being closed for it) keeps its place, and so do all behind it. */
static void wake(struct hl_pool *p)
{
	while (!hl_list_empty(&p->waiters) && (p->n_idle > 0 || p->n_conns < p->o.connections_max)) {
		struct hl_pool_waiter *w = HL_LIST_ENTRY(hl_list_pop_front(&p->waiters), struct hl_pool_waiter, node);
		if (!w->cb(w)) {
			hl_list_push_front(&p->waiters, &w->node);
			return;
		}
	}
}

static void on_wake(struct hl_deadline *d)
{
	wake(HL_CONTAINER_OF(d, struct hl_pool, wake_at));
}

static void forget(struct hl_pool *p, struct hl_pool_conn *pc)
{
	struct hl_pool_origin *o = pc->origin;
	hl_list_remove(&pc->all_node);
	free(pc);
	o->n_conns--;
	release_origin(p, o);
	p->n_conns--;
}

static void on_closed(struct hl_conn *c)
{
	struct hl_pool_conn *pc = c->data;
	struct hl_pool *p = pc->pool;
	forget(p, pc);
	if (p->closing)
		maybe_closed(p);
	else
		wake(p);
}

static void on_idle_read(struct hl_conn *c, struct hl_str bytes)
{
	struct hl_pool_conn *pc = c->data;
	(void)bytes; /* nobody asked for them */
	hl_pool_drop(pc->pool, pc);
}

static void on_idle_end(struct hl_conn *c, const struct hl_err *err)
{
	struct hl_pool_conn *pc = c->data;
	(void)err;
	hl_pool_drop(pc->pool, pc);
}

static void on_never(struct hl_conn *c)
{
	(void)c;
	HL_NEVER("an idle connection opened");
}

static const struct hl_conn_ops pool_ops = {
	.on_open = on_never,
	.on_read = on_idle_read,
	.on_end = on_idle_end,
	.on_closed = on_closed,
};

static void leave_idle(struct hl_pool *p, struct hl_pool_conn *pc)
{
	if (pc->state != HL_POOL_CONN_IDLE)
		return;
	hl_list_remove(&pc->origin_node);
	hl_list_remove(&pc->idle_node);
	hl_deadline_clear(&pc->idle_until);
	p->n_idle--;
}

void hl_pool_drop(struct hl_pool *p, struct hl_pool_conn *pc)
{
	if (pc->state == HL_POOL_CONN_CLOSING)
		return;
	leave_idle(p, pc);
	pc->state = HL_POOL_CONN_CLOSING;
	hl_deadline_remove(p->deadlines, &pc->idle_until);
	hl_conn_set_owner(&pc->conn, &pool_ops, pc);
	hl_conn_close(&pc->conn);
}

static void on_idle_until(struct hl_deadline *d)
{
	struct hl_pool_conn *pc = HL_CONTAINER_OF(d, struct hl_pool_conn, idle_until);
	hl_pool_drop(pc->pool, pc);
}

static hl_ms_t now_ms(const struct hl_pool *p)
{
	return (hl_ms_t)uv_now(p->hub->loop);
}

static bool worn_out(const struct hl_pool *p, const struct hl_pool_conn *pc)
{
	return pc->retired || pc->n_requests >= HL_POOL_REQUESTS_MAX || now_ms(p) - pc->opened_ms >= HL_POOL_AGE_MAX_MS;
}

struct hl_pool_conn *hl_pool_take(struct hl_pool *p, const struct hl_pool_key *key, const struct hl_conn_ops *ops, void *data)
{
	struct hl_pool_origin *o = find_origin(p, key);
	while (o && !hl_list_empty(&o->idle)) {
		struct hl_pool_conn *pc = HL_LIST_ENTRY(o->idle.next, struct hl_pool_conn, origin_node);
		if (worn_out(p, pc) || !hl_conn_is_open(&pc->conn)) {
			hl_pool_drop(p, pc); /* its origin lives until the close callback */
			continue;
		}
		leave_idle(p, pc);
		pc->state = HL_POOL_CONN_BUSY;
		pc->n_requests++;
		p->n_reused++;
		hl_conn_set_owner(&pc->conn, ops, data);
		return pc;
	}
	return NULL;
}

/* Room for one more? Closing an idle connection makes some, but only when its handle is gone. */
static bool has_room(struct hl_pool *p)
{
	if (p->n_conns < p->o.connections_max)
		return true;
	if (!hl_list_empty(&p->idle))
		hl_pool_drop(p, HL_LIST_ENTRY(p->idle.next, struct hl_pool_conn, idle_node));
	return false;
}

int hl_pool_connect(struct hl_pool *p, const struct hl_pool_key *key, const struct hl_conn_target *t,
		const struct hl_conn_ops *ops, void *data, struct hl_pool_conn **out, struct hl_err *err)
{
	if (!has_room(p))
		return HL_EAGAIN;
	struct hl_pool_origin *o = find_origin(p, key);
	struct hl_pool_conn *pc = calloc(1, sizeof(*pc));
	if (pc && !o)
		o = make_origin(p, key);
	if (!pc || !o) {
		free(pc);
		return HL_ENOMEM;
	}
	pc->pool = p;
	pc->origin = o;
	pc->opened_ms = now_ms(p);
	pc->n_requests = 1;
	hl_deadline_init(&pc->idle_until, on_idle_until);
	o->n_conns++;
	p->n_conns++;
	hl_list_push_back(&p->all, &pc->all_node);
	int rc = hl_conn_open(&pc->conn, p->hub, t, ops, data, err);
	if (rc) {
		forget(p, pc);
		return rc;
	}
	p->n_opened++;
	*out = pc;
	return 0;
}

/* How long the connection may lie idle: what the server said less a margin, else our own guess. */
static hl_ms_t idle_limit_ms(const struct hl_pool *p, int64_t keep_alive_s)
{
	if (keep_alive_s < 0)
		return p->o.idle_timeout_ms;
	if (keep_alive_s > HL_POOL_IDLE_MAX_MS / 1000)
		return HL_POOL_IDLE_MAX_MS;
	hl_ms_t limit_ms = keep_alive_s * 1000;
	return HL_MAX(limit_ms - MARGIN_MS, limit_ms / 2);
}

void hl_pool_give(struct hl_pool *p, struct hl_pool_conn *pc, int64_t keep_alive_s)
{
	HL_CHECK(pc->state == HL_POOL_CONN_BUSY);
	hl_ms_t limit_ms = idle_limit_ms(p, keep_alive_s);
	if (p->closing || limit_ms == 0 || worn_out(p, pc) || !hl_conn_is_open(&pc->conn)
			|| hl_deadline_set(p->deadlines, &pc->idle_until, limit_ms)) {
		hl_pool_drop(p, pc);
		return;
	}
	pc->state = HL_POOL_CONN_IDLE;
	hl_list_push_front(&pc->origin->idle, &pc->origin_node);
	hl_list_push_back(&p->idle, &pc->idle_node);
	p->n_idle++;
	hl_conn_set_owner(&pc->conn, &pool_ops, pc);
	/* Not from here: the giver is in the middle of ending its exchange. */
	if (!hl_list_empty(&p->waiters) && hl_deadline_set(p->deadlines, &p->wake_at, 1))
		hl_pool_drop(p, pc); /* its close callback wakes instead */
}

void hl_pool_wait(struct hl_pool *p, struct hl_pool_waiter *w)
{
	hl_list_push_back(&p->waiters, &w->node);
}

void hl_pool_wait_cancel(struct hl_pool_waiter *w)
{
	hl_list_remove(&w->node);
}
