/* One log line: format, remember, hand to the sink.
 *
 * Disabled lines cost one comparison. An enabled line is formatted on the stack, copied into this thread's ring of
 * the last RING_LINES lines (what hl_panic prints), and given to the sink. A line longer than HL_LOG_LINE_MAX is
 * cut on a character boundary; control bytes that slipped into a value become '?', so one call is always one line. */
#include "base/log.h"
#include "base/defs.h"
#include <hookline/dispatcher.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RING_LINES = 64 };

static _Thread_local struct {
	char line[RING_LINES][HL_LOG_LINE_MAX];
	unsigned long written; /* lines ever; the newest is at (written - 1) % RING_LINES */
} ring;

static const char *level_name(int level)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	return level >= 0 && (size_t)level < HL_ARRAY_LEN(names) ? names[level] : "debug";
}

/* Length of the line without a character that the cut split. */
static size_t whole_chars(const char *line, size_t len)
{
	while (len > 0 && ((unsigned char)line[len - 1] & 0xC0) == 0x80)
		len--;
	return len > 0 && ((unsigned char)line[len - 1] & 0x80) ? len - 1 : len;
}

static size_t HL_PRINTF(4, 0) format(char line[HL_LOG_LINE_MAX], int level, const char *ev, const char *fmt, va_list ap)
{
	int n = snprintf(line, HL_LOG_LINE_MAX, "level=%s ev=%s", level_name(level), ev);
	size_t len = n < 0 ? 0 : HL_MIN((size_t)n, (size_t)HL_LOG_LINE_MAX - 1);
	if (fmt && *fmt && len + 2 < HL_LOG_LINE_MAX) {
		line[len++] = ' ';
		n = vsnprintf(line + len, HL_LOG_LINE_MAX - len, fmt, ap);
		if (n > 0 && (size_t)n >= HL_LOG_LINE_MAX - len)
			len = whole_chars(line, HL_LOG_LINE_MAX - 1);
		else if (n > 0)
			len += (size_t)n;
	}
	line[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7F)
			line[i] = '?';
	return len;
}

void hl_log(const struct hl_log *log, int level, const char *ev, const char *fmt, ...)
{
	if (!hl_log_on(log, level))
		return;
	char line[HL_LOG_LINE_MAX];
	va_list ap;
	va_start(ap, fmt);
	size_t len = format(line, level, ev, fmt, ap);
	va_end(ap);
	memcpy(ring.line[ring.written++ % RING_LINES], line, len + 1);
	log->sink(log->data, level, line);
}

void hl_log_ring_dump(void (*line)(const char *))
{
	unsigned long n = HL_MIN(ring.written, (unsigned long)RING_LINES);
	for (unsigned long i = ring.written - n; i != ring.written; i++)
		line(ring.line[i % RING_LINES]);
}

static bool is_plain(struct hl_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c <= ' ' || c >= 0x7F || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return s.len > 0;
}

/* Writes the escaped form of c, returns its length (1, 2 or 4). Bytes outside ASCII are escaped as well: a log is
 * read on terminals, and what is logged here comes from strangers. */
static size_t escape(unsigned char c, char out[4])
{
	static const char hex[] = "0123456789abcdef";
	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	if (c >= 0x20 && c < 0x7F) {
		out[0] = (char)c;
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

const char *hl_log_quote(struct hl_str text, char *out, size_t cap)
{
	if (cap == 0)
		return "";
	if (is_plain(text) && text.len < cap) {
		memcpy(out, text.ptr, text.len);
		out[text.len] = '\0';
		return out;
	}
	if (cap < 3) { /* no room for two quotes */
		out[0] = '\0';
		return out;
	}
	size_t n = 0;
	out[n++] = '"';
	for (size_t i = 0; i < text.len; i++) {
		char piece[4];
		size_t len = escape((unsigned char)text.ptr[i], piece);
		if (n + len + 2 > cap)
			break;
		memcpy(out + n, piece, len);
		n += len;
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}
