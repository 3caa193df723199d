/* One outbound request and its answer.
 *
 *   IDLE -> RESOLVING -> WAITING -> CONNECTING -> ANSWER -> BODY -> ENDED -> IDLE
 *              |  \_________________________________^  (kept connection)       (callback)
 *              +--- every state but IDLE -----------------------> ENDED
 *
 * The callback runs exactly once after a successful start, never from inside it. */
#ifndef HL_HTTP_EXCHANGE_H
#define HL_HTTP_EXCHANGE_H

#include "http/client.h"
#include "http/message.h"
#include <hookline/event.h>

enum {
	HL_EXCHANGE_BODY_PARTS_MAX = 12,
	HL_EXCHANGE_ADDRS_MAX = 8,        /* addresses tried; all are judged */
	HL_EXCHANGE_ANSWER_MAX = 65536,   /* bytes of an answer's body read and kept; more closes the connection */
};

/* Everything pointed to stays alive until the callback. */
struct hl_exchange_request {
	const struct hl_url *url;
	struct hl_str method;             /* "POST" */
	/* Header fields: `fields` is text ("name: value\r\n" each), `headers` a list; either or both. Not among them: Host,
	 * Content-Length and Connection, which the exchange adds. */
	struct hl_str fields;
	const struct hl_header *headers;
	size_t n_headers;
	const struct hl_str *body;        /* parts, sent one after the other */
	size_t n_body;                    /* ≤ HL_EXCHANGE_BODY_PARTS_MAX */
	uint32_t timeout_ms;              /* start to last byte of the answer; 0 = 15000 */
	bool allow_any_address;           /* skip the egress table (our own listeners stay refused) */
};

struct hl_exchange_result {
	int error;                        /* HL_OK, or HL_ECANCELED: then nothing below counts */
	enum hl_class error_class;        /* NONE: an answer came, whatever its status */
	uint16_t status;                  /* 0 = no answer; set even when the body failed afterwards */
	char text[200];                   /* what went wrong, for the webhook's owner; "" when nothing did */
	char detail[200];                 /* what operators may know beyond that (blocked address and rule); often "" */
	char address[HL_ADDR_TEXT_CAP];   /* "192.0.2.1:443"; "" = never connected */
	const char *tls;                  /* "TLSv1.3"; "" = plain or never */
	bool reused;                      /* on a kept connection */
	bool resumed;                     /* TLS session resumed */
	bool resent;                      /* a kept connection had died; sent once more on a fresh one */
	/* durations; -1 = not reached or not needed. first_byte: request written to first byte of the answer */
	int32_t dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms;
	struct hl_str body;               /* at most HL_EXCHANGE_ANSWER_MAX bytes */
	bool body_cut;                    /* there was more */
	struct hl_str retry_after, location, content_type; /* header values; ptr NULL = absent */
};

enum hl_exchange_state {
	HL_EXCHANGE_IDLE, HL_EXCHANGE_RESOLVING, HL_EXCHANGE_WAITING, HL_EXCHANGE_CONNECTING, HL_EXCHANGE_ANSWER,
	HL_EXCHANGE_BODY, HL_EXCHANGE_ENDED, HL_EXCHANGE_STATE_N,
};

struct hl_exchange;
/* x is IDLE again; slices of *r live until the next start or fini of x. x may be freed or started again here. */
typedef void (*hl_exchange_cb)(void *data, struct hl_exchange *x, const struct hl_exchange_result *r);

struct hl_exchange {
	enum hl_exchange_state state;
	struct hl_client *client;
	struct hl_exchange_request request;
	struct hl_exchange_result result;
	hl_exchange_cb cb;
	void *data;
	struct hl_client_user user;
	bool in_call;                     /* start or cancel is on the stack: the callback must wait */
	bool fresh;                       /* no kept connection this time */
	struct hl_deadline deadline;      /* of the whole exchange */
	struct hl_deadline connect_until; /* of the address being tried */
	struct hl_resolve resolve;
	struct hl_pool_waiter waiter;
	struct hl_pool_conn *pc;          /* from CONNECTING on */
	struct hl_message message;
	struct hl_buf body;               /* the answer's */
	struct hl_addr addrs[HL_EXCHANGE_ADDRS_MAX]; /* judged, port set; for connecting */
	uint8_t n_addrs, addr_next;
	bool trusted;                     /* the table does not apply to this host */
	hl_ms_t started_ms, phase_ms;     /* monotonic */
	hl_ms_t connect_by_ms;            /* loop time: end of all connecting; 0 = not begun */
};

void hl_exchange_init(struct hl_exchange *x);    /* once; then start as often as you like, one at a time */
void hl_exchange_fini(struct hl_exchange *x);    /* IDLE only */
/* HL_EINVAL (no URL, too many parts), HL_ECLOSED (client closing), HL_ENOMEM. Whatever goes wrong on the way to the
 * receiver is an outcome, not an error. */
HL_MUST_CHECK int hl_exchange_start(struct hl_exchange *x, struct hl_client *c, const struct hl_exchange_request *request,
		hl_exchange_cb cb, void *data);
/* The callback follows, later, with error HL_ECANCELED (or the outcome, when that was known already). IDLE: nothing. */
void hl_exchange_cancel(struct hl_exchange *x);

/* ---- between exchange.c and route.c ---- */

extern const struct hl_conn_ops hl_exchange_ops;
void hl_exchange_move(struct hl_exchange *x, enum hl_exchange_state to);
int32_t hl_exchange_since_ms(const struct hl_exchange *x, hl_ms_t from_mono_ms);
void hl_exchange_end(struct hl_exchange *x);           /* x may be gone afterwards, as after _fail */
void hl_exchange_fail(struct hl_exchange *x, enum hl_class error_class, const char *fmt, ...) HL_PRINTF(3, 4);
void hl_exchange_send(struct hl_exchange *x);          /* x->pc is open */
void hl_exchange_let_go(struct hl_exchange *x);        /* drops x->pc */
void hl_exchange_route_init(struct hl_exchange *x);
void hl_exchange_route(struct hl_exchange *x);         /* to a connection; ends x or comes to hl_exchange_send */
void hl_exchange_resolve(struct hl_exchange *x);       /* the same, without judging the URL again */
void hl_exchange_connect_failed(struct hl_exchange *x, const struct hl_err *err);

#endif
