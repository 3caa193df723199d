/* Addresses as values: parse, format, compare, match against a network.
 *
 * Texts go through inet_pton, which takes strict literals only; everything it refuses is refused here. A text that
 * holds a NUL or is longer than any literal never reaches it. Nothing here does I/O or allocates. */
#include "net/addr.h"

#include "base/err.h"
#include "base/str.h"
#include <arpa/inet.h>
#include <stdio.h>

enum { SHOWN_MAX = 80 }; /* bytes of a bad text repeated in its error */

uint16_t hl_addr_port(const struct hl_addr *a)
{
	if (hl_addr_is_v4(a))
		return ntohs(a->v4.sin_port);
	if (hl_addr_is_v6(a))
		return ntohs(a->v6.sin6_port);
	return 0;
}

void hl_addr_set_port(struct hl_addr *a, uint16_t port)
{
	if (hl_addr_is_v4(a))
		a->v4.sin_port = htons(port);
	else if (hl_addr_is_v6(a))
		a->v6.sin6_port = htons(port);
}

socklen_t hl_addr_len(const struct hl_addr *a)
{
	if (hl_addr_is_v4(a))
		return sizeof a->v4;
	if (hl_addr_is_v6(a))
		return sizeof a->v6;
	if (hl_addr_is_unix(a))
		return sizeof a->un;
	return 0;
}

void hl_addr_from_v4(const uint8_t bytes[4], uint16_t port, struct hl_addr *out)
{
	memset(out, 0, sizeof *out);
	out->v4.sin_family = AF_INET;
	out->v4.sin_port = htons(port);
	memcpy(&out->v4.sin_addr, bytes, 4);
}

void hl_addr_from_v6(const uint8_t bytes[16], uint16_t port, struct hl_addr *out)
{
	memset(out, 0, sizeof *out);
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(port);
	memcpy(&out->v6.sin6_addr, bytes, 16);
}

bool hl_addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct hl_addr *out)
{
	if (len < (socklen_t)sizeof sa->sa_family)
		return false;
	if (sa->sa_family == AF_INET && len >= (socklen_t)sizeof(struct sockaddr_in)) {
		struct sockaddr_in v4;
		memcpy(&v4, sa, sizeof v4);
		hl_addr_from_v4((const uint8_t *)&v4.sin_addr, ntohs(v4.sin_port), out);
		return true;
	}
	if (sa->sa_family == AF_INET6 && len >= (socklen_t)sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 v6;
		memcpy(&v6, sa, sizeof v6);
		hl_addr_from_v6((const uint8_t *)&v6.sin6_addr, ntohs(v6.sin6_port), out);
		return true;
	}
	if (sa->sa_family == AF_UNIX && len <= (socklen_t)sizeof(struct sockaddr_un)) {
		memset(out, 0, sizeof *out);
		memcpy(&out->un, sa, len);
		return true;
	}
	return false;
}

const uint8_t *hl_addr_bytes(const struct hl_addr *a, size_t *out_len)
{
	if (hl_addr_is_v4(a)) {
		*out_len = 4;
		return (const uint8_t *)&a->v4.sin_addr;
	}
	if (hl_addr_is_v6(a)) {
		*out_len = 16;
		return (const uint8_t *)&a->v6.sin6_addr;
	}
	*out_len = 0;
	return NULL;
}

/* inet_pton wants a NUL; INET6_ADDRSTRLEN holds the longest literal. */
static bool parse_bytes(int family, struct hl_str text, uint8_t out[16])
{
	char z[INET6_ADDRSTRLEN];
	if (text.len == 0 || text.len >= sizeof z || memchr(text.ptr, 0, text.len))
		return false;
	memcpy(z, text.ptr, text.len);
	z[text.len] = 0;
	return inet_pton(family, z, out) == 1;
}

bool hl_addr_parse_ip(struct hl_str text, uint16_t port, struct hl_addr *out)
{
	uint8_t bytes[16];
	if (parse_bytes(AF_INET, text, bytes)) {
		hl_addr_from_v4(bytes, port, out);
		return true;
	}
	if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
		text = hl_str_make(text.ptr + 1, text.len - 2);
	if (!parse_bytes(AF_INET6, text, bytes))
		return false;
	hl_addr_from_v6(bytes, port, out);
	return true;
}

static int parse_unix(struct hl_str path, struct hl_addr *out, struct hl_err *err)
{
	if (path.len == 0 || memchr(path.ptr, 0, path.len))
		return hl_err_set(err, HL_EINVAL, "the path of a unix socket is empty or holds a NUL");
	if (path.len > HL_ADDR_PATH_MAX)
		return hl_err_set(err, HL_EINVAL, "the path of a unix socket has %zu bytes; at most %d are possible", path.len,
				HL_ADDR_PATH_MAX);
	memset(out, 0, sizeof *out);
	out->un.sun_family = AF_UNIX;
	memcpy(out->un.sun_path, path.ptr, path.len);
	return HL_OK;
}

int hl_addr_parse(struct hl_str text, struct hl_addr *out, struct hl_err *err)
{
	struct hl_str shown = hl_str_make(text.ptr, HL_MIN(text.len, SHOWN_MAX));
	if (hl_str_starts(text, HL_STR("unix:")))
		return parse_unix(hl_str_make(text.ptr + 5, text.len - 5), out, err);
	size_t colon = text.len;
	while (colon > 0 && text.ptr[colon - 1] != ':')
		colon--;
	if (colon == 0)
		return hl_err_set(err, HL_EINVAL, "\"%.*s\" has no port; expected \"192.0.2.1:443\", \"[2001:db8::1]:443\" or "
				"\"unix:/path\"", HL_FMT(shown));
	struct hl_str host = hl_str_make(text.ptr, colon - 1);
	struct hl_str digits = hl_str_make(text.ptr + colon, text.len - colon);
	uint64_t port;
	if (!hl_str_u64(digits, &port) || port > 65535)
		return hl_err_set(err, HL_EINVAL, "\"%.*s\" has no port between 0 and 65535", HL_FMT(shown));
	bool bracketed = host.len > 0 && host.ptr[0] == '[';
	/* "::1:80" would be ambiguous, so an IPv6 address needs its brackets here. */
	if ((!bracketed && memchr(host.ptr, ':', host.len)) || !hl_addr_parse_ip(host, (uint16_t)port, out))
		return hl_err_set(err, HL_EINVAL, "\"%.*s\" is not an IP address with a port", HL_FMT(shown));
	return HL_OK;
}

size_t hl_addr_format_ip(const struct hl_addr *a, char out[HL_ADDR_TEXT_CAP])
{
	size_t len;
	const uint8_t *bytes = hl_addr_bytes(a, &len);
	out[0] = 0;
	if (bytes)
		inet_ntop(a->sa.sa_family, bytes, out, HL_ADDR_TEXT_CAP);
	return strlen(out);
}

size_t hl_addr_format(const struct hl_addr *a, char out[HL_ADDR_TEXT_CAP])
{
	char ip[HL_ADDR_TEXT_CAP];
	int n = 0;
	out[0] = 0;
	if (hl_addr_is_unix(a)) {
		n = snprintf(out, HL_ADDR_TEXT_CAP, "unix:%.*s", HL_ADDR_PATH_MAX, a->un.sun_path);
	} else if (hl_addr_format_ip(a, ip) > 0) {
		n = hl_addr_is_v6(a) ? snprintf(out, HL_ADDR_TEXT_CAP, "[%.45s]:%u", ip, hl_addr_port(a))
				     : snprintf(out, HL_ADDR_TEXT_CAP, "%.45s:%u", ip, hl_addr_port(a));
	}
	return n > 0 ? (size_t)n : 0;
}

int hl_addr_cmp(const struct hl_addr *a, const struct hl_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return a->sa.sa_family < b->sa.sa_family ? -1 : 1;
	if (hl_addr_is_unix(a))
		return strncmp(a->un.sun_path, b->un.sun_path, sizeof a->un.sun_path);
	size_t len, len_b;
	const uint8_t *x = hl_addr_bytes(a, &len), *y = hl_addr_bytes(b, &len_b);
	if (!x || !y)
		return 0;
	int d = memcmp(x, y, len);
	return d ? d : (int)hl_addr_port(a) - (int)hl_addr_port(b);
}

bool hl_addr_eq_ip(const struct hl_addr *a, const struct hl_addr *b)
{
	size_t len, len_b;
	const uint8_t *x = hl_addr_bytes(a, &len), *y = hl_addr_bytes(b, &len_b);
	return x && y && len == len_b && memcmp(x, y, len) == 0;
}

bool hl_addr_is_wildcard(const struct hl_addr *a)
{
	static const uint8_t zero[16];
	size_t len;
	const uint8_t *bytes = hl_addr_bytes(a, &len);
	return bytes && memcmp(bytes, zero, len) == 0;
}

bool hl_addr_is_mapped(const struct hl_addr *a)
{
	return hl_addr_is_v6(a) && IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr);
}

void hl_addr_unmap(const struct hl_addr *a, struct hl_addr *out)
{
	if (hl_addr_is_mapped(a)) {
		uint8_t bytes[4];
		memcpy(bytes, (const uint8_t *)&a->v6.sin6_addr + 12, 4);
		hl_addr_from_v4(bytes, hl_addr_port(a), out);
	} else if (out != a) {
		*out = *a;
	}
}

/* Bits past `prefix` of the byte that holds the boundary. */
static uint8_t tail_mask(unsigned prefix)
{
	return (uint8_t)(0xff >> (prefix % 8));
}

int hl_cidr_parse(struct hl_str text, struct hl_cidr *out, struct hl_err *err)
{
	struct hl_str shown = hl_str_make(text.ptr, HL_MIN(text.len, SHOWN_MAX));
	struct hl_str rest = text;
	struct hl_str ip = hl_str_split(&rest, '/');
	struct hl_addr a;
	struct hl_cidr c = { 0 };
	if ((ip.len > 0 && ip.ptr[0] == '[') || !hl_addr_parse_ip(ip, 0, &a))
		return hl_err_set(err, HL_EINVAL, "\"%.*s\" is not a network such as 10.0.0.0/8 or fd00::/8",
				HL_FMT(shown));
	size_t len;
	const uint8_t *bytes = hl_addr_bytes(&a, &len);
	uint64_t prefix = len * 8;
	if (rest.ptr && (!hl_str_u64(rest, &prefix) || prefix > len * 8))
		return hl_err_set(err, HL_EINVAL, "\"%.*s\": the prefix length must be between 0 and %zu",
				HL_FMT(shown), len * 8);
	memcpy(c.bytes, bytes, len);
	c.len = (uint8_t)len;
	c.prefix = (uint8_t)prefix;
	for (size_t i = prefix / 8; i < len; i++) {
		uint8_t mask = i == prefix / 8 ? tail_mask((unsigned)prefix) : 0xff;
		if (c.bytes[i] & mask)
			return hl_err_set(err, HL_EINVAL, "\"%.*s\" has address bits set past its prefix", HL_FMT(shown));
	}
	*out = c;
	return HL_OK;
}

bool hl_cidr_match_bytes(const struct hl_cidr *c, const uint8_t *bytes, size_t len)
{
	if (len != c->len)
		return false;
	size_t whole = c->prefix / 8;
	if (memcmp(bytes, c->bytes, whole) != 0)
		return false;
	return c->prefix % 8 == 0 || ((bytes[whole] ^ c->bytes[whole]) & (uint8_t)~tail_mask(c->prefix)) == 0;
}

bool hl_cidr_match(const struct hl_cidr *c, const struct hl_addr *a)
{
	size_t len;
	const uint8_t *bytes = hl_addr_bytes(a, &len);
	return bytes && hl_cidr_match_bytes(c, bytes, len);
}
