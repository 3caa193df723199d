/* Assertions that stay on in release builds. Bytes from wire or disk are validated, never asserted. */
#ifndef HL_BASE_CHECK_H
#define HL_BASE_CHECK_H

#include <hookline/types.h>

/* Prints what failed with the last log lines kept in memory, then aborts. */
_Noreturn void hl_panic(const char *file, int line, const char *what);
#define HL_CHECK(cond) ((cond) ? (void)0 : hl_panic(__FILE__, __LINE__, #cond))
#define HL_NEVER(why) hl_panic(__FILE__, __LINE__, why)

#endif
