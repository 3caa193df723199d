/* Who may send next: takes turns among accounts, then among their queues, within the limits on attempts in flight.
 *
 *   lane FRESH   open queues with never-attempted deliveries        \  share max_in_flight
 *   lane RETRY   open queues with only retries due; probes          /  (retries at most 30 % while first attempts wait)
 *   lane SLOW    suspect queues: last outcome a timeout, or an attempt over 1 s in flight. One attempt at a time each,
 *                all of them together at most max_slow
 *
 * An attempt that grows older than 1 s leaves max_in_flight and counts as slow, so hung receivers cannot use up the slots
 * of healthy ones. When three quarters of all sockets are in use, queues whose newest outcome was no success take the slow
 * lane too: the rest of the sockets is for receivers known to answer. Every choice is O(1). */
#ifndef HL_DISPATCH_SCHEDULER_H
#define HL_DISPATCH_SCHEDULER_H

#include "dispatch/queue.h"

enum hl_lane { HL_LANE_FRESH, HL_LANE_RETRY, HL_LANE_SLOW, HL_LANE_N };

enum {
	HL_SCHEDULER_RETRY_PERCENT = 30, /* of max_in_flight, while first attempts wait */
	HL_SCHEDULER_BURST = 256,        /* attempts started in one run */
};

enum hl_start { HL_START_OK, HL_START_ENDED, HL_START_FAILED };

/* What the scheduler asks of its owner. */
struct hl_scheduler_ops {
	void *data;
	/* Begins an attempt; OK: *out_slot is its slot, filled in by the scheduler afterwards. ENDED: the delivery ended without
	 * an attempt (or no longer waits), work is consumed. FAILED: out of memory; the scheduler forgets the queue's windows. */
	enum hl_start (*start)(void *data, struct hl_queue *q, struct hl_work *work, struct hl_slot **out_slot);
	/* Reads more of the queue from the store (hl_queue_wants_fresh, hl_queue_wants_due say which). */
	void (*refill)(void *data, struct hl_queue *q);
};

struct hl_scheduler {
	struct hl_scheduler_ops ops;
	const struct hl_env *env;
	uint32_t max_in_flight, max_slow;
	uint32_t max_total;               /* sockets there may be */
	struct hl_list lanes[HL_LANE_N];  /* of hl_turn.link: accounts with a ready queue */
	struct hl_map_u64 turns;          /* account → hl_turn */
	struct hl_heap wakes;             /* hl_queue.wake */
	struct hl_list young;             /* hl_slot.young, oldest first */
	uint32_t fast, slow, retries;     /* attempts in flight: young, slow, retries among the young */
	uint32_t n_ready;                 /* queues in lanes */
	uint32_t pick;
	bool held;                        /* owner says: start nothing now (too many outcomes wait for the disk, closing) */
};

int hl_scheduler_init(struct hl_scheduler *s, const struct hl_scheduler_ops *ops, const struct hl_env *env,
		uint32_t max_in_flight, uint32_t max_slow, uint32_t max_total);
void hl_scheduler_fini(struct hl_scheduler *s);
/* Something about the queue changed: puts it where it belongs. Never starts anything. */
void hl_scheduler_touch(struct hl_scheduler *s, struct hl_queue *q);
/* Takes the queue out of every list. */
void hl_scheduler_forget(struct hl_scheduler *s, struct hl_queue *q);
/* Starts what may start. Returns true when it stopped only because of HL_SCHEDULER_BURST: run again soon. */
bool hl_scheduler_run(struct hl_scheduler *s);
/* An attempt's exchange ended. Its outcome is not durable yet, so slot->fresh stays linked: the owner removes it then. */
enum hl_queue_change hl_scheduler_finish(struct hl_scheduler *s, struct hl_slot *slot, const struct hl_judgement *j);
/* The attempt was dropped without a result (closing). */
void hl_scheduler_drop(struct hl_scheduler *s, struct hl_slot *slot);
/* Monotonic time of the next thing to do; INT64_MAX = none. */
hl_ms_t hl_scheduler_next(const struct hl_scheduler *s);
bool hl_scheduler_check(const struct hl_scheduler *s);

#endif
