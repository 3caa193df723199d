/* Log lines on their way out.
 *
 * A line is formatted into `pending` and written at once if the stream takes it. stderr's flags are shared with whoever
 * started us, so O_NONBLOCK is not an option; instead a socket is written with MSG_DONTWAIT, and anything else only after
 * poll() says that a pipe has room for PIPE_BUF bytes, in pieces of that size.
 *
 * The stream is full (a reader that stopped): lines collect in `pending` up to its limit while a timer tries again every
 * HL_LOG_SINK_RETRY_MS; lines beyond the limit are counted. When the stream moves again the count is logged first.
 * The stream is gone (EPIPE, EBADF): what is pending is thrown away, silently, there is nobody to tell. */
#include "main/log_sink.h"

#include "base/defs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/timefmt.h"
#include <hookline/dispatcher.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void hl_log_sink_init(struct hl_log_sink *s, int fd, enum hl_log_format format, const char *journal_stream,
		const struct hl_env *env)
{
	*s = (struct hl_log_sink){ .fd = fd, .json = format == HL_LOG_FORMAT_JSON, .env = env };
	s->pending.max = HL_LOG_SINK_PENDING_MAX;
	struct stat st;
	if (fstat(fd, &st) == 0) {
		s->is_socket = S_ISSOCK(st.st_mode);
		char id[48];
		snprintf(id, sizeof(id), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
		s->priorities = journal_stream && strcmp(journal_stream, id) == 0;
	}
}

/* One write that does not wait; bytes taken, 0 = full, -1 = the stream is gone. */
static ssize_t write_some(struct hl_log_sink *s, struct hl_str bytes)
{
	ssize_t n;
	if (s->is_socket) {
		n = send(s->fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		struct pollfd p = { .fd = s->fd, .events = POLLOUT };
		if (poll(&p, 1, 0) < 1)
			return 0;
		n = write(s->fd, bytes.ptr, HL_MIN(bytes.len, (size_t)PIPE_BUF));
	}
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
}

void hl_log_sink_flush(struct hl_log_sink *s)
{
	for (;;) {
		struct hl_str bytes = hl_buf_unread(&s->pending);
		if (bytes.len == 0)
			break;
		ssize_t n = write_some(s, bytes);
		if (n == 0)
			break;
		hl_buf_consume(&s->pending, n < 0 ? bytes.len : (size_t)n);
	}
	bool waiting = hl_buf_unread(&s->pending).len > 0;
	if (s->has_timer && !waiting)
		uv_timer_stop(&s->retry);
}

static void on_retry(uv_timer_t *t)
{
	hl_log_sink_flush(t->data);
}

void hl_log_sink_attach(struct hl_log_sink *s, uv_loop_t *loop)
{
	uv_timer_init(loop, &s->retry);
	s->retry.data = s;
	uv_unref((uv_handle_t *)&s->retry);
	s->has_timer = true;
}

void hl_log_sink_detach(struct hl_log_sink *s)
{
	if (!s->has_timer)
		return;
	s->has_timer = false;
	uv_ref((uv_handle_t *)&s->retry);
	uv_close((uv_handle_t *)&s->retry, NULL);
}

void hl_log_sink_fini(struct hl_log_sink *s)
{
	hl_log_sink_flush(s);
	hl_buf_fini(&s->pending);
}

/* Cuts "key=value" or key="quoted" from the front of *rest; false at the end. Escapes are undone into buf. */
static bool next_pair(struct hl_str *rest, struct hl_str *key, struct hl_buf *value)
{
	*rest = hl_str_trim(*rest);
	if (rest->len == 0)
		return false;
	size_t i = 0;
	while (i < rest->len && rest->ptr[i] != '=' && rest->ptr[i] != ' ')
		i++;
	*key = hl_str_make(rest->ptr, i);
	hl_buf_reset(value);
	if (i < rest->len && rest->ptr[i] == '=') {
		i++;
		bool quoted = i < rest->len && rest->ptr[i] == '"';
		i += quoted;
		for (; i < rest->len && rest->ptr[i] != (quoted ? '"' : ' '); i++) {
			unsigned byte;
			if (!quoted || rest->ptr[i] != '\\' || i + 1 == rest->len) {
				hl_buf_char(value, rest->ptr[i]);
			} else if (rest->ptr[i + 1] == 'x' && i + 3 < rest->len) {
				char hex[3] = { rest->ptr[i + 2], rest->ptr[i + 3], '\0' };
				byte = (unsigned)strtoul(hex, NULL, 16);
				hl_buf_char(value, (char)byte);
				i += 3;
			} else {
				hl_buf_char(value, rest->ptr[++i]);
			}
		}
		i += quoted && i < rest->len;
	}
	*rest = hl_str_make(rest->ptr + i, rest->len - i);
	return true;
}

void hl_log_sink_json(struct hl_buf *out, const char *time, const char *line)
{
	struct hl_jsonw w;
	struct hl_buf value = { 0 };
	struct hl_str rest = hl_str_from(line), key;
	uint64_t number;
	hl_jsonw_init(&w, out);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "time");
	hl_jsonw_cstr(&w, time);
	while (next_pair(&rest, &key, &value)) {
		struct hl_str v = hl_buf_all(&value);
		hl_jsonw_key_str(&w, key);
		/* a number stays one as long as every reader keeps it: 2^53 */
		if (v.len <= 15 && hl_str_u64(v, &number) && (v.len == 1 || v.ptr[0] != '0'))
			hl_jsonw_u64(&w, number);
		else
			hl_jsonw_str(&w, v);
	}
	hl_jsonw_object_end(&w);
	hl_buf_fini(&value);
}

static void append(struct hl_log_sink *s, int level, const char *line)
{
	static const char priorities[] = { '3', '4', '6', '7' };
	char time[HL_RFC3339_CAP];
	struct hl_buf text = { 0 };
	hl_rfc3339_format(hl_env_wall_ms(s->env), time);
	if (s->priorities)
		hl_buf_fmt(&text, "<%c>", priorities[level >= 0 && level < 4 ? level : 3]);
	if (s->json)
		hl_log_sink_json(&text, time, line);
	else
		hl_buf_fmt(&text, "time=%s %s", time, line);
	hl_buf_char(&text, '\n');
	size_t used = hl_buf_unread(&s->pending).len;
	if (!hl_buf_ok(&text) || used + text.len > HL_LOG_SINK_PENDING_MAX) {
		s->n_dropped++;
	} else {
		hl_buf_str(&s->pending, hl_buf_all(&text));
		if (!hl_buf_ok(&s->pending)) { /* out of memory: only this line is lost if the buffer is put right again */
			hl_buf_fini(&s->pending);
			s->pending.max = HL_LOG_SINK_PENDING_MAX;
			s->n_dropped++;
		}
	}
	hl_buf_fini(&text);
}

void hl_log_sink_line(void *data, int level, const char *line)
{
	struct hl_log_sink *s = data;
	hl_log_sink_flush(s);
	if (s->n_dropped && hl_buf_unread(&s->pending).len < HL_LOG_SINK_PENDING_MAX / 2) {
		char report[96];
		snprintf(report, sizeof(report), "level=warn ev=log.dropped lines=%llu", (unsigned long long)s->n_dropped);
		s->n_dropped = 0;
		append(s, HL_LOG_WARN, report);
	}
	append(s, level, line);
	hl_log_sink_flush(s);
	if (s->has_timer && hl_buf_unread(&s->pending).len > 0 && !uv_is_active((uv_handle_t *)&s->retry))
		uv_timer_start(&s->retry, on_retry, HL_LOG_SINK_RETRY_MS, HL_LOG_SINK_RETRY_MS);
}
