/* Tries the states a power cut could have left, at every place of a trace:
 *
 *   power TRACE EXPECTATIONS WORK [--states N] [--seed N] [--same DATA] [--before DIR] [--tail N] [--first N]
 *         [--list]
 *
 * WORK is a directory in memory. Some N states are spread evenly over the trace. With three pieces or fewer hanging every
 * combination is tried; with more: nothing of it, all of it, all but one, one alone, the newest write torn, and random halves,
 * by write and by sector. Every eighth state is also opened for writing and used, and so is one that cannot be read before
 * anything was acknowledged: the server would make the store anew. --same: the file the server left must be what the trace
 * says. --before: what the disk held at first, of an older format, which only opening for writing brings here. --tail:
 * cuts only at the last N places. --first: stop after so many states that are not good. --list: every bad one on stderr.
 *
 * A state may make LMDB read wild pages and kill the reader, so a child looks and the parent counts; a new child goes on
 * behind the state that killed it. Prints one line; exit 0 if every state was good. */
#include "power.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL = 3, PATIENCE_S = 20, GO_ON_EVERY = 8, KINDS = 8 };

/* Shared by parent and child. */
struct progress {
	uint64_t state;               /* being looked at, or about to be */
	uint64_t cuts, tried, written;
	uint64_t count[VERDICT_N];
	char first[400];              /* what the first bad state was */
	bool done;
};

static struct progress *progress;
static struct disk disk;
static char dir[4100], copy_dir[4100];
static uint64_t seed, skip_to, stop_after, tail;
static bool list;
static const char *before;

static const char *const verdict_names[VERDICT_N] = { "good", "lost", "damaged", "unopenable", "odd", "crashed", "hung" };

static uint64_t dice_state;

static uint64_t dice(uint64_t n)
{
	uint64_t z = dice_state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % n;
}

static void count(enum verdict v, uint64_t op, const char *why)
{
	progress->count[v]++;
	if (v != GOOD && list)
		fprintf(stderr, "state %llu, op %llu: %s: %s\n", (unsigned long long)progress->state, (unsigned long long)op, verdict_names[v], why);
	if (v != GOOD && !progress->first[0])
		snprintf(progress->first, sizeof(progress->first), "state %llu, op %llu: %s: %.300s", (unsigned long long)progress->state,
				(unsigned long long)op, verdict_names[v], why);
}

static uint64_t bad(void)
{
	uint64_t n = 0;
	for (int v = GOOD + 1; v < VERDICT_N; v++)
		n += progress->count[v];
	return n;
}

/* ---- which parts of what hangs ------------------------------------------------------------------------------------ */

static void choose(uint8_t *chosen, size_t n, int kind)
{
	const struct pending *p = disk.pending;
	static const uint64_t chances[] = { 10, 50, 90 };
	uint64_t chance = chances[dice(3)], newest = n ? p[n - 1].op : 0, op = UINT64_MAX;
	bool in = false;
	memset(chosen, kind == 1 || kind == 2, n);
	for (size_t i = 0; i < n; i++) {
		if (kind == 4)
			chosen[i] = p[i].op != newest || dice(2);      /* the newest write torn */
		else if (kind == 5)
			chosen[i] = dice(100) < chance;                /* sectors */
		else if (kind >= 6 && p[i].op != op)
			in = dice(100) < chance;
		if (kind >= 6)
			chosen[i] = in;                                /* whole writes */
		op = p[i].op;
	}
	if (n && kind == 2)
		chosen[dice(n)] = 0;
	if (n && kind == 3)
		chosen[dice(n)] = 1;
}

/* ---- one state ---------------------------------------------------------------------------------------------------- */

static void try(const uint8_t *chosen, size_t names)
{
	char why[300] = "";
	uint64_t number = progress->state;
	if (number >= skip_to) {
		disk_lay(&disk, chosen, names);
		alarm(PATIENCE_S);
		enum verdict v = judge(dir, disk.next, why, sizeof(why));
		if ((v == GOOD && number % GO_ON_EVERY == 0) || (v == UNOPENABLE && (before || judge_acknowledged(disk.next) == 0))) {
			v = judge_going_on(dir, copy_dir, disk.next, why, sizeof(why));
			progress->written++;
		}
		alarm(0);
		disk_lift(&disk, chosen);
		progress->tried++;
		count(v, disk.next, why);
		if (stop_after && bad() >= stop_after) {
			progress->done = true;
			_exit(0);
		}
	}
	progress->state++;
}

static void try_all(size_t n, uint8_t *chosen)
{
	size_t names = disk_pending_names(&disk);
	for (unsigned bits = 0; bits < 1u << n; bits++)
		for (size_t k = 0; k <= names; k++) {
			for (size_t i = 0; i < n; i++)
				chosen[i] = bits >> i & 1;
			try(chosen, k);
		}
}

/* A place of the trace: a cut just before its next op. per_cut: how many states it may cost. */
static void cut(double per_cut)
{
	static uint8_t *chosen;
	static size_t cap;
	size_t n = disk.n_pending;
	if (n > cap) {
		cap = 2 * n;
		chosen = realloc(chosen, cap);
	}
	dice_state = seed * 1000003 + disk.next;
	progress->cuts++;
	if (n <= SMALL) {
		try_all(n, chosen ? chosen : (uint8_t *)"");
		return;
	}
	double budget = per_cut + (double)dice(1000) / 1000.0;
	for (int k = 0; k < (int)budget; k++) {
		/* few: any of them; many: each in turn, then random ones */
		int kind = budget >= KINDS ? (k < KINDS ? k : 5 + k % 2) : (int)dice(KINDS);
		choose(chosen, n, kind);
		try(chosen, dice(disk_pending_names(&disk) + 1));
	}
}

/* Whether a cut before the next op is one of its own: something new hangs, was flushed or was acknowledged. */
static bool own(uint64_t last_acknowledged)
{
	enum trace_op last = disk.next ? disk.ops[disk.next - 1].kind : 0;
	return last != TRACE_CLOSE && (last != TRACE_ANSWER || judge_acknowledged(disk.next) != last_acknowledged);
}

static uint64_t n_cuts(void)
{
	uint64_t n = 1;
	for (uint64_t i = 0; i < disk.n_ops; i++)
		n += disk.ops[i].kind != TRACE_CLOSE;
	return n;
}

static void walk(uint64_t states)
{
	uint64_t from = tail ? disk.n_ops : 0;
	double per_cut = (double)states / (double)(tail ? tail : n_cuts());
	uint64_t acknowledged = 0;
	progress->state = progress->cuts = 0;
	for (;;) {
		if (disk.next + tail >= from && own(acknowledged))
			cut(per_cut);
		acknowledged = judge_acknowledged(disk.next);
		if (disk.next == disk.n_ops)
			break;
		disk_step(&disk);
	}
	progress->done = true;
}

static void load(const char *trace, const char *work)
{
	disk_load(&disk, trace, work);
	if (before)
		disk_begin_with(&disk, before);
}

/* ---- parent and child --------------------------------------------------------------------------------------------- */

static void look_after(const char *trace, const char *work, uint64_t states)
{
	while (!progress->done) {
		int status;
		fflush(NULL);
		pid_t pid = fork();
		if (pid == 0) {
			load(trace, work);
			walk(states);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || (WIFEXITED(status) && WEXITSTATUS(status) == 2))
			exit(2);
		if (progress->done)
			break;
		progress->tried++;
		char why[64];
		snprintf(why, sizeof(why), "status %x", status);
		count(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? HUNG : CRASHED, 0, why);
		skip_to = progress->state + 1;
		if (stop_after && bad() >= stop_after)
			break;
	}
}

static int report(void)
{
	printf("cuts %llu, states %llu (%llu used for writing), acknowledged %llu", (unsigned long long)progress->cuts,
			(unsigned long long)progress->tried, (unsigned long long)progress->written,
			(unsigned long long)judge_acknowledged(UINT64_MAX));
	for (int v = GOOD + 1; v < VERDICT_N; v++)
		printf(", %s %llu", verdict_names[v], (unsigned long long)progress->count[v]);
	printf("\n");
	if (progress->first[0])
		printf("first: %s\n", progress->first);
	return bad() ? 1 : 0;
}

static int same(const char *trace, const char *work, const char *real)
{
	load(trace, work);
	while (disk.next < disk.n_ops)
		disk_step(&disk);
	printf("trace: %llu records, %llu bytes written\n", (unsigned long long)disk.n_ops, (unsigned long long)disk.n_bytes);
	if (disk_equals(&disk, "data.mdb", real))
		return 0;
	printf("the trace does not say what the file holds: something was written past it\n");
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "states", required_argument, NULL, 'n' }, { "seed", required_argument, NULL, 's' },
		{ "same", required_argument, NULL, 'e' }, { "first", required_argument, NULL, 'f' },
		{ "before", required_argument, NULL, 'b' },
		{ "tail", required_argument, NULL, 't' }, { "list", no_argument, NULL, 'l' }, { NULL, 0, NULL, 0 },
	};
	uint64_t states = 5000;
	const char *real = NULL;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'n')
			states = strtoull(optarg, NULL, 10);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 10);
		else if (c == 'f')
			stop_after = strtoull(optarg, NULL, 10);
		else if (c == 'l')
			list = true;
		else if (c == 't')
			tail = strtoull(optarg, NULL, 10);
		else if (c == 'b')
			before = optarg;
		else if (c == 'e')
			real = optarg;
		else
			return 2;
	}
	if (argc - optind != 3)
		return 2;
	const char *trace = argv[optind], *work = argv[optind + 2];
	snprintf(dir, sizeof(dir), "%s/d", work);
	snprintf(copy_dir, sizeof(copy_dir), "%s/w", work);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	judge_load(argv[optind + 1]);
	if (real && same(trace, work, real))
		return 1;
	look_after(trace, work, states);
	return report();
}
