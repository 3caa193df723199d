/* The end of a process whose state can no longer be trusted: say what failed, show the last log lines, abort.
 *
 * Only write(2) is used: the heap may be damaged and stdio's locks may be held. A second failure while printing
 * aborts at once. */
#include "base/check.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put(const char *s)
{
	size_t n = strlen(s);
	while (n > 0) {
		ssize_t w = write(2, s, n);
		if (w <= 0)
			return; /* nowhere left to complain to */
		s += w;
		n -= (size_t)w;
	}
}

static void put_line(const char *line)
{
	put("  ");
	put(line);
	put("\n");
}

static void put_int(int v)
{
	char digits[12];
	size_t at = sizeof digits - 1;
	unsigned u = v < 0 ? 0u : (unsigned)v;
	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + u % 10);
		u /= 10;
	} while (u > 0);
	put(digits + at);
}

_Noreturn void hl_panic(const char *file, int line, const char *what)
{
	static _Thread_local bool panicking;
	if (!panicking) {
		panicking = true;
		put("panic: ");
		put(file);
		put(":");
		put_int(line);
		put(": ");
		put(what);
		put("\nlast log lines:\n");
		hl_log_ring_dump(put_line);
	}
	abort();
}
