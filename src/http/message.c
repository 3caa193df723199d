/* Reading HTTP/1.x messages.
 *
 * The head is collected in m->headers.bytes, so that names and values are slices of one piece of memory however the
 * bytes arrived; llhttp reads each new part where it lies there, so garbage is found at its first wrong byte. The body
 * is never copied: llhttp is stopped after each piece and the piece is handed out where it lies in the owner's buffer.
 *
 *   IN_HEAD -> HEAD_DONE -> IN_BODY -> ENDED -> (hl_message_next) IN_HEAD
 *      |           |           |
 *      +-----------+-----------+-> BAD
 *
 * llhttp and we must agree where a head ends, and where the trailers of a chunked body do: a scanner of our own finds the
 * empty line, and its last byte must be the one that is the end for llhttp too. What llhttp lets through and we do not,
 * with the answer: no or two or malformed Host on 1.1 (400), Transfer-Encoding other than exactly "chunked", or on 1.0
 * (400), folded lines, lines ended by LF alone, fields without a name (400), another version (505), RTSP and ICE (400), a
 * method nobody here answers (501), Upgrade (400), a start line not parted by single blanks (400), a target that is not
 * origin-form or has a fragment (400), over-long target (414), too many or too long fields (431), an expectation other
 * than one 100-continue (417), more framing than body (400). Of an answer: 101, too many 1xx. Answers are exempt from the
 * checks of Host, method, target and 1.0. llhttp never completes a 204 or 304 that announces a length, nor an answer to
 * HEAD: it is told that no body follows.
 * However the bytes are cut, the verdict is the same. llhttp hands over part of a name or target wherever a piece ends: its
 * limit is judged when it is complete, or else the cut would decide whether that or garbage in its rest is found. */
#include "http/message.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/str.h"
#include "http/framing.h"
#include "http/judge.h"
#include <llhttp.h>

enum {
	BLANK_MAX = 8,            /* bytes of empty lines forgiven before a request (RFC 9112 §2.2) */
	FRAMING_MAX = 8192,       /* bytes of chunk headers and trailers without a byte of body between them */
	KEEP_CAP = 8192,          /* a head buffer that grew beyond this is given back after the message */
};

enum { SPAN_NONE, SPAN_NAME, SPAN_VALUE };        /* hl_message.span */

const struct hl_message_limits hl_request_limits = { 16384, 8192, 64, 0 };
const struct hl_message_limits hl_response_limits = { 32768, 0, HL_HEADERS_CAP, 3 };

_Static_assert(sizeof(llhttp_t) <= sizeof(((struct hl_message *)0)->llhttp), "room for llhttp_t");

static llhttp_t *parser_of(struct hl_message *m)
{
	return (llhttp_t *)(void *)m->llhttp;
}

static void move(struct hl_message *m, enum hl_message_state to)
{
	static const unsigned edges[] = {
		[HL_MESSAGE_IN_HEAD] = 1u << HL_MESSAGE_HEAD_DONE | 1u << HL_MESSAGE_BAD,
		[HL_MESSAGE_HEAD_DONE] = 1u << HL_MESSAGE_IN_BODY | 1u << HL_MESSAGE_BAD,
		[HL_MESSAGE_IN_BODY] = 1u << HL_MESSAGE_ENDED | 1u << HL_MESSAGE_BAD,
		[HL_MESSAGE_ENDED] = 0,
		[HL_MESSAGE_BAD] = 0,
	};
	HL_CHECK(edges[m->state] & 1u << to);
	m->state = to;
}

static const char *reason_of(const llhttp_t *p)
{
	const char *reason = llhttp_get_error_reason(p);
	return reason && *reason ? reason : "malformed message";
}

static enum hl_step bad(struct hl_message *m, unsigned status, const char *reason)
{
	move(m, HL_MESSAGE_BAD);
	m->status = (uint16_t)status;
	m->reason = reason;
	return HL_STEP_BAD;
}

/* ---- llhttp's callbacks: they only note ----------------------------------------------------------------------------- */

/* For use inside a callback, where the state may not move yet: remembered, and told by run(). */
static int refuse(struct hl_message *m, unsigned status, const char *reason)
{
	m->status = (uint16_t)status;
	m->reason = reason;
	return HPE_USER;
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
	struct hl_message *m = p->data;
	if (m->target_len == 0)
		m->target_at = (uint32_t)(at - m->headers.bytes.data);
	m->target_len += (uint32_t)len;
	return 0;
}

static int on_url_complete(llhttp_t *p)
{
	struct hl_message *m = p->data;
	return m->target_len > m->limits->target_max ? refuse(m, 414, "the request target is too long") : 0;
}

static int on_header_field(llhttp_t *p, const char *at, size_t len)
{
	struct hl_message *m = p->data;
	if (m->head_seen) {
		size_t n = HL_MIN(len, sizeof(m->trailer) - m->trailer_len);
		memcpy(m->trailer + m->trailer_len, at, n);
		m->trailer_len = (uint8_t)(m->trailer_len + n);
		return 0;
	}
	size_t offset = (size_t)(at - m->headers.bytes.data);
	struct hl_headers *h = &m->headers;
	struct hl_header_entry *e = h->n ? &h->v[h->n - 1] : NULL;
	if (m->span == SPAN_NAME && e->name_at + e->name_len == offset) {
		e->name_len = (uint16_t)(e->name_len + len);
		return 0;
	}
	m->fields_over = h->n == m->limits->headers_max;
	if (m->fields_over)
		return 0;
	h->v[h->n++] = (struct hl_header_entry){ .name_at = (uint16_t)offset, .name_len = (uint16_t)len };
	m->span = SPAN_NAME;
	return 0;
}

/* Trailers are read and ignored, but those that would frame the message are somebody's attempt at it. */
static int on_header_field_complete(llhttp_t *p)
{
	struct hl_message *m = p->data;
	if (m->fields_over)
		return refuse(m, 431, "too many header fields");
	struct hl_str name = { m->trailer, m->trailer_len };
	m->trailer_len = 0;
	if (hl_str_ieq(name, HL_STR("content-length")) || hl_str_ieq(name, HL_STR("transfer-encoding"))
			|| hl_str_ieq(name, HL_STR("host")))
		return refuse(m, 400, "a field that frames the message is among the trailers");
	return 0;
}

static int on_header_value(llhttp_t *p, const char *at, size_t len)
{
	struct hl_message *m = p->data;
	if (m->head_seen)
		return 0;
	size_t offset = (size_t)(at - m->headers.bytes.data);
	struct hl_header_entry *e = &m->headers.v[m->headers.n - 1];
	if (m->span == SPAN_NAME) {
		e->value_at = (uint16_t)offset;
		e->value_len = (uint16_t)len;
		m->span = SPAN_VALUE;
		return 0;
	}
	if (e->value_at + e->value_len != offset)
		return refuse(m, 400, "a field is malformed"); /* a second value under one name */
	e->value_len = (uint16_t)(e->value_len + len);
	return 0;
}

static bool status_without_body(const llhttp_t *p)
{
	return p->type == HTTP_RESPONSE && (p->status_code < 200 || p->status_code == 204 || p->status_code == 304);
}

static int on_headers_complete(llhttp_t *p)
{
	struct hl_message *m = p->data;
	m->head_seen = true;
	m->keep_alive = llhttp_should_keep_alive(p);
	if (p->flags & F_CONTENT_LENGTH) {
		if (p->content_length > INT64_MAX)
			return refuse(m, 413, "the body is too large");
		m->content_length = (int64_t)p->content_length;
	}
	m->chunked = p->flags & F_CHUNKED;
	if (p->upgrade)
		return refuse(m, 400, "switching protocols is not supported");
	if (status_without_body(p) || m->head_request) {
		/* A 204 that announces a body may or may not send it: nobody knows where the next answer begins. */
		if (p->status_code == 204 && (m->content_length > 0 || m->chunked))
			m->keep_alive = false;
		return 1;
	}
	m->until_eof = llhttp_message_needs_eof(p);
	return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t len)
{
	struct hl_message *m = p->data;
	m->chunk = hl_str_make(at, len);
	return len ? HPE_PAUSED : 0; /* a stop in the middle of a span is resumed with an empty piece of it */
}

/* The size 0: trailers come next, and they are ours to look at before llhttp reads them. */
static int on_chunk_header(llhttp_t *p)
{
	struct hl_message *m = p->data;
	m->in_trailers = p->content_length == 0;
	m->line = HL_LINE_START;
	return m->in_trailers ? HPE_PAUSED : 0;
}

static int on_message_complete(llhttp_t *p)
{
	((struct hl_message *)p->data)->ended_seen = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_url_complete = on_url_complete,
	.on_header_field = on_header_field,
	.on_header_field_complete = on_header_field_complete,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_chunk_header = on_chunk_header,
	.on_message_complete = on_message_complete,
};

/* ---- life ------------------------------------------------------------------------------------------------------------ */

/* Forgets the head read so far, to begin the next one of the same message (after a 1xx) or of the next message. */
static void begin_head(struct hl_message *m)
{
	llhttp_reset(parser_of(m));
	parser_of(m)->data = m;
	hl_buf_reset(&m->headers.bytes);
	m->headers.n = 0;
	m->method = HL_METHOD_GET; /* of the request before it might have been HEAD, and a refusal would lose its body */
	m->target = HL_STR_NONE;
	m->status = m->minor = 0;
	m->chunked = m->keep_alive = m->expects_continue = m->until_eof = false;
	m->content_length = -1;
	m->head_seen = m->ended_seen = m->in_trailers = m->stopped = m->fields_over = false;
	m->line = HL_LINE_MIDDLE;
	m->span = SPAN_NONE;
	m->target_at = m->target_len = m->trailer_len = 0;
}

void hl_message_init(struct hl_message *m, enum hl_message_kind kind, const struct hl_message_limits *limits)
{
	HL_CHECK(limits->head_max <= HL_HEAD_CAP && limits->headers_max <= HL_HEADERS_CAP);
	memset(m, 0, sizeof(*m));
	m->kind = kind;
	m->limits = limits;
	llhttp_init(parser_of(m), kind == HL_MESSAGE_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	hl_message_next(m, false);
}

void hl_message_fini(struct hl_message *m)
{
	hl_buf_fini(&m->headers.bytes);
}

void hl_message_next(struct hl_message *m, bool head_request)
{
	if (m->headers.bytes.cap > KEEP_CAP)
		hl_buf_fini(&m->headers.bytes);
	m->state = HL_MESSAGE_IN_HEAD;
	m->head_request = head_request;
	m->interim = m->blank = 0;
	m->head_len = m->framing_len = 0;
	m->body_max = UINT64_MAX;
	m->body_len = 0;
	m->chunk = HL_STR_NONE;
	m->reason = NULL;
	begin_head(m);
}

bool hl_message_started(const struct hl_message *m)
{
	return m->head_len > 0;
}

/* ---- the head -------------------------------------------------------------------------------------------------------- */

/* Lets llhttp read the n bytes of head from offset `at` on. */
static bool run(struct hl_message *m, size_t at, size_t n)
{
	llhttp_t *p = parser_of(m);
	int rc = llhttp_execute(p, m->headers.bytes.data + at, n);
	if (rc == HPE_OK || (rc == HPE_PAUSED && m->ended_seen && llhttp_get_error_pos(p) == m->headers.bytes.data + at + n))
		return true;
	if (m->reason) /* a callback refused; llhttp has a code of its own for each of them */
		bad(m, m->status, m->reason);
	else if (rc == HPE_INVALID_VERSION)
		bad(m, 505, "the HTTP version is not supported");
	else
		bad(m, 400, reason_of(p));
	return false;
}

static bool method_known(unsigned llhttp_method, enum hl_method *out)
{
	switch (llhttp_method) {
#define HL_X(number, name) case HTTP_##name: *out = HL_METHOD_##name; return true;
	HL_METHOD_TABLE(HL_X)
#undef HL_X
	default: return false;
	}
}

/* Everything llhttp leaves open about a complete head. */
static enum hl_step head_complete(struct hl_message *m)
{
	llhttp_t *p = parser_of(m);
	struct hl_framing f;
	const char *reason = NULL;
	unsigned status = 0;

	hl_framing_survey(&m->headers, &f);
	m->minor = p->http_minor;
	if (p->http_major != 1 || p->http_minor > 1)
		return bad(m, 505, "the HTTP version is not supported");
	if (f.encodings && (f.encodings > 1 || !hl_str_ieq(f.encoding, HL_STR("chunked"))))
		return bad(m, 400, "Transfer-Encoding must be exactly \"chunked\"");
	if (f.encodings && m->content_length >= 0)
		return bad(m, 400, "Transfer-Encoding and Content-Length exclude each other");
	m->keep_alive &= !f.close;
	if (m->kind == HL_MESSAGE_REQUEST) {
		if (!method_known(p->method, &m->method))
			return bad(m, 501, "the method is not supported");
		m->target = hl_str_make(m->headers.bytes.data + m->target_at, m->target_len);
		status = hl_request_judge(&m->headers, hl_method_name(m->method), m->target, m->minor, &f, &reason);
		if (status)
			return bad(m, status, reason);
		m->expects_continue = f.expects && m->minor == 1;
	} else {
		m->status = p->status_code;
		if (m->status == 101)
			return bad(m, 101, "the server switched protocols unasked");
		if (m->status < 100 || m->status > 999)
			return bad(m, 0, "the status code is malformed");
		if (m->status < 200) {
			if (m->interim++ >= m->limits->interim_max)
				return bad(m, m->status, "too many interim answers");
			begin_head(m);
			return HL_STEP_MORE;
		}
	}
	move(m, HL_MESSAGE_HEAD_DONE);
	return HL_STEP_HEAD;
}

/* Empty lines before a request are forgiven, a few of them, if they are CR LF each. */
static bool skip_blank(struct hl_message *m, struct hl_str *in)
{
	for (; in->len; in->ptr++, in->len--) {
		bool half = m->blank & 1;
		if (!half && *in->ptr != '\r' && *in->ptr != '\n')
			break;
		if (*in->ptr != (half ? '\n' : '\r') || m->kind == HL_MESSAGE_RESPONSE || ++m->blank > BLANK_MAX) {
			bad(m, 400, "the message begins with empty lines");
			return false;
		}
	}
	return true;
}

/* Collects the next n bytes and has llhttp read them; `end`: the last of them must be the last of the head. */
static enum hl_step read_head(struct hl_message *m, struct hl_str *in, size_t n, bool end)
{
	struct hl_buf *b = &m->headers.bytes;
	size_t at = b->len;
	hl_buf_add(b, in->ptr, n);
	if (!hl_buf_ok(b))
		return bad(m, 503, "out of memory");
	m->head_len += (uint32_t)n;
	in->ptr += n;
	in->len -= n;
	if (!run(m, at, n - end))
		return HL_STEP_BAD;
	if (m->head_seen)
		return bad(m, 400, "the end of the head is ambiguous");
	if (!end)
		return HL_STEP_MORE;
	if (!run(m, at + n - 1, 1))
		return HL_STEP_BAD;
	return m->head_seen ? head_complete(m) : bad(m, 400, "the end of the head is ambiguous");
}

static enum hl_step step_head(struct hl_message *m, struct hl_str *in)
{
	while (in->len) {
		if (m->headers.bytes.len == 0 && !skip_blank(m, in))
			return HL_STEP_BAD;
		bool end;
		const char *reason;
		size_t n = hl_framing_scan(&m->line, *in, &end, &reason), room = m->limits->head_max - m->head_len;
		bool over = n > room;
		if (over)
			n = room;
		enum hl_step step = n ? read_head(m, in, n, end && !over) : HL_STEP_MORE;
		if (step != HL_STEP_MORE)
			return step;
		if (over && m->target_len > m->limits->target_max) /* its end is not even within the head */
			return bad(m, 414, "the request target is too long");
		if (over)
			return bad(m, 431, "the head is too large");
		if (reason)
			return bad(m, 400, reason);
	}
	return HL_STEP_MORE;
}

/* ---- the body -------------------------------------------------------------------------------------------------------- */

static enum hl_step end(struct hl_message *m)
{
	move(m, HL_MESSAGE_ENDED);
	return HL_STEP_END;
}

static enum hl_step step_body(struct hl_message *m, struct hl_str *in)
{
	llhttp_t *p = parser_of(m);
	static const char nothing[1];
	if (m->ended_seen)
		return end(m);
	/* A stopped llhttp may have more to say although no byte is left: the end of the message. */
	while (in->len || m->stopped) {
		const char *from = in->ptr ? in->ptr : nothing, *reason = NULL;
		size_t n = in->len;
		bool end_of_trailers = false;
		if (m->in_trailers)
			n = hl_framing_scan(&m->line, *in, &end_of_trailers, &reason);
		if (reason)
			return bad(m, 400, reason);
		if (m->stopped)
			llhttp_resume(p);
		m->stopped = false;
		m->chunk = HL_STR_NONE;
		bool in_trailers = m->in_trailers;
		int rc = llhttp_execute(p, from, n);
		if (rc != HPE_OK && rc != HPE_PAUSED)
			return bad(m, 400, m->reason ? m->reason : reason_of(p));
		m->stopped = rc == HPE_PAUSED;
		size_t used = m->stopped ? (size_t)(llhttp_get_error_pos(p) - from) : n;
		in->ptr += in->ptr ? used : 0;
		in->len -= used;
		if (in_trailers && m->ended_seen != end_of_trailers)
			return bad(m, 400, "the end of the trailers is ambiguous");
		m->framing_len += (uint32_t)(used - m->chunk.len);
		if (m->framing_len > FRAMING_MAX)
			return bad(m, 400, "too many bytes around the chunks of the body");
		if (m->chunk.len) {
			m->framing_len = 0;
			m->body_len += m->chunk.len;
			if (m->body_len > m->body_max)
				return bad(m, 413, "the body is too large");
			return HL_STEP_BODY;
		}
		if (m->ended_seen)
			return end(m);
	}
	return HL_STEP_MORE;
}

enum hl_step hl_message_step(struct hl_message *m, struct hl_str *in)
{
	switch (m->state) {
	case HL_MESSAGE_IN_HEAD:
		return step_head(m, in);
	case HL_MESSAGE_HEAD_DONE:
		move(m, HL_MESSAGE_IN_BODY);
		return step_body(m, in);
	case HL_MESSAGE_IN_BODY:
		return step_body(m, in);
	case HL_MESSAGE_ENDED:
		return HL_STEP_MORE;
	case HL_MESSAGE_BAD:
		return HL_STEP_BAD;
	}
	HL_NEVER("message state");
}

enum hl_step hl_message_eof(struct hl_message *m)
{
	switch (m->state) {
	case HL_MESSAGE_IN_HEAD:
		return m->head_len == 0 ? HL_STEP_MORE : bad(m, 400, "the head is cut short");
	case HL_MESSAGE_HEAD_DONE:
	case HL_MESSAGE_IN_BODY:
		if (m->state == HL_MESSAGE_HEAD_DONE)
			move(m, HL_MESSAGE_IN_BODY);
		return m->until_eof || m->ended_seen ? end(m) : bad(m, 400, "the body is cut short");
	case HL_MESSAGE_ENDED:
		return HL_STEP_MORE;
	case HL_MESSAGE_BAD:
		return HL_STEP_BAD;
	}
	HL_NEVER("message state");
}

const char *hl_method_name(enum hl_method m)
{
#define HL_X(number, name) [number] = #name,
	static const char *const names[] = { HL_METHOD_TABLE(HL_X) };
#undef HL_X
	return (unsigned)m < HL_METHOD_N ? names[m] : "?";
}
