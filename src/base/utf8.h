/* UTF-8 (RFC 3629): check, count, cut, repair. */
#ifndef HL_BASE_UTF8_H
#define HL_BASE_UTF8_H

#include "base/buf.h"

/* Length (1–4) of the well-formed sequence at p (p < end), its scalar in *out_scalar; malformed: minus the number
 * of bytes that one U+FFFD stands for (1–3). Never reads at or past end. */
static inline int hl_utf8_step(const char *p, const char *end, uint32_t *out_scalar)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t left = (size_t)(end - p);
	unsigned char c = u[0];
	unsigned char lo = 0x80, hi = 0xBF; /* the second byte's range: nothing overlong, no surrogate, ≤ U+10FFFF */
	if (c < 0x80) {
		*out_scalar = c;
		return 1;
	}
	int n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
	if (c < 0xC2 || c > 0xF4)
		return -1;
	if (c == 0xE0)
		lo = 0xA0;
	else if (c == 0xED)
		hi = 0x9F;
	else if (c == 0xF0)
		lo = 0x90;
	else if (c == 0xF4)
		hi = 0x8F;
	if (left < 2 || u[1] < lo || u[1] > hi)
		return -1;
	uint32_t v = (uint32_t)(c & (0x7F >> n)) << 6 | (u[1] & 0x3Fu);
	for (int i = 2; i < n; i++) {
		if ((size_t)i >= left || (u[i] & 0xC0) != 0x80)
			return -i;
		v = v << 6 | (u[i] & 0x3Fu);
	}
	*out_scalar = v;
	return n;
}

bool hl_utf8_valid(struct hl_str s);
size_t hl_utf8_count(struct hl_str s);                     /* scalar values of a valid text */
struct hl_str hl_utf8_cut(struct hl_str s, size_t n_chars);/* first n scalar values of a valid text */
struct hl_str hl_utf8_cut_bytes(struct hl_str s, size_t n);/* at most n bytes, on a boundary */
size_t hl_utf8_put(uint32_t scalar, char out[4]);
/* Appends at most n_chars scalar values of s; each malformed sequence becomes one U+FFFD. */
void hl_utf8_repair(struct hl_buf *out, struct hl_str s, size_t n_chars);

#endif
