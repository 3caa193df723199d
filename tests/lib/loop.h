/* Running a libuv loop in tests: until a condition holds, never for ever, never by sleeping.
 *
 *   uv_loop_t loop;
 *   loop_init(&loop);
 *   assert_true(loop_until(&loop, &done, 2000));   // false when `done` is still false after 2 s
 *   loop_fini(&loop);                              // runs what is closing, then insists that nothing is left */
#ifndef HL_TEST_LOOP_H
#define HL_TEST_LOOP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

/* Deadlines are written for an idle machine; sanitizers and a busy one may take this many times longer. */
enum { LOOP_PATIENCE = 5 };

struct loop_deadline {
	uv_timer_t timer;
	bool late;
	bool closed;
};

static inline void loop_init(uv_loop_t *loop)
{
	if (uv_loop_init(loop))
		abort();
}

static inline void loop_deadline_hit(uv_timer_t *t)
{
	((struct loop_deadline *)t->data)->late = true;
}

static inline void loop_deadline_closed(uv_handle_t *h)
{
	((struct loop_deadline *)h->data)->closed = true;
}

/* Turns the loop until pred(data), at most deadline_ms · LOOP_PATIENCE; tells whether pred holds. */
static inline bool loop_run_until(uv_loop_t *loop, bool (*pred)(void *), void *data, unsigned deadline_ms)
{
	struct loop_deadline d = { .late = false };
	uv_timer_init(loop, &d.timer);
	d.timer.data = &d;
	uv_timer_start(&d.timer, loop_deadline_hit, (uint64_t)deadline_ms * LOOP_PATIENCE, 0);
	while (!d.late && !pred(data))
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&d.timer, loop_deadline_closed);
	while (!d.closed)
		uv_run(loop, UV_RUN_NOWAIT);
	return pred(data);
}

static inline bool loop_flag(void *data)
{
	return *(const bool *)data;
}

static inline bool loop_until(uv_loop_t *loop, bool *flag, unsigned deadline_ms)
{
	return loop_run_until(loop, loop_flag, flag, deadline_ms);
}

static inline bool loop_never(void *data)
{
	(void)data;
	return false;
}

/* Lets the loop work for about ms, whatever happens: for "and then nothing more comes". */
static inline void loop_run_for(uv_loop_t *loop, unsigned ms)
{
	(void)loop_run_until(loop, loop_never, NULL, (ms + LOOP_PATIENCE - 1) / LOOP_PATIENCE);
}

/* Until nothing is active but what is unreferenced. */
static inline bool loop_drain(uv_loop_t *loop, unsigned deadline_ms)
{
	struct loop_deadline d = { .late = false };
	uv_timer_init(loop, &d.timer);
	d.timer.data = &d;
	uv_timer_start(&d.timer, loop_deadline_hit, (uint64_t)deadline_ms * LOOP_PATIENCE, 0);
	uv_unref((uv_handle_t *)&d.timer);
	while (!d.late && uv_loop_alive(loop))
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&d.timer, loop_deadline_closed);
	while (!d.closed)
		uv_run(loop, UV_RUN_NOWAIT);
	return !d.late;
}

static inline void loop_print_handle(uv_handle_t *h, void *data)
{
	(void)data;
	fprintf(stderr, "loop_fini: a %s is left%s\n", uv_handle_type_name(uv_handle_get_type(h)),
			uv_is_closing(h) ? " (closing)" : "");
}

/* Ends the loop; aborts naming the handles that somebody forgot to close. */
static inline void loop_fini(uv_loop_t *loop)
{
	(void)loop_drain(loop, 5000);
	if (uv_loop_close(loop)) {
		uv_walk(loop, loop_print_handle, NULL);
		abort();
	}
}

#endif
