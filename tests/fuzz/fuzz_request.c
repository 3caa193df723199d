/* Any bytes as a stream of requests: the reader always gets on, says the same however the stream was cut, and a head that it
 * lets through is one that no two readers could take for different requests; a slow reader looks at each.
 *
 * Eight bytes that decide on the pieces come first. */
#include "message.h"

#include <ctype.h>

static bool token(struct hl_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && !strchr("!#$%&'*+-.^_`|~", s.ptr[i]))
			return false;
	return s.len;
}

/* What a line of the head says; the value without blanks around it. */
static bool field(struct hl_str line, const char *name, struct hl_str *value)
{
	struct hl_str rest = line, key = hl_str_split(&rest, ':');
	if (!rest.ptr || !hl_str_ieq(key, hl_str_from(name)))
		return false;
	*value = hl_str_trim(rest);
	return true;
}

/* The bytes as they came, line by line. */
static void look_at(const struct hl_message *m)
{
	struct hl_str rest = hl_buf_all(&m->headers.bytes), v, length = HL_STR_NONE;
	unsigned hosts = 0, lengths = 0, encodings = 0, fields = 0, lines = 0;
	HL_CHECK(!memchr(rest.ptr, '\0', rest.len) && rest.len <= hl_request_limits.head_max);
	while (rest.ptr) {
		struct hl_str line = hl_str_split(&rest, '\n');
		if (hl_str_ends(line, HL_STR("\r")))
			line.len--;
		if (!line.len)
			continue; /* blank ones before the head, and the end */
		HL_CHECK(!memchr(line.ptr, '\r', line.len) && !isblank((unsigned char)line.ptr[0]));
		if (!lines++)
			continue;
		fields++;
		struct hl_str name = line;
		name = hl_str_split(&name, ':');
		HL_CHECK(token(name));
		hosts += field(line, "Host", &v);
		encodings += field(line, "Transfer-Encoding", &v);
		HL_CHECK(!field(line, "Transfer-Encoding", &v) || hl_str_ieq(v, HL_STR("chunked")));
		if (field(line, "Content-Length", &v)) {
			HL_CHECK(v.len && hl_str_all_between(v, '0', '9'));
			length = v;
			lengths++;
		}
	}
	uint64_t n;
	HL_CHECK(fields == m->headers.n && encodings <= 1 && lengths <= 1 && !(encodings && lengths));
	HL_CHECK(hosts <= 1 && (hosts == 1 || m->minor == 0) && m->chunked == (encodings == 1));
	HL_CHECK(lengths ? hl_str_u64(length, &n) && n == (uint64_t)m->content_length : m->content_length == -1);
	HL_CHECK(m->method < HL_METHOD_N && m->target.len && m->target.ptr[0] == '/' && !memchr(m->target.ptr, '#', m->target.len));
	HL_CHECK(hl_str_all_between(m->target, 0x21, 0x7e) && m->target.len <= hl_request_limits.target_max && m->minor <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len);
	uint64_t seed = fuzz_u64(&in);
	struct seen whole = run(HL_MESSAGE_REQUEST, in, false, NULL, look_at);
	struct seen cut = run(HL_MESSAGE_REQUEST, in, false, &seed, look_at);
	same(&whole, &cut);
	return 0;
}
