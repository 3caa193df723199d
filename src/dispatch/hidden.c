/* A deletion is one small commit; the deliveries follow in slices. In between the jobs themselves say which webhooks they
 * are about, so a reader pays nothing when there are none. */
#include "dispatch/hidden.h"

static bool hides(const struct hl_job_row *job, uint32_t account)
{
	return job->account == account && (job->kind == HL_JOB_CANCEL_WEBHOOK || job->kind == HL_JOB_DROP_WEBHOOK);
}

static void fill(struct hl_txn *txn, const struct hl_job_row *job, struct hl_hidden_webhook *out)
{
	struct hl_webhook_row row;
	*out = (struct hl_hidden_webhook){ .webhook = job->webhook, .drop = job->kind == HL_JOB_DROP_WEBHOOK,
		.deleted_at_ms = job->created_at_ms };
	if (hl_webhook_row_peek(txn, job->webhook, &row))
		out->dialect = row.w.dialect;
}

int hl_hidden_load(struct hl_dispatcher *d, struct hl_txn *txn, uint32_t account, struct hl_hidden *out)
{
	struct hl_job_row job;
	size_t n = 0;
	*out = (struct hl_hidden){ 0 };
	for (uint64_t after = 0; hl_job_next(txn, after, &job); after = job.number)
		n += hides(&job, account);
	if (n == 0)
		return hl_txn_status(txn);
	struct hl_hidden_webhook *v = HL_ARENA_ARRAY(&d->turn, struct hl_hidden_webhook, n);
	if (!v)
		return HL_ENOMEM;
	for (uint64_t after = 0; out->n < n && hl_job_next(txn, after, &job); after = job.number)
		if (hides(&job, account))
			fill(txn, &job, &v[out->n++]);
	out->v = v;
	return hl_txn_status(txn);
}

const struct hl_hidden_webhook *hl_hidden_find(const struct hl_hidden *h, uint32_t webhook)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].webhook == webhook)
			return &h->v[i];
	return NULL;
}

bool hl_hidden_apply(const struct hl_hidden *h, struct hl_delivery_row *row)
{
	const struct hl_hidden_webhook *w = h->n ? hl_hidden_find(h, row->webhook) : NULL;
	if (!w)
		return true;
	if (w->drop)
		return false;
	if (row->state == HL_DELIVERY_PENDING) {
		row->state = HL_DELIVERY_CANCELLED;
		row->last_class = HL_CLASS_DELETED;
		row->last_error = hl_str_from(hl_class_sentence(HL_CLASS_DELETED));
		row->next_at_ms = 0;
		row->completed_at_ms = w->deleted_at_ms;
	}
	return true;
}
