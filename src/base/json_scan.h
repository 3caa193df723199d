/* What the two halves of the JSON reader share: white space, the inside of strings, hex digits. Private to json.c and
 * jsonwalk.c; every function is given the end and never looks at it or behind it. */
#ifndef HL_BASE_JSON_SCAN_H
#define HL_BASE_JSON_SCAN_H

#include "base/json.h"

#include <string.h>

static inline bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

static inline bool is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u

/* Marks (0x80) in each byte of w that is a quote, a backslash, a control or not ASCII. Bytes above the lowest
 * marked one may be marked wrongly; only the lowest is used. */
static inline uint64_t specials(uint64_t w)
{
	uint64_t quote = w ^ ONES * '"', slash = w ^ ONES * '\\';
	return ((quote - ONES) | (slash - ONES) | (w - ONES * 0x20) | w) & HIGHS;
}

/* The next byte of a string's inside that is not plain, or end. */
static inline const char *skip_plain(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t w;
		memcpy(&w, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		w = __builtin_bswap64(w);
#endif
		uint64_t m = specials(w);
		if (m)
			return p + (__builtin_ctzll(m) >> 3);
		p += 8;
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)(*p - 0x20) < 0x60)
		p++;
	return p;
}

static inline int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at p; -1 when they are not there. */
static inline int32_t hex4(const char *p, const char *end)
{
	int32_t v = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int d = hex_value(p[i]);
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static inline enum hl_json_type type_of(char first)
{
	switch (first) {
	case '{':
		return HL_JSON_OBJECT;
	case '[':
		return HL_JSON_ARRAY;
	case '"':
		return HL_JSON_STRING;
	case 't':
	case 'f':
		return HL_JSON_BOOL;
	case 'n':
		return HL_JSON_NULL;
	default:
		return HL_JSON_NUMBER;
	}
}

#endif
