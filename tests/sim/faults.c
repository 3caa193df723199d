/* What the simulator puts between the engine and the system, besides the disk. */
#include "sim.h"

#include <stdlib.h>

/* The hash of the maps decides in which order a walk sees the queues: the same in every run, so that a seed repeats itself. */
ssize_t sim_getrandom(void *buf, size_t n, unsigned flags)
		__asm__("getrandom") __attribute__((visibility("default")));
ssize_t sim_getrandom(void *buf, size_t n, unsigned flags)
{
	(void)flags;
	memset(buf, 0x5a, n);
	return (ssize_t)n;
}

/* ---- memory, while a batch is applied ---- */

static unsigned percent;
static uint64_t dice;
static unsigned countdown;       /* the n-th allocation from now on fails; 0 = none */

void sim_faults(unsigned percent_of_batches, uint64_t seed)
{
	percent = percent_of_batches;
	dice = seed;
}

static unsigned roll(unsigned n)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((dice >> 33) % n);
}

static bool fails(void)
{
	return countdown && --countdown == 0;
}

/* Late batches only: hl_commit_step calls its own. */
bool __real_hl_commit_run(struct hl_commit *c);
bool __wrap_hl_commit_run(struct hl_commit *c);
bool __wrap_hl_commit_run(struct hl_commit *c)
{
	countdown = percent && roll(100) < percent ? 1 + roll(roll(2) ? 4 : 40) : 0;
	bool any = __real_hl_commit_run(c);
	countdown = 0;
	return any;
}

/* ---- jobs ---- */

/* Slices are cut small at random, so that jobs and index runs are met half done. */
static uint32_t cut(uint32_t budget_us)
{
	return roll(2) ? budget_us : 1 + roll(200);
}

int __real_hl_job_step(struct hl_txn *txn, struct hl_job_row *job, hl_ms_t now_ms, uint32_t budget_us, struct hl_job_result *out);
int __wrap_hl_job_step(struct hl_txn *txn, struct hl_job_row *job, hl_ms_t now_ms, uint32_t budget_us, struct hl_job_result *out);
int __wrap_hl_job_step(struct hl_txn *txn, struct hl_job_row *job, hl_ms_t now_ms, uint32_t budget_us, struct hl_job_result *out)
{
	return __real_hl_job_step(txn, job, now_ms, cut(budget_us), out);
}

int __real_hl_index_step(struct hl_txn *txn, struct hl_index_run *run, uint64_t min_rows, uint32_t budget_us, bool *out_done);
int __wrap_hl_index_step(struct hl_txn *txn, struct hl_index_run *run, uint64_t min_rows, uint32_t budget_us, bool *out_done);
int __wrap_hl_index_step(struct hl_txn *txn, struct hl_index_run *run, uint64_t min_rows, uint32_t budget_us, bool *out_done)
{
	return __real_hl_index_step(txn, run, min_rows, cut(budget_us), out_done);
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

void *sim_realloc(void *p, size_t n)
{
	return __real_realloc(p, n);
}
