/* Limits of the process. Each call is best effort: a container may forbid any of them, and none is needed to be correct;
 * too few descriptors show up as attempts that wait. Under a sanitizer the process stays dumpable, because its leak check
 * works by ptrace. */
#include "main/process.h"

#include "base/defs.h"
#include "main/cmd.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_SPARE = 128 /* for ourselves */ };
enum { FILES_ENOUGH = 1 << 20 }; /* some systems say "unlimited", and the kernel's tables are sized by what we ask for */

void hl_process_harden(bool core_dumps, uint64_t *out_files)
{
	umask(077);
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGPIPE, &ignore, NULL);
	struct rlimit files = { 0 }, core = { 0, 0 };
	*out_files = 1024;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		rlim_t want = files.rlim_max == RLIM_INFINITY || files.rlim_max > FILES_ENOUGH ? FILES_ENOUGH : files.rlim_max;
		if (files.rlim_cur < want) {
			files.rlim_cur = want;
			setrlimit(RLIMIT_NOFILE, &files);
		}
		getrlimit(RLIMIT_NOFILE, &files);
		*out_files = files.rlim_cur;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (core_dumps)
		return;
	setrlimit(RLIMIT_CORE, &core);
#ifndef HL_SANITIZED
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void hl_process_give_files(const char *dir)
{
	struct stat home, st;
	struct dirent *e;
	DIR *d = geteuid() == 0 ? opendir(dir) : NULL;
	if (d && fstat(dirfd(d), &home) == 0 && home.st_uid != 0) {
		while ((e = readdir(d)) != NULL) {
			/* the owner may have put a link there: only what is a plain file, by this one name, is given */
			int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
			if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 && st.st_nlink == 1 &&
					(st.st_mode & 0777) == 0600)
				(void)!fchown(fd, home.st_uid, home.st_gid);
			if (fd >= 0)
				close(fd);
		}
	}
	if (d)
		closedir(d);
}

static void lower(const char *option, uint32_t *value, uint64_t files, uint64_t most, const struct hl_log *log)
{
	if (*value <= most)
		return;
	hl_log(log, HL_LOG_WARN, "serve.few_files", "limit=%llu: %s is %llu instead of %u", (unsigned long long)files, option,
			(unsigned long long)most, *value);
	*value = (uint32_t)most;
}

void hl_process_share_files(uint64_t files, struct hl_config *c, const struct hl_log *log)
{
	uint64_t room = HL_MAX(files > FILES_SPARE ? files - FILES_SPARE : 0, files / 2);
	lower("server.max_connections", &c->max_connections, files, room / 2, log);
	lower("delivery.max_connections", &c->engine.max_connections, files, room - c->max_connections, log);
}

#ifndef HL_SANITIZED
static const char *last_words;
static int last_code;

/* Raised again for the default action, which SA_RESETHAND has put back: one sent from outside (systemd's watchdog sends SIGABRT)
 * does not come again by itself. */
static void on_crash(int number)
{
	(void)number;
	(void)!write(STDERR_FILENO, last_words, strlen(last_words));
	if (last_code)
		_exit(last_code);
	raise(number);
}
#endif

void hl_process_last_words(const char *line, int exit_code)
{
#ifndef HL_SANITIZED /* whose own report says more */
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE };
	struct sigaction action = { .sa_handler = on_crash, .sa_flags = SA_RESETHAND };
	last_words = line;
	last_code = exit_code;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
#else
	(void)line, (void)exit_code;
#endif
}
