/* Listening sockets: several of them (TCP, unix, inherited from systemd) behind one accept callback and one cap.
 *
 *   hl_listener_init(l, loop, cap, on_connection, data)
 *   hl_listener_add(l, addr, …) …           bound and listening; the bound port is in hl_listener_addr
 *   on_connection(l, s)                     init a uv_tcp_t or uv_pipe_t (s->is_pipe), hl_listener_accept(s, stream)
 *   hl_listener_release(l)                  once per accepted connection, after its handle is closed
 *   hl_listener_close(l, cb)
 *
 * When `cap` connections are out, nothing is accepted: at most one waiting connection per socket is held and the socket is not
 * polled, the rest waits in the kernel's backlog. The next release takes up where it stopped. Without descriptors it is the
 * same, and tried again every HL_LISTENER_PAUSE_MS. */
#ifndef HL_NET_LISTENER_H
#define HL_NET_LISTENER_H

#include "net/addr.h"
#include <uv.h>

enum {
	HL_LISTENER_SOCKETS_MAX = 16,
	HL_LISTENER_BACKLOG = 1024,
	HL_LISTENER_BURST = 64,        /* connections of one socket accepted in one turn of the loop */
	HL_LISTENER_PAUSE_MS = 50,
	HL_LISTENER_FD_FIRST = 3,      /* systemd hands over descriptors from here on */
};

struct hl_listener;

struct hl_listener_socket {
	struct hl_listener *listener;
	uv_poll_t poll;
	int fd;                        /* listening; ours */
	int held;                      /* an accepted connection nobody took yet; -1 = none */
	struct hl_addr addr;           /* as bound: real port, or path */
	bool is_pipe;
	uint64_t inode, device;        /* of a unix socket file we made; 0 = not ours to remove */
};

/* One connection waits on s. Take it with hl_listener_accept before returning; not taking it means "not now": it is
 * offered again at the next release or resume. */
typedef void (*hl_listener_cb)(struct hl_listener *l, struct hl_listener_socket *s);

struct hl_listener {
	uv_loop_t *loop;
	struct hl_listener_socket sockets[HL_LISTENER_SOCKETS_MAX];
	unsigned n_sockets;
	uv_timer_t pause;              /* runs while there were no descriptors */
	unsigned n_closing;            /* close callbacks still to come */
	unsigned n_out;                /* connections accepted and not released */
	unsigned cap;
	unsigned next;                 /* where the next resume starts looking, for fairness */
	bool closing;
	hl_listener_cb on_connection;
	void *data;
	void (*on_closed)(struct hl_listener *l);
	uint64_t n_accepted;           /* ever */
};

/* Must be closed, whatever comes of it. */
void hl_listener_init(struct hl_listener *l, uv_loop_t *loop, unsigned cap, hl_listener_cb on_connection, void *data);
/* Binds and listens. unix_mode: permission bits of a unix socket file (e.g. 0660), ignored for TCP. A stale unix
 * socket file (nobody accepts on it) is replaced; a live one is HL_EEXIST, as is a port in use. HL_EINVAL, HL_EPERM,
 * HL_ELIMIT, HL_EIO. A failed add leaves the other sockets alone. */
HL_MUST_CHECK int hl_listener_add(struct hl_listener *l, const struct hl_addr *addr, unsigned unix_mode,
		struct hl_err *err);
/* Takes over a listening stream socket (TCP or unix), e.g. one from systemd. HL_EINVAL and HL_ELIMIT: the descriptor
 * is still the caller's; else it is ours. Its file, if any, is not removed at close. */
HL_MUST_CHECK int hl_listener_add_fd(struct hl_listener *l, int fd, struct hl_err *err);
/* How many sockets systemd passed to process `self` (LISTEN_PID and LISTEN_FDS; NULL when unset): they are the
 * descriptors HL_LISTENER_FD_FIRST … +n-1. 0 when none or meant for another process; HL_EINVAL for nonsense. */
HL_MUST_CHECK int hl_listener_fds(const char *listen_pid, const char *listen_fds, long self, struct hl_err *err);

const struct hl_addr *hl_listener_addr(const struct hl_listener *l, unsigned i); /* i < n_sockets */

/* Moves the waiting connection into `client`, a stream freshly initialised by the caller (uv_tcp_init or uv_pipe_init
 * as s->is_pipe says). On error (HL_EIO) the caller closes its handle and does not release. */
HL_MUST_CHECK int hl_listener_accept(struct hl_listener_socket *s, uv_stream_t *client);
void hl_listener_release(struct hl_listener *l);  /* may call on_connection */
void hl_listener_resume(struct hl_listener *l);   /* offers waiting connections again; may call on_connection */

/* Stops accepting, removes unix socket files that are still ours, closes the sockets. Connections already accepted are
 * not touched; they may be released after. cb runs once, later, even with no sockets. */
void hl_listener_close(struct hl_listener *l, void (*cb)(struct hl_listener *l));

#endif
