/* The sending half of a connection.
 *
 * A message goes to the socket with one system call. What the socket does not take is kept in `unsent` and lent to
 * libuv as `sending`, one write request at a time, because libuv 1.44 sends one queued request per turn of the loop
 * however many there are. For TLS the parts become one record (when small) in the hub's shared cipher buffer, and
 * that goes the same way.
 *
 * When the kernel refuses a write, nothing is told here: an answer the peer sent before it hung up may still wait to
 * be read, and the read side meets the end right after it. From then on writes are swallowed. */
#include "net/conn_impl.h"
#include "net/send.h"

#include "base/check.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/str.h"

enum {
	RECORD_MAX = 16384,        /* writes up to here are put together into one TLS record */
	SCRATCH_KEEP_MAX = 262144, /* the hub's scratch buffers are given back above this */
};

static void on_written(uv_write_t *req, int status);

static void write_failed(struct hl_conn *c, int uv_code)
{
	c->write_broken = true;
	c->write_error = uv_strerror(uv_code);
	hl_buf_fini(&c->unsent);
}

/* Lends what waits to libuv, when nothing is lent already. */
static void write_unsent(struct hl_conn *c)
{
	struct hl_buf empty = c->sending;
	c->sending = c->unsent;
	c->unsent = empty;
	struct hl_str s = hl_buf_unread(&c->sending);
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)s.ptr, (unsigned)s.len);
	int rc = uv_write(&c->write_req, (uv_stream_t *)&c->tcp, &b, 1, on_written);
	if (rc) {
		hl_buf_reset(&c->sending);
		write_failed(c, rc);
	}
}

static void on_written(uv_write_t *req, int status)
{
	struct hl_conn *c = req->data;
	if (c->state == HL_CONN_CLOSING)
		return; /* the close callback frees the buffers */
	hl_buf_fini(&c->sending);
	if (status)
		write_failed(c, status);
	else if (c->unsent.len > 0)
		write_unsent(c);
}

size_t hl_conn_unsent(const struct hl_conn *c)
{
	return c->sending.len + c->unsent.len;
}

/* Sends bytes as they are; what the socket does not take is kept. HL_ENOMEM: some were lost. */
static int send_raw(struct hl_conn *c, uv_buf_t *bufs, unsigned n, size_t total)
{
	size_t sent = 0;
	if (c->write_broken)
		return HL_OK;
	if (hl_conn_unsent(c) == 0) {
		uv_buf_t half = uv_buf_init(bufs[0].base, (unsigned)(bufs[0].len / 2)); /* a kernel here takes megabytes at once */
		bool cut = HL_CRASH_NEXT(WRITE_PARTIAL) && half.len > 0;
		int rc = hl_send_now((uv_stream_t *)&c->tcp, cut ? &half : bufs, cut ? 1 : n);
		if (rc == (int)total)
			return HL_OK;
		if (rc < 0 && rc != UV_EAGAIN) {
			write_failed(c, rc);
			return HL_OK;
		}
		sent = rc > 0 ? (size_t)rc : 0;
		if (sent)
			HL_CRASH_POINT(WRITE_PARTIAL);
	}
	if (!hl_buf_reserve(&c->unsent, total - sent))
		return HL_ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		size_t skip = HL_MIN(sent, bufs[i].len);
		hl_buf_add(&c->unsent, bufs[i].base + skip, bufs[i].len - skip);
		sent -= skip;
	}
	if (c->sending.len == 0)
		write_unsent(c);
	return HL_OK;
}

static void scratch_empty(struct hl_buf *b)
{
	if (b->cap > SCRATCH_KEEP_MAX)
		hl_buf_fini(b);
	else
		hl_buf_reset(b);
}

int hl_conn_send_cipher(struct hl_conn *c)
{
	struct hl_buf *cipher = &c->hub->cipher;
	uv_buf_t b = uv_buf_init(cipher->data, (unsigned)cipher->len);
	int rc = cipher->len ? send_raw(c, &b, 1, cipher->len) : HL_OK;
	scratch_empty(cipher);
	return rc;
}

static int write_tls(struct hl_conn *c, const struct hl_str *parts, size_t n, size_t total)
{
	struct hl_conn_hub *hub = c->hub;
	int rc = HL_OK;
	if (n > 1 && total <= RECORD_MAX) {
		for (size_t i = 0; i < n; i++)
			hl_buf_str(&hub->gather, parts[i]);
		rc = hl_buf_ok(&hub->gather) ? hl_tls_write(c->tls, &hub->cipher, hl_buf_all(&hub->gather)) : HL_ENOMEM;
		hl_buf_reset(&hub->gather);
	} else {
		for (size_t i = 0; i < n && !rc; i++)
			rc = hl_tls_write(c->tls, &hub->cipher, parts[i]);
	}
	int sent = hl_conn_send_cipher(c);
	return rc ? rc : sent;
}

int hl_conn_write(struct hl_conn *c, const struct hl_str *parts, size_t n)
{
	uv_buf_t bufs[HL_CONN_PARTS_MAX];
	size_t total = 0;
	HL_CHECK(n <= HL_CONN_PARTS_MAX);
	if (c->state != HL_CONN_OPEN)
		return HL_ECLOSED;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].len > HL_CONN_UNSENT_MAX)
			return HL_ETOOBIG;
		bufs[i] = uv_buf_init((char *)(uintptr_t)parts[i].ptr, (unsigned)parts[i].len);
		total += parts[i].len;
	}
	if (total == 0)
		return HL_OK;
	if (hl_conn_unsent(c) + total > HL_CONN_UNSENT_MAX)
		return HL_ETOOBIG;
	return c->tls ? write_tls(c, parts, n, total) : send_raw(c, bufs, (unsigned)n, total);
}
