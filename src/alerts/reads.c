/* Reading rules and what they fired: one by its number, and pages of an account's, newest first. Long walks (a search, a filter
 * that leaves much out, an offset far away) are cut into slices over several turns. */
#include "alerts/view.h"

#include "base/str.h"
#include "dispatch/listing.h"
#include "store/alerts.h"
#include <stdlib.h>

struct list {
	struct hl_listing l;
	struct hl_alerts *a;
	uint32_t account;
	int dialect;                  /* -1 = any */
	bool events;
	uint64_t alert;               /* events: of this one only, 0 = any */
	union {
		hl_alerts_cb alerts;
		hl_alert_events_cb events;
	} cb;
	void *data;
	size_t search_len;
	char search[];
};

/* ---- matching ----------------------------------------------------------------------------------------------------- */

static bool alert_matches(struct list *l, uint64_t number, struct hl_str value)
{
	struct hl_alert_row row;
	if (l->dialect >= 0 && (value.len != 1 || value.ptr[0] != (char)l->dialect))
		return false;
	if (!l->search_len)
		return true;
	if (!hl_alert_row_get(hl_core_read(l->a->d), number, &row))
		return false;
	uint32_t item = hl_market_find(l->a->market, row.item);
	return item != HL_MARKET_NO_ITEM && hl_market_matches(l->a->market, item, hl_str_make(l->search, l->search_len));
}

static bool event_matches(const struct list *l, struct hl_str value)
{
	struct hl_alert_event_row row;
	if (l->dialect < 0 && !l->alert)
		return true;
	return hl_alert_event_row_decode(value, &row) == 0 && (l->dialect < 0 || row.dialect == l->dialect) &&
			(!l->alert || row.alert == l->alert);
}

static bool look_at(void *data, uint64_t number, struct hl_str value)
{
	struct list *l = data;
	if (l->events ? event_matches(l, value) : alert_matches(l, number, value))
		return hl_listing_take(&l->l, number);
	return true;
}

static int look(struct hl_listing *listing, struct hl_txn *txn, struct hl_listing_walk *at, size_t max_steps)
{
	struct list *l = HL_CONTAINER_OF(listing, struct list, l);
	struct hl_alert_walk w = { .account = l->account, .events = l->events, .oldest_first = at->oldest_first,
		.after = at->after, .before = at->before };
	int rc = hl_alert_walk_step(txn, &w, max_steps, look_at, l);
	at->after = w.after;
	at->before = w.before;
	at->done = w.done;
	return rc;
}

static bool counted(struct hl_listing *listing, struct hl_txn *txn, uint64_t *out)
{
	struct list *l = HL_CONTAINER_OF(listing, struct list, l);
	struct hl_totals t;
	if (l->search_len || l->alert)
		return false;
	hl_totals_get(txn, l->account, &t);
	const uint64_t *by_dialect = l->events ? t.alert_events : t.alerts;
	*out = 0;
	for (int i = 0; i < HL_DIALECT_N; i++)
		if (l->dialect < 0 || l->dialect == i)
			*out += by_dialect[i];
	return true;
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

static void answer_alerts(struct list *l, int status)
{
	struct hl_alerts *a = l->a;
	struct hl_txn *txn = hl_core_read(a->d);
	struct hl_alert *v = status ? NULL : HL_ARENA_ARRAY(&a->d->turn, struct hl_alert, l->l.n + 1);
	struct hl_alert_row row;
	size_t n = 0;
	status = status ? status : v ? 0 : HL_ENOMEM;
	for (size_t i = 0; !status && i < l->l.n; i++)
		if (hl_alert_row_get(txn, l->l.numbers[i], &row))
			hl_alert_view(a, &row, &v[n++]);
	status = status ? status : hl_txn_status(txn);
	l->cb.alerts(l->data, status, status ? NULL : v, status ? 0 : n, status ? NULL : &l->l.info);
}

static void answer_events(struct list *l, int status)
{
	struct hl_alerts *a = l->a;
	struct hl_txn *txn = hl_core_read(a->d);
	struct hl_alert_event *v = status ? NULL : HL_ARENA_ARRAY(&a->d->turn, struct hl_alert_event, l->l.n + 1);
	struct hl_alert_event_row row;
	size_t n = 0;
	status = status ? status : v ? 0 : HL_ENOMEM;
	for (size_t i = 0; !status && i < l->l.n; i++)
		if (hl_alert_event_get(txn, l->account, l->l.numbers[i], &row))
			hl_alert_event_view(a, l->account, l->l.numbers[i], &row, &v[n++]);
	status = status ? status : hl_txn_status(txn);
	l->cb.events(l->data, status, status ? NULL : v, status ? 0 : n, status ? NULL : &l->l.info);
}

static void answer(struct hl_listing *listing, int status)
{
	struct list *l = HL_CONTAINER_OF(listing, struct list, l);
	struct hl_alerts *a = l->a;
	if (l->events)
		answer_events(l, status);
	else
		answer_alerts(l, status);
	free(l);
	hl_alerts_ended(a);
}

/* ---- calls -------------------------------------------------------------------------------------------------------- */

static struct list *new_list(struct hl_alerts *a, uint32_t account, int dialect, const struct hl_page *page, struct hl_str search)
{
	struct list *l = calloc(1, sizeof(*l) + search.len);
	if (!l)
		return NULL;
	l->a = a;
	l->account = account;
	l->dialect = dialect;
	l->search_len = search.len;
	if (search.len)
		memcpy(l->search, search.ptr, search.len);
	l->l.page = *page;
	l->l.look = look;
	l->l.counted = counted;
	l->l.answer = answer;
	return l;
}

static int begin(struct hl_alerts *a, struct list *l)
{
	int rc = a->closing ? HL_ECLOSED : hl_listing_begin(a->d, &l->l);
	if (rc)
		free(l);
	else
		hl_alerts_began(a);
	return rc;
}

static bool dialect_ok(int dialect)
{
	return dialect >= -1 && dialect < HL_DIALECT_N;
}

int hl_alert_list(struct hl_alerts *a, const struct hl_alert_query *q, hl_alerts_cb cb, void *data)
{
	if (!q->account || !dialect_ok(q->dialect))
		return HL_EINVAL;
	struct list *l = new_list(a, q->account, q->dialect, &q->page, q->search);
	if (!l)
		return HL_ENOMEM;
	l->cb.alerts = cb;
	l->data = data;
	return begin(a, l);
}

int hl_alert_event_list(struct hl_alerts *a, const struct hl_alert_event_query *q, hl_alert_events_cb cb, void *data)
{
	if (!q->account || !dialect_ok(q->dialect))
		return HL_EINVAL;
	struct list *l = new_list(a, q->account, q->dialect, &q->page, HL_STR_NONE);
	if (!l)
		return HL_ENOMEM;
	l->events = true;
	l->alert = q->alert;
	l->cb.events = cb;
	l->data = data;
	return begin(a, l);
}

int hl_alert_get(struct hl_alerts *a, uint32_t account, int dialect, uint64_t number, struct hl_alert *out)
{
	struct hl_txn *txn = hl_core_read(a->d);
	struct hl_alert_row row;
	if (!hl_alert_row_get(txn, number, &row))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	if (row.account != account || (dialect >= 0 && row.dialect != dialect))
		return HL_ENOTFOUND;
	hl_alert_view(a, &row, out);
	return 0;
}
