/* Orders, one a line on standard input (it ends with its standard input):
 *
 *   hook INDEX FORMAT DIALECT MOOD CLASSES FLAGS NUMBER   flags: c counted, s steady, t strict; "-" none
 *   secret INDEX TEXT                        acknowledged in this life
 *   heal INDEX                               it answers as it should from now on; -1: all do
 *   server PORT UNIX_PATH KEY                where events go; port 0: only the socket
 *   publish on|off OUTSTANDING               new events, unless so many deliveries wait to be received
 *   refuse on|off                            the port that is shut
 *   life clean|killed                        the server's life ended so; the next begins
 *   life, report, judge, goods INDEX, sample N, alerts    each answered by one line of JSON
 *
 * Command line: crowd SEED EVENTS_MAX CONNECTIONS CERTIFICATE KEY. The first line it says is its ports. */
#include "crowd.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 2, LINE_MAX_LEN = 1024 };

static int ep;
static char line[LINE_MAX_LEN];
static size_t line_len;

int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void watch(struct source *s, uint32_t what, bool first)
{
	struct epoll_event e = { .events = what, .data.ptr = s };
	if (epoll_ctl(ep, first ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s->fd, &e)) {
		perror("crowd: epoll_ctl");
		exit(1);
	}
}

static int one_of(const char *word, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(word, names[i]) == 0)
			return i;
	fprintf(stderr, "crowd: \"%s\" is not known\n", word);
	exit(2);
}

static void order_hook(char **w)
{
	struct hook *k = &hooks[atoi(w[1]) % HOOKS_MAX];
	k->format = (enum format)one_of(w[2], format_names, FORMATS);
	k->dialect = (enum dialect)one_of(w[3], dialect_names, DIALECTS);
	k->mood = (enum mood)one_of(w[4], mood_names, MOODS);
	k->classes = (unsigned)atoi(w[5]);
	k->counted = strchr(w[6], 'c') != NULL;
	k->steady = strchr(w[6], 's') != NULL;
	k->strict = strchr(w[6], 't') != NULL;
	snprintf(k->number, sizeof(k->number), "%s", w[7]);
	if (!k->marks)
		k->marks = calloc(cap_events, sizeof(*k->marks));
	if (!k->marks)
		exit(1);
	k->used = true;
}

static void heal(int h)
{
	for (int i = 0; i < HOOKS_MAX; i++)
		if (h < 0 || h == i)
			hooks[i].healed = true;
}

static void put_goods(const struct hook *k)
{
	printf("{");
	for (uint32_t n = 0, first = 1; k->marks && n < n_events; n++) {
		if (!k->marks[n].goods)
			continue;
		printf("%s\"%u\":%u", first ? "" : ",", n, k->marks[n].goods);
		first = 0;
	}
	printf("}\n");
}

/* Some acknowledged events, for those who want to do something with them. */
static void put_sample(int want)
{
	printf("{");
	for (int i = 0, n_put = 0; i < 8 * want && n_put < want && n_events; i++) {
		uint32_t n = (uint32_t)(dice(5, (uint64_t)i, n_acked) % n_events);
		if (!events[n].acked)
			continue;
		printf("%s\"%u\":\"%.36s\"", n_put++ ? "," : "", n, events[n].id);
	}
	printf("}\n");
}

static void end_life(bool clean)
{
	receive_backlog(); /* connections nobody has looked at yet are of this life */
	lives[life_now].over = true;
	lives[life_now].clean = clean;
	life_now++;
	printf("{\"life\":%d}\n", life_now);
}

static void order(char *text)
{
	char *w[9] = { "" }, *rest = text;
	int n = 0;
	while (n < 9 && (w[n] = strsep(&rest, " ")) != NULL)
		n++;
	if (strcmp(w[0], "hook") == 0 && n == 8)
		order_hook(w);
	else if (strcmp(w[0], "secret") == 0 && n == 3 && secret_add(atoi(w[1]), life_now, w[2]))
		judge_again(atoi(w[1]));
	else if (strcmp(w[0], "heal") == 0 && n == 2)
		heal(atoi(w[1]));
	else if (strcmp(w[0], "server") == 0 && n == 4)
		publish_server(atoi(w[1]), w[2], w[3]);
	else if (strcmp(w[0], "publish") == 0 && n == 3)
		publish_switch(strcmp(w[1], "on") == 0, strtoul(w[2], NULL, 10));
	else if (strcmp(w[0], "refuse") == 0 && n == 2)
		receive_refuse(strcmp(w[1], "on") == 0);
	else if (strcmp(w[0], "life") == 0 && n == 2 && life_now < LIVES_MAX)
		end_life(strcmp(w[1], "clean") == 0);
	else if (strcmp(w[0], "report") == 0)
		book_report();
	else if (strcmp(w[0], "judge") == 0)
		book_judge();
	else if (strcmp(w[0], "goods") == 0 && n == 2)
		put_goods(&hooks[atoi(w[1]) % HOOKS_MAX]);
	else if (strcmp(w[0], "sample") == 0 && n == 2)
		put_sample(atoi(w[1]));
	else if (strcmp(w[0], "alerts") == 0)
		book_alerts();
	else
		one_of(text, NULL, 0);
	fflush(stdout);
}

static void on_input(struct source *s, uint32_t happened)
{
	(void)happened;
	ssize_t n = read(s->fd, line + line_len, sizeof(line) - 1 - line_len);
	if (n <= 0)
		exit(0);
	line_len += (size_t)n;
	for (char *eol; (eol = memchr(line, '\n', line_len)) != NULL;) {
		*eol = 0;
		size_t used = (size_t)(eol - line) + 1;
		order(line);
		line_len -= used;
		memmove(line, line + used, line_len);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	if (argc != 6) {
		fprintf(stderr, "usage: crowd SEED EVENTS_MAX CONNECTIONS CERTIFICATE KEY\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	seed = strtoull(argv[1], NULL, 10);
	ep = epoll_create1(EPOLL_CLOEXEC);
	book_init((uint32_t)atol(argv[2]));
	publish_init((unsigned)atoi(argv[3]));
	receive_init(argv[4], argv[5]);
	fflush(stdout);
	struct source input = { on_input, STDIN_FILENO };
	watch(&input, EPOLLIN, true);
	for (int64_t last = 0;;) {
		struct epoll_event happened[256];
		int n = epoll_wait(ep, happened, 256, TICK_MS);
		for (int i = 0; i < n; i++) {
			struct source *s = happened[i].data.ptr;
			if (s != &input)
				s->ready(s, happened[i].events);
		}
		for (int i = 0; i < n; i++)
			if (happened[i].data.ptr == &input)
				on_input(&input, 0); /* may close what others of this round speak of: last */
		int64_t now = now_ms();
		if (now == last)
			continue;
		last = now;
		receive_tick(now);
		publish_tick(now);
	}
}
