/* Streams price ticks as NDJSON into POST /v1/market/asks, one request per connection, as fast as they are read.
 *
 *   ticks SERVER_PORT KEY TICKS CONNECTIONS ITEMS PROVIDERS LOW HIGH short|full
 *
 * Tick by tick a random item and provider. The price lies between LOW and HIGH per mille of the item's own, which is
 * 1000 + id · 7919 mod 99000 cents. "short" lines hold what is looked at, "full" ones are records as the original API serves them.
 * The lines are made beforehand and sent again in turn. Prints {"ticks", "accepted", "bytes", "seconds", "per_second"} when every
 * request has its answer. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, LINES = 400000, LINE_MAX_LEN = 512, WRITE_MAX = 1 << 18 };

struct stream {
	long next, left;            /* lines not yet begun: index of the first, how many */
	size_t at, end;             /* of `text`: what is being written */
	char answer[4096];
	size_t answer_len;
	int done;
};

static char *text;                  /* LINES lines */
static size_t start_of[LINES + 1];
static uint64_t seed = 88172645463325252u;

static uint64_t dice(uint64_t n)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (seed >> 11) % n;
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int line(char *to, int full, long items, int providers, long low, long high)
{
	long item = 1 + (long)dice((uint64_t)items), own = 1000 + item * 7919 % 99000;
	int provider = (int)dice((uint64_t)providers);
	long cents = own * (low + (long)dice((uint64_t)(high - low + 1))) / 1000;
	if (!full)
		return sprintf(to, "{\"item_id\":%ld,\"provider\":\"market%d\",\"lowest_ask\":%ld,\"quantity\":%d,"
				"\"link\":\"https://market%d.example/listing/730/%ld\"}\n", item, provider, cents, 1 + (int)dice(40),
				provider, item);
	return sprintf(to, "{\"provider\":\"market%d\",\"item_id\":%ld,\"market_hash_name\":\"AK-47 | Pattern %ld (Field-Tested)\","
			"\"phase\":null,\"lowest_ask\":%ld,\"lowest_ask_decimal\":\"%ld.%02ld\",\"quantity\":%d,"
			"\"link\":\"https://market%d.example/listing/730/%ld\",\"url\":null,\"timestamp\":\"2026-04-12T18:%02d:%02dZ\","
			"\"last_updated\":\"2026-04-12T18:59:59Z\"}\n", provider, item, item, cents, cents / 100, cents % 100,
			1 + (int)dice(40), provider, item, (int)dice(60), (int)dice(60));
}

/* Bytes of n lines from `first` on, around the end. */
static size_t bytes_of(long first, long n)
{
	size_t whole = (size_t)(n / LINES) * start_of[LINES];
	n %= LINES;
	if (first + n <= LINES)
		return whole + start_of[first + n] - start_of[first];
	return whole + start_of[LINES] - start_of[first] + start_of[first + n - LINES];
}

static int tcp(const char *port, const char *key, size_t body)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		perror("ticks");
		exit(1);
	}
	dprintf(fd, "POST /v1/market/asks HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
			"Content-Type: application/x-ndjson\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", key, body);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void write_some(int fd, struct stream *s, short *events)
{
	while (s->at < s->end || s->left > 0) {
		if (s->at == s->end) {
			long n = 0;
			while (n < s->left && s->next + n < LINES && start_of[s->next + n] - start_of[s->next] < WRITE_MAX)
				n++;
			s->at = start_of[s->next];
			s->end = start_of[s->next + n];
			s->left -= n;
			s->next = (s->next + n) % LINES;
		}
		ssize_t sent = write(fd, text + s->at, s->end - s->at);
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0) {
			perror("ticks: write");
			exit(1);
		}
		s->at += (size_t)sent;
	}
	*events = POLLIN;
}

static long read_some(int fd, struct stream *s)
{
	ssize_t n;
	while ((n = read(fd, s->answer + s->answer_len, sizeof(s->answer) - 1 - s->answer_len)) > 0)
		s->answer_len += (size_t)n;
	if (n < 0 && errno == EAGAIN)
		return 0;
	const char *accepted = strstr(s->answer, "\"accepted\":");
	s->done = 1;
	if (strncmp(s->answer, "HTTP/1.1 200", 12) || !accepted || s->left) {
		fprintf(stderr, "ticks: refused: %.300s\n", s->answer);
		exit(1);
	}
	return strtol(accepted + 11, NULL, 10);
}

int main(int argc, char **argv)
{
	if (argc != 10 || atoi(argv[4]) < 1 || atoi(argv[4]) > CONNECTIONS_MAX) {
		fprintf(stderr, "usage: ticks SERVER_PORT KEY TICKS CONNECTIONS ITEMS PROVIDERS LOW HIGH short|full\n");
		return 2;
	}
	long ticks = atol(argv[3]), accepted = 0;
	size_t bytes = 0;
	int n = atoi(argv[4]), open = n;
	text = malloc((size_t)LINES * LINE_MAX_LEN);
	for (long i = 0; i < LINES; i++)
		start_of[i + 1] = start_of[i] + (size_t)line(text + start_of[i], !strcmp(argv[9], "full"), atol(argv[5]), atoi(argv[6]),
				atol(argv[7]), atol(argv[8]));
	static struct stream s[CONNECTIONS_MAX];
	struct pollfd p[CONNECTIONS_MAX];
	double start = now_s();
	for (int i = 0; i < n; i++) {
		s[i].left = ticks / n + (i < ticks % n);
		s[i].next = i * (long)LINES / n;
		size_t body = bytes_of(s[i].next, s[i].left);
		bytes += body;
		p[i] = (struct pollfd){ .fd = tcp(argv[1], argv[2], body), .events = POLLIN | POLLOUT };
	}
	while (open > 0) {
		if (poll(p, (nfds_t)n, 30000) <= 0) {
			fprintf(stderr, "ticks: nothing happened for 30 s\n");
			return 1;
		}
		for (int i = 0; i < n; i++) {
			if (p[i].revents & POLLOUT)
				write_some(p[i].fd, &s[i], &p[i].events);
			if (!(p[i].revents & (POLLIN | POLLHUP | POLLERR)))
				continue;
			accepted += read_some(p[i].fd, &s[i]);
			if (s[i].done) {
				close(p[i].fd);
				p[i].fd = -1;
				open--;
			}
		}
	}
	double took = now_s() - start;
	printf("{\"ticks\": %ld, \"accepted\": %ld, \"bytes\": %zu, \"seconds\": %.3f, \"per_second\": %.0f}\n", ticks, accepted, bytes, took,
			(double)ticks / took);
	return 0;
}
