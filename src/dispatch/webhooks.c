/* Changing webhooks: create, update, delete, rotate. One command each; the loop checks and prepares, apply checks again what
 * may have changed on the way and writes, done brings memory in step (webhook_state.c) and answers with what was stored. It was
 * kept for that before it was written: no change that is durable is told as a failure because reading it back needs memory.
 *
 * Otherwise:
 *  - Update merges into the row as it was read; when another change got in between, apply says HL_EAGAIN and the loop merges
 *    again, so that neither change is lost.
 *  - The idempotency key was used before: nothing is changed, the first answer is handed back.
 *  - Too many webhooks (HL_ELIMIT), gone meanwhile (HL_ENOTFOUND), no room (HL_EFULL): nothing is stored. */
#include "dispatch/idempotency.h"
#include "dispatch/janitor.h"
#include "dispatch/validate.h"
#include "dispatch/view.h"
#include "dispatch/webhook_copy.h"
#include "dispatch/webhook_state.h"

#include "base/crash.h"
#include "base/err.h"
#include <stdio.h>
#include <stdlib.h>

enum { MERGE_TRIES_MAX = 16, OVERLAP_MAX_S = 7 * 86400 };

struct change {
	struct hl_command command;
	struct hl_dispatcher *d;
	const char *ev;                  /* how the log calls it */
	struct hl_arena given;           /* holds what the caller gave */
	struct hl_arena kept;            /* holds w of an update, a rotation or a deletion, of this try */
	uint32_t account, number;
	hl_ms_t now_ms;
	struct hl_webhook w;             /* as it is to be stored; rotate, delete: from apply on */
	struct hl_webhook values;        /* update: the members named by fields */
	uint32_t fields;
	uint32_t tries;
	uint32_t max_webhooks;           /* create; 0 = no limit */
	bool drop_history;               /* delete */
	hl_ms_t overlap_ms;              /* rotate */
	char secret[HL_SECRET_CAP];      /* create, rotate: plain text, wiped */
	struct hl_buf sealed;
	struct hl_idem_use idem;
	hl_webhook_cb cb;
	void *data;
};

/* ---- life ---- */

static struct change *new_change(struct hl_dispatcher *d, const char *ev, uint32_t account, uint32_t number, hl_webhook_cb cb,
		void *data)
{
	struct change *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	hl_arena_init(&c->given, 0);
	hl_arena_init(&c->kept, 0);
	c->d = d;
	c->ev = ev;
	c->account = account;
	c->number = number;
	c->now_ms = hl_core_wall(d);
	c->cb = cb;
	c->data = data;
	return c;
}

static void destroy(struct change *c)
{
	hl_secret_wipe(c->secret, sizeof(c->secret));
	hl_idem_use_fini(&c->idem);
	hl_buf_fini(&c->sealed);
	hl_arena_fini(&c->given);
	hl_arena_fini(&c->kept);
	free(c);
}

/* The end of a call that cannot be begun. */
static int give_up(struct change *c, int rc, struct hl_err *err)
{
	destroy(c);
	return err && err->code == rc ? rc : hl_err_set(err, rc, "%s", hl_strerror(rc));
}

static bool live(struct hl_txn *txn, uint32_t account, uint32_t number, struct hl_webhook_row *out)
{
	return hl_webhook_row_get(txn, number, out) && out->w.account == account && out->w.state != HL_WEBHOOK_DELETED;
}

static int absent(struct hl_txn *txn)
{
	return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
}

/* In apply of what begins with the stored row: keeps it as it will be, then writes it. */
static int put(struct change *c, struct hl_txn *txn, const struct hl_webhook_row *row)
{
	hl_arena_reset(&c->kept);
	int rc = hl_webhook_dup(&c->kept, &row->w, &c->w);
	if (rc == 0)
		hl_webhook_row_put(txn, row);
	return rc;
}

static void submit(struct change *c, bool grows, int (*apply)(struct hl_command *, struct hl_txn *),
		void (*done)(struct hl_command *, int))
{
	c->command = (struct hl_command){ .priority = HL_PRIO_API, .grows = grows, .apply = apply, .done = done,
		.bytes = (uint32_t)(1024 + 2 * c->w.url.len + c->w.description.len + c->w.metadata.len) };
	hl_core_submit(c->d, &c->command);
}

/* ---- the answer ---- */

static void fill_error(const struct change *c, int status, struct hl_err *err)
{
	if (err->code == status)
		return;
	if (status == HL_ELIMIT)
		hl_err_set(err, status, "the account has its %u webhooks already", c->max_webhooks);
	else if (status == HL_ENOTFOUND)
		hl_err_set(err, status, "no such webhook");
	else
		hl_err_set(err, status, "%s", hl_strerror(status));
}

static void answer(struct change *c, int status, struct hl_err *err)
{
	struct hl_dispatcher *d = c->d;
	struct hl_webhook_result r = { 0 };
	if (status == HL_EEXIST) { /* by its idempotency key */
		r.replayed = true;
		r.answer = hl_buf_all(&c->idem.answer);
		status = HL_OK;
	} else if (status == HL_OK) {
		hl_webhook_view(d, hl_core_read(d), &c->w);
		r.webhook = &c->w;
		r.secret = hl_str_from(c->secret);
		hl_log(&d->log, HL_LOG_INFO, c->ev, "webhook=%s number=%u account=%u state=%s", c->w.id, c->number, c->account,
				hl_webhook_state_name(c->w.state));
	}
	if (status) {
		fill_error(c, status, err);
		c->cb(c->data, status, err, NULL);
	} else {
		hl_arena_take(&d->turn, &c->given); /* what is shown lives as long as the turn */
		hl_arena_take(&d->turn, &c->kept);
		c->cb(c->data, HL_OK, NULL, &r);
	}
	destroy(c);
}

static void finish(struct change *c, int status)
{
	struct hl_err err = { 0 };
	hl_core_command_done(c->d);
	if (status == 0)
		hl_webhook_state_changed(c->d, c->account, c->number);
	answer(c, status, &err);
}

static void done(struct hl_command *command, int status)
{
	finish(HL_CONTAINER_OF(command, struct change, command), status);
}

/* ---- secrets ---- */

/* Generated when the caller gave none. Sets w->secret_last4. */
static int make_secret(struct change *c, struct hl_str given, struct hl_webhook *w, struct hl_err *err)
{
	if (given.len == 0) {
		hl_secret_generate(c->d->env, c->secret);
	} else {
		int rc = hl_secret_check(given, err);
		if (rc)
			return rc;
		memcpy(c->secret, given.ptr, given.len);
		c->secret[given.len] = '\0';
	}
	hl_secret_last4(hl_str_from(c->secret), w->secret_last4);
	return hl_store_seal(c->d->store, HL_SEAL_SECRET, c->number, hl_str_from(c->secret), &c->sealed);
}

/* ---- create ---- */

static void ensure_account(struct change *c, struct hl_txn *txn)
{
	struct hl_account_row row;
	char id[32];
	if (hl_account_row_get(txn, c->account, &row))
		return;
	if (c->account == HL_ACCOUNT_DEFAULT)
		snprintf(id, sizeof(id), "default");
	else
		snprintf(id, sizeof(id), "account-%u", c->account);
	if (hl_account_row_find(txn, hl_str_from(id), &row))
		return; /* somebody else's name: generations do without a row */
	row = (struct hl_account_row){ .number = c->account, .id = hl_str_from(id), .name = hl_str_from(id),
		.created_at_ms = c->now_ms, .updated_at_ms = c->now_ms };
	hl_account_row_put(txn, &row);
}

static int create_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	int rc = hl_idem_use_check(&c->idem, c->d->store, txn);
	if (rc)
		return rc;
	struct hl_totals t;
	hl_totals_get(txn, c->account, &t);
	uint64_t n = t.webhooks[HL_WEBHOOK_ENABLED] + t.webhooks[HL_WEBHOOK_PAUSED] + t.webhooks[HL_WEBHOOK_DISABLED];
	if (c->max_webhooks && n >= c->max_webhooks)
		return HL_ELIMIT;
	ensure_account(c, txn);
	struct hl_webhook_row row = { .w = c->w, .secret = hl_buf_all(&c->sealed) };
	hl_webhook_row_put(txn, &row);
	hl_idem_use_put(&c->idem, txn, c->number);
	return hl_txn_status(txn);
}

/* Checks what does not depend on the store. */
static int prepare_create(struct change *c, const struct hl_webhook *w, struct hl_err *err)
{
	int rc = hl_webhook_dup(&c->given, w, &c->w);
	if (rc == 0)
		rc = hl_webhook_judge_url(c->d->egress, &c->given, &c->w, err);
	if (rc)
		return rc;
	if (c->account == 0)
		return hl_err_field(err, HL_EINVAL, "/account", "accounts are numbers from 1 on");
	if (w->state != HL_WEBHOOK_ENABLED && w->state != HL_WEBHOOK_PAUSED)
		return hl_err_field(err, HL_EINVAL, "/state", "must be enabled or paused");
	c->w.reason = c->w.last_failure_message = HL_STR("");
	c->w.previous_secret_until_ms = c->w.last_attempt_at_ms = c->w.last_success_at_ms = c->w.last_failure_at_ms = 0;
	return hl_validate_webhook(&c->w, UINT32_MAX, err);
}

int hl_webhook_create(struct hl_dispatcher *d, const struct hl_webhook *w, struct hl_str secret, uint32_t max_webhooks,
		const struct hl_idempotency *idem, hl_webhook_cb cb, void *data, struct hl_err *err)
{
	struct hl_err own = { 0 };
	err = err ? err : &own;
	err->code = 0;
	int rc = hl_core_admit(d, err);
	if (rc == 0 && idem)
		rc = hl_validate_idempotency(idem, err);
	if (rc)
		return rc;
	struct change *c = new_change(d, "webhook.created", w->account, 0, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	rc = prepare_create(c, w, err);
	if (rc)
		return give_up(c, rc, err);
	c->max_webhooks = max_webhooks;
	c->number = d->numbers.webhook;
	c->w.number = c->number;
	c->w.revision = 1;
	c->w.created_at_ms = c->w.updated_at_ms = c->now_ms;
	hl_core_id(d, HL_ID_WEBHOOK, c->number, c->now_ms, c->w.id);
	rc = make_secret(c, secret, &c->w, err);
	if (rc == 0)
		rc = hl_idem_use_init(d, &c->idem, c->account, idem, &c->w, hl_str_from(c->secret));
	if (rc)
		return give_up(c, rc, err);
	d->numbers.webhook++;
	submit(c, true, create_apply, done);
	return 0;
}

/* ---- update ---- */

static int update_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_webhook_row row;
	if (!live(txn, c->account, c->number, &row))
		return absent(txn);
	if (row.w.revision + 1 != c->w.revision)
		return HL_EAGAIN;
	bool resumes = row.w.state != HL_WEBHOOK_ENABLED && c->w.state == HL_WEBHOOK_ENABLED;
	row.w = c->w;
	hl_webhook_row_put(txn, &row);
	if (resumes) { /* what waits for backoff is due at once */
		struct hl_counts *counts = hl_counts_edit(txn, c->number);
		counts->drain_gen++;
		counts->parked = false;
		HL_CRASH_POINT(RESUME_APPLIED);
	}
	return hl_txn_status(txn);
}

/* The webhook as it is now with the new values in it, judged. */
static int merge(struct change *c, struct hl_err *err)
{
	struct hl_webhook_row row;
	struct hl_txn *txn = hl_core_read(c->d);
	hl_arena_reset(&c->kept);
	if (!live(txn, c->account, c->number, &row))
		return hl_err_set(err, absent(txn), "no such webhook");
	struct hl_webhook w = row.w;
	uint32_t fields = c->fields;
	hl_webhook_merge(&w, fields, &c->values);
	if (fields & HL_WF_URL || w.name.len == 0) {
		int rc = hl_webhook_judge_url(fields & HL_WF_URL ? c->d->egress : NULL, &c->kept, &w, err);
		if (rc)
			return rc;
	}
	bool moved = fields & HL_WF_URL && !hl_str_eq(w.url, row.w.url);
	if (moved && w.state == HL_WEBHOOK_DISABLED && !(fields & HL_WF_STATE)) {
		w.state = HL_WEBHOOK_ENABLED; /* what was wrong with the old place says nothing about the new one */
		w.reason = HL_STR("");
	}
	int rc = hl_validate_webhook(&w, fields, err);
	if (rc)
		return rc;
	w.revision++;
	w.updated_at_ms = HL_MAX(hl_core_wall(c->d), w.created_at_ms);
	return hl_webhook_dup(&c->kept, &w, &c->w);
}

static void update_done(struct hl_command *command, int status)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_err err = { 0 };
	if (status == HL_EAGAIN && c->tries++ < MERGE_TRIES_MAX) {
		status = merge(c, &err);
		if (status == 0) {
			hl_commit_submit(c->d->commit, &c->command);
			return;
		}
	}
	hl_core_command_done(c->d);
	if (status == 0)
		hl_webhook_state_changed(c->d, c->account, c->number);
	answer(c, status, &err);
}

int hl_webhook_update(struct hl_dispatcher *d, uint32_t account, uint32_t number, uint32_t fields,
		const struct hl_webhook *values, hl_webhook_cb cb, void *data, struct hl_err *err)
{
	struct hl_err own = { 0 };
	err = err ? err : &own;
	err->code = 0;
	int rc = hl_core_admit(d, err);
	if (rc)
		return rc;
	struct change *c = new_change(d, "webhook.changed", account, number, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	struct hl_webhook named = { 0 }; /* only what is named is looked at */
	hl_webhook_merge(&named, fields, values);
	c->fields = fields;
	rc = hl_webhook_dup(&c->given, &named, &c->values);
	if (rc == 0)
		rc = merge(c, err);
	if (rc)
		return give_up(c, rc, err);
	submit(c, false, update_apply, update_done);
	return 0;
}

/* ---- delete ---- */

static int delete_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_webhook_row row;
	struct hl_numbers numbers;
	if (!live(txn, c->account, c->number, &row))
		return absent(txn);
	row.w.state = HL_WEBHOOK_DELETED;
	row.w.revision++;
	row.w.updated_at_ms = c->now_ms;
	row.w.previous_secret_until_ms = 0;
	row.secret = row.previous_secret = HL_STR_NONE; /* nothing is signed for it again */
	int rc = put(c, txn, &row);
	if (rc)
		return rc;
	hl_counts_edit(txn, c->number)->parked = false;
	hl_store_next_numbers(txn, &numbers);
	struct hl_job_row job = { .number = numbers.job, .kind = c->drop_history ? HL_JOB_DROP_WEBHOOK : HL_JOB_CANCEL_WEBHOOK,
		.account = c->account, .webhook = c->number, .created_at_ms = c->now_ms, .error_class = -1 };
	hl_job_put(txn, &job);
	HL_CRASH_POINT(DELETE_APPLIED);
	return hl_txn_status(txn);
}

static void delete_done(struct hl_command *command, int status)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	if (status == 0)
		hl_janitor_wake(c->d);
	finish(c, status);
}

int hl_webhook_delete(struct hl_dispatcher *d, uint32_t account, uint32_t number, bool drop_history, hl_webhook_cb cb,
		void *data, struct hl_err *err)
{
	struct hl_webhook_row row;
	struct hl_txn *txn = hl_core_read(d);
	int rc = hl_core_admit(d, err);
	if (rc)
		return rc;
	if (!live(txn, account, number, &row))
		return hl_err_set(err, absent(txn), "no such webhook");
	struct change *c = new_change(d, "webhook.deleted", account, number, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	c->drop_history = drop_history;
	submit(c, false, delete_apply, delete_done);
	return 0;
}

/* ---- rotate ---- */

static int rotate_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_webhook_row row;
	int rc = hl_idem_use_check(&c->idem, c->d->store, txn);
	if (rc)
		return rc;
	if (!live(txn, c->account, c->number, &row))
		return absent(txn);
	row.previous_secret = c->overlap_ms ? row.secret : HL_STR_NONE;
	row.w.previous_secret_until_ms = c->overlap_ms ? c->now_ms + c->overlap_ms : 0;
	row.secret = hl_buf_all(&c->sealed);
	memcpy(row.w.secret_last4, c->w.secret_last4, sizeof(row.w.secret_last4));
	row.w.revision++;
	row.w.updated_at_ms = c->now_ms;
	rc = put(c, txn, &row);
	if (rc)
		return rc;
	hl_idem_use_put(&c->idem, txn, c->number);
	HL_CRASH_POINT(ROTATE_APPLIED);
	return hl_txn_status(txn);
}

static int prepare_rotate(struct change *c, struct hl_str secret, const struct hl_idempotency *idem, struct hl_err *err)
{
	struct hl_dispatcher *d = c->d;
	struct hl_txn *txn = hl_core_read(d);
	int rc = hl_webhook_get(d, c->account, c->number, false, &c->w);
	if (rc)
		return hl_err_set(err, rc, "%s", rc == HL_ENOTFOUND ? "no such webhook" : hl_strerror(rc));
	c->w.revision++;
	c->w.updated_at_ms = c->now_ms;
	c->w.previous_secret_until_ms = c->overlap_ms ? c->now_ms + c->overlap_ms : 0;
	rc = make_secret(c, secret, &c->w, err);
	if (rc == 0)
		rc = hl_idem_use_init(d, &c->idem, c->account, idem, &c->w, hl_str_from(c->secret));
	return rc ? rc : hl_txn_status(txn);
}

int hl_webhook_rotate(struct hl_dispatcher *d, uint32_t account, uint32_t number, uint32_t overlap_s, struct hl_str secret,
		const struct hl_idempotency *idem, hl_webhook_cb cb, void *data, struct hl_err *err)
{
	struct hl_err own = { 0 };
	err = err ? err : &own;
	err->code = 0;
	int rc = hl_core_admit(d, err);
	if (rc == 0 && idem)
		rc = hl_validate_idempotency(idem, err);
	if (rc)
		return rc;
	if (overlap_s == UINT32_MAX)
		overlap_s = d->set.rotation_overlap_s;
	if (overlap_s > OVERLAP_MAX_S)
		return hl_err_field(err, HL_EINVAL, "/overlap", "must be at most %d seconds", OVERLAP_MAX_S);
	struct change *c = new_change(d, "webhook.rotated", account, number, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	c->overlap_ms = (hl_ms_t)overlap_s * 1000;
	rc = prepare_rotate(c, secret, idem, err);
	if (rc)
		return give_up(c, rc, err);
	submit(c, false, rotate_apply, done);
	return 0;
}
