/* What a webhook may reach. One table of address ranges and a few rules around it; no I/O apart from listing this
 * machine's own addresses once, at init.
 *
 * An attempt is judged in this order, and every step must say HL_OK:
 *   1. hl_egress_judge_port   scheme and port of the URL
 *   2. hl_egress_judge_host   the URL's host: name rules, or the address of an IP literal
 *   3. hl_egress_judge_answer every address the name resolved to, at every attempt
 *   4. conn judges the address the kernel reports after connect (hl_conn does that by itself)
 *
 * `out_reason` is a static text for operators and logs ("private network (RFC 1918)"). Tenants get the class
 * "address not allowed" only: an address or range in their answer would make us a port scanner. It may be NULL. */
#ifndef HL_NET_EGRESS_H
#define HL_NET_EGRESS_H

#include "base/map.h"
#include "net/addr.h"

enum {
	HL_EGRESS_NETWORKS_MAX = 256,   /* entries of allow_networks and of nat64_prefixes */
	HL_EGRESS_HOSTS_MAX = 1024,     /* entries of allow_hosts */
	HL_EGRESS_LISTENERS_MAX = 64,   /* entries of own_listeners */
	HL_EGRESS_HOST_MAX = 253,       /* bytes of a host name */
};

/* As text, straight from the configuration; NULL means "". Nothing is kept: init copies. */
struct hl_egress_options {
	const char *allow_networks;  /* comma list of CIDR: these addresses pass whatever the table says */
	const char *allow_hosts;     /* comma list of exact host names, single labels allowed; see hl_egress_trusts */
	const char *nat64_prefixes;  /* comma list of IPv6 /96 prefixes whose low 32 bits are judged as IPv4 */
	const char *ports;           /* "" = 80, 443, 1024–65535; else a comma list of ports and ranges "8000-8999". The
	                              * WHATWG bad ports stay refused inside ranges; naming one alone is an error */
	const char *own_listeners;   /* comma list of "address:port" that are ours; refused before anything else */
	bool allow_http;             /* false: only https passes hl_egress_judge_port */
};

/* Read-only between init and fini; the fields are egress.c's business. */
struct hl_egress {
	struct hl_cidr *networks;    /* allow_networks */
	size_t n_networks;
	struct hl_cidr *nat64;
	size_t n_nat64;
	struct hl_addr *own;         /* own listeners, unmapped */
	size_t n_own;
	struct hl_addr *local;       /* this machine's addresses, for wildcard listeners; port 0 */
	size_t n_local;
	struct hl_map_str hosts;     /* allow_hosts: lower-case name → itself (heap copy) */
	uint8_t ports[65536 / 8];    /* bit set: port allowed */
	bool allow_http;
};

/* HL_EINVAL with err->field "egress.allow_networks" and the like, and the offending entry in err->text; HL_ENOMEM.
 * On failure there is nothing to fini. */
HL_MUST_CHECK int hl_egress_init(struct hl_egress *e, const struct hl_egress_options *o, struct hl_err *err);
void hl_egress_fini(struct hl_egress *e);
/* One more own listener (a port-0 socket knows its port only after bind). HL_ELIMIT, HL_ENOMEM. */
HL_MUST_CHECK int hl_egress_add_own(struct hl_egress *e, const struct hl_addr *listener);

/* HL_OK or HL_EBLOCKED. A v4-mapped address is judged as the IPv4 address in it. The port matters for own listeners
 * only. */
HL_MUST_CHECK int hl_egress_judge_addr(const struct hl_egress *e, const struct hl_addr *addr, const char **out_reason);
/* HL_OK or HL_EBLOCKED for a scheme and the (explicit or default) port. */
HL_MUST_CHECK int hl_egress_judge_port(const struct hl_egress *e, bool https, uint16_t port, const char **out_reason);
/* Host as in the URL: a name (any case, one trailing dot allowed) or an IP literal (IPv6 with or without brackets),
 * whose address is judged with this port; mapped literals are refused. Single labels, localhost, *.localhost,
 * *.local, *.internal and *.home.arpa are refused unless named in allow_hosts. Name syntax is the URL reader's
 * business. */
HL_MUST_CHECK int hl_egress_judge_host(const struct hl_egress *e, struct hl_str host, uint16_t port,
		const char **out_reason);
/* Is this exact name in allow_hosts? Naming a host there says "I trust this receiver wherever it is" (a compose
 * service resolves to a private address), so its addresses pass too — all but our own listeners. */
bool hl_egress_trusts(const struct hl_egress *e, struct hl_str host);
/* Judges every address of an answer, as for a connection to `port`; one bad address refuses all. n ≥ 1. */
HL_MUST_CHECK int hl_egress_judge_answer(const struct hl_egress *e, struct hl_str host, const struct hl_addr *addrs,
		size_t n, uint16_t port, const char **out_reason);
/* Is this address and port one of our own listeners? */
bool hl_egress_is_own(const struct hl_egress *e, const struct hl_addr *addr);

#endif
