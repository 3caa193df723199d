/* The layers of the configuration: who wins, what is refused, and what the message says. */
#include "main/usage.h"

#include "main/setup.h"
#include "tmpdir.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct tmpdir dir;

static int set_up(void **state)
{
	(void)state;
	tmpdir_make(&dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tmpdir_remove(&dir);
	return 0;
}

/* Reads text as a file called x.conf; the error's text without the directory. */
static int read_text(struct hl_config *c, const char *text, char *out_error)
{
	struct hl_err err = { 0 };
	char path[TMPDIR_PATH_CAP];
	tmpdir_write(&dir, "x.conf", text);
	tmpdir_path(&dir, "x.conf", path);
	assert_int_equal(hl_config_init(c, &err), HL_OK);
	int rc = hl_config_read_file(c, path, &err);
	const char *from = strstr(err.text, "x.conf");
	if (out_error)
		snprintf(out_error, sizeof(err.text), "%s", from ? from : err.text);
	return rc;
}

static void refused(const char *text, int rc, const char *message)
{
	struct hl_config c;
	char error[256];
	assert_int_equal(read_text(&c, text, error), rc);
	assert_string_equal(error, message);
	hl_config_fini(&c);
}

static void defaults_are_those_of_the_library(void **state)
{
	(void)state;
	struct hl_config c;
	struct hl_options o;
	struct hl_err err;
	hl_options_init(&o);
	assert_int_equal(hl_config_init(&c, &err), HL_OK);
	assert_int_equal(hl_config_check(&c, &err), HL_OK);
	assert_true(c.engine.store_max_bytes == o.store_max_bytes);
	assert_int_equal(c.engine.retention_s, o.retention_s);
	assert_int_equal(c.engine.retention_percent, o.retention_percent);
	assert_int_equal(c.engine.retry.kind, HL_RETRY_EXPONENTIAL);
	assert_int_equal(c.engine.retry_dialects.kind, HL_RETRY_HOURLY);
	assert_int_equal(c.engine.window_s, o.window_s);
	assert_int_equal(c.engine.rotation_overlap_s, o.rotation_overlap_s);
	assert_int_equal(c.engine.connect_timeout_ms, o.connect_timeout_ms);
	assert_int_equal(c.engine.timeout_ms, o.timeout_ms);
	assert_int_equal(c.engine.timeout_dialects_ms, o.timeout_dialects_ms);
	assert_int_equal(c.engine.max_in_flight, o.max_in_flight);
	assert_int_equal(c.engine.max_slow, o.max_slow);
	assert_int_equal(c.engine.max_in_flight_per_webhook, o.max_in_flight_per_webhook);
	assert_int_equal(c.engine.park_after, o.park_after);
	assert_true(c.engine.window_bytes == o.window_bytes);
	assert_int_equal(c.engine.max_uncommitted, o.max_uncommitted);
	assert_int_equal(c.engine.max_connections, o.max_connections);
	assert_int_equal(c.engine.idle_timeout_ms, o.idle_timeout_ms);
	assert_string_equal(c.engine.final_statuses, o.final_statuses);
	assert_int_equal(c.engine.allow_http, o.allow_http);
	assert_int_equal(c.engine.log_level, o.log_level);
	assert_int_equal(c.n_addrs, 1);
	hl_config_fini(&c);
}

static void a_file_is_read(void **state)
{
	(void)state;
	struct hl_config c;
	assert_int_equal(read_text(&c,
					 "# a comment\n[store]\ndir = /srv/x\nmax_size=1GiB ; inline\n\n[server]\n"
					 "listen = 127.0.0.1:1,\n\t127.0.0.1:2,\n\tunix:/x\n[delivery]\nretry = 5s,\n 10s\n",
					 NULL),
			HL_OK);
	assert_string_equal(c.engine.data_dir, "/srv/x");
	assert_true(c.engine.store_max_bytes == (uint64_t)1 << 30);
	assert_string_equal(c.listen, "127.0.0.1:1,127.0.0.1:2,unix:/x");
	assert_int_equal(c.engine.retry.n_delays, 2);
	struct hl_err err;
	assert_int_equal(hl_config_check(&c, &err), HL_OK);
	assert_int_equal(c.n_addrs, 3);
	hl_config_fini(&c);
}

static void bad_files(void **state)
{
	(void)state;
	refused("[delivery]\ntimout = 5s\n", HL_EINVAL,
			"x.conf:2: unknown option \"delivery.timout\"; did you mean delivery.timeout?");
	refused("[server]\n\nmax_in_flight = 5\n", HL_EINVAL,
			"x.conf:3: unknown option \"server.max_in_flight\"; did you mean delivery.max_in_flight?");
	refused("[nonsense]\nabcdefghijk = 5\n", HL_EINVAL,
			"x.conf:2: unknown option \"nonsense.abcdefghijk\" (hookline help options lists them)");
	refused("timeout = 5s\n", HL_EINVAL, "x.conf:1: unknown option \"timeout\" (hookline help options lists them)");
	refused("[delivery]\n\ntimeout = fast\n", HL_EINVAL,
			"x.conf:3: delivery.timeout: \"fast\" is not a duration such as 500ms, 15s or 2m, from 1ms to 1m");
	refused("[log]\nlevel = info\nlevel = warn\n", HL_EDUPLICATE, "x.conf:3: log.level is given twice");
	refused("[log]\nlevel\n", HL_EINVAL, "x.conf:2: neither [section] nor key = value");
	char longest[300] = "[server]\nlisten = ";
	memset(longest + strlen(longest), 'x', 250);
	refused(longest, HL_EINVAL, "x.conf:2: line longer than 198 bytes (lists may go on in indented lines)");
	struct hl_config c;
	struct hl_err err;
	assert_int_equal(hl_config_init(&c, &err), HL_OK);
	assert_int_equal(hl_config_read_file(&c, "/nonexistent/x.conf", &err), HL_ENOTFOUND);
	hl_config_fini(&c);
}

static void the_environment(void **state)
{
	(void)state;
	struct hl_config c;
	struct hl_err err;
	char *good[] = { "HOME=/", "HOOKLINE_URL=x", "HOOKLINE_KEY=y", "HOOKLINE_PORT_8420_TCP=tcp://1.2.3.4:8420",
		"HOOKLINE_STORE_MAX_SIZE=1GiB", "HOOKLINE_DELIVERY_MAX_IN_FLIGHT_PER_WEBHOOK=3", NULL };
	assert_int_equal(hl_config_init(&c, &err), HL_OK);
	assert_int_equal(hl_config_read_env(&c, good, &err), HL_OK);
	assert_true(c.engine.store_max_bytes == (uint64_t)1 << 30);
	assert_int_equal(c.engine.max_in_flight_per_webhook, 3);
	char *bad[] = { "HOOKLINE_STORE_MAXSIZE=1GiB", NULL };
	assert_int_equal(hl_config_read_env(&c, bad, &err), HL_EINVAL);
	assert_string_equal(err.text, "HOOKLINE_STORE_MAXSIZE: unknown option \"store.maxsize\"; did you mean store.max_size?");
	char *wrong[] = { "HOOKLINE_STORE_MAX_SIZE=big", NULL };
	assert_int_equal(hl_config_read_env(&c, wrong, &err), HL_EINVAL);
	assert_non_null(strstr(err.text, "HOOKLINE_STORE_MAX_SIZE: store.max_size: \"big\" is not a size"));
	assert_string_equal(err.field, "store.max_size");
	assert_true(c.engine.store_max_bytes == (uint64_t)1 << 30);
	hl_config_fini(&c);
}

static void flags_win_over_environment_over_file(void **state)
{
	(void)state;
	char path[TMPDIR_PATH_CAP];
	struct hl_setup s = { .n_flags = 0 };
	struct hl_config c;
	struct hl_err err;
	tmpdir_write(&dir, "y.conf", "[delivery]\nmax_slow = 1\nmax_in_flight = 11\nwindow = 1h\n[server]\nlisten = unix:/file\n");
	tmpdir_path(&dir, "y.conf", path);
	setenv("HOOKLINE_DELIVERY_MAX_IN_FLIGHT", "22", 1);
	setenv("HOOKLINE_DELIVERY_WINDOW", "2h", 1);
	assert_true(hl_setup_take(&s, HL_SETUP_SET, "delivery.window=3h"));
	assert_true(hl_setup_take(&s, HL_SETUP_LISTEN, "127.0.0.1:1"));
	assert_true(hl_setup_take(&s, HL_SETUP_LISTEN, "[::1]:2"));
	assert_true(hl_setup_take(&s, HL_SETUP_DATA, "/srv/flag"));
	assert_true(hl_setup_take(&s, HL_SETUP_CONFIG, path));
	assert_int_equal(hl_setup_config(&s, &c, &err), HL_OK);
	unsetenv("HOOKLINE_DELIVERY_MAX_IN_FLIGHT");
	unsetenv("HOOKLINE_DELIVERY_WINDOW");
	assert_int_equal(c.engine.max_slow, 1);
	assert_int_equal(c.engine.max_in_flight, 22);
	assert_int_equal(c.engine.window_s, 3 * 3600);
	assert_string_equal(c.listen, "127.0.0.1:1,[::1]:2");
	assert_string_equal(c.engine.data_dir, "/srv/flag");
	assert_string_equal(c.source[HL_SETTING_delivery_max_in_flight], "HOOKLINE_DELIVERY_MAX_IN_FLIGHT");
	assert_string_equal(c.source[HL_SETTING_delivery_window], "--set");
	hl_config_fini(&c);
}

static void check_one(const char *assignment, const char *field)
{
	struct hl_setup s = { .n_flags = 0 };
	struct hl_config c;
	struct hl_err err = { 0 };
	assert_true(hl_setup_take(&s, HL_SETUP_SET, assignment));
	assert_int_equal(hl_setup_config(&s, &c, &err), HL_EINVAL);
	assert_string_equal(err.field, field);
	assert_true(err.text[0]);
}

static void what_single_values_cannot_know(void **state)
{
	(void)state;
	check_one("server.listen=localhost", "server.listen");
	check_one("server.listen=127.0.0.1:1,,127.0.0.1:2", "server.listen");
	check_one("egress.allow_networks=10.0.0.0/33", "egress.allow_networks");
	check_one("egress.ports=80,99999", "egress.ports");
	check_one("delivery.final_statuses=400,twelve", "delivery.final_statuses");
	check_one("delivery.final_statuses=200", "delivery.final_statuses");
	check_one("egress.dns_servers=192.0.2.1,resolver.example", "egress.dns_servers");
	check_one("tls.ca_file=/nowhere/ca.pem", "tls.ca_file");
	check_one("delivery.max_slow=0", "delivery.max_slow");
	check_one("limits.tiers=free: everything", "limits.tiers");
	check_one("delivery.timeout=0", "delivery.timeout");
	check_one("delivery.timout=1s", "delivery.timout");
}

static void what_is_printed_reads_back(void **state)
{
	(void)state;
	struct hl_setup s = { .n_flags = 0 };
	struct hl_config a, b;
	struct hl_err err = { 0 };
	char path[TMPDIR_PATH_CAP];
	tmpdir_path(&dir, "printed.conf", path);
	char hosts[1500] = "egress.allow_hosts=";
	for (int i = 0; i < 60; i++)
		snprintf(hosts + strlen(hosts), sizeof(hosts) - strlen(hosts), "%sreceiver-%02d.test", i ? "," : "", i);
	assert_true(hl_setup_take(&s, HL_SETUP_SET, hosts));
	assert_true(hl_setup_take(&s, HL_SETUP_SET, "delivery.retry=5s,30s"));
	assert_int_equal(hl_setup_config(&s, &a, &err), HL_OK);
	FILE *f = fopen(path, "w");
	hl_usage_config(f, &a);
	fclose(f);
	assert_int_equal(hl_config_init(&b, &err), HL_OK);
	if (hl_config_read_file(&b, path, &err))
		fail_msg("%s", err.text);
	for (int i = 0; i < HL_SETTING_N; i++) {
		char x[8192], y[8192], *p = x, *q = y; /* lists come back with other spaces */
		for (const char *t = a.text[i]; *t; t++)
			if (*t != ' ')
				*p++ = *t;
		for (const char *t = b.text[i]; *t; t++)
			if (*t != ' ')
				*q++ = *t;
		*p = *q = '\0';
		assert_string_equal(x, y);
	}
	hl_config_fini(&a);
	hl_config_fini(&b);
}

/* Values only the environment or --set can give, and what becomes of them in a file. */
static void odd_values_read_back(void **state)
{
	(void)state;
	static char words[4200], tier[4300], path[200] = "--/";
	for (int i = 0; i < 500; i++)
		strcat(words, i % 7 ? "webhook " : "a,  ");
	snprintf(tier, sizeof(tier), "limits.tiers=quant: %s", words);
	memset(path, 'x', sizeof(path) - 1);
	static const struct { const char *set; int rc; } cases[] = {
		{ "delivery.user_agent=x,", 0 }, { "delivery.user_agent=a; b", 0 }, { "delivery.user_agent=a ;b", HL_EINVAL },
		{ "delivery.user_agent=;", HL_EINVAL }, { "delivery.user_agent=a,;b", 0 }, { "egress.allow_hosts=a,;b", HL_EINVAL },
		{ "egress.allow_hosts=a,,", 0 }, { "egress.allow_hosts=,", 0 }, { "egress.allow_hosts=a,#b", 0 }, { tier, 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct hl_config a, b;
		struct hl_err err;
		char *text, error[256] = "";
		size_t n;
		assert_int_equal(hl_config_init(&a, &err), HL_OK);
		assert_int_equal(hl_config_read_assignment(&a, cases[i].set, &err), cases[i].rc);
		FILE *f = open_memstream(&text, &n);
		hl_usage_config(f, &a);
		fclose(f);
		if (read_text(&b, text, error))
			fail_msg("%s: %s", cases[i].set, error);
		for (int k = 0; k < HL_SETTING_N; k++)
			if (hl_settings[k].kind == HL_VALUE_TEXT)
				assert_string_equal(a.text[k], b.text[k]);
		assert_string_equal(b.engine.allow_hosts, i == 6 ? "a" : i == 8 ? "a, #b" : "");
		hl_config_fini(&a);
		hl_config_fini(&b);
		free(text);
	}
	/* a line of a file cannot hold it: it is told, and the rest still reads */
	struct hl_config a, b;
	struct hl_err err;
	char *text, set[300];
	size_t n;
	snprintf(set, sizeof(set), "store.key_file=%s", path);
	assert_int_equal(hl_config_init(&a, &err), HL_OK);
	assert_int_equal(hl_config_read_assignment(&a, set, &err), HL_OK);
	FILE *f = open_memstream(&text, &n);
	hl_usage_config(f, &a);
	fclose(f);
	assert_non_null(strstr(text, "\n# longer than a line of a file may be: key_file can only"));
	assert_int_equal(read_text(&b, text, NULL), HL_OK);
	assert_null(b.engine.key_file);
	hl_config_fini(&a);
	hl_config_fini(&b);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_library), cmocka_unit_test(a_file_is_read), cmocka_unit_test(bad_files),
		cmocka_unit_test(the_environment), cmocka_unit_test(flags_win_over_environment_over_file),
		cmocka_unit_test(what_single_values_cannot_know), cmocka_unit_test(what_is_printed_reads_back),
		cmocka_unit_test(odd_values_read_back),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
