/* Each allocation of the net floor failed once: every callback still comes exactly once, everything closes, nothing leaks
 * (under the address sanitizer), nothing is let through that should not be. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

/* The test's own peers are not to fail. */
#define malloc __real_malloc
#define calloc __real_calloc
#define realloc __real_realloc
#include "dns_server.h"
#include "peer.h"
#undef malloc
#undef calloc
#undef realloc

#include "loop.h"
#include "net/conn.h"
#include "net/resolve.h"

static long fail_at; /* the n-th allocation from now fails; 0 = none */
static long made;

static bool fails(void)
{
	return ++made == fail_at;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t k, size_t n)
{
	return fails() ? NULL : __real_calloc(k, n);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return fails() ? NULL : __real_strndup(s, n);
}

/* Runs the scenario with its 1st, 2nd, … allocation failing, until a run does not reach that many. The scenario calls
 * begin() when its preparations are done. */
static void begin(long n)
{
	made = 0;
	fail_at = n;
}

static void fail_each(void (*scenario)(long n))
{
	long n = 0;
	do {
		scenario(++n);
		fail_at = 0;
	} while (made >= n);
	assert_true(n > 2); /* it did allocate */
}

static void set_flag(void *data)
{
	*(bool *)data = true;
}

/* ---- egress ------------------------------------------------------------------------------------------------------- */

static void egress_scenario(long n)
{
	struct hl_egress_options o = { .allow_networks = "10.1.0.0/16,fd00::/8", .allow_hosts = "a,b,c", .nat64_prefixes = "64:ff9b::/96",
		.own_listeners = "127.0.0.1:80,0.0.0.0:81" };
	struct hl_egress *e = __real_calloc(1, sizeof *e);
	struct hl_err err = { 0 };
	begin(n);
	int rc = hl_egress_init(e, &o, &err);
	if (made >= n) {
		assert_int_equal(rc, HL_ENOMEM);
		assert_true(*err.text);
	} else {
		assert_int_equal(rc, HL_OK);
		assert_true(hl_egress_trusts(e, HL_STR("c")));
		hl_egress_fini(e);
	}
	free(e);
}

static void egress(void **state)
{
	(void)state;
	fail_each(egress_scenario);
}

/* ---- resolver ----------------------------------------------------------------------------------------------------- */

struct asked {
	struct hl_resolve w;
	bool called;
	int status;
};

static void on_resolved(void *data, int status, const struct hl_addr *addrs, size_t n, const char *text)
{
	struct asked *a = data;
	assert_false(a->called);
	assert_true(status == HL_OK ? n > 0 && addrs : text && *text);
	a->called = true;
	a->status = status;
}

static void ask(uv_loop_t *loop, struct hl_resolver *r, const char *host, bool reload)
{
	struct asked a = { 0 };
	int rc = hl_resolve_start(r, &a.w, hl_str_from(host), on_resolved, &a);
	assert_false(a.called);
	if (reload)
		(void)!hl_resolver_reload(r, NULL);
	if (rc) {
		assert_int_equal(rc, HL_ENOMEM);
		uv_run(loop, UV_RUN_NOWAIT);
		assert_false(a.called);
	} else {
		assert_true(loop_until(loop, &a.called, 3000));
		assert_true(a.status == HL_OK || a.status == HL_EDNS);
	}
}

static void resolver_scenario(long n)
{
	uv_loop_t loop;
	struct dns_server *dns = __real_malloc(sizeof *dns);
	struct hl_resolver *r;
	bool closed = false;
	loop_init(&loop);
	dns_server_open(dns, &loop);
	dns->zone[0] = (struct dns_name){ .name = "a.example", .a = { "192.0.2.1" }, .aaaa = { "2001:db8::1" }, .ttl = 60 };
	struct hl_resolver_options o = { .servers = dns->address, .budget_ms = 100 };
	begin(n);
	int rc = hl_resolver_create(&r, &loop, &hl_env_real, &o, NULL);
	if (rc) {
		assert_int_equal(rc, HL_ENOMEM);
	} else {
		ask(&loop, r, "a.example", false);
		ask(&loop, r, "a.example", false);
		ask(&loop, r, "192.0.2.7", false);
		ask(&loop, r, "nosuch.example", true);
		ask(&loop, r, "a.example", false);
		hl_resolver_close(r, set_flag, &closed);
		assert_true(loop_until(&loop, &closed, 2000));
	}
	dns_server_close(dns);
	loop_fini(&loop);
	free(dns);
}

static void resolver(void **state)
{
	(void)state;
	fail_each(resolver_scenario);
}

/* ---- connections -------------------------------------------------------------------------------------------------- */

enum { MESSAGE = 400000 };

static struct tls_kit kit;
static char message[MESSAGE];

struct client {
	struct hl_conn conn;
	bool opened, ended, closed;
	size_t got;
};

static void on_open(struct hl_conn *c)
{
	struct client *k = c->data;
	struct hl_str parts[2] = { hl_str_make(message, 100), hl_str_make(message + 100, 100) };
	struct hl_str rest = hl_str_make(message + 200, MESSAGE - 200);
	assert_false(k->opened || k->ended || k->closed);
	k->opened = true;
	if (hl_conn_write(c, parts, 2) || hl_conn_write(c, &rest, 1))
		hl_conn_close(c);
}

static void on_read(struct hl_conn *c, struct hl_str bytes)
{
	struct client *k = c->data;
	assert_true(k->got + bytes.len <= MESSAGE);
	assert_memory_equal(bytes.ptr, message + k->got, bytes.len);
	k->got += bytes.len;
	if (k->got == MESSAGE)
		hl_conn_close(c);
}

static void on_end(struct hl_conn *c, const struct hl_err *err)
{
	struct client *k = c->data;
	assert_false(k->ended || k->closed);
	assert_true(err->code != HL_OK && *err->text);
	k->ended = true;
}

static void on_closed(struct hl_conn *c)
{
	struct client *k = c->data;
	assert_false(k->closed);
	k->closed = true;
}

static void conn_scenario(long n, bool tls)
{
	static const struct hl_conn_ops ops = { on_open, on_read, on_end, on_closed };
	uv_loop_t loop;
	struct peer peer;
	struct hl_conn_hub hub;
	struct hl_tls_ctx *ctx = NULL;
	struct client *k = __real_calloc(1, sizeof *k);
	bool closed = false;
	SSL_CTX *server = tls_kit_server(&kit, &(struct tls_leaf){ .san = "DNS:a.example" });
	loop_init(&loop);
	peer_open(&peer, &loop, tls ? server : NULL);
	peer.echo = true;
	begin(n);
	if (tls && hl_tls_ctx_create(&ctx, kit.ca_file, NULL))
		goto out;
	if (hl_conn_hub_init(&hub, &loop, &hl_env_real, &(struct hl_conn_hub_options){ .tls = ctx }))
		goto out;
	struct hl_conn_target t = { .addr = peer.addr, .host = HL_STR("a.example"), .tls = tls };
	int rc = hl_conn_open(&k->conn, &hub, &t, &ops, k, NULL);
	if (rc)
		assert_int_equal(rc, HL_ENOMEM);
	else
		assert_true(loop_until(&loop, &k->closed, 5000));
	assert_true(made >= n || k->got == MESSAGE);
	assert_int_equal(hub.n_conns + hub.n_slots, 0);
	hl_conn_hub_close(&hub, set_flag, &closed);
	assert_true(loop_until(&loop, &closed, 2000));
out:
	fail_at = 0;
	peer_close(&peer);
	loop_fini(&loop);
	hl_tls_ctx_destroy(ctx);
	SSL_CTX_free(server);
	free(k);
}

static void plain_scenario(long n)
{
	conn_scenario(n, false);
}

static void tls_scenario(long n)
{
	conn_scenario(n, true);
}

static void plain(void **state)
{
	(void)state;
	fail_each(plain_scenario);
}

static void tls(void **state)
{
	(void)state;
	fail_each(tls_scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(egress),
		cmocka_unit_test(resolver),
		cmocka_unit_test(plain),
		cmocka_unit_test(tls),
	};
	for (size_t i = 0; i < MESSAGE; i++)
		message[i] = (char)(i * 2654435761u >> 11);
	tls_kit_make(&kit);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	tls_kit_drop(&kit);
	return failed;
}
