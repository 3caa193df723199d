/* Slices of bytes. Everything here is total: any slice, the empty one with a NULL pointer included, is a valid
 * argument, and a number that does not fit or is not one leaves *out alone and gives false. */
#include "base/str.h"

int hl_str_cmp(struct hl_str a, struct hl_str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int d = n ? memcmp(a.ptr, b.ptr, n) : 0;
	if (d != 0)
		return d < 0 ? -1 : 1;
	return a.len < b.len ? -1 : a.len > b.len;
}

static unsigned lower(char c)
{
	unsigned u = (unsigned char)c;
	return u - 'A' < 26u ? u | 0x20u : u;
}

bool hl_str_ieq(struct hl_str a, struct hl_str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.ptr[i]) != lower(b.ptr[i]))
			return false;
	return true;
}

bool hl_str_starts(struct hl_str s, struct hl_str prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool hl_str_ends(struct hl_str s, struct hl_str suffix)
{
	return s.len >= suffix.len &&
	       (suffix.len == 0 || memcmp(s.ptr + (s.len - suffix.len), suffix.ptr, suffix.len) == 0);
}

bool hl_str_contains(struct hl_str s, struct hl_str needle)
{
	if (needle.len == 0)
		return true;
	return s.len >= needle.len && memmem(s.ptr, s.len, needle.ptr, needle.len) != NULL;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct hl_str hl_str_trim(struct hl_str s)
{
	while (s.len > 0 && is_space(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

struct hl_str hl_str_split(struct hl_str *rest, char sep)
{
	struct hl_str part = *rest;
	const char *p = part.len ? memchr(part.ptr, sep, part.len) : NULL;
	if (!p) {
		*rest = HL_STR_NONE;
		return part;
	}
	part.len = (size_t)(p - part.ptr);
	rest->len -= part.len + 1;
	rest->ptr = p + 1;
	return part;
}

bool hl_str_u64(struct hl_str s, uint64_t *out)
{
	uint64_t v = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned d = (unsigned char)s.ptr[i] - (unsigned)'0';
		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

bool hl_str_i64(struct hl_str s, int64_t *out)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	uint64_t v;
	if (negative) {
		s.ptr++;
		s.len--;
	}
	if (!hl_str_u64(s, &v) || v > (uint64_t)INT64_MAX + negative)
		return false;
	*out = (int64_t)(negative ? 0 - v : v);
	return true;
}

bool hl_str_all_between(struct hl_str s, unsigned char lo, unsigned char hi)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c < lo || c > hi)
			return false;
	}
	return true;
}
