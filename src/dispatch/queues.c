/* Making, finding and dropping queues. A webhook gets one with its first pending delivery and keeps it until it has been idle
 * for long; a dropped one with attempts in flight goes when the last of them has ended. */
#include "dispatch/queues.h"

#include "dispatch/destination.h"

struct hl_queue *hl_queues_get(struct hl_dispatcher *d, uint32_t webhook)
{
	return hl_map_u64_get(&d->queues, webhook);
}

/* What waits in the store for a queue that could not be made is found again when memory catches up. */
static struct hl_queue *no_memory(struct hl_dispatcher *d)
{
	hl_core_behind(d, HL_ENOMEM);
	return NULL;
}

struct hl_queue *hl_queues_make(struct hl_dispatcher *d, const struct hl_webhook *w, bool pending)
{
	struct hl_queue_limits limits;
	struct hl_queue *q;
	hl_destination_limits(d, w, &limits);
	if (hl_queue_create(&q, &d->shared, w->account, w->number, &limits) != 0)
		return no_memory(d);
	struct hl_counts known;
	hl_counts_get(hl_core_read(d), w->number, &known);
	q->proven = known.last_success_at_ms > known.last_failure_at_ms;
	q->tokens_mono_ms = q->idle_mono_ms = hl_core_mono(d);
	q->drain_gen = known.drain_gen;
	if (pending || d->behind) { /* behind: perhaps it has no queue only because there was no memory for it */
		q->fresh_more = q->due_more = true;
		q->fresh_next = known.fresh_from;
		q->draining = known.drain_gen > 0;
	}
	if (known.parked)
		hl_queue_restore_parked(q, hl_core_mono(d));
	if (w->state != HL_WEBHOOK_ENABLED)
		hl_queue_move(q, HL_QUEUE_HELD);
	if (hl_map_u64_put(&d->queues, w->number, q) != 0) {
		hl_queue_destroy(q);
		return no_memory(d);
	}
	return q;
}

void hl_queues_drop(struct hl_dispatcher *d, struct hl_queue *q)
{
	hl_map_u64_del(&d->queues, q->webhook);
	hl_queues_retire(d, q);
}

void hl_queues_retire(struct hl_dispatcher *d, struct hl_queue *q)
{
	if (q->state != HL_QUEUE_GONE || q->busy > 0)
		return;
	hl_scheduler_forget(&d->scheduler, q);
	hl_destination_release(q->destination);
	hl_queue_destroy(q);
}
