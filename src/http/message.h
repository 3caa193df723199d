/* One HTTP/1.x message after another out of a stream of bytes: llhttp in strict mode, and on top of it every check
 * that llhttp leaves to its user. Pull style: the owner offers bytes and gets one step back at a time, so it may stop,
 * answer, pause or free itself between any two steps.
 *
 *   while ((step = hl_message_step(m, &in)) != HL_STEP_MORE)
 *           HEAD  start line and headers are complete (only the final answer's; 1xx are swallowed)
 *           BODY  m->chunk is the next piece of the body; it points into `in`'s bytes
 *           END   the message is complete; hl_message_next() begins another
 *           BAD   m->status says what to answer (requests), m->reason why; nothing more comes
 *
 * Slices of the head (m->target, headers) point into m->headers.bytes and live until hl_message_next or _fini. */
#ifndef HL_HTTP_MESSAGE_H
#define HL_HTTP_MESSAGE_H

#include "http/headers.h"

enum hl_message_kind { HL_MESSAGE_REQUEST, HL_MESSAGE_RESPONSE };

/* Methods somebody here may answer; every other one is refused with 501 while the head is read. */
#define HL_METHOD_TABLE(X)                                                      \
	X(0, GET)                                                               \
	X(1, HEAD)                                                              \
	X(2, POST)                                                              \
	X(3, PUT)                                                               \
	X(4, PATCH)                                                             \
	X(5, DELETE)                                                            \
	X(6, OPTIONS)

#define HL_X(number, name) HL_METHOD_##name = number,
enum hl_method { HL_METHOD_TABLE(HL_X) HL_METHOD_N };
#undef HL_X
const char *hl_method_name(enum hl_method m);

enum hl_step { HL_STEP_MORE, HL_STEP_HEAD, HL_STEP_BODY, HL_STEP_END, HL_STEP_BAD };

struct hl_message_limits {
	uint32_t head_max;     /* bytes: start line, headers, and the 1xx answers before them; ≤ HL_HEAD_CAP */
	uint32_t target_max;   /* bytes of a request's target */
	uint16_t headers_max;  /* fields; ≤ HL_HEADERS_CAP */
	uint8_t interim_max;   /* 1xx answers before the final one */
};
extern const struct hl_message_limits hl_request_limits;  /* 16 KiB, 8 KiB, 64, 0 */
extern const struct hl_message_limits hl_response_limits; /* 32 KiB, –, 128, 3 */

enum hl_message_state { /* see the diagram in message.c */
	HL_MESSAGE_IN_HEAD, HL_MESSAGE_HEAD_DONE, HL_MESSAGE_IN_BODY, HL_MESSAGE_ENDED, HL_MESSAGE_BAD,
};

struct hl_message {
	enum hl_message_kind kind;
	enum hl_message_state state;
	const struct hl_message_limits *limits;

	/* the head, from HL_STEP_HEAD on */
	struct hl_headers headers;
	enum hl_method method;      /* request */
	struct hl_str target;       /* request: origin-form */
	uint16_t status;            /* response: status code. BAD request: the status to answer with */
	uint8_t minor;              /* HTTP/1.minor */
	bool chunked;
	int64_t content_length;     /* -1 = not given */
	bool keep_alive;            /* both sides may go on after this message; final at END */
	bool expects_continue;      /* request: Expect: 100-continue */
	bool until_eof;             /* response: the body ends with the connection */

	/* the body */
	uint64_t body_max;          /* may be set after HEAD; more is BAD 413. default UINT64_MAX */
	uint64_t body_len;          /* bytes seen */
	struct hl_str chunk;        /* at HL_STEP_BODY */

	const char *reason;         /* BAD: text for people, static */

	/* private */
	bool head_request;          /* response to a HEAD: no body whatever the fields say */
	bool head_seen, ended_seen; /* llhttp's callbacks */
	bool fields_over;           /* the name being read is of one field too many */
	bool in_trailers;           /* the last chunk is behind us */
	bool stopped;               /* llhttp waits for llhttp_resume */
	uint8_t blank;              /* bytes of empty lines before the head */
	uint8_t line;               /* where the scanner of head and trailers stands in a line */
	uint8_t interim;            /* 1xx answers so far */
	uint8_t trailer_len;
	char trailer[20];           /* the name of the trailer being read; longer ones are of no interest */
	uint8_t span;               /* which field the last span belonged to */
	uint32_t head_len;          /* bytes of head so far, 1xx included */
	uint32_t framing_len;       /* bytes since the last byte of body: chunk headers, trailers */
	uint32_t target_at, target_len;
	uint64_t llhttp[12];        /* llhttp_t; message.c asserts the size */
};

void hl_message_init(struct hl_message *m, enum hl_message_kind kind, const struct hl_message_limits *limits);
void hl_message_fini(struct hl_message *m);
/* Ready for the next message of the stream; keeps memory. head_request: the answer awaited is one to HEAD. */
void hl_message_next(struct hl_message *m, bool head_request);
/* Consumes from the front of *in. After BAD it only ever says BAD again. */
enum hl_step hl_message_step(struct hl_message *m, struct hl_str *in);
/* The stream ended. END: that completes an answer without length. MORE: between messages. BAD: cut off. */
enum hl_step hl_message_eof(struct hl_message *m);
/* Any byte of this message seen (for a response: of the final answer or a 1xx before it)? */
bool hl_message_started(const struct hl_message *m);

#endif
