/* What the connections of a loop share: buffers, handshake slots, time limits.
 *
 * Every limit of one kind has the same length, so a list in order of start is in order of end; the one timer is armed
 * for the earliest of the three heads. A connection that leaves a list does not touch the timer: it then fires once
 * too early, finds nothing to do and goes to sleep until the next limit, or for good.
 *
 * A handshake holds one of the slots while it is young. One that takes longer than its slot's time goes on without a
 * slot, so that peers who stall cannot stop the others. */
#include "net/conn_impl.h"

#include "base/check.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void on_timer(uv_timer_t *timer);

static hl_ms_t loop_now(const struct hl_conn_hub *hub)
{
	return (hl_ms_t)uv_now(hub->loop);
}

static struct hl_conn *oldest(const struct hl_list *deadlines)
{
	return hl_list_empty(deadlines) ? NULL : HL_LIST_ENTRY(deadlines->next, struct hl_conn, deadline_node);
}

static struct hl_conn *oldest_slot(const struct hl_conn_hub *hub)
{
	return hl_list_empty(&hub->slots) ? NULL : HL_LIST_ENTRY(hub->slots.next, struct hl_conn, slot_node);
}

/* Sees to it that the timer fires at the earliest limit or before; limits that went away do not move it. */
static void rearm(struct hl_conn_hub *hub)
{
	const struct hl_conn *connecting = oldest(&hub->connecting), *handshaking = oldest(&hub->handshaking),
			*slot = oldest_slot(hub);
	hl_ms_t at = INT64_MAX, now = loop_now(hub);
	if (connecting)
		at = HL_MIN(at, connecting->deadline_ms);
	if (handshaking)
		at = HL_MIN(at, handshaking->deadline_ms);
	if (slot)
		at = HL_MIN(at, slot->slot_until_ms);
	if (at == INT64_MAX || (hub->timer_at_ms && hub->timer_at_ms <= at))
		return;
	/* Never 0: libuv 1.44 would spin. */
	HL_CHECK(uv_timer_start(&hub->timer, on_timer, (uint64_t)HL_MAX(at - now, 1), 0) == 0);
	hub->timer_at_ms = at;
}

static void on_timer(uv_timer_t *timer)
{
	struct hl_conn_hub *hub = timer->data;
	hl_ms_t now = loop_now(hub);
	struct hl_conn *c;
	char text[80];
	hub->timer_at_ms = 0;
	while ((c = oldest_slot(hub)) && c->slot_until_ms <= now)
		hl_conn_hub_leave_slot(c);
	hl_conn_hub_run_queue(hub);
	snprintf(text, sizeof text, "no connection within %u ms", (unsigned)hub->connect_timeout_ms);
	while ((c = oldest(&hub->connecting)) && c->deadline_ms <= now)
		hl_conn_end(c, HL_ETIMEDOUT, text);
	snprintf(text, sizeof text, "no TLS handshake within %u ms", (unsigned)hub->handshake_timeout_ms);
	while ((c = oldest(&hub->handshaking)) && c->deadline_ms <= now)
		hl_conn_end(c, HL_ETIMEDOUT, text);
	rearm(hub);
}

void hl_conn_hub_limit(struct hl_conn *c, struct hl_list *list, uint32_t timeout_ms)
{
	c->phase_mono_ms = hl_env_mono_ms(c->hub->env);
	c->deadline_ms = loop_now(c->hub) + timeout_ms;
	hl_list_push_back(list, &c->deadline_node);
	rearm(c->hub);
}

int32_t hl_conn_phase_ms(const struct hl_conn *c)
{
	return (int32_t)(hl_env_mono_ms(c->hub->env) - c->phase_mono_ms);
}

void hl_conn_hub_take_slot(struct hl_conn *c)
{
	c->hub->n_slots++;
	hl_list_push_back(&c->hub->slots, &c->slot_node);
	c->slot_until_ms = loop_now(c->hub) + HL_CONN_HANDSHAKE_SLOT_MS;
}

void hl_conn_hub_leave_slot(struct hl_conn *c)
{
	if (hl_list_linked(&c->slot_node) && c->state == HL_CONN_HANDSHAKING)
		c->hub->n_slots--;
	hl_list_remove(&c->slot_node);
}

void hl_conn_hub_run_queue(struct hl_conn_hub *hub)
{
	while (hub->n_slots < HL_CONN_HANDSHAKES_MAX && !hl_list_empty(&hub->queue)) {
		struct hl_list *first = hl_list_pop_front(&hub->queue);
		hl_conn_handshake_start(HL_LIST_ENTRY(first, struct hl_conn, slot_node));
	}
}

/* libuv writes without MSG_NOSIGNAL: with the default disposition a peer that hangs up would end the process. A
 * handler that the program chose is left alone. */
static void ignore_sigpipe(void)
{
	struct sigaction now, ignore = { .sa_handler = SIG_IGN };
	if (sigaction(SIGPIPE, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
		(void)sigaction(SIGPIPE, &ignore, NULL);
}

int hl_conn_hub_init(struct hl_conn_hub *hub, uv_loop_t *loop, const struct hl_env *env,
		const struct hl_conn_hub_options *o)
{
	*hub = (struct hl_conn_hub){ .loop = loop, .env = env, .tls = o->tls, .egress = o->egress,
		.connect_timeout_ms = o->connect_timeout_ms ? o->connect_timeout_ms : HL_CONN_TIMEOUT_MS,
		.handshake_timeout_ms = o->handshake_timeout_ms ? o->handshake_timeout_ms : HL_CONN_TIMEOUT_MS };
	hub->read_buf = malloc(HL_CONN_READ_CAP);
	hub->plain_buf = malloc(HL_CONN_PLAIN_CAP);
	if (!hub->read_buf || !hub->plain_buf) {
		free(hub->read_buf);
		free(hub->plain_buf);
		return HL_ENOMEM;
	}
	hl_list_init(&hub->connecting);
	hl_list_init(&hub->handshaking);
	hl_list_init(&hub->slots);
	hl_list_init(&hub->queue);
	uv_timer_init(loop, &hub->timer);
	hub->timer.data = hub;
	ignore_sigpipe();
	return HL_OK;
}

static void on_hub_timer_closed(uv_handle_t *h)
{
	struct hl_conn_hub *hub = h->data;
	free(hub->read_buf);
	free(hub->plain_buf);
	hl_buf_fini(&hub->cipher);
	hl_buf_fini(&hub->gather);
	hub->on_closed(hub->on_closed_data);
}

void hl_conn_hub_close(struct hl_conn_hub *hub, void (*cb)(void *data), void *data)
{
	HL_CHECK(!hub->closing && hub->n_conns == 0);
	hub->closing = true;
	hub->on_closed = cb;
	hub->on_closed_data = data;
	uv_close((uv_handle_t *)&hub->timer, on_hub_timer_closed);
}
