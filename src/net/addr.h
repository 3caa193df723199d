/* A socket address: IPv4 or IPv6 with a port, or the path of a unix socket (listeners only).
 *
 * Texts are strict: "192.0.2.1:443", "[2001:db8::1]:443", "unix:/run/x.sock". An IPv4 literal is four decimal numbers
 * without leading zeros and nothing else; what glibc would also take (127.1, 0x7f.1, 2130706433) is refused. */
#ifndef HL_NET_ADDR_H
#define HL_NET_ADDR_H

#include "base/defs.h"
#include <hookline/error.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

struct hl_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un un;
		struct sockaddr_storage ss;
	};
};

enum {
	HL_ADDR_TEXT_CAP = 128,   /* longest text of any address, with NUL */
	HL_ADDR_PATH_MAX = 107,   /* bytes of a unix path */
};

/* Kind of address. A zeroed hl_addr is none of the three. */
static inline bool hl_addr_is_v4(const struct hl_addr *a) { return a->sa.sa_family == AF_INET; }
static inline bool hl_addr_is_v6(const struct hl_addr *a) { return a->sa.sa_family == AF_INET6; }
static inline bool hl_addr_is_unix(const struct hl_addr *a) { return a->sa.sa_family == AF_UNIX; }

uint16_t hl_addr_port(const struct hl_addr *a);                  /* host order; 0 for a unix path */
void hl_addr_set_port(struct hl_addr *a, uint16_t port);         /* host order; nothing for a unix path */
socklen_t hl_addr_len(const struct hl_addr *a);                  /* for bind and connect */
/* From what the kernel or c-ares handed out; false for another family or a wrong length. Scope ids are dropped. */
bool hl_addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct hl_addr *out);
/* Raw network-order bytes, 4 or 16 of them, with a port. */
void hl_addr_from_v4(const uint8_t bytes[4], uint16_t port, struct hl_addr *out);
void hl_addr_from_v6(const uint8_t bytes[16], uint16_t port, struct hl_addr *out);
/* The address bytes: 4 for IPv4, 16 for IPv6, NULL for anything else. *out_len gets the count. */
const uint8_t *hl_addr_bytes(const struct hl_addr *a, size_t *out_len);

/* A bare IP literal, without port; an IPv6 one with or without its brackets, never with a zone. */
bool hl_addr_parse_ip(struct hl_str text, uint16_t port, struct hl_addr *out);
/* "a.b.c.d:port", "[v6]:port", "unix:/path" (absolute or relative, 1–107 bytes, no NUL). Port 0 is allowed.
 * HL_EINVAL with a text that names the fault. */
HL_MUST_CHECK int hl_addr_parse(struct hl_str text, struct hl_addr *out, struct hl_err *err);
/* The same forms back; returns the length. hl_addr_format_ip leaves port and brackets out ("" for a unix path). */
size_t hl_addr_format(const struct hl_addr *a, char out[HL_ADDR_TEXT_CAP]);
size_t hl_addr_format_ip(const struct hl_addr *a, char out[HL_ADDR_TEXT_CAP]);

/* Order by family, address, port (or path); 0 means the same address. IPv6 scope and flow label do not count. */
int hl_addr_cmp(const struct hl_addr *a, const struct hl_addr *b);
bool hl_addr_eq_ip(const struct hl_addr *a, const struct hl_addr *b); /* the port does not count */
bool hl_addr_is_wildcard(const struct hl_addr *a);               /* 0.0.0.0 or :: */
/* ::ffff:a.b.c.d becomes a.b.c.d (same port); everything else is copied. */
void hl_addr_unmap(const struct hl_addr *a, struct hl_addr *out);
bool hl_addr_is_mapped(const struct hl_addr *a);                 /* ::ffff:0:0/96 */

/* A network "10.0.0.0/8" or "fd00::/8"; a bare address is a network of one. */
struct hl_cidr {
	uint8_t bytes[16];  /* network order; 4 or 16 used; bits past the prefix are zero */
	uint8_t len;        /* 4 or 16 */
	uint8_t prefix;     /* 0–32 or 0–128 */
};
/* HL_EINVAL for bad text, a prefix out of range, or bits set past the prefix ("10.1.0.0/8": probably a mistake). */
HL_MUST_CHECK int hl_cidr_parse(struct hl_str text, struct hl_cidr *out, struct hl_err *err);
bool hl_cidr_match(const struct hl_cidr *c, const struct hl_addr *a); /* another family never matches */
bool hl_cidr_match_bytes(const struct hl_cidr *c, const uint8_t *bytes, size_t len);

#endif
