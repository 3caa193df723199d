/* Dying at a named place. HOOKLINE_CRASH_AT is read once; a name that is not in the table ends the process at once, so that a
 * test with a misspelt name cannot pass. SIGKILL and not abort(): nothing may be flushed, closed or told. */
#include "base/crash.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[HL_CRASH_N] = {
#define HL_X(name, text, scene, left) text,
	HL_CRASH_TABLE(HL_X)
#undef HL_X
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int wanted = -1;
static atomic_long left; /* times to come by, the fatal one included */

static void read_wish(void)
{
	const char *wish = getenv("HOOKLINE_CRASH_AT");
	if (!wish)
		return;
	const char *colon = strchr(wish, ':');
	size_t len = colon ? (size_t)(colon - wish) : strlen(wish);
	for (int i = 0; i < HL_CRASH_N; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], wish, len) == 0)
			wanted = i;
	}
	atomic_store(&left, colon ? strtol(colon + 1, NULL, 10) : 1);
	if (wanted < 0 || atomic_load(&left) < 1) {
		fprintf(stderr, "HOOKLINE_CRASH_AT=%s: no such crash point\n", wish);
		abort();
	}
}

bool hl_crash_next(enum hl_crash_point p)
{
	pthread_once(&once, read_wish);
	return (int)p == wanted && atomic_load(&left) == 1;
}

void hl_crash_point(enum hl_crash_point p)
{
	pthread_once(&once, read_wish);
	if ((int)p != wanted || atomic_fetch_sub(&left, 1) != 1)
		return;
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}
