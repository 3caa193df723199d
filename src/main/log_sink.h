/* Where log lines end: one line each on a stream, as logfmt or JSON, with the time in front. Never waits: what does not
 * fit is counted, dropped, and the count logged when there is room again.
 *
 *   time=2026-04-12T18:20:11.123Z level=info ev=serve.ready listen=127.0.0.1:8420
 *   {"time":"2026-04-12T18:20:11.123Z","level":"info","ev":"serve.ready","listen":"127.0.0.1:8420"} */
#ifndef HL_MAIN_LOG_SINK_H
#define HL_MAIN_LOG_SINK_H

#include "base/buf.h"
#include "base/env.h"
#include "base/log.h"
#include "main/value.h"
#include <uv.h>

enum {
	HL_LOG_SINK_PENDING_MAX = 256 * 1024, /* bytes of lines that wait for the stream */
	HL_LOG_SINK_RETRY_MS = 50,            /* how often a full stream is tried again */
};

struct hl_log_sink {
	int fd;                     /* borrowed */
	bool json;
	bool priorities;            /* journald reads the stream: "<6>" in front */
	bool is_socket;
	const struct hl_env *env;
	struct hl_buf pending;      /* whole lines, unread part not written yet */
	uint64_t n_dropped;         /* since the last report */
	uv_timer_t retry;           /* runs only while something is pending; unreferenced */
	bool has_timer;
};

/* journal_stream: $JOURNAL_STREAM or NULL. */
void hl_log_sink_init(struct hl_log_sink *s, int fd, enum hl_log_format format, const char *journal_stream,
		const struct hl_env *env);
/* From here on what could not be written is tried again by itself. */
void hl_log_sink_attach(struct hl_log_sink *s, uv_loop_t *loop);
/* Closes the timer; run the loop afterwards. Lines may still come. */
void hl_log_sink_detach(struct hl_log_sink *s);
/* Tries once more to write what is pending, then frees it. */
void hl_log_sink_fini(struct hl_log_sink *s);
/* The sink of a struct hl_log, with data = the sink. */
void hl_log_sink_line(void *data, int level, const char *line);
void hl_log_sink_flush(struct hl_log_sink *s);

/* A logfmt line as a JSON object (time first); exposed for tests. */
void hl_log_sink_json(struct hl_buf *out, const char *time, const char *line);

#endif
