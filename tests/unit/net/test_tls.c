/* TLS sessions over memory, against OpenSSL's own server side in the same process. */
#include "tls_kit.h"

#include "net/tls.h"

static struct tls_kit kit;

/* One connection: our client, OpenSSL's server, bytes carried between them in pieces. */
struct pair {
	struct hl_tls *client;
	SSL *server;
	struct hl_buf to_server;
	size_t piece;              /* bytes carried at once; 0 = all */
	int status;                /* of the client's handshake */
	char got[70000];
	size_t got_len;
};

/* From the server to the client, handshake or data alike. */
static void carry_in(struct pair *p)
{
	char bytes[20000];
	int n, cap = p->piece ? (int)p->piece : (int)sizeof bytes;
	while (p->status != HL_ETLS && p->status != HL_ECLOSED && (n = BIO_read(SSL_get_wbio(p->server), bytes,
			cap)) > 0) {
		hl_tls_feed(p->client, hl_str_make(bytes, (size_t)n));
		if (!*hl_tls_version(p->client)) {
			p->status = hl_tls_handshake(p->client, &p->to_server);
			if (p->status)
				continue;
		}
		do {
			size_t len = 0;
			p->status = hl_tls_read(p->client, &p->to_server, p->got + p->got_len, sizeof p->got - p->got_len, &len);
			p->got_len += p->status == HL_OK ? len : 0;
		} while (p->status == HL_OK);
		if (p->status == HL_EAGAIN)
			p->status = HL_OK; /* shaken hands */
	}
}

static void carry_out(struct pair *p)
{
	struct hl_str s = hl_buf_unread(&p->to_server);
	if (s.len)
		BIO_write(SSL_get_rbio(p->server), s.ptr, (int)s.len);
	hl_buf_consume(&p->to_server, s.len);
}

static void pair_open(struct pair *p, struct hl_tls_ctx *ctx, SSL_CTX *server, const char *host, const char *address)
{
	struct hl_addr a;
	memset(p, 0, sizeof *p);
	assert_int_equal(hl_addr_parse(hl_str_from(address), &a, NULL), HL_OK);
	assert_int_equal(hl_tls_create(&p->client, ctx, hl_str_from(host), &a), HL_OK);
	p->server = SSL_new(server);
	SSL_set_bio(p->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_accept_state(p->server);
}

static int pair_shake(struct pair *p)
{
	p->status = hl_tls_handshake(p->client, &p->to_server);
	assert_int_equal(p->status, HL_EAGAIN);
	for (int i = 0; i < 10 && p->status == HL_EAGAIN; i++) {
		carry_out(p);
		(void)SSL_do_handshake(p->server);
		carry_in(p);
	}
	carry_out(p);
	(void)SSL_do_handshake(p->server); /* the client's Finished; makes TLS 1.3 tickets */
	carry_in(p);
	ERR_clear_error();
	return p->status;
}

static void pair_close(struct pair *p)
{
	SSL_set_shutdown(p->server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(p->server);
	hl_tls_destroy(p->client);
	hl_buf_fini(&p->to_server);
}

static struct hl_tls_ctx *ctx_open(void)
{
	struct hl_tls_ctx *ctx;
	struct hl_err err = { 0 };
	if (hl_tls_ctx_create(&ctx, kit.ca_file, &err))
		fail_msg("%s", err.text);
	return ctx;
}

static const char *const here = "192.0.2.1:443";

static void talk(void **state)
{
	static const size_t pieces[] = { 0, 1, 7, 1000 };
	struct hl_tls_ctx *ctx = ctx_open();
	SSL_CTX *server = tls_kit_server(&kit, &(struct tls_leaf){ .san = "DNS:a.example" });
	struct pair p;
	char text[70000], heard[70000];
	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < HL_ARRAY_LEN(pieces); i++) {
		const unsigned char *alpn;
		unsigned alpn_len;
		size_t n = 0, len;
		pair_open(&p, ctx, server, "A.example.", here);
		p.piece = pieces[i];
		assert_int_equal(pair_shake(&p), HL_OK);
		assert_string_equal(hl_tls_version(p.client), "TLSv1.3");
		assert_string_equal(SSL_get_servername(p.server, TLSEXT_NAMETYPE_host_name), "a.example");
		SSL_get0_alpn_selected(p.server, &alpn, &alpn_len);
		assert_int_equal(alpn_len, 8);
		/* 70000 bytes there … */
		assert_int_equal(hl_tls_write(p.client, &p.to_server, hl_str_make(text, sizeof text)), HL_OK);
		carry_out(&p);
		while (n < sizeof heard && SSL_read_ex(p.server, heard + n, sizeof heard - n, &len))
			n += len;
		assert_int_equal(n, sizeof heard);
		assert_memory_equal(text, heard, sizeof text);
		/* … and back, and the end */
		assert_int_equal(SSL_write(p.server, text, sizeof text), sizeof text);
		carry_in(&p);
		assert_int_equal(p.got_len, sizeof text);
		SSL_shutdown(p.server);
		carry_in(&p);
		assert_int_equal(p.status, HL_ECLOSED);
		hl_tls_shutdown(p.client, &p.to_server);
		assert_true(p.to_server.len > 0);
		carry_out(&p);
		assert_int_equal(SSL_read_ex(p.server, heard, 1, &len), 0);
		assert_true(SSL_get_shutdown(p.server) & SSL_RECEIVED_SHUTDOWN);
		pair_close(&p);
	}
	SSL_CTX_free(server);
	hl_tls_ctx_destroy(ctx);
}

static void refusals(void **state)
{
	static const struct {
		struct tls_leaf leaf;
		const char *host, *text;
	} list[] = {
		{ { .san = "DNS:a.example", .from_s = -7200, .until_s = -60 }, "a.example", "certificate has expired" },
		{ { .san = "DNS:a.example", .from_s = 600 }, "a.example", "certificate is not yet valid" },
		{ { .san = "DNS:b.example" }, "a.example", "certificate is for another host name" },
		{ { .san = "DNS:*.test.example" }, "a.b.test.example", "certificate is for another host name" },
		{ { .san = "DNS:a*.test.example" }, "ab.test.example", "certificate is for another host name" },
		{ { .san = "DNS:127.0.0.1" }, "127.0.0.1", "certificate is for another address" },
		{ { .san = "IP:127.0.0.2" }, "127.0.0.1", "certificate is for another address" },
		{ { .san = "DNS:*.example" }, "example", "certificate is for another host name" },
		{ { .san = "DNS:x*.test.example" }, "xy.test.example", "certificate is for another host name" },
		{ { .san = "DNS:*.*.example" }, "a.b.example", "certificate is for another host name" },
		{ { .san = "email:a@a.example" }, "leaf.example", "certificate is for another host name" }, /* the common name */
		{ { .san = "DNS:a.example", .self_signed = true }, "a.example", "self-signed certificate" },
		{ { .san = "DNS:a.example", .max_version = TLS1_1_VERSION }, "a.example",
		"the peer offers neither TLS 1.2 nor TLS 1.3" },
	};
	struct hl_tls_ctx *ctx = ctx_open();
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(list); i++) {
		SSL_CTX *server = tls_kit_server(&kit, &list[i].leaf);
		struct pair p;
		pair_open(&p, ctx, server, list[i].host, here);
		assert_int_equal(pair_shake(&p), HL_ETLS);
		assert_string_equal(hl_tls_error(p.client), list[i].text);
		assert_string_equal(hl_tls_version(p.client), "");
		pair_close(&p);
		SSL_CTX_free(server);
	}
	assert_int_equal(hl_tls_ctx_sessions(ctx), 0);
	hl_tls_ctx_destroy(ctx);
}

static void accepted(void **state)
{
	static const struct {
		struct tls_leaf leaf;
		const char *host, *version;
	} list[] = {
		{ { .san = "DNS:a.example,DNS:b.example" }, "b.example", "TLSv1.3" },
		{ { .san = "DNS:*.test.example" }, "x.test.example", "TLSv1.3" },
		{ { .san = "IP:127.0.0.1" }, "127.0.0.1", "TLSv1.3" },
		{ { .san = "IP:2001:db8::1" }, "[2001:db8::1]", "TLSv1.3" },
		{ { .san = "DNS:a.example", .max_version = TLS1_2_VERSION }, "a.example", "TLSv1.2" },
	};
	struct hl_tls_ctx *ctx = ctx_open();
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(list); i++) {
		SSL_CTX *server = tls_kit_server(&kit, &list[i].leaf);
		struct pair p;
		struct hl_addr literal;
		pair_open(&p, ctx, server, list[i].host, here);
		assert_int_equal(pair_shake(&p), HL_OK);
		assert_string_equal(hl_tls_version(p.client), list[i].version);
		/* A name for SNI only when there is one. */
		bool is_ip = hl_addr_parse_ip(hl_str_from(list[i].host), 0, &literal);
		assert_int_equal(SSL_get_servername(p.server, TLSEXT_NAMETYPE_host_name) == NULL, is_ip);
		pair_close(&p);
		SSL_CTX_free(server);
	}
	hl_tls_ctx_destroy(ctx);
}

/* A handshake with the server, true when it was resumed. */
static bool shake_once(struct hl_tls_ctx *ctx, SSL_CTX *server, const char *host, const char *address)
{
	struct pair p;
	pair_open(&p, ctx, server, host, address);
	assert_int_equal(pair_shake(&p), HL_OK);
	bool resumed = hl_tls_resumed(p.client);
	assert_int_equal(SSL_session_reused(p.server), resumed);
	pair_close(&p);
	return resumed;
}

static void resumption(void **state)
{
	static const int versions[] = { 0, TLS1_2_VERSION };
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(versions); i++) {
		struct hl_tls_ctx *ctx = ctx_open();
		SSL_CTX *server = tls_kit_server(&kit, &(struct tls_leaf){ .san = "DNS:a.example,DNS:b.example",
				.max_version = versions[i] });
		assert_false(shake_once(ctx, server, "a.example", here));
		assert_true(hl_tls_ctx_sessions(ctx) > 0);
		for (int k = 0; k < 10; k++)
			assert_true(shake_once(ctx, server, "a.example", here));
		assert_in_range(hl_tls_ctx_sessions(ctx), 1, HL_TLS_SESSIONS_PER_KEY_MAX);
		/* Another host, address or port is another key. */
		assert_false(shake_once(ctx, server, "b.example", here));
		assert_false(shake_once(ctx, server, "a.example", "192.0.2.2:443"));
		assert_false(shake_once(ctx, server, "a.example", "192.0.2.1:444"));
		assert_true(shake_once(ctx, server, "A.EXAMPLE", here));
		/* After a reload nothing is resumed, not even by a connection made before it. */
		struct pair p;
		pair_open(&p, ctx, server, "a.example", here);
		assert_int_equal(hl_tls_ctx_reload(ctx, NULL), HL_OK);
		assert_int_equal(hl_tls_ctx_sessions(ctx), 0);
		assert_int_equal(pair_shake(&p), HL_OK);
		assert_int_equal(hl_tls_ctx_sessions(ctx), 0);
		pair_close(&p);
		assert_false(shake_once(ctx, server, "a.example", here));
		SSL_CTX_free(server);
		hl_tls_ctx_destroy(ctx);
	}
}

/* TLS 1.3: a ticket is used once. Two connections at the same time must not send the same one. */
static void tickets_are_used_once(void **state)
{
	struct hl_tls_ctx *ctx = ctx_open();
	SSL_CTX *server = tls_kit_server(&kit, &(struct tls_leaf){ .san = "DNS:a.example" });
	struct pair p[4];
	(void)state;
	SSL_CTX_set_num_tickets(server, 2);
	assert_false(shake_once(ctx, server, "a.example", here));
	assert_int_equal(hl_tls_ctx_sessions(ctx), 2);
	for (int i = 0; i < 4; i++)
		pair_open(&p[i], ctx, server, "a.example", here);
	assert_int_equal(hl_tls_ctx_sessions(ctx), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pair_shake(&p[i]), HL_OK);
		assert_int_equal(hl_tls_resumed(p[i].client), i < 2);
	}
	assert_int_equal(hl_tls_ctx_sessions(ctx), HL_TLS_SESSIONS_PER_KEY_MAX);
	for (int i = 0; i < 4; i++)
		pair_close(&p[i]);
	SSL_CTX_free(server);
	hl_tls_ctx_destroy(ctx);
}

static void sessions_are_bounded(void **state)
{
	enum { KEYS = HL_TLS_SESSIONS_MAX / HL_TLS_SESSIONS_PER_KEY_MAX + 5 };
	struct hl_tls_ctx *ctx = ctx_open();
	SSL_CTX *server = tls_kit_server(&kit, &(struct tls_leaf){ .san = "DNS:a.example" });
	char address[64];
	(void)state;
	SSL_CTX_set_num_tickets(server, HL_TLS_SESSIONS_PER_KEY_MAX);
	for (int i = 0; i < KEYS; i++) {
		snprintf(address, sizeof address, "192.0.%d.%d:443", i / 200, i % 200);
		assert_false(shake_once(ctx, server, "a.example", address));
	}
	assert_in_range(hl_tls_ctx_sessions(ctx), HL_TLS_SESSIONS_MAX - HL_TLS_SESSIONS_PER_KEY_MAX, HL_TLS_SESSIONS_MAX);
	assert_true(shake_once(ctx, server, "a.example", address));
	assert_false(shake_once(ctx, server, "a.example", "192.0.0.0:443")); /* pushed out */
	SSL_CTX_free(server);
	hl_tls_ctx_destroy(ctx);
}

static void not_tls(void **state)
{
	static const struct {
		const char *bytes, *text;
	} list[] = {
		{ "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "the peer does not speak TLS on this port" },
		{ "SSH-2.0-OpenSSH_9.2\r\n", "the peer does not speak TLS on this port" },
		{ "\x15\x03\x01\x00\x02\x02\x28", "the peer refused the handshake (no cipher or parameter in common)" },
		{ "\x15\x03\x03\x00\x02\x02\x70", "the peer does not know this host name" },
		{ "\x15\x03\x03\x00\x02\x02\x46", "the peer offers neither TLS 1.2 nor TLS 1.3" },
	};
	struct hl_tls_ctx *ctx = ctx_open();
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(list); i++) {
		struct hl_tls *t;
		struct hl_buf out = { 0 };
		struct hl_addr a = ip("192.0.2.1", 443);
		size_t len = i < 2 ? strlen(list[i].bytes) : 7;
		assert_int_equal(hl_tls_create(&t, ctx, HL_STR("a.example"), &a), HL_OK);
		assert_int_equal(hl_tls_handshake(t, &out), HL_EAGAIN);
		assert_true(out.len > 100);
		hl_tls_feed(t, hl_str_make(list[i].bytes, len));
		assert_int_equal(hl_tls_handshake(t, &out), HL_ETLS);
		assert_string_equal(hl_tls_error(t), list[i].text);
		hl_tls_destroy(t);
		hl_buf_fini(&out);
	}
	hl_tls_ctx_destroy(ctx);
}

/* One bit flipped in what the server sends: never a crash, and hardly ever a handshake. */
static void damaged(void **state)
{
	struct hl_tls_ctx *ctx = ctx_open();
	SSL_CTX *server = tls_kit_server(&kit, &(struct tls_leaf){ .san = "DNS:a.example" });
	unsigned seed = 1, shaken = 0;
	(void)state;
	for (int i = 0; i < 300; i++) {
		struct pair p;
		char bytes[8000];
		pair_open(&p, ctx, server, "a.example", here);
		assert_int_equal(hl_tls_handshake(p.client, &p.to_server), HL_EAGAIN);
		carry_out(&p);
		(void)SSL_do_handshake(p.server);
		int n = BIO_read(SSL_get_wbio(p.server), bytes, sizeof bytes);
		assert_true(n > 500);
		seed = seed * 1103515245 + 12345;
		bytes[(seed >> 8) % (unsigned)n] ^= (char)(1 << (seed >> 4) % 8);
		hl_tls_feed(p.client, hl_str_make(bytes, (size_t)n));
		int rc = hl_tls_handshake(p.client, &p.to_server);
		shaken += rc == HL_OK;
		if (rc == HL_ETLS)
			assert_true(strlen(hl_tls_error(p.client)) > 0);
		pair_close(&p);
	}
	assert_true(shaken < 30); /* a few bits of the record layer do not count */
	ERR_clear_error();
	SSL_CTX_free(server);
	hl_tls_ctx_destroy(ctx);
}

static void contexts(void **state)
{
	struct hl_tls_ctx *ctx;
	struct hl_err err = { 0 };
	struct hl_tls *t;
	char file[TMPDIR_PATH_CAP], long_host[300];
	struct hl_addr a = ip("192.0.2.1", 443);
	(void)state;
	tmpdir_path(&kit.dir, "none.pem", file);
	assert_int_equal(hl_tls_ctx_create(&ctx, file, &err), HL_ENOTFOUND);
	assert_non_null(strstr(err.text, "none.pem"));
	tmpdir_write(&kit.dir, "junk.pem", "not a certificate\n");
	tmpdir_path(&kit.dir, "junk.pem", file);
	assert_int_equal(hl_tls_ctx_create(&ctx, file, &err), HL_EINVAL);
	assert_non_null(strstr(err.text, "junk.pem"));
	/* The environment names the file when the configuration does not. */
	setenv("SSL_CERT_FILE", file, 1);
	assert_int_equal(hl_tls_ctx_create(&ctx, NULL, &err), HL_EINVAL);
	setenv("SSL_CERT_FILE", kit.ca_file, 1);
	assert_int_equal(hl_tls_ctx_create(&ctx, "", &err), HL_OK);
	/* A reload that fails changes nothing. */
	SSL_CTX *server = tls_kit_server(&kit, &(struct tls_leaf){ .san = "DNS:a.example" });
	assert_false(shake_once(ctx, server, "a.example", here));
	setenv("SSL_CERT_FILE", file, 1);
	assert_int_equal(hl_tls_ctx_reload(ctx, &err), HL_EINVAL);
	assert_true(shake_once(ctx, server, "a.example", here));
	unsetenv("SSL_CERT_FILE");
	memset(long_host, 'a', sizeof long_host);
	assert_int_equal(hl_tls_create(&t, ctx, hl_str_make(long_host, 254), &a), HL_EINVAL);
	assert_int_equal(hl_tls_create(&t, ctx, HL_STR(""), &a), HL_EINVAL);
	assert_int_equal(hl_tls_create(&t, ctx, HL_STR("a\0b"), &a), HL_EINVAL);
	hl_tls_destroy(NULL);
	SSL_CTX_free(server);
	hl_tls_ctx_destroy(ctx);
	hl_tls_ctx_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(talk),
		cmocka_unit_test(refusals),
		cmocka_unit_test(accepted),
		cmocka_unit_test(resumption),
		cmocka_unit_test(tickets_are_used_once),
		cmocka_unit_test(sessions_are_bounded),
		cmocka_unit_test(not_tls),
		cmocka_unit_test(damaged),
		cmocka_unit_test(contexts),
	};
	tls_kit_make(&kit);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	tls_kit_drop(&kit);
	return failed;
}
