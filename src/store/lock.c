/* flock on DIR/lock: the kernel lets go of it when the owner ends, however it ends, so there is no stale lock to
 * clear. The owner writes its process id into the file; the one who is refused reads it there. The file stays for
 * ever: removing it would let two processes lock two files of one name. */
#include "store/lock.h"
#include "base/crash.h"
#include "base/err.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static long owner_of(int fd)
{
	char text[24];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return strtol(text, NULL, 10);
}

static int lock_fd(int fd, const char *file, bool wait, struct hl_err *err)
{
	int rc;
	if (wait)
		HL_CRASH_POINT(TAKEOVER_WAITING);
	do
		rc = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
	while (rc && errno == EINTR);
	if (!rc)
		return 0;
	if (errno != EWOULDBLOCK)
		return hl_err_errno(err, errno, "lock %s", file);
	long pid = owner_of(fd);
	if (pid > 0)
		return hl_err_set(err, HL_ELOCKED, "%s: in use by process %ld", file, pid);
	return hl_err_set(err, HL_ELOCKED, "%s: in use by another process", file);
}

int hl_lock_take(const char *file, bool wait, int *out_fd, struct hl_err *err)
{
	char text[24];
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return hl_err_errno(err, errno, "lock %s", file);
	int rc = lock_fd(fd, file, wait, err);
	if (rc) {
		close(fd);
		return rc;
	}
	/* The id is for people only: a full disk must not keep us from starting. */
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) != n)
		(void)!ftruncate(fd, 0);
	*out_fd = fd;
	return 0;
}

void hl_lock_give(int fd)
{
	if (fd < 0)
		return;
	(void)!ftruncate(fd, 0);
	close(fd);
}
