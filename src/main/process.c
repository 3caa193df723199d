/* Limits of the process. Each call is best effort: a container may forbid any of them, and none is needed to be correct;
 * too few descriptors show up as attempts that wait. Under a sanitizer the process stays dumpable, because its leak check
 * works by ptrace. */
#include "main/process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HL_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HL_SANITIZED 1
#endif

enum { FILES_ENOUGH = 1 << 20 }; /* some systems say "unlimited", and the kernel's tables are sized by what we ask for */

void hl_process_harden(uint64_t *out_files)
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
	setrlimit(RLIMIT_CORE, &core);
#ifndef HL_SANITIZED
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}
