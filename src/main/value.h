/* The values an option may have, as text and as C: "15s", "64GiB", "yes", "5s, 30s, 2m". */
#ifndef HL_MAIN_VALUE_H
#define HL_MAIN_VALUE_H

#include <hookline/error.h>
#include <hookline/webhook.h>

/* X(NAME, C type, what to write) — the type of the member an option of this kind fills in. */
#define HL_VALUE_TABLE(X)                                                                                     \
	X(BOOL, bool, "yes or no")                                                                            \
	X(COUNT, uint32_t, "a number")                                                                        \
	X(SIZE, uint64_t, "a size such as 512KiB, 64MiB or 64GiB")                                            \
	X(MS, uint32_t, "a duration such as 500ms, 15s or 2m")                                                \
	X(S, uint32_t, "a duration such as 15s, 48h or 7d")                                                   \
	X(MODE, uint32_t, "octal permission bits such as 0660")                                               \
	X(TEXT, const char *, "text")                                                                         \
	X(PATH, const char *, "a path")                                                                       \
	X(LIST, const char *, "a comma-separated list")                                                       \
	X(LEVEL, enum hl_log_level, "error, warn, info or debug")                                             \
	X(LOG_FORMAT, enum hl_log_format, "auto, logfmt or json")                                             \
	X(SANDBOX, enum hl_sandbox_mode, "auto, off or require")                                              \
	X(RETRY, struct hl_retry, "exponential, hourly, or a list of delays such as 5s, 30s, 2m")

enum hl_value_kind {
#define HL_X(name, type, text) HL_VALUE_##name,
	HL_VALUE_TABLE(HL_X)
#undef HL_X
	HL_VALUE_N
};

/* Whether the kernel keeps the server to its own files. AUTO: where it can. REQUIRE: no start without. */
enum hl_sandbox_mode { HL_SANDBOX_AUTO, HL_SANDBOX_OFF, HL_SANDBOX_REQUIRE };
/* How log lines look. AUTO: logfmt. */
enum hl_log_format { HL_LOG_FORMAT_AUTO, HL_LOG_FORMAT_LOGFMT, HL_LOG_FORMAT_JSON };

/* Reads text (trimmed by the caller) into *out, an object of the kind's C type. min and max are in the kind's own unit
 * (bytes, milliseconds, seconds; the length of a text or list in bytes); TEXT, PATH and LIST store the pointer itself, so
 * `text` must outlive *out; an empty PATH is NULL. HL_EINVAL with a sentence that says what would be right. */
HL_MUST_CHECK int hl_value_parse(enum hl_value_kind kind, const char *text, uint64_t min, uint64_t max, void *out,
		struct hl_err *err);
/* "a duration such as …, from 1s to 10m": what may be written. */
void hl_value_describe(enum hl_value_kind kind, uint64_t min, uint64_t max, char *out, size_t cap);
/* A number in the kind's unit as people write it: 90000 ms → "90s", 64 << 30 → "64GiB". */
void hl_value_format(enum hl_value_kind kind, uint64_t v, char *out, size_t cap);

#endif
