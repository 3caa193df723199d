/* LMDB makes a file by writing its two first pages, whose first bytes say what it is; the rest of them is zero. We sync them
 * before anything else is written (store.c). A power cut before that may leave either page, or neither: such a file is refused
 * as damaged, although there is nothing in it to lose. So it is recognised, byte by byte: no more than two pages, and in each
 * nothing but zeros, or the mark at its place, no transaction ever, and zeros behind the first sector, which a disk writes as a
 * whole. */
#include "store/birth.h"
#include "base/codec.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { SECTOR = 512, MARK_AT = 16, TXN_AT = 144, PAGE_MAX = 65536 };
static const uint32_t mark = 0xbeefc0de; /* in the machine's order */

static bool zeros(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static bool first_page(const uint8_t *p, size_t n)
{
	if (zeros(p, n))
		return true;
	return n >= SECTOR && memcmp(p + MARK_AT, &mark, sizeof(mark)) == 0 && zeros(p + TXN_AT, 8) && zeros(p + SECTOR, n - SECTOR);
}

bool hl_birth_cut_off(const char *file)
{
	uint8_t page[PAGE_MAX];
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool cut = size <= sizeof(page);
	for (int i = 0; cut && i < 2; i++) {
		ssize_t n = pread(fd, page, size, (off_t)((size_t)i * size));
		cut = n >= 0 && first_page(page, (size_t)n);
	}
	cut = cut && pread(fd, page, 1, (off_t)(2 * size)) == 0;
	close(fd);
	return cut;
}
