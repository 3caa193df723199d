/* The publishers. Each connection has one request under way: an event with an id of its own, an event with an Idempotency-Key, or
 * a batch of lines. Whatever was not acknowledged when its connection ended is sent again, as it was, until it is; some of what was
 * acknowledged is sent once more, which must change nothing. Every other connection goes through the unix socket, which is there
 * again before anybody could tell the port of a server that was just started. */
#include "crowd.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, LINES_MAX = 48, IN_MAX = 65536, AGAIN_MS = 3, REFUSED_MS = 20 };
enum way { BY_ID, BY_KEY, WAYS };

struct conn {
	struct source source;         /* fd < 0: not connected */
	enum way way;
	bool batch, unix_socket;
	int64_t not_before;
	uint32_t sent[LINES_MAX];     /* events under way */
	size_t n, n_done;             /* of them acknowledged or given back, in order */
	char *out;
	size_t out_len, out_at, out_cap;
	char in[IN_MAX];
	size_t in_len;
};

static struct conn *conns;
static unsigned n_conns;
static struct todo {
	uint32_t *events;
	size_t n, cap;
} todo[WAYS];
static int tcp_port;
static char unix_path[108], api_key[128];
static bool on;
static uint64_t outstanding_max;

static enum way way_of(uint32_t n)
{
	return n / 4 % 4 == 3 ? BY_KEY : BY_ID;
}

/* ---- what there is to send ---- */

static void put_back(uint32_t n)
{
	struct todo *t = &todo[way_of(n)];
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 1024;
		t->events = realloc(t->events, t->cap * sizeof(*t->events));
		if (!t->events)
			exit(1);
	}
	t->events[t->n++] = n;
}

static bool may_begin(void)
{
	return on && n_events < cap_events && n_acked_deliveries - n_distinct < outstanding_max;
}

static bool next_event(enum way way, uint32_t *out)
{
	while (!todo[way].n && may_begin())
		put_back(n_events++);
	if (!todo[way].n)
		return false;
	*out = todo[way].events[--todo[way].n];
	return true;
}

bool publish_idle(void)
{
	for (unsigned i = 0; i < n_conns; i++)
		if (conns[i].n)
			return false;
	return todo[BY_ID].n + todo[BY_KEY].n == 0;
}

/* ---- a request ---- */

static void add(struct conn *c, const char *text, size_t n)
{
	if (c->out_len + n > c->out_cap) {
		c->out_cap = 2 * (c->out_len + n);
		c->out = realloc(c->out, c->out_cap);
		if (!c->out)
			exit(1);
	}
	memcpy(c->out + c->out_len, text, n);
	c->out_len += n;
}

static void add_head(struct conn *c, const char *path, const char *more)
{
	char head[512];
	int n = snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: crowd\r\nAuthorization: Bearer %s\r\n%s\r\n", path, api_key, more);
	add(c, head, (size_t)n);
}

static size_t event_text(uint32_t n, char *out, bool id)
{
	int len = id ? sprintf(out, "{\"type\":\"%s\",\"id\":\"e-%llu-%u\",\"data\":", type_of(n), (unsigned long long)seed, n)
			: sprintf(out, "{\"type\":\"%s\",\"data\":", type_of(n));
	size_t data = data_of(n, out + len);
	out[(size_t)len + data] = '}';
	return (size_t)len + data + 1;
}

static void begin_single(struct conn *c)
{
	static char body[DATA_MAX];
	char more[256], key[96] = "";
	size_t len = event_text(c->sent[0], body, c->way == BY_ID);
	if (c->way == BY_KEY)
		snprintf(key, sizeof(key), "Idempotency-Key: k-%llu-%u\r\n", (unsigned long long)seed, c->sent[0]);
	snprintf(more, sizeof(more), "%sContent-Type: application/json\r\nContent-Length: %zu\r\n", key, len);
	add_head(c, "/v1/events", more);
	add(c, body, len);
}

static void begin_batch(struct conn *c)
{
	static char line[DATA_MAX];
	char size[32];
	add_head(c, "/v1/events/batch", "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n");
	for (size_t i = 0; i < c->n; i++) {
		size_t len = event_text(c->sent[i], line, true);
		line[len++] = '\n';
		add(c, size, (size_t)sprintf(size, "%zx\r\n", len));
		add(c, line, len);
		add(c, "\r\n", 2);
	}
	add(c, "0\r\n\r\n", 5);
}

static void begin(struct conn *c)
{
	size_t want = c->batch ? 4 + dice(3, n_events, n_acked) % (LINES_MAX - 4) : 1;
	c->n = c->n_done = c->out_len = c->out_at = c->in_len = 0;
	while (c->n < want && next_event(c->way, &c->sent[c->n]))
		c->n++;
	if (c->n == 0)
		return;
	if (c->batch)
		begin_batch(c);
	else
		begin_single(c);
	watch(&c->source, EPOLLIN | EPOLLOUT, false);
}

/* ---- its end ---- */

/* The connection is over: what has no answer is sent again. */
static void end(struct conn *c)
{
	for (size_t i = c->n_done; i < c->n; i++) {
		put_back(c->sent[i]);
		n_resent++;
	}
	c->n = c->n_done = 0;
	close(c->source.fd);
	c->source.fd = -1;
	c->not_before = now_ms() + AGAIN_MS;
}

static const char *after(const char *text, const char *lead)
{
	const char *at = strstr(text, lead);
	return at ? at + strlen(lead) : NULL;
}

/* The answer to the next event under way; text holds its members. */
static void take_answer(struct conn *c, int status, const char *text, bool replayed)
{
	uint32_t n = c->sent[c->n_done++];
	if (status == 202) {
		const char *id = after(text, "\"id\":\""), *deliveries = after(text, "\"deliveries\":");
		if (!id || !deliveries || strlen(id) < ID_LEN) {
			fault("an answer that says nothing", "event %u: %.200s", n, text);
			return;
		}
		bool again = !events[n].acked && dice(4, n, 0) % 32 == 0;
		if (events[n].acked && !replayed)
			fault("what was acknowledged was taken anew", "event %u: %.200s", n, text);
		book_acked(n, id, (unsigned)atoi(deliveries), replayed);
		if (again)
			put_back(n);
		return;
	}
	if (status != 429 && status != 503 && status != 507)
		fault("an event was refused", "event %u: %d %.200s", n, status, text);
	put_back(n);
	c->not_before = now_ms() + REFUSED_MS;
}

/* One complete answer in c->in? Takes it. */
static bool take_single(struct conn *c)
{
	c->in[c->in_len] = 0;
	char *end_of_head = strstr(c->in, "\r\n\r\n");
	const char *length = end_of_head ? strcasestr(c->in, "\r\ncontent-length:") : NULL;
	if (!length || length > end_of_head)
		return false;
	size_t head = (size_t)(end_of_head - c->in) + 4;
	if (c->in_len < head + strtoul(length + 17, NULL, 10))
		return false;
	const char *mark = strcasestr(c->in, "\r\nidempotent-replayed: true");
	take_answer(c, atoi(c->in + 9), end_of_head + 4, (mark && mark < end_of_head) || strstr(end_of_head, "\"replayed\":true"));
	return true;
}

static void take_lines(struct conn *c)
{
	char *line = c->in, *eol;
	c->in[c->in_len] = 0;
	if (c->in_len > 12 && strncmp(c->in, "HTTP/1.1 ", 9) == 0 && strncmp(c->in + 9, "202", 3) != 0) {
		if (atoi(c->in + 9) != 503)
			fault("a batch was refused", "%.200s", c->in);
		c->n_done = 0; /* all of it again */
		shutdown(c->source.fd, SHUT_RDWR);
		return;
	}
	for (; (eol = memchr(line, '\n', c->in_len - (size_t)(line - c->in))) != NULL; line = eol + 1) {
		*eol = 0;
		const char *status = after(line, ",\"status\":");
		if (strncmp(line, "{\"line\":", 8) != 0 || !status || c->n_done == c->n)
			continue;
		if ((size_t)atol(line + 8) != c->n_done + 1)
			fault("results out of order", "%.200s", line);
		take_answer(c, atoi(status), line, strstr(line, "\"replayed\":true") != NULL);
	}
	c->in_len -= (size_t)(line - c->in);
	memmove(c->in, line, c->in_len);
}

static bool write_out(struct conn *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->source.fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN;
		c->out_at += (size_t)n;
	}
	watch(&c->source, EPOLLIN, false);
	return true;
}

/* False: the connection is over. */
static bool read_in(struct conn *c)
{
	ssize_t n = read(c->source.fd, c->in + c->in_len, IN_MAX - 1 - c->in_len);
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	c->in_len += (size_t)n;
	if (c->n == 0)
		return false; /* nothing was asked: 408 of an idle connection */
	if (c->batch)
		take_lines(c);
	else
		(void)take_single(c);
	if (c->n_done < c->n)
		return true;
	c->n = c->n_done = 0;
	if (c->batch || c->not_before > now_ms())
		return false;
	begin(c);
	return true;
}

static void on_conn(struct source *s, uint32_t happened)
{
	struct conn *c = (struct conn *)s;
	bool alive = !(happened & EPOLLERR);
	if (alive && happened & EPOLLOUT) {
		if (c->n == 0)
			begin(c);
		alive = c->n == 0 || write_out(c);
		if (alive && c->n == 0)
			watch(&c->source, EPOLLIN, false);
	}
	if (alive && happened & (EPOLLIN | EPOLLHUP))
		alive = read_in(c);
	if (!alive)
		end(c);
}

/* ---- connections ---- */

static void dial(struct conn *c)
{
	struct sockaddr_in tcp = { .sin_family = AF_INET, .sin_port = htons((uint16_t)tcp_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	int yes = 1, rc;
	snprintf(local.sun_path, sizeof(local.sun_path), "%s", unix_path);
	c->not_before = now_ms() + AGAIN_MS;
	int fd = socket(c->unix_socket ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->unix_socket)
		rc = connect(fd, (struct sockaddr *)&local, sizeof(local));
	else
		rc = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) | connect(fd, (struct sockaddr *)&tcp, sizeof(tcp));
	if (rc && errno != EINPROGRESS) {
		close(fd);
		return;
	}
	c->source = (struct source){ on_conn, fd };
	watch(&c->source, EPOLLIN | EPOLLOUT, true);
}

void publish_tick(int64_t now)
{
	for (unsigned i = 0; i < n_conns; i++) {
		struct conn *c = &conns[i];
		if (c->source.fd < 0 && c->not_before <= now && api_key[0] && (c->unix_socket || tcp_port) && (todo[c->way].n || may_begin()))
			dial(c);
		else if (c->source.fd >= 0 && c->n == 0 && c->not_before <= now && (todo[c->way].n || may_begin()))
			watch(&c->source, EPOLLIN | EPOLLOUT, false);
	}
}

void publish_server(int port, const char *path, const char *key)
{
	tcp_port = port;
	snprintf(unix_path, sizeof(unix_path), "%s", path);
	snprintf(api_key, sizeof(api_key), "%s", key);
}

void publish_switch(bool begin_new, uint64_t most)
{
	on = begin_new;
	outstanding_max = most;
}

void publish_init(unsigned n)
{
	n_conns = n < CONNECTIONS_MAX ? n : CONNECTIONS_MAX;
	conns = calloc(n_conns, sizeof(*conns));
	if (!conns)
		exit(1);
	for (unsigned i = 0; i < n_conns; i++) {
		conns[i].source.fd = -1;
		conns[i].unix_socket = i % 2;
		conns[i].batch = i % 6 == 5 || i % 6 == 2;
		conns[i].way = !conns[i].batch && i % 6 >= 3 ? BY_KEY : BY_ID;
	}
}
