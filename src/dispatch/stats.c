/* Counters are kept where things happen; gauges are read off the structures when somebody asks. */
#include "dispatch/stats.h"

#include "store/scan.h"

void hl_stats_note(struct hl_histogram *h, hl_ms_t ms)
{
	if (ms < 0)
		return;
	int i = 0;
	for (double bound = 0.5; i < HL_HISTOGRAM_BUCKETS - 1 && (double)ms > bound; bound *= 2)
		i++;
	h->buckets[i]++;
	h->count++;
	h->sum_s += (double)ms / 1000.0;
}

static void count_queues(struct hl_dispatcher *d, struct hl_stats *out)
{
	size_t pos = 0;
	void *v;
	hl_ms_t now = hl_core_mono(d);
	while (hl_map_u64_next(&d->queues, &pos, NULL, &v)) {
		const struct hl_queue *q = v;
		struct hl_heap_node *top = hl_heap_peek(&q->due);
		out->queues_active += !hl_queue_idle(q);
		out->queues_parked_now += q->state == HL_QUEUE_PARKED;
		out->due_deliveries += q->fresh_count;
		if (!top || top->key > now)
			continue;
		for (size_t i = 0; i < q->due.count; i++)
			out->due_deliveries += q->due.nodes[i]->key <= now;
	}
}

void hl_dispatcher_stats(struct hl_dispatcher *d, struct hl_stats *out)
{
	*out = d->stats;
	struct hl_txn *txn = hl_core_read(d);
	struct hl_totals totals;
	struct hl_store_usage usage;
	struct hl_delivery_row row;
	uint64_t oldest;
	const struct hl_commit_stats *commits = hl_commit_stats(d->commit);
	hl_totals_get(txn, 0, &totals);
	hl_store_usage(d->store, &usage);
	count_queues(d, out);
	out->commits = commits->commits;
	out->commands = commits->commands;
	out->commit = commits->duration;
	out->pending_deliveries = totals.by_state[HL_DELIVERY_PENDING];
	out->inflight_attempts = d->scheduler.fast + d->scheduler.slow + d->n_direct;
	out->inflight_slow = d->scheduler.slow;
	out->commit_backlog = hl_commit_backlog(d->commit);
	out->webhooks_enabled = totals.webhooks[HL_WEBHOOK_ENABLED];
	out->webhooks_paused = totals.webhooks[HL_WEBHOOK_PAUSED];
	out->webhooks_disabled = totals.webhooks[HL_WEBHOOK_DISABLED];
	out->store_used_bytes = usage.used_bytes;
	out->store_free_bytes = usage.free_bytes;
	out->store_max_bytes = usage.max_bytes;
	if (out->pending_deliveries > 0 && hl_scan_oldest_pending(txn, 0, &oldest) && hl_delivery_row_get(txn, oldest, &row))
		out->oldest_pending_at_ms = row.created_at_ms;
	if (d->fill_port_stats)
		d->fill_port_stats(d, out);
}
