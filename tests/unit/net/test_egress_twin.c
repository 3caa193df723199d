/* The egress rule against a twin that shares nothing with it (tests/lib/egress_twin.h).
 *
 * A million addresses in the suite; HOOKLINE_EGRESS_ADDRESSES=100000000 asks for more, HOOKLINE_EGRESS_SEED for others. */
#include "net_test.h"

#include "egress_twin.h"
#include "net/egress.h"
#include <ifaddrs.h>
#include <net/if.h>

enum { ROUND = 2000 };

/* ---- chance ----------------------------------------------------------------------------------------------------- */

static uint64_t seed;

static uint64_t rnd(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void scatter(struct bits *b, size_t from)
{
	for (size_t i = from; b->s[i]; i++)
		b->s[i] = rnd() & 1 ? '1' : '0';
}

static void fill(struct bits *b, size_t from, char c)
{
	for (size_t i = from; b->s[i]; i++)
		b->s[i] = c;
}

/* The address after or before, going round at the end. */
static void step(struct bits *b, bool up)
{
	char carry = up ? '1' : '0';
	for (size_t i = strlen(b->s); i > 0; i--) {
		b->s[i - 1] = b->s[i - 1] == '1' ? '0' : '1';
		if (b->s[i - 1] == carry)
			return;
	}
}

/* Somewhere in a row, or at its edges, or just past them. */
static struct bits near(const struct bits *row)
{
	struct bits b = *row;
	uint64_t how = rnd() % 8;
	if (how < 3) {
		scatter(&b, b.n);
	} else if (how < 5) {
		fill(&b, b.n, how == 3 ? '0' : '1');
	} else if (how < 7) {
		fill(&b, b.n, how == 5 ? '0' : '1');
		step(&b, how == 6);
	} else {
		scatter(&b, rnd() % (strlen(b.s) + 1));
	}
	return b;
}

static struct bits random4(void)
{
	struct bits b = prefix("0.0.0.0");
	if (rnd() % 4)
		return near(&read4[rnd() % HL_ARRAY_LEN(read4)]);
	scatter(&b, 0);
	return b;
}

/* Ways to write an IPv4 address as an IPv6 one; %s stands for its 32 bits. */
static const char *const spellings[] = {
	"::ffff:0:0/96", /* mapped */ "::/96", /* compatible */ "::ffff:0:0:0/96", /* SIIT */ "64:ff9b::/96", "64:ff9b:1::/96",
	"2002::/16", /* 6to4: followed by subnet and interface */ "2001::/96", /* Teredo: inverted */
	"2606:4700::5efe:0:0/96", "2606:4700::200:5efe:0:0/96", "fe80::5efe:0:0/96", /* ISATAP */
	"2606:4700:64::/96", /* a NAT64 prefix of some network */
};

static struct bits spell(const char *how, const struct bits *v4)
{
	struct bits b = prefix(how);
	for (size_t i = 0; i < 32; i++)
		b.s[b.n + i] = strcmp(how, "2001::/96") ? v4->s[i] : (char)('0' + '1' - v4->s[i]);
	return b;
}

static struct bits random_bits(void)
{
	uint64_t how = rnd() % 8;
	struct bits b = prefix("2000::");
	if (how < 3)
		return random4();
	if (how < 5) {
		struct bits v4 = random4();
		return spell(spellings[rnd() % HL_ARRAY_LEN(spellings)], &v4);
	}
	if (how < 7)
		return near(&read6[rnd() % HL_ARRAY_LEN(read6)]);
	scatter(&b, 3);
	return b;
}

/* ---- a configuration --------------------------------------------------------------------------------------------- */

static void append(char *list, size_t cap, const char *entry)
{
	size_t n = strlen(list);
	snprintf(list + n, cap - n, "%s%s", n ? "," : "", entry);
}

static void add_network(struct config *c)
{
	struct bits b = random_bits();
	char text[64], entry[80];
	bool v4 = strlen(b.s) == 32;
	if (!v4 && strspn(b.s, "0") == 80)
		return; /* networks are compared after unmapping: a mapped one would never match */
	b.n = v4 ? 1 + rnd() % 32 : 1 + rnd() % 128;
	fill(&b, b.n, '0');
	text_of(&b, text);
	snprintf(entry, sizeof entry, "%s/%zu", text, b.n);
	append(c->networks, sizeof c->networks, entry);
	if (v4)
		c->net4[c->n_net4++] = b;
	else
		c->net6[c->n_net6++] = b;
}

static void add_own(struct config *c)
{
	struct bits b = rnd() % 3 ? random_bits() : prefix(rnd() % 2 ? "0.0.0.0" : "::");
	char text[64], entry[80];
	uint16_t port = (uint16_t)(8080 + rnd() % 2);
	text_of(&b, text);
	snprintf(entry, sizeof entry, strlen(b.s) == 32 ? "%s:%u" : "[%s]:%u", text, port);
	append(c->own, sizeof c->own, entry);
	if (strlen(b.s) == 128 && !zeros(b.s) && strspn(b.s, "0") == 80 && value(b.s + 80, 16) == 0xffff)
		memmove(b.s, b.s + 96, 33);
	c->own_port[c->n_own] = port;
	c->own_addr[c->n_own++] = b;
}

static void add_local(struct config *c)
{
	struct ifaddrs *list;
	assert_int_equal(getifaddrs(&list), 0);
	for (struct ifaddrs *i = list; i && c->n_local < TABLE_MAX; i = i->ifa_next) {
		struct hl_addr a;
		size_t n;
		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
			continue;
		socklen_t len = i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
		if (!hl_addr_from_sockaddr(i->ifa_addr, len, &a))
			continue;
		const uint8_t *raw = hl_addr_bytes(&a, &n);
		if (raw)
			c->local[c->n_local++] = bits_of(raw, n);
	}
	freeifaddrs(list);
}

static void make_config(struct config *c, bool plain)
{
	memset(c, 0, sizeof *c);
	add_local(c);
	for (uint64_t n = plain ? 0 : rnd() % 4; n > 0; n--)
		add_network(c);
	for (uint64_t n = plain ? 0 : rnd() % 3; n > 0; n--)
		add_own(c);
	for (uint64_t n = plain ? 0 : rnd() % 3; n > 0; n--) {
		const char *text = n == 1 ? "64:ff9b::/96" : "2606:4700:64::/96";
		append(c->nat64, sizeof c->nat64, text);
		c->prefix64[c->n64++] = prefix(text);
	}
}

static struct hl_egress *make_egress(const struct config *c)
{
	struct hl_egress *e = malloc(sizeof *e);
	struct hl_err err = { 0 };
	struct hl_egress_options o = { .allow_networks = c->networks, .nat64_prefixes = c->nat64, .own_listeners = c->own,
		.allow_http = true };
	if (hl_egress_init(e, &o, &err))
		fail_msg("%s: %s", err.field, err.text);
	return e;
}

static void drop_egress(struct hl_egress *e)
{
	hl_egress_fini(e);
	free(e);
}

/* Both judges; fails where they differ. */
static bool judge(const struct hl_egress *e, const struct config *c, const struct bits *b, uint16_t port)
{
	struct hl_addr a;
	const char *why = NULL;
	addr_of(b, port, &a);
	bool want = twin(c, b, port), got = hl_egress_judge_addr(e, &a, &why) == HL_OK;
	if (got != want) {
		char text[64];
		text_of(b, text);
		fail_msg("%s port %u: %s (%s), the twin differs; networks %s; nat64 %s; own %s", text, port,
				got ? "let through" : "refused", why ? why : "", c->networks, c->nat64, c->own);
	}
	assert_true(got || (why && *why));
	return got;
}

/* ---- the tests -------------------------------------------------------------------------------------------------- */

/* First, last and both neighbours of every row. */
static void rows(void **state)
{
	struct config c;
	(void)state;
	make_config(&c, true);
	struct hl_egress *e = make_egress(&c);
	for (size_t i = 0; i < HL_ARRAY_LEN(rows4) + HL_ARRAY_LEN(rows6); i++) {
		bool v4 = i < HL_ARRAY_LEN(rows4);
		const struct bits *row = v4 ? &read4[i] : &read6[i - HL_ARRAY_LEN(rows4)];
		/* ::ffff:0:0/96 lies in ::/8 and is judged by what it holds. */
		struct bits first = *row, last = *row;
		fill(&first, first.n, '0');
		fill(&last, last.n, '1');
		if (judge(e, &c, &first, 443) || judge(e, &c, &last, 443))
			fail_msg("%s is let through", v4 ? rows4[i] : rows6[i - HL_ARRAY_LEN(rows4)]);
		step(&first, false);
		step(&last, true);
		judge(e, &c, &first, 443);
		judge(e, &c, &last, 443);
	}
	drop_egress(e);
}

/* Every spelling of the edges of every IPv4 row, and of public addresses. */
static void every_spelling(void **state)
{
	struct config plain, nat;
	(void)state;
	make_config(&plain, true);
	make_config(&nat, true);
	append(nat.nat64, sizeof nat.nat64, "64:ff9b::/96,2606:4700:64::/96");
	nat.prefix64[nat.n64++] = prefix("64:ff9b::/96");
	nat.prefix64[nat.n64++] = prefix("2606:4700:64::/96");
	struct hl_egress *e = make_egress(&plain), *e64 = make_egress(&nat);
	for (size_t i = 0; i < 4 * HL_ARRAY_LEN(rows4); i++) {
		struct bits v4 = read4[i / 4];
		fill(&v4, v4.n, i % 2 ? '1' : '0');
		if (i % 4 >= 2)
			step(&v4, i % 2);
		bool public = judge(e, &plain, &v4, 443);
		for (size_t k = 0; k < HL_ARRAY_LEN(spellings); k++) {
			struct bits b = spell(spellings[k], &v4);
			bool mapped = k == 0, decoded = strcmp(spellings[k], "64:ff9b::/96") == 0, ordinary = k + 1 == HL_ARRAY_LEN(spellings);
			bool got = judge(e, &plain, &b, 443);
			if (got != (ordinary || (mapped && public)))
				fail_msg("%s of row %s", spellings[k], rows4[i / 4]);
			if (judge(e64, &nat, &b, 443) != ((mapped || decoded || ordinary) && public))
				fail_msg("%s of row %s with NAT64", spellings[k], rows4[i / 4]);
		}
	}
	drop_egress(e);
	drop_egress(e64);
}

static uint64_t setting(const char *name, uint64_t usual)
{
	const char *text = getenv(name);
	return text && *text ? strtoull(text, NULL, 10) : usual;
}

static void chance(void **state)
{
	uint64_t n = setting("HOOKLINE_EGRESS_ADDRESSES", 1000000), yes = 0;
	seed = setting("HOOKLINE_EGRESS_SEED", 0x484f4f4b4c494e45u);
	(void)state;
	for (uint64_t done = 0; done < n; done += ROUND) {
		struct config c;
		make_config(&c, done % (4 * ROUND) == 0);
		struct hl_egress *e = make_egress(&c);
		for (unsigned i = 0; i < ROUND; i++) {
			struct bits b = rnd() % 16 || !c.n_own ? random_bits() : c.own_addr[rnd() % c.n_own];
			yes += judge(e, &c, &b, (uint16_t)(8079 + rnd() % 4));
		}
		drop_egress(e);
	}
	/* The sample has plenty of both. */
	assert_in_range(yes, n / 10, n - n / 10);
	print_message("%llu addresses, %llu let through\n", (unsigned long long)n, (unsigned long long)yes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(every_spelling),
		cmocka_unit_test(chance),
	};
	twin_read();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
