/* URLs: what is taken and how it is written down, and every refusal with the rule it names. */
#include "http_test.h"
#include "base/str.h"
#include "http/url.h"

static const struct {
	const char *in, *text, *host, *authority, *target;
	enum hl_host_kind kind;
	uint16_t port;
	bool https;
} good[] = {
	{ "https://example.com", "https://example.com/", "example.com", "example.com", "/", HL_HOST_NAME, 443, true },
	{ "http://example.com/", "http://example.com/", "example.com", "example.com", "/", HL_HOST_NAME, 80, false },
	{ "HTTPS://EXAMPLE.Com:443/Hook?Token=AbC", "https://example.com/Hook?Token=AbC", "example.com", "example.com",
		"/Hook?Token=AbC", HL_HOST_NAME, 443, true },
	{ "https://example.com:80/", "https://example.com:80/", "example.com", "example.com:80", "/", HL_HOST_NAME, 80, true },
	{ "http://example.com:443", "http://example.com:443/", "example.com", "example.com:443", "/", HL_HOST_NAME, 443, false },
	{ "https://example.com.", "https://example.com/", "example.com", "example.com", "/", HL_HOST_NAME, 443, true },
	{ "https://example.com.:8443/a", "https://example.com:8443/a", "example.com", "example.com:8443", "/a", HL_HOST_NAME, 8443, true },
	{ "https://example.com?x=1", "https://example.com/?x=1", "example.com", "example.com", "/?x=1", HL_HOST_NAME, 443, true },
	{ "https://example.com/a/../b//c/./d", "https://example.com/a/../b//c/./d", "example.com", "example.com", "/a/../b//c/./d",
		HL_HOST_NAME, 443, true },
	{ "https://example.com/a%20b%C3%A4?q=%7b", "https://example.com/a%20b%C3%A4?q=%7b", "example.com", "example.com",
		"/a%20b%C3%A4?q=%7b", HL_HOST_NAME, 443, true },
	{ "https://example.com/a{b}|c\"<d>^`", "https://example.com/a%7Bb%7D%7Cc%22%3Cd%3E%5E%60", "example.com", "example.com",
		"/a%7Bb%7D%7Cc%22%3Cd%3E%5E%60", HL_HOST_NAME, 443, true },
	{ "https://example.com/x?a[]=1&b=c@d:e/f?g", "https://example.com/x?a[]=1&b=c@d:e/f?g", "example.com", "example.com",
		"/x?a[]=1&b=c@d:e/f?g", HL_HOST_NAME, 443, true },
	{ "https://xn--mnchen-3ya.example/", "https://xn--mnchen-3ya.example/", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example", "/",
		HL_HOST_NAME, 443, true },
	{ "http://my_service:8080/hook", "http://my_service:8080/hook", "my_service", "my_service:8080", "/hook", HL_HOST_NAME, 8080, false },
	{ "http://receiver/", "http://receiver/", "receiver", "receiver", "/", HL_HOST_NAME, 80, false },
	{ "https://1.2.3.com/", "https://1.2.3.com/", "1.2.3.com", "1.2.3.com", "/", HL_HOST_NAME, 443, true },
	{ "https://0x7f.example/", "https://0x7f.example/", "0x7f.example", "0x7f.example", "/", HL_HOST_NAME, 443, true },
	{ "https://192.0.2.10/", "https://192.0.2.10/", "192.0.2.10", "192.0.2.10", "/", HL_HOST_IPV4, 443, true },
	{ "http://127.0.0.1:9000/x", "http://127.0.0.1:9000/x", "127.0.0.1", "127.0.0.1:9000", "/x", HL_HOST_IPV4, 9000, false },
	{ "https://0.0.0.0", "https://0.0.0.0/", "0.0.0.0", "0.0.0.0", "/", HL_HOST_IPV4, 443, true },
	{ "https://[2001:DB8::1]/", "https://[2001:db8::1]/", "2001:db8::1", "[2001:db8::1]", "/", HL_HOST_IPV6, 443, true },
	{ "https://[2001:db8:0:0:0:0:0:1]:8443/a", "https://[2001:db8::1]:8443/a", "2001:db8::1", "[2001:db8::1]:8443", "/a",
		HL_HOST_IPV6, 8443, true },
	{ "http://[::1]", "http://[::1]/", "::1", "[::1]", "/", HL_HOST_IPV6, 80, false },
	{ "https://example.com:65535/", "https://example.com:65535/", "example.com", "example.com:65535", "/", HL_HOST_NAME, 65535, true },
};

static void assert_str(struct hl_str s, const char *want)
{
	if (!hl_str_eq(s, hl_str_from(want)))
		fail_msg("got \"%.*s\", want \"%s\"", HL_FMT(s), want);
}

static void takes_and_normalises(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct hl_arena a;
		struct hl_url u;
		struct hl_err err;
		hl_arena_init(&a, 0);
		if (hl_url_parse(hl_str_from(good[i].in), &a, &u, &err))
			fail_msg("%s: %s", good[i].in, err.text);
		assert_str(u.text, good[i].text);
		assert_str(u.host, good[i].host);
		assert_str(u.authority, good[i].authority);
		assert_str(u.target, good[i].target);
		assert_int_equal(u.host_kind, good[i].kind);
		assert_int_equal(u.port, good[i].port);
		assert_int_equal(u.https, good[i].https);
		assert_int_equal(u.host.ptr[u.host.len], 0);
		assert_int_equal(u.text.ptr[u.text.len], 0);
		/* the normal form is its own normal form */
		struct hl_url again;
		assert_int_equal(hl_url_parse(u.text, &a, &again, &err), 0);
		assert_str(again.text, good[i].text);
		hl_arena_fini(&a);
	}
}

static const struct {
	const char *in, *rule;
} refused[] = {
	{ "", "empty" },
	{ "example.com", "https://" },
	{ "//example.com/", "https://" },
	{ "https:/example.com/", "https://" },
	{ "https:example.com", "https://" },
	{ "ftp://example.com/", "https://" },
	{ "file:///etc/passwd", "https://" },
	{ "unix:/run/x.sock", "https://" },
	{ "javascript:alert(1)", "https://" },
	{ "wss://example.com/", "https://" },
	{ "https://", "no host" },
	{ "https:///path", "no host" },
	{ "https://?x", "no host" },
	{ "https://:443/", "no host" },
	{ "https://./", "no host" },
	{ "https://user@example.com/", "user information" },
	{ "https://user:pass@example.com/", "user information" },
	{ "https://@example.com/", "user information" },
	{ "https://good.example@169.254.169.254/", "user information" },
	{ "https://example.com/#frag", "fragment" },
	{ "https://example.com#", "fragment" },
	{ "https://example.com\\@evil.example/", "backslash" },
	{ "https:\\\\example.com", "backslash" },
	{ "https://example.com/a b", "space or control" },
	{ " https://example.com/", "space or control" },
	{ "https://example.com/\n", "space or control" },
	{ "https://example.com/\t", "space or control" },
	{ "https://exa\rmple.com/", "space or control" },
	{ "https://example.com/\x7f", "space or control" },
	{ "https://m\xc3\xbcnchen.example/", "A-label" },
	{ "https://example.com/\xc3\xa4", "A-label" },
	{ "https://example.com/%", "percent" },
	{ "https://example.com/%4", "percent" },
	{ "https://example.com/%zz", "percent" },
	{ "https://example.com/?q=%0", "percent" },
	{ "https://example%2ecom/", "letters, digits" },
	{ "https://exam!ple.com/", "letters, digits" },
	{ "https://exam*ple.com/", "letters, digits" },
	{ "https://example..com/", "empty label" },
	{ "https://.example.com/", "empty label" },
	{ "https://example.com../", "empty label" },
	{ "https://-a.example/", "hyphen" },
	{ "https://a-.example/", "hyphen" },
	{ "https://example.com:/", "port is missing" },
	{ "https://example.com:0/", "1 to 65535" },
	{ "https://example.com:65536/", "1 to 65535" },
	{ "https://example.com:080/", "1 to 65535" },
	{ "https://example.com:+80/", "1 to 65535" },
	{ "https://example.com:8o/", "1 to 65535" },
	{ "https://example.com:123456/", "1 to 65535" },
	{ "https://127.1/", "four decimal" },
	{ "https://127.0.0/", "four decimal" },
	{ "https://2130706433/", "four decimal" },
	{ "https://0x7f000001/", "four decimal" },
	{ "https://0x7f.1/", "four decimal" },
	{ "https://127.0.0.0x1/", "four decimal" },
	{ "https://0177.0.0.1/", "four decimal" },
	{ "https://127.0.0.01/", "four decimal" },
	{ "https://127.0.0.256/", "four decimal" },
	{ "https://1.2.3.4.5/", "four decimal" },
	{ "https://example.123/", "four decimal" },
	{ "https://example.0x/", "four decimal" },
	{ "https://017700000001/", "four decimal" },
	{ "https://::1/", "brackets" },
	{ "https://2001:db8::1/", "brackets" },
	{ "https://[::1/", "not closed" },
	{ "https://[]/", "malformed" },
	{ "https://[::g]/", "malformed" },
	{ "https://[1.2.3.4]/", "malformed" },
	{ "https://[::1]x/", "only a port" },
	{ "https://[::1]:/", "port is missing" },
	{ "https://[fe80::1%25eth0]/", "zone" },
	{ "https://[fe80::1%eth0]/", "zone" },
	{ "https://[::ffff:127.0.0.1]/", "disguise" },
	{ "https://[::ffff:7f00:1]/", "disguise" },
	{ "https://[0:0:0:0:0:FFFF:10.0.0.1]/", "disguise" },
};

static void refuses_naming_the_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct hl_arena a;
		struct hl_url u = { .port = 4711 };
		struct hl_err err = { 0 };
		hl_arena_init(&a, 0);
		int rc = hl_url_parse(hl_str_from(refused[i].in), &a, &u, &err);
		if (rc != HL_EURL || err.code != HL_EURL || !strstr(err.text, refused[i].rule))
			fail_msg("%s: rc %d, \"%s\", want \"%s\"", refused[i].in, rc, err.text, refused[i].rule);
		assert_int_equal(u.port, 4711); /* written only on success */
		assert_int_equal(hl_url_parse(hl_str_from(refused[i].in), &a, &u, NULL), HL_EURL);
		hl_arena_fini(&a);
	}
}

static void nul_bytes_are_refused(void **state)
{
	(void)state;
	struct hl_arena a;
	struct hl_url u;
	hl_arena_init(&a, 0);
	assert_int_equal(hl_url_parse(HL_STR("https://example.com\0.evil.example/"), &a, &u, NULL), HL_EURL);
	hl_arena_fini(&a);
}

static void lengths(void **state)
{
	(void)state;
	struct hl_arena a;
	struct hl_url u;
	struct hl_err err;
	char url[3000], label[80];
	hl_arena_init(&a, 0);

	memset(label, 'a', sizeof(label));
	(void)snprintf(url, sizeof(url), "https://%.63s.example/", label);
	assert_int_equal(hl_url_parse(hl_str_from(url), &a, &u, &err), 0);
	(void)snprintf(url, sizeof(url), "https://%.64s.example/", label);
	assert_int_equal(hl_url_parse(hl_str_from(url), &a, &u, &err), HL_EURL);
	assert_non_null(strstr(err.text, "63"));

	/* 3 × 64 + 61 = 253 bytes of host, then 254 */
	(void)snprintf(url, sizeof(url), "https://%.63s.%.63s.%.63s.%.61s/", label, label, label, label);
	assert_int_equal(hl_url_parse(hl_str_from(url), &a, &u, &err), 0);
	assert_int_equal(u.host.len, 253);
	(void)snprintf(url, sizeof(url), "https://%.63s.%.63s.%.63s.%.62s/", label, label, label, label);
	assert_int_equal(hl_url_parse(hl_str_from(url), &a, &u, &err), HL_EURL);
	assert_non_null(strstr(err.text, "253"));

	memset(url, 'p', sizeof(url));
	memcpy(url, "https://example.com/", 20);
	assert_int_equal(hl_url_parse(hl_str_make(url, HL_URL_MAX), &a, &u, &err), 0);
	assert_int_equal(hl_url_parse(hl_str_make(url, HL_URL_MAX + 1), &a, &u, &err), HL_EURL);
	url[100] = '{'; /* grows by two when it is escaped */
	assert_int_equal(hl_url_parse(hl_str_make(url, HL_URL_MAX), &a, &u, &err), HL_EURL);
	assert_non_null(strstr(err.text, "escaped"));
	hl_arena_fini(&a);
}

static void full_arena_is_an_error(void **state)
{
	(void)state;
	struct hl_arena a;
	struct hl_url u;
	struct hl_err err;
	hl_arena_init(&a, 16);
	assert_int_equal(hl_url_parse(HL_STR("https://example.com/abcdefghijklmnopqrstuvwxyz"), &a, &u, &err), HL_ENOMEM);
	hl_arena_fini(&a);
}

/* Every prefix and every single-byte change of a few URLs: no crash, and whatever is taken is its own normal form. */
static void mutilated(void **state)
{
	(void)state;
	static const char *const seeds[] = { "https://[2001:db8::1]:8443/a%20b?c", "http://192.0.2.1:80/x", "https://a.b-c.example./%41{" };
	static const char bytes[] = "0a.:/[]%@?#\\x\x01\x80-";
	struct hl_arena a;
	hl_arena_init(&a, 0);
	for (size_t s = 0; s < 3; s++) {
		size_t len = strlen(seeds[s]);
		for (size_t at = 0; at < len; at++) {
			for (size_t b = 0; b < sizeof(bytes); b++) {
				char *copy = malloc(len); /* exact size: ASan sees a byte too far */
				struct hl_url u, again;
				memcpy(copy, seeds[s], len);
				copy[at] = bytes[b];
				hl_arena_reset(&a);
				if (hl_url_parse(hl_str_make(copy, b ? len : at), &a, &u, NULL) == 0) {
					assert_int_equal(hl_url_parse(u.text, &a, &again, NULL), 0);
					assert_true(hl_str_eq(u.text, again.text));
				}
				free(copy);
			}
		}
	}
	hl_arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_and_normalises),
		cmocka_unit_test(refuses_naming_the_rule),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(lengths),
		cmocka_unit_test(full_arena_is_an_error),
		cmocka_unit_test(mutilated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
