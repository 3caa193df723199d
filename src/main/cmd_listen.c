/* hookline listen: a receiver to try things out with. Prints every delivery and whether its signature holds.
 *
 * A request comes whole, is verified and printed at once, and answered after --delay with --answer. A sender that goes
 * away while its answer waits takes the waiting along. SIGINT and SIGTERM end the program, as does --count. */
#include "main/cmd.h"

#include "base/env.h"
#include "base/err.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "http/server.h"
#include "main/verify.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct listen {
	uv_loop_t loop;
	struct hl_server *server;
	uv_signal_t signals[2];
	struct hl_verifier verifier;
	const char *addr;
	unsigned answer;
	uint64_t delay_ms;
	uint64_t count;             /* end after this many; 0 = never */
	uint64_t n_received, n_bad;
	bool ending;
};

/* An answer that waits for its time. */
struct delayed {
	uv_timer_t timer;
	struct listen *listen;
	struct hl_request *request; /* NULL: the sender is gone */
};

static struct hl_str header(const struct hl_request *r, const char *name)
{
	struct hl_str v = HL_STR("");
	hl_headers_get(r->headers, hl_str_from(name), &v);
	return v;
}

/* Bytes of strangers on a terminal: control bytes are shown, not obeyed. */
static void print_text(struct hl_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static bool print_delivery(struct listen *l, const struct hl_request *r)
{
	static const char *const shown[] = { "webhook-id", "webhook-timestamp", "webhook-signature", "hookline-delivery-id",
		"hookline-attempt", "content-type", "user-agent" };
	struct hl_err err = { 0 };
	char time[HL_RFC3339_CAP];
	hl_ms_t now = hl_env_wall_ms(&hl_env_real);
	hl_rfc3339_format(now, time);
	bool good = l->verifier.n == 0 || hl_verifier_check(&l->verifier, header(r, "webhook-id"), header(r, "webhook-timestamp"),
			header(r, "webhook-signature"), r->body, now / 1000, &err) == HL_OK;
	printf("%s %s ", time, hl_method_name(r->method));
	print_text(r->path);
	printf(" from %.*s: signature %s%s\n", HL_FMT(r->peer), l->verifier.n == 0 ? "not checked" : good ? "ok" : "BAD: ", err.text);
	for (size_t i = 0; i < HL_ARRAY_LEN(shown); i++) {
		struct hl_str v = header(r, shown[i]);
		if (v.len) {
			printf("  %s: ", shown[i]);
			print_text(v);
			putchar('\n');
		}
	}
	fputs("  ", stdout);
	print_text(r->body);
	fputs("\n\n", stdout);
	fflush(stdout);
	return good;
}

static void on_server_closed(void *data)
{
	struct listen *l = data;
	for (size_t i = 0; i < HL_ARRAY_LEN(l->signals); i++)
		uv_close((uv_handle_t *)&l->signals[i], NULL);
}

static void on_drained(void *data)
{
	struct listen *l = data;
	hl_server_close(l->server, on_server_closed, l);
}

/* The last delivery was answered: let the answer out. */
static void end(struct listen *l)
{
	if (l->ending)
		return;
	l->ending = true;
	hl_server_drain(l->server, on_drained, l);
}

/* Whoever waits for a delayed answer waits in vain. */
static void on_signal(uv_signal_t *s, int number)
{
	struct listen *l = s->data;
	(void)number;
	if (l->ending)
		return;
	l->ending = true;
	hl_server_close(l->server, on_server_closed, l);
}

static void answer(struct listen *l, struct hl_request *r)
{
	bool last = l->count && l->n_received >= l->count;
	hl_response_send(r, l->answer, NULL, 0, HL_STR(""));
	if (last)
		end(l);
}

static void free_delayed(uv_handle_t *h)
{
	free(h->data);
}

static void on_delay(uv_timer_t *t)
{
	struct delayed *d = t->data;
	struct hl_request *r = d->request;
	struct listen *l = d->listen;
	uv_close((uv_handle_t *)t, free_delayed);
	answer(l, r);
}

static void on_abort(void *data, struct hl_request *r)
{
	struct delayed *d = r->data;
	(void)data;
	if (!d)
		return;
	uv_timer_stop(&d->timer);
	uv_close((uv_handle_t *)&d->timer, free_delayed);
}

static void on_request(void *data, struct hl_request *r)
{
	struct listen *l = data;
	l->n_bad += !print_delivery(l, r);
	l->n_received++;
	struct delayed *d = l->delay_ms ? calloc(1, sizeof(*d)) : NULL;
	if (!d) {
		answer(l, r);
		return;
	}
	d->listen = l;
	d->request = r;
	r->data = d;
	uv_timer_init(&l->loop, &d->timer);
	d->timer.data = d;
	uv_timer_start(&d->timer, on_delay, l->delay_ms, 0);
}

static int open_server(struct listen *l, struct hl_err *err)
{
	const struct hl_request_handler handler = { .data = l, .on_request = on_request, .on_abort = on_abort };
	struct hl_server_options o;
	struct hl_addr addr;
	hl_server_options_init(&o);
	o.body_max = 64 * 1024 * 1024;
	int rc = hl_addr_parse(hl_str_from(l->addr), &addr, err);
	if (rc == HL_OK)
		rc = hl_server_open(&l->server, &l->loop, &o, &handler, err);
	if (rc)
		return rc;
	rc = hl_server_listen(l->server, &addr, 0660, err);
	if (rc)
		return rc;
	char text[HL_ADDR_TEXT_CAP];
	hl_addr_format(hl_server_listener_addr(l->server, 0), text);
	printf("listening on %s%s\n\n", hl_addr_is_unix(&addr) ? "" : "http://", text);
	fflush(stdout);
	return HL_OK;
}

static int run(struct listen *l)
{
	static const int numbers[] = { SIGINT, SIGTERM };
	struct hl_err err = { 0 };
	if (uv_loop_init(&l->loop))
		return hl_cmd_fail(HL_EXIT_FAILED, "no event loop");
	for (size_t i = 0; i < HL_ARRAY_LEN(l->signals); i++) {
		uv_signal_init(&l->loop, &l->signals[i]);
		l->signals[i].data = l;
		uv_signal_start(&l->signals[i], on_signal, numbers[i]);
	}
	int rc = open_server(l, &err);
	if (rc && l->server)
		hl_server_close(l->server, on_server_closed, l);
	else if (rc)
		on_server_closed(l);
	uv_run(&l->loop, UV_RUN_DEFAULT);
	uv_loop_close(&l->loop);
	if (rc)
		return hl_cmd_fail(HL_EXIT_FAILED, "%s", err.text);
	return l->n_bad ? HL_EXIT_FAILED : HL_EXIT_OK;
}

static int add_secret(struct listen *l, const char *text, struct hl_err *err)
{
	char line[256] = "";
	if (text[0] != '@')
		return hl_verifier_add(&l->verifier, hl_str_from(text), err);
	FILE *f = fopen(text + 1, "re");
	if (!f)
		return hl_err_errno(err, errno, "%s", text + 1);
	bool got = fgets(line, sizeof(line), f) != NULL;
	fclose(f);
	return got ? hl_verifier_add(&l->verifier, hl_str_trim(hl_str_from(line)), err)
		   : hl_err_set(err, HL_EINVAL, "%s is empty", text + 1);
}

static bool number_arg(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	return hl_str_u64(hl_str_from(text), out) && *out >= min && *out <= max;
}

int hl_cmd_listen(int argc, char **argv)
{
	static const struct option options[] = {
		{ "secret", required_argument, NULL, 's' }, { "answer", required_argument, NULL, 'a' },
		{ "delay", required_argument, NULL, 'd' }, { "count", required_argument, NULL, 'c' }, { NULL, 0, NULL, 0 },
	};
	struct listen l = { .addr = "127.0.0.1:9000", .answer = 204 };
	struct hl_err err = { 0 };
	uint64_t n = 0;
	for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		bool ok = false;
		switch (opt) {
		case 's':
			if (add_secret(&l, optarg, &err))
				return hl_cmd_usage("listen", "--secret: %s", err.text);
			ok = true;
			break;
		case 'a':
			ok = number_arg(optarg, 200, 599, &n);
			l.answer = (unsigned)n;
			break;
		case 'd':
			ok = number_arg(optarg, 0, 3600000, &l.delay_ms);
			break;
		case 'c':
			ok = number_arg(optarg, 1, UINT64_MAX, &l.count);
			break;
		}
		if (!ok)
			return hl_cmd_usage("listen", "an option is unknown or out of range");
	}
	if (argc - optind > 1)
		return hl_cmd_usage("listen", "want one address");
	if (optind < argc)
		l.addr = argv[optind];
	return run(&l);
}
