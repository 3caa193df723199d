/* The other end of a connection is looked at again once it is there. Here the kernel is made to lie: this program has a
 * connect() of its own, which leads elsewhere when a test says so, as a packet filter on the way might. */
#include "net_test.h"

#include "loop.h"
#include "net/conn.h"
#include "port.h"
#include <errno.h>
#include <sys/syscall.h>

static bool lies;
static struct hl_addr instead;

__attribute__((visibility("default"))) int connect(int fd, const struct sockaddr *sa, socklen_t len);

int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	if (lies && sa->sa_family == AF_INET) {
		sa = &instead.sa;
		len = hl_addr_len(&instead);
	}
	return (int)syscall(SYS_connect, fd, sa, len);
}

struct client {
	struct hl_conn conn;
	bool opened, ended, closed;
	int status;
};

static void on_open(struct hl_conn *conn)
{
	((struct client *)conn->data)->opened = true;
	hl_conn_close(conn);
}

static void on_read(struct hl_conn *conn, struct hl_str bytes)
{
	(void)conn, (void)bytes;
	fail_msg("bytes from somebody else");
}

static void on_end(struct hl_conn *conn, const struct hl_err *err)
{
	struct client *c = conn->data;
	c->ended = true;
	c->status = err->code;
}

static void on_closed(struct hl_conn *conn)
{
	((struct client *)conn->data)->closed = true;
}

static const struct hl_conn_ops ops = { on_open, on_read, on_end, on_closed };

static void on_hub_closed(void *data)
{
	*(bool *)data = true;
}

/* One connection to `asked`, which the kernel leads to `found` (0.0.0.0: it does as it is told). */
static int outcome(const struct hl_egress *egress, const char *asked, const char *found, uint16_t port, bool trusted)
{
	uv_loop_t loop;
	struct hl_conn_hub hub;
	bool hub_closed = false;
	struct client c = { 0 };
	struct hl_conn_target t = { .addr = ip(asked, port), .host = HL_STR("a.example"), .trusted = trusted };
	struct hl_conn_hub_options o = { .egress = egress };
	loop_init(&loop);
	assert_int_equal(hl_conn_hub_init(&hub, &loop, &hl_env_real, &o), HL_OK);
	instead = ip(found, port);
	lies = !hl_addr_is_wildcard(&instead);
	assert_int_equal(hl_conn_open(&c.conn, &hub, &t, &ops, &c, NULL), HL_OK);
	assert_true(loop_until(&loop, &c.closed, 3000));
	lies = false;
	hl_conn_hub_close(&hub, on_hub_closed, &hub_closed);
	assert_true(loop_until(&loop, &hub_closed, 2000));
	loop_fini(&loop);
	assert_true(c.opened != c.ended);
	return c.opened ? HL_OK : c.status;
}

static void peers(void **state)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	struct hl_egress egress;
	struct hl_egress_options o = { .allow_networks = "127.0.0.2,127.0.0.4", .allow_http = true };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
	assert_int_equal(listen(fd, 16), 0);
	uint16_t port = port_of(fd);
	assert_int_equal(hl_egress_init(&egress, &o, NULL), HL_OK);
	assert_int_equal(outcome(&egress, "127.0.0.2", "0.0.0.0", port, false), HL_OK);
	assert_int_equal(outcome(&egress, "127.0.0.2", "127.0.0.3", port, false), HL_EBLOCKED);
	/* Not even an address that would be allowed is the one that was judged. */
	assert_int_equal(outcome(&egress, "127.0.0.2", "127.0.0.4", port, false), HL_EBLOCKED);
	assert_int_equal(outcome(&egress, "127.0.0.2", "127.0.0.4", port, true), HL_EBLOCKED);
	assert_int_equal(outcome(NULL, "127.0.0.2", "127.0.0.4", port, false), HL_EBLOCKED);
	/* Judged again, whoever handed it over: the rule does not depend on its callers. */
	assert_int_equal(outcome(&egress, "127.0.0.3", "0.0.0.0", port, false), HL_EBLOCKED);
	assert_int_equal(outcome(&egress, "127.0.0.3", "0.0.0.0", port, true), HL_OK);
	struct hl_addr own = ip("127.0.0.3", port);
	assert_int_equal(hl_egress_add_own(&egress, &own), HL_OK);
	assert_int_equal(outcome(&egress, "127.0.0.3", "0.0.0.0", port, true), HL_EBLOCKED);
	hl_egress_fini(&egress);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(peers) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
