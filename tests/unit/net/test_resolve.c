/* The resolver against a name server of our own: answers, cache, merging, limits, every way to stop. */
#include "dns_server.h"

#include "fakeenv.h"
#include "loop.h"
#include "net/resolve.h"
#include "tmpdir.h"

struct world {
	uv_loop_t loop;
	struct fakeenv env;
	struct dns_server dns;
	struct hl_resolver *r;
	bool closed;
};

struct waiter {
	struct hl_resolve w;
	bool called;
	int status;
	size_t n;
	struct hl_addr addrs[HL_RESOLVE_ADDRS_MAX];
	char text[100];
	void (*then)(struct waiter *w);
	void *data;
};

static void on_closed(void *data)
{
	((struct world *)data)->closed = true;
}

static struct world *world_open(uint32_t budget_ms)
{
	struct world *w = calloc(1, sizeof *w);
	struct hl_err err = { 0 };
	loop_init(&w->loop);
	fakeenv_init(&w->env, 1);
	dns_server_open(&w->dns, &w->loop);
	struct hl_resolver_options o = { .servers = w->dns.address, .budget_ms = budget_ms };
	if (hl_resolver_create(&w->r, &w->loop, &w->env.env, &o, &err))
		fail_msg("%s", err.text);
	return w;
}

static void world_close(struct world *w)
{
	if (w->r) {
		hl_resolver_close(w->r, on_closed, w);
		assert_false(w->closed);
		assert_true(loop_until(&w->loop, &w->closed, 2000));
	}
	dns_server_close(&w->dns);
	loop_fini(&w->loop);
	free(w);
}

static void on_resolved(void *data, int status, const struct hl_addr *addrs, size_t n, const char *text)
{
	struct waiter *w = data;
	assert_false(w->called);
	assert_false(hl_resolve_waiting(&w->w));
	w->called = true;
	w->status = status;
	w->n = n;
	if (n)
		memcpy(w->addrs, addrs, n * sizeof *addrs);
	snprintf(w->text, sizeof w->text, "%s", text);
	if (w->then)
		w->then(w);
}

static void start(struct world *w, struct waiter *x, const char *host)
{
	x->called = false;
	assert_int_equal(hl_resolve_start(w->r, &x->w, hl_str_from(host), on_resolved, x), HL_OK);
	assert_false(x->called); /* never before the call returned */
	assert_true(hl_resolve_waiting(&x->w));
}

static void finish(struct world *w, struct waiter *x)
{
	assert_true(loop_until(&w->loop, &x->called, 3000));
}

static bool has(const struct waiter *x, const char *text)
{
	struct hl_addr a = ip(text, 0);
	for (size_t i = 0; i < x->n; i++) {
		if (hl_addr_cmp(&x->addrs[i], &a) == 0)
			return true;
	}
	return false;
}

static void all_addresses(void **state)
{
	struct world *w = world_open(0);
	struct waiter x = { 0 };
	const struct hl_addr *addrs;
	size_t n;
	(void)state;
	w->dns.zone[0] = (struct dns_name){ .name = "both.example", .a = { "192.0.2.1", "192.0.2.2" },
			.aaaa = { "2001:db8::1" }, .ttl = 60 };
	w->dns.zone[1] = (struct dns_name){ .name = "alias.example", .cname = "real.example", .a = { "192.0.2.3" },
			.ttl = 60 };
	assert_int_equal(hl_resolver_get(w->r, HL_STR("both.example"), &addrs, &n), HL_EAGAIN);
	start(w, &x, "Both.EXAMPLE.");
	finish(w, &x);
	assert_int_equal(x.status, HL_OK);
	assert_int_equal(x.n, 3);
	assert_true(has(&x, "192.0.2.1") && has(&x, "192.0.2.2") && has(&x, "2001:db8::1"));
	assert_int_equal(w->dns.zone[0].asked, 2);
	start(w, &x, "alias.example");
	finish(w, &x);
	assert_int_equal(x.n, 1);
	assert_true(has(&x, "192.0.2.3"));
	/* From the cache now, without a callback. */
	assert_int_equal(hl_resolver_get(w->r, HL_STR("BOTH.example"), &addrs, &n), HL_OK);
	assert_int_equal(n, 3);
	start(w, &x, "both.example");
	finish(w, &x);
	assert_int_equal(x.n, 3);
	assert_int_equal(w->dns.zone[0].asked, 2);
	assert_int_equal(hl_resolver_queries(w->r), 2);
	assert_int_equal(hl_resolver_cached(w->r), 2);
	world_close(w);
}

/* More than HL_RESOLVE_ADDRS_MAX come by TCP only: tests/e2e/41-egress.py. */
static void many_addresses(void **state)
{
	static char a[28][20], aaaa[12][20]; /* as many as fit into packets of 512 bytes */
	struct world *w = world_open(0);
	struct waiter x = { 0 };
	(void)state;
	w->dns.zone[0] = (struct dns_name){ .name = "many.example", .ttl = 60 };
	for (size_t i = 0; i < 28; i++) {
		snprintf(a[i], sizeof a[i], "192.0.2.%zu", i);
		w->dns.zone[0].a[i] = a[i];
	}
	for (size_t i = 0; i < 12; i++) {
		snprintf(aaaa[i], sizeof aaaa[i], "2001:db8::%zu", i);
		w->dns.zone[0].aaaa[i] = aaaa[i];
	}
	start(w, &x, "many.example");
	finish(w, &x);
	assert_int_equal(x.status, HL_OK);
	assert_int_equal(x.n, 40);
	for (size_t i = 0; i < 40; i++)
		assert_true(has(&x, i < 28 ? a[i] : aaaa[i - 28]));
	world_close(w);
}

static void literals(void **state)
{
	struct world *w = world_open(0);
	struct waiter x = { 0 };
	const struct hl_addr *addrs;
	size_t n;
	(void)state;
	start(w, &x, "192.0.2.7");
	finish(w, &x);
	assert_int_equal(x.n, 1);
	assert_true(has(&x, "192.0.2.7"));
	start(w, &x, "[2001:db8::7]");
	finish(w, &x);
	assert_true(has(&x, "2001:db8::7"));
	assert_int_equal(hl_resolver_get(w->r, HL_STR("::1"), &addrs, &n), HL_OK);
	assert_true(hl_addr_is_v6(addrs));
	assert_int_equal(w->dns.asked, 0);
	assert_int_equal(hl_resolver_queries(w->r), 0);
	world_close(w);
}

static void bad_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a..b", ".a", "a b", "a/b", "a\\b", "a@b", "fe80::1%eth0",
			"\xc3\xa4.example" };
	struct world *w = world_open(0);
	struct waiter x = { 0 };
	char label[300];
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++)
		assert_int_equal(hl_resolve_start(w->r, &x.w, hl_str_from(bad[i]), on_resolved, &x), HL_EINVAL);
	memset(label, 'a', sizeof label);
	assert_int_equal(hl_resolve_start(w->r, &x.w, hl_str_make(label, 64), on_resolved, &x), HL_EINVAL);
	label[63] = label[127] = label[191] = '.';
	assert_int_equal(hl_resolve_start(w->r, &x.w, hl_str_make(label, 254), on_resolved, &x), HL_EINVAL);
	assert_int_equal(hl_resolve_start(w->r, &x.w, HL_STR("a\0b"), on_resolved, &x), HL_EINVAL);
	assert_false(x.called || hl_resolve_waiting(&x.w));
	world_close(w);
}

/* The search list of resolv.conf must never turn one name into another. */
static void names_are_absolute(void **state)
{
	struct world *w = world_open(0);
	struct waiter x = { 0 };
	(void)state;
	setenv("LOCALDOMAIN", "svc.cluster.local", 1);
	hl_resolver_close(w->r, on_closed, w);
	assert_true(loop_until(&w->loop, &w->closed, 2000));
	w->closed = false;
	struct hl_resolver_options o = { .servers = w->dns.address };
	assert_int_equal(hl_resolver_create(&w->r, &w->loop, &w->env.env, &o, NULL), HL_OK);
	unsetenv("LOCALDOMAIN");
	w->dns.zone[0] = (struct dns_name){ .name = "kubernetes", .rcode = DNS_NXDOMAIN };
	w->dns.zone[1] = (struct dns_name){ .name = "kubernetes.svc.cluster.local", .a = { "10.0.0.1" } };
	w->dns.zone[2] = (struct dns_name){ .name = "receiver", .a = { "172.18.0.4" } };
	start(w, &x, "kubernetes");
	finish(w, &x);
	assert_int_equal(x.status, HL_EDNS);
	assert_int_equal(w->dns.zone[0].asked, 2);
	assert_int_equal(w->dns.zone[1].asked, 0);
	/* Nor may $HOSTALIASES. */
	struct tmpdir dir;
	char file[TMPDIR_PATH_CAP];
	tmpdir_make(&dir);
	tmpdir_write(&dir, "aliases", "alias kubernetes.svc.cluster.local\n");
	tmpdir_path(&dir, "aliases", file);
	setenv("HOSTALIASES", file, 1);
	start(w, &x, "alias");
	finish(w, &x);
	assert_int_equal(x.status, HL_EDNS);
	assert_int_equal(w->dns.zone[1].asked, 0);
	unsetenv("HOSTALIASES");
	tmpdir_remove(&dir);
	/* A single label is a name like any other: compose services are looked up that way. */
	start(w, &x, "receiver");
	finish(w, &x);
	assert_true(has(&x, "172.18.0.4"));
	world_close(w);
}

static void hosts_file(void **state)
{
	struct world *w = world_open(0);
	struct waiter x = { 0 };
	struct tmpdir dir;
	char file[TMPDIR_PATH_CAP];
	(void)state;
	tmpdir_make(&dir);
	tmpdir_write(&dir, "hosts", "192.0.2.50 box box.example\n2001:db8::50 box\n");
	tmpdir_path(&dir, "hosts", file);
	setenv("CARES_HOSTS", file, 1);
	start(w, &x, "box");
	finish(w, &x);
	assert_int_equal(x.status, HL_OK);
	assert_true(has(&x, "192.0.2.50"));
	assert_int_equal(w->dns.asked, 0);
	tmpdir_write(&dir, "hosts", "192.0.2.51 box\n");
	assert_int_equal(hl_resolver_reload(w->r, NULL), HL_OK);
	start(w, &x, "box");
	finish(w, &x);
	assert_true(has(&x, "192.0.2.51"));
	unsetenv("CARES_HOSTS");
	tmpdir_remove(&dir);
	world_close(w);
}

static void ttl_is_clamped(void **state)
{
	struct world *w = world_open(0);
	struct waiter x = { 0 };
	(void)state;
	w->dns.zone[0] = (struct dns_name){ .name = "short.example", .a = { "192.0.2.1" }, .ttl = 0 };
	w->dns.zone[1] = (struct dns_name){ .name = "long.example", .a = { "192.0.2.1" }, .ttl = 86400 };
	w->dns.zone[2] = (struct dns_name){ .name = "mid.example", .a = { "192.0.2.1" }, .ttl = 30 };
	static const struct {
		unsigned zone;
		hl_ms_t kept_ms;
	} list[] = { { 0, HL_RESOLVE_TTL_MIN_MS }, { 1, HL_RESOLVE_TTL_MAX_MS }, { 2, 30000 } };
	for (size_t i = 0; i < HL_ARRAY_LEN(list); i++) {
		struct dns_name *z = &w->dns.zone[list[i].zone];
		start(w, &x, z->name);
		finish(w, &x);
		fakeenv_advance(&w->env, list[i].kept_ms - 1);
		start(w, &x, z->name);
		finish(w, &x);
		assert_int_equal(z->asked, 2);
		fakeenv_advance(&w->env, 1);
		z->a[0] = "192.0.2.9";
		start(w, &x, z->name);
		finish(w, &x);
		assert_int_equal(z->asked, 4);
		assert_true(has(&x, "192.0.2.9"));
	}
	world_close(w);
}

static void negative(void **state)
{
	struct world *w = world_open(0);
	struct waiter x = { 0 };
	const struct hl_addr *addrs;
	size_t n;
	(void)state;
	w->dns.zone[0] = (struct dns_name){ .name = "empty.example" };
	w->dns.zone[1] = (struct dns_name){ .name = "ill.example", .rcode = DNS_SERVFAIL };
	start(w, &x, "nosuch.example");
	finish(w, &x);
	assert_int_equal(x.status, HL_EDNS);
	assert_int_equal(x.n, 0);
	assert_string_equal(x.text, "no such name");
	unsigned asked = w->dns.asked;
	start(w, &x, "nosuch.example");
	finish(w, &x);
	assert_int_equal(x.status, HL_EDNS);
	assert_int_equal(w->dns.asked, asked);
	assert_int_equal(hl_resolver_get(w->r, HL_STR("nosuch.example"), &addrs, &n), HL_EAGAIN);
	fakeenv_advance(&w->env, HL_RESOLVE_NEGATIVE_MS);
	w->dns.zone[2] = (struct dns_name){ .name = "nosuch.example", .a = { "192.0.2.1" } };
	start(w, &x, "nosuch.example");
	finish(w, &x);
	assert_int_equal(x.status, HL_OK);
	start(w, &x, "empty.example");
	finish(w, &x);
	assert_string_equal(x.text, "the name has no address");
	start(w, &x, "ill.example");
	finish(w, &x);
	assert_int_equal(x.status, HL_EDNS);
	assert_true(strlen(x.text) > 0);
	world_close(w);
}

static void stale(void **state)
{
	struct world *w = world_open(0);
	struct waiter x = { 0 };
	struct dns_name *z = &w->dns.zone[0];
	(void)state;
	*z = (struct dns_name){ .name = "s.example", .a = { "192.0.2.1" }, .ttl = 10 };
	start(w, &x, "s.example");
	finish(w, &x);
	z->rcode = DNS_SERVFAIL;
	fakeenv_advance(&w->env, 10000 + HL_RESOLVE_STALE_MS - 1);
	start(w, &x, "s.example");
	finish(w, &x);
	assert_int_equal(x.status, HL_OK);
	assert_true(has(&x, "192.0.2.1"));
	fakeenv_advance(&w->env, HL_RESOLVE_NEGATIVE_MS);
	start(w, &x, "s.example");
	finish(w, &x);
	assert_int_equal(x.status, HL_EDNS);
	/* "No such name" is an answer: nothing stale stands in for it. */
	*z = (struct dns_name){ .name = "s.example", .a = { "192.0.2.1" }, .ttl = 10 };
	fakeenv_advance(&w->env, HL_RESOLVE_NEGATIVE_MS);
	start(w, &x, "s.example");
	finish(w, &x);
	assert_int_equal(x.status, HL_OK);
	z->rcode = DNS_NXDOMAIN;
	fakeenv_advance(&w->env, 10000);
	start(w, &x, "s.example");
	finish(w, &x);
	assert_int_equal(x.status, HL_EDNS);
	world_close(w);
}

static void merging_and_cancelling(void **state)
{
	struct world *w = world_open(0);
	struct waiter x[3] = { 0 };
	(void)state;
	w->dns.zone[0] = (struct dns_name){ .name = "m.example", .a = { "192.0.2.1" }, .ttl = 60 };
	for (int i = 0; i < 3; i++)
		start(w, &x[i], "m.example");
	hl_resolve_cancel(&x[1].w);
	assert_false(hl_resolve_waiting(&x[1].w));
	hl_resolve_cancel(&x[1].w);
	finish(w, &x[0]);
	finish(w, &x[2]);
	assert_false(x[1].called);
	assert_int_equal(w->dns.zone[0].asked, 2);
	assert_int_equal(hl_resolver_queries(w->r), 1);
	/* Cancelling when the answer is already on its way. */
	start(w, &x[0], "m.example");
	hl_resolve_cancel(&x[0].w);
	/* Everybody gone: the look-up still feeds the cache. */
	w->dns.zone[1] = (struct dns_name){ .name = "n.example", .a = { "192.0.2.2" }, .ttl = 60 };
	start(w, &x[1], "n.example");
	hl_resolve_cancel(&x[1].w);
	start(w, &x[2], "m.example");
	finish(w, &x[2]);
	while (hl_resolver_cached(w->r) < 2)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_false(x[0].called || x[1].called);
	world_close(w);
}

static void cancel_other(struct waiter *w)
{
	hl_resolve_cancel(w->data);
}

/* A callback cancels one that is to be told in the same round. */
static void cancel_from_callback(void **state)
{
	struct world *w = world_open(0);
	struct waiter x[2] = { 0 };
	(void)state;
	x[0].then = cancel_other;
	x[0].data = &x[1].w;
	start(w, &x[0], "192.0.2.1");
	start(w, &x[1], "192.0.2.2");
	finish(w, &x[0]);
	loop_run_for(&w->loop, 20);
	assert_false(x[1].called);
	world_close(w);
}

static void budget(void **state)
{
	struct world *w = world_open(100);
	struct waiter x = { 0 }, y = { 0 };
	(void)state;
	w->dns.zone[0] = (struct dns_name){ .name = "hung.example", .a = { "192.0.2.1" }, .silent = true, .ttl = 60 };
	uint64_t from = uv_hrtime();
	start(w, &x, "hung.example");
	finish(w, &x);
	assert_int_equal(x.status, HL_EDNS);
	assert_string_equal(x.text, "no answer from the name servers in time");
	assert_true(uv_hrtime() - from >= 90 * 1000000ull);
	/* We gave up, not c-ares: its third and last try was still to come. */
	assert_true(w->dns.zone[0].asked <= 4);
	/* The question still open is asked again when needed, and its late answer feeds the cache. */
	fakeenv_advance(&w->env, HL_RESOLVE_NEGATIVE_MS);
	w->dns.zone[0].silent = false;
	start(w, &y, "hung.example");
	finish(w, &y);
	assert_int_equal(y.status, HL_OK);
	world_close(w);
}

static void closing(void **state)
{
	struct world *w = world_open(0);
	struct waiter x[4] = { 0 };
	(void)state;
	w->dns.zone[0] = (struct dns_name){ .name = "hung.example", .silent = true };
	start(w, &x[0], "hung.example");
	start(w, &x[1], "hung.example");
	start(w, &x[2], "192.0.2.1");
	for (int i = 0; i < 5; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	start(w, &x[3], "other.example");
	hl_resolver_close(w->r, on_closed, w);
	assert_false(x[0].called || x[3].called || w->closed);
	assert_int_equal(hl_resolve_start(w->r, &x[2].w, HL_STR("a.example"), on_resolved, &x[2]), HL_ECLOSED);
	assert_int_equal(hl_resolver_reload(w->r, NULL), HL_ECLOSED);
	hl_resolve_cancel(&x[1].w);
	assert_true(loop_until(&w->loop, &w->closed, 2000));
	assert_true(x[0].called && x[3].called && x[2].called);
	assert_int_equal(x[0].status, HL_ECANCELED);
	assert_int_equal(x[3].status, HL_ECANCELED);
	assert_int_equal(x[2].status, HL_OK);
	assert_false(x[1].called);
	w->r = NULL;
	world_close(w);
}

static void close_world(struct waiter *x)
{
	struct world *w = x->data;
	hl_resolver_close(w->r, on_closed, w);
}

static void closing_from_callback(void **state)
{
	struct world *w = world_open(0);
	struct waiter x = { .then = close_world, .data = w }, y = { 0 };
	(void)state;
	w->dns.zone[0] = (struct dns_name){ .name = "a.example", .a = { "192.0.2.1" } };
	start(w, &x, "a.example");
	start(w, &y, "a.example");
	finish(w, &x);
	assert_true(loop_until(&w->loop, &w->closed, 2000));
	assert_true(y.called);
	w->r = NULL;
	world_close(w);
}

static void reload(void **state)
{
	struct world *w = world_open(0);
	struct waiter x = { 0 };
	(void)state;
	w->dns.zone[0] = (struct dns_name){ .name = "r.example", .a = { "192.0.2.1" }, .ttl = 300, .silent = true };
	start(w, &x, "r.example");
	for (int i = 0; i < 5; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(hl_resolver_reload(w->r, NULL), HL_OK);
	w->dns.zone[0].silent = false;
	finish(w, &x);
	assert_int_equal(x.status, HL_OK);
	assert_int_equal(hl_resolver_cached(w->r), 1);
	assert_int_equal(hl_resolver_reload(w->r, NULL), HL_OK);
	assert_int_equal(hl_resolver_cached(w->r), 0);
	/* Closing while an old channel is still being closed. */
	assert_int_equal(hl_resolver_reload(w->r, NULL), HL_OK);
	world_close(w);
}

static void bounds(void **state)
{
	struct world *w = world_open(0);
	static struct waiter x[HL_RESOLVE_QUERIES_MAX + 1];
	char name[40];
	struct waiter y = { 0 };
	(void)state;
	memset(x, 0, sizeof x);
	uv_udp_recv_stop(&w->dns.udp); /* nobody answers */
	for (int i = 0; i < HL_RESOLVE_QUERIES_MAX; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		start(w, &x[i], name);
	}
	assert_int_equal(hl_resolve_start(w->r, &y.w, HL_STR("more.example"), on_resolved, &y), HL_EBUSY);
	assert_false(hl_resolve_waiting(&y.w));
	start(w, &y, "n5.example"); /* joining is always possible */
	for (int i = 0; i < HL_RESOLVE_QUERIES_MAX; i++)
		hl_resolve_cancel(&x[i].w);
	hl_resolve_cancel(&y.w);
	world_close(w);
}

static void cache_is_bounded(void **state)
{
	struct hl_resolve_cache c;
	struct hl_addr a = ip("192.0.2.1", 0);
	struct hl_resolve_answer *answer = hl_resolve_answer_create(&a, 1);
	char name[40];
	(void)state;
	hl_resolve_cache_init(&c);
	for (int i = 0; i < HL_RESOLVE_CACHE_MAX + 100; i++) {
		int n = snprintf(name, sizeof name, "n%d", i);
		hl_resolve_cache_put(&c, hl_str_make(name, (size_t)n), answer, 1000, 0);
		assert_non_null(hl_resolve_cache_get(&c, HL_STR("n0"), 10)); /* used all the time: stays */
	}
	assert_int_equal(c.entries.count, HL_RESOLVE_CACHE_MAX);
	assert_non_null(hl_resolve_cache_get(&c, HL_STR("n0"), 10));
	assert_null(hl_resolve_cache_get(&c, HL_STR("n1"), 10));
	assert_non_null(hl_resolve_cache_get(&c, HL_STR("n4100"), 10));
	assert_null(hl_resolve_cache_get(&c, HL_STR("n4100"), 1000));
	hl_resolve_cache_fini(&c);
	assert_int_equal(answer->refs, 1);
	hl_resolve_answer_unref(answer);
}

static void wrong_servers(void **state)
{
	static const char four[] = "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1";
	char seventeen[200];
	snprintf(seventeen, sizeof seventeen, "%s,%s,%s,%s,1.1.1.1", four, four, four, four);
	const char *const bad[] = { "nonsense", "127.0.0.1:99999", "127.0.0.1,", "unix:/x", "dns.example", seventeen };
	struct world *w = world_open(0);
	struct hl_resolver *r;
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		struct hl_err err = { 0 };
		struct hl_resolver_options o = { .servers = bad[i] };
		assert_int_equal(hl_resolver_create(&r, &w->loop, &w->env.env, &o, &err), HL_EINVAL);
		assert_string_equal(err.field, "egress.dns_servers");
	}
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_addresses),
		cmocka_unit_test(many_addresses),
		cmocka_unit_test(literals),
		cmocka_unit_test(bad_names),
		cmocka_unit_test(names_are_absolute),
		cmocka_unit_test(hosts_file),
		cmocka_unit_test(ttl_is_clamped),
		cmocka_unit_test(negative),
		cmocka_unit_test(stale),
		cmocka_unit_test(merging_and_cancelling),
		cmocka_unit_test(cancel_from_callback),
		cmocka_unit_test(budget),
		cmocka_unit_test(closing),
		cmocka_unit_test(closing_from_callback),
		cmocka_unit_test(reload),
		cmocka_unit_test(bounds),
		cmocka_unit_test(cache_is_bounded),
		cmocka_unit_test(wrong_servers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
