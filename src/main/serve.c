/* The server's life.
 *
 *   STARTING -> RUNNING -> DRAINING -> CLOSING -> ENDED
 *
 * Start: addresses are gathered (the egress rule must know them), the dispatcher opens the store and takes its lock, then
 * service, alerts, API, the two HTTP servers (public, and control for DIR/control.sock), last the signals; then READY.
 * End: the API says it is shutting down, the servers stop accepting and let requests end (at most drain_timeout), then
 * servers, service, alerts and dispatcher close one after the other; the dispatcher lets attempts end within what is left of
 * the time and commits their outcomes. step_down() is the countdown: every close callback calls it, and it closes the
 * next thing that is still there. A start that fails half way ends the same way.
 *
 * SIGTERM, SIGINT: end, exit 0; once more: exit at once, as a crash would (which loses nothing acknowledged).
 * SIGHUP: configuration, certificates and name servers are read again; a configuration with a mistake is logged and
 *   changes nothing.
 * The store fails: logged, drained in short, HL_EXIT_FATAL; the service manager starts us again. */
#include "main/serve.h"

#include "api/api.h"
#include "base/crash.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"
#include "main/cmd.h"
#include "main/confine.h"
#include "main/listeners.h"
#include "main/log_sink.h"
#include "main/notify.h"
#include "main/process.h"
#include "store/lock.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCOUNT_WAIT_MS = 10000, FATAL_GRACE_MS = 2000, SIGNALS = 3 };

enum state { STARTING, RUNNING, DRAINING, CLOSING, ENDED };

struct serve {
	enum state state;
	int exit_code;
	const struct hl_setup *setup;
	struct hl_config *config;
	const struct hl_seed *seed;
	uv_loop_t loop;
	struct hl_log_sink sink;
	struct hl_log log;
	struct hl_listeners listeners;
	struct hl_dispatcher *dispatcher;
	struct hl_alerts *alerts;
	struct hl_service *service;
	struct hl_api *api;
	struct hl_server *servers[2];    /* public, control */
	unsigned n_draining;
	unsigned n_closing;              /* close callbacks of servers still to come */
	uv_timer_t grace;                /* runs while DRAINING */
	hl_ms_t deadline_mono_ms;        /* end of the drain */
	uv_signal_t signals[SIGNALS];
	bool has_handles;                /* grace and signals are initialised */
	bool has_signals;                /* …and running */
	struct hl_watchdog watchdog;
	bool sandboxed;                  /* the kernel keeps rules on what we open */
};

static void step_down(struct serve *s);

static void move(struct serve *s, enum state to)
{
	if (to > s->state) /* every edge goes forward; a second reason to end changes nothing */
		s->state = to;
}

/* ---- the end ---- */

static void on_server_closed(void *data)
{
	struct serve *s = data;
	s->n_closing--;
	step_down(s);
}

static void on_service_closed(void *data)
{
	step_down(data);
}

static void on_alerts_closed(void *data)
{
	step_down(data);
}

static void on_dispatcher_closed(void *data)
{
	step_down(data);
}

static void close_servers(struct serve *s)
{
	for (size_t i = 0; i < HL_ARRAY_LEN(s->servers); i++) {
		struct hl_server *server = s->servers[i];
		if (!server)
			continue;
		s->servers[i] = NULL;
		if (s->api)
			hl_api_remove_server(s->api, server);
		s->n_closing++;
		hl_server_close(server, on_server_closed, s);
	}
}

static void close_handles(struct serve *s)
{
	hl_watchdog_stop(&s->watchdog);
	hl_log_sink_detach(&s->sink);
	if (!s->has_handles)
		return;
	s->has_handles = false;
	uv_close((uv_handle_t *)&s->grace, NULL);
	for (size_t i = 0; i < SIGNALS; i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
}

/* Closes the next thing that is still there; called when the one before is gone. */
static void step_down(struct serve *s)
{
	if (s->n_draining > 0)
		return;
	move(s, CLOSING);
	close_servers(s);
	if (s->n_closing > 0)
		return;
	if (s->service) {
		struct hl_service *service = s->service;
		s->service = NULL;
		HL_CRASH_POINT(DRAIN_SERVICE);
		hl_service_close(service, on_service_closed, s);
		return;
	}
	if (s->alerts) {
		struct hl_alerts *alerts = s->alerts;
		s->alerts = NULL;
		hl_alerts_close(alerts, on_alerts_closed, s);
		return;
	}
	if (s->dispatcher) {
		struct hl_dispatcher *d = s->dispatcher;
		hl_ms_t left = s->deadline_mono_ms - hl_env_mono_ms(&hl_env_real);
		s->dispatcher = NULL;
		hl_dispatcher_close(d, HL_MAX(left, 0), on_dispatcher_closed, s);
		return;
	}
	if (s->api)
		hl_api_destroy(s->api);
	s->api = NULL;
	close_handles(s);
	move(s, ENDED);
}

static void on_drained(void *data)
{
	struct serve *s = data;
	if (s->state != DRAINING)
		return;
	s->n_draining--;
	step_down(s);
}

static void on_grace(uv_timer_t *t)
{
	struct serve *s = t->data;
	if (s->state != DRAINING)
		return;
	hl_log(&s->log, HL_LOG_WARN, "serve.drain_timeout", "requests under way are broken off");
	s->n_draining = 0;
	step_down(s);
}

static void end(struct serve *s, int exit_code, hl_ms_t grace_ms)
{
	if (s->state >= DRAINING)
		return;
	move(s, DRAINING);
	HL_CRASH_POINT(DRAIN_BEGUN);
	s->exit_code = exit_code;
	s->deadline_mono_ms = hl_env_mono_ms(&hl_env_real) + grace_ms;
	hl_notify_status("STOPPING=1", "Ending with code %d; requests and attempts under way may take %lld ms", exit_code,
			(long long)grace_ms);
	if (s->api)
		hl_api_drain(s->api);
	if (s->has_handles)
		uv_timer_start(&s->grace, on_grace, (uint64_t)grace_ms, 0);
	/* every drain's callback comes later, so the countdown cannot begin too early */
	for (size_t i = 0; i < HL_ARRAY_LEN(s->servers); i++) {
		if (!s->servers[i])
			continue;
		s->n_draining++;
		hl_server_drain(s->servers[i], on_drained, s);
	}
	if (s->n_draining == 0)
		step_down(s);
}

/* ---- while it runs ---- */

static void on_fatal(void *data, const struct hl_err *err)
{
	struct serve *s = data;
	char text[300];
	hl_log(&s->log, HL_LOG_ERROR, "serve.fatal", "error=%s", hl_log_quote(hl_str_from(err->text), text, sizeof(text)));
	hl_watchdog_stop(&s->watchdog);
	end(s, HL_EXIT_FATAL, FATAL_GRACE_MS);
}

static void on_engine_log(void *data, enum hl_log_level level, const char *line)
{
	struct serve *s = data;
	hl_log_sink_line(&s->sink, (int)level, line);
}

static void notify_serving(const struct serve *s, const char *remark)
{
	char address[HL_ADDR_TEXT_CAP] = "the control socket only";
	unsigned n = hl_server_listeners(s->servers[0]);
	if (n)
		hl_addr_format(hl_server_listener_addr(s->servers[0], 0), address);
	hl_notify_status("READY=1", "Serving on %s%s%s", address, n > 1 ? " and others" : "", remark);
}

static void reload(struct serve *s)
{
	struct hl_config fresh;
	struct hl_err err = { 0 };
	char text[300], level[16];
	hl_notify_reloading();
	if (hl_setup_config(s->setup, &fresh, &err)) {
		hl_log(&s->log, HL_LOG_ERROR, "serve.reload_failed", "error=%s; nothing was changed",
				hl_log_quote(hl_str_from(err.text), text, sizeof(text)));
		notify_serving(s, "; the last reload failed");
		return;
	}
	s->log.level = (int)fresh.engine.log_level;
	hl_dispatcher_set_log_level(s->dispatcher, fresh.engine.log_level);
	hl_service_set_tiers(s->service, &fresh.tiers);
	snprintf(level, sizeof(level), "%s", fresh.text[HL_SETTING_log_level]);
	hl_config_fini(&fresh);
	int rc = hl_dispatcher_reload(s->dispatcher, &err);
	if (rc)
		hl_log(&s->log, HL_LOG_ERROR, "serve.reload_failed", "error=%s; the old ones stay%s",
				hl_log_quote(hl_str_from(err.text), text, sizeof(text)),
				rc == HL_EPERM && s->sandboxed ? "; server.sandbox admits files in directories known at the start" : "");
	else
		hl_log(&s->log, HL_LOG_INFO, "serve.reloaded", "log_level=%s", level);
	notify_serving(s, rc ? "; the last reload failed" : "");
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct serve *s = handle->data;
	if (number == SIGHUP) {
		if (s->state == RUNNING)
			reload(s);
		return;
	}
	if (s->state >= DRAINING) {
		hl_log(&s->log, HL_LOG_WARN, "serve.killed", "signal=%d; exit at once", number);
		hl_log_sink_flush(&s->sink);
		_exit(HL_EXIT_FAILED);
	}
	hl_log(&s->log, HL_LOG_INFO, "serve.stopping", "signal=%d", number);
	end(s, HL_EXIT_OK, (hl_ms_t)s->config->drain_timeout_ms);
}

/* ---- the start ---- */

/* Orders over the control socket come from our own user or from root. */
static bool admit_peer(void *data, int fd)
{
	struct serve *s = data;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == geteuid() || peer.uid == 0))
		return true;
	hl_log(&s->log, HL_LOG_WARN, "serve.control_refused", "uid=%ld", len == sizeof(peer) ? (long)peer.uid : -1L);
	return false;
}

/* On a new store the service has account "default" made, which takes a commit. Nobody is let in before it is there. */
static int await_account(struct serve *s, struct hl_err *err)
{
	struct hl_account a;
	hl_ms_t deadline = hl_env_mono_ms(&hl_env_real) + ACCOUNT_WAIT_MS;
	int rc;
	while ((rc = hl_account_get(s->service, HL_ACCOUNT_DEFAULT, &a)) == HL_ENOTFOUND && s->state == STARTING) {
		if (hl_env_mono_ms(&hl_env_real) > deadline || !uv_run(&s->loop, UV_RUN_ONCE))
			return hl_err_set(err, HL_EIO, "the store does not take account \"default\"");
	}
	if (rc || s->state != STARTING)
		return hl_err_set(err, rc ? rc : HL_EFATAL, "the store failed");
	return HL_OK;
}

/* Opening blocks until the directory is free, which may take as long as the other's drain. */
static void tell_who_is_waited_for(struct serve *s)
{
	char file[4200], text[300];
	struct hl_err busy = { 0 };
	int fd = -1;
	snprintf(file, sizeof(file), "%s/lock", s->config->engine.data_dir);
	if (hl_lock_take(file, false, &fd, &busy) == HL_ELOCKED)
		hl_log(&s->log, HL_LOG_INFO, "serve.waiting", "for=%s", hl_log_quote(hl_str_from(busy.text), text, sizeof(text)));
	hl_lock_give(fd);
}

static int open_engine(struct serve *s, bool takeover, struct hl_err *err)
{
	struct hl_buf own = { 0 };
	struct hl_options o = s->config->engine;
	hl_listeners_own(&s->listeners, &own);
	if (!hl_buf_ok(&own))
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	o.takeover = takeover;
	o.data_max = s->config->body_max;
	o.own_listeners = own.len ? own.data : "";
	o.data = s;
	o.on_fatal = on_fatal;
	o.on_log = on_engine_log;
	if (takeover)
		tell_who_is_waited_for(s);
	int rc = hl_dispatcher_open(&s->dispatcher, &s->loop, &o, err);
	hl_buf_fini(&own);
	if (rc == HL_OK)
		rc = hl_seed_plant(s->seed, s->dispatcher, &s->loop, &s->log, err);
	if (rc == HL_OK && s->state != STARTING)
		rc = hl_err_set(err, HL_EFATAL, "the store failed");
	if (rc)
		return rc;
	HL_CRASH_POINT(START_NEW_STORE);
	const struct hl_service_options so = { .tiers = &s->config->tiers };
	rc = hl_service_open(&s->service, s->dispatcher, &so, err);
	if (rc == HL_OK)
		rc = await_account(s, err);
	if (rc == HL_OK)
		rc = hl_alerts_open(&s->alerts, s->dispatcher, err);
	if (rc)
		return rc;
	const struct hl_api_options ao = {
		.loop = &s->loop, .dispatcher = s->dispatcher, .service = s->service, .alerts = s->alerts, .log = &s->log,
		.version = HL_VERSION,
		.body_max = (uint32_t)s->config->body_max,
	};
	return hl_api_create(&s->api, &ao, err);
}

static int open_server(struct serve *s, bool control, struct hl_err *err)
{
	const struct hl_config *c = s->config;
	struct hl_server_options o;
	hl_server_options_init(&o);
	o.log = &s->log;
	o.connections_max = control ? 64 : c->max_connections;
	o.head_timeout_ms = c->head_timeout_ms;
	o.body_timeout_ms = c->body_timeout_ms;
	o.idle_timeout_ms = c->idle_timeout_ms;
	o.body_max = (uint32_t)c->body_max;
	o.admit = control ? admit_peer : NULL;
	o.admit_data = s;
	const struct hl_request_handler handler = hl_api_handler(s->api, control);
	struct hl_server **server = &s->servers[control];
	int rc = hl_server_open(server, &s->loop, &o, &handler, err);
	if (rc == HL_OK)
		hl_api_add_server(s->api, *server);
	return rc;
}

static int listen_control(struct serve *s, struct hl_err *err)
{
	char text[4200];
	struct hl_addr addr;
	snprintf(text, sizeof(text), "unix:%s/control.sock", s->config->engine.data_dir);
	if (hl_addr_parse(hl_str_from(text), &addr, err)) {
		hl_log(&s->log, HL_LOG_WARN, "serve.no_control", "the data directory's path is too long for a socket in it");
		return HL_OK;
	}
	return hl_server_listen(s->servers[1], &addr, 0600, err);
}

static void start_handles(struct serve *s)
{
	static const int numbers[SIGNALS] = { SIGTERM, SIGINT, SIGHUP };
	uv_timer_init(&s->loop, &s->grace);
	s->grace.data = s;
	for (size_t i = 0; i < SIGNALS; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, numbers[i]);
		uv_unref((uv_handle_t *)&s->signals[i]);
	}
	s->has_handles = true;
	hl_watchdog_start(&s->watchdog, &s->loop);
}

static void announce(struct serve *s)
{
	char text[HL_ADDR_TEXT_CAP], quoted[512];
	const struct hl_config *c = s->config;
	if (c->engine.allow_networks[0])
		hl_log(&s->log, HL_LOG_WARN, "serve.egress_open", "allow_networks=%s",
				hl_log_quote(hl_str_from(c->engine.allow_networks), quoted, sizeof(quoted)));
	if (c->engine.allow_hosts[0])
		hl_log(&s->log, HL_LOG_WARN, "serve.egress_open", "allow_hosts=%s",
				hl_log_quote(hl_str_from(c->engine.allow_hosts), quoted, sizeof(quoted)));
	if (c->core_dumps)
		hl_log(&s->log, HL_LOG_WARN, "serve.core_dumps", "a crash may leave a core file, with key and secrets in it");
	for (unsigned i = 0; i < hl_server_listeners(s->servers[0]); i++) {
		hl_addr_format(hl_server_listener_addr(s->servers[0], i), text);
		hl_log(&s->log, HL_LOG_INFO, "serve.listening", "address=%s", hl_log_quote(hl_str_from(text), quoted, sizeof(quoted)));
	}
	hl_log(&s->log, HL_LOG_INFO, "serve.ready", "version=%s pid=%ld dir=%s", HL_VERSION, (long)getpid(),
			hl_log_quote(hl_str_from(c->engine.data_dir), quoted, sizeof(quoted)));
}

/* What went wrong with a socket, not with the store: the exit code must not send anybody looking for damage there. */
static int socket_error(int rc, struct hl_err *err)
{
	if (rc == HL_EEXIST || rc == HL_EPERM || rc == HL_EIO || rc == HL_ENOTFOUND)
		rc = err->code = HL_ECONNECT;
	return rc;
}

static int start(struct serve *s, bool takeover, struct hl_err *err)
{
	int rc = socket_error(hl_listeners_gather(&s->listeners, s->config, err), err);
	if (rc == HL_OK)
		rc = hl_confine_server(s->config, s->setup, &s->listeners, &s->log, &s->sandboxed, err);
	if (rc == HL_OK)
		rc = open_engine(s, takeover, err);
	if (rc)
		return rc;
	start_handles(s);
	rc = open_server(s, false, err);
	if (rc == HL_OK)
		rc = open_server(s, true, err);
	if (rc == HL_OK)
		rc = socket_error(listen_control(s, err), err);
	if (rc == HL_OK)
		rc = socket_error(hl_listeners_attach(&s->listeners, s->servers[0], s->config->socket_mode, err), err);
	return rc;
}

int hl_serve(const struct hl_setup *setup, struct hl_config *config, const struct hl_seed *seed, bool takeover)
{
	struct serve *s = calloc(1, sizeof(*s));
	struct hl_err err = { 0 };
	uint64_t files;
	hl_process_harden(config->core_dumps, &files);
	hl_process_last_words("hookline: crashed: a fault of the program, or damaged pages of the store (see \"hookline check\")\n", 0);
	if (files < HL_PROCESS_FILES_LEAST) {
		free(s);
		return hl_cmd_fail(HL_EXIT_FAILED, "%llu open files are allowed (RLIMIT_NOFILE); it takes %d at least",
				(unsigned long long)files, HL_PROCESS_FILES_LEAST);
	}
	if (!s || uv_loop_init(&s->loop)) {
		free(s);
		return hl_cmd_fail(HL_EXIT_FAILED, "out of memory");
	}
	s->setup = setup;
	s->config = config;
	s->seed = seed;
	hl_log_sink_init(&s->sink, STDERR_FILENO, config->log_format, getenv("JOURNAL_STREAM"), &hl_env_real);
	hl_log_sink_attach(&s->sink, &s->loop);
	s->log = (struct hl_log){ .level = (int)config->engine.log_level, .sink = hl_log_sink_line, .data = &s->sink };
	hl_process_share_files(files, config, &s->log);
	int rc = start(s, takeover, &err);
	if (rc) {
		char text[300];
		if (err.field[0] && !strstr(err.text, err.field))
			hl_err_prefix(&err, "%s", err.field);
		hl_log(&s->log, HL_LOG_ERROR, "serve.start_failed", "error=%s", hl_log_quote(hl_str_from(err.text), text, sizeof(text)));
		end(s, hl_exit_of(rc), FATAL_GRACE_MS);
	} else {
		HL_CRASH_POINT(START_LISTENING);
		move(s, RUNNING);
		announce(s);
		notify_serving(s, "");
	}
	uv_run(&s->loop, UV_RUN_DEFAULT);
	HL_CRASH_POINT(DRAIN_ENDED);
	hl_listeners_close(&s->listeners);
	hl_log(&s->log, HL_LOG_INFO, "serve.ended", "exit=%d", s->exit_code);
	hl_log_sink_fini(&s->sink);
	int code = s->exit_code;
	uv_loop_close(&s->loop);
	free(s);
	return code;
}
