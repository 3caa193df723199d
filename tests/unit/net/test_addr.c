/* Addresses: strict literals, texts there and back, networks. */
#include "net_test.h"

static void literals(void **state)
{
	static const char *const good[] = { "0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::1",
			"[2001:db8::1]",
		"::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "FE80::ABCD" };
	static const char *const bad[] = { "", "1", "127.1", "127.0.1", "0x7f.0.0.1", "2130706433", "017700000001",
			"127.0.0.01",
		"127.0.0.1.", "127.0.0.256", " 127.0.0.1", "127.0.0.1 ", "1.2.3.4.5", "[127.0.0.1]", "[::1", "::1]", "[]",
		"fe80::1%eth0",
		"fe80::1%2", ":::", "1::2::3", "12345::", "::1.2.3", "::1.2.3.4.5", "::g", "localhost", "1:2:3:4:5:6:7:8:9",
		"1111:2222:3333:4444:5555:6666:255.255.255.2555555555" };
	struct hl_addr a;
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(good); i++) {
		if (!hl_addr_parse_ip(hl_str_from(good[i]), 7, &a))
			fail_msg("%s", good[i]);
		assert_int_equal(hl_addr_port(&a), 7);
	}
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		if (hl_addr_parse_ip(hl_str_from(bad[i]), 7, &a))
			fail_msg("%s", bad[i]);
	}
	assert_false(hl_addr_parse_ip(HL_STR("127.0.0.1\0"), 0, &a));
	assert_false(hl_addr_parse_ip(HL_STR_NONE, 0, &a));
}

static void texts(void **state)
{
	static const char *const same[] = { "192.0.2.1:443", "0.0.0.0:0", "[2001:db8::1]:65535", "[::]:80",
			"unix:/run/x.sock",
		"unix:x", "[::ffff:192.0.2.1]:1" };
	static const char *const bad[] = { "", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1",
			"192.0.2.1:+1", "192.0.2.1: 1",
		"192.0.2.1:1a", "::1:80", "[::1]", "[::1]80", "[::1]:", "host:80", ":80", "unix:", "*:80" };
	char out[HL_ADDR_TEXT_CAP], path[200];
	struct hl_addr a;
	struct hl_err err;
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(same); i++) {
		assert_int_equal(hl_addr_parse(hl_str_from(same[i]), &a, &err), HL_OK);
		assert_int_equal(hl_addr_format(&a, out), strlen(same[i]));
		assert_string_equal(out, same[i]);
	}
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		memset(&err, 0, sizeof err);
		assert_int_equal(hl_addr_parse(hl_str_from(bad[i]), &a, &err), HL_EINVAL);
		assert_true(strlen(err.text) > 10);
	}
	assert_int_equal(hl_addr_parse(HL_STR("[2001:DB8:0:0::1]:1"), &a, NULL), HL_OK);
	hl_addr_format(&a, out);
	assert_string_equal(out, "[2001:db8::1]:1");
	assert_int_equal(hl_addr_format_ip(&a, out), 11);
	assert_string_equal(out, "2001:db8::1");
	memset(path, 'p', sizeof path);
	memcpy(path, "unix:", 5);
	assert_int_equal(hl_addr_parse(hl_str_make(path, 5 + 107), &a, NULL), HL_OK);
	assert_int_equal(hl_addr_format(&a, out), 5 + 107);
	assert_int_equal(hl_addr_parse(hl_str_make(path, 5 + 108), &a, &err), HL_EINVAL);
	assert_int_equal(hl_addr_parse(HL_STR("unix:a\0b"), &a, &err), HL_EINVAL);
	memset(&a, 0, sizeof a);
	assert_int_equal(hl_addr_format(&a, out), 0);
	assert_int_equal(hl_addr_len(&a), 0);
}

static void comparing(void **state)
{
	struct hl_addr a = ip("192.0.2.1", 80), b = ip("192.0.2.1", 81), c = ip("192.0.2.2", 80),
			d = ip("::ffff:192.0.2.1", 80), e;
	(void)state;
	assert_int_equal(hl_addr_cmp(&a, &a), 0);
	assert_true(hl_addr_cmp(&a, &b) < 0);
	assert_true(hl_addr_cmp(&c, &b) > 0);
	assert_true(hl_addr_cmp(&a, &d) != 0);
	assert_true(hl_addr_eq_ip(&a, &b));
	assert_false(hl_addr_eq_ip(&a, &c));
	assert_false(hl_addr_eq_ip(&a, &d));
	assert_true(hl_addr_is_mapped(&d));
	assert_false(hl_addr_is_mapped(&a));
	hl_addr_unmap(&d, &e);
	assert_int_equal(hl_addr_cmp(&a, &e), 0);
	hl_addr_unmap(&c, &c);
	assert_int_equal(hl_addr_cmp(&c, &c), 0);
	hl_addr_set_port(&b, 80);
	assert_int_equal(hl_addr_cmp(&a, &b), 0);
	e = ip("::", 1);
	assert_true(hl_addr_is_wildcard(&e));
	e = ip("0.0.0.0", 1);
	assert_true(hl_addr_is_wildcard(&e));
	assert_false(hl_addr_is_wildcard(&a));
	/* What is not part of an address does not count. */
	d = e = ip("fe80::1", 1);
	e.v6.sin6_scope_id = 3;
	e.v6.sin6_flowinfo = 5;
	assert_int_equal(hl_addr_cmp(&d, &e), 0);
	assert_true(hl_addr_from_sockaddr(&e.sa, sizeof e.v6, &a));
	assert_int_equal(a.v6.sin6_scope_id, 0);
	assert_false(hl_addr_from_sockaddr(&e.sa, sizeof e.v6 - 1, &a));
	assert_false(hl_addr_from_sockaddr(&e.sa, 1, &a));
	e.sa.sa_family = AF_PACKET;
	assert_false(hl_addr_from_sockaddr(&e.sa, sizeof e, &a));
}

static bool in(const char *network, const char *address)
{
	struct hl_cidr c;
	struct hl_addr a = ip(address, 9);
	assert_int_equal(hl_cidr_parse(hl_str_from(network), &c, NULL), HL_OK);
	return hl_cidr_match(&c, &a);
}

static void networks(void **state)
{
	static const char *const bad[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.1.0.0/8", "10.0.0.0/-1",
			"10.0.0.0/08a", "10.0.0.0/8/8",
		"fd00::/129", "fd00::1/64", "[fd00::]/8", "example.com/8", "10/8", "0.0.0.1/31" };
	struct hl_cidr c;
	struct hl_err err;
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		if (hl_cidr_parse(hl_str_from(bad[i]), &c, &err) != HL_EINVAL)
			fail_msg("%s", bad[i]);
	}
	assert_true(in("10.0.0.0/8", "10.255.255.255"));
	assert_false(in("10.0.0.0/8", "11.0.0.0"));
	assert_false(in("10.0.0.0/8", "9.255.255.255"));
	assert_true(in("0.0.0.0/0", "255.1.2.3"));
	assert_false(in("0.0.0.0/0", "::1"));
	assert_true(in("::/0", "ffff::"));
	assert_true(in("192.0.2.5", "192.0.2.5"));
	assert_false(in("192.0.2.5", "192.0.2.4"));
	assert_true(in("192.0.2.4/31", "192.0.2.5"));
	assert_true(in("100.64.0.0/10", "100.127.255.255"));
	assert_false(in("100.64.0.0/10", "100.128.0.0"));
	assert_true(in("2001:db8::/33", "2001:db8:7fff::"));
	assert_false(in("2001:db8::/33", "2001:db8:8000::"));
	assert_true(in("fd00::1/128", "fd00::1"));
	assert_false(in("fd00::1/128", "fd00::2"));
	assert_false(in("::ffff:0:0/96", "1.2.3.4"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(literals),
		cmocka_unit_test(texts),
		cmocka_unit_test(comparing),
		cmocka_unit_test(networks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
