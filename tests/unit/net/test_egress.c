/* The egress rule: every edge of every range, every way to write an IPv4 address as an IPv6 one, and a second judge
 * that works on text, asked about a million random addresses. */
#include "net_test.h"

#include "net/egress.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <unistd.h>

static struct hl_egress *make(const struct hl_egress_options *o)
{
	struct hl_egress *e = malloc(sizeof *e);
	struct hl_err err = { 0 };
	if (hl_egress_init(e, o, &err))
		fail_msg("%s: %s", err.field, err.text);
	return e;
}

static void drop(struct hl_egress *e)
{
	hl_egress_fini(e);
	free(e);
}

static struct hl_egress *make_default(void)
{
	return make(&(struct hl_egress_options){ .allow_http = true });
}

static bool allowed(const struct hl_egress *e, const char *address, uint16_t port)
{
	struct hl_addr a = ip(address, port);
	const char *why = NULL;
	int rc = hl_egress_judge_addr(e, &a, &why);
	assert_true(rc == HL_OK || (rc == HL_EBLOCKED && why && *why));
	return rc == HL_OK;
}

/* ---- the slow judge: compares texts ----------------------------------------------------------------------------- */

static void hex_of(const struct hl_addr *a, char out[33])
{
	size_t len;
	const uint8_t *b = hl_addr_bytes(a, &len);
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", b[i]);
}

static bool between(const char *hex, const char *first, const char *last)
{
	return strcmp(hex, first) >= 0 && strcmp(hex, last) <= 0;
}

static bool starts(const char *hex, const char *prefix)
{
	return strncmp(hex, prefix, strlen(prefix)) == 0;
}

static bool slow_v4(const char *h)
{
	static const char *const ranges[][2] = {
		{ "00000000", "00ffffff" }, { "0a000000", "0affffff" }, { "64400000", "647fffff" }, { "7f000000", "7fffffff" },
		{ "a9fe0000", "a9feffff" }, { "ac100000", "ac1fffff" }, { "c0000000", "c00000ff" }, { "c0000200", "c00002ff" },
		{ "c01fc400", "c01fc4ff" }, { "c034c100", "c034c1ff" }, { "c0586300", "c05863ff" }, { "c0a80000", "c0a8ffff" },
		{ "c0af3000", "c0af30ff" }, { "c6120000", "c613ffff" }, { "c6336400", "c63364ff" }, { "cb007100", "cb0071ff" },
		{ "e0000000", "ffffffff" }, { "a83f8110", "a83f8110" },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(ranges); i++) {
		if (between(h, ranges[i][0], ranges[i][1]))
			return false;
	}
	return true;
}

static bool slow(const struct hl_addr *a)
{
	char h[33];
	hex_of(a, h);
	if (hl_addr_is_v4(a))
		return slow_v4(h);
	if (starts(h, "00000000000000000000ffff"))
		return slow_v4(h + 24);
	if (h[0] != '2' && h[0] != '3')
		return false;
	if (starts(h, "200100") || starts(h, "200101") || starts(h, "20010db8") || starts(h, "2002") || starts(h,
			"2620004f8000")
			|| starts(h, "3fff0"))
		return false;
	return !starts(h + 16, "00005efe") && !starts(h + 16, "02005efe");
}

/* ---- ranges ----------------------------------------------------------------------------------------------------- */

/* range, the address before it, its first, its last, the one after; '+' or '-' for before and after */
struct edge {
	const char *before, *first, *last, *after;
	char before_ok, after_ok;
};

static void edges(void **state)
{
	static const struct edge list[] = {
		{ NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0", '-', '+' },
		{ "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", '+', '+' },
		{ "100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", '+', '+' },
		{ "126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", '+', '+' },
		{ "168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17", '+', '+' },
		{ "169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0", '+', '+' },
		{ "172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", '+', '+' },
		{ "191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0", '+', '+' },
		{ "192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0", '+', '+' },
		{ "192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0", '+', '+' },
		{ "192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0", '+', '+' },
		{ "192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0", '+', '+' },
		{ "192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0", '+', '+' },
		{ "192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0", '+', '+' },
		{ "198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0", '+', '+' },
		{ "198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0", '+', '+' },
		{ "203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", '+', '+' },
		{ "223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", '+', '-' },
		{ "239.255.255.255", "240.0.0.0", "255.255.255.255", NULL, '-', '-' },
		{ NULL, "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::", '-', '+' },
		{ "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
		"2001:200::", '+', '+' },
		{ "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		"2001:db9::", '+', '+' },
		{ "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::",
		'+', '+' },
		{ "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
		"2620:4f:8001::", '+', '+' },
		{ "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
		"3fff:1000::", '+', '+' },
		{ "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, '+',
		'-' },
		{ "2606:4700::5efd:ffff:ffff", "2606:4700::5efe:0:0", "2606:4700::5efe:ffff:ffff", "2606:4700::5eff:0:0",
		'+', '+' },
		{ "2606:4700:0:0:200:5efd:ffff:ffff", "2606:4700:0:0:200:5efe:0:0", "2606:4700:0:0:200:5efe:ffff:ffff",
			"2606:4700:0:0:200:5eff:0:0", '+', '+' },
	};
	struct hl_egress *e = make_default();
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(list); i++) {
		const struct edge *r = &list[i];
		if (allowed(e, r->first, 443) || allowed(e, r->last, 443))
			fail_msg("%s – %s is let through", r->first, r->last);
		if (r->before && allowed(e, r->before, 443) != (r->before_ok == '+'))
			fail_msg("%s", r->before);
		if (r->after && allowed(e, r->after, 443) != (r->after_ok == '+'))
			fail_msg("%s", r->after);
	}
	drop(e);
}

/* Ranges inside the two big refusals; named because a change of the table might open them. */
static void named(void **state)
{
	static const char *const no[] = { "::1", "::", "::7f00:1", "::ffff:0:127.0.0.1", "64:ff9b::8.8.8.8",
			"64:ff9b:1::1", "100::1",
		"100:0:0:1::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "febf:ffff::", "fec0::1",
		"ff02::1", "4000::",
		"8000::", "e000::", "2001::1", "2001:1::1", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::1",
		"2001:20::1",
		"2001:30::1", "169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "233.252.0.1",
		"255.255.255.255" };
	static const char *const yes[] = { "1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111",
			"2a00:1450:4001:80b::200e",
		"2400:cb00::1", "2001:4860:4860::8888", "::ffff:8.8.8.8" };
	struct hl_egress *e = make_default();
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(no); i++) {
		if (allowed(e, no[i], 443))
			fail_msg("%s is let through", no[i]);
	}
	for (size_t i = 0; i < HL_ARRAY_LEN(yes); i++) {
		if (!allowed(e, yes[i], 443))
			fail_msg("%s is refused", yes[i]);
	}
	drop(e);
}

static void spellings(void **state)
{
	static const char *const forms[] = { "::ffff:%s", "::%s", "::ffff:0:%s", "64:ff9b::%s", "64:ff9b:1::%s",
			"::5efe:%s",
		"2606:4700::5efe:%s", "2606:4700::200:5efe:%s", "fe80::5efe:%s", "2001:0:0:0:0:0:%s" };
	static const char *const inside[] = { "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
			"100.64.0.1",
		"0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "168.63.129.16" };
	struct hl_egress *e = make_default();
	char text[80];
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(inside); i++) {
		for (size_t k = 0; k < HL_ARRAY_LEN(forms); k++) {
			if (k == 1 && strcmp(inside[i], "0.0.0.0") == 0)
				continue; /* "::0.0.0.0" is "::" */
			char *at = strstr((char *)(uintptr_t)forms[k], "%s");
			snprintf(text, sizeof text, "%.*s%s", (int)(at - forms[k]), forms[k], inside[i]);
			if (allowed(e, text, 443))
				fail_msg("%s is let through", text);
			if (hl_egress_judge_host(e, hl_str_from(text), 443, NULL) != HL_EBLOCKED)
				fail_msg("%s as a literal", text);
		}
		struct in_addr v4;
		assert_int_equal(inet_pton(AF_INET, inside[i], &v4), 1);
		uint32_t n = ntohl(v4.s_addr);
		snprintf(text, sizeof text, "2002:%x:%x::1", n >> 16, n & 0xffff);
		assert_false(allowed(e, text, 443));
		snprintf(text, sizeof text, "2001::%x:%x", ~n >> 16, ~n & 0xffff);
		assert_false(allowed(e, text, 443));
	}
	drop(e);
}

static uint64_t seed = 0x484f4f4b4c494e45u;

static uint64_t rnd(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Mostly addresses near the edges of the rule: a known prefix, then random bits from a random place on. */
static void random_addr(struct hl_addr *out)
{
	static const char *const near[] = { "::", "::ffff:0:0", "2001::", "2001:1ff::", "2001:200::", "2001:db8::",
			"2002::", "2000::",
		"2620:4f:8000::", "3fff::", "3fff:1000::", "4000::", "1fff:ffff::", "2606:4700::5efe:0:0",
		"2606:4700:0:0:200:5efe:0:0",
		"64:ff9b::", "fe80::", "fc00::", "ff00::", "2a00::", "5f00::", "100::", "0.0.0.0", "10.0.0.0", "100.64.0.0",
		"127.0.0.0",
		"168.63.129.16", "169.254.0.0", "172.16.0.0", "192.0.0.0", "192.0.2.0", "192.31.196.0", "192.52.193.0",
		"192.88.99.0",
		"192.168.0.0", "192.175.48.0", "198.18.0.0", "198.51.100.0", "203.0.113.0", "224.0.0.0", "240.0.0.0" };
	uint8_t bytes[16];
	size_t len;
	struct hl_addr base = ip(near[rnd() % HL_ARRAY_LEN(near)], 443);
	const uint8_t *b = hl_addr_bytes(&base, &len);
	memcpy(bytes, b, len);
	size_t keep = rnd() % (len * 8 + 1); /* leading bits kept */
	for (size_t i = keep; i < len * 8; i++) {
		if (rnd() & 1)
			bytes[i / 8] ^= (uint8_t)(0x80 >> (i % 8));
	}
	if (rnd() % 4 == 0) { /* and one bit anywhere */
		size_t i = rnd() % (len * 8);
		bytes[i / 8] ^= (uint8_t)(0x80 >> (i % 8));
	}
	if (len == 4)
		hl_addr_from_v4(bytes, 443, out);
	else
		hl_addr_from_v6(bytes, 443, out);
}

static void against_the_slow_judge(void **state)
{
	struct hl_egress *e = make_default();
	unsigned yes = 0;
	(void)state;
	for (unsigned i = 0; i < 1200000; i++) {
		struct hl_addr a;
		random_addr(&a);
		bool want = slow(&a), got = hl_egress_judge_addr(e, &a, NULL) == HL_OK;
		yes += want;
		if (got != want) {
			char text[HL_ADDR_TEXT_CAP];
			hl_addr_format(&a, text);
			fail_msg("%s: %s", text, got ? "let through" : "refused");
		}
	}
	/* The sample has plenty of both. */
	assert_in_range(yes, 200000, 1000000);
	drop(e);
}

/* ---- configuration ---------------------------------------------------------------------------------------------- */

static void networks_and_nat64(void **state)
{
	struct hl_egress *e = make(&(struct hl_egress_options){ .allow_networks = "10.1.0.0/16, fd00:1::/32,127.0.0.1",
		.nat64_prefixes = "64:ff9b::/96,2606:4700:64::/96", .own_listeners = "127.0.0.1:8080" });
	(void)state;
	assert_true(allowed(e, "10.1.255.255", 443));
	assert_false(allowed(e, "10.2.0.0", 443));
	assert_true(allowed(e, "::ffff:10.1.0.1", 443));
	assert_true(allowed(e, "fd00:1::5", 443));
	assert_false(allowed(e, "fd00:2::5", 443));
	assert_true(allowed(e, "127.0.0.1", 443));
	assert_false(allowed(e, "127.0.0.1", 8080));
	assert_false(allowed(e, "::ffff:127.0.0.1", 8080));
	assert_false(allowed(e, "127.0.0.2", 443));
	/* NAT64: what is inside is judged. */
	assert_true(allowed(e, "64:ff9b::8.8.8.8", 443));
	assert_false(allowed(e, "64:ff9b::192.168.1.1", 443));
	assert_true(allowed(e, "64:ff9b::10.1.2.3", 443));
	assert_false(allowed(e, "64:ff9b::127.0.0.1", 8080));
	assert_true(allowed(e, "2606:4700:64::1.1.1.1", 443));
	assert_false(allowed(e, "2606:4700:64::169.254.169.254", 443));
	assert_false(allowed(e, "64:ff9b:0:0:0:1:808:808", 443));
	drop(e);
}

static void own_listeners(void **state)
{
	struct hl_egress *e = make(&(struct hl_egress_options){ .allow_networks = "0.0.0.0/0,::/0",
		.allow_hosts = "me", .own_listeners = "0.0.0.0:8080,203.0.113.7:9000,[2001:db8::7]:9001" });
	struct hl_addr a[2] = { ip("127.0.0.1", 0), ip("8.8.8.8", 0) };
	(void)state;
	assert_false(allowed(e, "127.0.0.1", 8080));
	assert_false(allowed(e, "127.9.9.9", 8080));
	assert_false(allowed(e, "::1", 8080));
	assert_false(allowed(e, "0.0.0.0", 8080));
	assert_false(allowed(e, "::", 8080));
	assert_true(allowed(e, "127.0.0.1", 8081));
	assert_true(allowed(e, "8.8.8.8", 8080));
	assert_false(allowed(e, "203.0.113.7", 9000));
	assert_false(allowed(e, "::ffff:203.0.113.7", 9000));
	assert_true(allowed(e, "203.0.113.7", 9001));
	assert_false(allowed(e, "2001:db8::7", 9001));
	assert_false(allowed(e, "0.0.0.0", 9000));
	/* Not even a trusted name may lead back to us. */
	assert_int_equal(hl_egress_judge_answer(e, HL_STR("me"), a, 2, 8080, NULL), HL_EBLOCKED);
	assert_int_equal(hl_egress_judge_answer(e, HL_STR("me"), a, 2, 8081, NULL), HL_OK);
	/* This machine's own addresses count for a wildcard listener. */
	for (size_t i = 0; i < e->n_local; i++) {
		struct hl_addr local = e->local[i];
		hl_addr_set_port(&local, 8080);
		assert_true(hl_egress_is_own(e, &local));
		hl_addr_set_port(&local, 8079);
		assert_false(hl_egress_is_own(e, &local));
	}
	a[0] = ip("198.51.100.1", 77);
	assert_int_equal(hl_egress_add_own(e, &a[0]), HL_OK);
	assert_false(allowed(e, "198.51.100.1", 77));
	for (unsigned i = (unsigned)e->n_own; i < HL_EGRESS_LISTENERS_MAX; i++)
		assert_int_equal(hl_egress_add_own(e, &a[0]), HL_OK);
	assert_int_equal(hl_egress_add_own(e, &a[0]), HL_ELIMIT);
	drop(e);
}

static bool host_allowed(const struct hl_egress *e, const char *host)
{
	return hl_egress_judge_host(e, hl_str_from(host), 443, NULL) == HL_OK;
}

static void hosts(void **state)
{
	static const char *const no[] = { "", ".", "localhost", "LOCALHOST.", "a.localhost", "printer.local",
			"Printer.LOCAL.", "x.internal",
		"metadata.google.internal", "x.home.arpa", "home.arpa", "kubernetes", "db", "127.0.0.1", "10.0.0.1",
		"[::1]", "::1",
		"[::ffff:8.8.8.8]", "::ffff:8.8.8.8", "169.254.169.254", "[fe80::1]" };
	static const char *const yes[] = { "example.com", "EXAMPLE.com.", "local.example.com", "internal.example.com",
			"notlocal.example",
		"xlocal.com", "arpa.example", "8.8.8.8", "[2606:4700::1]", "2606:4700::1", "a.b" };
	struct hl_egress *e = make_default();
	char longest[256];
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(no); i++) {
		if (host_allowed(e, no[i]))
			fail_msg("%s", no[i]);
	}
	for (size_t i = 0; i < HL_ARRAY_LEN(yes); i++) {
		if (!host_allowed(e, yes[i]))
			fail_msg("%s", yes[i]);
	}
	memset(longest, 'a', sizeof longest);
	longest[100] = '.';
	assert_int_equal(hl_egress_judge_host(e, hl_str_make(longest, 253), 443, NULL), HL_OK);
	assert_int_equal(hl_egress_judge_host(e, hl_str_make(longest, 254), 443, NULL), HL_EBLOCKED);
	drop(e);
	e = make(&(struct hl_egress_options){ .allow_hosts = "Receiver , printer.local,localhost." });
	assert_true(host_allowed(e, "receiver"));
	assert_true(host_allowed(e, "RECEIVER."));
	assert_true(host_allowed(e, "printer.local"));
	assert_true(host_allowed(e, "localhost"));
	assert_false(host_allowed(e, "receiver2"));
	assert_false(host_allowed(e, "x.receiver.local"));
	assert_false(host_allowed(e, "other.local"));
	struct hl_addr private = ip("172.18.0.5", 0), both[2] = { ip("8.8.8.8", 0), ip("10.0.0.1", 0) };
	assert_int_equal(hl_egress_judge_answer(e, HL_STR("receiver"), &private, 1, 80, NULL), HL_OK);
	assert_int_equal(hl_egress_judge_answer(e, HL_STR("example.com"), &private, 1, 80, NULL), HL_EBLOCKED);
	/* One bad address spoils the answer. */
	assert_int_equal(hl_egress_judge_answer(e, HL_STR("example.com"), both, 1, 80, NULL), HL_OK);
	assert_int_equal(hl_egress_judge_answer(e, HL_STR("example.com"), both, 2, 80, NULL), HL_EBLOCKED);
	assert_int_equal(hl_egress_judge_answer(e, HL_STR("example.com"), both, 0, 80, NULL), HL_EBLOCKED);
	drop(e);
}

static void ports(void **state)
{
	static const uint16_t bad[] = { 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666,
			6667, 6668, 6669, 6679,
		6697, 10080 };
	static const uint16_t bad_below[] = { 1, 7, 22, 25, 53, 110, 143, 465, 587, 993, 995 };
	struct hl_egress *e = make_default();
	const char *why;
	unsigned n = 0;
	(void)state;
	for (unsigned p = 0; p < 65536; p++)
		n += hl_egress_judge_port(e, true, (uint16_t)p, NULL) == HL_OK;
	assert_int_equal(n, 2 + (65536 - 1024) - HL_ARRAY_LEN(bad));
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++)
		assert_int_equal(hl_egress_judge_port(e, true, bad[i], &why), HL_EBLOCKED);
	assert_int_equal(hl_egress_judge_port(e, true, 443, &why), HL_OK);
	assert_int_equal(hl_egress_judge_port(e, false, 80, &why), HL_OK);
	assert_int_equal(hl_egress_judge_port(e, false, 0, &why), HL_EBLOCKED);
	assert_int_equal(hl_egress_judge_port(e, false, 1023, &why), HL_EBLOCKED);
	drop(e);
	e = make(&(struct hl_egress_options){ .ports = " 443, 1-1023 ,9000-9001" });
	assert_int_equal(hl_egress_judge_port(e, true, 8443, &why), HL_EBLOCKED);
	assert_int_equal(hl_egress_judge_port(e, true, 9001, &why), HL_OK);
	assert_int_equal(hl_egress_judge_port(e, true, 9002, &why), HL_EBLOCKED);
	assert_int_equal(hl_egress_judge_port(e, true, 81, &why), HL_OK);
	assert_int_equal(hl_egress_judge_port(e, false, 443, &why), HL_EBLOCKED);
	for (size_t i = 0; i < HL_ARRAY_LEN(bad_below); i++)
		assert_int_equal(hl_egress_judge_port(e, true, bad_below[i], &why), HL_EBLOCKED);
	n = 0;
	for (unsigned p = 1; p < 1024; p++)
		n += hl_egress_judge_port(e, true, (uint16_t)p, NULL) != HL_OK;
	assert_int_equal(n, 82 - HL_ARRAY_LEN(bad));
	drop(e);
}

static void wrong_options(void **state)
{
	static const struct {
		struct hl_egress_options o;
		const char *field, *text;
	} wrong[] = {
		{ { .allow_networks = "10.0.0.0/8,nonsense" }, "egress.allow_networks", "nonsense" },
		{ { .allow_networks = "10.0.0.1/8" }, "egress.allow_networks", "past its prefix" },
		{ { .allow_networks = "10.0.0.0/8,,::/0" }, "egress.allow_networks", "empty" },
		{ { .allow_hosts = "10.0.0.1" }, "egress.allow_hosts", "allow_networks" },
		{ { .allow_hosts = "*.example.com" }, "egress.allow_hosts", "exact" },
		{ { .allow_hosts = "a b" }, "egress.allow_hosts", "exact" },
		{ { .nat64_prefixes = "64:ff9b::/64" }, "egress.nat64_prefixes", "96" },
		{ { .nat64_prefixes = "10.0.0.0/8" }, "egress.nat64_prefixes", "96" },
		{ { .ports = "80,0" }, "egress.ports", "\"0\"" },
		{ { .ports = "80,65536" }, "egress.ports", "65536" },
		{ { .ports = "9-8" }, "egress.ports", "9-8" },
		{ { .ports = "http" }, "egress.ports", "http" },
		{ { .ports = "25" }, "egress.ports", "25" },
		{ { .own_listeners = "127.0.0.1" }, "egress.own_listeners", "127.0.0.1" },
		{ { .own_listeners = "127.0.0.1:0" }, "egress.own_listeners", "127.0.0.1:0" },
		{ { .own_listeners = "unix:/x" }, "egress.own_listeners", "unix:/x" },
	};
	struct hl_egress *e = malloc(sizeof *e);
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(wrong); i++) {
		struct hl_err err = { 0 };
		assert_int_equal(hl_egress_init(e, &wrong[i].o, &err), HL_EINVAL);
		assert_string_equal(err.field, wrong[i].field);
		if (!strstr(err.text, wrong[i].text))
			fail_msg("\"%s\" does not say %s", err.text, wrong[i].text);
	}
	free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges),
		cmocka_unit_test(named),
		cmocka_unit_test(spellings),
		cmocka_unit_test(against_the_slow_judge),
		cmocka_unit_test(networks_and_nat64),
		cmocka_unit_test(own_listeners),
		cmocka_unit_test(hosts),
		cmocka_unit_test(ports),
		cmocka_unit_test(wrong_options),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
