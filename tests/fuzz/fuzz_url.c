/* Any bytes as a webhook's URL: what is accepted is in normal form, so reading it again changes nothing, and what the egress
 * rule says of an address in it is what the slow twin says. Inputs that begin with a byte below 8 are an address and a
 * port, bit for bit or at the edge of a registry's row, judged by both under each of a few configurations. */
#include "egress_twin.h"
#include "fuzz.h"
#include "http/url.h"
#include "net/egress.h"

enum { CONFIGS = 3 };

static struct config configs[CONFIGS];
static struct hl_egress *rules[CONFIGS];

static void configure(unsigned i, const char *networks, const char *net4, const char *net6, const char *nat64)
{
	struct hl_egress_options o = { .allow_networks = networks, .nat64_prefixes = nat64, .allow_http = true };
	if (net4)
		configs[i].net4[configs[i].n_net4++] = prefix(net4);
	if (net6)
		configs[i].net6[configs[i].n_net6++] = prefix(net6);
	if (nat64)
		configs[i].prefix64[configs[i].n64++] = prefix(nat64);
	rules[i] = calloc(1, sizeof(*rules[i]));
	HL_CHECK(rules[i] && !hl_egress_init(rules[i], &o, NULL));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	twin_read();
	configure(0, "", NULL, NULL, NULL);
	configure(1, "10.0.0.0/8,fd00::/8", "10.0.0.0/8", "fd00::/8", NULL);
	configure(2, "172.16.0.0/12,2002::/16", "172.16.0.0/12", "2002::/16", "64:ff9b::/96");
	return 0;
}

static void judge(const struct hl_addr *a)
{
	size_t n;
	const uint8_t *raw = hl_addr_bytes(a, &n);
	struct bits b = bits_of(raw, n);
	for (unsigned i = 0; i < CONFIGS; i++)
		HL_CHECK(twin(&configs[i], &b, hl_addr_port(a)) == !hl_egress_judge_addr(rules[i], a, NULL));
}

/* A literal of the host is judged as the address it is; the texts of an address come back as it. */
static void judge_host(const struct hl_url *u)
{
	struct hl_addr a, back;
	char text[HL_ADDR_TEXT_CAP];
	const char *why = NULL;
	int rc = hl_egress_judge_host(rules[0], u->host, u->port, &why);
	HL_CHECK(!rc || why);
	HL_CHECK(hl_addr_parse_ip(u->host, u->port, &a) == (u->host_kind != HL_HOST_NAME));
	if (u->host_kind == HL_HOST_NAME)
		return;
	judge(&a);
	HL_CHECK(!rc == (!hl_egress_judge_addr(rules[0], &a, NULL) && !hl_addr_is_mapped(&a)));
	size_t n = hl_addr_format(&a, text);
	HL_CHECK(!hl_addr_parse(hl_str_make(text, n), &back, NULL) && !hl_addr_cmp(&a, &back));
}

static void parse(struct hl_str text)
{
	struct hl_arena a;
	struct hl_url first, second;
	hl_arena_init(&a, 0);
	if (!hl_url_parse(text, &a, &first, NULL)) {
		HL_CHECK(hl_str_all_between(first.text, 0x21, 0x7e));
		HL_CHECK(first.target.len && first.target.ptr[0] == '/' && first.port && first.host.len);
		HL_CHECK(!memchr(first.authority.ptr, '@', first.authority.len));
		HL_CHECK(!hl_url_parse(first.text, &a, &second, NULL));
		HL_CHECK(hl_str_eq(first.text, second.text) && hl_str_eq(first.host, second.host) && first.port == second.port);
		HL_CHECK(hl_str_eq(first.target, second.target) && first.host_kind == second.host_kind);
		judge_host(&first);
	}
	hl_arena_fini(&a);
}

/* Bits from `at` on become a row's; then perhaps its last bit is the other, what follows all zeros or all ones. */
static void near_row(struct bits *b, size_t at, const struct bits *row, unsigned how)
{
	size_t end = at + row->n;
	memcpy(b->s + at, row->s, row->n);
	if (row->n && how & 1)
		b->s[end - 1] = b->s[end - 1] == '0' ? '1' : '0';
	if (how & 2)
		memset(b->s + end, how & 4 ? '1' : '0', b->n - end);
}

/* The first byte: of IPv4; near a row of the registries; an IPv6 address that ends in one near a row of IPv4. */
static void address(struct hl_str in)
{
	uint8_t raw[16] = { 0 };
	struct hl_addr a;
	unsigned how = fuzz_u8(&in);
	bool v4 = how & 1;
	uint16_t port = (uint16_t)(fuzz_u8(&in) << 8 | fuzz_u8(&in));
	unsigned row = fuzz_u8(&in), last = fuzz_u8(&in), inner = fuzz_u8(&in);
	struct hl_str s = fuzz_take(&in, sizeof(raw));
	if (s.len)
		memcpy(raw, s.ptr, s.len);
	struct bits b = bits_of(raw, v4 ? 4 : 16);
	if (how & 2)
		near_row(&b, 0, v4 ? &read4[row % HL_ARRAY_LEN(read4)] : &read6[row % HL_ARRAY_LEN(read6)], last);
	if (how & 4 && !v4)
		near_row(&b, 96, &read4[inner % HL_ARRAY_LEN(read4)], last >> 3);
	addr_of(&b, port, &a);
	judge(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len);
	if (len && data[0] < 8) {
		address(in);
		return 0;
	}
	struct hl_str rest = fuzz_own(in);
	struct hl_buf text = { .data = NULL };
	parse(rest);
	hl_buf_cstr(&text, "http://");
	hl_buf_str(&text, rest);
	if (hl_buf_ok(&text))
		parse(hl_buf_all(&text));
	hl_buf_fini(&text);
	free((void *)(uintptr_t)rest.ptr);
	return 0;
}
