/* See disk.h.
 *
 * The file is mapped once more here, for writing: a write is a copy into that mapping, which the store's own read-only mapping
 * shows at once. The kernel is asked only to make the file longer.
 *
 * Undo log: one entry for each unsynced write, with the bytes that were there before. A sync empties it. A power cut walks it
 * backwards and puts back each sector or leaves it, so that a sector written twice may end in any of its three states. The
 * length of the file is not undone: bytes that were never written read as zero, as they would on a file system that had stored
 * the new length first. The one exception is a file of which nothing was ever synced: it may come back empty. */
#include "disk.h"
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SECTOR = 512, FDS = 256, LEAST_ROOM = 8 << 20 };
enum kind { KIND_UNKNOWN, KIND_OTHER, KIND_DATA, KIND_DSYNC };
#define MAP_LEN ((uint64_t)4 << 30)

struct undo {
	uint64_t at;
	uint32_t len;
	uint32_t bytes_at;         /* in disk.bytes */
};

static struct {
	int fd;                    /* our own; -1 = not attached */
	dev_t dev;
	ino_t ino;
	uint8_t *map;
	uint64_t length;           /* of the file */
	uint64_t end;              /* one past the last byte written */
	uint64_t state;            /* of the dice */
	struct undo *undo;
	size_t n_undo, cap_undo;
	uint8_t *bytes;
	size_t n_bytes, cap_bytes;
	unsigned countdown;
	enum disk_fault planned, happened;
	bool ever_synced;
	uint8_t kinds[FDS];        /* enum kind of the store's descriptors; UNKNOWN for all others */
	uint64_t limit;            /* bytes the file may grow to; UINT64_MAX = no limit */
	uint64_t allocated;        /* given to the file beyond its end by fallocate */
	struct disk_counts counts;
} disk = { .fd = -1 };

static uint64_t dice(void)
{
	uint64_t z = disk.state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) >> 11;
}

static _Noreturn void die(const char *what)
{
	perror(what);
	abort();
}

static void mix(uint64_t v)
{
	disk.counts.hash = (disk.counts.hash ^ v) * 0x9fb21c651e98df25u;
	disk.counts.hash ^= disk.counts.hash >> 32;
}

/* ---- life ---- */

void disk_attach(const char *dir, uint64_t seed)
{
	char file[4096];
	struct stat st;
	disk_detach();
	snprintf(file, sizeof(file), "%s/data.mdb", dir);
	disk.fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (disk.fd < 0 || fstat(disk.fd, &st))
		die(file);
	disk.map = mmap(NULL, MAP_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, disk.fd, 0);
	if (disk.map == MAP_FAILED)
		die("mmap");
	disk.dev = st.st_dev;
	disk.ino = st.st_ino;
	disk.length = disk.end = 0;
	disk.state = seed;
	disk.n_undo = disk.n_bytes = 0;
	disk.countdown = 0;
	disk.happened = DISK_FINE;
	disk.ever_synced = false;
	disk.limit = UINT64_MAX;
	disk.allocated = 0;
	disk.counts = (struct disk_counts){ 0 };
	memset(disk.kinds, 0, sizeof(disk.kinds));
}

void disk_detach(void)
{
	if (disk.fd < 0)
		return;
	munmap(disk.map, MAP_LEN);
	close(disk.fd);
	free(disk.undo);
	free(disk.bytes);
	disk.undo = NULL;
	disk.bytes = NULL;
	disk.cap_undo = disk.cap_bytes = 0;
	disk.fd = -1;
}

const struct disk_counts *disk_counts(void) { return &disk.counts; }

void disk_room(uint64_t bytes)
{
	disk.limit = bytes == UINT64_MAX ? UINT64_MAX : (disk.end > disk.allocated ? disk.end : disk.allocated) + bytes;
}

/* ---- ends ---- */

void disk_plan(unsigned n, enum disk_fault what)
{
	disk.countdown = n;
	disk.planned = what;
}

void disk_end(enum disk_fault what)
{
	if (!disk_dead())
		disk.happened = what;
}

bool disk_failed(void) { return disk.happened != DISK_FINE; }
bool disk_dead(void) { return disk.happened == DISK_KILLED || disk.happened == DISK_POWER_CUT; }

/* All of what was not synced, some writes, some sectors, or few. */
static void lose(void)
{
	unsigned kind = (unsigned)(dice() % 4);
	for (size_t i = disk.n_undo; i > 0; i--) {
		const struct undo *u = &disk.undo[i - 1];
		bool whole = dice() % 2;
		for (uint64_t at = u->at; at < u->at + u->len;) {
			uint64_t next = (at / SECTOR + 1) * SECTOR;
			next = next < u->at + u->len ? next : u->at + u->len;
			bool gone = kind == 0 || (kind == 1 && whole) || (kind == 2 && dice() % 2) || (kind == 3 && dice() % 16 == 0);
			if (gone)
				memcpy(disk.map + at, disk.bytes + u->bytes_at + (at - u->at), next - at);
			disk.counts.sectors_lost += gone;
			at = next;
		}
	}
	if (!disk.ever_synced && dice() % 2) {
		disk.length = disk.end = 0;
		if (ftruncate(disk.fd, 0))
			die("ftruncate");
	}
	if (dice() % 2) { /* room given to the file beyond its end was not synced either */
		disk.allocated = 0;
		if (disk.limit < disk.end + LEAST_ROOM)
			disk.limit = disk.end + LEAST_ROOM;
	}
	disk.n_undo = disk.n_bytes = 0;
}

void disk_settle(void)
{
	if (disk.happened == DISK_POWER_CUT || disk.happened == DISK_FAILS)
		lose();
	disk.happened = DISK_FINE;
	disk.countdown = 0;
}

/* Counts an operation; what it meets. *out_now: it is the one that was planned. */
static enum disk_fault meet(bool *out_now)
{
	disk.counts.operations++;
	*out_now = false;
	if (disk_dead())
		return disk.happened;
	if (!disk.countdown || --disk.countdown)
		return DISK_FINE;
	*out_now = true;
	return disk.happened = disk.planned;
}

/* ---- writes ---- */

static void *grown(void *p, size_t *cap, size_t want, size_t size)
{
	if (want <= *cap)
		return p;
	*cap = want * 2;
	p = sim_realloc(p, *cap * size);
	if (!p)
		abort();
	return p;
}

static void remember(uint64_t at, size_t len)
{
	disk.undo = grown(disk.undo, &disk.cap_undo, disk.n_undo + 1, sizeof(*disk.undo));
	disk.bytes = grown(disk.bytes, &disk.cap_bytes, disk.n_bytes + len, 1);
	disk.undo[disk.n_undo++] = (struct undo){ at, (uint32_t)len, (uint32_t)disk.n_bytes };
	memcpy(disk.bytes + disk.n_bytes, disk.map + at, len);
	disk.n_bytes += len;
}

static void apply(uint64_t at, const void *p, size_t len, bool durable)
{
	struct stat st;
	if (at == 0 && fstat(disk.fd, &st) == 0) /* the store is made, perhaps anew after it was emptied */
		disk.length = (uint64_t)st.st_size;
	if (at + len > disk.length) {
		disk.length = at + len;
		if (disk.length > MAP_LEN || ftruncate(disk.fd, (off_t)disk.length))
			die("grow");
	}
	if (!durable)
		remember(at, len);
	memcpy(disk.map + at, p, len);
	if (at + len > disk.end)
		disk.end = at + len;
	mix(at); /* not the bytes: LMDB leaves old pointers of its own in the gaps of its pages */
	mix(len);
}

static bool fits(uint64_t upto)
{
	return upto <= disk.end || upto <= disk.allocated || upto <= disk.limit || disk.limit == UINT64_MAX;
}

/* Some of the sectors at the beginning, none or all. */
static size_t part_of(size_t len)
{
	uint64_t kind = dice() % 3;
	size_t part = (size_t)(dice() % (len / SECTOR + 1)) * SECTOR;
	return kind == 0 ? 0 : kind == 1 ? len : part;
}

static ssize_t write_at(uint64_t at, const void *p, size_t len, bool dsync)
{
	bool now;
	enum disk_fault fault = meet(&now);
	disk.counts.writes++;
	if (fault == DISK_FINE && fits(at + len)) {
		apply(at, p, len, dsync && disk.happened == DISK_FINE);
		return (ssize_t)len;
	}
	size_t part = now && fits(at + len) ? part_of(len) : 0;
	if (part) /* a process is not killed between the write of O_DSYNC and its sync: the call ends first */
		apply(at, p, part, dsync && fault == DISK_KILLED);
	errno = fault == DISK_FINE ? ENOSPC : EIO;
	return -1;
}

static int sync_all(void)
{
	bool now;
	disk.counts.syncs++;
	if (meet(&now) != DISK_FINE) {
		errno = EIO;
		return -1;
	}
	if (disk.happened == DISK_FINE) { /* after a failure nobody knows what a later sync has synced */
		disk.n_undo = disk.n_bytes = 0;
		disk.ever_synced = true;
	}
	mix(disk.counts.operations);
	return 0;
}

/* ---- the system calls ---- */

static enum kind kind_of(int fd)
{
	struct stat st;
	if (disk.fd < 0 || fd < 0 || fd >= FDS || fd == disk.fd)
		return KIND_OTHER;
	if (disk.kinds[fd] == KIND_UNKNOWN) {
		if (fstat(fd, &st) || st.st_dev != disk.dev || st.st_ino != disk.ino)
			return KIND_OTHER;
		disk.kinds[fd] = fcntl(fd, F_GETFL) & O_DSYNC ? KIND_DSYNC : KIND_DATA;
	}
	return (enum kind)disk.kinds[fd];
}

/* Names of the C library are given by label: its headers may rename what is declared by name. */
#define INSTEAD_OF(name) __asm__(name) __attribute__((visibility("default")))
int sim_close(int fd) INSTEAD_OF("close");
ssize_t sim_pwrite(int fd, const void *p, size_t len, off_t at) INSTEAD_OF("pwrite");
ssize_t sim_pwrite64(int fd, const void *p, size_t len, off_t at) INSTEAD_OF("pwrite64");
ssize_t sim_writev(int fd, const struct iovec *v, int n) INSTEAD_OF("writev");
int sim_fdatasync(int fd) INSTEAD_OF("fdatasync");
int sim_fsync(int fd) INSTEAD_OF("fsync");
int sim_fallocate(int fd, int mode, off_t at, off_t len) INSTEAD_OF("fallocate");
int sim_fallocate64(int fd, int mode, off_t at, off_t len) INSTEAD_OF("fallocate64");

int sim_close(int fd)
{
	if (fd >= 0 && fd < FDS)
		disk.kinds[fd] = KIND_UNKNOWN;
	return (int)syscall(SYS_close, fd);
}

ssize_t sim_pwrite(int fd, const void *p, size_t len, off_t at)
{
	enum kind kind = kind_of(fd);
	return kind == KIND_OTHER ? syscall(SYS_pwrite64, fd, p, len, at) : write_at((uint64_t)at, p, len, kind == KIND_DSYNC);
}

ssize_t sim_pwrite64(int fd, const void *p, size_t len, off_t at) { return sim_pwrite(fd, p, len, at); }

ssize_t sim_writev(int fd, const struct iovec *v, int n)
{
	enum kind kind = kind_of(fd);
	if (kind == KIND_OTHER)
		return syscall(SYS_writev, fd, v, n);
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t sum = 0;
	for (int i = 0; i < n; i++) {
		ssize_t done = write_at((uint64_t)(at + sum), v[i].iov_base, v[i].iov_len, kind == KIND_DSYNC);
		if (done < 0)
			return sum ? sum : -1;
		sum += done;
	}
	lseek(fd, at + sum, SEEK_SET);
	return sum;
}

int sim_fdatasync(int fd) { return kind_of(fd) == KIND_OTHER ? (int)syscall(SYS_fdatasync, fd) : sync_all(); }
int sim_fsync(int fd) { return kind_of(fd) == KIND_OTHER ? (int)syscall(SYS_fsync, fd) : sync_all(); }

/* The store asks only for what lies beyond the end (FALLOC_FL_KEEP_SIZE). */
int sim_fallocate(int fd, int mode, off_t at, off_t len)
{
	if (kind_of(fd) == KIND_OTHER)
		return (int)syscall(SYS_fallocate, fd, mode, at, len);
	if (!fits((uint64_t)(at + len))) {
		errno = ENOSPC;
		return -1;
	}
	if ((uint64_t)(at + len) > disk.allocated)
		disk.allocated = (uint64_t)(at + len);
	return 0;
}

int sim_fallocate64(int fd, int mode, off_t at, off_t len) { return sim_fallocate(fd, mode, at, len); }
