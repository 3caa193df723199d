/* Open, write the request, read the answer, close: blocking, with a time limit on every wait.
 *
 * The server sends one answer and closes (Connection: close). Bytes are judged by the same strict reader the server uses.
 * No answer in time, a connection that ends early and an answer that is not HTTP are each told as such. */
#include "main/ask.h"

#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"
#include "http/message.h"
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int limit_waits(int fd)
{
	struct timeval tv = { .tv_sec = HL_ASK_TIMEOUT_S };
	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int open_unix(struct hl_ask *c, struct hl_str path, struct hl_err *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	if (path.len == 0 || path.len >= sizeof(un.sun_path))
		return hl_err_set(err, HL_EURL, "unix:%.*s: a path has 1 to %zu bytes", HL_FMT(path), sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path.ptr, path.len);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || limit_waits(c->fd))
		return hl_err_errno(err, errno, "socket");
	if (connect(c->fd, (struct sockaddr *)&un, sizeof(un)) == 0) {
		snprintf(c->authority, sizeof(c->authority), "localhost");
		return HL_OK;
	}
	if (errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED)
		return hl_err_set(err, HL_ENOTFOUND, "nobody listens on %s", un.sun_path);
	return hl_err_errno(err, errno, "%s", un.sun_path);
}

/* "host:port", "host", "[v6]:port" → host and port as texts. */
static int split_authority(struct hl_str a, char host[256], char port[6], struct hl_err *err)
{
	struct hl_str h = a, p = HL_STR("80");
	if (a.len && a.ptr[0] == '[') {
		h = hl_str_split(&a, ']');
		h = hl_str_make(h.ptr + 1, h.len - 1);
		if (a.ptr && a.len && a.ptr[0] == ':')
			p = hl_str_make(a.ptr + 1, a.len - 1);
		else if (!a.ptr || a.len)
			h.len = 0;
	} else {
		struct hl_str rest = a;
		h = hl_str_split(&rest, ':');
		if (rest.ptr)
			p = rest;
	}
	uint64_t n;
	if (h.len == 0 || h.len > 255 || !hl_str_u64(p, &n) || n < 1 || n > 65535)
		return hl_err_set(err, HL_EURL, "want http://host:port or unix:/path");
	snprintf(host, 256, "%.*s", HL_FMT(h));
	snprintf(port, 6, "%u", (unsigned)n);
	return HL_OK;
}

static int open_tcp(struct hl_ask *c, struct hl_str authority, struct hl_err *err)
{
	char host[256], port[6];
	int rc = split_authority(authority, host, port, err);
	if (rc)
		return rc;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *list;
	int bad = getaddrinfo(host, port, &hints, &list);
	if (bad)
		return hl_err_set(err, HL_EDNS, "%s: %s", host, gai_strerror(bad));
	int saved = ECONNREFUSED;
	for (struct addrinfo *a = list; a; a = a->ai_next) {
		c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (c->fd >= 0 && limit_waits(c->fd) == 0 && connect(c->fd, a->ai_addr, a->ai_addrlen) == 0)
			break;
		saved = errno;
		if (c->fd >= 0)
			close(c->fd);
		c->fd = -1;
	}
	freeaddrinfo(list);
	if (c->fd < 0)
		return hl_err_set(err, HL_ECONNECT, "%.*s: %s", HL_FMT(authority), strerror(saved));
	snprintf(c->authority, sizeof(c->authority), "%.*s", HL_FMT(authority));
	return HL_OK;
}

int hl_ask_open(struct hl_ask *c, const char *url, struct hl_err *err)
{
	*c = (struct hl_ask){ .fd = -1 };
	c->body.max = HL_ASK_BODY_MAX;
	hl_arena_init(&c->arena, 0);
	struct hl_str u = hl_str_from(url), http = HL_STR("http://"), uds = HL_STR("unix:");
	int rc;
	if (hl_str_starts(u, uds)) {
		rc = open_unix(c, hl_str_make(u.ptr + uds.len, u.len - uds.len), err);
	} else if (hl_str_starts(u, http)) {
		struct hl_str rest = hl_str_make(u.ptr + http.len, u.len - http.len);
		if (hl_str_ends(rest, HL_STR("/")))
			rest.len--;
		rc = open_tcp(c, rest, err);
	} else {
		rc = hl_err_set(err, HL_EURL, "%.100s: want http://host:port or unix:/path (for https use curl)", url);
	}
	if (rc)
		hl_ask_close(c);
	return rc;
}

static int send_all(int fd, struct hl_str bytes, struct hl_err *err)
{
	while (bytes.len) {
		ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE)
			return HL_OK; /* the server may have answered before it had read all; look */
		if (n < 0)
			return hl_err_set(err, errno == EAGAIN ? HL_ETIMEDOUT : HL_ERESET, "sending: %s", strerror(errno));
		bytes = hl_str_make(bytes.ptr + n, bytes.len - (size_t)n);
	}
	return HL_OK;
}

/* Feeds what was read to the message; HL_OK when it is complete, HL_EAGAIN when more is needed. */
static int take(struct hl_ask *c, struct hl_message *m, struct hl_str in, struct hl_err *err)
{
	for (;;) {
		switch (hl_message_step(m, &in)) {
		case HL_STEP_MORE:
			return HL_EAGAIN;
		case HL_STEP_HEAD:
			c->status = m->status;
			break;
		case HL_STEP_BODY:
			hl_buf_str(&c->body, m->chunk);
			break;
		case HL_STEP_END:
			return hl_buf_ok(&c->body) ? HL_OK : hl_err_set(err, HL_ETOOBIG, "the answer is too large");
		case HL_STEP_BAD:
			return hl_err_set(err, HL_EPROTO, "the answer is not HTTP: %s", m->reason);
		}
	}
}

static int receive(struct hl_ask *c, struct hl_err *err)
{
	struct hl_message *m = malloc(sizeof(*m));
	if (!m)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	hl_message_init(m, HL_MESSAGE_RESPONSE, &hl_response_limits);
	char bytes[16384];
	int rc = HL_EAGAIN;
	while (rc == HL_EAGAIN) {
		ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = hl_err_set(err, errno == EAGAIN ? HL_ETIMEDOUT : HL_ERESET, "%s",
					errno == EAGAIN ? "no answer in time" : strerror(errno));
		else if (n == 0)
			rc = hl_message_eof(m) == HL_STEP_END ? HL_OK : hl_err_set(err, HL_ERESET, "the server hung up without an answer");
		else
			rc = take(c, m, hl_str_make(bytes, (size_t)n), err);
	}
	hl_message_fini(m);
	free(m);
	return rc;
}

int hl_ask_run(struct hl_ask *c, const char *method, const char *target, const char *key, const char *account,
		struct hl_str body, struct hl_err *err)
{
	struct hl_buf head = { 0 };
	hl_buf_fmt(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, c->authority);
	if (key[0])
		hl_buf_fmt(&head, "Authorization: Bearer %s\r\n", key);
	if (account[0])
		hl_buf_fmt(&head, "Hookline-Account: %s\r\n", account);
	if (body.len)
		hl_buf_fmt(&head, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.len);
	hl_buf_cstr(&head, "\r\n");
	hl_buf_str(&head, body);
	int rc = hl_buf_ok(&head) ? send_all(c->fd, hl_buf_all(&head), err) : hl_err_set(err, HL_ENOMEM, "out of memory");
	hl_buf_fini(&head);
	return rc ? rc : receive(c, err);
}

int hl_ask_json(struct hl_ask *c, struct hl_json *out, struct hl_err *err)
{
	int rc = hl_json_check(hl_buf_all(&c->body), HL_JSON_DEPTH_MAX, out, err);
	if (rc)
		return hl_err_prefix(err, "the server's answer");
	if (out->type != HL_JSON_OBJECT)
		return hl_err_set(err, HL_EPROTO, "the server's answer is not an object");
	return HL_OK;
}

struct hl_str hl_ask_text(struct hl_ask *c, struct hl_json object, const char *name)
{
	struct hl_json v;
	struct hl_str s = HL_STR("");
	if (!hl_json_get(object, hl_str_from(name), &v) || v.type != HL_JSON_STRING || hl_json_string(&c->arena, v, false, &s))
		return HL_STR("");
	return s;
}

int hl_ask_problem(struct hl_ask *c, struct hl_err *err)
{
	struct hl_json o;
	if (hl_ask_json(c, &o, NULL))
		return hl_err_set(err, HL_EPROTO, "the server answered %u", c->status);
	struct hl_str code = hl_ask_text(c, o, "code"), detail = hl_ask_text(c, o, "detail");
	return hl_err_set(err, HL_ECONFLICT, "the server answered %u %.*s%s%.*s", c->status, HL_FMT(code), detail.len ? ": " : "",
			(int)HL_MIN(detail.len, (size_t)180), detail.ptr);
}

void hl_ask_close(struct hl_ask *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	hl_buf_fini(&c->body);
	hl_arena_fini(&c->arena);
}
