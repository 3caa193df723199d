/* Any bytes from a client, through a real connection of the HTTP server (a socket pair) to a handler that does all a handler
 * may: answers at once, later, at the head, in pieces, in the middle of a body, pauses, drops. Every request ends exactly
 * once, whatever it was, and what the client reads are whole answers, one for each request that got one, in order.
 *
 * First how the client ends, then eight bytes that decide on the pieces and on what the handler does. */
#include "fuzz.h"
#include "http/server.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNS_MAX = 20000, ANSWERS_MAX = 4096 };

static uv_loop_t loop;
static struct hl_connection_hub hub;

static struct {
	uint64_t seed;
	struct hl_request *live;        /* at most one */
	enum { QUIET, TAKING, READY, STREAMING } what;
	bool paused, gone;
	bool broken;                    /* somebody broke off in the middle: the last answer may be cut */
	unsigned begun, ended;
	uint64_t body_len;
	bool head[ANSWERS_MAX];         /* the n-th answer is to a HEAD request */
	unsigned answers;
} world;

static unsigned chance(unsigned n)
{
	world.seed = world.seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(world.seed >> 33) % n;
}

static void over(void)
{
	HL_CHECK(world.live);
	world.live = NULL;
	world.what = QUIET;
	world.paused = false;
	world.ended++;
}

static void promise(struct hl_request *r)
{
	if (world.answers < ANSWERS_MAX)
		world.head[world.answers] = r->method == HL_METHOD_HEAD;
	world.answers++;
}

static void send_whole(struct hl_request *r)
{
	static const unsigned statuses[] = { 200, 202, 204, 304, 404, 503 };
	struct hl_header h = { HL_STR("X-Echo"), r->path };
	promise(r);
	over();
	hl_response_send(r, statuses[chance(HL_ARRAY_LEN(statuses))], &h, 1, HL_STR("{\"some\":\"body\"}"));
}

/* One more thing is done for the live request. */
static void act(void)
{
	struct hl_request *r = world.live;
	if (world.paused && chance(2)) {
		world.paused = false;
		hl_request_resume(r);
		return;
	}
	if (world.what == STREAMING) {
		if (chance(3)) {
			hl_response_write(r, HL_STR("piece\n"));
		} else if (chance(8)) {
			over();
			hl_response_end(r);
		} else {
			over();
			world.broken = true;
			hl_request_drop(r);
		}
	} else if (chance(16) == 0) {
		over();
		world.broken = true;
		hl_request_drop(r);
	} else if (chance(3) == 0) {
		promise(r);
		world.what = STREAMING;
		hl_response_begin(r, chance(4) ? 200 : 204, NULL, 0);
	} else {
		send_whole(r);
	}
}

static enum hl_body_mode on_head(void *data, struct hl_request *r)
{
	(void)data;
	HL_CHECK(!world.live && r->target.len && r->path.len && r->path.ptr[0] == '/');
	world.live = r;
	world.what = TAKING;
	world.body_len = 0;
	world.begun++;
	switch (chance(6)) {
	case 0:
		send_whole(r);
		return HL_BODY_NONE;
	case 1:
		return HL_BODY_NONE;
	case 2:
	case 3:
		return HL_BODY_STREAM;
	default:
		return HL_BODY_WHOLE;
	}
}

static void on_body(void *data, struct hl_request *r, struct hl_str piece)
{
	(void)data;
	HL_CHECK(r == world.live && piece.len);
	world.body_len += piece.len;
	unsigned what = chance(12);
	if (what == 0 && !world.paused) {
		world.paused = true;
		hl_request_pause(r);
	} else if (what == 1) {
		act();
	}
}

static void on_request(void *data, struct hl_request *r)
{
	(void)data;
	HL_CHECK(r == world.live && (world.what == TAKING || world.what == STREAMING));
	HL_CHECK(!r->body.len || r->content_length < 0 || (uint64_t)r->content_length == r->body.len);
	if (world.what == TAKING)
		world.what = READY;
	if (chance(2))
		act();
}

static void on_refused(void *data, struct hl_request *r, unsigned status, const char *reason)
{
	(void)data;
	HL_CHECK(r == world.live && world.what == TAKING && status >= 400 && reason);
	if (chance(2)) {
		send_whole(r);
		return;
	}
	promise(r);
	over();
}

static void on_abort(void *data, struct hl_request *r)
{
	(void)data;
	HL_CHECK(r == world.live);
	world.broken = true;
	over();
}

static void on_writable(void *data, struct hl_request *r)
{
	(void)data;
	HL_CHECK(r == world.live);
}

static void on_gone(struct hl_connection_hub *h, bool accepted)
{
	HL_CHECK(h == &hub && accepted && !world.live);
	world.gone = true;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct hl_server_options o;
	const struct hl_request_handler handler = { .on_head = on_head, .on_body = on_body, .on_request = on_request,
		.on_refused = on_refused, .on_abort = on_abort, .on_writable = on_writable };
	(void)argc;
	(void)argv;
	hl_server_options_init(&o);
	o.env = &hl_env_real;
	o.body_max = 2048;
	o.writable_mark = 4096;
	o.connections_soft = 16;
	HL_CHECK(!uv_loop_init(&loop) && !hl_connection_hub_init(&hub, &loop, &o, &handler));
	hub.on_gone = on_gone;
	return 0;
}

/* ---- the client ---- */

static void hear(int fd, struct hl_buf *heard)
{
	char bytes[4096];
	ssize_t n;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		hl_buf_add(heard, bytes, (size_t)n);
}

static void turn(int fd, struct hl_buf *heard)
{
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	if (world.live && (world.what != TAKING || world.paused) && chance(3) == 0)
		act();
	if (fd >= 0)
		hear(fd, heard);
}

/* Answers that were promised, then at most one refusal of the server's own (without its body if it refuses a HEAD); the last
 * may be cut when somebody broke off. */
static void read_answers(struct hl_str heard, bool broken, bool heads)
{
	struct hl_str in = heard;
	struct hl_message m;
	enum hl_step step;
	unsigned n = 0;
	hl_message_init(&m, HL_MESSAGE_RESPONSE, &hl_response_limits);
	hl_message_next(&m, world.answers && world.head[0]);
	while ((step = hl_message_step(&m, &in)) != HL_STEP_MORE && step != HL_STEP_BAD) {
		if (step == HL_STEP_HEAD)
			HL_CHECK(n < world.answers || (n == world.answers && m.status >= 400));
		if (step != HL_STEP_END)
			continue;
		n++;
		if (n >= ANSWERS_MAX)
			break;
		hl_message_next(&m, n < world.answers && world.head[n]);
	}
	HL_CHECK(step != HL_STEP_BAD);
	bool cut = n < ANSWERS_MAX && hl_message_eof(&m) == HL_STEP_BAD;
	bool bare = n == world.answers && heads && m.body_len == 0;
	if (cut && !broken && !bare) {
		fprintf(stderr, "cut after %u of %u answers:\n%.*s\n", n, world.answers, HL_FMT(heard));
		abort();
	}
	hl_message_fini(&m);
}

static void talk(struct hl_str in, bool rude, uint64_t seed)
{
	int pair[2];
	struct hl_str all = in;
	struct hl_buf heard = { .data = NULL };
	HL_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
	struct hl_connection *c = hl_connection_create(&hub, true);
	HL_CHECK(c && !uv_pipe_open(&c->pipe, pair[0]));
	hl_connection_start(c);
	while (in.len && !world.gone) {
		struct hl_str piece = fuzz_piece(&in, &seed);
		ssize_t n = send(pair[1], piece.ptr, piece.len, MSG_NOSIGNAL);
		if (n < (ssize_t)piece.len)
			break;
		turn(pair[1], &heard);
	}
	if (rude) {
		close(pair[1]);
		pair[1] = -1;
	} else {
		shutdown(pair[1], SHUT_WR);
	}
	for (int i = 0; !world.gone; i++) {
		if (i == TURNS_MAX) {
			fprintf(stderr, "stuck: state %d eof %d shut %d unwritten %zu input %zu due %d paused %d live %d\n", c->state, c->eof,
					c->shut, hl_connection_unwritten(c), c->input.len, hl_list_linked(&c->due_node), c->paused,
					world.live != NULL);
			abort();
		}
		turn(pair[1], &heard);
	}
	if (pair[1] >= 0) {
		hear(pair[1], &heard);
		close(pair[1]);
	}
	HL_CHECK(!world.live && world.begun == world.ended);
	read_answers(hl_buf_all(&heard), rude || world.broken, hl_str_contains(all, HL_STR("HEAD ")));
	hl_buf_fini(&heard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len);
	bool rude = fuzz_u8(&in) % 4 == 3;
	memset(&world, 0, sizeof(world));
	world.seed = fuzz_u64(&in);
	talk(in, rude, world.seed);
	return 0;
}
