/* What is refused in a request's head although its grammar is right: each rule in one line. */
#include "http/judge.h"
#include "base/str.h"

/* "METHOD target HTTP/1.x", parted by one blank each: more of them is one more way to disagree about the target. */
static bool start_line_valid(struct hl_str head, const char *method, struct hl_str target)
{
	size_t method_len = strlen(method), target_at = (size_t)(target.ptr - head.ptr), target_end = target_at + target.len;
	return target_at == method_len + 1 && memcmp(head.ptr, method, method_len) == 0 && head.ptr[method_len] == ' '
			&& head.len > target_end + 11 && memcmp(head.ptr + target_end, " HTTP/1.", 8) == 0
			&& memcmp(head.ptr + target_end + 9, "\r\n", 2) == 0;
}

unsigned hl_request_judge(const struct hl_headers *h, const char *method, struct hl_str target, unsigned minor,
		const struct hl_framing *f, const char **out_reason)
{
	if (!start_line_valid(hl_buf_all(&h->bytes), method, target))
		return *out_reason = "the request line is not \"METHOD /path HTTP/1.x\"", 400;
	if (target.len == 0 || target.ptr[0] != '/')
		return *out_reason = "the request target must be a path", 400;
	if (memchr(target.ptr, '#', target.len))
		return *out_reason = "the request target must not have a fragment", 400;
	if (f->hosts > 1 || (f->hosts == 0 && minor == 1))
		return *out_reason = "exactly one Host field is required", 400;
	if (f->hosts == 1 && !hl_framing_host_valid(f->host))
		return *out_reason = "the Host field is malformed", 400;
	if (f->encodings && minor == 0)
		return *out_reason = "Transfer-Encoding is not part of HTTP/1.0", 400;
	if (f->upgrade)
		return *out_reason = "switching protocols is not supported", 400;
	if (minor == 1 && (f->expects > 1 || (f->expects && !hl_str_ieq(f->expect, HL_STR("100-continue")))))
		return *out_reason = "the expectation is not supported", 417;
	return 0;
}
