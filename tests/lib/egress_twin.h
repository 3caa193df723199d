/* A second judge of addresses that shares nothing with net/egress.c: addresses are texts of bits, the registries are tables
 * of texts with a reader of their own, and every row of them stands here, also those another row covers already. Slow.
 *
 *   twin_read();                        // once
 *   struct config c = { 0 };            // what is allowed besides
 *   bits = bits_of(bytes, 4 or 16);
 *   twin(&c, &bits, port)               // may it be reached? */
#ifndef HL_TEST_EGRESS_TWIN_H
#define HL_TEST_EGRESS_TWIN_H

#include "base/check.h"
#include "base/defs.h"
#include "net/addr.h"

#include <stdio.h>
#include <string.h>

enum { BITS = 128, TABLE_MAX = 64 };

/* 32 or 128 characters '0' or '1', or the first `n` of them for a prefix. */
struct bits {
	char s[BITS + 1];
	size_t n;
};

/* ---- reading and writing ---------------------------------------------------------------------------------------- */

static inline void put(struct bits *b, uint64_t value, unsigned width)
{
	for (unsigned i = width; i > 0; i--)
		b->s[b->n++] = value >> (i - 1) & 1 ? '1' : '0';
	b->s[b->n] = 0;
}

static const char *number(const char *p, unsigned base, unsigned *out)
{
	static const char digits[] = "0123456789abcdef";
	const char *d;
	*out = 0;
	while (*p && (d = strchr(digits, *p)) && (size_t)(d - digits) < base) {
		*out = *out * base + (unsigned)(d - digits);
		p++;
	}
	return p;
}

/* "a.b.c.d/n" or "x:x::/n"; without "/n" all bits count. */
static inline struct bits prefix(const char *text)
{
	struct bits b = { .n = 0 };
	const char *p = text;
	unsigned v, groups = 0, after = 0, cut;
	bool v4 = strchr(text, ':') == NULL;
	struct bits tail = { .n = 0 };
	bool gap = false;
	while (*p && *p != '/') {
		if (p[0] == ':' && p[1] == ':') {
			gap = true;
			p += 2;
			continue;
		}
		if (*p == ':' || *p == '.')
			p++;
		p = number(p, v4 ? 10 : 16, &v);
		put(gap ? &tail : &b, v, v4 ? 8 : 16);
		groups++;
	}
	for (after = groups; !v4 && after < 8; after++)
		put(&b, 0, 16);
	memcpy(b.s + b.n, tail.s, tail.n + 1);
	b.n += tail.n;
	HL_CHECK(b.n == (v4 ? 32 : 128));
	if (*p == '/') {
		number(p + 1, 10, &cut);
		b.n = cut;
	}
	return b;
}

static inline unsigned value(const char *s, unsigned width)
{
	unsigned v = 0;
	for (unsigned i = 0; i < width; i++)
		v = v * 2 + (unsigned)(s[i] == '1');
	return v;
}

static inline void text_of(const struct bits *b, char out[64])
{
	const char *s = b->s;
	if (strlen(s) == 32)
		snprintf(out, 64, "%u.%u.%u.%u", value(s, 8), value(s + 8, 8), value(s + 16, 8), value(s + 24, 8));
	else
		snprintf(out, 64, "%x:%x:%x:%x:%x:%x:%x:%x", value(s, 16), value(s + 16, 16), value(s + 32, 16), value(s + 48, 16),
				value(s + 64, 16), value(s + 80, 16), value(s + 96, 16), value(s + 112, 16));
}

static inline void addr_of(const struct bits *b, uint16_t port, struct hl_addr *out)
{
	uint8_t raw[16];
	size_t n = strlen(b->s) / 8;
	for (size_t i = 0; i < n; i++)
		raw[i] = (uint8_t)value(b->s + 8 * i, 8);
	if (n == 4)
		hl_addr_from_v4(raw, port, out);
	else
		hl_addr_from_v6(raw, port, out);
}

static inline struct bits bits_of(const uint8_t *raw, size_t n)
{
	struct bits b = { .n = 0 };
	for (size_t i = 0; i < n; i++)
		put(&b, raw[i], 8);
	return b;
}

/* ---- the registries --------------------------------------------------------------------------------------------- */

/* IANA IPv4 special-purpose registry, multicast, class E, and what clouds serve to their guests at a public address. */
static const char *const rows4[] = {
	"0.0.0.0/8", /* RFC 791 */ "0.0.0.0/32", /* RFC 1122 */ "10.0.0.0/8", /* RFC 1918 */ "100.64.0.0/10", /* RFC 6598 */
	"127.0.0.0/8", /* RFC 1122 */ "168.63.129.16/32", /* Azure */ "169.254.0.0/16", /* RFC 3927 */
	"172.16.0.0/12", /* RFC 1918 */ "192.0.0.0/24", /* RFC 6890 */ "192.0.0.0/29", /* RFC 7335 */
	"192.0.0.8/32", /* RFC 7600 */ "192.0.0.9/32", /* RFC 7723 */ "192.0.0.10/32", /* RFC 8155 */
	"192.0.0.170/32", "192.0.0.171/32", /* RFC 8880 */ "192.0.2.0/24", /* RFC 5737 */ "192.31.196.0/24", /* RFC 7535 */
	"192.52.193.0/24", /* RFC 7450 */ "192.88.99.0/24", /* RFC 7526 */ "192.168.0.0/16", /* RFC 1918 */
	"192.175.48.0/24", /* RFC 7534 */ "198.18.0.0/15", /* RFC 2544 */ "198.51.100.0/24", /* RFC 5737 */
	"203.0.113.0/24", /* RFC 5737 */ "224.0.0.0/4", /* RFC 5771 */ "233.252.0.0/24", /* RFC 6676 */
	"240.0.0.0/4", /* RFC 1112 */ "255.255.255.255/32", /* RFC 919 */
};

/* IANA IPv6 special-purpose registry, and what lies outside global unicast. */
static const char *const rows6[] = {
	"::/128", "::1/128", "::/96", /* RFC 4291 */ "::ffff:0:0:0/96", /* RFC 2765 */ "::/8", "100::/8", "200::/7",
	"400::/6", "800::/5", "1000::/4", /* RFC 4291 §2.4 */ "64:ff9b::/96", /* RFC 6052 */ "64:ff9b:1::/48", /* RFC 8215 */
	"100::/64", /* RFC 6666 */ "100:0:0:1::/64", /* RFC 9780 */ "2001::/23", /* RFC 2928 */ "2001::/32", /* RFC 4380 */
	"2001:1::1/128", /* RFC 7723 */ "2001:1::2/128", /* RFC 8155 */ "2001:1::3/128", /* RFC 9665 */
	"2001:2::/48", /* RFC 5180 */ "2001:3::/32", /* RFC 7450 */ "2001:4:112::/48", /* RFC 7535 */
	"2001:10::/28", /* RFC 4843 */ "2001:20::/28", /* RFC 7343 */ "2001:30::/28", /* RFC 9374 */
	"2001:db8::/32", /* RFC 3849 */ "2002::/16", /* RFC 3056 */ "2620:4f:8000::/48", /* RFC 7534 */
	"3fff::/20", /* RFC 9637 */ "4000::/3", "6000::/3", "8000::/3", "a000::/3", "c000::/3", "e000::/4", "f000::/5",
	"f800::/6", "fe00::/9", /* RFC 4291 */ "5f00::/16", /* RFC 9602 */ "fc00::/7", /* RFC 4193 */
	"fe80::/10", /* RFC 4291 */ "fec0::/10", /* RFC 3879 */ "ff00::/8", /* RFC 4291 */
};

static struct bits read4[HL_ARRAY_LEN(rows4)], read6[HL_ARRAY_LEN(rows6)];

static inline void twin_read(void)
{
	for (size_t i = 0; i < HL_ARRAY_LEN(rows4); i++)
		read4[i] = prefix(rows4[i]);
	for (size_t i = 0; i < HL_ARRAY_LEN(rows6); i++)
		read6[i] = prefix(rows6[i]);
}

static inline bool under(const struct bits *p, const char *s)
{
	return strncmp(p->s, s, p->n) == 0;
}

static inline bool any_under(const struct bits *v, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (under(&v[i], s))
			return true;
	return false;
}

/* ---- the twin --------------------------------------------------------------------------------------------------- */

struct config {
	char networks[2048], nat64[512], own[512];
	struct bits net4[4], net6[4], prefix64[2];
	size_t n_net4, n_net6, n64;
	struct bits own_addr[3], local[TABLE_MAX];
	uint16_t own_port[3];
	size_t n_own, n_local;
};

static inline bool zeros(const char *s)
{
	return strspn(s, "0") == strlen(s);
}

/* s is unmapped already. */
static inline bool twin_own(const struct config *c, const char *s, uint16_t port)
{
	static const char loopback6[] = "0000000000000000000000000000000000000000000000000000000000000000"
			"0000000000000000000000000000000000000000000000000000000000000001";
	bool here = zeros(s) || (strlen(s) == 32 && value(s, 8) == 127) || strcmp(s, loopback6) == 0;
	for (size_t i = 0; i < c->n_local; i++)
		here = here || strcmp(c->local[i].s, s) == 0;
	for (size_t i = 0; i < c->n_own; i++) {
		if (c->own_port[i] != port)
			continue;
		if (strcmp(c->own_addr[i].s, s) == 0 || zeros(s) || (zeros(c->own_addr[i].s) && here))
			return true;
	}
	return false;
}

static inline bool twin4(const struct config *c, const char *s, uint16_t port)
{
	if (twin_own(c, s, port))
		return false;
	return any_under(c->net4, c->n_net4, s) || !any_under(read4, HL_ARRAY_LEN(read4), s);
}

static inline bool twin6(const struct config *c, const char *s, uint16_t port)
{
	if (twin_own(c, s, port))
		return false;
	if (any_under(c->net6, c->n_net6, s))
		return true;
	if (any_under(c->prefix64, c->n64, s))
		return twin4(c, s + 96, port);
	unsigned hi = value(s + 64, 16), lo = value(s + 80, 16);
	bool isatap = (hi == 0x0000 || hi == 0x0200) && lo == 0x5efe;
	return !isatap && !any_under(read6, HL_ARRAY_LEN(read6), s);
}

static inline bool twin(const struct config *c, const struct bits *b, uint16_t port)
{
	if (strlen(b->s) == 32)
		return twin4(c, b->s, port);
	if (zeros(b->s) || strspn(b->s, "0") != 80 || strncmp(b->s + 80, "1111111111111111", 16) != 0)
		return twin6(c, b->s, port);
	return twin4(c, b->s + 96, port);
}

#endif
