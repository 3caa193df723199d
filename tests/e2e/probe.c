/* Loaded into the real program (LD_PRELOAD): says on stderr what the kernel still lets it do, from inside.
 *
 *   PROBE_OUTSIDE=DIR   a directory no rule names; it holds "secret", "list/" and "abstract", a name of a unix socket
 *   PROBE_INSIDE=DIR    the data directory
 *   PROBE_PEER=PID      a process outside
 *   PROBE_AT_END=1      asks when the program ends; else in every thread that flushes (fdatasync) or accepts (accept4),
 *                       once each, as soon as OUTSIDE/go exists
 *   PROBE_NO_LANDLOCK=1 a kernel without Landlock
 *   PROBE_HANG=FILE     while FILE exists, the loop hangs in epoll_wait; PROBE_EIO=FILE: fdatasync says EIO
 *
 * One line a thread: "probe thread=loop read=0 write=13 …", each word an errno or 0. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static char line[1024], at[512], to[512];

static const char *outside(const char *name)
{
	snprintf(at, sizeof(at), "%s/%s", getenv("PROBE_OUTSIDE"), name);
	return at;
}

static const char *inside(const char *name)
{
	snprintf(to, sizeof(to), "%s/%s", getenv("PROBE_INSIDE"), name);
	return to;
}

static void tell(const char *what, int failed)
{
	size_t n = strlen(line);
	snprintf(line + n, sizeof(line) - n, " %s=%d", what, failed ? errno : 0);
}

static int opened(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int spawned(void)
{
	char *argv[] = { "true", NULL };
	pid_t child;
	errno = posix_spawn(&child, "/bin/true", NULL, NULL, argv, argv + 1);
	return errno != 0;
}

static int bound(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int failed = bind(fd, (struct sockaddr *)&in, sizeof(in));
	int saved = errno;
	close(fd);
	errno = saved;
	return failed;
}

static int connected(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n = (size_t)snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", outside("abstract"));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int failed = connect(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n));
	int saved = errno;
	close(fd);
	errno = saved;
	return failed;
}

static void probe(const char *thread)
{
	const char *peer = getenv("PROBE_PEER");
	snprintf(line, sizeof(line), "probe thread=%s", thread);
	tell("read", opened(outside("secret"), O_RDONLY));
	tell("write", opened(outside("secret"), O_WRONLY));
	tell("truncate", truncate(outside("secret"), 1));
	tell("list", opened(outside("list"), O_RDONLY | O_DIRECTORY));
	tell("create", opened(outside("new"), O_WRONLY | O_CREAT | O_EXCL));
	tell("mkdir", mkdir(outside("newdir"), 0700));
	tell("symlink", symlink("/", outside("newlink")));
	tell("rename", rename(outside("secret"), inside("stolen")));
	tell("link", link(outside("secret"), inside("stolen")));
	tell("unlink", unlink(outside("secret")));
	tell("rmdir", rmdir(outside("list")));
	tell("run", spawned());
	tell("bind", bound());
	tell("abstract", connected());
	tell("signal", peer ? kill(atoi(peer), 0) : 0);
	tell("own_read", opened(inside("data.mdb"), O_RDONLY));
	tell("own_write", opened(inside("lock"), O_RDWR));
	tell("own_make", opened(inside("probe.tmp"), O_WRONLY | O_CREAT));
	tell("own_remove", unlink(inside("probe.tmp")));
	tell("hosts", opened("/etc/hosts", O_RDONLY));
	strcat(line, "\n");
	(void)!write(2, line, strlen(line));
}

static void once(const char *thread, int *done)
{
	static int busy;
	if (*done || __atomic_load_n(&busy, __ATOMIC_SEQ_CST) || !getenv("PROBE_OUTSIDE") || access(outside("go"), F_OK))
		return;
	if (__atomic_exchange_n(&busy, 1, __ATOMIC_SEQ_CST))
		return;
	*done = 1;
	probe(thread);
	__atomic_store_n(&busy, 0, __ATOMIC_SEQ_CST);
}

int fdatasync(int fd)
{
	static int done;
	const char *broken = getenv("PROBE_EIO");
	once(getpid() == (int)syscall(SYS_gettid) ? "loop" : "storage", &done);
	if (broken && access(broken, F_OK) == 0)
		return errno = EIO, -1;
	return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	static int done;
	once("loop", &done);
	return ((int (*)(int, struct sockaddr *, socklen_t *, int))dlsym(RTLD_NEXT, "accept4"))(fd, addr, len, flags);
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	return epoll_pwait(fd, events, n, timeout, NULL);
}

int epoll_pwait(int fd, struct epoll_event *events, int n, int timeout, const sigset_t *mask)
{
	const char *hang = getenv("PROBE_HANG");
	while (hang && access(hang, F_OK) == 0)
		usleep(1000);
	return ((int (*)(int, struct epoll_event *, int, int, const sigset_t *))dlsym(RTLD_NEXT, "epoll_pwait"))(fd, events, n,
			timeout, mask);
}

long syscall(long number, ...)
{
	va_list ap;
	va_start(ap, number);
	long a = va_arg(ap, long), b = va_arg(ap, long), c = va_arg(ap, long), d = va_arg(ap, long), e = va_arg(ap, long),
	     f = va_arg(ap, long);
	va_end(ap);
	if (getenv("PROBE_NO_LANDLOCK") && number == 444)
		return errno = ENOSYS, -1;
	return ((long (*)(long, ...))dlsym(RTLD_NEXT, "syscall"))(number, a, b, c, d, e, f);
}

__attribute__((destructor)) static void end(void)
{
	if (getenv("PROBE_AT_END"))
		probe("end");
}
