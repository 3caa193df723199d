/* The receivers: one port for most, one under TLS, one for the rude (connections are reset as they are accepted), one for narrow
 * receivers (a small socket buffer, read slowly), one that is shut and opened again. The path of a request is its webhook, /INDEX.
 *
 * An answer is entered as given when the kernel took it whole. What a server that was killed never read of it is what the bound on
 * duplicates is about. */
#include "crowd.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PLAIN, TLS, RUDE_PORT, NARROW, REFUSING, PORTS };
enum { BUF_MAX = 512 * 1024, NARROW_PIECE = 2048 };

struct port {
	struct source source;
	int number;
};

struct peer {
	struct source source;
	struct peer *prev, *next;     /* all of them */
	int life, kind;
	SSL *ssl;
	char *buf;
	size_t len, cap;
	/* an answer that waits */
	int64_t due;                  /* 0 = none */
	bool waiting;                 /* requests are not looked at: slow, or never answered */
	int hook;
	uint32_t event;
	bool good;
	char answer[256];
};

static struct port ports[PORTS];
static int reserved = -1;             /* holds the number of the refusing port while nobody listens there */
static struct peer all = { .prev = &all, .next = &all };
static SSL_CTX *tls;

static void drop(struct peer *p, bool reset)
{
	struct linger l = { 1, 0 };
	if (reset)
		setsockopt(p->source.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	p->prev->next = p->next;
	p->next->prev = p->prev;
	if (p->ssl)
		SSL_free(p->ssl);
	close(p->source.fd);
	free(p->buf);
	free(p);
}

/* ---- answers ---- */

static bool send_all(struct peer *p, const char *text, size_t n)
{
	if (p->ssl)
		return SSL_write(p->ssl, text, (int)n) == (int)n;
	return send(p->source.fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* False: the connection is gone. */
static bool answer_now(struct peer *p)
{
	p->waiting = false;
	p->due = 0;
	if (!send_all(p, p->answer, strlen(p->answer))) {
		drop(p, false);
		return false;
	}
	if (p->good)
		book_good(p->hook, p->event, p->life);
	return true;
}

static void say(struct peer *p, int status, const char *field, const char *body)
{
	snprintf(p->answer, sizeof(p->answer), "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n%s", status, field, strlen(body), body);
}

static void say_good(struct peer *p, const struct hook *k)
{
	p->good = true;
	if (k->format == TELEGRAM)
		say(p, 200, "", "{\"ok\":true}");
	else if (k->format == GOOGLE_SHEETS)
		say(p, 302, "Location: https://script.googleusercontent.com/macros/echo?x=1\r\n", "");
	else if (p->event % 2)
		snprintf(p->answer, sizeof(p->answer), "HTTP/1.1 204 X\r\n\r\n");
	else
		say(p, 200, "", "thanks");
}

/* What a receiver of this mood says to the request that came; in thousandths. */
static enum { SAY, SAY_LATER, SAY_NOTHING, RESET, CLOSE } choose(struct peer *p, const struct hook *k, unsigned seen)
{
	uint64_t d = dice((uint64_t)p->hook, p->event, seen);
	unsigned roll = (unsigned)(d % 1000);
	p->good = false;
	if (k->healed || (k->mood == OK && k->format != TELEGRAM)) {
		say_good(p, k);
		return SAY;
	}
	say_good(p, k);
	switch (k->mood) {
	case SLOW:
		p->due = now_ms() + (roll < 5 ? 1200 : 30 + roll % 100);
		return SAY_LATER;
	case RESETS:
	case RUDE:
		return roll < 20 ? RESET : roll < 30 ? CLOSE : SAY;
	case HANGS:
		return roll < 3 ? SAY_NOTHING : SAY;
	case OK:
	case FLAKY:
	case LIMITED:
	case GARBAGE:
	case FINAL:
	case GONE:
	default:
		break;
	}
	unsigned share = k->mood == FLAKY ? 80 : k->mood == OK ? 10 : k->mood == LIMITED ? 6 : k->mood == GARBAGE ? 20 : k->mood == FINAL ? 30
			: k->mood == GONE ? 4 : 0;
	if (roll >= share)
		return SAY;
	p->good = false;
	if (k->mood == FINAL)
		say(p, 400, "", "not today");
	else if (k->mood == GONE)
		say(p, 410, "", "gone");
	else if (k->mood == GARBAGE)
		snprintf(p->answer, sizeof(p->answer), "\x01\x02 this is not HTTP\r\n\r\n");
	else if (k->mood == LIMITED && k->format == DISCORD)
		say(p, 429, "", "{\"retry_after\":1.0}");
	else if (k->mood == LIMITED)
		say(p, roll % 2 ? 429 : 503, "Retry-After: 1\r\n", "");
	else if (k->format == TELEGRAM)
		say(p, 200, "", "{\"ok\":false}");
	else
		say(p, roll % 2 ? 500 : 503, "", "unlucky");
	return SAY;
}

/* ---- requests ---- */

static bool field(const char *line, size_t n, const char *name, struct text *out)
{
	size_t len = strlen(name);
	if (n <= len || line[len] != ':' || strncasecmp(line, name, len) != 0)
		return false;
	for (line += len + 1, n -= len + 1; n && *line == ' '; line++)
		n--;
	*out = (struct text){ line, n };
	return true;
}

static void read_head(const char *head, const char *end, struct request *r, size_t *body_len)
{
	struct text length = { "", 0 };
	for (const char *line = head; line < end;) {
		const char *eol = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
		size_t n = (size_t)(eol - line);
		switch (*line | 0x20) {
		case 'c':
			(void)field(line, n, "content-length", &length);
			break;
		case 'w':
			(void)(field(line, n, "webhook-id", &r->id) || field(line, n, "webhook-timestamp", &r->timestamp) ||
					field(line, n, "webhook-signature", &r->signature));
			break;
		case 'h':
			(void)field(line, n, "hookline-attempt", &r->attempt);
			break;
		case 'x':
			(void)(field(line, n, "x-cs2c-signature", &r->dialect_signature) ||
					field(line, n, "x-cs2cap-signature", &r->dialect_signature2) ||
					field(line, n, "x-signature", &r->dialect_signature) ||
					field(line, n, "x-bitnob-signature", &r->dialect_signature) ||
					field(line, n, "x-cs2c-timestamp", &r->dialect_timestamp) ||
					field(line, n, "x-bitnob-timestamp", &r->dialect_timestamp));
			break;
		default:
			break;
		}
		line = eol + 2;
	}
	*body_len = length.len ? strtoul(length.ptr, NULL, 10) : 0;
}

/* False: the connection is gone. */
static bool on_request(struct peer *p, const struct request *r)
{
	int64_t n = judge(p->hook, r);
	const struct hook *k = &hooks[p->hook];
	p->good = false;
	if (n == NOT_OURS) {
		say(p, 400, "", "");
		return answer_now(p);
	}
	p->event = n >= 0 ? (uint32_t)n : 0;
	if (n == AN_ALERT) {
		const char *alert = (const char *)memmem(r->body.ptr, r->body.len, "\"alert_id\":\"", 12) + 12;
		book_alert(alert, r->id.ptr);
		say(p, 200, "", "");
		return answer_now(p);
	}
	switch (choose(p, k, k->marks[n].seen)) {
	case SAY:
		return answer_now(p);
	case SAY_LATER:
	case SAY_NOTHING:
		p->waiting = true;
		return true;
	case RESET:
		drop(p, true);
		return false;
	case CLOSE:
	default:
		drop(p, false);
		return false;
	}
}

/* Takes complete requests off the buffer. False: the connection is gone. */
static bool take_requests(struct peer *p)
{
	while (!p->waiting && p->len) {
		char *end = memmem(p->buf, p->len, "\r\n\r\n", 4);
		if (!end)
			return true;
		struct request r = { .life = p->life };
		size_t body_len;
		read_head(p->buf, end, &r, &body_len);
		size_t head = (size_t)(end - p->buf) + 4;
		if (head + body_len > p->len)
			return true;
		r.body = (struct text){ end + 4, body_len };
		char *slash = strncmp(p->buf, "POST /", 6) == 0 ? p->buf + 6 : NULL;
		p->hook = slash ? atoi(slash) : -1;
		if (p->hook < 0 || p->hook >= HOOKS_MAX || !hooks[p->hook].used) {
			fault("a request to nobody", "%.*s", 60, p->buf);
			drop(p, true);
			return false;
		}
		if (!on_request(p, &r))
			return false;
		p->len -= head + body_len;
		memmove(p->buf, p->buf + head + body_len, p->len);
	}
	return true;
}

static ssize_t read_some(struct peer *p, size_t most)
{
	if (!p->ssl)
		return read(p->source.fd, p->buf + p->len, most);
	int n = SSL_read(p->ssl, p->buf + p->len, (int)most);
	if (n > 0)
		return n;
	int why = SSL_get_error(p->ssl, n);
	errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
	return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static void on_peer(struct source *s, uint32_t happened)
{
	struct peer *p = (struct peer *)s;
	(void)happened;
	for (;;) {
		if (p->cap - p->len < 16384) {
			size_t cap = p->cap ? 2 * p->cap : 32768;
			char *more = cap <= BUF_MAX ? realloc(p->buf, cap) : NULL;
			if (!more) {
				drop(p, true);
				return;
			}
			p->buf = more;
			p->cap = cap;
		}
		ssize_t n = read_some(p, p->kind == NARROW ? NARROW_PIECE : p->cap - p->len);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			drop(p, false);
			return;
		}
		p->len += (size_t)n;
		if (!take_requests(p))
			return;
		if (p->kind == NARROW)
			return; /* level-triggered: the rest comes in its turn */
	}
}

void receive_tick(int64_t now)
{
	for (struct peer *p = all.next, *next; p != &all; p = next) {
		next = p->next;
		if (p->due && p->due <= now && answer_now(p))
			(void)take_requests(p);
	}
}

/* ---- connections ---- */

static void on_accept(struct source *s, uint32_t happened)
{
	struct port *port = (struct port *)s;
	static uint64_t n_accepted;
	int fd, on = 1;
	(void)happened;
	while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct peer *p = calloc(1, sizeof(*p));
		if (!p)
			exit(1);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		p->source = (struct source){ on_peer, fd };
		p->life = life_now;
		p->kind = (int)(port - ports);
		p->next = all.next;
		p->prev = &all;
		all.next->prev = p;
		all.next = p;
		if (p->kind == RUDE_PORT && dice(1, 2, n_accepted++) % 10 == 0) {
			drop(p, true);
			continue;
		}
		if (p->kind == TLS) {
			p->ssl = SSL_new(tls);
			SSL_set_fd(p->ssl, fd);
			SSL_set_accept_state(p->ssl);
		}
		watch(&p->source, EPOLLIN, true);
	}
}

static int listener(int number, bool narrow)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, small = 4096;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)number), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (narrow)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		perror("crowd: bind");
		exit(1);
	}
	return fd;
}

static void open_port(int i)
{
	struct port *p = &ports[i];
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	p->source = (struct source){ on_accept, listener(p->number, i == NARROW) };
	if (listen(p->source.fd, 4096) || getsockname(p->source.fd, (struct sockaddr *)&a, &len))
		exit(1);
	p->number = ntohs(a.sin_port);
	watch(&p->source, EPOLLIN, true);
}

void receive_backlog(void)
{
	for (int i = 0; i < PORTS; i++)
		if (ports[i].source.fd >= 0)
			on_accept(&ports[i].source, 0);
}

void receive_refuse(bool refuse)
{
	bool refuses = ports[REFUSING].source.fd < 0;
	if (refuse == refuses)
		return;
	if (!refuse) {
		open_port(REFUSING);
		return;
	}
	for (struct peer *p = all.next, *next; p != &all; p = next) {
		next = p->next;
		if (p->kind == REFUSING)
			drop(p, true);
	}
	close(ports[REFUSING].source.fd);
	ports[REFUSING].source.fd = -1;
}

void receive_init(const char *cert, const char *key)
{
	tls = SSL_CTX_new(TLS_server_method());
	if (!tls || SSL_CTX_use_certificate_chain_file(tls, cert) != 1 || SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1) {
		fprintf(stderr, "crowd: %s, %s: not a certificate and its key\n", cert, key);
		exit(1);
	}
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	for (int i = 0; i < PORTS; i++)
		open_port(i);
	reserved = listener(ports[REFUSING].number, false); /* bound, never listening: the number stays ours */
	printf("{\"plain\":%d,\"tls\":%d,\"rude\":%d,\"narrow\":%d,\"refusing\":%d}\n", ports[PLAIN].number, ports[TLS].number,
			ports[RUDE_PORT].number, ports[NARROW].number, ports[REFUSING].number);
}
