/* Everything outbound requests share: resolver, egress rule, TLS context, connection pool, deadlines. */
#ifndef HL_HTTP_CLIENT_H
#define HL_HTTP_CLIENT_H

#include "base/log.h"
#include "http/pool.h"
#include "net/resolve.h"

struct hl_client_options {
	const struct hl_env *env;              /* NULL = the real one */
	const struct hl_log *log;              /* NULL = none */
	struct hl_egress_options egress;
	struct hl_resolver_options resolver;
	const char *ca_file;                   /* NULL = $SSL_CERT_FILE, else the system's bundle */
	uint32_t connect_timeout_ms;           /* all addresses together; 0 = 5000 */
	uint32_t handshake_timeout_ms;         /* 0 = 5000 */
	uint32_t idle_timeout_ms;              /* of a kept connection; 0 = 4000 */
	uint32_t connections_max;              /* idle ones included; 0 = 4096 */
};

/* Somebody with something under way, that is an exchange, as far as the client knows it. */
struct hl_client_user {
	struct hl_list node;                         /* client->users or ->ended */
	void (*cancel)(struct hl_client_user *u);    /* must move it to ->ended */
	void (*finish)(struct hl_client_user *u);    /* was taken off ->ended: run its callback */
};

struct hl_client {
	uv_loop_t *loop;
	const struct hl_env *env;
	const struct hl_log *log;
	uint32_t connect_timeout_ms;
	struct hl_egress egress;
	struct hl_tls_ctx *tls;
	struct hl_resolver *resolver;
	struct hl_conn_hub hub;
	struct hl_deadlines deadlines;
	struct hl_pool pool;
	struct hl_list users;                  /* hl_client_user.node: under way */
	struct hl_list ended;                  /* hl_client_user.node: callback still to be run */
	uv_idle_t idle;                        /* runs those callbacks */
	struct hl_buf head;                    /* scratch: a request's head */
	enum { HL_CLIENT_OPEN, HL_CLIENT_CLOSING } state;
	bool pool_closing;
	unsigned n_closing;                    /* parts that still have to close */
	void (*on_closed)(void *data);
	void *on_closed_data;
	uint64_t n_exchanges, n_resent;        /* ever */
};

/* HL_EINVAL (err->field "egress.…"), HL_ENOTFOUND, HL_EPERM (CA file), HL_ENOMEM, HL_EIO. */
HL_MUST_CHECK int hl_client_open(struct hl_client **out, uv_loop_t *loop, const struct hl_client_options *o, struct hl_err *err);
/* Exchanges under way end with HL_ECANCELED (callbacks run first), then everything is freed, then cb. */
void hl_client_close(struct hl_client *c, void (*cb)(void *data), void *data);
/* Reads CA file and resolver configuration again; kept connections are given up. On error what failed stays as it was. */
HL_MUST_CHECK int hl_client_reload(struct hl_client *c, struct hl_err *err);
static inline const struct hl_egress *hl_client_egress(const struct hl_client *c) { return &c->egress; }

/* ---- for exchange.c ---- */

void hl_client_wake(struct hl_client *c);      /* something is in c->ended */

#endif
