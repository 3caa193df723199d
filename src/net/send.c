/* One sendmsg on the stream's socket; what does not fit stays the caller's. MSG_NOSIGNAL: a peer that is gone is EPIPE. */
#include "net/send.h"

#include <errno.h>
#include <sys/socket.h>

int hl_send_now(uv_stream_t *s, uv_buf_t *bufs, unsigned n)
{
	uv_os_fd_t fd;
	ssize_t sent;
	if (s->write_queue_size)
		return UV_EAGAIN;
	int rc = uv_fileno((uv_handle_t *)s, &fd);
	if (rc)
		return rc;
	struct msghdr m = { .msg_iov = (struct iovec *)bufs, .msg_iovlen = n }; /* libuv promises the same layout */
	do
		sent = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return (int)sent;
	return errno == EWOULDBLOCK || errno == ENOBUFS ? UV_EAGAIN : uv_translate_sys_error(errno);
}
