/* The alphabet of every stored record: LEB128 varints and length-prefixed bytes. Writing appends to a
 * hl_buf (which remembers a failure); reading walks a slice and remembers that it ran out or met nonsense, so that a
 * decoder reads all its members and asks once. Keys are fixed-width big-endian, so that byte order is number order. */
#ifndef HL_STORE_PACK_H
#define HL_STORE_PACK_H

#include "base/buf.h"
#include "base/codec.h"
#include "base/str.h"

static inline void hl_pack_u64(struct hl_buf *b, uint64_t v)
{
	char tmp[10];
	size_t n = 0;
	while (v >= 0x80) {
		tmp[n++] = (char)(v | 0x80);
		v >>= 7;
	}
	tmp[n++] = (char)v;
	hl_buf_add(b, tmp, n);
}

static inline void hl_pack_u8(struct hl_buf *b, uint8_t v)
{
	hl_buf_char(b, (char)v);
}

static inline void hl_pack_str(struct hl_buf *b, struct hl_str s)
{
	hl_pack_u64(b, s.len);
	hl_buf_add(b, s.ptr, s.len);
}

/* Wall times are never negative on disk; one that is (a clock before 1970) counts as "not set". */
static inline void hl_pack_ms(struct hl_buf *b, hl_ms_t v)
{
	hl_pack_u64(b, v > 0 ? (uint64_t)v : 0);
}

struct hl_unpack {
	const uint8_t *at, *end;
	bool bad;               /* ran out, overlong, or out of range; sticky */
};

static inline struct hl_unpack hl_unpack_start(struct hl_str s)
{
	const uint8_t *p = (const uint8_t *)s.ptr;
	return (struct hl_unpack){ .at = p, .end = p ? p + s.len : p };
}

static inline uint64_t hl_unpack_u64(struct hl_unpack *u)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70 && u->at < u->end; shift += 7) {
		uint8_t c = *u->at++;
		if (shift == 63 && c > 1)
			break;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return v;
	}
	u->bad = true;
	return 0;
}

/* A number that must be ≤ max; 0 and bad otherwise. */
static inline uint64_t hl_unpack_max(struct hl_unpack *u, uint64_t max)
{
	uint64_t v = hl_unpack_u64(u);
	if (v <= max)
		return v;
	u->bad = true;
	return 0;
}

#define HL_UNPACK_MS_MAX ((uint64_t)INT64_MAX / 4) /* far enough from overflow for any sum */
static inline hl_ms_t hl_unpack_ms(struct hl_unpack *u)
{
	return (hl_ms_t)hl_unpack_max(u, HL_UNPACK_MS_MAX);
}

static inline uint32_t hl_unpack_u32(struct hl_unpack *u)
{
	return (uint32_t)hl_unpack_max(u, UINT32_MAX);
}

static inline uint8_t hl_unpack_u8(struct hl_unpack *u)
{
	if (u->at < u->end)
		return *u->at++;
	u->bad = true;
	return 0;
}

static inline struct hl_str hl_unpack_bytes(struct hl_unpack *u, size_t n)
{
	if (u->bad || (size_t)(u->end - u->at) < n) {
		u->bad = true;
		return HL_STR_NONE;
	}
	struct hl_str s = { (const char *)u->at, n };
	u->at += n;
	return s;
}

static inline struct hl_str hl_unpack_str(struct hl_unpack *u, size_t max)
{
	return hl_unpack_bytes(u, hl_unpack_max(u, max));
}

/* All read, nothing left, nothing bad. */
static inline bool hl_unpack_done(const struct hl_unpack *u)
{
	return !u->bad && u->at == u->end;
}

#endif
