#include "api_test.h"

#include "base/str.h"

#include <ctype.h>

/* ---- the client --------------------------------------------------------------------------------------------------- */

struct client {
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	const char *bytes;
	size_t len, sent, piece;
	char *in;
	size_t in_len, in_cap;
	bool over;
};

static void on_closed(uv_handle_t *h)
{
	((struct client *)h->data)->over = true;
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *out)
{
	struct client *c = h->data;
	(void)n;
	if (c->in_cap - c->in_len < 65536)
		c->in = realloc(c->in, c->in_cap = c->in_cap * 2 + 131072);
	*out = uv_buf_init(c->in + c->in_len, (unsigned)(c->in_cap - c->in_len - 1));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct client *c = s->data;
	(void)b;
	if (n >= 0)
		c->in_len += (size_t)n;
	else if (!uv_is_closing((uv_handle_t *)s))
		uv_close((uv_handle_t *)s, on_closed);
}

static void send_next(struct client *c);

static void on_write(uv_write_t *w, int status)
{
	if (!status)
		send_next(w->data);
}

static void send_next(struct client *c)
{
	size_t n = c->len - c->sent;
	if (!n)
		return;
	if (c->piece && n > c->piece)
		n = c->piece;
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)c->bytes + c->sent, (unsigned)n);
	c->sent += n;
	c->write.data = c;
	uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_write);
}

static void on_connect(uv_connect_t *req, int status)
{
	struct client *c = req->data;
	assert_int_equal(status, 0);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	send_next(c);
}

static void unchunk(struct answer *a)
{
	char *in = a->body, *out = a->body, *end = a->body + a->body_len;
	while (in < end) {
		char *rest;
		size_t n = strtoul(in, &rest, 16);
		if (!n)
			break;
		memmove(out, rest + 2, n);
		out += n;
		in = rest + 2 + n + 2;
	}
	*out = '\0';
	a->body_len = (size_t)(out - a->body);
}

static void forget(struct fixture *f)
{
	free(f->last.head);
	free(f->last.body);
	json_decref(f->last.json);
	memset(&f->last, 0, sizeof(f->last));
}

int raw(struct fixture *f, uint16_t port, const char *bytes, size_t len, size_t piece)
{
	struct client c = { .bytes = bytes, .len = len, .piece = piece };
	struct sockaddr_in addr;
	forget(f);
	uv_tcp_init(&f->loop, &c.tcp);
	uv_tcp_nodelay(&c.tcp, 1);
	c.tcp.data = c.connect.data = &c;
	uv_ip4_addr("127.0.0.1", port, &addr);
	assert_int_equal(uv_tcp_connect(&c.connect, &c.tcp, (struct sockaddr *)&addr, on_connect), 0);
	assert_true(loop_until(&f->loop, &c.over, 10000));
	assert_non_null(c.in);
	c.in[c.in_len] = '\0';
	char *head = c.in, *body = strstr(head, "\r\n\r\n");
	while (body && !strncmp(head, "HTTP/1.1 100", 12)) {
		head = body + 4;
		body = strstr(head, "\r\n\r\n");
	}
	if (!body)
		fail_msg("no answer: %s", c.in);
	f->last.head = strndup(head, (size_t)(body + 2 - head));
	f->last.body_len = c.in_len - (size_t)(body + 4 - c.in);
	f->last.body = malloc(f->last.body_len + 1);
	memcpy(f->last.body, body + 4, f->last.body_len + 1);
	free(c.in);
	f->last.status = atoi(f->last.head + 9);
	if (has_field(f, "Transfer-Encoding: chunked"))
		unchunk(&f->last);
	f->last.json = json_loadb(f->last.body, f->last.body_len, JSON_REJECT_DUPLICATES, NULL);
	return f->last.status;
}

int ask(struct fixture *f, const char *key, const char *method, const char *target, const char *body, const char *more)
{
	size_t cap = 4096 + strlen(target) + (body ? strlen(body) : 0) + (more ? strlen(more) : 0);
	char *text = malloc(cap);
	int n = snprintf(text, cap, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s", method, target, more ? more : "");
	if (key)
		n += snprintf(text + n, cap - (size_t)n, "Authorization: Bearer %s\r\n", key);
	if (body)
		n += snprintf(text + n, cap - (size_t)n, "%sContent-Length: %zu\r\n",
				more && strstr(more, "Content-Type") ? "" : "Content-Type: application/json\r\n", strlen(body));
	n += snprintf(text + n, cap - (size_t)n, "\r\n%s", body ? body : "");
	int status = raw(f, f->port, text, (size_t)n, 0);
	free(text);
	return status;
}

int admin(struct fixture *f, const char *method, const char *target, const char *body)
{
	return ask(f, f->admin, method, target, body, NULL);
}

const char *text_of(struct fixture *f, const char *member)
{
	json_t *v = json_object_get(f->last.json, member);
	if (!json_is_string(v))
		fail_msg("no text \"%s\" in %s", member, f->last.body);
	return json_string_value(v);
}

json_int_t number_of(struct fixture *f, const char *member)
{
	json_t *v = json_object_get(f->last.json, member);
	if (!json_is_integer(v))
		fail_msg("no number \"%s\" in %s", member, f->last.body);
	return json_integer_value(v);
}

bool has_field(struct fixture *f, const char *line_start)
{
	for (const char *p = f->last.head; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (!strncasecmp(p, line_start, strlen(line_start)))
			return true;
	return false;
}

void make_key(struct fixture *f, const char *spec_json, char *text)
{
	if (admin(f, "POST", "/v1/keys", spec_json) != 201)
		fail_msg("no key: %s", f->last.body);
	snprintf(text, HL_KEY_TEXT_CAP, "%s", text_of(f, "key"));
}

/* ---- the fixture -------------------------------------------------------------------------------------------------- */

static void set_flag(void *data)
{
	*(bool *)data = true;
}

static struct hl_server *listen_on(struct fixture *f, bool trusted, uint16_t *out_port)
{
	struct hl_request_handler handler = hl_api_handler(f->api, trusted);
	struct hl_server_options o;
	struct hl_server *s;
	struct hl_addr addr;
	struct hl_err err;
	hl_server_options_init(&o);
	if (hl_server_open(&s, &f->loop, &o, &handler, &err))
		fail_msg("server: %s", err.text);
	assert_int_equal(hl_addr_parse(HL_STR("127.0.0.1:0"), &addr, &err), 0);
	if (hl_server_listen(s, &addr, 0, &err))
		fail_msg("listen: %s", err.text);
	*out_port = hl_addr_port(hl_server_listener_addr(s, 0));
	hl_api_add_server(f->api, s);
	return s;
}

int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct hl_options o;
	struct hl_err err = { .code = 0 };
	tmpdir_make(&f->dir);
	loop_init(&f->loop);
	hl_options_init(&o);
	o.data_dir = f->dir.path;
	o.store_max_bytes = 256 << 20;
	o.allow_networks = "127.0.0.0/8";
	if (hl_dispatcher_open(&f->dispatcher, &f->loop, &o, &err))
		fail_msg("dispatcher: %s", err.text);
	assert_int_equal(hl_service_open(&f->service, f->dispatcher, NULL, &err), 0);
	if (hl_alerts_open(&f->alerts, f->dispatcher, &err))
		fail_msg("alerts: %s", err.text);
	struct hl_api_options ao = {
		.loop = &f->loop, .dispatcher = f->dispatcher, .service = f->service, .alerts = f->alerts, .version = "1.2.3",
	};
	assert_int_equal(hl_api_create(&f->api, &ao, &err), 0);
	f->server = listen_on(f, false, &f->port);
	f->control = listen_on(f, true, &f->control_port);
	*state = f;
	static const char make[] = "POST /v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
		"Content-Length: 20\r\n\r\n{\"scopes\":[\"admin\"]}";
	assert_int_equal(raw(f, f->control_port, make, sizeof(make) - 1, 0), 201);
	snprintf(f->admin, sizeof(f->admin), "%s", text_of(f, "key"));
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;
	bool closed[5] = { false };
	forget(f);
	hl_api_drain(f->api);
	hl_api_remove_server(f->api, f->server);
	hl_api_remove_server(f->api, f->control);
	hl_server_close(f->server, set_flag, &closed[0]);
	hl_server_close(f->control, set_flag, &closed[1]);
	hl_service_close(f->service, set_flag, &closed[2]);
	assert_true(loop_until(&f->loop, &closed[2], 5000));
	hl_alerts_close(f->alerts, set_flag, &closed[3]);
	assert_true(loop_until(&f->loop, &closed[3], 5000));
	hl_dispatcher_close(f->dispatcher, 0, set_flag, &closed[4]);
	for (int i = 0; i < 5; i++)
		assert_true(loop_until(&f->loop, &closed[i], 5000));
	hl_api_destroy(f->api);
	loop_fini(&f->loop);
	tmpdir_remove(&f->dir);
	free(f);
	return 0;
}

void set_tiers(struct fixture *f, const char *text)
{
	struct hl_tiers t;
	assert_int_equal(hl_tiers_parse(hl_str_from(text), &t, NULL), 0);
	hl_service_set_tiers(f->service, &t);
}
