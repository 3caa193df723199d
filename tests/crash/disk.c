/* The disk a trace was recorded on. What a power cut leaves is what was flushed, and of everything else any part: contents sector
 * by sector in any combination, changes of names in their order (the file systems we know keep a journal of them), names and
 * contents independent of each other. A flush of a file covers its contents, one of a directory the names in it; each covers
 * only what was there when it began. */
#include "power.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "power: %s %s\n", what, detail);
	exit(2);
}

/* ---- the trace ---- */

void disk_load(struct disk *d, const char *trace, const char *work)
{
	struct stat st;
	uint64_t start = 0;
	int fd = open(trace, O_RDONLY);
	if (fd < 0 || fstat(fd, &st) || st.st_size == 0)
		die("no trace", trace);
	const uint8_t *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0), *end = p + st.st_size;
	close(fd);
	*d = (struct disk){ .n_ops = 0 };
	snprintf(d->work, sizeof(d->work), "%s", work);
	d->ops = calloc((size_t)st.st_size / sizeof(struct trace_record) + 1, sizeof(*d->ops));
	while ((size_t)(end - p) >= sizeof(struct trace_record)) {
		struct trace_record r;
		memcpy(&r, p, sizeof(r));
		p += sizeof(r);
		if (r.magic != TRACE_MAGIC || r.path_len >= PATH_CAP || r.path_len + r.data_len > (uint64_t)(end - p))
			die("damaged trace", trace);
		if (r.op == TRACE_START)
			start = d->n_ops; /* each process counts from 0 */
		struct op *op = &d->ops[d->n_ops++];
		*op = (struct op){ .kind = r.op, .at = r.at, .len = r.len, .data = p + r.path_len, .data_len = r.data_len };
		memcpy(op->path, p, r.path_len);
		if (r.op == TRACE_FLUSH)
			op->at += start;
		p += r.path_len + r.data_len;
		d->n_bytes += r.op == TRACE_WRITE ? r.data_len : 0;
	}
	if (p != end)
		die("cut trace", trace);
}

/* ---- names ---- */

static int find(const struct name *names, int n, const char *path)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i].path, path) == 0)
			return i;
	return -1;
}

static void set(struct name *names, int *n, const char *path, int file)
{
	int i = find(names, *n, path);
	if (i < 0 && *n == NAMES_MAX)
		die("too many names", path);
	if (i < 0)
		i = (*n)++;
	names[i].file = file;
	snprintf(names[i].path, PATH_CAP, "%s", path);
}

static void drop(struct name *names, int *n, const char *path)
{
	int i = find(names, *n, path);
	if (i >= 0)
		names[i] = names[--*n];
}

static int file_of(struct disk *d, const char *path)
{
	int i = find(d->now, d->n_now, path);
	if (i < 0)
		die("a write to a file nobody made:", path);
	return d->now[i].file;
}

/* Carries out one change of names. */
static void rename_in(struct name *names, int *n, const struct op *op, int file)
{
	char to[PATH_CAP];
	if (op->kind == TRACE_CREATE) {
		set(names, n, op->path, file);
	} else if (op->kind == TRACE_REMOVE) {
		drop(names, n, op->path);
	} else {
		int i = find(names, *n, op->path);
		int moved = i < 0 ? file : names[i].file;
		snprintf(to, sizeof(to), "%.*s", (int)op->data_len, (const char *)op->data);
		drop(names, n, op->path);
		set(names, n, to, moved);
	}
}

/* ---- contents ---- */

static void grow(struct file *f, uint64_t size)
{
	if (size > f->cap) {
		uint64_t cap = size * 2;
		f->bytes = realloc(f->bytes, cap);
		memset(f->bytes + f->cap, 0, cap - f->cap);
		f->cap = cap;
	}
	if (size > f->size)
		f->size = size;
}

static void apply(struct file *f, const struct pending *p)
{
	if (!p->data) {
		if (p->at < f->size)
			memset(f->bytes + p->at, 0, f->size - p->at);
		grow(f, p->at);
		f->size = p->at;
		return;
	}
	grow(f, p->at + p->len);
	memcpy(f->bytes + p->at, p->data, p->len);
}

static void hang(struct disk *d, struct pending p)
{
	if (d->n_pending == d->cap_pending) {
		d->cap_pending = d->cap_pending ? 2 * d->cap_pending : 4096;
		d->pending = realloc(d->pending, d->cap_pending * sizeof(*d->pending));
	}
	d->pending[d->n_pending++] = p;
}

static void write_hangs(struct disk *d, const struct op *op, int file)
{
	for (uint64_t at = op->at, end = op->at + op->data_len; at < end;) {
		uint64_t stop = (at / SECTOR + 1) * SECTOR;
		stop = stop < end ? stop : end;
		hang(d, (struct pending){ .op = d->next, .file = file, .at = at, .len = stop - at, .data = op->data + (at - op->at) });
		at = stop;
	}
}

void disk_begin_with(struct disk *d, const char *dir)
{
	static const char *const names[] = { "data.mdb", "key" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[4200];
		struct stat st;
		struct file *f = &d->files[d->n_files];
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		int fd = open(path, O_RDONLY);
		if (fd < 0 || fstat(fd, &st))
			die("cannot read", path);
		grow(f, (uint64_t)st.st_size);
		if (read(fd, f->bytes, (size_t)st.st_size) != st.st_size)
			die("cannot read", path);
		close(fd);
		set(d->now, &d->n_now, names[i], d->n_files);
		set(d->flushed, &d->n_flushed, names[i], d->n_files++);
	}
	d->dir_flushed = true;
}

/* Takes what `which` says from what hangs, in order, to the disk. */
static void settle(struct disk *d, bool (*which)(const struct disk *d, const struct pending *p, const struct op *flush))
{
	const struct op *flush = &d->ops[d->next];
	size_t kept = 0;
	for (size_t i = 0; i < d->n_pending; i++) {
		struct pending *p = &d->pending[i];
		if (!which(d, p, flush))
			d->pending[kept++] = *p;
		else if (p->file >= 0)
			apply(&d->files[p->file], p);
		else
			rename_in(d->flushed, &d->n_flushed, &d->ops[p->op], (int)p->at);
	}
	if (kept < d->n_pending)
		d->laid = false;
	d->n_pending = kept;
}

static bool of_file(const struct disk *d, const struct pending *p, const struct op *flush)
{
	return p->file >= 0 && p->op < flush->at && p->file == d->now[find(d->now, d->n_now, flush->path)].file;
}

static bool of_range(const struct disk *d, const struct pending *p, const struct op *flush)
{
	return p->file >= 0 && p->data && p->file == d->now[find(d->now, d->n_now, flush->path)].file && p->at >= flush->at &&
			p->at + p->len <= flush->at + flush->len;
}

/* The directory a path lies in. */
static size_t dir_len(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) : 0;
}

static bool of_dir(const struct disk *d, const struct pending *p, const struct op *flush)
{
	if (p->file >= 0 || p->op >= flush->at)
		return false;
	const struct op *op = &d->ops[p->op];
	char to[PATH_CAP];
	snprintf(to, sizeof(to), "%s", op->path);
	if (op->kind == TRACE_RENAME)
		snprintf(to, sizeof(to), "%.*s", (int)op->data_len, (const char *)op->data);
	return dir_len(to) == strlen(flush->path) && strncmp(to, flush->path, dir_len(to)) == 0;
}

static bool is_dir(const struct disk *d, const char *path)
{
	return find(d->now, d->n_now, path) < 0;
}

static void name_hangs(struct disk *d, const struct op *op)
{
	int file = op->kind == TRACE_CREATE ? d->n_files++ : file_of(d, op->path);
	if (d->n_files > FILES_MAX)
		die("too many files", op->path);
	rename_in(d->now, &d->n_now, op, file);
	hang(d, (struct pending){ .op = d->next, .file = -1, .at = (uint64_t)file });
}

void disk_step(struct disk *d)
{
	const struct op *op = &d->ops[d->next];
	switch (op->kind) {
	case TRACE_WRITE: write_hangs(d, op, file_of(d, op->path)); break;
	case TRACE_TRUNCATE: hang(d, (struct pending){ .op = d->next, .file = file_of(d, op->path), .at = op->at }); break;
	case TRACE_FLUSH_RANGE: settle(d, of_range); break;
	case TRACE_CREATE: case TRACE_RENAME: case TRACE_REMOVE: name_hangs(d, op); break;
	case TRACE_FLUSH:
		if (strcmp(op->path, "..") == 0)
			d->dir_flushed = true;
		else
			settle(d, is_dir(d, op->path) ? of_dir : of_file);
		break;
	case TRACE_ANSWER: case TRACE_CLOSE: case TRACE_START: break;
	}
	d->next++;
}

size_t disk_pending_names(const struct disk *d)
{
	size_t n = d->dir_flushed ? 0 : 1;
	for (size_t i = 0; i < d->n_pending; i++)
		n += d->pending[i].file < 0;
	return n;
}

/* ---- laying it out ---- */

static int open_in(const struct disk *d, const char *path, int flags)
{
	char full[4096 + PATH_CAP];
	snprintf(full, sizeof(full), "%s/d/%s", d->work, path);
	char *slash = strrchr(full, '/');
	*slash = '\0';
	mkdir(full, 0700);
	*slash = '/';
	int fd = open(full, flags, 0600);
	if (fd < 0)
		die("cannot open", full);
	return fd;
}

static void put(int fd, const void *data, uint64_t len, uint64_t at)
{
	if (pwrite(fd, data, len, (off_t)at) != (ssize_t)len)
		die("cannot write", "");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static void clear(const struct disk *d)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/d", d->work);
	if (n >= (int)sizeof(path) || (nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) && errno != ENOENT) || mkdir(path, 0700))
		die("cannot clear", d->work);
}

static void lay_flushed(struct disk *d, const struct name *names, int n)
{
	clear(d);
	for (int i = 0; i < n; i++) {
		const struct file *f = &d->files[names[i].file];
		int fd = open_in(d, names[i].path, O_RDWR | O_CREAT | O_TRUNC);
		put(fd, f->bytes, f->size, 0);
		close(fd);
	}
}

/* Adds to the files what was chosen, or takes it away again. */
static void change(struct disk *d, const struct name *names, int n, const uint8_t *chosen, bool add)
{
	for (int i = 0; i < n; i++) {
		const struct file *f = &d->files[names[i].file];
		int fd = -1;
		for (size_t k = 0; k < d->n_pending; k++) {
			const struct pending *p = &d->pending[k];
			if (p->file != names[i].file || !chosen[k])
				continue;
			if (fd < 0)
				fd = open_in(d, names[i].path, O_RDWR);
			if (!add && p->data && p->at < f->size)
				put(fd, f->bytes + p->at, p->at + p->len <= f->size ? p->len : f->size - p->at, p->at);
			else if (add && p->data)
				put(fd, p->data, p->len, p->at);
			else if (add && ftruncate(fd, (off_t)p->at))
				die("cannot truncate", names[i].path);
		}
		if (fd >= 0 && !add && ftruncate(fd, (off_t)f->size))
			die("cannot truncate", names[i].path);
		if (fd >= 0)
			close(fd);
	}
}

static int names_of(const struct disk *d, size_t n_names, struct name *out)
{
	int n = d->n_flushed;
	if (!d->dir_flushed && n_names-- == 0)
		return 0;
	memcpy(out, d->flushed, sizeof(d->flushed));
	for (size_t i = 0; i < d->n_pending && n_names; i++)
		if (d->pending[i].file < 0) {
			rename_in(out, &n, &d->ops[d->pending[i].op], (int)d->pending[i].at);
			n_names--;
		}
	return n;
}

void disk_lay(struct disk *d, const uint8_t *chosen, size_t n_names)
{
	struct name names[NAMES_MAX];
	int n = names_of(d, n_names, names);
	bool plain = disk_pending_names(d) == 0;
	if (!d->laid || !plain) {
		lay_flushed(d, names, n);
		d->laid = plain;
	}
	change(d, names, n, chosen, true);
}

void disk_lift(struct disk *d, const uint8_t *chosen)
{
	for (size_t k = 0; k < d->n_pending; k++)
		if (chosen[k] && d->pending[k].file >= 0 && !d->pending[k].data)
			d->laid = false;
	if (d->laid)
		change(d, d->flushed, d->n_flushed, chosen, false);
}

bool disk_equals(struct disk *d, const char *path, const char *real)
{
	struct stat st;
	struct file f = { 0 };
	int i = find(d->now, d->n_now, path), fd = open(real, O_RDONLY);
	if (i < 0 || fd < 0 || fstat(fd, &st))
		return false;
	const struct file *flushed = &d->files[d->now[i].file];
	grow(&f, flushed->size);
	if (flushed->size)
		memcpy(f.bytes, flushed->bytes, flushed->size);
	for (size_t k = 0; k < d->n_pending; k++)
		if (d->pending[k].file == d->now[i].file)
			apply(&f, &d->pending[k]);
	uint8_t *bytes = malloc((size_t)st.st_size + 1);
	bool same = f.size == (uint64_t)st.st_size && read(fd, bytes, f.size) == st.st_size && memcmp(bytes, f.bytes, f.size) == 0;
	free(bytes);
	free(f.bytes);
	close(fd);
	return same;
}
