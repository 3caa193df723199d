/* Recovery: every failed delivery of a webhook that matches becomes pending again.
 *
 * First the matching ones are counted, in slices over several turns; a dry run ends there. Then one small command stores the
 * job, and the janitor does it in slices. Deliveries made after the call are not the job's. A crash in between leaves
 * either no job, and the caller was not answered, or a job that is finished after the next start. */
#include "dispatch/janitor.h"
#include "dispatch/validate.h"
#include "dispatch/walks.h"

#include "base/err.h"
#include <stdlib.h>

struct recover {
	struct hl_long_walk walk;
	struct hl_command command;
	struct hl_dispatcher *d;
	struct hl_job_row job;           /* type: type_bytes; number is given in apply */
	char type_bytes[HL_EVENT_TYPE_MAX];
	bool dry_run;
	uint64_t cursor, count;
	hl_count_cb cb;
	void *data;
};

static void answer(struct recover *r, int status)
{
	hl_count_cb cb = r->cb;
	void *data = r->data;
	uint64_t n = status ? 0 : r->count;
	free(r);
	cb(data, status, n);
}

static bool live(struct hl_txn *txn, uint32_t account, uint32_t webhook)
{
	struct hl_webhook_row row;
	return hl_webhook_row_peek(txn, webhook, &row) && row.w.account == account && row.w.state != HL_WEBHOOK_DELETED;
}

static int absent(struct hl_txn *txn)
{
	return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
}

/* ---- the job ---- */

static int apply(struct hl_command *c, struct hl_txn *txn)
{
	struct recover *r = HL_CONTAINER_OF(c, struct recover, command);
	struct hl_numbers numbers;
	if (!live(txn, r->job.account, r->job.webhook))
		return absent(txn);
	hl_store_next_numbers(txn, &numbers);
	struct hl_job_row job = r->job;
	job.number = numbers.job;
	hl_job_put(txn, &job);
	return hl_txn_status(txn);
}

static void done(struct hl_command *c, int status)
{
	struct recover *r = HL_CONTAINER_OF(c, struct recover, command);
	hl_core_command_done(r->d);
	if (status == 0)
		hl_janitor_wake(r->d);
	answer(r, status);
}

/* ---- the count ---- */

static bool step(struct hl_long_walk *w, size_t max_steps, int status)
{
	struct recover *r = HL_CONTAINER_OF(w, struct recover, walk);
	bool over = false;
	if (status == 0)
		status = hl_job_count_recover(hl_core_read(r->d), &r->job, max_steps, &r->cursor, &r->count, &over);
	if (status == 0 && !over)
		return true;
	if (status == 0 && !r->dry_run && r->count > 0)
		status = hl_core_admit(r->d, NULL);
	if (status || r->dry_run || r->count == 0) {
		answer(r, status);
		return false;
	}
	r->command = (struct hl_command){ .priority = HL_PRIO_API, .apply = apply, .done = done, .bytes = 512 };
	hl_core_submit(r->d, &r->command);
	return false;
}

static int check(struct hl_dispatcher *d, uint32_t account, const struct hl_recover *in, struct hl_err *err)
{
	int rc = hl_core_admit(d, err);
	if (rc)
		return rc;
	if (in->type.len && !hl_validate_type_ok(in->type))
		return hl_err_field(err, HL_EINVAL, "/type", "is not a well-formed event type");
	if (in->error_class >= HL_CLASS_N)
		return hl_err_field(err, HL_EINVAL, "/error_class", "is not a known error class");
	if (in->until_ms && in->until_ms <= in->since_ms)
		return hl_err_field(err, HL_EINVAL, "/until", "must lie after since");
	if (!live(hl_core_read(d), account, in->webhook))
		return hl_err_set(err, absent(hl_core_read(d)), "no such webhook");
	return 0;
}

int hl_webhook_recover(struct hl_dispatcher *d, uint32_t account, const struct hl_recover *in, hl_count_cb cb, void *data,
		struct hl_err *err)
{
	int rc = check(d, account, in, err);
	if (rc)
		return rc;
	struct recover *r = calloc(1, sizeof(*r));
	if (!r)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	r->d = d;
	r->job = (struct hl_job_row){ .kind = HL_JOB_RECOVER, .account = account, .webhook = in->webhook,
		.created_at_ms = hl_core_wall(d), .upto = d->numbers.delivery, .since_ms = in->since_ms,
		.until_ms = in->until_ms, .error_class = in->error_class < 0 ? -1 : in->error_class };
	if (in->type.len)
		memcpy(r->type_bytes, in->type.ptr, in->type.len);
	r->job.type = hl_str_make(r->type_bytes, in->type.len);
	r->dry_run = in->dry_run;
	r->cb = cb;
	r->data = data;
	r->walk.step = step;
	rc = hl_walks_begin(d, &r->walk);
	if (rc) {
		free(r);
		return hl_err_set(err, rc, "the dispatcher is closing");
	}
	return 0;
}
