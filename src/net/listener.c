/* Listening sockets behind one callback and one cap.
 *
 * The socket is made, bound and put to listening with plain system calls, so that whatever can go wrong is known
 * before libuv has a handle to close; libuv only polls it. A connection is accepted, held and shown to the owner, who
 * gives it a handle of its own.
 *
 * That is the back-pressure: at the cap, or when the owner does not want to, the connection stays held and its socket
 * is not polled; the next release or resume offers it again. Out of descriptors nothing can be accepted, and the
 * socket would be readable for ever: polling pauses for a moment, so that those who are connected are served
 * meanwhile. (libuv's own accepting loops in that case, and never comes back once it has no descriptor in reserve.)
 *
 * The file of a unix socket may belong to a successor by the time we close: we remember the inode and unlink only the
 * file we made.
 *
 * A path that is taken: if something accepts there, it is in use; if nobody does, it is a leftover and is replaced;
 * what is not a socket is never touched. */
#include "net/listener.h"

#include "base/check.h"
#include "base/err.h"
#include "base/str.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

void hl_listener_init(struct hl_listener *l, uv_loop_t *loop, unsigned cap, hl_listener_cb on_connection, void *data)
{
	memset(l, 0, sizeof *l);
	l->loop = loop;
	l->cap = cap;
	l->on_connection = on_connection;
	l->data = data;
	uv_timer_init(loop, &l->pause);
	l->pause.data = l;
}

/* ---- taking connections ----------------------------------------------------------------------------------------- */

static void on_pause_over(uv_timer_t *t)
{
	hl_listener_resume(t->data);
}

/* Accepts one connection. False: none waits, or there is no descriptor for it. */
static bool take(struct hl_listener_socket *s)
{
	struct hl_listener *l = s->listener;
	do
		s->held = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	while (s->held < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (s->held < 0 && errno != EAGAIN) {
		uv_poll_stop(&s->poll);
		uv_timer_start(&l->pause, on_pause_over, HL_LISTENER_PAUSE_MS, 0);
	}
	return s->held >= 0;
}

/* Shows the owner the connection held, if there is room; true when it was taken. */
static bool offer(struct hl_listener_socket *s)
{
	struct hl_listener *l = s->listener;
	if (!l->closing && l->n_out < l->cap)
		l->on_connection(l, s);
	return s->held < 0;
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	struct hl_listener_socket *s = p->data;
	(void)status, (void)events;
	for (unsigned i = 0; i < HL_LISTENER_BURST && !s->listener->closing; i++) {
		if (s->held < 0 && !take(s))
			return;
		if (!offer(s)) {
			uv_poll_stop(p);
			return;
		}
	}
}

static void poll_start(struct hl_listener_socket *s)
{
	int rc = uv_poll_start(&s->poll, UV_READABLE, on_readable); /* fails only for a handle that closes */
	HL_CHECK(rc == 0);
}

int hl_listener_accept(struct hl_listener_socket *s, uv_stream_t *client)
{
	struct hl_listener *l = s->listener;
	int fd = s->held;
	HL_CHECK(fd >= 0);
	s->held = -1;
	if (s->is_pipe ? uv_pipe_open((uv_pipe_t *)client, fd) : uv_tcp_open((uv_tcp_t *)client, fd)) {
		close(fd);
		return HL_EIO;
	}
	l->n_out++;
	l->n_accepted++;
	if (!s->is_pipe)
		(void)uv_tcp_nodelay((uv_tcp_t *)client, 1);
	return HL_OK;
}

void hl_listener_resume(struct hl_listener *l)
{
	unsigned first = l->next;
	for (unsigned i = 0; i < l->n_sockets && !l->closing && l->n_out < l->cap; i++) {
		struct hl_listener_socket *s = &l->sockets[(first + i) % l->n_sockets];
		l->next = (first + i + 1) % l->n_sockets;
		if ((s->held < 0 || offer(s)) && !l->closing && !uv_is_active((uv_handle_t *)&s->poll)
				&& !uv_is_active((uv_handle_t *)&l->pause))
			poll_start(s);
	}
}

void hl_listener_release(struct hl_listener *l)
{
	HL_CHECK(l->n_out > 0);
	l->n_out--;
	uv_timer_stop(&l->pause); /* its descriptor is free */
	hl_listener_resume(l);
}

const struct hl_addr *hl_listener_addr(const struct hl_listener *l, unsigned i)
{
	HL_CHECK(i < l->n_sockets);
	return &l->sockets[i].addr;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static void count_down(struct hl_listener *l)
{
	if (--l->n_closing == 0 && l->closing)
		l->on_closed(l);
}

static void on_socket_closed(uv_handle_t *h)
{
	count_down(((struct hl_listener_socket *)h->data)->listener);
}

static void on_pause_closed(uv_handle_t *h)
{
	count_down(h->data);
}

/* Takes a listening descriptor into the next free socket; it is closed when that fails. */
static int adopt(struct hl_listener *l, int fd, const struct hl_addr *addr, struct hl_listener_socket **out,
		struct hl_err *err)
{
	struct hl_listener_socket *s = &l->sockets[l->n_sockets];
	*s = (struct hl_listener_socket){ .listener = l, .fd = fd, .held = -1, .addr = *addr, .is_pipe = hl_addr_is_unix(addr) };
	int rc = uv_poll_init(l->loop, &s->poll, fd); /* makes it non-blocking */
	if (rc) {
		close(fd);
		return hl_err_set(err, HL_EIO, "listen: %s", uv_strerror(rc));
	}
	s->poll.data = s;
	l->n_sockets++;
	poll_start(s);
	*out = s;
	return HL_OK;
}

static int bind_error(int errnum, const char *text, struct hl_err *err)
{
	if (errnum == EADDRINUSE)
		return hl_err_set(err, HL_EEXIST, "%s is in use", text);
	if (errnum == EADDRNOTAVAIL)
		return hl_err_set(err, HL_EINVAL, "%s is not an address of this machine", text);
	return hl_err_errno(err, errnum, "listen on %s", text);
}

/* HL_OK: the path is free now. HL_EEXIST: somebody listens there, or it is not a socket. */
static int clear_stale_path(const struct hl_addr *addr, const char *text, struct hl_err *err)
{
	struct stat st;
	if (lstat(addr->un.sun_path, &st))
		return errno == ENOENT ? HL_OK : hl_err_errno(err, errno, "%s", text);
	if (!S_ISSOCK(st.st_mode))
		return hl_err_set(err, HL_EEXIST, "%s exists and is not a socket", text);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return hl_err_errno(err, errno, "socket");
	/* EAGAIN: its backlog is full, so it lives. */
	int rc = connect(fd, &addr->sa, hl_addr_len(addr)) ? errno : 0;
	close(fd);
	if (rc == ENOENT)
		return HL_OK;
	if (rc != ECONNREFUSED)
		return rc == 0 || rc == EAGAIN ? hl_err_set(err, HL_EEXIST, "%s is in use", text)
				: hl_err_errno(err, rc, "%s", text);
	return unlink(addr->un.sun_path) && errno != ENOENT ? hl_err_errno(err, errno, "remove %s", text) : HL_OK;
}

/* A listening descriptor for addr. */
static int open_fd(const struct hl_addr *addr, unsigned unix_mode, const char *text, int *out, struct hl_err *err)
{
	int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	if (fd < 0)
		return errno == EAFNOSUPPORT ? hl_err_set(err, HL_EINVAL, "%s: this machine has no such network", text)
				: hl_err_errno(err, errno, "socket");
	bool failed = !hl_addr_is_unix(addr) && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (!failed)
		failed = bind(fd, &addr->sa, hl_addr_len(addr)) != 0;
	/* Nobody can connect before listen, so the mode is right from the first connection on. */
	bool bound = !failed;
	if (!failed && hl_addr_is_unix(addr))
		failed = chmod(addr->un.sun_path, unix_mode) != 0;
	if (!failed)
		failed = listen(fd, HL_LISTENER_BACKLOG) != 0;
	if (!failed) {
		*out = fd;
		return HL_OK;
	}
	int rc = bind_error(errno, text, err);
	if (bound && hl_addr_is_unix(addr))
		unlink(addr->un.sun_path);
	close(fd);
	return rc;
}

int hl_listener_add(struct hl_listener *l, const struct hl_addr *addr, unsigned unix_mode, struct hl_err *err)
{
	char text[HL_ADDR_TEXT_CAP];
	struct hl_addr bound = *addr;
	struct hl_listener_socket *s;
	struct stat st;
	int fd = -1;
	HL_CHECK(!l->closing);
	if (hl_addr_len(addr) == 0)
		return hl_err_set(err, HL_EINVAL, "nothing to listen on");
	if (l->n_sockets == HL_LISTENER_SOCKETS_MAX)
		return hl_err_set(err, HL_ELIMIT, "more than %d addresses to listen on", HL_LISTENER_SOCKETS_MAX);
	hl_addr_format(addr, text);
	int rc = hl_addr_is_unix(addr) ? clear_stale_path(addr, text, err) : HL_OK;
	if (!rc)
		rc = open_fd(addr, unix_mode, text, &fd, err);
	if (rc)
		return rc;
	if (!hl_addr_is_unix(addr)) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof ss;
		if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
			(void)hl_addr_from_sockaddr((struct sockaddr *)&ss, len, &bound);
	}
	rc = adopt(l, fd, &bound, &s, err);
	if (!rc && s->is_pipe && lstat(bound.un.sun_path, &st) == 0) {
		s->inode = st.st_ino;
		s->device = st.st_dev;
	}
	return rc;
}

int hl_listener_add_fd(struct hl_listener *l, int fd, struct hl_err *err)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss, opt_len = sizeof(int);
	struct hl_addr addr;
	struct hl_listener_socket *s;
	int listening = 0, type = 0;
	HL_CHECK(!l->closing);
	if (l->n_sockets == HL_LISTENER_SOCKETS_MAX)
		return hl_err_set(err, HL_ELIMIT, "more than %d sockets to listen on", HL_LISTENER_SOCKETS_MAX);
	if (getsockname(fd, (struct sockaddr *)&ss, &len)
			|| getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &opt_len))
		return hl_err_set(err, HL_EINVAL, "descriptor %d is not a socket", fd);
	opt_len = sizeof type;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &opt_len) || type != SOCK_STREAM || !listening)
		return hl_err_set(err, HL_EINVAL, "descriptor %d is not a listening stream socket", fd);
	if (!hl_addr_from_sockaddr((struct sockaddr *)&ss, len, &addr))
		return hl_err_set(err, HL_EINVAL, "descriptor %d is neither a TCP nor a unix socket", fd);
	return adopt(l, fd, &addr, &s, err);
}

int hl_listener_fds(const char *listen_pid, const char *listen_fds, long self, struct hl_err *err)
{
	uint64_t pid, n;
	if (!listen_pid || !listen_fds)
		return 0;
	if (!hl_str_u64(hl_str_from(listen_pid), &pid) || !hl_str_u64(hl_str_from(listen_fds), &n))
		return hl_err_set(err, HL_EINVAL, "LISTEN_PID or LISTEN_FDS is not a number");
	if (pid != (uint64_t)self)
		return 0;
	if (n > HL_LISTENER_SOCKETS_MAX)
		return hl_err_set(err, HL_EINVAL, "LISTEN_FDS is over %d", HL_LISTENER_SOCKETS_MAX);
	return (int)n;
}

/* ---- closing ---------------------------------------------------------------------------------------------------- */

/* Removes the file of a unix socket unless somebody put another there meanwhile. */
static void remove_file(const struct hl_listener_socket *s)
{
	struct stat st;
	if (s->inode && lstat(s->addr.un.sun_path, &st) == 0 && st.st_ino == s->inode && st.st_dev == s->device)
		(void)unlink(s->addr.un.sun_path);
}

void hl_listener_close(struct hl_listener *l, void (*cb)(struct hl_listener *l))
{
	HL_CHECK(!l->closing);
	l->closing = true;
	l->on_closed = cb;
	l->n_closing++;
	uv_close((uv_handle_t *)&l->pause, on_pause_closed);
	for (unsigned i = 0; i < l->n_sockets; i++) {
		struct hl_listener_socket *s = &l->sockets[i];
		remove_file(s);
		l->n_closing++;
		uv_poll_stop(&s->poll);
		uv_close((uv_handle_t *)&s->poll, on_socket_closed);
		close(s->fd);
		if (s->held >= 0)
			close(s->held);
	}
}
