/* Structured log lines, handed to a sink one at a time; no file here ever writes to a stream.
 *
 *   hl_log(log, HL_LOG_INFO, "queue.parked", "webhook=%s failures=%u", id, n);
 *
 * makes the logfmt line  level=info ev=queue.parked webhook=… failures=5  (the sink adds the time). Values that may hold
 * spaces, quotes or control bytes go through hl_log_quote. Never log a secret, a signature, a payload, or the path or
 * query of a destination. */
#ifndef HL_BASE_LOG_H
#define HL_BASE_LOG_H

#include <hookline/types.h>

struct hl_log {
	int level;                                             /* enum hl_log_level: lines above it are dropped early */
	void (*sink)(void *data, int level, const char *line); /* NULL = nowhere */
	void *data;
};

enum { HL_LOG_LINE_MAX = 1024 };

void hl_log(const struct hl_log *log, int level, const char *ev, const char *fmt, ...) HL_PRINTF(4, 5);
static inline bool hl_log_on(const struct hl_log *log, int level) { return log && log->sink && level <= log->level; }
/* "text" with quotes when needed, control bytes escaped, cut to fit cap; returns out. */
const char *hl_log_quote(struct hl_str text, char *out, size_t cap);
/* The last lines logged by any hl_log of this thread, oldest first, for hl_panic. */
void hl_log_ring_dump(void (*line)(const char *));

#endif
