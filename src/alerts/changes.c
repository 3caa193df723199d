/* Creating, changing and deleting rules (change.c has the machinery).
 *
 *   create   rows with numbers of their own; many in one transaction. Enabled ones need a channel and a place under the limit,
 *            else none is stored
 *   update   merged in apply into the row as it is then; enabling asks for channel and place again
 *   delete   the row goes; what it fired stays
 *
 * Both answers of a second use of an idempotency key are those of change.c: the first one again, or HL_EMISMATCH. */
#include "alerts/change.h"

#include "base/err.h"
#include "store/alerts.h"
#include <stdlib.h>

/* ---- checking ---- */

static int check_threshold(int64_t threshold, struct hl_err *err)
{
	if (threshold > 0 && threshold <= HL_ALERT_THRESHOLD_MAX)
		return 0;
	return hl_err_field(err, HL_EINVAL, "/threshold", "must be more than 0 and at most %lld",
			(long long)(HL_ALERT_THRESHOLD_MAX / HL_ALERT_THRESHOLD_SCALE));
}

static int check_currency(const struct hl_alerts *a, const char currency[4], struct hl_err *err)
{
	if (hl_market_knows_currency(a, hl_str_make(currency, strnlen(currency, 4))))
		return 0;
	return hl_err_field(err, HL_EINVAL, "/currency", "must be a currency whose exchange rate is known");
}

/* *v as a row without a number, when nothing is wrong with it. */
static int make_row(const struct hl_alerts *a, const struct hl_alert *v, struct hl_alert_row *out, struct hl_err *err)
{
	if (!v->account || (unsigned)v->dialect >= HL_DIALECT_N)
		return hl_err_set(err, HL_EINVAL, "an account and a dialect are needed");
	if ((unsigned)v->kind >= HL_ALERT_KIND_N)
		return hl_err_field(err, HL_EINVAL, "/kind", "is not known");
	if (hl_market_find(a->market, v->item.item_id) == HL_MARKET_NO_ITEM)
		return hl_err_field(err, HL_ENOTFOUND, "/item_id", "there is no item %llu", (unsigned long long)v->item.item_id);
	bool spread = v->kind == HL_ALERT_SPREAD_EXCEEDS;
	int rc = check_threshold(v->threshold, err);
	if (rc == 0 && !spread)
		rc = check_currency(a, v->currency, err);
	if (rc)
		return rc;
	*out = (struct hl_alert_row){
		.account = v->account, .dialect = (uint8_t)v->dialect, .kind = (uint8_t)v->kind, .item = v->item.item_id,
		.threshold = v->threshold, .enabled = v->enabled, .revision = 1,
	};
	if (!spread)
		memcpy(out->currency, v->currency, sizeof(out->currency));
	out->created_at_ms = out->updated_at_ms = hl_core_wall(a->d);
	return 0;
}

/* The end of a call that cannot be begun. */
static int give_up(struct hl_alert_change *c, int rc, struct hl_err *err)
{
	if (c)
		hl_alert_change_free(c);
	return err && err->code == rc ? rc : hl_err_set(err, rc, "%s", hl_strerror(rc));
}

/* ---- create ---- */

static int create_apply(struct hl_alert_change *c, struct hl_txn *txn)
{
	uint64_t enabled = 0;
	for (size_t i = 0; i < c->n; i++)
		enabled += c->rows[i].enabled;
	int rc = c->n ? hl_alert_change_allow(c, txn, c->rows[0].account, enabled) : 0;
	if (rc)
		return rc;
	for (size_t i = 0; i < c->n; i++)
		hl_alert_row_put(txn, NULL, &c->rows[i]);
	c->n_entering = c->n;
	hl_idem_use_put(&c->idem, txn, c->n ? c->rows[0].number : 0);
	return hl_txn_status(txn);
}

static void answer_one(struct hl_alert_change *c, int status, struct hl_err *err)
{
	struct hl_alert_result r = { 0 };
	struct hl_alert alert;
	if (status == HL_EEXIST) {
		r.replayed = true;
		r.answer = hl_buf_all(&c->idem.answer);
		status = HL_OK;
	} else if (status == HL_OK) {
		hl_alert_view(c->a, &c->rows[0], &alert);
		r.alert = &alert;
	}
	c->cb.one(c->data, status, status ? err : NULL, status ? NULL : &r);
}

/* What enabled rows need to know; the transaction decides. */
static int gate_rows(struct hl_alert_change *c, const struct hl_alert_gate *gate)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->rows[i].enabled)
			return hl_alert_change_gate(c, c->rows[i].account, gate);
	return 0;
}

int hl_alert_create(struct hl_alerts *a, const struct hl_alert *v, const struct hl_alert_gate *gate,
		const struct hl_idempotency *idem, hl_alert_cb cb, void *data, struct hl_err *err)
{
	struct hl_alert shown;
	int rc = hl_alerts_admit(a, err);
	if (rc)
		return rc;
	struct hl_alert_change *c = hl_alert_change_new(a, 1);
	rc = c ? make_row(a, v, &c->rows[0], err) : HL_ENOMEM;
	if (rc)
		return give_up(c, rc, err);
	c->n = 1;
	c->apply = create_apply;
	c->answer = answer_one;
	c->cb.one = cb;
	c->data = data;
	c->rows[0].number = a->d->numbers.alert++;
	hl_alert_view(a, &c->rows[0], &shown);
	rc = gate_rows(c, gate);
	rc = rc ? rc : hl_idem_use_init(a->d, &c->idem, v->account, idem, &shown, HL_STR_NONE);
	if (rc)
		return give_up(c, rc, err);
	hl_alert_change_submit(c, true);
	return 0;
}

/* ---- batch ---- */

static struct hl_alert_batch_made show_many(struct hl_alert_change *c)
{
	for (size_t i = 0, row = 0; i < c->n_results; i++)
		if (c->results[i].status == HL_OK)
			hl_alert_view(c->a, &c->rows[row++], &c->results[i].alert);
	return (struct hl_alert_batch_made){ .v = c->results, .n = c->n_results };
}

static void answer_many(struct hl_alert_change *c, int status, struct hl_err *err)
{
	struct hl_alert_batch_made made = { .n = 0 };
	if (status == HL_EEXIST) {
		made.replayed = true;
		made.answer = hl_buf_all(&c->idem.answer);
		status = HL_OK;
	} else if (status == HL_OK) {
		made = show_many(c);
	}
	c->cb.many(c->data, status, status ? err : NULL, status ? NULL : &made);
}

int hl_alert_create_batch(struct hl_alerts *a, const struct hl_alert *v, size_t n, const struct hl_alert_gate *gate,
		const struct hl_idempotency *idem, hl_alert_batch_cb cb, void *data, struct hl_err *err)
{
	int rc = hl_alerts_admit(a, err);
	if (rc)
		return rc;
	if (n == 0 || n > HL_ALERT_BATCH_MAX)
		return hl_err_set(err, HL_EINVAL, "1 to %d alerts at a time", HL_ALERT_BATCH_MAX);
	struct hl_alert_change *c = hl_alert_change_new(a, n);
	if (c)
		c->results = calloc(n, sizeof(c->results[0]));
	if (!c || !c->results)
		return give_up(c, HL_ENOMEM, err);
	for (size_t i = 0; i < n; i++) {
		struct hl_alert_batch_result *r = &c->results[c->n_results++];
		if (v[i].account != v[0].account)
			r->status = hl_err_set(&r->err, HL_EINVAL, "all of a batch belong to one account");
		else
			r->status = make_row(a, &v[i], &c->rows[c->n], &r->err);
		c->n += r->status == HL_OK;
	}
	rc = gate_rows(c, gate);
	if (rc)
		return give_up(c, rc, err);
	for (size_t i = 0; i < c->n; i++)
		c->rows[i].number = a->d->numbers.alert++;
	const struct hl_alert_batch_made shown = show_many(c);
	rc = hl_idem_use_init(a->d, &c->idem, v[0].account, idem, &shown, HL_STR_NONE);
	if (rc)
		return give_up(c, rc, err);
	c->apply = create_apply;
	c->answer = answer_many;
	c->cb.many = cb;
	c->data = data;
	hl_alert_change_submit(c, true);
	return 0;
}

/* ---- update, delete ---- */

static bool is_it(const struct hl_alert_row *row, uint32_t account, int dialect)
{
	return row->account == account && (dialect < 0 || row->dialect == dialect);
}

static int find(struct hl_txn *txn, uint32_t account, int dialect, uint64_t number, struct hl_alert_row *out)
{
	if (hl_alert_row_get(txn, number, out) && is_it(out, account, dialect))
		return 0;
	return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
}

static int update_apply(struct hl_alert_change *c, struct hl_txn *txn)
{
	struct hl_alert_row *row = &c->rows[0];
	int rc = find(txn, c->account, c->dialect, c->values.number, &c->old);
	if (rc)
		return rc;
	*row = c->old;
	if (!c->fields)
		return 0;
	if (c->fields & HL_ALF_THRESHOLD)
		row->threshold = c->values.threshold;
	if (c->fields & HL_ALF_CURRENCY && row->kind != HL_ALERT_SPREAD_EXCEEDS)
		memcpy(row->currency, c->values.currency, sizeof(row->currency));
	if (c->fields & HL_ALF_ENABLED)
		row->enabled = c->values.enabled;
	rc = hl_alert_change_allow(c, txn, row->account, row->enabled && !c->old.enabled);
	if (rc)
		return rc;
	row->revision++;
	row->updated_at_ms = c->values.updated_at_ms;
	hl_alert_row_put(txn, &c->old, row);
	c->had_old = true;
	c->n_entering = 1;
	return hl_txn_status(txn);
}

static int delete_apply(struct hl_alert_change *c, struct hl_txn *txn)
{
	int rc = find(txn, c->account, c->dialect, c->values.number, &c->old);
	if (rc)
		return rc;
	c->rows[0] = c->old;
	hl_alert_row_del(txn, &c->old);
	c->had_old = true;
	return hl_txn_status(txn);
}

/* Ready to be submitted; NULL: *out_rc says why not. */
static struct hl_alert_change *change_of(struct hl_alerts *a, uint32_t account, int dialect, uint64_t number, hl_alert_cb cb,
		void *data, int *out_rc, struct hl_err *err)
{
	struct hl_alert_row row;
	*out_rc = hl_alerts_admit(a, err);
	if (*out_rc == 0 && (*out_rc = find(hl_core_read(a->d), account, dialect, number, &row)) != 0)
		hl_err_set(err, *out_rc, "%s", *out_rc == HL_ENOTFOUND ? "there is no such alert" : hl_strerror(*out_rc));
	if (*out_rc)
		return NULL;
	struct hl_alert_change *c = hl_alert_change_new(a, 1);
	if (!c) {
		*out_rc = hl_err_set(err, HL_ENOMEM, "out of memory");
		return NULL;
	}
	c->account = account;
	c->dialect = dialect;
	c->values = row; /* kind and number are used as they are */
	c->n = 1;
	c->answer = answer_one;
	c->cb.one = cb;
	c->data = data;
	return c;
}

int hl_alert_update(struct hl_alerts *a, uint32_t account, int dialect, uint64_t number, uint32_t fields,
		const struct hl_alert *values, const struct hl_alert_gate *gate, hl_alert_cb cb, void *data, struct hl_err *err)
{
	int rc;
	struct hl_alert_change *c = change_of(a, account, dialect, number, cb, data, &rc, err);
	if (!c)
		return rc;
	if (fields & HL_ALF_THRESHOLD)
		rc = check_threshold(values->threshold, err);
	if (!rc && fields & HL_ALF_CURRENCY && c->values.kind != HL_ALERT_SPREAD_EXCEEDS)
		rc = check_currency(a, values->currency, err);
	if (!rc && fields & HL_ALF_ENABLED && values->enabled)
		rc = hl_alert_change_gate(c, account, gate);
	if (rc)
		return give_up(c, rc, err);
	c->fields = fields;
	c->values.threshold = values->threshold;
	memcpy(c->values.currency, values->currency, sizeof(c->values.currency));
	c->values.enabled = values->enabled;
	c->values.updated_at_ms = hl_core_wall(a->d);
	c->apply = update_apply;
	hl_alert_change_submit(c, false);
	return 0;
}

int hl_alert_delete(struct hl_alerts *a, uint32_t account, int dialect, uint64_t number, hl_alert_cb cb, void *data,
		struct hl_err *err)
{
	int rc;
	struct hl_alert_change *c = change_of(a, account, dialect, number, cb, data, &rc, err);
	if (!c)
		return rc;
	c->apply = delete_apply;
	hl_alert_change_submit(c, false);
	return 0;
}
