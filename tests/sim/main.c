/* The simulator: runs of the dispatcher on virtual time, one for each seed (workload.c).
 *
 *   sim --seeds N [--from M] [--jobs J]   seeds M … M + N - 1; at the first that fails: its number, and how to see it
 *   sim --seed N [--trace]                one, with everything that happens on stdout
 *   sim --scenario [--seed N]             two days with 1,000 webhooks (scenario.c)
 *   sim … --hashes                        prints the hash of each run: two runs of one seed have the same
 *
 * Jobs are processes; job j takes the seeds that leave j when divided by J. What a job is at stands in memory shared with the
 * parent, so that a seed that ends in an abort is known too. */
#include "sim.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { JOBS_MAX = 256 };

struct orders {
	uint64_t from, n;
	unsigned jobs;
	bool trace, hashes, scenario;
};

struct progress {
	uint64_t at, done;
};

static struct progress *progress;  /* of each job; shared */

static void work(const struct orders *o, unsigned job)
{
	for (uint64_t i = job; i < o->n; i += o->jobs) {
		progress[job].at = o->from + i;
		uint64_t hash = (o->scenario ? sim_scenario : sim_run)(o->from + i, o->trace);
		progress[job].done++;
		if (o->hashes) {
			printf("%llu %016llx\n", (unsigned long long)(o->from + i), (unsigned long long)hash);
			fflush(stdout);
		}
	}
}

static double now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Waits for all; at the first that fails the others are ended. Returns the job that failed, -1 = none. */
static int wait_all(pid_t *pids, unsigned jobs)
{
	int failed = -1;
	for (unsigned left = jobs; left > 0; left--) {
		int status;
		pid_t pid = wait(&status);
		for (unsigned j = 0; j < jobs; j++) {
			if (pids[j] != pid)
				continue;
			pids[j] = 0;
			if (failed < 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
				failed = (int)j;
		}
		for (unsigned j = 0; failed >= 0 && j < jobs; j++)
			if (pids[j])
				kill(pids[j], SIGTERM);
	}
	return failed;
}

static int run(const struct orders *o)
{
	pid_t pids[JOBS_MAX];
	double start = now_s();
	progress = mmap(NULL, sizeof(*progress) * JOBS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		abort();
	for (unsigned j = 0; j < o->jobs; j++) {
		pids[j] = fork();
		if (pids[j] < 0)
			abort();
		if (pids[j] == 0) {
			work(o, j);
			exit(0);
		}
	}
	int failed = wait_all(pids, o->jobs);
	uint64_t done = 0;
	for (unsigned j = 0; j < o->jobs; j++)
		done += progress[j].done;
	double s = now_s() - start;
	fprintf(stderr, "%llu seeds in %.1f s: %.0f a minute and job\n", (unsigned long long)done, s,
			(double)done * 60 / s / o->jobs);
	if (failed < 0)
		return 0;
	fprintf(stderr, "seed %llu FAILED; see it: tests/sim/run --seed %llu --trace\n", (unsigned long long)progress[failed].at,
			(unsigned long long)progress[failed].at);
	return 1;
}

static int usage(void)
{
	fprintf(stderr, "usage: sim --seeds N [--from M] [--jobs J] | --seed N [--trace] | --scenario; --hashes\n");
	return 2;
}

static bool number(const char *text, uint64_t *out)
{
	char *end;
	errno = 0;
	*out = text ? strtoull(text, &end, 10) : 0;
	return text && *text && !*end && !errno;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0); /* an abort loses nothing */
	struct orders o = { .from = 1, .n = 1, .jobs = 1 };
	uint64_t jobs;
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *v = argv[i + 1];
		if (!strcmp(a, "--trace"))
			o.trace = true;
		else if (!strcmp(a, "--scenario"))
			o.scenario = true;
		else if (!strcmp(a, "--hashes"))
			o.hashes = true;
		else if (!strcmp(a, "--seeds") && number(v, &o.n))
			i++;
		else if ((!strcmp(a, "--from") || !strcmp(a, "--seed")) && number(v, &o.from))
			i++;
		else if (!strcmp(a, "--jobs") && number(v, &jobs) && jobs > 0 && jobs <= JOBS_MAX) {
			o.jobs = (unsigned)jobs;
			i++;
		} else
			return usage();
	}
	return run(&o);
}
