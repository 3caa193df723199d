/* An inbound request and its answer, as the handler behind a server sees them.
 *
 * A request, as the handler sees it:
 *
 *   on_head      the head is complete and checked. The handler answers what becomes of the body.
 *   on_body      HL_BODY_STREAM only: the next piece, borrowed until the callback returns
 *   on_request   the body is complete (r->body; empty when streamed)
 *
 * and then, in any callback or later from the loop, it answers: hl_response_send() for a whole answer, or
 * hl_response_begin(), _write() …, _end() for a streamed one, which may begin before the body is complete.
 *
 * r lives from on_head until the first of: hl_response_send or hl_response_end returns; hl_request_drop returns;
 * on_abort or on_refused returns. Exactly one of these happens, and afterwards r must not be touched. What the handler
 * allocated in r->arena goes with it. Requests that a client pipelined come one after the other, each after the
 * answer to the one before. */
#ifndef HL_HTTP_REQUEST_H
#define HL_HTTP_REQUEST_H

#include "base/arena.h"
#include "http/message.h"

struct hl_request {
	enum hl_method method;
	struct hl_str target;              /* as sent: path and query */
	struct hl_str path;                /* before the '?', as sent (not percent-decoded) */
	struct hl_str query;               /* after it; "" when there is none */
	const struct hl_headers *headers;
	uint8_t minor;                     /* HTTP/1.minor */
	struct hl_str peer;                /* "192.0.2.1:4711"; "unix:" on a unix socket */
	bool peer_is_unix;
	int64_t content_length;            /* -1 = not announced (chunked, or no body) */
	bool chunked;
	struct hl_str body;                /* from on_request on, when collected whole */
	struct hl_arena *arena;            /* lives as long as the request */
	void *data;                        /* the handler's own */
};

enum hl_body_mode {
	HL_BODY_WHOLE,   /* collect it (at most body_max, else refused with 413), then on_request */
	HL_BODY_STREAM,  /* on_body with each piece, then on_request; any length, but at least stream_rate_min */
	HL_BODY_NONE,    /* not wanted: the answer was given, or will be without it; it is read and thrown away */
};

struct hl_request_handler {
	void *data;
	/* Optional (NULL: every body whole). May answer at once and then returns HL_BODY_NONE. */
	enum hl_body_mode (*on_head)(void *data, struct hl_request *r);
	void (*on_body)(void *data, struct hl_request *r, struct hl_str piece);
	/* With HL_BODY_NONE it is called right after on_head unless that answered already. */
	void (*on_request)(void *data, struct hl_request *r);
	/* What waited to be sent of a streamed answer fell below writable_mark after having been above it. Optional. */
	void (*on_writable)(void *data, struct hl_request *r);
	/* The body cannot be had: too large (413), too slow (408), malformed (400). The handler may answer in its own
	 * words with hl_response_send before it returns; otherwise the server does. Optional (NULL: on_abort instead).
	 * Not called once an answer has begun, nor after on_request (a body that was not wanted): that answer goes out. */
	void (*on_refused)(void *data, struct hl_request *r, unsigned status, const char *reason);
	/* The client is gone, or broke off in the middle: drop what is under way for r. No answer can be given. */
	void (*on_abort)(void *data, struct hl_request *r);
};

/* ---- answering ---- */

/* The whole answer in one go; r is gone afterwards. headers without Date, Connection, Content-Length and
 * Transfer-Encoding: those are the server's. body is copied or sent before this returns. HEAD, 204 and 304 send no body. */
void hl_response_send(struct hl_request *r, unsigned status, const struct hl_header *headers, size_t n, struct hl_str body);
/* A streamed answer: chunked (1.1) or until the connection closes (1.0). */
void hl_response_begin(struct hl_request *r, unsigned status, const struct hl_header *headers, size_t n);
void hl_response_write(struct hl_request *r, struct hl_str bytes); /* copied; sent before the loop sleeps */
void hl_response_end(struct hl_request *r);                        /* r is gone afterwards */
size_t hl_response_unwritten(const struct hl_request *r);          /* bytes the client has not taken yet */
/* Back-pressure on a streamed body; pieces already read may wait inside. Pausing stops the clock of the rate. */
void hl_request_pause(struct hl_request *r);
void hl_request_resume(struct hl_request *r);                      /* on_body comes later, not from inside this call */
/* Breaks the connection off without an answer (or in the middle of one); r is gone afterwards, no on_abort. */
void hl_request_drop(struct hl_request *r);

#endif
