/* A receiver for the isolation scenarios, on every address of 127.0.0.0/8 at one port: http://127.1.2.3:PORT/ and
 * http://127.1.2.4:PORT/ are two origins and cost one listener.
 *
 *   sink PORT answer   answers 204 and notes how long ago the event says it was sent: "sent_ns":N in the body, on
 *                      CLOCK_MONOTONIC. GET /stats answers {"n", "p50_ms", "p99_ms", "max_ms"} and forgets them.
 *   sink PORT silent   accepts, reads and never answers
 *
 * It ends when its standard input does. Requests must fit the buffer of a connection; others end it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CAP = 8192, SAMPLES_MAX = 4 << 20, FD_MAX = 1 << 20 };

struct peer {
	size_t len;
	char buf[CAP];
};

static struct peer **peers; /* by descriptor */
static float *samples;      /* ms */
static size_t n_samples;
static bool silent;

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return x < y ? -1 : x > y;
}

static int stats(char *out, size_t cap)
{
	char body[160];
	qsort(samples, n_samples, sizeof(*samples), by_size);
	size_t n = n_samples;
	int len = snprintf(body, sizeof(body), "{\"n\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}", n,
			n ? samples[n / 2] : 0.0, n ? samples[n * 99 / 100] : 0.0, n ? samples[n - 1] : 0.0);
	n_samples = 0;
	return snprintf(out, cap, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			len, body);
}

/* The length of the complete request at the front, 0 = not there yet, -1 = not for us. */
static long request_len(char *buf, size_t len)
{
	char *end = memmem(buf, len, "\r\n\r\n", 4);
	if (!end)
		return len < CAP ? 0 : -1;
	size_t head = (size_t)(end - buf) + 4, body = 0;
	*end = 0;
	char *field = strcasestr(buf, "\r\ncontent-length:");
	if (field)
		body = strtoul(field + 17, NULL, 10);
	*end = '\r';
	if (head + body > CAP)
		return -1;
	return head + body <= len ? (long)(head + body) : 0;
}

static bool answer(int fd, char *request, size_t len)
{
	char out[512];
	int n;
	if (!memcmp(request, "GET /stats", 10)) {
		n = stats(out, sizeof(out));
	} else {
		char *sent = memmem(request, len, "\"sent_ns\":", 10);
		if (sent && n_samples < SAMPLES_MAX)
			samples[n_samples++] = (float)(now_ns() - strtoll(sent + 10, NULL, 10)) / 1e6f;
		n = snprintf(out, sizeof(out), "HTTP/1.1 204 No Content\r\n\r\n");
	}
	return write(fd, out, (size_t)n) == n;
}

/* false = the connection is over */
static bool on_readable(int fd)
{
	struct peer *p = peers[fd];
	ssize_t n = read(fd, p->buf + p->len, CAP - p->len);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	if (silent)
		return true; /* p->len stays 0: what came is forgotten */
	p->len += (size_t)n;
	for (;;) {
		long len = request_len(p->buf, p->len);
		if (len <= 0)
			return len == 0;
		if (!answer(fd, p->buf, (size_t)len))
			return false;
		p->len -= (size_t)len;
		memmove(p->buf, p->buf + len, p->len);
	}
}

static void accept_all(int listener, int ep)
{
	int fd, on = 1;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (fd >= FD_MAX || !(peers[fd] = calloc(1, sizeof(struct peer))) || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
			close(fd);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: sink PORT answer|silent\n");
		return 2;
	}
	silent = !strcmp(argv[2], "silent");
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	peers = calloc(FD_MAX, sizeof(*peers));
	samples = malloc(SAMPLES_MAX * sizeof(*samples));
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1, ep = epoll_create1(0);
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])) };
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!peers || !samples || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 8192)) {
		perror("sink");
		return 1;
	}
	struct epoll_event e = { .events = EPOLLIN, .data.fd = listener }, events[512];
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
	e.data.fd = 0;
	epoll_ctl(ep, EPOLL_CTL_ADD, 0, &e);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, events, 512, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == 0)
				return 0;
			if (fd == listener) {
				accept_all(listener, ep);
			} else if (!on_readable(fd)) {
				close(fd);
				free(peers[fd]);
				peers[fd] = NULL;
			}
		}
	}
}
