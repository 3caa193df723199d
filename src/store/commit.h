/* Group commit. Commands are made on the loop, applied on the storage thread, and told to be durable on the loop again.
 * Whatever waits while one transaction syncs goes into the next one: no timer.
 *
 *   loop: hl_commit_submit ─► (end of the loop turn) ─► storage thread: begin, apply × n, commit (fsync)
 *   loop: on_batch, done × n ◄──────────────────────── wake-up
 */
#ifndef HL_STORE_COMMIT_H
#define HL_STORE_COMMIT_H

#include "base/list.h"
#include "store/store.h"
#include <uv.h>

/* Within a batch and when choosing one: outcomes before all else. */
enum hl_priority { HL_PRIO_OUTCOME, HL_PRIO_API, HL_PRIO_PUBLISH, HL_PRIO_JOB, HL_PRIO_N };

struct hl_command {
	struct hl_list link;          /* the commit's while submitted */
	enum hl_priority priority;
	bool grows;                   /* adds data: refused with HL_EFULL while the store or the disk is full */
	uint32_t bytes;               /* about how much it writes */
	/* Storage thread. Checks first, then writes; an HL_E* after writing aborts the batch, which runs again without this
	 * command. May run more than once, so it keeps results in the command only and computes them anew each time. */
	int (*apply)(struct hl_command *c, struct hl_txn *txn);
	/* Loop thread, after the commit: 0, what apply returned, HL_EFULL, HL_EFATAL. The command is the caller's again. */
	void (*done)(struct hl_command *c, int status);
	int status;                   /* the commit's */
};

struct hl_commit_options {
	bool threaded;                /* false: hl_commit_step runs the batches (tests, simulator); loop may be NULL then */
	uint32_t max_commands;        /* per batch; 0 = 4096 */
	uint64_t max_bytes;           /* per batch; 0 = 16 MiB */
	void (*on_batch)(void *data); /* loop, before the first done of a batch: the read transaction was reset */
	void (*on_fatal)(void *data, const struct hl_err *err); /* loop, once, before the done calls of the lost batch */
	void *data;
};

struct hl_commit_stats {
	uint64_t commits;             /* transactions committed */
	uint64_t commands;            /* commands in them */
	uint64_t reruns;              /* batches run again without a command */
	uint64_t refused_full;        /* commands refused with HL_EFULL before apply */
	struct hl_histogram duration; /* begin to durable */
};

struct hl_commit;
HL_MUST_CHECK int hl_commit_open(struct hl_commit **out, uv_loop_t *loop, struct hl_store *s,
		const struct hl_commit_options *o, struct hl_err *err);
/* Never fails: a command that cannot be stored gets its status in done. Not before the call returned. */
void hl_commit_submit(struct hl_commit *c, struct hl_command *cmd);
/* Hands over what was submitted in this turn now: for callers that run after the loop's prepare phase began (a prepare
 * handle started inside it would only run in the next turn, after the loop has slept). Loop thread. */
void hl_commit_flush(struct hl_commit *c);
/* Commands submitted whose done has not been called. */
size_t hl_commit_backlog(const struct hl_commit *c);
uint64_t hl_commit_backlog_bytes(const struct hl_commit *c);
const struct hl_commit_stats *hl_commit_stats(const struct hl_commit *c); /* loop thread */
/* Commits everything submitted, calls every done, ends the thread, frees c, then calls cb. Submit nothing after it. Not
 * threaded: does all that before it returns. */
void hl_commit_close(struct hl_commit *c, void (*cb)(void *data), void *data);
/* Not threaded: runs one batch and its callbacks; false when nothing waited. */
bool hl_commit_step(struct hl_commit *c);
/* The same in two halves, so that a test can let the loop run while a batch is durable and nobody was told. */
bool hl_commit_run(struct hl_commit *c);
bool hl_commit_tell(struct hl_commit *c);

#endif
