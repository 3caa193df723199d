/* Connections, plain and TLS, against a peer that behaves as badly as the test wants; closed in every state. */
#include "peer.h"

#include "loop.h"
#include "net/conn.h"
#include "port.h"
#include <fcntl.h>
#include <signal.h>

static struct tls_kit kit;

struct world {
	uv_loop_t loop;
	struct hl_conn_hub hub;
	struct hl_tls_ctx *tls;
	SSL_CTX *server;
	struct peer peer;
	bool hub_closed;
};

struct client {
	struct hl_conn conn;
	bool opened, ended, closed;
	unsigned n_open, n_end, n_closed;
	int status;
	char text[256];
	struct hl_buf got;
	/* what to do inside a callback */
	void (*at_open)(struct client *c);
	void (*at_read)(struct client *c);
	void (*at_end)(struct client *c);
};

static void on_open(struct hl_conn *conn)
{
	struct client *c = conn->data;
	assert_int_equal(conn->state, HL_CONN_OPEN);
	assert_false(c->ended || c->closed);
	c->opened = true;
	c->n_open++;
	if (c->at_open)
		c->at_open(c);
}

static void on_read(struct hl_conn *conn, struct hl_str bytes)
{
	struct client *c = conn->data;
	assert_true(c->opened && !c->ended && !c->closed && bytes.len > 0);
	hl_buf_str(&c->got, bytes);
	if (c->at_read)
		c->at_read(c);
}

static void on_end(struct hl_conn *conn, const struct hl_err *err)
{
	struct client *c = conn->data;
	assert_false(c->ended || c->closed);
	c->ended = true;
	c->n_end++;
	c->status = err->code;
	snprintf(c->text, sizeof c->text, "%s", err->text);
	assert_true(err->code == HL_OK || *err->text);
	if (c->at_end)
		c->at_end(c);
}

static void on_closed(struct hl_conn *conn)
{
	struct client *c = conn->data;
	assert_int_equal(conn->state, HL_CONN_CLOSED);
	c->closed = true;
	c->n_closed++;
}

static const struct hl_conn_ops ops = { on_open, on_read, on_end, on_closed };

static struct world *world_open_with(const struct hl_egress *egress, uint32_t timeout_ms, const struct tls_leaf *leaf)
{
	static const struct tls_leaf good = { .san = "DNS:a.example" };
	struct world *w = calloc(1, sizeof *w);
	loop_init(&w->loop);
	assert_int_equal(hl_tls_ctx_create(&w->tls, kit.ca_file, NULL), HL_OK);
	struct hl_conn_hub_options o = { .tls = w->tls, .egress = egress, .connect_timeout_ms = timeout_ms,
		.handshake_timeout_ms = timeout_ms };
	assert_int_equal(hl_conn_hub_init(&w->hub, &w->loop, &hl_env_real, &o), HL_OK);
	w->server = tls_kit_server(&kit, leaf ? leaf : &good);
	peer_open(&w->peer, &w->loop, NULL);
	return w;
}

static struct world *world_open(void)
{
	return world_open_with(NULL, 0, NULL);
}

static struct world *world_open_tls(const struct tls_leaf *leaf)
{
	struct world *w = world_open_with(NULL, 0, leaf);
	w->peer.ctx = w->server;
	return w;
}

static void on_hub_closed(void *data)
{
	((struct world *)data)->hub_closed = true;
}

static void world_close(struct world *w)
{
	peer_close(&w->peer);
	hl_conn_hub_close(&w->hub, on_hub_closed, w);
	assert_true(loop_until(&w->loop, &w->hub_closed, 2000));
	loop_fini(&w->loop);
	hl_tls_ctx_destroy(w->tls);
	SSL_CTX_free(w->server);
	free(w);
}

static void start_to(struct world *w, struct client *c, const struct hl_addr *addr, bool trusted)
{
	struct hl_conn_target t = { .addr = *addr, .host = HL_STR("a.example"), .tls = w->peer.ctx != NULL,
			.trusted = trusted };
	struct hl_err err = { 0 };
	c->opened = c->ended = c->closed = false;
	if (hl_conn_open(&c->conn, &w->hub, &t, &ops, c, &err))
		fail_msg("%s", err.text);
	assert_false(c->opened || c->ended || c->closed);
}

static void start(struct world *w, struct client *c)
{
	start_to(w, c, &w->peer.addr, false);
}

static void wait_for(struct world *w, bool *flag)
{
	assert_true(loop_until(&w->loop, flag, 3000));
}

static bool got_all(void *data)
{
	const struct client *c = data;
	return c->got.len >= c->got.max || c->ended;
}

/* Waits until the client has received n bytes in all. */
static void wait_got(struct world *w, struct client *c, size_t n)
{
	c->got.max = n;
	assert_true(loop_run_until(&w->loop, got_all, c, 5000));
	assert_int_equal(c->got.len, n);
	c->got.max = 0;
}

/* Closes, unless the stream ended by itself, and waits. */
static void stop(struct world *w, struct client *c)
{
	hl_conn_close(&c->conn);
	hl_conn_close(&c->conn);
	wait_for(w, &c->closed);
	assert_int_equal(c->n_closed, 1);
	assert_true(c->n_open <= 1 && c->n_end <= 1);
	hl_buf_fini(&c->got);
}

static void say(struct client *c, const char *text)
{
	struct hl_str parts[3] = { hl_str_from("<"), hl_str_from(text), hl_str_from(">") };
	assert_int_equal(hl_conn_write(&c->conn, parts, 3), HL_OK);
}

/* ---- talking ---------------------------------------------------------------------------------------------------- */

static void talk(struct world *w, const char *version)
{
	struct client c = { 0 };
	w->peer.echo = true;
	start(w, &c);
	assert_int_equal(hl_conn_write(&c.conn, &HL_STR("x"), 1), HL_ECLOSED);
	wait_for(w, &c.opened);
	assert_string_equal(c.conn.tls_version, version);
	assert_true(c.conn.connect_ms >= 0);
	assert_int_equal(c.conn.tls_ms >= 0, *version != 0);
	char text[HL_ADDR_TEXT_CAP];
	hl_addr_format(&w->peer.addr, text);
	assert_string_equal(c.conn.address, text);
	for (int i = 0; i < 20; i++) {
		say(&c, "hello");
		assert_int_equal(hl_conn_unsent(&c.conn), 0);
		wait_got(w, &c, 7 * (size_t)(i + 1));
	}
	assert_memory_equal(c.got.data, "<hello><hello>", 14);
	assert_int_equal(hl_conn_write(&c.conn, NULL, 0), HL_OK);
	stop(w, &c);
	assert_false(c.ended);
	assert_int_equal(w->hub.n_opened, 1);
}

static void plain(void **state)
{
	struct world *w = world_open();
	(void)state;
	talk(w, "");
	world_close(w);
}

static void tls(void **state)
{
	struct world *w = world_open_tls(NULL);
	(void)state;
	talk(w, "TLSv1.3");
	assert_int_equal(w->hub.n_handshakes_full, 1);
	assert_int_equal(w->peer.shaken, 1);
	world_close(w);
	w = world_open_tls(&(struct tls_leaf){ .san = "DNS:a.example", .max_version = TLS1_2_VERSION });
	talk(w, "TLSv1.2");
	world_close(w);
}

/* More than the socket takes: kept, sent in order, echoed back whole. */
static void big(struct world *w)
{
	enum { BIG = 3000000, TIMES = 3 };
	struct client c = { 0 };
	char *text = malloc(BIG);
	for (size_t i = 0; i < BIG; i++)
		text[i] = (char)(i * 2654435761u >> 13);
	w->peer.echo = true;
	start(w, &c);
	wait_for(w, &c.opened);
	for (int i = 0; i < TIMES; i++) {
		struct hl_str parts[] = { hl_str_make(text, 1), hl_str_make(text + 1, BIG / 2),
				hl_str_make(text + 1 + BIG / 2, BIG / 2 - 1) };
		assert_int_equal(hl_conn_write(&c.conn, parts, 3), HL_OK);
	}
	assert_true(hl_conn_unsent(&c.conn) > 0);
	wait_got(w, &c, (size_t)BIG * TIMES);
	for (int i = 0; i < TIMES; i++)
		assert_memory_equal(c.got.data + (size_t)i * BIG, text, BIG);
	assert_int_equal(hl_conn_unsent(&c.conn), 0);
	/* And past the limit nothing is taken. */
	struct hl_str huge = { text, BIG };
	w->peer.echo = false;
	HL_LIST_EACH(n, &w->peer.conns)
		uv_read_stop((uv_stream_t *)&HL_LIST_ENTRY(n, struct peer_conn, node)->tcp);
	int rc = HL_OK;
	for (int i = 0; i < 100 && rc == HL_OK; i++)
		rc = hl_conn_write(&c.conn, &huge, 1);
	assert_int_equal(rc, HL_ETOOBIG);
	assert_in_range(hl_conn_unsent(&c.conn), HL_CONN_UNSENT_MAX - BIG, HL_CONN_UNSENT_MAX);
	stop(w, &c); /* with a write under way */
	free(text);
}

static void big_plain(void **state)
{
	struct world *w = world_open();
	(void)state;
	big(w);
	world_close(w);
}

static void big_tls(void **state)
{
	struct world *w = world_open_tls(NULL);
	(void)state;
	big(w);
	world_close(w);
}

static void resumed(void **state)
{
	struct world *w = world_open_tls(NULL);
	(void)state;
	w->peer.echo = true;
	for (int i = 0; i < 4; i++) {
		struct client c = { 0 };
		start(w, &c);
		wait_for(w, &c.opened);
		assert_int_equal(c.conn.resumed, i > 0);
		say(&c, "hi");
		wait_got(w, &c, 4); /* the ticket is here too */
		stop(w, &c);
	}
	assert_int_equal(w->hub.n_handshakes_full, 1);
	assert_int_equal(w->hub.n_handshakes_resumed, 3);
	assert_int_equal(w->peer.resumed, 3);
	world_close(w);
}

static void taken(struct client *c)
{
	(void)c;
	fail_msg("the former owner was called");
}

/* A kept connection tells its new owner about bytes nobody asked for, and about the end. */
static void new_owner(void **state)
{
	struct world *w = world_open();
	struct client first = { 0 }, second = { 0 };
	(void)state;
	start(w, &first);
	wait_for(w, &first.opened);
	first.at_read = first.at_end = taken;
	second.opened = true;
	hl_conn_set_owner(&first.conn, &ops, &second);
	while (hl_list_empty(&w->peer.conns))
		uv_run(&w->loop, UV_RUN_ONCE);
	peer_send_raw(HL_LIST_ENTRY(w->peer.conns.next, struct peer_conn, node), "boo", 3);
	wait_got(w, &second, 3);
	peer_close_conns(&w->peer);
	wait_for(w, &second.closed);
	assert_true(second.ended);
	assert_int_equal(second.status, HL_OK);
	hl_buf_fini(&second.got);
	world_close(w);
}

/* ---- ends ------------------------------------------------------------------------------------------------------- */

static void ends_with(struct world *w, int status, const char *text)
{
	struct client c = { 0 };
	start(w, &c);
	wait_for(w, &c.closed);
	assert_true(c.ended && !c.opened);
	assert_int_equal(c.status, status);
	if (text && !strstr(c.text, text))
		fail_msg("\"%s\" does not say \"%s\"", c.text, text);
	stop(w, &c);
}

static void refused(void **state)
{
	struct world *w = world_open();
	uint16_t port;
	int fd = port_refusing(&port);
	(void)state;
	hl_addr_set_port(&w->peer.addr, port);
	ends_with(w, HL_ECONNECT, "refused");
	/* What connect() refuses at once comes the same way. */
	w->peer.addr = ip("255.255.255.255", 80);
	ends_with(w, HL_ECONNECT, NULL);
	close(fd);
	world_close(w);
}

/* A listener whose queue is full does not answer. */
static void connect_timeout(void **state)
{
	struct world *w = world_open_with(NULL, 150, NULL);
	uint16_t port;
	int fd = port_bind(0, &port), fill[8], n = 0;
	(void)state;
	hl_addr_set_port(&w->peer.addr, port);
	for (; n < 8; n++) {
		fill[n] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(fill[n], &w->peer.addr.sa, hl_addr_len(&w->peer.addr));
	}
	uint64_t from = uv_hrtime();
	ends_with(w, HL_ETIMEDOUT, "no connection within 150 ms");
	assert_true(uv_hrtime() - from >= 100 * 1000000ull);
	while (n > 0)
		close(fill[--n]);
	close(fd);
	world_close(w);
}

static void handshake_timeout(void **state)
{
	struct world *w = world_open_with(NULL, 150, NULL);
	(void)state;
	w->peer.ctx = w->server;
	w->peer.mute = true;
	ends_with(w, HL_ETIMEDOUT, "no TLS handshake within 150 ms");
	assert_int_equal(w->hub.n_slots, 0);
	world_close(w);
}

static void handshake_refusals(void **state)
{
	static const struct {
		struct tls_leaf leaf;
		const char *text;
	} list[] = {
		{ { .san = "DNS:a.example", .from_s = -7200, .until_s = -60 }, "certificate has expired" },
		{ { .san = "DNS:b.example" }, "certificate is for another host name" },
		{ { .san = "DNS:a.example", .self_signed = true }, "self-signed certificate" },
		{ { .san = "DNS:a.example", .max_version = TLS1_1_VERSION }, "the peer offers neither TLS 1.2 nor TLS 1.3" },
	};
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(list); i++) {
		struct world *w = world_open_tls(&list[i].leaf);
		ends_with(w, HL_ETLS, list[i].text);
		assert_int_equal(w->hub.n_slots, 0);
		assert_int_equal(w->peer.shaken, 0);
		world_close(w);
	}
	struct world *w = world_open_tls(NULL);
	w->peer.slam = true;
	ends_with(w, HL_ETLS, NULL);
	w->peer.slam = false;
	w->peer.greeting = "220 mail.example ESMTP\r\n";
	ends_with(w, HL_ETLS, "does not speak TLS");
	world_close(w);
}

static void say_hello(struct client *c)
{
	say(c, "hello");
}

static void orderly_end(void **state)
{
	static const struct {
		bool tls, notify;
		int status;
	} list[] = { { false, false, HL_OK }, { true, true, HL_OK }, { true, false, HL_ECLOSED } };
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(list); i++) {
		struct world *w = list[i].tls ? world_open_tls(NULL) : world_open();
		struct client c = { .at_open = say_hello };
		w->peer.close_after = "bye";
		w->peer.notify = list[i].notify;
		start(w, &c);
		wait_for(w, &c.closed);
		assert_true(c.ended);
		assert_int_equal(c.status, list[i].status);
		assert_int_equal(c.got.len, 3); /* the last words come before the end */
		assert_memory_equal(c.got.data, "bye", 3);
		stop(w, &c);
		world_close(w);
	}
}

static void reset(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct world *w = tls ? world_open_tls(NULL) : world_open();
		struct client c = { 0 };
		w->peer.echo = true;
		start(w, &c);
		wait_for(w, &c.opened);
		say(&c, "x");
		wait_got(w, &c, 3);
		peer_reset_conns(&w->peer);
		wait_for(w, &c.closed);
		assert_int_equal(c.status, HL_ERESET);
		assert_int_equal(hl_conn_class(c.status), HL_CLASS_RESET);
		stop(w, &c);
		world_close(w);
	}
}

/* Writing to a peer that has gone: accepted, and the end tells. */
static void write_after_reset(void **state)
{
	struct world *w = world_open();
	struct client c = { 0 };
	(void)state;
	start(w, &c);
	wait_for(w, &c.opened);
	while (hl_list_empty(&w->peer.conns))
		uv_run(&w->loop, UV_RUN_ONCE);
	/* A reset without the loop noticing. */
	struct linger hard = { .l_onoff = 1 };
	uv_os_fd_t fd;
	struct peer_conn *pc = HL_LIST_ENTRY(w->peer.conns.next, struct peer_conn, node);
	assert_int_equal(uv_fileno((uv_handle_t *)&pc->tcp, &fd), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
	int spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(dup2(spare, fd), fd);
	close(spare);
	say(&c, "one");
	say(&c, "two");
	assert_false(c.ended);
	wait_for(w, &c.closed);
	assert_true(c.ended);
	assert_int_equal(c.status, HL_ERESET);
	assert_true(strlen(c.text) > 0);
	stop(w, &c);
	world_close(w);
}

static void close_me(struct client *c)
{
	hl_conn_close(&c->conn);
}

/* ---- closing in every state ------------------------------------------------------------------------------------- */

static void close_everywhere(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct world *w = tls ? world_open_tls(NULL) : world_open();
		struct client c;
		/* idle */
		memset(&c, 0, sizeof c);
		hl_conn_close(&c.conn);
		assert_int_equal(c.conn.state, HL_CONN_IDLE);
		/* at once, then after every turn of the loop: connecting, handshaking, open */
		for (int turns = 0; turns < 12; turns++) {
			memset(&c, 0, sizeof c);
			start(w, &c);
			for (int i = 0; i < turns; i++)
				uv_run(&w->loop, UV_RUN_NOWAIT);
			enum hl_conn_state at = c.conn.state;
			assert_true(turns > 0 || at == HL_CONN_CONNECTING);
			assert_true(turns < 11 || at == HL_CONN_OPEN);
			stop(w, &c);
			assert_false(c.ended);
			assert_int_equal(c.opened, at == HL_CONN_OPEN);
		}
		/* from inside the callbacks */
		memset(&c, 0, sizeof c);
		c.at_open = close_me;
		start(w, &c);
		wait_for(w, &c.closed);
		assert_true(c.opened && !c.ended);
		stop(w, &c);
		memset(&c, 0, sizeof c);
		c.at_open = say_hello;
		c.at_read = c.at_end = close_me;
		w->peer.echo = true;
		start(w, &c);
		wait_for(w, &c.closed);
		assert_true(c.opened && !c.ended && c.got.len > 0);
		stop(w, &c);
		memset(&c, 0, sizeof c);
		c.at_end = close_me;
		start(w, &c);
		wait_for(w, &c.opened);
		peer_close_conns(&w->peer);
		while (!c.ended) {
			peer_close_conns(&w->peer);
			uv_run(&w->loop, UV_RUN_ONCE);
		}
		stop(w, &c);
		assert_int_equal(w->hub.n_conns, 0);
		assert_int_equal(w->hub.n_slots, 0);
		world_close(w);
	}
}

/* An end that is to be told later is not told when the owner closes first. */
static void close_before_the_end_is_told(void **state)
{
	struct world *w = world_open();
	struct client c = { 0 };
	struct hl_addr nowhere = ip("255.255.255.255", 80);
	(void)state;
	start_to(w, &c, &nowhere, false);
	stop(w, &c);
	assert_false(c.ended);
	/* The memory may be used again. */
	w->peer.echo = true;
	start(w, &c);
	wait_for(w, &c.opened);
	assert_int_equal(c.conn.state, HL_CONN_OPEN);
	c.n_closed = 0;
	stop(w, &c);
	world_close(w);
}

static void bad_targets(void **state)
{
	struct world *w = world_open();
	struct client c = { 0 };
	struct hl_err err;
	struct hl_conn_target t = { .host = HL_STR("a.example") };
	(void)state;
	assert_int_equal(hl_conn_open(&c.conn, &w->hub, &t, &ops, &c, &err), HL_EINVAL);
	assert_int_equal(hl_addr_parse(HL_STR("unix:/x"), &t.addr, NULL), HL_OK);
	assert_int_equal(hl_conn_open(&c.conn, &w->hub, &t, &ops, &c, &err), HL_EINVAL);
	t.addr = w->peer.addr;
	t.tls = true;
	t.host = HL_STR("");
	assert_int_equal(hl_conn_open(&c.conn, &w->hub, &t, &ops, &c, &err), HL_EINVAL);
	assert_int_equal(c.conn.state, HL_CONN_IDLE);
	assert_int_equal(w->hub.n_conns, 0);
	world_close(w);
}

/* ---- many ------------------------------------------------------------------------------------------------------- */

/* Hung receivers hold their slots for a moment only; a healthy one behind them gets its turn. */
static void hung_handshakes_make_room(void **state)
{
	enum { HUNG = HL_CONN_HANDSHAKES_MAX + 8 };
	struct world *w = world_open_tls(NULL);
	struct client *hung = calloc(HUNG, sizeof *hung), good = { 0 };
	struct peer mute;
	(void)state;
	w->hub.handshake_timeout_ms = 60000; /* so that only the slots can free themselves */
	peer_open(&mute, &w->loop, w->server);
	mute.mute = true;
	for (int i = 0; i < HUNG; i++)
		start_to(w, &hung[i], &mute.addr, false);
	while (mute.accepted < HUNG)
		uv_run(&w->loop, UV_RUN_ONCE);
	for (int i = 0; i < 20; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(w->hub.n_slots, HL_CONN_HANDSHAKES_MAX);
	start(w, &good);
	for (int i = 0; i < 20; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(good.conn.state, HL_CONN_QUEUED);
	assert_true(w->hub.n_slots <= HL_CONN_HANDSHAKES_MAX);
	wait_for(w, &good.opened);
	stop(w, &good);
	/* Some close while queued, some while handshaking. */
	for (int i = HUNG - 1; i >= 0; i--)
		hl_conn_close(&hung[i].conn);
	for (int i = 0; i < HUNG; i++)
		stop(w, &hung[i]);
	assert_int_equal(w->hub.n_slots, 0);
	peer_close(&mute);
	free(hung);
	world_close(w);
}

static void many_handshakes(void **state)
{
	enum { MANY = 150 };
	struct world *w = world_open_tls(NULL);
	struct client *c = calloc(MANY, sizeof *c);
	(void)state;
	w->peer.echo = true;
	for (int i = 0; i < MANY; i++)
		start(w, &c[i]);
	for (int i = 0; i < MANY; i++) {
		wait_for(w, &c[i].opened);
		say(&c[i], "x");
	}
	for (int i = 0; i < MANY; i++)
		wait_got(w, &c[i], 3);
	for (int i = 0; i < MANY; i++)
		stop(w, &c[i]);
	assert_int_equal(w->hub.n_handshakes_full + w->hub.n_handshakes_resumed, MANY);
	free(c);
	world_close(w);
}

/* The kernel's idea of the peer is judged too. */
static void judged_again(void **state)
{
	struct hl_egress *egress = malloc(sizeof *egress);
	(void)state;
	assert_int_equal(hl_egress_init(egress, &(struct hl_egress_options){ 0 }, NULL), HL_OK);
	struct world *w = world_open_with(egress, 0, NULL);
	struct client c = { 0 };
	ends_with(w, HL_EBLOCKED, hl_strerror(HL_EBLOCKED));
	start_to(w, &c, &w->peer.addr, true);
	wait_for(w, &c.opened);
	stop(w, &c);
	/* Trusted or not: never ourselves. */
	assert_int_equal(hl_egress_add_own(egress, &w->peer.addr), HL_OK);
	memset(&c, 0, sizeof c);
	start_to(w, &c, &w->peer.addr, true);
	wait_for(w, &c.closed);
	assert_int_equal(c.status, HL_EBLOCKED);
	stop(w, &c);
	world_close(w);
	hl_egress_fini(egress);
	free(egress);
}

/* When nothing goes on, nothing wakes up. */
static void no_timer_when_idle(void **state)
{
	struct world *w = world_open_with(NULL, 100, NULL);
	struct client c = { 0 };
	(void)state;
	start(w, &c);
	wait_for(w, &c.opened);
	loop_run_for(&w->loop, 150);
	assert_false(uv_is_active((uv_handle_t *)&w->hub.timer));
	assert_true(hl_conn_is_open(&c.conn));
	stop(w, &c);
	world_close(w);
}

/* A write to a connection the peer has left must be an error, not the end of the process. */
static void no_sigpipe(void **state)
{
	struct sigaction mine = { .sa_handler = SIG_DFL }, now;
	(void)state;
	assert_int_equal(sigaction(SIGPIPE, &mine, NULL), 0);
	struct world *w = world_open();
	assert_int_equal(sigaction(SIGPIPE, NULL, &now), 0);
	assert_ptr_equal(now.sa_handler, SIG_IGN);
	world_close(w);
}

static void classes(void **state)
{
	(void)state;
	assert_int_equal(hl_conn_class(HL_EDNS), HL_CLASS_DNS);
	assert_int_equal(hl_conn_class(HL_ECONNECT), HL_CLASS_CONNECT);
	assert_int_equal(hl_conn_class(HL_ETLS), HL_CLASS_TLS);
	assert_int_equal(hl_conn_class(HL_ETIMEDOUT), HL_CLASS_TIMEOUT);
	assert_int_equal(hl_conn_class(HL_EBLOCKED), HL_CLASS_BLOCKED_ADDRESS);
	assert_int_equal(hl_conn_class(HL_EPROTO), HL_CLASS_PROTOCOL);
	assert_int_equal(hl_conn_class(HL_OK), HL_CLASS_RESET);
	assert_int_equal(hl_conn_class(HL_ECLOSED), HL_CLASS_RESET);
	assert_int_equal(hl_conn_class(HL_ENOMEM), HL_CLASS_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(tls),
		cmocka_unit_test(big_plain),
		cmocka_unit_test(big_tls),
		cmocka_unit_test(resumed),
		cmocka_unit_test(new_owner),
		cmocka_unit_test(refused),
		cmocka_unit_test(connect_timeout),
		cmocka_unit_test(handshake_timeout),
		cmocka_unit_test(handshake_refusals),
		cmocka_unit_test(orderly_end),
		cmocka_unit_test(reset),
		cmocka_unit_test(write_after_reset),
		cmocka_unit_test(close_everywhere),
		cmocka_unit_test(close_before_the_end_is_told),
		cmocka_unit_test(bad_targets),
		cmocka_unit_test(hung_handshakes_make_room),
		cmocka_unit_test(many_handshakes),
		cmocka_unit_test(judged_again),
		cmocka_unit_test(no_timer_when_idle),
		cmocka_unit_test(no_sigpipe),
		cmocka_unit_test(classes),
	};
	tls_kit_make(&kit);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	tls_kit_drop(&kit);
	return failed;
}
