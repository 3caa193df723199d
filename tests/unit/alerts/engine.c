/* See engine.h. */
#include "engine.h"

#include "base/str.h"
#include "dispatch/dispatcher.h"
#include "store/accounts.h"
#include "store/audit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- callbacks ---- */

static void note(struct ax_result *r, int status, const struct hl_err *err)
{
	assert_false(r->called);
	r->called = true;
	r->status = status;
	assert_true((status == 0) == (err == NULL));
	if (err)
		r->err = *err;
}

void ax_on_alert(void *data, int status, const struct hl_err *err, const struct hl_alert_result *v)
{
	struct ax_result *r = data;
	note(r, status, err);
	if (!v)
		return;
	r->replayed = v->replayed;
	snprintf(r->answer, sizeof(r->answer), "%.*s", HL_FMT(v->answer));
	if (v->alert)
		r->alert = *v->alert;
}

void ax_on_batch(void *data, int status, const struct hl_err *err, const struct hl_alert_batch_made *made)
{
	struct ax_result *r = data;
	note(r, status, err);
	if (status)
		return;
	const struct hl_alert_batch_result *v = made->v;
	r->n = made->n;
	r->replayed = made->replayed;
	snprintf(r->answer, sizeof(r->answer), "%.*s", HL_FMT(made->answer));
	for (size_t i = 0; i < made->n; i++) {
		r->each[i].status = v[i].status;
		r->each[i].number = v[i].status ? 0 : v[i].alert.number;
		memcpy(r->each[i].field, v[i].err.field, sizeof(r->each[i].field));
	}
}

void ax_on_done(void *data, int status, const struct hl_err *err)
{
	note(data, status, err);
}

/* ---- life ---- */

void ax_open(struct ax *x)
{
	struct hl_err err = { 0 };
	if (!x->f.d)
		fx_open(&x->f);
	if (hl_alerts_open(&x->a, x->f.d, &err))
		fail_msg("open: %s", err.text);
	fx_pump(&x->f);
}

void ax_init(struct ax *x)
{
	static const struct hl_rate rates[] = { { "EUR", HL_RATE_SCALE / 2 } };
	memset(x, 0, sizeof(*x));
	fx_init(&x->f);
	ax_open(x);
	x->webhook = fx_webhook(&x->f, "https://a.example/hook");
	ax_items(x, 1, 3);
	ax_rates(x, rates, 1);
}

static void on_closed(void *data)
{
	*(bool *)data = true;
}

void ax_close(struct ax *x)
{
	bool closed = false;
	hl_alerts_close(x->a, on_closed, &closed);
	fx_pump(&x->f);
	assert_true(closed);
	x->a = NULL;
	fx_close(&x->f);
}

void ax_crash(struct ax *x)
{
	bool closed = false;
	hl_alerts_close(x->a, on_closed, &closed); /* writes nothing; what is under way ends in a store that is thrown away */
	fx_crash(&x->f);
	assert_true(closed);
	ax_open(x);
}

static void report(void *data, enum hl_audit_severity severity, const char *text)
{
	(void)data;
	(void)severity;
	fail_msg("audit: %s", text);
}

void ax_audit(struct ax *x)
{
	const struct hl_audit_options o = { .report = report };
	struct hl_audit_summary sum;
	fx_pump(&x->f);
	assert_int_equal(hl_audit(x->f.d->store, &o, &sum, NULL), 0);
	assert_int_equal(sum.damages, 0);
}

void ax_fini(struct ax *x)
{
	ax_audit(x);
	ax_close(x);
	fx_fini(&x->f);
}

/* ---- the market ---- */

void ax_items(struct ax *x, uint64_t first, size_t n)
{
	char names[64][32];
	struct hl_market_item items[64];
	struct ax_result r = { 0 };
	assert_true(n <= 64);
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "AK-47 | Redline %llu", (unsigned long long)(first + i));
		items[i] = (struct hl_market_item){ first + i, hl_str_from(names[i]), HL_STR("") };
	}
	assert_int_equal(hl_market_put_items(x->a, items, n, ax_on_done, &r, NULL), 0);
	fx_pump(&x->f);
	assert_true(r.called && r.status == 0);
}

void ax_rates(struct ax *x, const struct hl_rate *v, size_t n)
{
	struct ax_result r = { 0 };
	assert_int_equal(hl_market_put_rates(x->a, v, n, 0, ax_on_done, &r, NULL), 0);
	fx_pump(&x->f);
	assert_true(r.called && r.status == 0);
}

struct hl_market_quote ax_quote(uint64_t item, const char *provider, int64_t cents)
{
	return (struct hl_market_quote){ .item_id = item, .provider = hl_str_from(provider), .cents = cents, .count = 3,
		.link = HL_STR("https://market.example/item"), .at_ms = fakeenv_epoch_ms };
}

void ax_quotes_begin(struct ax *x, bool bids, const struct hl_market_quote *q, size_t n, struct ax_result *out)
{
	*out = (struct ax_result){ 0 };
	out->status = hl_market_apply(x->a, bids, q, n, ax_on_done, out, &out->err);
	out->called = out->status != 0;
}

static void quote(struct ax *x, bool bids, uint64_t item, const char *provider, int64_t cents)
{
	struct hl_market_quote q = ax_quote(item, provider, cents);
	struct ax_result r;
	if (bids)
		q.link = HL_STR_NONE;
	ax_quotes_begin(x, bids, &q, 1, &r);
	fx_pump(&x->f);
	assert_true(r.called && r.status == 0);
}

void ax_ask(struct ax *x, uint64_t item, const char *provider, int64_t cents)
{
	quote(x, false, item, provider, cents);
}

void ax_bid(struct ax *x, uint64_t item, const char *provider, int64_t cents)
{
	quote(x, true, item, provider, cents);
}

/* ---- rules ---- */

struct hl_alert ax_alert(enum hl_alert_kind kind, uint64_t item, int64_t threshold, const char *currency)
{
	struct hl_alert v = { .account = HL_ACCOUNT_DEFAULT, .kind = kind, .item = { .item_id = item }, .threshold = threshold,
		.enabled = true };
	snprintf(v.currency, sizeof(v.currency), "%s", currency);
	return v;
}

void ax_rule_begin(struct ax *x, const struct hl_alert *v, const struct hl_alert_gate *gate, struct ax_result *out)
{
	*out = (struct ax_result){ 0 };
	out->status = hl_alert_create(x->a, v, gate, NULL, ax_on_alert, out, &out->err);
	out->called = out->status != 0;
}

uint64_t ax_rule(struct ax *x, enum hl_alert_kind kind, uint64_t item, int64_t threshold, const char *currency)
{
	struct hl_alert v = ax_alert(kind, item, threshold, currency);
	struct ax_result r;
	ax_rule_begin(x, &v, NULL, &r);
	fx_pump(&x->f);
	if (!r.called || r.status)
		fail_msg("create: %s %s", hl_errname(r.status), r.err.text);
	return r.alert.number;
}

void ax_update_begin(struct ax *x, uint64_t number, uint32_t fields, const struct hl_alert *values, struct ax_result *out)
{
	*out = (struct ax_result){ 0 };
	out->status = hl_alert_update(x->a, HL_ACCOUNT_DEFAULT, -1, number, fields, values, NULL, ax_on_alert, out, &out->err);
	out->called = out->status != 0;
}

void ax_delete_begin(struct ax *x, uint64_t number, struct ax_result *out)
{
	*out = (struct ax_result){ 0 };
	out->status = hl_alert_delete(x->a, HL_ACCOUNT_DEFAULT, -1, number, ax_on_alert, out, &out->err);
	out->called = out->status != 0;
}

void ax_enable(struct ax *x, uint64_t number, bool enabled)
{
	struct ax_result r;
	ax_update_begin(x, number, HL_ALF_ENABLED, &(struct hl_alert){ .enabled = enabled }, &r);
	fx_pump(&x->f);
	assert_true(r.called && r.status == 0 && r.alert.enabled == enabled);
}

struct hl_alert ax_get(struct ax *x, uint64_t number)
{
	struct hl_alert v;
	assert_int_equal(hl_alert_get(x->a, HL_ACCOUNT_DEFAULT, -1, number, &v), 0);
	v.item.name = v.item.phase = HL_STR_NONE;
	return v;
}

/* ---- what fired ---- */

struct events {
	bool called;
	size_t n, max;
	struct hl_alert_event *out;
	uint64_t total;
};

static void on_events(void *data, int status, const struct hl_alert_event *v, size_t n, const struct hl_page_info *info)
{
	struct events *e = data;
	assert_int_equal(status, 0);
	e->called = true;
	e->n = n;
	e->total = info->total;
	for (size_t i = 0; i < n && i < e->max; i++) {
		e->out[i] = v[i];
		e->out[i].reason = e->out[i].item.name = e->out[i].item.phase = HL_STR_NONE;
	}
}

size_t ax_list_events(struct ax *x, uint64_t alert, struct hl_alert_event *out, size_t max)
{
	struct events e = { .out = out, .max = max };
	const struct hl_alert_event_query q = { .account = HL_ACCOUNT_DEFAULT, .dialect = -1, .alert = alert,
		.page = { .limit = 250, .want_total = true } };
	assert_int_equal(hl_alert_event_list(x->a, &q, on_events, &e), 0);
	fx_pump(&x->f);
	assert_true(e.called);
	if (e.total <= 250)
		assert_int_equal(e.total, e.n);
	return e.total;
}

/* ---- accounts ---- */

struct account_put {
	struct hl_command command;
	struct ax *x;
	struct hl_account_row row;
};

static int account_apply(struct hl_command *c, struct hl_txn *txn)
{
	struct account_put *p = HL_CONTAINER_OF(c, struct account_put, command);
	hl_account_row_put(txn, &p->row);
	return hl_txn_status(txn);
}

static void account_done(struct hl_command *c, int status)
{
	struct account_put *p = HL_CONTAINER_OF(c, struct account_put, command);
	hl_core_command_done(p->x->f.d);
	assert_int_equal(status, 0);
	hl_dispatcher_account_changed(p->x->f.d, p->row.number);
	free(p);
}

void ax_account_begin(struct ax *x, const struct hl_account_row *row)
{
	struct account_put *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	*p = (struct account_put){ .x = x, .row = *row, .command = { .priority = HL_PRIO_API, .apply = account_apply,
		.done = account_done } };
	hl_core_submit(x->f.d, &p->command);
}

void ax_account(struct ax *x, const struct hl_account_row *row)
{
	ax_account_begin(x, row);
	fx_pump(&x->f);
}
