/* Power cuts: what a trace of the server's disk (trace.h) allows the disk to hold at each moment, and what an acknowledged
 * change asks of it.
 *
 *   disk.c    the trace, and the files as the disk must hold them at one place of it: what was flushed, and what hangs
 *   judge.c   opens a directory with the real store and compares it with what was acknowledged
 *   power.c   which states are tried, and the count */
#ifndef HL_TEST_POWER_H
#define HL_TEST_POWER_H

#include "trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- disk.c ---- */

enum { SECTOR = 512, FILES_MAX = 32, NAMES_MAX = 64, PATH_CAP = 64 };

struct op {
	enum trace_op kind;
	char path[PATH_CAP];
	uint64_t at, len;
	const uint8_t *data;
	uint64_t data_len;
};

/* Contents, whatever name leads to them. */
struct file {
	uint8_t *bytes;               /* as flushed */
	uint64_t size, cap;
};

/* A change that was not flushed yet. Of contents: one sector's part of a write, or a truncation. Of names: the whole. */
struct pending {
	uint64_t op;                  /* index in the trace */
	int file;                     /* of contents; -1 = of names */
	uint64_t at, len;             /* of contents; truncation: at = size, len = 0 */
	const uint8_t *data;
};

struct name {
	char path[PATH_CAP];
	int file;
};

struct disk {
	struct op *ops;
	uint64_t n_ops, next;         /* ops before `next` have happened */
	struct file files[FILES_MAX];
	int n_files;
	struct name now[NAMES_MAX], flushed[NAMES_MAX];
	int n_now, n_flushed;
	struct pending *pending;      /* oldest first */
	size_t n_pending, cap_pending;
	bool dir_flushed;             /* the directory's own name */
	/* what WORK/d holds: the files as flushed, under these names */
	char work[4000];
	bool laid;                    /* WORK/d equals `flushed`, but for what a state added */
	uint64_t n_bytes;             /* written by the server in all */
};

void disk_load(struct disk *d, const char *trace, const char *work);
/* The disk held these files of `dir` before the first op. */
void disk_begin_with(struct disk *d, const char *dir);
/* Lets the next op happen. */
void disk_step(struct disk *d);
/* Makes WORK/d one state: what was flushed, and of what hangs those with chosen[i]. Of changes of names the first n_names. */
void disk_lay(struct disk *d, const uint8_t *chosen, size_t n_names);
/* As it was before disk_lay. */
void disk_lift(struct disk *d, const uint8_t *chosen);
size_t disk_pending_names(const struct disk *d);
/* Whether the file `path`, with everything that hangs, is what is in `real`. */
bool disk_equals(struct disk *d, const char *path, const char *real);

/* ---- judge.c ---- */

enum verdict { GOOD, LOST, DAMAGED, UNOPENABLE, ODD, CRASHED, HUNG, VERDICT_N };

/* What was asked for and acknowledged, per thing: its values in the order they were asked for, and from which op of the trace
 * on at least the n-th of them must be there. */
void judge_load(const char *expectations);
/* Opens `dir` as `hookline check` does. at: ops that had happened. why: one line. */
enum verdict judge(const char *dir, uint64_t at, char *why, size_t why_cap);
/* Opens a copy of dir in `copy` as the server does, stores something more and judges it again. */
enum verdict judge_going_on(const char *dir, const char *copy, uint64_t at, char *why, size_t why_cap);
uint64_t judge_acknowledged(uint64_t at); /* how many acknowledgements there were before op `at` */

#endif
