/* Any bytes as a stream of HTTP messages, requests or answers (the first byte says), in pieces (the second byte says how
 * long): the reader always gets on, and says the same however the stream was cut. */
#include "http/message.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
	unsigned heads, ends, bad;
	uint64_t body;
};

static void feed(struct hl_message *m, struct hl_str in, struct seen *s)
{
	enum hl_step step;
	size_t steps = 0, bound = 4 * in.len + 16;
	while ((step = hl_message_step(m, &in)) != HL_STEP_MORE && step != HL_STEP_BAD) {
		HL_CHECK(++steps < bound);
		s->heads += step == HL_STEP_HEAD;
		s->body += step == HL_STEP_BODY ? m->chunk.len : 0;
		if (step == HL_STEP_END) {
			s->ends++;
			hl_message_next(m, false);
		}
	}
	s->bad |= step == HL_STEP_BAD;
}

static struct seen run(enum hl_message_kind kind, struct hl_str all, size_t piece)
{
	struct hl_message m;
	struct seen s = { .heads = 0 };
	hl_message_init(&m, kind, kind == HL_MESSAGE_REQUEST ? &hl_request_limits : &hl_response_limits);
	for (size_t at = 0; at < all.len && !s.bad; at += piece)
		feed(&m, hl_str_make(all.ptr + at, HL_MIN(piece, all.len - at)), &s);
	(void)hl_message_eof(&m);
	hl_message_fini(&m);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2)
		return 0;
	enum hl_message_kind kind = data[0] & 1 ? HL_MESSAGE_REQUEST : HL_MESSAGE_RESPONSE;
	struct hl_str all = hl_str_make((const char *)data + 2, len - 2);
	struct seen whole = run(kind, all, all.len ? all.len : 1), cut = run(kind, all, 1 + data[1] % 64);
	HL_CHECK(whole.heads == cut.heads && whole.ends == cut.ends && whole.bad == cut.bad);
	HL_CHECK(whole.bad || whole.body == cut.body);
	return 0;
}
