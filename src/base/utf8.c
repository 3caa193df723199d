/* UTF-8 over whole slices. Checking and repairing accept any bytes; counting and cutting expect a valid text and,
 * given something else, still stay inside it. */
#include "base/utf8.h"

#include <string.h>

/* Length of the run of ASCII at p, looked at eight bytes at a time. */
static size_t ascii_run(const char *p, const char *end)
{
	const char *start = p;
	while (end - p >= 8) {
		uint64_t w;
		memcpy(&w, p, 8);
		if (w & 0x8080808080808080u)
			break;
		p += 8;
	}
	while (p < end && (unsigned char)*p < 0x80)
		p++;
	return (size_t)(p - start);
}

bool hl_utf8_valid(struct hl_str s)
{
	const char *p = s.ptr, *end = p + s.len;
	uint32_t scalar;
	while (p < end) {
		p += ascii_run(p, end);
		if (p == end)
			break;
		int n = hl_utf8_step(p, end, &scalar);
		if (n < 0)
			return false;
		p += n;
	}
	return true;
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

size_t hl_utf8_count(struct hl_str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += !is_continuation(s.ptr[i]);
	return n;
}

struct hl_str hl_utf8_cut(struct hl_str s, size_t n_chars)
{
	size_t seen = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_continuation(s.ptr[i]) && seen++ == n_chars)
			return (struct hl_str){ s.ptr, i };
	}
	return s;
}

struct hl_str hl_utf8_cut_bytes(struct hl_str s, size_t n)
{
	if (n >= s.len)
		return s;
	while (n > 0 && is_continuation(s.ptr[n]))
		n--;
	return (struct hl_str){ s.ptr, n };
}

size_t hl_utf8_put(uint32_t scalar, char out[4])
{
	if (scalar < 0x80) {
		out[0] = (char)scalar;
		return 1;
	}
	if (scalar < 0x800) {
		out[0] = (char)(0xC0 | scalar >> 6);
		out[1] = (char)(0x80 | (scalar & 0x3F));
		return 2;
	}
	if (scalar > 0x10FFFF || (scalar >= 0xD800 && scalar <= 0xDFFF))
		scalar = 0xFFFD;
	if (scalar < 0x10000) {
		out[0] = (char)(0xE0 | scalar >> 12);
		out[1] = (char)(0x80 | (scalar >> 6 & 0x3F));
		out[2] = (char)(0x80 | (scalar & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | scalar >> 18);
	out[1] = (char)(0x80 | (scalar >> 12 & 0x3F));
	out[2] = (char)(0x80 | (scalar >> 6 & 0x3F));
	out[3] = (char)(0x80 | (scalar & 0x3F));
	return 4;
}

void hl_utf8_repair(struct hl_buf *out, struct hl_str s, size_t n_chars)
{
	const char *p = s.ptr, *end = p + s.len, *good = p;
	uint32_t scalar;
	for (; p < end && n_chars > 0; n_chars--) {
		int n = hl_utf8_step(p, end, &scalar);
		if (n < 0) {
			hl_buf_add(out, good, (size_t)(p - good));
			hl_buf_add(out, "\xEF\xBF\xBD", 3);
			n = -n;
			good = p + n;
		}
		p += n;
	}
	hl_buf_add(out, good, (size_t)(p - good));
}
