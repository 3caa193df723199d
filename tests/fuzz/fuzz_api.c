/* Any bytes as what a client of the API says: a route of any of the five APIs, what stands in its path and query, its body.
 * The whole service runs: dispatcher, accounts, alerts, on a store with a few objects of every kind. Nothing an input asks
 * for is stored (its commands come back with "the store is full" once they were made), so every input meets the same world.
 *
 * Whatever comes in: one answer comes out, with a status that a client can have caused (or one that says
 * the store is full: it was accepted), in JSON
 * that our own reader takes. Nothing is ever our fault (500).
 *
 * First the route (two bytes), then what to send along, a line for the path's parameters, a line for the query, the body. */
#include "api/api.h"
#include "api/resources.h"
#include "base/json.h"
#include "fuzz.h"
#include "main/seed.h"
#include "store/commit.h"
#include "tmpdir.h"

#include <stdio.h>
#include <sys/socket.h>

enum { TURNS_MAX = 200000 };
enum flag { REPEATABLE = 1, OTHER_OBJECT = 2, LINES = 4, OTHER_PREFIX = 8 };

static struct {
	struct tmpdir dir;
	uv_loop_t loop;
	struct hl_dispatcher *dispatcher;
	struct hl_service *service;
	struct hl_alerts *alerts;
	struct hl_api *api;
	struct hl_connection_hub hub;
	size_t n_routes;
	bool gone;
	struct hl_buf answer;         /* all the server said */
	unsigned status;
	struct hl_str body;           /* of the answer, when it was not chunked */
	char webhook[HL_DIALECT_N][64], delivery[HL_DIALECT_N][64], alert[HL_DIALECT_N][64];
	char event[64], server[64], key[64], n[32];
} world;

/* ---- commands that would change something ---- */

void __real_hl_commit_submit(struct hl_commit *c, struct hl_command *cmd);
void __wrap_hl_commit_submit(struct hl_commit *c, struct hl_command *cmd);

static bool refusing;
static unsigned n_refused;            /* of this request */
static struct hl_list refused = { &refused, &refused };

void __wrap_hl_commit_submit(struct hl_commit *c, struct hl_command *cmd)
{
	if (refusing && (cmd->priority == HL_PRIO_API || cmd->priority == HL_PRIO_PUBLISH))
		hl_list_push_back(&refused, &cmd->link);
	else
		__real_hl_commit_submit(c, cmd);
}

static void turn(void)
{
	while (!hl_list_empty(&refused)) {
		struct hl_command *cmd = HL_LIST_ENTRY(hl_list_pop_front(&refused), struct hl_command, link);
		n_refused++;
		cmd->done(cmd, cmd->status = HL_EFULL);
	}
	(void)uv_run(&world.loop, UV_RUN_NOWAIT);
}

/* ---- a client ---- */

static void on_gone(struct hl_connection_hub *hub, bool accepted)
{
	(void)hub;
	(void)accepted;
	world.gone = true;
}

static void hear(int fd)
{
	char bytes[8192];
	ssize_t n;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		hl_buf_add(&world.answer, bytes, (size_t)n);
}

/* Sends a request that ends the connection and waits for that. */
static void ask(struct hl_str request)
{
	int pair[2];
	hl_buf_reset(&world.answer);
	world.gone = false;
	HL_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
	struct hl_connection *c = hl_connection_create(&world.hub, true);
	HL_CHECK(c && !uv_pipe_open(&c->pipe, pair[0]));
	hl_connection_start(c);
	for (int i = 0; !world.gone; i++) {
		ssize_t n = request.len ? send(pair[1], request.ptr, request.len, MSG_NOSIGNAL) : 0;
		if (n > 0)
			(void)fuzz_take(&request, (size_t)n);
		if (!request.len)
			(void)shutdown(pair[1], SHUT_WR);
		turn();
		hear(pair[1]);
		HL_CHECK(i < TURNS_MAX);
	}
	hear(pair[1]);
	close(pair[1]);
}

/* Reads what came back; the body is put together into world.answer's place. */
static void read_answer(bool head)
{
	struct hl_message m;
	struct hl_buf body = { .data = NULL };
	struct hl_str in = hl_buf_all(&world.answer), type = HL_STR("");
	enum hl_step step;
	bool json = false;
	hl_message_init(&m, HL_MESSAGE_RESPONSE, &hl_response_limits);
	hl_message_next(&m, head);
	while ((step = hl_message_step(&m, &in)) == HL_STEP_HEAD || step == HL_STEP_BODY) {
		if (step == HL_STEP_HEAD) {
			world.status = m.status;
			if (hl_headers_get(&m.headers, HL_STR("content-type"), &type))
				json = hl_str_starts(type, HL_STR("application/json")) || hl_str_starts(type, HL_STR("application/problem+json"));
		} else {
			hl_buf_str(&body, m.chunk);
		}
	}
	HL_CHECK(step == HL_STEP_END);
	hl_message_fini(&m);
	HL_CHECK(!json || head || !hl_json_check(hl_buf_all(&body), HL_JSON_DEPTH_MAX, NULL, NULL));
	hl_buf_reset(&world.answer);
	hl_buf_str(&world.answer, hl_buf_all(&body));
	world.body = hl_buf_all(&world.answer);
	hl_buf_fini(&body);
}

static void request(struct hl_buf *out, const char *method, struct hl_str target, struct hl_str body, const char *more)
{
	hl_buf_fmt(out, "%s %.*s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n", method, HL_FMT(target), more,
			body.len);
	hl_buf_str(out, body);
}

#define JSON_TYPE "Content-Type: application/json\r\n"

/* For the world's own objects: an answer of 2xx, whose first "id" is kept. */
static void make(const char *method, const char *target, const char *body, char id[64])
{
	struct hl_buf b = { .data = NULL };
	request(&b, method, hl_str_from(target), hl_str_from(body), JSON_TYPE);
	ask(hl_buf_all(&b));
	hl_buf_fini(&b);
	read_answer(false);
	if (world.status / 100 != 2) {
		fprintf(stderr, "%s %s: %u %.*s\n", method, target, world.status, HL_FMT(world.body));
		abort();
	}
	const char *p = id ? strstr(world.body.ptr, "\"id\":") : NULL;
	HL_CHECK(!id || p);
	if (p)
		HL_CHECK(sscanf(p + 5, "%*[\"]%63[^\"]", id) == 1 || sscanf(p + 5, "%63[0-9]", id) == 1);
}

/* ---- the world ---- */

static void populate(void)
{
	static const char *const roots[HL_DIALECT_N] = { "/v1/webhooks", "/account/webhooks", "/api/v1/webhooks/", "/stellarstack/webhooks",
		"/bitnob/webhooks" };
	static const char hook[] = "{\"label\":\"l\",\"name\":\"n\",\"url\":\"https://127.0.0.1:65535/h\",\"events\":[\"alert.triggered\"]}";
	char path[128];
	make("PUT", "/v1/event-types", "[{\"name\":\"alert.triggered\",\"dialects\":{\"cs2cap\":\"alert\",\"aboutyou\":\"order\","
			"\"stellarstack\":\"server\",\"bitnob\":\"wallet\"}}]", NULL);
	make("PATCH", "/v1/accounts/default", "{\"email\":\"a@example.com\",\"email_verified\":true,\"alert_emails\":true}", NULL);
	make("POST", "/v1/servers", "{\"name\":\"s\"}", world.server);
	make("POST", "/v1/keys", "{\"scopes\":[\"read\"]}", world.key);
	make("PUT", "/v1/market/items", "[{\"item_id\":7,\"market_hash_name\":\"AK-47\"}]", NULL);
	make("PUT", "/v1/market/fx", "{\"rates\":{\"EUR\":0.92}}", NULL);
	make("POST", "/v1/alerts", "{\"item_id\":7,\"kind\":\"price_below\",\"threshold\":\"5\"}", world.alert[HL_DIALECT_HOOKLINE]);
	make("POST", "/account/alerts", "{\"item_id\":7,\"kind\":\"price_above\",\"threshold_value\":\"9\"}", world.alert[HL_DIALECT_CS2CAP]);
	for (int i = 0; i < HL_DIALECT_N; i++)
		make("POST", roots[i], i ? hook : "{\"name\":\"n\",\"url\":\"https://127.0.0.1:65535/h\"}", world.webhook[i]);
	make("POST", "/v1/events", "{\"type\":\"alert.triggered\",\"data\":{\"a\":[1,2.5,\"x\"]}}", world.event);
	for (int i = 0; i < HL_DIALECT_N; i++) {
		snprintf(path, sizeof(path), "/v1/deliveries?webhook=%s", world.webhook[i]);
		if (i != HL_DIALECT_ABOUTYOU) /* its ids are numbers */
			make("GET", path, "", world.delivery[i]);
	}
	make("POST", "/v1/market/asks", "[{\"item_id\":7,\"provider\":\"p\",\"lowest_ask\":400,\"link\":\"https://x/\"}]", NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct hl_options o;
	struct hl_server_options so;
	struct hl_err err = { 0 };
	(void)argc;
	(void)argv;
	setenv("TMPDIR", "/dev/shm", 0);
	tmpdir_make(&world.dir);
	HL_CHECK(!uv_loop_init(&world.loop));
	hl_options_init(&o);
	o.data_dir = world.dir.path;
	o.store_max_bytes = 256 << 20;
	o.allow_networks = "127.0.0.0/8";
	if (hl_dispatcher_open(&world.dispatcher, &world.loop, &o, &err) || hl_service_open(&world.service, world.dispatcher, NULL, &err)
			|| hl_alerts_open(&world.alerts, world.dispatcher, &err))
		hl_panic(__FILE__, __LINE__, err.text);
	tmpdir_remove(&world.dir); /* open is open: nothing is left behind, however this ends */
	struct hl_api_options ao = { .loop = &world.loop, .dispatcher = world.dispatcher, .service = world.service,
		.alerts = world.alerts, .version = "0" };
	HL_CHECK(!hl_api_create(&world.api, &ao, &err));
	const struct hl_request_handler handler = hl_api_handler(world.api, true);
	hl_server_options_init(&so);
	so.env = &hl_env_real;
	so.connections_soft = 16;
	HL_CHECK(!hl_connection_hub_init(&world.hub, &world.loop, &so, &handler));
	world.hub.on_gone = on_gone;
	for (size_t i = 0; hl_api_mounts[i]; i++)
		world.n_routes += hl_router_count(hl_api_mounts[i]);
	populate();
	for (int i = 0; i < 1000; i++) /* first attempts, the alert that fires */
		turn();
	refusing = true;
	return 0;
}

/* ---- an input as a request ---- */

/* Visible bytes stay (they may be percent-encoded already), others are encoded. */
static void put_text(struct hl_buf *out, struct hl_str s, const char *not)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c > 0x20 && c < 0x7f && !strchr(not, c))
			hl_buf_char(out, (char)c);
		else
			hl_buf_fmt(out, "%%%02X", c);
	}
}

static const char *object_of(struct hl_str name, struct hl_str pattern, int dialect)
{
	if (hl_str_eq(name, HL_STR("account")))
		return "default";
	if (hl_str_eq(name, HL_STR("event")))
		return world.event;
	if (hl_str_eq(name, HL_STR("server")))
		return world.server;
	if (hl_str_eq(name, HL_STR("key")))
		return world.key;
	if (hl_str_eq(name, HL_STR("item")))
		return "7";
	if (hl_str_eq(name, HL_STR("name")))
		return "alert.triggered";
	if (hl_str_starts(name, HL_STR("alert")))
		return world.alert[dialect];
	if (hl_str_starts(name, HL_STR("delivery")) || hl_str_contains(pattern, HL_STR("/events/{id}")))
		return world.delivery[dialect];
	return world.webhook[dialect];
}

static void put_path(struct hl_buf *out, const struct hl_mount *m, const struct hl_route *r, unsigned flags, struct hl_str param)
{
	struct hl_str rest = hl_str_from(r->pattern), pattern = rest;
	hl_buf_cstr(out, flags & OTHER_PREFIX && m->prefixes[1] ? m->prefixes[1] : m->prefixes[0]);
	while (rest.len) {
		struct hl_str literal = hl_str_split(&rest, '{');
		hl_buf_str(out, literal);
		if (!rest.ptr)
			break;
		struct hl_str name = hl_str_split(&rest, '}');
		if (flags & OTHER_OBJECT)
			put_text(out, param, "#?/");
		else
			hl_buf_cstr(out, object_of(name, pattern, m->dialect));
	}
}

/* May this route say that to anybody at all? */
static void judge(const struct hl_mount *m, const struct hl_route *r, struct hl_str sent)
{
	unsigned s = world.status;
	bool attempt = strstr(r->pattern, "/test") || strstr(r->pattern, "/retry") || strstr(r->pattern, "/verify");
	bool good = s == 200 || s == 201 || s == 202 || s == 204 || (s >= 400 && s < 500 && s != 401 && s != 429);
	good = good || ((s == 507 || s == 503) && n_refused);
	good = good || (s == 500 && attempt && m->dialect == HL_DIALECT_STELLARSTACK); /* says what the receiver did */
	if (good)
		return;
	fprintf(stderr, "%.*s\n--- %u ---\n%.*s\n", HL_FMT(sent), s, HL_FMT(world.body));
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len);
	size_t number = (fuzz_u8(&in) << 8 | fuzz_u8(&in)) % world.n_routes, mount = 0;
	unsigned flags = fuzz_u8(&in);
	struct hl_str param = fuzz_line(&in), query = fuzz_line(&in);
	struct hl_buf target = { .data = NULL }, bytes = { .data = NULL };
	char more[160];
	while (number >= hl_router_count(hl_api_mounts[mount]))
		number -= hl_router_count(hl_api_mounts[mount++]);
	const struct hl_mount *m = hl_api_mounts[mount];
	const struct hl_route *r = hl_router_at(m, number);
	put_path(&target, m, r, flags, param);
	if (!target.len)
		hl_buf_char(&target, '/');
	if (query.len) {
		hl_buf_char(&target, '?');
		put_text(&target, query, "#");
	}
	snprintf(more, sizeof(more), "%s%s", flags & LINES ? "Content-Type: application/x-ndjson\r\n" : JSON_TYPE,
			flags & REPEATABLE ? "Idempotency-Key: k\r\n" : "");
	request(&bytes, hl_method_name(r->method), hl_buf_all(&target), in, more);
	n_refused = 0;
	ask(hl_buf_all(&bytes));
	read_answer(false);
	judge(m, r, hl_buf_all(&bytes));
	hl_buf_fini(&target);
	hl_buf_fini(&bytes);
	return 0;
}
