/* The time from publish to receiver, unloaded: publishes one event after the other over one kept connection and is the
 * receiver as well, so that one clock measures both.
 *
 *   probe LISTEN_PORT SERVER_PORT KEY COUNT [GAP_MS]
 *
 * The webhook must point to http://127.0.0.1:LISTEN_PORT/ and be the only one. Prints
 * {"n", "delivered_p50_ms", "delivered_p99_ms", "delivered_max_ms", "acked_p50_ms", "acked_p99_ms"}; acked: the 202. */
#define _GNU_SOURCE
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

enum { DATA = 900, CAP = 16384, PEERS = 60 };

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double quantile(double *v, int n, double q)
{
	qsort(v, (size_t)n, sizeof(*v), by_size);
	return n ? v[(int)((n - 1) * q)] : 0;
}

static int tcp(int port, bool server)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	struct sockaddr *at = (struct sockaddr *)&a;
	if (server ? bind(fd, at, sizeof(a)) || listen(fd, 64) : connect(fd, at, sizeof(a))) {
		perror("probe");
		exit(1);
	}
	return fd;
}

/* A webhook's request: true once it is whole; then it is answered. */
static bool receive(int fd, char *buf, size_t *len)
{
	ssize_t n = read(fd, buf + *len, CAP - 1 - *len);
	if (n <= 0) {
		*len = SIZE_MAX;
		return false;
	}
	*len += (size_t)n;
	buf[*len] = 0;
	char *end = strstr(buf, "\r\n\r\n"), *field = strcasestr(buf, "\r\ncontent-length:");
	if (!end || *len < (size_t)(end - buf) + 4 + (field ? strtoul(field + 17, NULL, 10) : 0))
		return false;
	static const char ok[] = "HTTP/1.1 204 No Content\r\n\r\n";
	*len = 0;
	return write(fd, ok, sizeof(ok) - 1) > 0;
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: probe LISTEN_PORT SERVER_PORT KEY COUNT [GAP_MS]\n");
		return 2;
	}
	int count = atoi(argv[4]), gap_ms = argc > 5 ? atoi(argv[5]) : 5, n_peers = 0;
	double *delivered = calloc((size_t)count, sizeof(double)), *acked = calloc((size_t)count, sizeof(double));
	static char request[4096], answer[CAP], buf[PEERS][CAP], data[DATA + 1];
	static size_t len[PEERS];
	struct pollfd p[2 + PEERS] = {
		{ .fd = tcp(atoi(argv[1]), true), .events = POLLIN },
		{ .fd = tcp(atoi(argv[2]), false), .events = POLLIN },
	};
	memset(data, 'x', DATA);
	int body = snprintf(NULL, 0, "{\"type\":\"bench.probe\",\"data\":{\"fill\":\"%s\"}}", data);
	int n = snprintf(request, sizeof(request), "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
			"Authorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{\"type\":\"bench.probe\",\"data\":{\"fill\":\"%s\"}}",
			argv[3], body, data);
	for (int i = 0; i < count; i++) {
		double start = now_ms();
		bool arrived = false, answered = false;
		if (write(p[1].fd, request, (size_t)n) != n)
			return 1;
		while (!arrived || !answered) {
			if (poll(p, (nfds_t)(2 + n_peers), 10000) <= 0 || now_ms() - start > 10000) {
				fprintf(stderr, "probe: event %d: %s within 10 s\n", i, arrived ? "no answer" : "not delivered");
				return 1;
			}
			if (p[0].revents && n_peers < PEERS) {
				p[2 + n_peers] = (struct pollfd){ .fd = accept(p[0].fd, NULL, NULL), .events = POLLIN };
				len[n_peers++] = 0;
			}
			if (p[1].revents) {
				ssize_t got = read(p[1].fd, answer, sizeof(answer) - 1);
				if (got <= 0 || memcmp(answer, "HTTP/1.1 202", 12)) {
					fprintf(stderr, "probe: publish was refused: %.*s\n", got > 0 ? (int)got : 0, answer);
					return 1;
				}
				acked[i] = now_ms() - start;
				answered = true;
			}
			for (int k = 0; k < n_peers; k++)
				if (p[2 + k].revents) {
					if (receive(p[2 + k].fd, buf[k], &len[k])) {
						delivered[i] = now_ms() - start;
						arrived = true;
					} else if (len[k] == SIZE_MAX) {
						close(p[2 + k].fd);
						p[2 + k].fd = -1; /* poll passes over it */
						len[k] = 0;
					}
				}
		}
		struct timespec gap = { gap_ms / 1000, gap_ms % 1000 * 1000000 };
		nanosleep(&gap, NULL);
	}
	double max = quantile(delivered, count, 1);
	printf("{\"n\":%d,\"delivered_p50_ms\":%.3f,\"delivered_p99_ms\":%.3f,\"delivered_max_ms\":%.3f,\"acked_p50_ms\":%.3f,"
			"\"acked_p99_ms\":%.3f}\n", count, quantile(delivered, count, .5), quantile(delivered, count, .99), max,
			quantile(acked, count, .5), quantile(acked, count, .99));
	return 0;
}
