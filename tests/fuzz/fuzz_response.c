/* Any bytes as what a receiver answers: the reader says the same however the stream was cut; then the same bytes come from a
 * real socket as the answer to a real exchange, and its outcome is what the reader said.
 *
 * First the method and how the receiver ends, then eight bytes that decide on the pieces. */
#include "http/exchange.h"
#include "message.h"

#include <fcntl.h>
#include <unistd.h>

enum { RECEIVERS = 32, TURNS_MAX = 4000 }; /* several addresses, because closed connections keep their ports for a minute */
enum end { END_FIN, END_RESET, END_NEVER };

static uv_loop_t loop;
static struct hl_client *client;
static int listeners[RECEIVERS];
static struct hl_url urls[RECEIVERS];
static struct hl_arena arena;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct hl_client_options o = { .egress = { .allow_networks = "127.0.0.0/8", .allow_http = true },
		.resolver = { .servers = "127.0.0.1:9" } };
	(void)argc;
	(void)argv;
	HL_CHECK(!uv_loop_init(&loop) && !hl_client_open(&client, &loop, &o, NULL));
	hl_arena_init(&arena, 0);
	for (int i = 0; i < RECEIVERS; i++) {
		char text[64];
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001u + (unsigned)i) };
		socklen_t n = sizeof(a);
		int fd = listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		HL_CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof(a)) && !listen(fd, 16));
		HL_CHECK(!getsockname(fd, (struct sockaddr *)&a, &n));
		int k = snprintf(text, sizeof(text), "http://127.0.0.%d:%u/hook", i + 1, ntohs(a.sin_port));
		HL_CHECK(!hl_url_parse(hl_str_make(text, (size_t)k), &arena, &urls[i], NULL));
	}
	return 0;
}

/* ---- one exchange ---- */

struct outcome {
	bool done;
	int error;
	enum hl_class error_class;
	uint16_t status;
	bool cut;
	struct hl_buf body;
};

static void on_done(void *data, struct hl_exchange *x, const struct hl_exchange_result *r)
{
	struct outcome *o = data;
	(void)x;
	HL_CHECK(!o->done && r->body.len <= HL_EXCHANGE_ANSWER_MAX);
	o->done = true;
	o->error = r->error;
	o->error_class = r->error_class;
	o->status = r->status;
	o->cut = r->body_cut;
	hl_buf_str(&o->body, r->body);
	HL_CHECK(r->error || r->error_class == HL_CLASS_NONE || r->text[0]);
}

static void turn(void)
{
	(void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void finish(int fd, enum end end)
{
	struct linger now = { .l_onoff = 1 };
	if (end == END_RESET)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* Waits for the request, then says `in` in pieces. */
static int serve(int listener, struct hl_str in, uint64_t *seed, const struct outcome *o)
{
	char request[4096];
	int fd = -1, on = 1;
	for (int i = 0; fd < 0 && i < TURNS_MAX; i++) {
		turn();
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
	HL_CHECK(fd >= 0);
	for (int i = 0; i < TURNS_MAX && read(fd, request, sizeof(request)) < 0; i++)
		turn();
	(void)setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
	while (in.len && !o->done) {
		struct hl_str piece = fuzz_piece(&in, seed);
		if (send(fd, piece.ptr, piece.len, MSG_NOSIGNAL) < 0)
			break;
		turn();
	}
	return fd;
}

static void exchange(struct hl_str in, bool head, enum end end, uint64_t *seed, struct outcome *o)
{
	static unsigned next;
	unsigned i = next++ % RECEIVERS;
	struct hl_exchange x;
	struct hl_str body = HL_STR("{}");
	struct hl_exchange_request r = { .url = &urls[i], .method = head ? HL_STR("HEAD") : HL_STR("POST"), .body = &body, .n_body = 1,
		.allow_any_address = true };
	hl_exchange_init(&x);
	HL_CHECK(!hl_exchange_start(&x, client, &r, on_done, o));
	int fd = serve(listeners[i], in, seed, o);
	if (end != END_NEVER)
		finish(fd, end);
	for (int k = 0; !o->done && k < (end == END_NEVER ? 8 : TURNS_MAX); k++)
		turn();
	if (!o->done) {
		HL_CHECK(end == END_NEVER);
		hl_exchange_cancel(&x);
		HL_CHECK(!o->done);
	}
	if (end == END_NEVER)
		finish(fd, END_FIN);
	for (int k = 0; !(o->done && client->hub.n_conns == 0); k++) { /* a kept connection notices that its peer has gone */
		HL_CHECK(k < TURNS_MAX);
		turn();
	}
	hl_exchange_fini(&x);
}

/* ---- the reader's word ---- */

static bool head_request;

static void look_at(const struct hl_message *m)
{
	HL_CHECK(m->status >= 200 && m->status <= 999 && m->headers.n <= HL_HEADERS_CAP);
	HL_CHECK(!(m->until_eof && (m->chunked || m->content_length >= 0)));
	(void)head_request;
}

/* The first answer alone, as an exchange reads it. */
static void first_answer(struct hl_str in, bool head, struct outcome *o)
{
	struct hl_message m;
	enum hl_step step;
	*o = (struct outcome){ .done = false };
	hl_message_init(&m, HL_MESSAGE_RESPONSE, &hl_response_limits);
	hl_message_next(&m, head);
	while ((step = hl_message_step(&m, &in)) == HL_STEP_HEAD || step == HL_STEP_BODY) {
		o->status = m.status;
		if (step == HL_STEP_BODY)
			hl_buf_str(&o->body, m.chunk);
	}
	if (step == HL_STEP_MORE)
		step = hl_message_eof(&m);
	o->done = step == HL_STEP_END;
	bool empty = m.status == 204 || m.status == 304 || head;
	HL_CHECK(!o->done || !empty || o->body.len == 0);
	hl_message_fini(&m);
}

static void judge(const struct outcome *o, const struct outcome *want, enum end end)
{
	if (end != END_FIN) { /* what a reset takes with it is chance; it may be less than all, never something else */
		HL_CHECK(o->error == HL_ECANCELED || o->error_class != HL_CLASS_NONE || o->status == want->status);
		return;
	}
	HL_CHECK(o->error == HL_OK);
	HL_CHECK(o->body.len <= want->body.len && !memcmp(o->body.data ? o->body.data : "", want->body.data ? want->body.data : "",
			o->body.len));
	bool long_body = want->body.len > HL_EXCHANGE_ANSWER_MAX;
	if (want->done || long_body) {
		HL_CHECK(o->error_class == HL_CLASS_NONE && o->status == want->status && o->cut == long_body);
		HL_CHECK(long_body || o->body.len == want->body.len);
	} else {
		HL_CHECK(o->error_class == HL_CLASS_PROTOCOL || o->error_class == HL_CLASS_RESET);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len);
	unsigned how = fuzz_u8(&in);
	enum end end = (enum end)(how / 2 % 3);
	bool head = how & 1;
	uint64_t seed = fuzz_u64(&in), pieces = seed;
	struct seen whole = run(HL_MESSAGE_RESPONSE, in, head, NULL, look_at);
	struct seen cut = run(HL_MESSAGE_RESPONSE, in, head, &seed, look_at);
	same(&whole, &cut);
	struct outcome want, got = { .done = false };
	first_answer(in, head, &want);
	exchange(in, head, end, &pieces, &got);
	judge(&got, &want, end);
	hl_buf_fini(&want.body);
	hl_buf_fini(&got.body);
	return 0;
}
