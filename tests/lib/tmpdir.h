/* A directory of the test's own, removed with all that is in it.
 *
 *   struct tmpdir t;
 *   tmpdir_make(&t);                     // t.path, mode 0700, below $TMPDIR or /tmp
 *   char file[TMPDIR_PATH_CAP];
 *   tmpdir_path(&t, "data/key", file);
 *   tmpdir_remove(&t);
 *
 * The name is short on purpose: unix sockets allow 107 bytes. */
#ifndef HL_TEST_TMPDIR_H
#define HL_TEST_TMPDIR_H

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TMPDIR_PATH_CAP = 256 };

struct tmpdir {
	char path[TMPDIR_PATH_CAP];
};

static inline void tmpdir_make(struct tmpdir *t)
{
	const char *base = getenv("TMPDIR");
	if (!base || !*base || strlen(base) > 60)
		base = "/tmp";
	snprintf(t->path, sizeof(t->path), "%s/hlt-XXXXXX", base);
	if (!mkdtemp(t->path)) {
		perror(t->path);
		abort();
	}
}

static inline void tmpdir_path(const struct tmpdir *t, const char *name, char out[TMPDIR_PATH_CAP])
{
	if (snprintf(out, TMPDIR_PATH_CAP, "%s/%s", t->path, name) >= TMPDIR_PATH_CAP)
		abort();
}

static inline int tmpdir_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (kind == FTW_DP)
		return rmdir(path);
	return unlink(path);
}

static inline void tmpdir_remove(struct tmpdir *t)
{
	if (t->path[0] && nftw(t->path, tmpdir_remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		perror(t->path);
	t->path[0] = '\0';
}

/* Writes a whole file, replacing it; aborts on failure. */
static inline void tmpdir_write(const struct tmpdir *t, const char *name, const char *text)
{
	char file[TMPDIR_PATH_CAP];
	tmpdir_path(t, name, file);
	FILE *f = fopen(file, "w");
	if (!f || fputs(text, f) < 0 || fclose(f)) {
		perror(file);
		abort();
	}
}

#endif
