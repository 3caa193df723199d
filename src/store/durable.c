/* Syncing directories. The one a directory lies in may be closed to us (mode 0711, a sandbox): then its name is left to the
 * system, which writes it within seconds. */
#include "store/durable.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int hl_durable_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int rc = fsync(fd), failed = errno;
	close(fd);
	errno = failed;
	return rc;
}

int hl_durable_name(const char *path)
{
	char dir[PATH_MAX];
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	if (n >= sizeof(dir))
		return errno = ENAMETOOLONG, -1;
	memcpy(dir, path, n);
	dir[n] = '\0';
	return hl_durable_dir(n ? dir : ".");
}

int hl_durable_mkdir(const char *path)
{
	if (mkdir(path, 0700))
		return errno == EEXIST ? 0 : -1;
	return hl_durable_name(path) && errno != EACCES && errno != EPERM ? -1 : 0;
}
