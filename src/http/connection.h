/* One inbound connection: its bytes, the request being read or answered, its deadlines. Private to the server.
 *
 *   IDLE -> HEAD -> BODY -> ANSWER -> IDLE …       ANSWER: the request is complete, its answer is not
 *             |       |  \-> DISCARD -> IDLE       DISCARD: answered before the body was complete
 *             |       |         |        |
 *             +-------+---------+--------+-> LINGER -> CLOSING
 *
 * LINGER: the last answer is on its way; then our side is shut down and what still comes is thrown away, so that the
 * client reads the answer instead of a reset. Every state may go to CLOSING. The request is live, the handler knows of
 * it, in BODY and ANSWER. */
#ifndef HL_HTTP_CONNECTION_H
#define HL_HTTP_CONNECTION_H

#include "base/env.h"
#include "base/list.h"
#include "base/log.h"
#include "http/deadline.h"
#include "http/request.h"

struct hl_server_options {
	const struct hl_env *env;          /* NULL = the real one; for the Date field */
	const struct hl_log *log;          /* NULL = none */
	uint32_t connections_max;          /* default 1024; further ones wait in the kernel's backlog */
	uint32_t connections_soft;         /* with this many requests under way, others than for health and metrics get 503.
	                                    * 0 = three quarters of the maximum */
	uint32_t head_timeout_ms;          /* first byte to last of a head, and a new connection's first byte; default 10000 */
	uint32_t body_timeout_ms;          /* whole body; how far a streamed one may fall behind; default 30000 */
	uint32_t idle_timeout_ms;          /* between requests; default 65000 */
	uint32_t write_timeout_ms;         /* without the client taking a byte; default 30000 */
	uint32_t linger_timeout_ms;        /* for the client to close after a last answer; default 2000 */
	uint32_t body_max;                 /* of a whole body; default 1 MiB */
	uint32_t stream_rate_min;          /* bytes per second of a streamed body; default 1024 */
	uint32_t writable_mark;            /* default 1 MiB */
	uint32_t answer_max;               /* bytes of a streamed answer that may wait to be sent; beyond: broken off.
	                                    * default 64 MiB */
	struct hl_message_limits limits;   /* default hl_request_limits */
	bool (*admit)(void *data, int fd); /* asked about every new connection; false: closed at once. NULL = all may come */
	void *admit_data;
};

/* Counters; read them any time. */
struct hl_server_stats {
	uint32_t connections;              /* now */
	uint64_t accepted;                 /* ever */
	uint64_t requests;                 /* heads handed to the handler */
	uint64_t refused;                  /* malformed, too large, too slow */
	uint64_t overloaded;               /* 503 past the soft mark */
	uint64_t dropped;                  /* connections without a request under way that had to make room */
	uint64_t aborted;                  /* requests whose client went away */
};

struct hl_connection;

/* What the connections of one server share. */
struct hl_connection_hub {
	uv_loop_t *loop;
	struct hl_server_options o;
	struct hl_request_handler handler;
	struct hl_deadlines deadlines;
	struct hl_list connections;        /* hl_connection.node; all not yet CLOSING */
	uint32_t n_open;                   /* how many those are */
	uint32_t n_live;                   /* of them with a request under way */
	struct hl_list resting;            /* hl_connection.rest_node; without one, who has rested longest first */
	struct hl_list owing;              /* likewise, with an answer the client has not taken yet when last looked at */
	hl_ms_t crowded_told_ms;           /* when the log was told last */
	struct hl_list due;                /* hl_connection.due_node: to be served before the loop sleeps */
	uv_idle_t idle;                    /* serves them */
	char *read_buf;                    /* HL_CONNECTION_READ_CAP, shared by all reads */
	struct hl_buf head;                /* scratch: an answer's head */
	bool draining;
	int64_t date_s;                    /* the second `date` was written for */
	size_t date_len;
	char date[32];
	struct hl_server_stats stats;
	/* one connection's memory was freed; accepted: hl_connection_start was called for it */
	void (*on_gone)(struct hl_connection_hub *hub, bool accepted);
	void (*on_closed)(void *data);
	void *on_closed_data;
};

enum {
	HL_CONNECTION_READ_CAP = 65536,
	HL_CONNECTION_PEER_CAP = 64,
};

enum hl_connection_state {
	HL_CONNECTION_IDLE, HL_CONNECTION_HEAD, HL_CONNECTION_BODY, HL_CONNECTION_ANSWER, HL_CONNECTION_DISCARD,
	HL_CONNECTION_LINGER, HL_CONNECTION_CLOSING, HL_CONNECTION_STATE_N,
};

enum hl_answer_state { HL_ANSWER_NONE, HL_ANSWER_STREAMED, HL_ANSWER_DONE };

struct hl_connection {
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	struct hl_connection_hub *hub;
	enum hl_connection_state state;
	enum hl_answer_state answer;
	enum hl_body_mode mode;
	struct hl_request request;
	struct hl_message message;
	struct hl_arena arena;
	struct hl_buf body;                /* collected whole */
	struct hl_buf input;               /* read, but its turn has not come: pipelined, or the handler paused */
	struct hl_buf unsent;              /* waits for write_req */
	struct hl_buf sending;             /* lent to write_req while it is outstanding */
	uv_write_t write_req;              /* at most one outstanding */
	uv_shutdown_t shutdown_req;
	struct hl_deadline read_by, write_by;
	struct hl_list node, due_node, rest_node;
	uint64_t n_requests;
	uint64_t turn_ends_at;             /* with this many requests others have their turn */
	uint64_t armed_request;            /* read_by was set for this request and state */
	enum hl_connection_state armed_state;
	hl_ms_t rate_until_ms;             /* loop time until which a streamed body is paid for */
	size_t write_left;                 /* bytes unsent when write_by was set */
	bool accepted;                     /* hl_connection_start was called */
	bool running;                      /* inside run(): answers do not start the next request */
	bool reading;                      /* uv_read_start is in force */
	bool paused;                       /* by the handler */
	bool eof;                          /* the client sent FIN */
	bool broken;                       /* a write failed; told when the handler is not on the stack */
	bool writing;                      /* write_req is outstanding */
	bool shut;                         /* our FIN is sent or on its way */
	bool close_after;                  /* no further request after this answer */
	bool body_chunked;                 /* of the answer being streamed */
	bool body_none;                    /* the answer being streamed has none (HEAD, 204, 304) */
	bool above_mark;                   /* unwritten was above writable_mark: on_writable is owed */
	bool requested;                    /* on_request was called */
	char peer[HL_CONNECTION_PEER_CAP];
};

HL_MUST_CHECK int hl_connection_hub_init(struct hl_connection_hub *hub, uv_loop_t *loop, const struct hl_server_options *o,
		const struct hl_request_handler *handler);
/* All connections must be gone. cb: the memory is the owner's again. */
void hl_connection_hub_close(struct hl_connection_hub *hub, void (*cb)(void *data), void *data);

/* A connection with its stream initialised but not yet accepted; NULL on failure. */
struct hl_connection *hl_connection_create(struct hl_connection_hub *hub, bool pipe);
void hl_connection_start(struct hl_connection *c);   /* accepted: begin to read */
/* Breaks off: on_abort when a request is live, then closes; on_gone follows. */
void hl_connection_abort(struct hl_connection *c);
void hl_connection_close(struct hl_connection *c);   /* without telling the handler */
/* Nothing is under way: may be closed without loss. */
static inline bool hl_connection_quiet(const struct hl_connection *c)
{
	return c->state == HL_CONNECTION_IDLE && c->unsent.len == 0 && !c->writing;
}

/* The handler knows of the request and has not answered it in full. */
static inline bool hl_connection_live(const struct hl_connection *c)
{
	return c->state == HL_CONNECTION_BODY || c->state == HL_CONNECTION_ANSWER;
}

/* ---- between connection.c (bytes), inbound.c (requests) and answer.c (answers) ---- */

void hl_connection_move(struct hl_connection *c, enum hl_connection_state to);
void hl_connection_arm(struct hl_connection *c);     /* the deadline of the phase it is in */
void hl_connection_linger(struct hl_connection *c);  /* no more requests; see above */
void hl_connection_step(struct hl_connection *c, enum hl_step step);
void hl_connection_refuse_body(struct hl_connection *c, unsigned status, const char *reason);

void hl_connection_due(struct hl_connection *c);     /* serve it before the loop sleeps */
bool hl_connection_ends(const struct hl_connection *c); /* will the connection end with the answer now being given? */
void hl_connection_answered(struct hl_connection *c);/* the request is over: next one, or the end */
void hl_connection_flush(struct hl_connection *c);   /* sends what it can */
size_t hl_connection_unwritten(const struct hl_connection *c);
void hl_connection_continue(struct hl_connection *c);/* 100 Continue, when it was asked for and is still due */
/* An answer of the server's own (problem+json), then LINGER. */
void hl_connection_refuse(struct hl_connection *c, unsigned status, const char *reason);

#endif
