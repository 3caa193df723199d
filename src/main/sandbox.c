/* Landlock by its three system calls; the kernel's header may be older than the kernel, so what we use of it stands here.
 *
 * A rule set names what is closed ("handled") and rules open parts of it again. Which rights exist depends on the kernel's
 * version, and naming one it does not know is an error, so the set is cut to the version first: an old kernel closes less,
 * but never fails. Rights for directories must not be asked for a file, hence the look at what a path is.
 *
 *   no Landlock, or mode off           no rule set: every call returns at once
 *   a path does not exist              no rule; it stays closed
 *   the kernel refuses a rule          noted; hl_sandbox_enter fails and closes nothing, because half of the rules would
 *                                      take away what the program needs */
#include "main/sandbox.h"

#include "base/err.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	SYS_CREATE_RULESET = 444, SYS_ADD_RULE = 445, SYS_RESTRICT_SELF = 446, /* the same on every architecture */
	WANT_VERSION = 1,
	RULE_PATH = 1, RULE_PORT = 2,
};

/* Rights on files, include/uapi/linux/landlock.h. */
#define FS_EXECUTE     (UINT64_C(1) << 0)
#define FS_WRITE_FILE  (UINT64_C(1) << 1)
#define FS_READ_FILE   (UINT64_C(1) << 2)
#define FS_READ_DIR    (UINT64_C(1) << 3)
#define FS_REMOVE_DIR  (UINT64_C(1) << 4)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_DIR    (UINT64_C(1) << 7)
#define FS_MAKE_REG    (UINT64_C(1) << 8)
#define FS_MAKE_SOCK   (UINT64_C(1) << 9)
#define FS_TRUNCATE    (UINT64_C(1) << 14)
#define FS_OF_FILES    (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | UINT64_C(1) << 15)
#define OWN_DIR \
	(FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_TRUNCATE | FS_MAKE_REG | FS_MAKE_SOCK | FS_REMOVE_FILE)
#define NET_BIND_TCP   (UINT64_C(1) << 0)
#define SCOPE_ABSTRACT (UINT64_C(1) << 0) /* unix sockets without a file, of processes outside */
#define SCOPE_SIGNAL   (UINT64_C(1) << 1) /* signals to processes outside */

struct ruleset {
	uint64_t files, net, scoped;
};

struct path_rule {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t allowed, port;
};

int hl_sandbox_abi(int *out_why)
{
	long abi = syscall(SYS_CREATE_RULESET, NULL, (size_t)0, WANT_VERSION);
	if (out_why)
		*out_why = abi < 0 ? errno : 0;
	return abi < 1 ? 0 : (int)abi;
}

static uint64_t files_of(int abi)
{
	int bits = abi == 1 ? 13 : abi == 2 ? 14 : abi < 5 ? 15 : 16;
	return (UINT64_C(1) << bits) - 1;
}

void hl_sandbox_begin(struct hl_sandbox *sb, bool on)
{
	*sb = (struct hl_sandbox){ .fd = -1 };
	sb->abi = on ? hl_sandbox_abi(NULL) : 0;
	if (sb->abi == 0)
		return;
	const char *notify = getenv("NOTIFY_SOCKET");
	bool abstract = notify && notify[0] == '@';
	const struct ruleset set = {
		.files = files_of(sb->abi),
		.net = sb->abi >= 4 ? NET_BIND_TCP : 0,
		.scoped = sb->abi < 6 ? 0 : abstract ? SCOPE_SIGNAL : SCOPE_SIGNAL | SCOPE_ABSTRACT,
	};
	sb->files = set.files;
	/* an older kernel takes the longer struct as long as what it does not know is zero */
	sb->fd = (int)syscall(SYS_CREATE_RULESET, &set, sizeof(set), 0);
	if (sb->fd < 0)
		sb->failed = errno;
}

static void add(struct hl_sandbox *sb, unsigned kind, const void *rule)
{
	if (syscall(SYS_ADD_RULE, sb->fd, kind, rule, 0) && !sb->failed)
		sb->failed = errno;
}

static void add_path(struct hl_sandbox *sb, const char *path, uint64_t rights)
{
	struct stat st;
	int fd = sb->fd < 0 ? -1 : open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return;
	rights &= sb->files;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rights &= FS_OF_FILES;
	const struct path_rule rule = { .allowed = rights, .fd = fd };
	if (rights)
		add(sb, RULE_PATH, &rule);
	close(fd);
}

/* The directory a file lies in; "/" says nothing, because it would open everything. */
static bool directory_of(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	if (slash == path || strlen(path) >= PATH_MAX)
		return false;
	snprintf(out, PATH_MAX, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	return true;
}

void hl_sandbox_read(struct hl_sandbox *sb, const char *path)
{
	add_path(sb, path, FS_READ_FILE | FS_READ_DIR);
}

void hl_sandbox_reread(struct hl_sandbox *sb, const char *path)
{
	char real[PATH_MAX], dir[PATH_MAX];
	add_path(sb, path, FS_READ_FILE);
	if (directory_of(path, dir))
		add_path(sb, dir, FS_READ_FILE);
	if (realpath(path, real) && directory_of(real, dir))
		add_path(sb, dir, FS_READ_FILE);
}

void hl_sandbox_own(struct hl_sandbox *sb, const char *dir)
{
	add_path(sb, dir, OWN_DIR);
}

void hl_sandbox_make(struct hl_sandbox *sb, const char *path)
{
	char dir[PATH_MAX];
	struct stat st;
	if (stat(path, &st) == 0)
		add_path(sb, path, S_ISDIR(st.st_mode) ? OWN_DIR : FS_READ_FILE);
	else if (directory_of(path, dir))
		add_path(sb, dir, OWN_DIR | FS_MAKE_DIR | FS_REMOVE_DIR);
}

void hl_sandbox_socket(struct hl_sandbox *sb, const char *path)
{
	char dir[PATH_MAX];
	if (directory_of(path, dir))
		add_path(sb, dir, FS_MAKE_SOCK | FS_REMOVE_FILE);
}

void hl_sandbox_port(struct hl_sandbox *sb, uint16_t port)
{
	const struct port_rule rule = { .allowed = NET_BIND_TCP, .port = port };
	if (sb->fd >= 0 && sb->abi >= 4)
		add(sb, RULE_PORT, &rule);
}

int hl_sandbox_enter(struct hl_sandbox *sb, struct hl_err *err)
{
	if (sb->fd < 0 && !sb->failed)
		return HL_OK;
	if (!sb->failed && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		sb->failed = errno;
	if (!sb->failed && syscall(SYS_RESTRICT_SELF, sb->fd, 0))
		sb->failed = errno;
	if (sb->fd >= 0)
		close(sb->fd);
	sb->fd = -1;
	if (!sb->failed)
		return HL_OK;
	hl_err_errno(err, sb->failed, "Landlock");
	return HL_EIO;
}
