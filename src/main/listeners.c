/* Addresses and descriptors to listen on.
 *
 * Sockets from systemd take the place of the default address: who activates by socket has said where. An address that
 * was configured is bound beside them.
 *
 * Fixed ports are bound late, after the data directory's lock was taken: a successor started with --takeover must not
 * fail because its predecessor still listens. Port 0 cannot collide with anybody and is bound at once. */
#include "main/listeners.h"

#include "base/err.h"
#include "base/str.h"
#include "net/listener.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int inherit(struct hl_listeners *l, struct hl_err *err)
{
	int n = hl_listener_fds(getenv("LISTEN_PID"), getenv("LISTEN_FDS"), (long)getpid(), err);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (n < 0)
		return n;
	if (n > HL_LISTENERS_INHERITED_MAX)
		return hl_err_set(err, HL_ELIMIT, "systemd handed over %d sockets; at most %d", n, HL_LISTENERS_INHERITED_MAX);
	for (int fd = HL_LISTENER_FD_FIRST; fd < HL_LISTENER_FD_FIRST + n; fd++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct hl_addr *addr = &l->v[l->n].addr;
		*addr = (struct hl_addr){ .sa.sa_family = AF_UNSPEC };
		if (getsockname(fd, (struct sockaddr *)&ss, &len))
			return hl_err_errno(err, errno, "descriptor %d from systemd", fd);
		(void)hl_addr_from_sockaddr((struct sockaddr *)&ss, len, addr); /* a unix socket has no place in the egress rule */
		l->v[l->n++].fd = fd;
	}
	return HL_OK;
}

static int bind_any_port(struct hl_addr *addr, int *out_fd, struct hl_err *err)
{
	struct hl_addr bound;
	socklen_t len = sizeof(bound);
	char text[HL_ADDR_TEXT_CAP];
	int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, &addr->sa, hl_addr_len(addr)) || listen(fd, HL_LISTENER_BACKLOG) ||
			getsockname(fd, &bound.sa, &len)) {
		int saved = errno;
		if (fd >= 0)
			close(fd);
		hl_addr_format(addr, text);
		return hl_err_errno(err, saved, "listen on %s", text);
	}
	*addr = bound;
	*out_fd = fd;
	return HL_OK;
}

int hl_listeners_gather(struct hl_listeners *l, const struct hl_config *c, struct hl_err *err)
{
	l->n = 0;
	int rc = inherit(l, err);
	bool replaced = l->n > 0 && strcmp(c->source[HL_SETTING_server_listen], "default") == 0;
	for (unsigned i = 0; rc == HL_OK && !replaced && i < c->n_addrs; i++) {
		struct hl_addr addr = c->addrs[i];
		int fd = -1;
		if (!hl_addr_is_unix(&addr) && hl_addr_port(&addr) == 0)
			rc = bind_any_port(&addr, &fd, err);
		if (rc == HL_OK) {
			l->v[l->n].addr = addr;
			l->v[l->n++].fd = fd;
		}
	}
	if (rc)
		hl_listeners_close(l);
	return rc;
}

void hl_listeners_own(const struct hl_listeners *l, struct hl_buf *out)
{
	char text[HL_ADDR_TEXT_CAP];
	for (unsigned i = 0; i < l->n; i++) {
		const struct hl_addr *a = &l->v[i].addr;
		if (!hl_addr_is_v4(a) && !hl_addr_is_v6(a))
			continue;
		hl_addr_format(a, text);
		hl_buf_fmt(out, "%s%s", out->len ? "," : "", text);
	}
}

int hl_listeners_attach(struct hl_listeners *l, struct hl_server *server, unsigned unix_mode, struct hl_err *err)
{
	for (unsigned i = 0; i < l->n; i++) {
		int rc = l->v[i].fd >= 0 ? hl_server_listen_fd(server, l->v[i].fd, err)
					 : hl_server_listen(server, &l->v[i].addr, unix_mode, err);
		if (rc)
			return rc;
		l->v[i].fd = -1;
	}
	l->n = 0;
	return HL_OK;
}

void hl_listeners_close(struct hl_listeners *l)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->v[i].fd >= 0)
			close(l->v[i].fd);
	l->n = 0;
}
