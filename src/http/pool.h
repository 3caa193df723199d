/* Outbound connections: made, kept, reused, limited.
 *
 * A kept connection is found again by scheme, host, port and pinned address, the one used last first. It is closed when
 * it was idle for too long (4 s unless the server named its own limit), is 10 minutes old, has carried 1000 requests,
 * or says anything unasked-for. At most connections_max exist; past that the longest idle one makes room, and when none
 * is idle askers wait in line. */
#ifndef HL_HTTP_POOL_H
#define HL_HTTP_POOL_H

#include "base/list.h"
#include "base/map.h"
#include "http/deadline.h"
#include "http/url.h"
#include "net/conn.h"

enum {
	HL_POOL_AGE_MAX_MS = 600000,
	HL_POOL_REQUESTS_MAX = 1000,
	HL_POOL_IDLE_MAX_MS = 55000,   /* however long the server would keep it */
	HL_POOL_KEY_CAP = 320,
};

struct hl_pool_options {
	uint32_t connections_max;      /* idle ones included; 0 = 4096 */
	uint32_t idle_timeout_ms;      /* 0 = 4000 */
};

/* What two requests must have in common to share a connection. */
struct hl_pool_key {
	uint16_t len;
	char bytes[HL_POOL_KEY_CAP];
};

enum hl_pool_conn_state { HL_POOL_CONN_BUSY, HL_POOL_CONN_IDLE, HL_POOL_CONN_CLOSING };

/* One connection of the pool. While BUSY its user owns conn's callbacks. */
struct hl_pool_conn {
	struct hl_conn conn;
	enum hl_pool_conn_state state;
	struct hl_pool *pool;
	struct hl_pool_origin *origin;
	struct hl_list origin_node;    /* origin->idle, last used first */
	struct hl_list idle_node;      /* pool->idle, longest idle first */
	struct hl_list all_node;       /* pool->all */
	struct hl_deadline idle_until;
	uint32_t n_requests;           /* carried so far */
	bool retired;                  /* opened before hl_pool_retire: not to be kept */
	hl_ms_t opened_ms;             /* loop time */
};

struct hl_pool_waiter {
	struct hl_list node;
	/* There may be room now: ask again at once, take before connect. False: HL_EAGAIN again, keep my place in line. */
	bool (*cb)(struct hl_pool_waiter *w);
};

struct hl_pool {
	struct hl_conn_hub *hub;
	struct hl_deadlines *deadlines;
	struct hl_pool_options o;
	struct hl_map_str origins;     /* key → struct hl_pool_origin; exists while it has connections */
	struct hl_list all, idle, waiters;
	struct hl_deadline wake_at;    /* a connection fell idle while others wait in line */
	uint32_t n_conns, n_idle;
	bool closing;
	void (*on_closed)(void *data);
	void *on_closed_data;
	uint64_t n_reused, n_opened;   /* ever */
};

void hl_pool_init(struct hl_pool *p, struct hl_conn_hub *hub, struct hl_deadlines *deadlines, const struct hl_pool_options *o);
/* Closes every connection; users must have let go of theirs before. cb may run before this returns. */
void hl_pool_close(struct hl_pool *p, void (*cb)(void *data), void *data);

/* What connections were verified with has changed: none that is open now carries another request. */
void hl_pool_retire(struct hl_pool *p);

void hl_pool_key_make(struct hl_pool_key *key, const struct hl_url *url, const struct hl_addr *addr);

/* The best kept connection, now BUSY and owned by (ops, data); NULL when there is none. */
struct hl_pool_conn *hl_pool_take(struct hl_pool *p, const struct hl_pool_key *key, const struct hl_conn_ops *ops, void *data);
/* A new one. HL_EAGAIN: no room, use hl_pool_wait. Else as hl_conn_open. */
HL_MUST_CHECK int hl_pool_connect(struct hl_pool *p, const struct hl_pool_key *key, const struct hl_conn_target *t,
		const struct hl_conn_ops *ops, void *data, struct hl_pool_conn **out, struct hl_err *err);
/* Back after a complete exchange. keep_alive_s: the server's own limit from `Keep-Alive: timeout=`, -1 = not named. */
void hl_pool_give(struct hl_pool *p, struct hl_pool_conn *pc, int64_t keep_alive_s);
/* Back, not to be used again; any state of conn. */
void hl_pool_drop(struct hl_pool *p, struct hl_pool_conn *pc);

void hl_pool_wait(struct hl_pool *p, struct hl_pool_waiter *w);
void hl_pool_wait_cancel(struct hl_pool_waiter *w);

#endif
