/* Reading events: the listing, one by its number, what became of its deliveries. */
#include "dispatch/hidden.h"
#include "dispatch/listing.h"
#include "dispatch/view.h"

#include <stdlib.h>

enum { CLOCK_SLACK_MS = 86400 * 1000 }; /* as for deliveries: how far the clock may have gone back */

struct list {
	struct hl_listing l;
	struct hl_event_query q;         /* type: type_bytes */
	char type_bytes[HL_EVENT_TYPE_MAX];
	hl_events_cb cb;
	void *data;
};

struct look {
	struct list *list;
	struct hl_listing_walk *at;
};

/* ---- matching ---- */

static bool past_time(const struct hl_event_query *q, bool oldest_first, hl_ms_t at_ms)
{
	if (oldest_first)
		return q->until_ms && at_ms >= q->until_ms + CLOCK_SLACK_MS;
	return at_ms < q->since_ms - CLOCK_SLACK_MS;
}

static bool look_at(void *data, uint64_t number, const struct hl_event_row *row)
{
	struct look *k = data;
	const struct hl_event_query *q = &k->list->q;
	if (past_time(q, k->at->oldest_first, row->created_at_ms)) {
		k->at->done = true;
		return false;
	}
	if (row->created_at_ms < q->since_ms || (q->until_ms && row->created_at_ms >= q->until_ms))
		return true;
	if (q->type.len && !hl_str_eq(row->type, q->type))
		return true;
	return hl_listing_take(&k->list->l, number);
}

static int look(struct hl_listing *l, struct hl_txn *txn, struct hl_listing_walk *at, size_t max_steps)
{
	struct list *list = HL_CONTAINER_OF(l, struct list, l);
	struct look k = { .list = list, .at = at };
	struct hl_event_walk w = { .account = list->q.account, .oldest_first = at->oldest_first, .after = at->after,
		.before = at->before };
	int rc = hl_event_walk_step(txn, &w, max_steps, look_at, &k);
	at->after = w.after;
	at->before = w.before;
	at->done |= w.done;
	return rc;
}

static bool counted(struct hl_listing *l, struct hl_txn *txn, uint64_t *out)
{
	struct list *list = HL_CONTAINER_OF(l, struct list, l);
	const struct hl_event_query *q = &list->q;
	struct hl_totals t;
	if (q->type.len || q->since_ms || q->until_ms)
		return false;
	hl_totals_get(txn, q->account, &t);
	*out = t.events;
	return true;
}

/* ---- the listing ---- */

static void answer(struct hl_listing *l, int status)
{
	struct list *list = HL_CONTAINER_OF(l, struct list, l);
	struct hl_dispatcher *d = l->walk.d;
	struct hl_txn *txn = hl_core_read(d);
	struct hl_page_info info = l->info;
	struct hl_event_row row;
	struct hl_event *v = NULL;
	size_t n = 0;
	if (status == 0) {
		v = HL_ARENA_ARRAY(&d->turn, struct hl_event, l->n + 1);
		status = v ? 0 : HL_ENOMEM;
	}
	for (size_t i = 0; status == 0 && i < l->n; i++)
		if (hl_event_row_get(txn, l->numbers[i], &row))
			hl_event_from_row(d, l->numbers[i], &row, &v[n++]);
	if (status == 0)
		status = hl_txn_status(txn);
	hl_events_cb cb = list->cb;
	void *data = list->data;
	free(list);
	cb(data, status, status ? NULL : v, status ? 0 : n, status ? NULL : &info);
}

int hl_event_list(struct hl_dispatcher *d, const struct hl_event_query *q, hl_events_cb cb, void *data)
{
	if (!q->account || q->type.len > HL_EVENT_TYPE_MAX)
		return HL_EINVAL;
	struct list *list = calloc(1, sizeof(*list));
	if (!list)
		return HL_ENOMEM;
	list->q = *q;
	if (q->type.len)
		memcpy(list->type_bytes, q->type.ptr, q->type.len);
	list->q.type = hl_str_make(list->type_bytes, q->type.len);
	list->cb = cb;
	list->data = data;
	list->l.page = q->page;
	list->l.look = look;
	list->l.counted = counted;
	list->l.answer = answer;
	int rc = hl_listing_begin(d, &list->l);
	if (rc)
		free(list);
	return rc;
}

/* ---- one event ---- */

int hl_event_get(struct hl_dispatcher *d, uint32_t account, uint64_t number, struct hl_event *out)
{
	struct hl_txn *txn = hl_core_read(d);
	struct hl_event_row row;
	if (!hl_event_row_get(txn, number, &row))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	if (row.account != account)
		return HL_ENOTFOUND;
	hl_event_from_row(d, number, &row, out);
	return 0;
}

struct summary {
	struct hl_hidden hidden;
	uint64_t by_state[HL_DELIVERY_STATE_N];
};

static bool add_up(void *data, uint64_t number, const struct hl_delivery_row *row)
{
	struct summary *s = data;
	struct hl_delivery_row seen = *row;
	(void)number;
	if (hl_hidden_apply(&s->hidden, &seen))
		s->by_state[seen.state]++;
	return true;
}

int hl_event_summary(struct hl_dispatcher *d, uint32_t account, uint64_t number, uint64_t out[HL_DELIVERY_STATE_N])
{
	struct hl_txn *txn = hl_core_read(d);
	struct hl_event_row row;
	struct summary s = { 0 };
	if (!hl_event_row_get(txn, number, &row))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	if (row.account != account)
		return HL_ENOTFOUND;
	int rc = hl_hidden_load(d, txn, account, &s.hidden);
	struct hl_walk w = { .account = account, .event = number, .dialect = -1 };
	while (rc == 0 && !w.done)
		rc = hl_walk_step(txn, &w, 0, add_up, &s);
	if (rc == 0)
		memcpy(out, s.by_state, sizeof(s.by_state));
	return rc;
}
