/* Feeding the message reader, whole or in pieces, and what it said. */
#ifndef HL_FUZZ_MESSAGE_H
#define HL_FUZZ_MESSAGE_H

#include "fuzz.h"
#include "http/message.h"

struct seen {
	unsigned heads, ends, bad;
	uint16_t status;           /* of the last head (of a refusal: what to answer) */
	bool ended;                /* by the end of the stream, or before */
	struct hl_buf body;        /* all bodies, one after the other */
	struct hl_buf heads_said;  /* what the reader made of each head, and whether the connection stays */
};

static inline void say(struct hl_buf *out, struct hl_str s)
{
	hl_buf_str(out, s);
	hl_buf_char(out, '\0'); /* in no head */
}

static inline void say_head(struct hl_buf *out, struct hl_message *m)
{
	const int64_t numbers[] = { m->method, m->minor, m->chunked, m->content_length, m->expects_continue, m->until_eof };
	hl_buf_add(out, numbers, sizeof(numbers));
	say(out, m->target);
	for (size_t i = 0; i < m->headers.n; i++) {
		struct hl_header h = hl_headers_at(&m->headers, i);
		say(out, h.name);
		say(out, h.value);
	}
}

/* Looks at every complete head; *head_request decides what the next answer is to. */
typedef void (*look)(const struct hl_message *m);

static inline void feed(struct hl_message *m, struct hl_str in, bool head_request, look look, struct seen *s)
{
	enum hl_step step;
	size_t steps = 0, bound = 4 * in.len + 16;
	uint64_t body_len = m->body_len;
	while ((step = hl_message_step(m, &in)) != HL_STEP_MORE && step != HL_STEP_BAD) {
		HL_CHECK(++steps < bound);
		if (step == HL_STEP_HEAD) {
			s->heads++;
			s->status = m->status;
			body_len = 0;
			say_head(&s->heads_said, m);
			look(m);
		} else if (step == HL_STEP_BODY) {
			HL_CHECK(m->chunk.len);
			hl_buf_str(&s->body, m->chunk);
			body_len += m->chunk.len;
		} else {
			HL_CHECK(body_len == m->body_len && (m->chunked || m->content_length < 0 || head_request ||
					m->kind == HL_MESSAGE_RESPONSE || body_len == (uint64_t)m->content_length));
			s->ends++;
			hl_buf_char(&s->heads_said, m->keep_alive ? '+' : '-');
			hl_message_next(m, head_request);
			body_len = 0;
		}
	}
	if (step == HL_STEP_BAD) {
		HL_CHECK(m->reason && hl_message_step(m, &in) == HL_STEP_BAD);
		s->bad++;
		s->status = m->status;
	}
}

/* seed NULL: in one piece. */
static inline struct seen run(enum hl_message_kind kind, struct hl_str all, bool head_request, uint64_t *seed, look look)
{
	struct hl_message m;
	struct seen s = { .heads = 0 };
	hl_message_init(&m, kind, kind == HL_MESSAGE_REQUEST ? &hl_request_limits : &hl_response_limits);
	hl_message_next(&m, head_request);
	while (all.len && !s.bad) {
		struct hl_str piece = fuzz_own(seed ? fuzz_piece(&all, seed) : fuzz_take(&all, all.len));
		feed(&m, piece, head_request, look, &s);
		free((void *)(uintptr_t)piece.ptr);
	}
	enum hl_step step = hl_message_eof(&m);
	s.ended = step == HL_STEP_END;
	HL_CHECK(step == HL_STEP_END || step == HL_STEP_MORE || step == HL_STEP_BAD);
	hl_message_fini(&m);
	return s;
}

static inline void same(struct seen *a, struct seen *b)
{
	HL_CHECK(a->heads == b->heads && a->ends == b->ends && a->bad == b->bad && a->ended == b->ended);
	HL_CHECK(a->status == b->status);
	HL_CHECK(hl_str_eq(hl_buf_all(&a->heads_said), hl_buf_all(&b->heads_said)));
	HL_CHECK(a->bad || hl_str_eq(hl_buf_all(&a->body), hl_buf_all(&b->body)));
	hl_buf_fini(&a->body);
	hl_buf_fini(&b->body);
	hl_buf_fini(&a->heads_said);
	hl_buf_fini(&b->heads_said);
}

#endif
