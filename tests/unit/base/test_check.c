/* A failed check ends the process with a message and the last log lines on fd 2. */
#include "base_test.h"
#include "base/check.h"
#include "base/log.h"
#include <hookline/dispatcher.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void quiet(void *data, int level, const char *line)
{
	(void)data;
	(void)level;
	(void)line;
}

static void fails_in_child(void)
{
	struct hl_log log = { HL_LOG_INFO, quiet, NULL };
	hl_log(&log, HL_LOG_INFO, "first", "n=%d", 1);
	hl_log(&log, HL_LOG_WARN, "second", "n=%d", 2);
	HL_CHECK(2 + 2 == 5);
}

static void panic_says_why(void **state)
{
	(void)state;
	int fds[2], status;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], 2);
		fails_in_child();
		_exit(0);
	}
	close(fds[1]);
	char text[4096];
	size_t n = 0;
	for (ssize_t got; (got = read(fds[0], text + n, sizeof text - 1 - n)) > 0;)
		n += (size_t)got;
	text[n] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(text, "panic: "));
	assert_non_null(strstr(text, "test_check.c:"));
	assert_non_null(strstr(text, ": 2 + 2 == 5\n"));
	const char *first = strstr(text, "  level=info ev=first n=1\n");
	const char *second = strstr(text, "  level=warn ev=second n=2\n");
	assert_true(first && second && first < second);
}

static void true_costs_nothing(void **state)
{
	(void)state;
	int evaluated = 0;
	HL_CHECK(++evaluated == 1);
	assert_int_equal(evaluated, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(panic_says_why),
		cmocka_unit_test(true_costs_nothing),
	};
	return RUN(tests);
}
