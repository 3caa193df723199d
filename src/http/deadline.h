/* Many deadlines behind one uv_timer: cheap to move, because most of them never come.
 *
 * Moving a deadline later, and clearing it, only writes a number; the heap is put right when the old time comes.
 * Times are of the loop's clock (uv_now). */
#ifndef HL_HTTP_DEADLINE_H
#define HL_HTTP_DEADLINE_H

#include "base/heap.h"
#include <hookline/error.h>
#include <uv.h>

struct hl_deadline;
typedef void (*hl_deadline_cb)(struct hl_deadline *d);

struct hl_deadline {
	struct hl_heap_node node;
	hl_ms_t at_ms;          /* when it is due; 0 = not set */
	hl_deadline_cb cb;      /* the deadline is cleared before; may set it again or free its owner */
};

struct hl_deadlines {
	uv_loop_t *loop;
	struct hl_heap heap;    /* keys ≤ the at_ms of their deadlines */
	uv_timer_t timer;       /* armed for the first key */
	hl_ms_t armed_ms;       /* 0 = not armed */
	bool firing;
	void (*on_closed)(void *data);
	void *on_closed_data;
};

HL_MUST_CHECK int hl_deadlines_init(struct hl_deadlines *s, uv_loop_t *loop);
/* All deadlines must be removed before. */
void hl_deadlines_close(struct hl_deadlines *s, void (*cb)(void *data), void *data);

static inline void hl_deadline_init(struct hl_deadline *d, hl_deadline_cb cb) { *d = (struct hl_deadline){ .cb = cb }; }
/* Due in `in_ms` from now, replacing what was set. HL_ENOMEM: not set. */
HL_MUST_CHECK int hl_deadline_set(struct hl_deadlines *s, struct hl_deadline *d, hl_ms_t in_ms);
static inline void hl_deadline_clear(struct hl_deadline *d) { d->at_ms = 0; }
/* Forgets it altogether; required before its owner is freed. */
void hl_deadline_remove(struct hl_deadlines *s, struct hl_deadline *d);

#endif
