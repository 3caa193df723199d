/* Log lines: shape, and what happens when nobody reads them. */
#include "main/log_sink.h"

#include "base/str.h"
#include "fakeenv.h"
#include "loop.h"
#include <fcntl.h>
#include <hookline/dispatcher.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct fakeenv world;

/* Everything there is to read now. */
static void slurp(int fd, struct hl_buf *out)
{
	char bytes[65536];
	ssize_t n;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		hl_buf_add(out, bytes, (size_t)n);
}

static void open_pipe(int fds[2])
{
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	fakeenv_init(&world, 1);
}

static void logfmt(void **state)
{
	(void)state;
	int fds[2];
	struct hl_log_sink s;
	struct hl_buf got = { 0 };
	open_pipe(fds);
	hl_log_sink_init(&s, fds[1], HL_LOG_FORMAT_AUTO, NULL, &world.env);
	hl_log_sink_line(&s, HL_LOG_INFO, "level=info ev=a b=1");
	slurp(fds[0], &got);
	assert_string_equal(got.data, "time=2026-01-01T00:00:00.000Z level=info ev=a b=1\n");
	hl_log_sink_fini(&s);
	hl_buf_fini(&got);
	close(fds[0]);
	close(fds[1]);
}

static void json(void **state)
{
	(void)state;
	struct hl_buf b = { 0 };
	hl_log_sink_json(&b, "T", "level=info ev=x n=17 zero=0 id=007 text=\"a b \\\"q\\\" \\\\ \\x0a\\xc3\\xa9\" empty=\"\" flag");
	assert_string_equal(b.data, "{\"time\":\"T\",\"level\":\"info\",\"ev\":\"x\",\"n\":17,\"zero\":0,\"id\":\"007\","
			"\"text\":\"a b \\\"q\\\" \\\\ \\n\xc3\xa9\",\"empty\":\"\",\"flag\":\"\"}");
	hl_buf_reset(&b);
	hl_log_sink_json(&b, "T", "big=12345678901234567890 broken=\"no end");
	assert_string_equal(b.data, "{\"time\":\"T\",\"big\":\"12345678901234567890\",\"broken\":\"no end\"}");
	hl_buf_fini(&b);
}

static void journald_gets_priorities(void **state)
{
	(void)state;
	int fds[2];
	struct hl_log_sink s;
	struct hl_buf got = { 0 };
	struct stat st;
	char id[64];
	open_pipe(fds);
	assert_int_equal(fstat(fds[1], &st), 0);
	snprintf(id, sizeof(id), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	hl_log_sink_init(&s, fds[1], HL_LOG_FORMAT_LOGFMT, id, &world.env);
	hl_log_sink_line(&s, HL_LOG_ERROR, "level=error ev=a");
	hl_log_sink_line(&s, HL_LOG_DEBUG, "level=debug ev=b");
	slurp(fds[0], &got);
	assert_string_equal(got.data,
			"<3>time=2026-01-01T00:00:00.000Z level=error ev=a\n<7>time=2026-01-01T00:00:00.000Z level=debug ev=b\n");
	hl_log_sink_fini(&s);
	hl_log_sink_init(&s, fds[1], HL_LOG_FORMAT_LOGFMT, "8:12345", &world.env);
	assert_false(s.priorities);
	hl_log_sink_fini(&s);
	hl_buf_fini(&got);
	close(fds[0]);
	close(fds[1]);
}

static size_t count(const char *text, const char *needle)
{
	size_t n = 0;
	for (const char *p = text; (p = strstr(p, needle)); p += strlen(needle))
		n++;
	return n;
}

static bool all_written(void *data)
{
	struct hl_log_sink *s = data;
	return hl_buf_unread(&s->pending).len == 0;
}

/* Fills stream and buffer, then reads: what was kept comes in order, what was not is counted. */
static void a_reader_that_stops(int reader, int writer)
{
	enum { LINES = 6000 };
	struct hl_log_sink s;
	struct hl_buf got = { 0 };
	uv_loop_t loop;
	char line[200], tail[400];
	loop_init(&loop);
	hl_log_sink_init(&s, writer, HL_LOG_FORMAT_LOGFMT, NULL, &world.env);
	hl_log_sink_attach(&s, &loop);
	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "level=info ev=line n=%d padding=%0*d", i, 80, 0);
		hl_log_sink_line(&s, HL_LOG_INFO, line);
	}
	uint64_t dropped = s.n_dropped;
	assert_true(dropped > 0);
	assert_true(hl_buf_unread(&s.pending).len <= HL_LOG_SINK_PENDING_MAX);
	for (int i = 0; i < 2000 && !all_written(&s); i++) {
		slurp(reader, &got);
		uv_run(&loop, UV_RUN_NOWAIT);
		hl_log_sink_flush(&s);
	}
	assert_true(all_written(&s));
	slurp(reader, &got);
	hl_log_sink_line(&s, HL_LOG_INFO, "level=info ev=after");
	slurp(reader, &got);
	assert_int_equal(count(got.data, " ev=line "), LINES - dropped);
	assert_true(got.data[got.len - 1] == '\n');
	snprintf(tail, sizeof(tail),
			"time=2026-01-01T00:00:00.000Z level=warn ev=log.dropped lines=%llu\n"
			"time=2026-01-01T00:00:00.000Z level=info ev=after\n",
			(unsigned long long)dropped);
	assert_string_equal(got.data + (got.len > strlen(tail) ? got.len - strlen(tail) : 0), tail);
	assert_int_equal(s.n_dropped, 0);
	hl_log_sink_detach(&s);
	hl_log_sink_fini(&s);
	loop_fini(&loop);
	hl_buf_fini(&got);
}

static void a_full_pipe(void **state)
{
	(void)state;
	int fds[2];
	open_pipe(fds);
	a_reader_that_stops(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
}

static void a_full_socket(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	a_reader_that_stops(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
}

static void the_timer_tries_again(void **state)
{
	(void)state;
	int fds[2];
	struct hl_log_sink s;
	struct hl_buf got = { 0 };
	uv_loop_t loop;
	open_pipe(fds);
	loop_init(&loop);
	hl_log_sink_init(&s, fds[1], HL_LOG_FORMAT_LOGFMT, NULL, &world.env);
	hl_log_sink_attach(&s, &loop);
	for (int i = 0; i < 1500; i++)
		hl_log_sink_line(&s, HL_LOG_INFO, "level=info ev=some.line.that.fills.the.pipe");
	assert_false(all_written(&s));
	slurp(fds[0], &got);
	assert_true(loop_run_until(&loop, all_written, &s, 1000));
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_false(uv_is_active((uv_handle_t *)&s.retry)); /* an idle server does not wake up for its log */
	hl_log_sink_detach(&s);
	hl_log_sink_fini(&s);
	loop_fini(&loop);
	hl_buf_fini(&got);
	close(fds[0]);
	close(fds[1]);
}

static void a_stream_that_is_gone(void **state)
{
	(void)state;
	struct hl_log_sink s;
	hl_log_sink_init(&s, 987, HL_LOG_FORMAT_LOGFMT, NULL, &world.env);
	hl_log_sink_line(&s, HL_LOG_INFO, "level=info ev=a");
	assert_true(all_written(&s));
	hl_log_sink_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logfmt), cmocka_unit_test(json), cmocka_unit_test(journald_gets_priorities),
		cmocka_unit_test(a_full_pipe), cmocka_unit_test(a_full_socket), cmocka_unit_test(the_timer_tries_again),
		cmocka_unit_test(a_stream_that_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
