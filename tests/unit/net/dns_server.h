/* A name server for tests: UDP on 127.0.0.1, a port of the kernel's choice, answers from a table the test may change.
 *
 *   struct dns_server s;
 *   dns_server_open(&s, &loop);
 *   s.zone[0] = (struct dns_name){ .name = "a.example", .a = { "192.0.2.1" }, .ttl = 30 };
 *   options.servers = s.address;
 *   dns_server_close(&s);          // then run the loop */
#ifndef NET_DNS_SERVER_H
#define NET_DNS_SERVER_H

#include "net_test.h"

#include "base/codec.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <uv.h>

enum { DNS_NAMES_MAX = 16, DNS_ADDRS_MAX = 40, DNS_NOERROR = 0, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3 };

struct dns_name {
	const char *name;             /* lower case; NULL = free slot */
	const char *a[DNS_ADDRS_MAX], *aaaa[DNS_ADDRS_MAX];
	uint32_t ttl;                 /* seconds */
	int rcode;
	bool silent;                  /* never answers */
	const char *cname;            /* answer with this alias first */
	unsigned asked;               /* questions seen, A and AAAA alike */
};

struct dns_server {
	uv_udp_t udp;
	char address[32];             /* "127.0.0.1:5353" */
	struct dns_name zone[DNS_NAMES_MAX];
	unsigned asked;
	char last[256];               /* name in the newest question, as sent */
	uint8_t in[2048], out[4096];
};

/* Writes name as labels; returns the new position. */
static inline size_t dns_put_name(uint8_t *p, size_t at, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");
		p[at++] = (uint8_t)n;
		memcpy(p + at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	p[at++] = 0;
	return at;
}

static inline size_t dns_put_record(uint8_t *p, size_t at, const char *name, uint16_t type, uint32_t ttl,
		const void *data, size_t len)
{
	if (name) {
		at = dns_put_name(p, at, name);
	} else { /* the name in the question */
		hl_be16_put(p + at, 0xc00c);
		at += 2;
	}
	hl_be16_put(p + at, type);
	hl_be16_put(p + at + 2, 1);
	hl_be32_put(p + at + 4, ttl);
	hl_be16_put(p + at + 8, (uint16_t)len);
	memcpy(p + at + 10, data, len);
	return at + 10 + len;
}

static inline size_t dns_answer(struct dns_server *s, struct dns_name *z, uint16_t type, size_t at)
{
	uint16_t n = 0;
	const char *owner = z->cname;
	if (z->cname) {
		uint8_t alias[256];
		size_t len = dns_put_name(alias, 0, z->cname);
		at = dns_put_record(s->out, at, NULL, 5, z->ttl, alias, len);
		n++;
	}
	for (size_t i = 0; i < DNS_ADDRS_MAX; i++) {
		uint8_t bytes[16];
		const char *text = type == 1 ? z->a[i] : type == 28 ? z->aaaa[i] : NULL;
		if (!text || inet_pton(type == 1 ? AF_INET : AF_INET6, text, bytes) != 1)
			continue;
		at = dns_put_record(s->out, at, owner, type, z->ttl, bytes, type == 1 ? 4 : 16);
		n++;
	}
	hl_be16_put(s->out + 6, n);
	return at;
}

static inline void dns_on_packet(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
		unsigned flags)
{
	struct dns_server *s = udp->data;
	const uint8_t *in = (const uint8_t *)buf->base;
	size_t at = 12, len = 0;
	(void)flags;
	if (n < 17 || !from)
		return;
	while (at < (size_t)n && in[at]) {
		if (len)
			s->last[len++] = '.';
		memcpy(s->last + len, in + at + 1, in[at]);
		len += in[at];
		at += in[at] + 1u;
	}
	s->last[len] = 0;
	uint16_t type = hl_be16_get(in + at + 1);
	size_t question_end = at + 5;
	struct dns_name *z = NULL;
	for (size_t i = 0; i < DNS_NAMES_MAX; i++) {
		if (s->zone[i].name && strcasecmp(s->zone[i].name, s->last) == 0)
			z = &s->zone[i];
	}
	s->asked++;
	if (z)
		z->asked++;
	if (z && z->silent)
		return;
	memcpy(s->out, in, question_end);
	hl_be16_put(s->out + 2, (uint16_t)(0x8180 | (z ? z->rcode : DNS_NXDOMAIN)));
	memset(s->out + 6, 0, 6);
	size_t end = question_end;
	if (z && z->rcode == DNS_NOERROR)
		end = dns_answer(s, z, type, end);
	uv_buf_t b = uv_buf_init((char *)s->out, (unsigned)end);
	(void)uv_udp_try_send(udp, &b, 1, from);
}

static inline void dns_on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	struct dns_server *s = h->data;
	(void)suggested;
	*out = uv_buf_init((char *)s->in, sizeof s->in);
}

static inline void dns_server_open(struct dns_server *s, uv_loop_t *loop)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int len = sizeof in;
	memset(s, 0, sizeof *s);
	uv_udp_init(loop, &s->udp);
	s->udp.data = s;
	assert_int_equal(uv_udp_bind(&s->udp, (struct sockaddr *)&in, 0), 0);
	assert_int_equal(uv_udp_getsockname(&s->udp, (struct sockaddr *)&in, &len), 0);
	snprintf(s->address, sizeof s->address, "127.0.0.1:%u", ntohs(in.sin_port));
	assert_int_equal(uv_udp_recv_start(&s->udp, dns_on_alloc, dns_on_packet), 0);
}

static inline void dns_server_close(struct dns_server *s)
{
	uv_close((uv_handle_t *)&s->udp, NULL);
}

#endif
