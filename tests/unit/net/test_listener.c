/* Listeners: every kind of address, the cap, unix socket files and who removes them, descriptors from outside. */
#include "net_test.h"

#include "base/list.h"
#include "loop.h"
#include "net/listener.h"
#include "port.h"
#include "tmpdir.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

struct accepted {
	struct hl_list node;
	struct world *world;
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
};

struct world {
	uv_loop_t loop;
	struct tmpdir dir;
	struct hl_listener l;
	struct hl_list conns;
	unsigned n_conns;
	bool unwilling;             /* take nothing */
	bool closed;
};

static void on_connection(struct hl_listener *l, struct hl_listener_socket *s)
{
	struct world *w = l->data;
	if (w->unwilling)
		return;
	struct accepted *a = calloc(1, sizeof *a);
	a->world = w;
	if (s->is_pipe)
		uv_pipe_init(&w->loop, &a->pipe, 0);
	else
		uv_tcp_init(&w->loop, &a->tcp);
	a->stream.data = a;
	assert_int_equal(hl_listener_accept(s, &a->stream), HL_OK);
	hl_list_push_back(&w->conns, &a->node);
	w->n_conns++;
	assert_true(l->n_out <= l->cap);
}

static void on_accepted_closed(uv_handle_t *h)
{
	struct accepted *a = h->data;
	struct world *w = a->world;
	free(a);
	hl_listener_release(&w->l);
}

static void close_one(struct world *w)
{
	struct accepted *a = HL_LIST_ENTRY(hl_list_pop_front(&w->conns), struct accepted, node);
	w->n_conns--;
	uv_close((uv_handle_t *)&a->stream, on_accepted_closed);
}

static struct world *world_open(unsigned cap)
{
	struct world *w = calloc(1, sizeof *w);
	loop_init(&w->loop);
	tmpdir_make(&w->dir);
	hl_list_init(&w->conns);
	hl_listener_init(&w->l, &w->loop, cap, on_connection, w);
	return w;
}

static void on_closed(struct hl_listener *l)
{
	((struct world *)l->data)->closed = true;
}

static void listener_close(struct world *w)
{
	hl_listener_close(&w->l, on_closed);
	assert_false(w->closed);
	assert_true(loop_until(&w->loop, &w->closed, 2000));
}

static void world_close(struct world *w)
{
	if (!w->closed)
		listener_close(w);
	while (w->n_conns)
		close_one(w);
	loop_fini(&w->loop);
	tmpdir_remove(&w->dir);
	free(w);
}

static struct hl_addr addr(const char *text)
{
	struct hl_addr a;
	assert_int_equal(hl_addr_parse(hl_str_from(text), &a, NULL), HL_OK);
	return a;
}

static struct hl_addr path(struct world *w, const char *name)
{
	char text[TMPDIR_PATH_CAP + 16], file[TMPDIR_PATH_CAP];
	tmpdir_path(&w->dir, name, file);
	snprintf(text, sizeof text, "unix:%s", file);
	return addr(text);
}

static void add(struct world *w, struct hl_addr a)
{
	struct hl_err err = { 0 };
	if (hl_listener_add(&w->l, &a, 0660, &err))
		fail_msg("%s", err.text);
}

static int dial(const struct hl_addr *a)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	if (connect(fd, &a->sa, hl_addr_len(a)) && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

struct count {
	struct world *w;
	unsigned n;
};

static bool count_reached(void *data)
{
	const struct count *c = data;
	return c->w->n_conns >= c->n;
}

static void wait_conns(struct world *w, unsigned n)
{
	struct count c = { w, n };
	assert_true(loop_run_until(&w->loop, count_reached, &c, 2000));
	assert_int_equal(w->n_conns, n);
}

static void every_kind(void **state)
{
	struct world *w = world_open(100);
	(void)state;
	add(w, addr("127.0.0.1:0"));
	add(w, addr("[::1]:0"));
	add(w, path(w, "a.sock"));
	add(w, addr("127.0.0.1:0"));
	assert_int_equal(w->l.n_sockets, 4);
	assert_true(hl_addr_port(hl_listener_addr(&w->l, 0)) > 0);
	assert_true(hl_addr_port(hl_listener_addr(&w->l, 1)) > 0);
	assert_true(hl_addr_is_unix(hl_listener_addr(&w->l, 2)));
	assert_int_not_equal(hl_addr_port(hl_listener_addr(&w->l, 0)), hl_addr_port(hl_listener_addr(&w->l, 3)));
	int fds[4];
	for (unsigned i = 0; i < 4; i++)
		fds[i] = dial(hl_listener_addr(&w->l, i));
	wait_conns(w, 4);
	assert_int_equal(w->l.n_accepted, 4);
	for (unsigned i = 0; i < 4; i++)
		close(fds[i]);
	world_close(w);
}

static void wrong_addresses(void **state)
{
	struct world *w = world_open(1);
	struct hl_err err;
	struct hl_addr a = addr("192.0.2.1:0"), none = { 0 };
	(void)state;
	assert_int_equal(hl_listener_add(&w->l, &a, 0, &err), HL_EINVAL);
	assert_non_null(strstr(err.text, "192.0.2.1:0"));
	assert_int_equal(hl_listener_add(&w->l, &none, 0, &err), HL_EINVAL);
	add(w, addr("127.0.0.1:0"));
	a = *hl_listener_addr(&w->l, 0);
	assert_int_equal(hl_listener_add(&w->l, &a, 0, &err), HL_EEXIST);
	assert_non_null(strstr(err.text, "is in use"));
	a = path(w, "no/such/directory");
	assert_int_equal(hl_listener_add(&w->l, &a, 0600, &err), HL_ENOTFOUND);
	assert_int_equal(w->l.n_sockets, 1);
	for (int i = 1; i < HL_LISTENER_SOCKETS_MAX; i++)
		add(w, addr("127.0.0.1:0"));
	a = addr("127.0.0.1:0");
	assert_int_equal(hl_listener_add(&w->l, &a, 0, &err), HL_ELIMIT);
	world_close(w);
}

static void nothing_to_close(void **state)
{
	struct world *w = world_open(1);
	(void)state;
	world_close(w);
}

/* At the cap nothing is accepted; each release lets one in; sockets take turns. */
static void cap(void **state)
{
	struct world *w = world_open(2);
	int fds[12];
	(void)state;
	add(w, addr("127.0.0.1:0"));
	add(w, path(w, "a.sock"));
	for (unsigned i = 0; i < 12; i++)
		fds[i] = dial(hl_listener_addr(&w->l, i % 2));
	wait_conns(w, 2);
	loop_run_for(&w->loop, 30);
	assert_int_equal(w->n_conns, 2);
	unsigned pipes = 0, seen = 2;
	while (seen < 12) {
		struct accepted *a = HL_LIST_ENTRY(w->conns.next, struct accepted, node);
		pipes += a->stream.type == UV_NAMED_PIPE;
		close_one(w);
		wait_conns(w, 2);
		assert_int_equal(w->l.n_out, 2);
		seen++;
	}
	assert_in_range(pipes, 3, 7);
	assert_int_equal(w->l.n_accepted, 12);
	for (int i = 0; i < 12; i++)
		close(fds[i]);
	world_close(w);
}

static void not_now(void **state)
{
	struct world *w = world_open(10);
	(void)state;
	add(w, addr("127.0.0.1:0"));
	w->unwilling = true;
	int a = dial(hl_listener_addr(&w->l, 0)), b = dial(hl_listener_addr(&w->l, 0));
	loop_run_for(&w->loop, 30);
	assert_int_equal(w->n_conns, 0);
	w->unwilling = false;
	hl_listener_resume(&w->l);
	wait_conns(w, 2);
	close(a);
	close(b);
	world_close(w);
}

/* Descriptors run out: those connected are served, polling pauses instead of spinning, and all come in when there are some. */
static void no_descriptors(void **state)
{
	struct world *w = world_open(10);
	struct rlimit old, few;
	int fds[3];
	(void)state;
	add(w, addr("127.0.0.1:0"));
	for (int i = 0; i < 3; i++)
		fds[i] = dial(hl_listener_addr(&w->l, 0));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = (rlim_t)fds[2] + 2; /* one of the three gets in */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	wait_conns(w, 1);
	clock_t before = clock();
	loop_run_for(&w->loop, 4 * HL_LISTENER_PAUSE_MS);
	assert_true(clock() - before < CLOCKS_PER_SEC * HL_LISTENER_PAUSE_MS / 1000);
	assert_int_equal(w->n_conns, 1);
	close_one(w); /* whose descriptor lets the next one in at once */
	wait_conns(w, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	wait_conns(w, 2);
	assert_int_equal(w->l.n_accepted, 3);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	world_close(w);
}

/* Closing with a connection held back, and connections outliving the listener. */
static void close_while_full(void **state)
{
	struct world *w = world_open(1);
	(void)state;
	add(w, addr("127.0.0.1:0"));
	struct hl_addr a = *hl_listener_addr(&w->l, 0);
	int fds[3] = { dial(&a), dial(&a), dial(&a) };
	wait_conns(w, 1);
	loop_run_for(&w->loop, 20);
	listener_close(w);
	assert_int_equal(w->n_conns, 1);
	close_one(w);
	loop_run_for(&w->loop, 20);
	assert_int_equal(w->l.n_out, 0);
	assert_int_equal(w->l.n_accepted, 1);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	world_close(w);
}

static bool exists(const struct hl_addr *a)
{
	struct stat st;
	return lstat(a->un.sun_path, &st) == 0;
}

static void unix_files(void **state)
{
	struct world *w = world_open(10), *other = world_open(10);
	struct hl_addr a = path(w, "x.sock"), file = path(w, "file");
	struct hl_err err;
	struct stat st;
	(void)state;
	/* the mode asked for, whatever the umask */
	mode_t old = umask(0077);
	add(w, a);
	umask(old);
	assert_int_equal(lstat(a.un.sun_path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);
	/* in use: left alone */
	assert_int_equal(hl_listener_add(&other->l, &a, 0600, &err), HL_EEXIST);
	assert_non_null(strstr(err.text, "in use"));
	assert_true(exists(&a));
	/* not a socket: left alone */
	tmpdir_write(&w->dir, "file", "precious");
	assert_int_equal(hl_listener_add(&other->l, &file, 0600, &err), HL_EEXIST);
	assert_true(exists(&file));
	/* gone when we close */
	listener_close(w);
	assert_false(exists(&a));
	/* a leftover of a process that died: replaced */
	int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(dead, &a.sa, hl_addr_len(&a)), 0);
	assert_int_equal(listen(dead, 1), 0);
	close(dead);
	assert_true(exists(&a));
	add(other, a);
	int fd = dial(&a);
	assert_true(fd >= 0);
	wait_conns(other, 1);
	close(fd);
	world_close(other);
	world_close(w);
}

/* A successor that put its own socket at the path keeps it when the predecessor closes. */
static void unix_takeover(void **state)
{
	struct world *old = world_open(10), *fresh = world_open(10);
	struct hl_addr a = path(old, "x.sock");
	(void)state;
	add(old, a);
	assert_int_equal(unlink(a.un.sun_path), 0);
	add(fresh, a);
	listener_close(old);
	assert_true(exists(&a));
	int fd = dial(&a);
	assert_true(fd >= 0);
	wait_conns(fresh, 1);
	close(fd);
	listener_close(fresh);
	assert_false(exists(&a));
	world_close(fresh);
	world_close(old);
}

static void inherited(void **state)
{
	struct world *w = world_open(10);
	struct hl_addr a = path(w, "s.sock");
	struct hl_err err;
	uint16_t port;
	(void)state;
	int tcp = port_bind(16, &port), un = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(un, &a.sa, hl_addr_len(&a)), 0);
	/* not listening, not a stream, not a socket, not open */
	assert_int_equal(hl_listener_add_fd(&w->l, un, &err), HL_EINVAL);
	assert_int_equal(listen(un, 16), 0);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(hl_listener_add_fd(&w->l, udp, &err), HL_EINVAL);
	assert_int_equal(hl_listener_add_fd(&w->l, null, &err), HL_EINVAL);
	assert_int_equal(hl_listener_add_fd(&w->l, -1, &err), HL_EINVAL);
	close(udp);
	close(null);
	assert_int_equal(hl_listener_add_fd(&w->l, tcp, &err), HL_OK);
	assert_int_equal(hl_listener_add_fd(&w->l, un, &err), HL_OK);
	assert_int_equal(hl_addr_port(hl_listener_addr(&w->l, 0)), port);
	assert_int_equal(hl_addr_cmp(hl_listener_addr(&w->l, 1), &a), 0);
	int fds[2] = { dial(hl_listener_addr(&w->l, 0)), dial(&a) };
	wait_conns(w, 2);
	close(fds[0]);
	close(fds[1]);
	/* The file belongs to who made it. */
	listener_close(w);
	assert_true(exists(&a));
	world_close(w);
}

static void systemd(void **state)
{
	struct hl_err err;
	(void)state;
	assert_int_equal(hl_listener_fds(NULL, NULL, 7, &err), 0);
	assert_int_equal(hl_listener_fds("7", NULL, 7, &err), 0);
	assert_int_equal(hl_listener_fds("7", "2", 7, &err), 2);
	assert_int_equal(hl_listener_fds("8", "2", 7, &err), 0);
	assert_int_equal(hl_listener_fds("7", "0", 7, &err), 0);
	assert_int_equal(hl_listener_fds("x", "2", 7, &err), HL_EINVAL);
	assert_int_equal(hl_listener_fds("7", "-1", 7, &err), HL_EINVAL);
	assert_int_equal(hl_listener_fds("7", "17", 7, &err), HL_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind),
		cmocka_unit_test(wrong_addresses),
		cmocka_unit_test(nothing_to_close),
		cmocka_unit_test(cap),
		cmocka_unit_test(not_now),
		cmocka_unit_test(no_descriptors),
		cmocka_unit_test(close_while_full),
		cmocka_unit_test(unix_files),
		cmocka_unit_test(unix_takeover),
		cmocka_unit_test(inherited),
		cmocka_unit_test(systemd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
