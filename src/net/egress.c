/* What a webhook may reach.
 *
 * An address is judged like this: an IPv4-mapped one is turned into the IPv4 address it means; our own listeners are
 * refused; then allow_networks lets its members pass; an address under a NAT64 prefix is judged as the IPv4 address
 * in its low 32 bits; an IPv6 address with an ISATAP interface id is refused; for the rest the table decides. A name
 * in allow_hosts skips all of that but the rule about our own listeners, which would be a loop.
 *
 * When the configuration is wrong, init says which entry of which option, and nothing is left behind. When the
 * verdict is no, the reason is a static text that names the rule; it never holds the address. */
#include "net/egress.h"

#include "base/err.h"
#include "base/str.h"
#include <ctype.h>
#include <stdlib.h>
#include <uv.h>

/* One row of the table. Rows are sorted by address and then by prefix length, so that a range inside another comes
 * after it: the last row that matches decides. */
struct row {
	struct hl_cidr net;
	bool allow;
	const char *why;
};

#define V4(a, b, c, d, prefix) { { a, b, c, d }, 4, prefix }
#define V6(g0, g1, g2, prefix) \
	{ { (g0) >> 8, (g0) & 255, (g1) >> 8, (g1) & 255, (g2) >> 8, (g2) & 255 }, 16, prefix }

static const struct row table[] = {
	/* IPv4: everything is allowed but … */
	{ V4(0, 0, 0, 0, 0), true, "" },                                          /* RFC 791 */
	{ V4(0, 0, 0, 0, 8), false, "this network (RFC 1122)" },                  /* RFC 791, 1122 §3.2.1.3 */
	{ V4(10, 0, 0, 0, 8), false, "private network (RFC 1918)" },              /* RFC 1918 */
	{ V4(100, 64, 0, 0, 10), false, "carrier-grade NAT (RFC 6598)" },         /* RFC 6598; Alibaba metadata */
	{ V4(127, 0, 0, 0, 8), false, "loopback (RFC 1122)" },                    /* RFC 1122 §3.2.1.3 */
	{ V4(168, 63, 129, 16, 32), false, "Azure platform address" },            /* no RFC: Azure's wire server, public */
	{ V4(169, 254, 0, 0, 16), false, "link-local (RFC 3927)" },               /* RFC 3927; cloud metadata services */
	{ V4(172, 16, 0, 0, 12), false, "private network (RFC 1918)" },           /* RFC 1918 */
	{ V4(192, 0, 0, 0, 24), false, "protocol assignments (RFC 6890)" },       /* RFC 6890, 7335, 7050 */
	{ V4(192, 0, 2, 0, 24), false, "documentation (RFC 5737)" },              /* RFC 5737 TEST-NET-1 */
	{ V4(192, 31, 196, 0, 24), false, "AS112 (RFC 7535)" },                   /* RFC 7535 */
	{ V4(192, 52, 193, 0, 24), false, "multicast tunnels (RFC 7450)" },       /* RFC 7450 AMT */
	{ V4(192, 88, 99, 0, 24), false, "6to4 relay (RFC 7526)" },               /* RFC 7526 */
	{ V4(192, 168, 0, 0, 16), false, "private network (RFC 1918)" },          /* RFC 1918 */
	{ V4(192, 175, 48, 0, 24), false, "AS112 (RFC 7534)" },                   /* RFC 7534 */
	{ V4(198, 18, 0, 0, 15), false, "benchmarking (RFC 2544)" },              /* RFC 2544, 6815 */
	{ V4(198, 51, 100, 0, 24), false, "documentation (RFC 5737)" },           /* RFC 5737 TEST-NET-2 */
	{ V4(203, 0, 113, 0, 24), false, "documentation (RFC 5737)" },            /* RFC 5737 TEST-NET-3 */
	{ V4(224, 0, 0, 0, 4), false, "multicast (RFC 5771)" },                   /* RFC 5771 */
	{ V4(240, 0, 0, 0, 4), false, "reserved (RFC 1112)" },                    /* RFC 1112 §4, 919 broadcast */
	/* IPv6: nothing is allowed but … */
	{ V6(0, 0, 0, 0), false, "outside the global unicast range (RFC 4291)" }, /* RFC 4291 §2.4, IANA: unallocated */
	{ V6(0, 0, 0, 8), false, "unspecified, loopback or embedded IPv4 (RFC 4291)" }, /* RFC 4291 §2.5, 2765 */
	{ V6(0x0064, 0xff9b, 0, 96), false, "NAT64 (RFC 6052)" },                 /* RFC 6052; see nat64_prefixes */
	{ V6(0x0064, 0xff9b, 1, 48), false, "local NAT64 (RFC 8215)" },           /* RFC 8215 */
	{ V6(0x0100, 0, 0, 64), false, "discard-only (RFC 6666)" },               /* RFC 6666 */
	{ V6(0x2000, 0, 0, 3), true, "" },                                        /* RFC 4291 §2.5.4, 3587: global unicast */
	{ V6(0x2001, 0, 0, 23), false, "protocol assignments (RFC 2928)" },       /* RFC 2928, 4380, 5180, 7343, 7450, 9374 */
	{ V6(0x2001, 0x0db8, 0, 32), false, "documentation (RFC 3849)" },         /* RFC 3849 */
	{ V6(0x2002, 0, 0, 16), false, "6to4 (RFC 7526)" },                       /* RFC 3056, 7526 */
	{ V6(0x2620, 0x004f, 0x8000, 48), false, "AS112 (RFC 7534)" },            /* RFC 7534 */
	{ V6(0x3fff, 0, 0, 20), false, "documentation (RFC 9637)" },              /* RFC 9637 */
	{ V6(0x5f00, 0, 0, 16), false, "segment routing (RFC 9602)" },            /* RFC 9602 */
	{ V6(0xfc00, 0, 0, 7), false, "unique local (RFC 4193)" },                /* RFC 4193; AWS, GCP metadata */
	{ V6(0xfe80, 0, 0, 10), false, "link-local (RFC 4291)" },                 /* RFC 4291 §2.5.6 */
	{ V6(0xfec0, 0, 0, 10), false, "site-local (RFC 3879)" },                 /* RFC 3879 */
	{ V6(0xff00, 0, 0, 8), false, "multicast (RFC 4291)" },                   /* RFC 4291 §2.7 */
};

/* Ports no browser would talk HTTP to, because another protocol listens there (WHATWG Fetch, "port blocking"). */
static const uint16_t bad_ports[] = {
	1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
	110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530,
	531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190,
	5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
};

/* Names that mean "near me" to some resolver or convention. Single labels are refused before these are looked at. */
static const char *const local_suffixes[] = {
	".localhost",  /* RFC 6761 §6.3 */
	".local",      /* RFC 6762 */
	".internal",   /* ICANN 2024-07-29 */
	".home.arpa",  /* RFC 8375 */
};

static int refuse(const char **out_reason, const char *why)
{
	if (out_reason)
		*out_reason = why;
	return HL_EBLOCKED;
}

/* ---- configuration ---------------------------------------------------------------------------------------------- */

/* As much of an entry as fits into an error text beside the reason. */
static struct hl_str shown(struct hl_str entry)
{
	return hl_str_make(entry.ptr, HL_MIN(entry.len, 80));
}

/* Calls add for each entry of a comma list. Empty text is an empty list; an empty entry is a mistake. */
static int each_entry(struct hl_egress *e, const char *list, const char *option, struct hl_err *err,
		int (*add)(struct hl_egress *e, struct hl_str entry, struct hl_err *err))
{
	struct hl_str rest = hl_str_trim(hl_str_from(list ? list : ""));
	if (rest.len == 0)
		return HL_OK;
	while (rest.ptr) {
		struct hl_str entry = hl_str_trim(hl_str_split(&rest, ','));
		struct hl_err why = { 0 };
		int rc = entry.len ? add(e, entry, &why) : hl_err_set(&why, HL_EINVAL, "an entry of the list is empty");
		if (rc)
			return hl_err_field(err, rc, option, "%s", why.text);
	}
	return HL_OK;
}

/* Grows an array by one zeroed element at its end; NULL when there is no memory or the limit is reached. */
static void *grow(void **array, size_t *n, size_t size)
{
	void *p = realloc(*array, (*n + 1) * size);
	if (!p)
		return NULL;
	*array = p;
	return memset((char *)p + (*n)++ * size, 0, size);
}

static int add_network_to(struct hl_cidr **array, size_t *n, struct hl_str entry, bool nat64, struct hl_err *err)
{
	struct hl_cidr c;
	int rc = hl_cidr_parse(entry, &c, err);
	if (rc)
		return rc;
	if (nat64 && (c.len != 16 || c.prefix != 96))
		return hl_err_set(err, HL_EINVAL, "\"%.*s\" is not an IPv6 prefix of 96 bits", HL_FMT(shown(entry)));
	if (*n >= HL_EGRESS_NETWORKS_MAX)
		return hl_err_set(err, HL_EINVAL, "more than %d networks", HL_EGRESS_NETWORKS_MAX);
	struct hl_cidr *slot = grow((void **)array, n, sizeof *slot);
	if (!slot)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	*slot = c;
	return HL_OK;
}

static int add_network(struct hl_egress *e, struct hl_str entry, struct hl_err *err)
{
	return add_network_to(&e->networks, &e->n_networks, entry, false, err);
}

static int add_nat64(struct hl_egress *e, struct hl_str entry, struct hl_err *err)
{
	return add_network_to(&e->nat64, &e->n_nat64, entry, true, err);
}

/* Lower case, without one trailing dot; false when too long or empty. out has HL_EGRESS_HOST_MAX bytes. */
static bool canonical_host(struct hl_str host, char *out, struct hl_str *out_name)
{
	if (host.len > 0 && host.ptr[host.len - 1] == '.')
		host.len--;
	if (host.len == 0 || host.len > HL_EGRESS_HOST_MAX)
		return false;
	for (size_t i = 0; i < host.len; i++)
		out[i] = (char)(host.ptr[i] >= 'A' && host.ptr[i] <= 'Z' ? host.ptr[i] + 32 : host.ptr[i]);
	*out_name = hl_str_make(out, host.len);
	return true;
}

static int add_host(struct hl_egress *e, struct hl_str entry, struct hl_err *err)
{
	char text[HL_EGRESS_HOST_MAX];
	struct hl_str name;
	struct hl_addr literal;
	if (hl_addr_parse_ip(entry, 0, &literal))
		return hl_err_set(err, HL_EINVAL, "\"%.*s\" is an address; allow_networks takes those", HL_FMT(shown(entry)));
	if (!canonical_host(entry, text, &name))
		return hl_err_set(err, HL_EINVAL, "\"%.*s\" is not a host name", HL_FMT(shown(entry)));
	for (size_t i = 0; i < name.len; i++) {
		if (!isalnum((unsigned char)name.ptr[i]) && !strchr("-_.", name.ptr[i]))
			return hl_err_set(err, HL_EINVAL, "\"%.*s\" is not an exact host name", HL_FMT(shown(entry)));
	}
	if (hl_map_str_get(&e->hosts, name))
		return HL_OK;
	if (e->hosts.count >= HL_EGRESS_HOSTS_MAX)
		return hl_err_set(err, HL_EINVAL, "more than %d hosts", HL_EGRESS_HOSTS_MAX);
	char *copy = strndup(name.ptr, name.len);
	if (!copy || hl_map_str_put(&e->hosts, hl_str_make(copy, name.len), copy)) {
		free(copy);
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	}
	return HL_OK;
}

static int add_own_entry(struct hl_egress *e, struct hl_str entry, struct hl_err *err)
{
	struct hl_addr a;
	int rc = hl_addr_parse(entry, &a, err);
	if (rc)
		return rc;
	if (hl_addr_port(&a) == 0)
		return hl_err_set(err, HL_EINVAL, "\"%.*s\" is not an address and port", HL_FMT(shown(entry)));
	rc = hl_egress_add_own(e, &a);
	return rc ? hl_err_set(err, rc, rc == HL_ELIMIT ? "more than %d listeners" : "out of memory",
			HL_EGRESS_LISTENERS_MAX) : HL_OK;
}

static bool port_get(const struct hl_egress *e, uint16_t port) { return e->ports[port / 8] >> (port % 8) & 1; }
static void port_set(struct hl_egress *e, unsigned port) { e->ports[port / 8] |= (uint8_t)(1u << (port % 8)); }
static void port_clear(struct hl_egress *e, unsigned port) { e->ports[port / 8] &= (uint8_t)~(1u << (port % 8)); }

static bool port_is_bad(unsigned port)
{
	for (size_t i = 0; i < HL_ARRAY_LEN(bad_ports); i++) {
		if (bad_ports[i] == port)
			return true;
	}
	return false;
}

static int add_ports(struct hl_egress *e, struct hl_str entry, struct hl_err *err)
{
	uint64_t first, last;
	struct hl_str rest = entry;
	struct hl_str from = hl_str_trim(hl_str_split(&rest, '-'));
	bool range = rest.ptr != NULL;
	struct hl_str to = range ? hl_str_trim(rest) : from;
	if (!hl_str_u64(from, &first) || !hl_str_u64(to, &last) || first < 1 || last > 65535 || first > last)
		return hl_err_set(err, HL_EINVAL, "\"%.*s\" is not a port or a range of ports", HL_FMT(shown(entry)));
	if (!range && port_is_bad((unsigned)first))
		return hl_err_set(err, HL_EINVAL, "port %u belongs to another protocol and is always refused",
				(unsigned)first);
	for (unsigned p = (unsigned)first; p <= last; p++)
		port_set(e, p);
	return HL_OK;
}

static int init_ports(struct hl_egress *e, const char *list, struct hl_err *err)
{
	bool given = list && hl_str_trim(hl_str_from(list)).len > 0;
	int rc = each_entry(e, given ? list : "80,443,1024-65535", "egress.ports", err, add_ports);
	for (size_t i = 0; i < HL_ARRAY_LEN(bad_ports); i++)
		port_clear(e, bad_ports[i]);
	return rc;
}

/* The addresses a wildcard listener can be reached at. */
static int init_local(struct hl_egress *e, struct hl_err *err)
{
	uv_interface_address_t *list;
	int n;
	int rc = uv_interface_addresses(&list, &n);
	if (rc)
		return hl_err_set(err, rc == UV_ENOMEM ? HL_ENOMEM : HL_EIO, "list this machine's addresses: %s",
				uv_strerror(rc));
	rc = HL_OK;
	for (int i = 0; i < n && !rc; i++) {
		struct hl_addr a;
		const struct sockaddr *sa = (const struct sockaddr *)&list[i].address;
		if (!hl_addr_from_sockaddr(sa, sizeof list[i].address, &a))
			continue;
		hl_addr_set_port(&a, 0);
		struct hl_addr *slot = grow((void **)&e->local, &e->n_local, sizeof *slot);
		if (slot)
			*slot = a;
		else
			rc = hl_err_set(err, HL_ENOMEM, "out of memory");
	}
	uv_free_interface_addresses(list, n);
	return rc;
}

int hl_egress_init(struct hl_egress *e, const struct hl_egress_options *o, struct hl_err *err)
{
	memset(e, 0, sizeof *e);
	hl_map_str_init(&e->hosts);
	e->allow_http = o->allow_http;
	int rc = each_entry(e, o->allow_networks, "egress.allow_networks", err, add_network);
	if (!rc)
		rc = each_entry(e, o->allow_hosts, "egress.allow_hosts", err, add_host);
	if (!rc)
		rc = each_entry(e, o->nat64_prefixes, "egress.nat64_prefixes", err, add_nat64);
	if (!rc)
		rc = init_ports(e, o->ports, err);
	if (!rc)
		rc = each_entry(e, o->own_listeners, "egress.own_listeners", err, add_own_entry);
	if (!rc)
		rc = init_local(e, err);
	if (rc)
		hl_egress_fini(e);
	return rc;
}

void hl_egress_fini(struct hl_egress *e)
{
	size_t pos = 0;
	struct hl_str name;
	void *copy;
	while (hl_map_str_next(&e->hosts, &pos, &name, &copy)) {
		hl_map_str_del(&e->hosts, name);
		free(copy);
	}
	hl_map_str_fini(&e->hosts);
	free(e->networks);
	free(e->nat64);
	free(e->own);
	free(e->local);
	memset(e, 0, sizeof *e);
}

int hl_egress_add_own(struct hl_egress *e, const struct hl_addr *listener)
{
	if (e->n_own >= HL_EGRESS_LISTENERS_MAX)
		return HL_ELIMIT;
	struct hl_addr *slot = grow((void **)&e->own, &e->n_own, sizeof *slot);
	if (!slot)
		return HL_ENOMEM;
	hl_addr_unmap(listener, slot);
	return HL_OK;
}

/* ---- judging ---------------------------------------------------------------------------------------------------- */

/* Would a connection to a (unmapped) end on this machine, if something listens everywhere? */
static bool is_local(const struct hl_egress *e, const struct hl_addr *a)
{
	static const struct hl_cidr loopback = V4(127, 0, 0, 0, 8);
	if (hl_addr_is_wildcard(a) || hl_cidr_match(&loopback, a))
		return true;
	for (size_t i = 0; i < e->n_local; i++) {
		if (hl_addr_eq_ip(&e->local[i], a))
			return true;
	}
	return hl_addr_is_v6(a) && IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

bool hl_egress_is_own(const struct hl_egress *e, const struct hl_addr *addr)
{
	struct hl_addr a;
	if (e->n_own == 0)
		return false;
	hl_addr_unmap(addr, &a);
	uint16_t port = hl_addr_port(&a);
	for (size_t i = 0; i < e->n_own; i++) {
		const struct hl_addr *own = &e->own[i];
		if (hl_addr_port(own) != port)
			continue;
		/* The kernel takes a connection to 0.0.0.0 or :: as one to loopback. */
		if (hl_addr_eq_ip(own, &a) || hl_addr_is_wildcard(&a) || (hl_addr_is_wildcard(own) && is_local(e, &a)))
			return true;
	}
	return false;
}

/* Puts the IPv4 address that a NAT64 gateway would turn `a` into in *out; false when no prefix matches. */
static bool nat64_decode(const struct hl_egress *e, const struct hl_addr *a, struct hl_addr *out)
{
	for (size_t i = 0; i < e->n_nat64; i++) {
		if (hl_cidr_match(&e->nat64[i], a)) {
			hl_addr_from_v4((const uint8_t *)&a->v6.sin6_addr + 12, hl_addr_port(a), out);
			return true;
		}
	}
	return false;
}

/* RFC 5214: the interface id of an ISATAP address holds 00-00-5E-FE or 02-00-5E-FE and then an IPv4 address. */
static bool is_isatap(const struct hl_addr *a)
{
	const uint8_t *b = (const uint8_t *)&a->v6.sin6_addr;
	return hl_addr_is_v6(a) && (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe;
}

static int judge_table(const struct hl_addr *a, const char **out_reason)
{
	size_t len;
	const uint8_t *bytes = hl_addr_bytes(a, &len);
	const struct row *last = NULL;
	if (!bytes)
		return refuse(out_reason, "not an internet address");
	for (size_t i = 0; i < HL_ARRAY_LEN(table); i++) {
		if (hl_cidr_match_bytes(&table[i].net, bytes, len))
			last = &table[i];
	}
	return last && last->allow ? HL_OK : refuse(out_reason, last ? last->why : "not in the table");
}

int hl_egress_judge_addr(const struct hl_egress *e, const struct hl_addr *addr, const char **out_reason)
{
	struct hl_addr a;
	hl_addr_unmap(addr, &a);
	for (int decoded = 0; decoded < 2; decoded++) {
		if (hl_egress_is_own(e, &a))
			return refuse(out_reason, "one of our own listeners");
		for (size_t i = 0; i < e->n_networks; i++) {
			if (hl_cidr_match(&e->networks[i], &a))
				return HL_OK;
		}
		struct hl_addr v4;
		if (!nat64_decode(e, &a, &v4))
			break;
		a = v4;
	}
	if (is_isatap(&a))
		return refuse(out_reason, "ISATAP (RFC 5214)");
	return judge_table(&a, out_reason);
}

int hl_egress_judge_port(const struct hl_egress *e, bool https, uint16_t port, const char **out_reason)
{
	if (!https && !e->allow_http)
		return refuse(out_reason, "http is not allowed, only https");
	if (!port_get(e, port))
		return refuse(out_reason, port_is_bad(port) ? "port of another protocol" : "port not allowed");
	return HL_OK;
}

bool hl_egress_trusts(const struct hl_egress *e, struct hl_str host)
{
	char text[HL_EGRESS_HOST_MAX];
	struct hl_str name;
	return e->hosts.count > 0 && canonical_host(host, text, &name) && hl_map_str_get(&e->hosts, name) != NULL;
}

int hl_egress_judge_host(const struct hl_egress *e, struct hl_str host, uint16_t port, const char **out_reason)
{
	struct hl_addr literal;
	char text[HL_EGRESS_HOST_MAX];
	struct hl_str name;
	if (hl_addr_parse_ip(host, port, &literal)) {
		if (hl_addr_is_mapped(&literal))
			return refuse(out_reason, "IPv4-mapped literal (RFC 4291)");
		return hl_egress_judge_addr(e, &literal, out_reason);
	}
	if (!canonical_host(host, text, &name))
		return refuse(out_reason, "no host name, or one of over 253 bytes");
	if (hl_egress_trusts(e, name))
		return HL_OK;
	if (!memchr(name.ptr, '.', name.len))
		return refuse(out_reason, "single-label host name");
	for (size_t i = 0; i < HL_ARRAY_LEN(local_suffixes); i++) {
		struct hl_str suffix = hl_str_from(local_suffixes[i]);
		struct hl_str bare = hl_str_make(suffix.ptr + 1, suffix.len - 1);
		if (hl_str_ends(name, suffix) || hl_str_eq(name, bare))
			return refuse(out_reason, "name of the local network");
	}
	return HL_OK;
}

int hl_egress_judge_answer(const struct hl_egress *e, struct hl_str host, const struct hl_addr *addrs, size_t n,
		uint16_t port, const char **out_reason)
{
	bool trusted = hl_egress_trusts(e, host);
	for (size_t i = 0; i < n; i++) {
		struct hl_addr a = addrs[i];
		hl_addr_set_port(&a, port);
		if (trusted && hl_egress_is_own(e, &a))
			return refuse(out_reason, "one of our own listeners");
		int rc = trusted ? HL_OK : hl_egress_judge_addr(e, &a, out_reason);
		if (rc)
			return rc;
	}
	return n ? HL_OK : refuse(out_reason, "no address");
}
