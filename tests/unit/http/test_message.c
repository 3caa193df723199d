/* Messages: every shape is fed whole, byte by byte and in two pieces at every place, and must give the same verdict.
 *
 * A verdict is a line of text: "POST /x [abc] $" is a head, its body, its end; "!400" is a refusal. */
#include "http_test.h"
#include "base/str.h"
#include "http/message.h"

struct shape {
	const char *name;
	struct hl_str bytes;
	const char *verdict;
};
#define SHAPE(name, bytes, verdict) { name, { bytes, sizeof(bytes) - 1 }, verdict }
#define H "Host: h\r\n"

static void tell(struct hl_buf *out, struct hl_message *m, enum hl_step step, bool *in_body)
{
	if (step == HL_STEP_BODY) {
		if (!*in_body)
			hl_buf_cstr(out, "[");
		*in_body = true;
		hl_buf_str(out, m->chunk);
		return;
	}
	if (*in_body)
		hl_buf_cstr(out, "] ");
	*in_body = false;
	if (step == HL_STEP_HEAD && m->kind == HL_MESSAGE_REQUEST)
		hl_buf_fmt(out, "%s %.*s ", hl_method_name(m->method), HL_FMT(m->target));
	else if (step == HL_STEP_HEAD)
		hl_buf_fmt(out, "%u ", m->status);
	else if (step == HL_STEP_END)
		hl_buf_cstr(out, m->keep_alive ? "$ " : "$close ");
	else if (step == HL_STEP_BAD && m->kind == HL_MESSAGE_REQUEST)
		hl_buf_fmt(out, "!%u", m->status);
	else if (step == HL_STEP_BAD)
		hl_buf_cstr(out, "!");
}

/* Feeds the pieces [0,cut) and [cut,len), each split further into steps of `step` bytes; eof at the end when asked for. */
static void run(enum hl_message_kind kind, struct hl_str bytes, size_t cut, size_t piece, bool eof, struct hl_buf *out)
{
	struct hl_message m;
	bool in_body = false, over = false;
	hl_message_init(&m, kind, kind == HL_MESSAGE_REQUEST ? &hl_request_limits : &hl_response_limits);
	hl_buf_reset(out);
	for (size_t at = 0; at < bytes.len && !over;) {
		size_t n = at < cut ? cut - at : bytes.len - at;
		if (n > piece)
			n = piece;
		char *copy = malloc(n); /* exact size, and gone after: a slice into it would be found out */
		memcpy(copy, bytes.ptr + at, n);
		struct hl_str in = { copy, n };
		enum hl_step step;
		while (!over && (step = hl_message_step(&m, &in)) != HL_STEP_MORE) {
			tell(out, &m, step, &in_body);
			over = step == HL_STEP_BAD;
			if (step == HL_STEP_END) {
				bool last = !m.keep_alive;
				hl_message_next(&m, false);
				over = last;
			}
		}
		if (!over)
			assert_int_equal(in.len, 0);
		free(copy);
		at += n;
	}
	if (eof && !over) {
		enum hl_step step = hl_message_eof(&m);
		if (step != HL_STEP_MORE)
			tell(out, &m, step, &in_body);
	}
	if (in_body)
		hl_buf_cstr(out, "…");
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
	hl_message_fini(&m);
}

static void check(enum hl_message_kind kind, const struct shape *s, size_t n, bool eof)
{
	struct hl_buf out = { 0 };
	for (size_t i = 0; i < n; i++) {
		struct hl_str b = s[i].bytes;
		for (size_t cut = 0; cut <= b.len + 1; cut++) {
			bool bytewise = cut == b.len + 1;
			run(kind, b, cut, bytewise ? 1 : b.len, eof, &out);
			if (strcmp(out.data ? out.data : "", s[i].verdict) != 0)
				fail_msg("%s (cut at %zu of %zu): \"%s\", want \"%s\"", s[i].name, cut, b.len, out.data, s[i].verdict);
		}
	}
	hl_buf_fini(&out);
}

static const struct shape requests[] = {
	SHAPE("plain get", "GET / HTTP/1.1\r\n" H "\r\n", "GET / $"),
	SHAPE("query", "GET /a?b=c HTTP/1.1\r\n" H "\r\n", "GET /a?b=c $"),
	SHAPE("post", "POST /x HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", "POST /x [abc] $"),
	SHAPE("empty post", "POST /x HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "POST /x $"),
	SHAPE("post without length", "POST /x HTTP/1.1\r\n" H "\r\n", "POST /x $"),
	SHAPE("get with body", "GET /x HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi", "GET /x [hi] $"),
	SHAPE("chunked", "POST /x HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "POST /x [abcde] $"),
	SHAPE("chunked in capitals", "POST /x HTTP/1.1\r\n" H "TRANSFER-ENCODING:  Chunked \r\n\r\n1\r\na\r\n0\r\n\r\n", "POST /x [a] $"),
	SHAPE("chunked, nothing", "POST /x HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST /x $"),
	SHAPE("chunk extension", "POST /x HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n0\r\n\r\n", "POST /x [a] $"),
	SHAPE("trailer", "POST /x HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n", "POST /x [a] $"),
	SHAPE("pipelined", "GET /1 HTTP/1.1\r\n" H "\r\nPOST /2 HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\naGET /3 HTTP/1.1\r\n" H "\r\n",
		"GET /1 $ POST /2 [a] $ GET /3 $"),
	SHAPE("empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET / $"),
	SHAPE("too many empty lines", "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("1.0", "GET / HTTP/1.0\r\n\r\n", "GET / $close"),
	SHAPE("1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / $"),
	SHAPE("close", "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "GET / $close"),
	SHAPE("methods", "HEAD / HTTP/1.1\r\n" H "\r\nPUT / HTTP/1.1\r\n" H "\r\nPATCH / HTTP/1.1\r\n" H "\r\nDELETE / HTTP/1.1\r\n" H
		"\r\nOPTIONS / HTTP/1.1\r\n" H "\r\n", "HEAD / $ PUT / $ PATCH / $ DELETE / $ OPTIONS / $"),
	SHAPE("host with port", "GET / HTTP/1.1\r\nHost: a_b.example:8080\r\n\r\n", "GET / $"),
	SHAPE("host v6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / $"),
	/* Host */
	SHAPE("no host", "GET / HTTP/1.1\r\n\r\n", "!400"),
	SHAPE("two hosts", "GET / HTTP/1.1\r\n" H H "\r\n", "!400"),
	SHAPE("two hosts on 1.0", "GET / HTTP/1.0\r\n" H H "\r\n", "!400"),
	SHAPE("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "!400"),
	SHAPE("host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "!400"),
	SHAPE("host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "!400"),
	SHAPE("host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "!400"),
	SHAPE("host with bad port", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", "!400"),
	SHAPE("host with worse port", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", "!400"),
	SHAPE("host half v6", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "!400"),
	SHAPE("host junk after v6", "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", "!400"),
	/* length against encoding */
	SHAPE("CL then TE", "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("TE then CL", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("empty TE", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", "!400"),
	SHAPE("empty TE with CL", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\nContent-Length: 1\r\n\r\na", "!400"),
	SHAPE("identity", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", "!400"),
	SHAPE("xchunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("gzip, chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("chunked, identity", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("chunked twice", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("chunked, chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("identity, then chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("quoted chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("chunked;q", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("TE on 1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("two CL", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "!400"),
	SHAPE("CL list", "POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\na", "!400"),
	SHAPE("CL +3", "POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc", "!400"),
	SHAPE("CL -1", "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\nabc", "!400"),
	SHAPE("CL 0x3", "POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc", "!400"),
	SHAPE("CL 1 2", "POST / HTTP/1.1\r\n" H "Content-Length: 1 2\r\n\r\nabc", "!400"),
	SHAPE("CL huge", "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\nabc", "!400"),
	SHAPE("CL past 2^63", "POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\nabc", "!413"),
	/* lines */
	SHAPE("space before colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "!400"),
	SHAPE("fold", "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", "!400"),
	SHAPE("fold with tab", "GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", "!400"),
	SHAPE("fold TE", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("fold CL", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n 1\r\n\r\na", "!400"),
	SHAPE("space before the first field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", "!400"),
	SHAPE("CR as separator", "POST / HTTP/1.1\r\n" H "X-Abc:\rxTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!400"),
	SHAPE("bare LF", "GET / HTTP/1.1\n" H "\n", "!400"),
	SHAPE("bare LF in fields", "GET / HTTP/1.1\r\nHost: h\n\r\n", "!400"),
	SHAPE("bare CR in value", "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", "!400"),
	SHAPE("CR LF CR X", "GET / HTTP/1.1\r\n" H "X: y\r\n\rX\r\n\r\n", "!400"),
	SHAPE("NUL in value", "GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", "!400"),
	SHAPE("DEL in value", "GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", "!400"),
	SHAPE("NUL in name", "GET / HTTP/1.1\r\n" H "X\0: a\r\n\r\n", "!400"),
	SHAPE("no colon", "GET / HTTP/1.1\r\n" H "garbage\r\n\r\n", "!400"),
	SHAPE("empty name", "GET / HTTP/1.1\r\n" H ": x\r\n\r\n", "!400"),
	/* start line */
	SHAPE("absolute form", "GET http://other/ HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("asterisk form", "OPTIONS * HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("no slash", "GET a HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("0.9", "GET /\r\n\r\n", "!505"),
	SHAPE("0.9 by name", "GET / HTTP/0.9\r\n" H "\r\n", "!505"),
	SHAPE("1.2", "GET / HTTP/1.2\r\n" H "\r\n", "!505"),
	SHAPE("2.0", "GET / HTTP/2.0\r\n" H "\r\n", "!505"),
	SHAPE("11.1", "GET / HTTP/11.1\r\n" H "\r\n", "!505"),
	SHAPE("h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "!400"),
	SHAPE("rtsp", "OPTIONS /x RTSP/1.0\r\n" H "\r\n", "!400"),
	SHAPE("icecast", "SOURCE /x ICE/1.0\r\n" H "\r\n", "!501"),
	SHAPE("connect", "CONNECT h:443 HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("trace", "TRACE / HTTP/1.1\r\n" H "\r\n", "!501"),
	SHAPE("propfind", "PROPFIND / HTTP/1.1\r\n" H "\r\n", "!501"),
	SHAPE("lower-case method", "get / HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("unknown method", "BREW / HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("tls hello", "\x16\x03\x01\x02\x00\x01", "!400"),
	SHAPE("upgrade", "GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "!400"),
	SHAPE("upgrade alone", "GET / HTTP/1.1\r\n" H "Upgrade: h2c\r\n\r\n", "!400"),
	SHAPE("expectation", "POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\nContent-Length: 1\r\n\r\na", "!417"),
	/* chunks */
	SHAPE("chunk size junk", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "POST / !400"),
	SHAPE("chunk size 0x", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", "POST / !400"),
	SHAPE("chunk size negative", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n", "POST / !400"),
	SHAPE("chunk size overflow", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", "POST / !400"),
	SHAPE("chunk LF", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", "POST / !400"),
	SHAPE("chunk without CRLF", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nab0\r\n\r\n", "POST / [a] !400"),
	SHAPE("trailers ended by LF", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\nGET / HTTP/1.1\r\n" H "\r\n", "POST / !400"),
	SHAPE("trailer ended by LF", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", "POST / !400"),
	SHAPE("trailer folded", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n", "POST / !400"),
	SHAPE("trailer without name", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n: y\r\n\r\n", "POST / !400"),
	SHAPE("head ended by LF after CR LF", "GET / HTTP/1.1\r\n" H "\nGET /2 HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("LF before a request", "\nGET / HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("CR before a request", "\rGET / HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("two blanks", "GET /  HTTP/1.1\r\n" H "\r\n", "!400"),
	SHAPE("bad version, then a fold", "GET / HTTP/1.9\r\n" H " x\r\n\r\n", "!505"),
	SHAPE("close with tab", "GET / HTTP/1.1\r\n" H "Connection: close\t\r\n\r\n", "GET / $close"),
	SHAPE("close in a list", "GET / HTTP/1.1\r\n" H "Connection: x,\tClose ,y\r\n\r\n", "GET / $close"),
	SHAPE("two expectations", "POST / HTTP/1.1\r\n" H "Expect: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", "!417"),
	SHAPE("length in trailers", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\ncontent-length: 9\r\n\r\n", "POST / !400"),
	SHAPE("empty coding in trailers", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding:\r\n\r\n", "POST / !400"),
	SHAPE("host in trailers", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n" H "\r\n", "POST / !400"),
	SHAPE("long trailer", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\ncontent-length-and-more-of-it: 9\r\n\r\n", "POST / $"),
};

static const struct shape responses[] = {
	SHAPE("plain", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 [ok] $"),
	SHAPE("two", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "200 [ok] $ 404 $"),
	SHAPE("no reason", "HTTP/1.1 202\r\nContent-Length: 0\r\n\r\n", "202 $"),
	SHAPE("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200 [ok] $"),
	SHAPE("close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "200 $close"),
	SHAPE("1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "200 [a] $close"),
	SHAPE("1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", "200 [a] $"),
	SHAPE("204", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "204 $ 200 $"),
	SHAPE("204 with CL 0", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204 $"),
	SHAPE("204 with CL", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "204 $close"),
	SHAPE("204 chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "204 $close"),
	SHAPE("304 with CL", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "304 $ 200 $"),
	SHAPE("100 first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 $"),
	SHAPE("100, 102, 103 first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\n"
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "200 [a] $"),
	SHAPE("four 1xx", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "!"),
	SHAPE("101", "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "!"),
	SHAPE("announcing upgrades", "HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\nContent-Length: 0\r\n\r\n", "200 $"),
	SHAPE("garbage", "SSH-2.0-OpenSSH_9.2\r\n", "!"),
	SHAPE("html", "<html>", "!"),
	SHAPE("json", "{\"ok\":true}", "!"),
	SHAPE("empty line first", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "!"),
	SHAPE("2.0", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "!"),
	SHAPE("rtsp", "RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "!"),
	SHAPE("status 99", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", "!"),
	SHAPE("status 20", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "!"),
	SHAPE("status 2000", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "!"),
	SHAPE("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "!"),
	SHAPE("CL and TE", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!"),
	SHAPE("gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "!"),
	SHAPE("gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", "!"),
	SHAPE("fold", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", "!"),
	SHAPE("bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "!"),
	SHAPE("bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "200 !"),
};

/* The stream ends after these bytes. */
static const struct shape ended[] = {
	SHAPE("nothing", "", ""),
	SHAPE("between", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 $"),
	SHAPE("no length", "HTTP/1.1 200 OK\r\n\r\nall of it", "200 [all of it] $close"),
	SHAPE("no length, empty", "HTTP/1.1 200 OK\r\n\r\n", "200 $close"),
	SHAPE("1.0 no length", "HTTP/1.0 500 Oops\r\n\r\nx", "500 [x] $close"),
	SHAPE("in the head", "HTTP/1.1 200 OK\r\nConte", "!"),
	SHAPE("after the head", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "200 !"),
	SHAPE("in the body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "200 [ab] !"),
	SHAPE("in the chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "200 [abc] !"),
	SHAPE("after 100", "HTTP/1.1 100 Continue\r\n\r\n", "!"),
};

static void request_shapes(void **state)
{
	(void)state;
	check(HL_MESSAGE_REQUEST, requests, sizeof(requests) / sizeof(requests[0]), false);
}

static void response_shapes(void **state)
{
	(void)state;
	check(HL_MESSAGE_RESPONSE, responses, sizeof(responses) / sizeof(responses[0]), false);
}

static void response_ends(void **state)
{
	(void)state;
	check(HL_MESSAGE_RESPONSE, ended, sizeof(ended) / sizeof(ended[0]), true);
}

/* ---- limits ---- */

static enum hl_step feed_all(struct hl_message *m, struct hl_str in)
{
	enum hl_step step, last = HL_STEP_MORE;
	while ((step = hl_message_step(m, &in)) != HL_STEP_MORE) {
		last = step;
		if (step == HL_STEP_BAD || step == HL_STEP_END)
			break;
	}
	return last;
}

static void limits_of_a_head(void **state)
{
	(void)state;
	struct hl_message m;
	struct hl_buf b = { 0 };
	for (int over = 0; over < 2; over++) {
		/* 64 fields with Host, then 65 */
		hl_buf_reset(&b);
		hl_buf_cstr(&b, "GET / HTTP/1.1\r\n" H);
		for (int i = 0; i < 63 + over; i++)
			hl_buf_fmt(&b, "x-%d: y\r\n", i);
		hl_buf_cstr(&b, "\r\n");
		hl_message_init(&m, HL_MESSAGE_REQUEST, &hl_request_limits);
		assert_int_equal(feed_all(&m, hl_buf_all(&b)), over ? HL_STEP_BAD : HL_STEP_END);
		assert_true(!over || m.status == 431);
		hl_message_fini(&m);
		/* 16 KiB of head, then one byte more */
		hl_buf_reset(&b);
		hl_buf_cstr(&b, "GET / HTTP/1.1\r\n" H "x: ");
		while (b.len < 16384 - 4 + (size_t)over)
			hl_buf_char(&b, 'y');
		hl_buf_cstr(&b, "\r\n\r\n");
		hl_message_init(&m, HL_MESSAGE_REQUEST, &hl_request_limits);
		assert_int_equal(feed_all(&m, hl_buf_all(&b)), over ? HL_STEP_BAD : HL_STEP_END);
		assert_true(!over || m.status == 431);
		hl_message_fini(&m);
		/* 8 KiB of target */
		hl_buf_reset(&b);
		hl_buf_cstr(&b, "GET /");
		while (b.len < 4 + 8192 + (size_t)over)
			hl_buf_char(&b, 'y');
		hl_buf_cstr(&b, " HTTP/1.1\r\n" H "\r\n");
		hl_message_init(&m, HL_MESSAGE_REQUEST, &hl_request_limits);
		assert_int_equal(feed_all(&m, hl_buf_all(&b)), over ? HL_STEP_BAD : HL_STEP_END);
		assert_true(!over || m.status == 414);
		hl_message_fini(&m);
	}
	hl_buf_fini(&b);
}

/* What never ends is refused while it comes, not when it is over. */
static void endless_heads(void **state)
{
	(void)state;
	struct hl_message m;
	static const char *const endless[] = { "x-a: b\r\n", "xxxxxxxxxxxxxxxx", "HTTP/1.1 102 Processing\r\n\r\n" };
	for (int i = 0; i < 3; i++) {
		size_t fed = 0;
		hl_message_init(&m, HL_MESSAGE_RESPONSE, &hl_response_limits);
		struct hl_str in = HL_STR("HTTP/1.1 200 OK\r\nx: y\r\nx");
		enum hl_step step = i == 2 ? HL_STEP_MORE : hl_message_step(&m, &in);
		while (step == HL_STEP_MORE && fed < 100000) {
			in = hl_str_from(endless[i]);
			fed += in.len;
			step = hl_message_step(&m, &in);
		}
		assert_int_equal(step, HL_STEP_BAD);
		assert_true(fed <= 32768 + 64);
		assert_int_equal(hl_message_step(&m, &in), HL_STEP_BAD);
		hl_message_fini(&m);
	}
}

static void endless_framing(void **state)
{
	(void)state;
	static const char *const tails[] = { "1;", "0\r\nx: " };
	for (int i = 0; i < 2; i++) {
		struct hl_message m;
		size_t fed = 0;
		hl_message_init(&m, HL_MESSAGE_REQUEST, &hl_request_limits);
		assert_int_equal(feed_all(&m, HL_STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n")), HL_STEP_HEAD);
		struct hl_str in = hl_str_from(tails[i]);
		enum hl_step step = hl_message_step(&m, &in);
		while (step == HL_STEP_MORE && fed < 100000) {
			in = HL_STR("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
			fed += in.len;
			step = hl_message_step(&m, &in);
		}
		assert_int_equal(step, HL_STEP_BAD);
		assert_int_equal(m.status, 400);
		assert_true(fed < 9000);
		hl_message_fini(&m);
	}
}

/* Floods are as large in one piece as in many, and what is wrong with them is the same: a limit is never noticed earlier
 * than garbage just because a piece ended between the two. */
static void floods_in_pieces(void **state)
{
	(void)state;
	static const struct {
		const char *before, *flood;
		unsigned times;
		const char *after, *verdict;
	} f[] = {
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;", "yyyyyyyy", 1100, "\r\na\r\n0\r\n\r\n", "POST / !400" },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n", "x: y\r\n", 1500, "\r\n", "POST / !400" },
		{ "GET /", "yyyyyyyy", 5000, " HTTP/1.1\r\n" H "\r\n", "!414" },
		{ "GET /", "yyyyyyyy", 1024, " HTTP/1.1\r\n" H "\r\n", "!414" },
		{ "GET /", "yyyyyyyy", 1023, "yyyyyyy HTTP/1.1\r\n" H "\r\n", NULL },
		{ "GET /", "yyyyyyyy", 1024, "y\x80", "!400" },
		{ "GET /", "yyyyyyyy", 1024, "y HTTP/7.1\r\n", "!414" },
		{ "GET / HTTP/1.1\r\n" H, "x: y\r\n", 5000, "\r\n", "!431" },
		{ "GET / HTTP/1.1\r\n" H, "x: y\r\n", 63, "\r\n", "GET / $" },
		{ "GET / HTTP/1.1\r\n" H, "x: y\r\n", 63, "name", "" },
		{ "GET / HTTP/1.1\r\n" H, "x: y\r\n", 63, "name:", "!431" },
		{ "GET / HTTP/1.1\r\n" H, "x: y\r\n", 63, "na\x80me:", "!400" },
		{ "GET / HTTP/1.1\r\n" H, "x: y\r\n", 63, "na\r\n", "!400" },
		{ "GET / HTTP/1.1\r\n" H "x: ", "yyyyyyyy", 5000, "\r\n\r\n", "!431" },
		{ "GET / HTTP/1.1\r\n" H, "yyyyyyyy", 5000, "\r\n\r\n", "!431" },
	};
	static const size_t pieces[] = { SIZE_MAX, 4096, 1000, 7, 3, 1 };
	struct hl_buf b = { 0 }, out = { 0 };
	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		hl_buf_reset(&b);
		hl_buf_cstr(&b, f[i].before);
		for (unsigned n = 0; n < f[i].times; n++)
			hl_buf_cstr(&b, f[i].flood);
		hl_buf_cstr(&b, f[i].after);
		for (size_t k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++) {
			hl_buf_reset(&out);
			run(HL_MESSAGE_REQUEST, hl_buf_all(&b), b.len, pieces[k], false, &out);
			const char *got = out.data ? out.data : "";
			if (f[i].verdict ? strcmp(got, f[i].verdict) != 0 : !hl_str_ends(hl_buf_all(&out), HL_STR("y $")))
				fail_msg("flood %zu in pieces of %zu: \"%s\", want \"%s\"", i, pieces[k], got, f[i].verdict);
		}
	}
	hl_buf_fini(&b);
	hl_buf_fini(&out);
}

static void body_limit(void **state)
{
	(void)state;
	struct hl_message m;
	hl_message_init(&m, HL_MESSAGE_REQUEST, &hl_request_limits);
	struct hl_str in = HL_STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n");
	assert_int_equal(hl_message_step(&m, &in), HL_STEP_HEAD);
	m.body_max = 3;
	assert_int_equal(hl_message_step(&m, &in), HL_STEP_BODY);
	assert_int_equal(hl_message_step(&m, &in), HL_STEP_BAD);
	assert_int_equal(m.status, 413);
	hl_message_fini(&m);
}

static void fields_of_a_head(void **state)
{
	(void)state;
	struct hl_message m;
	struct hl_str v;
	hl_message_init(&m, HL_MESSAGE_REQUEST, &hl_request_limits);
	struct hl_str in = HL_STR("POST /a HTTP/1.1\r\nHost: h\r\nX-Empty:\r\nX-Blanks: \t a b \t\r\nExpect: 100-continue\r\n"
			"X-Last: \xc3\xa4\r\nContent-Length: 7\r\n\r\n");
	assert_int_equal(hl_message_step(&m, &in), HL_STEP_HEAD);
	assert_int_equal(m.headers.n, 6);
	assert_true(hl_headers_get(&m.headers, HL_STR("x-empty"), &v) && v.len == 0);
	assert_true(hl_headers_get(&m.headers, HL_STR("x-blanks"), &v) && hl_str_eq(v, HL_STR("a b")));
	assert_true(hl_headers_get(&m.headers, HL_STR("x-last"), &v) && hl_str_eq(v, HL_STR("\xc3\xa4")));
	assert_true(m.expects_continue);
	assert_int_equal(m.content_length, 7);
	assert_true(m.keep_alive);
	hl_message_fini(&m);
}

static void answer_to_head_has_no_body(void **state)
{
	(void)state;
	struct hl_message m;
	hl_message_init(&m, HL_MESSAGE_RESPONSE, &hl_response_limits);
	hl_message_next(&m, true);
	assert_false(hl_message_started(&m));
	assert_int_equal(feed_all(&m, HL_STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")), HL_STEP_END);
	assert_true(hl_message_started(&m));
	assert_true(m.keep_alive);
	hl_message_fini(&m);
}

/* Any bytes at all: no crash, and once refused always refused. */
static void noise(void **state)
{
	(void)state;
	static const char *const words[] = { "GET ", "/", " HTTP/1.1", "\r\n", "\n", "\r", "Host: h", ":", " ", "\t", "Content-Length: 5",
		"Transfer-Encoding: chunked", "5", "0", "hello", "HTTP/1.1 200 OK", "POST /x", "\0x", "Connection: close", "Expect: 100-continue" };
	uint64_t seed = 42;
	for (int round = 0; round < 20000; round++) {
		struct hl_message m;
		enum hl_message_kind kind = round & 1 ? HL_MESSAGE_REQUEST : HL_MESSAGE_RESPONSE;
		hl_message_init(&m, kind, kind == HL_MESSAGE_REQUEST ? &hl_request_limits : &hl_response_limits);
		for (int i = 0; i < 12; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			const char *w = words[(seed >> 33) % (sizeof(words) / sizeof(words[0]))];
			struct hl_str in = { w, strlen(w) + (*w == 0) };
			enum hl_step step;
			int steps = 0;
			while ((step = hl_message_step(&m, &in)) != HL_STEP_MORE && step != HL_STEP_BAD && ++steps < 100)
				if (step == HL_STEP_END)
					hl_message_next(&m, false);
			assert_true(steps < 100);
		}
		(void)hl_message_eof(&m);
		hl_message_fini(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_shapes),
		cmocka_unit_test(response_shapes),
		cmocka_unit_test(response_ends),
		cmocka_unit_test(limits_of_a_head),
		cmocka_unit_test(endless_heads),
		cmocka_unit_test(endless_framing),
		cmocka_unit_test(floods_in_pieces), cmocka_unit_test(body_limit),
		cmocka_unit_test(fields_of_a_head),
		cmocka_unit_test(answer_to_head_has_no_body),
		cmocka_unit_test(noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
