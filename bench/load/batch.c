/* Streams events as NDJSON into POST /v1/events/batch over several connections, reading the results meanwhile.
 *
 *   batch SERVER_PORT KEY EVENTS CONNECTIONS TYPE DATA_BYTES
 *
 * Prints {"events", "accepted", "deliveries", "seconds", "per_second"} when every event has its result. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, LINES_PER_CHUNK = 16, BUF = 1 << 18 };

struct stream {
	long left;             /* events not yet put into a chunk */
	long results;
	size_t sent, chunk_len;/* of the chunk being written */
	bool last_written;
	char *chunk;
	char line[512];        /* start of the result line being read */
	size_t line_len;
};

static long accepted, deliveries;
static char *one; /* one event and its newline */
static size_t one_len;

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void next_chunk(struct stream *s)
{
	long lines = s->left < LINES_PER_CHUNK ? s->left : LINES_PER_CHUNK;
	int n = sprintf(s->chunk, "%zx\r\n", (size_t)lines * one_len);
	s->sent = 0;
	if (lines == 0) {
		s->chunk_len = (size_t)sprintf(s->chunk, "0\r\n\r\n");
		s->last_written = true;
		return;
	}
	for (long i = 0; i < lines; i++, n += (int)one_len)
		memcpy(s->chunk + n, one, one_len);
	memcpy(s->chunk + n, "\r\n", 2);
	s->chunk_len = (size_t)n + 2;
	s->left -= lines;
}

static void write_some(int fd, struct stream *s)
{
	for (;;) {
		if (s->sent == s->chunk_len) {
			if (s->last_written)
				return;
			next_chunk(s);
		}
		ssize_t n = write(fd, s->chunk + s->sent, s->chunk_len - s->sent);
		if (n < 0)
			return;
		s->sent += (size_t)n;
	}
}

/* Results are lines {"line":…,"status":202,"id":…,"deliveries":n,…}; head and chunk sizes have no "line". */
static void take_line(struct stream *s)
{
	s->line[s->line_len < sizeof(s->line) ? s->line_len : sizeof(s->line) - 1] = 0;
	s->line_len = 0;
	if (!strncmp(s->line, "HTTP/1.1 ", 9) && strncmp(s->line + 9, "202", 3)) {
		fprintf(stderr, "batch: refused: %s\n", s->line);
		exit(1);
	}
	if (strncmp(s->line, "{\"line\":", 8))
		return;
	s->results++;
	if (strstr(s->line, "\"status\":202")) {
		char *n = strstr(s->line, "\"deliveries\":");
		accepted++;
		deliveries += n ? strtol(n + 13, NULL, 10) : 0;
	}
}

static void read_some(int fd, struct stream *s)
{
	static char buf[BUF];
	ssize_t n;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] == '\n')
				take_line(s);
			else if (s->line_len < sizeof(s->line) - 1)
				s->line[s->line_len++] = buf[i];
	if (n == 0 || errno != EAGAIN) {
		fprintf(stderr, "batch: the connection ended after %ld results\n", s->results);
		exit(1);
	}
}

static int tcp(const char *port, const char *key)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		perror("batch");
		exit(1);
	}
	dprintf(fd, "POST /v1/events/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
			"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n", key);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

int main(int argc, char **argv)
{
	if (argc != 7 || atoi(argv[4]) < 1 || atoi(argv[4]) > CONNECTIONS_MAX) {
		fprintf(stderr, "usage: batch SERVER_PORT KEY EVENTS CONNECTIONS TYPE DATA_BYTES\n");
		return 2;
	}
	long events = atol(argv[3]), done = 0;
	int n = atoi(argv[4]), fill = atoi(argv[6]);
	char *pad = malloc((size_t)fill + 1);
	memset(pad, 'x', (size_t)fill);
	pad[fill] = 0;
	one_len = (size_t)asprintf(&one, "{\"type\":\"%s\",\"data\":{\"fill\":\"%s\"}}\n", argv[5], pad);
	static struct stream s[CONNECTIONS_MAX];
	struct pollfd p[CONNECTIONS_MAX];
	double start = now_s(), progress = start;
	for (int i = 0; i < n; i++) {
		s[i].left = events / n + (i < events % n);
		s[i].chunk = malloc(LINES_PER_CHUNK * one_len + 32);
		p[i] = (struct pollfd){ .fd = tcp(argv[1], argv[2]), .events = POLLIN | POLLOUT };
	}
	while (done < events) {
		long before = done;
		if (poll(p, (nfds_t)n, 1000) < 0)
			return 1;
		done = 0;
		for (int i = 0; i < n; i++) {
			if (p[i].revents & POLLOUT)
				write_some(p[i].fd, &s[i]);
			if (p[i].revents & (POLLIN | POLLHUP | POLLERR))
				read_some(p[i].fd, &s[i]);
			p[i].events = (short)(POLLIN | (s[i].last_written && s[i].sent == s[i].chunk_len ? 0 : POLLOUT));
			if (s[i].results == events / n + (i < events % n))
				p[i].fd = p[i].fd < 0 ? p[i].fd : -1 - p[i].fd; /* complete: poll passes over it */
			done += s[i].results;
		}
		if (done != before)
			progress = now_s();
		if (now_s() - progress > 30) {
			fprintf(stderr, "batch: no result for 30 s (%ld of %ld)\n", done, events);
			return 1;
		}
	}
	double seconds = now_s() - start;
	printf("{\"events\":%ld,\"accepted\":%ld,\"deliveries\":%ld,\"seconds\":%.3f,\"per_second\":%.0f}\n", events, accepted,
			deliveries, seconds, (double)events / seconds);
	return 0;
}
