/* Sending on a stream without waiting: what uv_try_write does, by one sendmsg. (writev, which libuv uses, goes through the
 * kernel's file layer first: position lock, access checks, a second copy of the vector; of no use to a socket, and
 * noticeable at tens of thousands of small messages a second.) */
#ifndef HL_NET_SEND_H
#define HL_NET_SEND_H

#include <hookline/types.h>
#include <uv.h>

/* Bytes sent, maybe fewer than given; UV_EAGAIN when none fit or libuv still has some queued; another UV_E* code. The
 * stream is a connected socket. Loop thread. */
HL_MUST_CHECK int hl_send_now(uv_stream_t *s, uv_buf_t *bufs, unsigned n);

#endif
