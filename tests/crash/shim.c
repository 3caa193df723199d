/* Loaded into the real server (LD_PRELOAD): stands between it, liblmdb included, and the system's calls on the files of one
 * directory. It records them, or makes them fail. Which is asked for in the environment:
 *
 *   HL_SHIM_DIR=DIR        the data directory; everything outside it is left alone
 *   HL_SHIM_TRACE=FILE     every write, flush, creation, rename and removal in DIR, and what is sent to clients, in order
 *   HL_SHIM_CONTROL=FILE   a page of 32-bit numbers a test writes to while the server runs, see enum control
 *   HL_SHIM_NO_FLUSH=1     flushes are neither made nor recorded: a disk that lies
 *   HL_SHIM_MDB_FLAGS=N    more flags for mdb_env_open: a store that was made faster
 *
 * Order in the trace is what a disk may rely on: a write stands before the call (it may reach the disk from then on), a flush
 * behind it, naming where the trace was when it began (only what stood there is flushed), an answer before it is sent. The
 * test compares the file with the recorded writes in the end, so a call that bypassed us would show. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "trace.h"

/* Numbers of the control page. A fault is an errno, 0 = none; it begins after `skip` more calls of its kind. */
enum control {
	C_SYNC,                 /* fdatasync, fsync of data.mdb */
	C_WRITE,                /* writes of pages to data.mdb: nothing is written */
	C_META,                 /* the write of the page that makes a commit valid (O_DSYNC): nothing is written */
	C_META_AFTER,           /* the same, but it is written before it fails */
	C_ALLOCATE,             /* fallocate */
	C_SKIP,
	C_GROWTH,               /* writes behind the end of the file fail with this: a full disk under a sparse file */
	C_INJECTED,             /* counted by us */
	C_N,
};

enum { FDS = 4096 };
enum kind { UNKNOWN, OTHER, OURS, CLIENT };

static struct {
	uint8_t kind;           /* enum kind */
	uint8_t dsync;
	char path[64];          /* below the directory */
} fds[FDS];

static char dir[PATH_MAX];
static size_t dir_len, parent_len;
static int trace_fd = -1;
static volatile int32_t *control;
static int no_flush;
static uint64_t n_ops;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);
	if (!p)
		abort();
	return p;
}

static int is_server(void)
{
	char text[512];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
	long n = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof(text) - 1);
	if (fd >= 0)
		syscall(SYS_close, fd);
	text[n > 0 ? n : 0] = '\0';
	size_t first = strlen(text);
	return n > 0 && first + 6 < (size_t)n && strcmp(text + first + 1, "serve") == 0;
}

static uint64_t note(enum trace_op op, int fd, const char *path, uint64_t at, uint64_t len, const struct iovec *v, int n);

__attribute__((constructor)) static void begin(void)
{
	const char *d = getenv("HL_SHIM_DIR"), *t = getenv("HL_SHIM_TRACE"), *c = getenv("HL_SHIM_CONTROL");
	if (!d || !is_server())
		return;
	snprintf(dir, sizeof(dir), "%s", d);
	dir_len = strlen(dir);
	parent_len = (size_t)(strrchr(dir, '/') - dir);
	no_flush = getenv("HL_SHIM_NO_FLUSH") != NULL;
	if (t)
		trace_fd = (int)syscall(SYS_openat, AT_FDCWD, t, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (c) {
		int fd = (int)syscall(SYS_openat, AT_FDCWD, c, O_RDWR | O_CLOEXEC);
		void *p = fd < 0 ? MAP_FAILED : mmap(NULL, C_N * sizeof(int32_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		control = p == MAP_FAILED ? NULL : p;
		if (fd >= 0)
			syscall(SYS_close, fd);
	}
	if ((t && trace_fd < 0) || (c && !control))
		abort();
	note(TRACE_START, -1, "", 0, 0, NULL, 0);
}

/* ---- which files are ours ---- */

/* The path below the directory ("" = the directory itself); NULL = not ours. */
static const char *below(const char *path)
{
	if (!dir_len || strncmp(path, dir, dir_len) != 0 || (path[dir_len] && path[dir_len] != '/'))
		return NULL;
	path += dir_len;
	return *path == '/' ? path + 1 : path;
}

static enum kind kind_of(int fd)
{
	char link[64], path[PATH_MAX];
	struct stat st;
	if (!dir_len || fd < 0 || fd >= FDS)
		return OTHER;
	if (fds[fd].kind != UNKNOWN)
		return fds[fd].kind;
	fds[fd].kind = OTHER;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	const char *ours = n > 0 && (size_t)n == parent_len && strncmp(path, dir, parent_len) == 0 ? ".." : below(path);
	if (ours && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && strlen(ours) < sizeof(fds[fd].path)) {
		snprintf(fds[fd].path, sizeof(fds[fd].path), "%.63s", ours);
		fds[fd].dsync = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
		fds[fd].kind = OURS;
	}
	return fds[fd].kind;
}

static int is_data(int fd)
{
	return kind_of(fd) == OURS && strcmp(fds[fd].path, "data.mdb") == 0;
}

static int live_path(const char *path)
{
	const char *ours = below(path);
	return ours && strcmp(ours, "lock.mdb") != 0 && strcmp(ours, "lock") != 0 && !strstr(ours, ".sock");
}

/* ---- the trace ---- */

static uint64_t note(enum trace_op op, int fd, const char *path, uint64_t at, uint64_t len, const struct iovec *v, int n)
{
	static uint8_t *buf;
	static size_t cap;
	struct trace_record r = { .magic = TRACE_MAGIC, .op = (uint8_t)op, .fd = (uint32_t)fd, .at = at, .len = len,
		.path_len = (uint16_t)strlen(path) };
	for (int i = 0; i < n; i++)
		r.data_len += v[i].iov_len;
	if (op == TRACE_ANSWER && r.data_len > TRACE_ANSWER_MAX)
		abort();
	if (trace_fd < 0)
		return 0;
	pthread_mutex_lock(&mutex);
	size_t need = sizeof(r) + r.path_len + r.data_len;
	if (need > cap) {
		munmap(buf, cap);
		cap = (need | 0xfffff) + 1;
		buf = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	uint8_t *p = buf;
	memcpy(p, &r, sizeof(r));
	p += sizeof(r);
	memcpy(p, path, r.path_len);
	p += r.path_len;
	for (int i = 0; i < n; i++) {
		memcpy(p, v[i].iov_base, v[i].iov_len);
		p += v[i].iov_len;
	}
	for (size_t done = 0; done < need;) {
		long w = syscall(SYS_write, trace_fd, buf + done, need - done);
		if (w <= 0)
			abort();
		done += (size_t)w;
	}
	uint64_t at_op = n_ops++;
	pthread_mutex_unlock(&mutex);
	return at_op;
}

static uint64_t ops_now(void)
{
	pthread_mutex_lock(&mutex);
	uint64_t n = n_ops;
	pthread_mutex_unlock(&mutex);
	return n;
}

/* ---- faults ---- */

static int fault(enum control c)
{
	if (!control || !control[c])
		return 0;
	if (control[C_SKIP] > 0) {
		control[C_SKIP]--;
		return 0;
	}
	control[C_INJECTED]++;
	errno = control[c];
	return -1;
}

static int write_fault(int fd, off_t at, size_t len)
{
	struct stat st;
	if (!control || !is_data(fd))
		return 0;
	if (control[C_GROWTH] && fstat(fd, &st) == 0 && (off_t)(at + (off_t)len) > st.st_size) {
		control[C_INJECTED]++;
		errno = control[C_GROWTH];
		return -1;
	}
	return fault(fds[fd].dsync ? C_META : C_WRITE);
}

/* ---- writes ---- */

static size_t total(const struct iovec *v, int n)
{
	size_t len = 0;
	for (int i = 0; i < n; i++)
		len += v[i].iov_len;
	return len;
}

static void note_write(int fd, off_t at, const struct iovec *v, int n)
{
	if (kind_of(fd) == OURS && strcmp(fds[fd].path, "lock") != 0 && strcmp(fds[fd].path, "lock.mdb") != 0)
		note(TRACE_WRITE, fd, fds[fd].path, (uint64_t)at, total(v, n), v, n);
}

/* After a write through O_DSYNC: exactly that much is on the disk. */
static ssize_t written(int fd, off_t at, ssize_t rc)
{
	if (rc <= 0 || kind_of(fd) != OURS || !fds[fd].dsync)
		return rc;
	if (!no_flush)
		note(TRACE_FLUSH_RANGE, fd, fds[fd].path, (uint64_t)at, (uint64_t)rc, NULL, 0);
	if (control && control[C_META_AFTER]) {
		control[C_INJECTED]++;
		errno = control[C_META_AFTER];
		return -1;
	}
	return rc;
}

static ssize_t any_pwrite(int fd, const void *data, size_t len, off_t at)
{
	struct iovec v = { (void *)data, len };
	if (write_fault(fd, at, len))
		return -1;
	note_write(fd, at, &v, 1);
	return written(fd, at, syscall(SYS_pwrite64, fd, data, len, at));
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) { return any_pwrite(fd, data, len, at); }
ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) { return any_pwrite(fd, data, len, at); }

static void note_answer(int fd, const struct iovec *v, int n)
{
	struct stat st;
	if (!dir_len || fd < 0 || fd >= FDS || n < 1 || trace_fd < 0)
		return;
	if (fds[fd].kind != CLIENT) {
		if (v[0].iov_len < 7 || memcmp(v[0].iov_base, "HTTP/1.", 7) != 0 || fstat(fd, &st) || !S_ISSOCK(st.st_mode))
			return;
		fds[fd].kind = CLIENT;
	}
	note(TRACE_ANSWER, fd, "", 0, 0, v, n);
}

static ssize_t any_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	if (write_fault(fd, at, total(v, n)))
		return -1;
	note_write(fd, at, v, n);
	return written(fd, at, REAL(pwritev)(fd, v, n, at));
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) { return any_pwritev(fd, v, n, at); }
ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t at) { return any_pwritev(fd, v, n, at); }

ssize_t writev(int fd, const struct iovec *v, int n)
{
	if (kind_of(fd) != OURS) {
		note_answer(fd, v, n);
		return REAL(writev)(fd, v, n);
	}
	off_t at = lseek(fd, 0, SEEK_CUR);
	if (write_fault(fd, at, total(v, n)))
		return -1;
	note_write(fd, at, v, n);
	return written(fd, at, REAL(writev)(fd, v, n));
}

ssize_t write(int fd, const void *data, size_t len)
{
	struct iovec v = { (void *)data, len };
	if (kind_of(fd) != OURS) {
		note_answer(fd, &v, 1);
		return syscall(SYS_write, fd, data, len);
	}
	off_t at = lseek(fd, 0, SEEK_CUR);
	if (write_fault(fd, at, len))
		return -1;
	note_write(fd, at, &v, 1);
	return written(fd, at, syscall(SYS_write, fd, data, len));
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	note_answer(fd, m->msg_iov, (int)m->msg_iovlen);
	return REAL(sendmsg)(fd, m, flags);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	struct iovec v = { (void *)data, len };
	note_answer(fd, &v, 1);
	return REAL(send)(fd, data, len, flags);
}

/* ---- flushes ---- */

static int flush(int fd, long number)
{
	if (kind_of(fd) != OURS)
		return (int)syscall(number, fd);
	if (is_data(fd) && fault(C_SYNC))
		return -1;
	if (no_flush)
		return 0;
	uint64_t began = ops_now();
	int rc = (int)syscall(number, fd);
	if (rc == 0)
		note(TRACE_FLUSH, fd, fds[fd].path, began, 0, NULL, 0);
	return rc;
}

int fdatasync(int fd) { return flush(fd, SYS_fdatasync); }
int fsync(int fd) { return flush(fd, SYS_fsync); }

/* ---- names ---- */

static int opened(int fd, const char *path, int fresh)
{
	if (fd >= 0 && fd < FDS)
		fds[fd].kind = UNKNOWN;
	if (fd >= 0 && fresh && live_path(path))
		note(TRACE_CREATE, fd, below(path), 0, 0, NULL, 0);
	return fd;
}

static int any_open(int at, const char *path, int flags, mode_t mode)
{
	int fresh = dir_len && flags & O_CREAT && below(path) && access(path, F_OK) != 0;
	return opened((int)syscall(SYS_openat, at, path, flags, mode), path, fresh);
}

#define OPEN(name, at_parameter, at)                                      \
	int name(at_parameter const char *path, int flags, ...)           \
	{                                                                 \
		va_list ap;                                               \
		va_start(ap, flags);                                      \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0; \
		va_end(ap);                                               \
		return any_open(at, path, flags, mode);                   \
	}
#define AT_PARAMETER int at,
OPEN(open, , AT_FDCWD)
OPEN(open64, , AT_FDCWD)
OPEN(openat, AT_PARAMETER, at)
OPEN(openat64, AT_PARAMETER, at)

int close(int fd)
{
	if (fd >= 0 && fd < FDS) {
		if (fds[fd].kind == CLIENT)
			note(TRACE_CLOSE, fd, "", 0, 0, NULL, 0);
		fds[fd].kind = UNKNOWN;
	}
	return (int)syscall(SYS_close, fd);
}

int rename(const char *from, const char *to)
{
	int rc = (int)syscall(SYS_rename, from, to);
	if (rc == 0 && dir_len && below(from) && below(to)) {
		struct iovec v = { (void *)below(to), strlen(below(to)) };
		note(TRACE_RENAME, -1, below(from), 0, 0, &v, 1);
	}
	return rc;
}

int unlink(const char *path)
{
	int rc = (int)syscall(SYS_unlink, path);
	if (rc == 0 && dir_len && live_path(path))
		note(TRACE_REMOVE, -1, below(path), 0, 0, NULL, 0);
	return rc;
}

static int any_truncate(int fd, off_t size)
{
	int rc = (int)syscall(SYS_ftruncate, fd, size);
	if (rc == 0 && kind_of(fd) == OURS && strncmp(fds[fd].path, "lock", 4) != 0)
		note(TRACE_TRUNCATE, fd, fds[fd].path, (uint64_t)size, 0, NULL, 0);
	return rc;
}

int ftruncate(int fd, off_t size) { return any_truncate(fd, size); }
int ftruncate64(int fd, off_t size) { return any_truncate(fd, size); }

/* Keeps the size, so it changes nothing a power cut could tell. */
static int any_fallocate(int fd, int mode, off_t at, off_t len)
{
	if (is_data(fd) && fault(C_ALLOCATE))
		return -1;
	if (is_data(fd) && !(mode & FALLOC_FL_KEEP_SIZE))
		abort();
	return (int)syscall(SYS_fallocate, fd, mode, at, len);
}

int fallocate(int fd, int mode, off_t at, off_t len) { return any_fallocate(fd, mode, at, len); }
int fallocate64(int fd, int mode, off_t at, off_t len) { return any_fallocate(fd, mode, at, len); }

/* ---- a store that was made faster ---- */

int mdb_env_open(void *env, const char *path, unsigned flags, unsigned mode);
int mdb_env_open(void *env, const char *path, unsigned flags, unsigned mode)
{
	const char *more = getenv("HL_SHIM_MDB_FLAGS");
	int (*next)(void *, const char *, unsigned, unsigned) = (int (*)(void *, const char *, unsigned, unsigned))real("mdb_env_open");
	return next(env, path, flags | (more ? (unsigned)strtoul(more, NULL, 0) : 0), mode);
}
