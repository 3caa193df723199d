/* The few plain types that every floor and every embedding program shares. */
#ifndef HOOKLINE_TYPES_H
#define HOOKLINE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HL_API __attribute__((visibility("default")))
#define HL_MUST_CHECK __attribute__((warn_unused_result))
#define HL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Milliseconds. `_at_ms` is wall time since 1970-01-01 UTC, `_mono_ms` the monotonic clock, a bare `_ms` a duration.
 * As a wall time, 0 means "never" or "not set". */
typedef int64_t hl_ms_t;

/* A slice of bytes somebody else owns. Never assumed to end in NUL; ptr may be NULL when len is 0. */
struct hl_str {
	const char *ptr;
	size_t len;
};

#define HL_STR(literal) ((struct hl_str){ "" literal, sizeof(literal) - 1 })
#define HL_STR_NONE ((struct hl_str){ NULL, 0 })

/* An extra request header. */
struct hl_header {
	struct hl_str name;
	struct hl_str value;
};

/* The text form of an id: lower-case UUID (RFC 9562, version 7) and its NUL. */
#define HL_ID_LEN 36
#define HL_ID_CAP 37

#endif
