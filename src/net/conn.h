/* One outbound byte stream, plain or TLS, to an address that was judged already.
 *
 *   idle → connecting → queued → handshaking → open → closing → closed
 *              |                                 ^        ^
 *              +----------- plain ---------------+        +-- from every state but idle and closed
 *
 * What the owner sees:
 *   hl_conn_open returns 0  →  on_open once, or on_end once            (never before hl_conn_open returned)
 *   open                    →  on_read, any number of times; then on_end once when the stream is over
 *   always, last            →  on_closed exactly once: the memory is the owner's again
 * After on_end the connection closes by itself; on_read comes no more. When the owner calls hl_conn_close, on_end and
 * on_read come no more, on_closed still does. Every callback may call hl_conn_close, hl_conn_write and hl_conn_set_owner.
 * Reading never stops, so a kept connection tells its owner (the pool) at once about a FIN or unasked-for bytes. */
#ifndef HL_NET_CONN_H
#define HL_NET_CONN_H

#include "base/buf.h"
#include "base/env.h"
#include "base/list.h"
#include "net/addr.h"
#include "net/egress.h"
#include "net/tls.h"
#include <hookline/event.h>
#include <uv.h>

enum {
	HL_CONN_READ_CAP = 65536,          /* the hub's shared read buffer */
	HL_CONN_TIMEOUT_MS = 5000,         /* default of both time limits */
	HL_CONN_HANDSHAKES_MAX = 32,       /* running at once; the others wait in line */
	HL_CONN_HANDSHAKE_SLOT_MS = 250,   /* a slower one goes on but no longer counts: the hung must not block others */
	HL_CONN_UNSENT_MAX = 32 << 20,     /* bytes kept for a peer that does not read */
	HL_CONN_PARTS_MAX = 16,            /* of one hl_conn_write */
};

/* What all connections of a loop share. One per loop; outlives its connections. Fields are conn.c's business, except
 * the counters. */
struct hl_conn_hub {
	uv_loop_t *loop;
	const struct hl_env *env;
	struct hl_tls_ctx *tls;               /* NULL: only plain connections */
	const struct hl_egress *egress;       /* NULL: the peer address is only compared, not judged */
	uint32_t connect_timeout_ms;
	uint32_t handshake_timeout_ms;
	char *read_buf;                       /* HL_CONN_READ_CAP, shared by all reads */
	char *plain_buf;                      /* what TLS made of it */
	struct hl_buf cipher;                 /* TLS output on its way to the socket; empty between calls */
	struct hl_buf gather;                 /* parts of a TLS write put together */
	uv_timer_t timer;                     /* armed for the earliest deadline below */
	hl_ms_t timer_at_ms;                  /* loop time it is armed for; 0 = not armed */
	struct hl_list connecting;            /* hl_conn.deadline_node, oldest first */
	struct hl_list handshaking;           /* likewise */
	struct hl_list slots;                 /* hl_conn.slot_node: handshakes that count, oldest first */
	struct hl_list queue;                 /* hl_conn.slot_node: waiting for a slot */
	unsigned n_slots;
	unsigned n_conns;                     /* not yet closed */
	bool closing;
	void (*on_closed)(void *data);
	void *on_closed_data;
	/* counters, ever growing */
	uint64_t n_opened;                    /* TCP connections established */
	uint64_t n_handshakes_full;
	uint64_t n_handshakes_resumed;
};

struct hl_conn_hub_options {
	struct hl_tls_ctx *tls;
	const struct hl_egress *egress;
	uint32_t connect_timeout_ms;          /* 0 = HL_CONN_TIMEOUT_MS */
	uint32_t handshake_timeout_ms;        /* 0 = HL_CONN_TIMEOUT_MS; counted from the ClientHello */
};
/* HL_ENOMEM. Also makes the process ignore SIGPIPE, unless it does something with it already. */
HL_MUST_CHECK int hl_conn_hub_init(struct hl_conn_hub *hub, uv_loop_t *loop, const struct hl_env *env,
		const struct hl_conn_hub_options *o);
/* Every connection must be closed (on_closed seen) before. cb: the hub's memory is free again. */
void hl_conn_hub_close(struct hl_conn_hub *hub, void (*cb)(void *data), void *data);

enum hl_conn_state {
	HL_CONN_IDLE,         /* never opened */
	HL_CONN_CONNECTING,   /* SYN sent */
	HL_CONN_QUEUED,       /* connected, waiting for its turn to handshake */
	HL_CONN_HANDSHAKING,
	HL_CONN_OPEN,
	HL_CONN_CLOSING,      /* handle being closed; the reason is known */
	HL_CONN_CLOSED,
	HL_CONN_STATE_N,
};

struct hl_conn;
struct hl_conn_ops {
	void (*on_open)(struct hl_conn *c);
	/* bytes are borrowed until the callback returns. */
	void (*on_read)(struct hl_conn *c, struct hl_str bytes);
	/* The stream is over. err->code says how (err->text is for people):
	 *   HL_OK         the peer ended it in order (FIN; under TLS close_notify)
	 *   HL_ECLOSED    TLS only: FIN without close_notify; whatever has no length of its own may be cut short
	 *   HL_ERESET     reset or failed while open
	 *   HL_ECONNECT   refused, unreachable, …          HL_ETIMEDOUT  connect or handshake took too long
	 *   HL_ETLS       handshake refused or broken      HL_EBLOCKED   the kernel's peer address is not allowed
	 *   HL_EBUSY      out of descriptors or local ports         HL_ENOMEM    out of memory */
	void (*on_end)(struct hl_conn *c, const struct hl_err *err);
	void (*on_closed)(struct hl_conn *c);
};

/* Embedded in its owner (an exchange's or pool's record). Zero it before the first hl_conn_open; after on_closed it
 * may be opened again. Owners read: state, data, addr, address, tls_version, resumed, connect_ms, tls_ms. */
struct hl_conn {
	enum hl_conn_state state;
	struct hl_conn_hub *hub;
	const struct hl_conn_ops *ops;        /* static table of the current owner */
	void *data;                           /* the current owner's */
	struct hl_addr addr;                  /* connected to */
	char address[HL_ADDR_TEXT_CAP];       /* the same as text */
	const char *tls_version;              /* "TLSv1.3"; "" = plain or not yet */
	bool resumed;                         /* TLS session resumed */
	int32_t connect_ms;                   /* duration; -1 = not finished */
	int32_t tls_ms;                       /* of the handshake without the wait in line; -1 = not finished or plain */
	/* the rest is conn.c's business */
	bool trusted;                         /* host named in allow_hosts */
	bool write_broken;                    /* the kernel refused a write; the read side will tell the end */
	const char *write_error;              /* why; static */
	bool end_pending;                     /* on_end to be told by the close callback */
	char *tls_host;                       /* until the handshake starts; NULL = plain */
	struct hl_tls *tls;                   /* NULL = plain, or no handshake yet */
	hl_ms_t phase_mono_ms;                /* start of connect or handshake */
	hl_ms_t deadline_ms;                  /* of the phase, loop time */
	hl_ms_t slot_until_ms;                /* loop time */
	struct hl_list deadline_node;         /* hub->connecting or hub->handshaking */
	struct hl_list slot_node;             /* hub->slots or hub->queue */
	uv_tcp_t tcp;
	uv_connect_t connect_req;
	uv_write_t write_req;                 /* at most one outstanding */
	struct hl_buf sending;                /* lent to write_req while it is outstanding */
	struct hl_buf unsent;                 /* waits for write_req */
	struct hl_err err;
};

struct hl_conn_target {
	struct hl_addr addr;    /* judged by the caller (hl_egress_judge_answer or _judge_host), port set */
	struct hl_str host;     /* name or literal of the URL, for TLS; used during the call only */
	bool tls;
	bool trusted;           /* hl_egress_trusts(host): skip the table when judging the peer again */
};

/* Errors (no callback follows, nothing to close): HL_ENOMEM, HL_EINVAL (not an internet address, host not usable for
 * TLS, or tls asked for without a context). What the network or the kernel refuses, even at once, is told
 * by on_end. */
HL_MUST_CHECK int hl_conn_open(struct hl_conn *c, struct hl_conn_hub *hub, const struct hl_conn_target *t,
		const struct hl_conn_ops *ops, void *data, struct hl_err *err);
/* Sends the parts in order as one message: one system call when the socket takes it all, the rest is kept and sent
 * later. parts are copied or sent before this returns. n ≤ HL_CONN_PARTS_MAX. HL_ECLOSED when not open, HL_ETOOBIG
 * past HL_CONN_UNSENT_MAX (nothing of it was sent), HL_ENOMEM or HL_ETLS (part of it may be lost: close). A broken
 * socket is not told here but by on_end, after the answer bytes that may still have arrived. */
HL_MUST_CHECK int hl_conn_write(struct hl_conn *c, const struct hl_str *parts, size_t n);
/* Bytes accepted by hl_conn_write but not by the kernel (encrypted ones for TLS). */
size_t hl_conn_unsent(const struct hl_conn *c);
/* Hands an open connection to another owner (exchange ↔ pool). */
void hl_conn_set_owner(struct hl_conn *c, const struct hl_conn_ops *ops, void *data);
/* Closes in any state; idempotent; nothing when idle or closed. Only on_closed follows. */
void hl_conn_close(struct hl_conn *c);
static inline bool hl_conn_is_open(const struct hl_conn *c) { return c->state == HL_CONN_OPEN; }

/* The outcome class of an error of this floor:
 *   HL_EDNS → DNS              HL_ECONNECT → CONNECT                     HL_ETLS → TLS
 *   HL_ETIMEDOUT → TIMEOUT     HL_EBLOCKED → BLOCKED_ADDRESS             HL_EPROTO → PROTOCOL
 *   HL_OK, HL_ECLOSED, HL_ERESET → RESET (an end before the answer was complete)
 *   the rest → INTERNAL */
enum hl_class hl_conn_class(int status);

#endif
