/* The reserve is asked for in steps of half its size, so that the kernel is called once in many batches; when a step
 * does not fit, exactly what the batch needs is tried before the disk counts as full. Growing works again as soon as
 * one try succeeds: every batch tries. A file system without fallocate is asked for its free blocks: that is a
 * guess, as another program may take them first. */
#include "store/room.h"
#include "base/defs.h"
#include <errno.h>
#include <fcntl.h>
#include <hookline/error.h>
#include <sys/statvfs.h>

enum { FULL_PERCENT = 85, SPENT_PART = 4 };

static bool blocks_free(int fd, uint64_t bytes)
{
	struct statvfs fs;
	return fstatvfs(fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize >= bytes;
}

static bool allocate(struct hl_room *r, int fd, uint64_t upto)
{
	int rc;
	if (upto <= r->reserved_to)
		return true;
	do
		rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)r->reserved_to, (off_t)(upto - r->reserved_to));
	while (rc && errno == EINTR);
	if (!rc)
		r->reserved_to = upto;
	else if (errno == EOPNOTSUPP || errno == ENOSYS)
		r->no_fallocate = true;
	return rc == 0;
}

/* What an earlier process had allocated is not known, but asking for it again costs no room. */
static bool some_left(struct hl_room *r, int fd, uint64_t end, uint64_t least)
{
	if (r->no_fallocate)
		return blocks_free(fd, least);
	uint64_t left = atomic_load(&r->free_pages) * r->page_size + (r->reserved_to > end ? r->reserved_to - end : 0);
	return left >= least || allocate(r, fd, end + least);
}

int hl_room_reserve(struct hl_room *r, int fd, uint64_t batch_bytes)
{
	uint64_t end = atomic_load(&r->pages) * r->page_size;
	uint64_t need = HL_MAX(r->reserve_bytes, 4 * batch_bytes);
	if (r->reserved_to == 0) /* first use: what the file holds is allocated */
		r->reserved_to = end;
	bool ok = !r->no_fallocate && end + need <= r->reserved_to;
	if (!ok && !r->no_fallocate)
		ok = allocate(r, fd, end + need + r->reserve_bytes / 2) || allocate(r, fd, end + need);
	if (!ok && r->no_fallocate)
		ok = blocks_free(fd, need);
	atomic_store(&r->disk_full, !ok);
	atomic_store(&r->spent, !ok && !some_left(r, fd, end, need / SPENT_PART));
	return ok ? 0 : HL_EFULL;
}

uint64_t hl_room_used(const struct hl_room *r)
{
	uint64_t pages = atomic_load(&r->pages), free_pages = atomic_load(&r->free_pages);
	return (pages > free_pages ? pages - free_pages : 0) * r->page_size;
}

bool hl_room_full(const struct hl_room *r)
{
	return atomic_load(&r->disk_full) || hl_room_used(r) >= r->max_bytes / 100 * FULL_PERCENT;
}
