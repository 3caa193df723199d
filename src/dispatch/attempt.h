/* One attempt: from a delivery taken out of its queue to its durable outcome.
 *
 *   FREE -> SENDING -> COMMITTING -> FREE
 *              |           ^
 *              |           +-- a delivery that ends without a request (expired, …) starts here
 *              +-- dropped while closing --> FREE
 */
#ifndef HL_DISPATCH_ATTEMPT_H
#define HL_DISPATCH_ATTEMPT_H

#include "dispatch/destination.h"
#include "dispatch/render.h"

enum hl_run_state { HL_RUN_FREE, HL_RUN_SENDING, HL_RUN_COMMITTING };

/* Everything one attempt needs; re-used. */
struct hl_attempt_run {
	struct hl_list link;             /* in d->runs or d->free_runs */
	struct hl_dispatcher *d;
	enum hl_run_state state;
	struct hl_slot slot;             /* slot.queue NULL: a direct one, outside every queue */
	struct hl_exchange exchange;
	struct hl_destination *destination; /* held */
	struct hl_event_ref *event;      /* held */
	uint64_t delivery;               /* 0 = a test: nothing is stored */
	uint32_t webhook;
	struct hl_due due;               /* as it waited; zero for a fresh one */
	bool early;                      /* a probe before the delivery's own time: no step of its schedule */
	bool fresh;
	bool single_shot;                /* known so before the row is read (direct ones) */
	hl_ms_t created_at_ms;           /* of the delivery */
	struct hl_attempt attempt;       /* the record; number is set when it is stored */
	struct hl_judgement judgement;
	uint32_t rnd;                    /* decides the jitter of the next delay */
	/* request and answer */
	struct hl_buf fields;
	struct hl_body body;
	struct hl_str parts[3];
	struct hl_buf response;          /* repaired text of the answer's body */
	char address[HL_ADDR_TEXT_CAP];
	char error[HL_LAST_ERROR_MAX + 1];
	/* the outcome's command */
	struct hl_command command;
	enum hl_class end_class;         /* not NONE: the delivery ends without an attempt, with this class */
	uint64_t fresh_floor;            /* the queue's cursor may advance to here; 0 = leave it */
	enum hl_queue_change change;     /* what the attempt did to its queue */
	uint32_t drain_gen;              /* with WAS_OPENED: the generation to store */
	/* what apply found and made */
	struct hl_delivery_row after;    /* without its slices */
	bool stored;                     /* the row existed */
	bool ended_now;                  /* this outcome ended the delivery */
	bool disabled_now;               /* … and disabled the webhook */
	/* a direct one's callback */
	hl_attempt_cb cb;
	void *cb_data;
};

/* scheduler_ops.start */
enum hl_start hl_attempt_start(void *dispatcher, struct hl_queue *q, struct hl_work *work, struct hl_slot **out_slot);
/* Outside every queue: a stored single-shot delivery (delivery != 0) or a test. Takes destination and event. */
HL_MUST_CHECK int hl_attempt_direct(struct hl_dispatcher *d, struct hl_destination *destination, struct hl_event_ref *event,
		uint64_t delivery, hl_ms_t created_at_ms, enum hl_trigger trigger, hl_attempt_cb cb, void *cb_data);
/* Drops what is still being sent (closing): their deliveries stay as they are. */
void hl_attempt_cancel_all(struct hl_dispatcher *d);
void hl_attempt_free_all(struct hl_dispatcher *d); /* the pool of idle ones */

/* outcome.c: the command of a finished run. */
void hl_outcome_submit(struct hl_attempt_run *run);
/* attempt.c: gives everything back; run is free afterwards. */
void hl_attempt_release(struct hl_attempt_run *run);

#endif
