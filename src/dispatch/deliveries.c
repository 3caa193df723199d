/* Reading deliveries: the listing, one by its number, its attempts, its body.
 *
 * The listing walks numbers over as many turns as it needs (listing.c) and looks the rows up in the last one, so what the
 * caller gets is one snapshot; a delivery that vanished on the way (retention) is left out. Deletions under way are
 * judged row by row: a state asked for may be one the row will only have when the job has reached it, so such a listing
 * walks pending rows too. */
#include "dispatch/deliveries.h"

#include "dispatch/listing.h"
#include "dispatch/render.h"
#include "dispatch/view.h"

#include <stdlib.h>

/* Rows lie in the order of their numbers, and of their creation as far as the clock did not go back: past the asked-for
 * time by this much, a walk ends. */
enum { CLOCK_SLACK_MS = 86400 * 1000 };

struct list {
	struct hl_listing l;
	struct hl_delivery_query q;      /* type: type_bytes */
	char type_bytes[HL_EVENT_TYPE_MAX];
	unsigned states;                 /* wanted, after hiding; 0 = any */
	hl_deliveries_cb cb;
	void *data;
};

/* ---- matching ---- */

struct look {
	struct list *list;
	struct hl_txn *txn;
	struct hl_listing_walk *at;
	struct hl_hidden hidden;
};

static bool in_time(const struct hl_delivery_query *q, hl_ms_t at_ms)
{
	return at_ms >= q->since_ms && (!q->until_ms || at_ms < q->until_ms);
}

/* Nothing further on in this direction can lie within the times asked for. */
static bool past_time(const struct hl_delivery_query *q, bool oldest_first, hl_ms_t at_ms)
{
	if (oldest_first)
		return q->until_ms && at_ms >= q->until_ms + CLOCK_SLACK_MS;
	return at_ms < q->since_ms - CLOCK_SLACK_MS;
}

static bool look_at(void *data, uint64_t number, const struct hl_delivery_row *row)
{
	struct look *k = data;
	const struct hl_delivery_query *q = &k->list->q;
	struct hl_delivery_row seen = *row;
	struct hl_event_row e;
	if (past_time(q, k->at->oldest_first, row->created_at_ms)) {
		k->at->done = true;
		return false;
	}
	if (!in_time(q, row->created_at_ms) || !hl_hidden_apply(&k->hidden, &seen))
		return true;
	if (k->list->states && !(k->list->states >> seen.state & 1))
		return true;
	if (q->type.len && (!hl_event_row_get(k->txn, row->event, &e) || !hl_str_eq(e.type, q->type)))
		return true;
	return hl_listing_take(&k->list->l, number);
}

static int look(struct hl_listing *l, struct hl_txn *txn, struct hl_listing_walk *at, size_t max_steps)
{
	struct list *list = HL_CONTAINER_OF(l, struct list, l);
	const struct hl_delivery_query *q = &list->q;
	struct look k = { .list = list, .txn = txn, .at = at };
	int rc = hl_hidden_load(l->walk.d, txn, q->account, &k.hidden);
	struct hl_walk w = { .account = q->account, .webhook = q->webhook, .event = q->event, .dialect = q->dialect,
		.states = list->states, .oldest_first = at->oldest_first, .after = at->after, .before = at->before };
	if (w.states & 1u << HL_DELIVERY_CANCELLED && k.hidden.n)
		w.states |= 1u << HL_DELIVERY_PENDING;
	if (rc == 0)
		rc = hl_walk_step(txn, &w, max_steps, look_at, &k);
	at->after = w.after;
	at->before = w.before;
	at->done |= w.done;
	return rc;
}

/* ---- totals ---- */

static uint64_t sum(const uint64_t by_state[HL_DELIVERY_STATE_N], unsigned states)
{
	uint64_t n = 0;
	for (unsigned s = 0; s < HL_DELIVERY_STATE_N; s++)
		n += !states || states >> s & 1 ? by_state[s] : 0;
	return n;
}

/* Without deletions under way, counters know: of one webhook everything, of an account its states or its dialects. */
static bool counted(struct hl_listing *l, struct hl_txn *txn, uint64_t *out)
{
	struct list *list = HL_CONTAINER_OF(l, struct list, l);
	const struct hl_delivery_query *q = &list->q;
	struct hl_hidden hidden;
	struct hl_webhook_row w;
	struct hl_counts counts;
	struct hl_totals totals;
	if (q->event || q->type.len || q->since_ms || q->until_ms)
		return false;
	if (hl_hidden_load(l->walk.d, txn, q->account, &hidden) || hidden.n)
		return false;
	*out = 0;
	if (q->webhook) {
		if (!hl_webhook_row_peek(txn, q->webhook, &w) || w.w.account != q->account ||
				(q->dialect >= 0 && w.w.dialect != (enum hl_dialect)q->dialect))
			return hl_txn_status(txn) == 0;
		hl_counts_get(txn, q->webhook, &counts);
		*out = sum(counts.by_state, list->states);
		return true;
	}
	hl_totals_get(txn, q->account, &totals);
	if (q->dialect < 0) {
		*out = sum(totals.by_state, list->states);
		return true;
	}
	*out = totals.deliveries[q->dialect];
	return list->states == 0;
}

/* ---- the listing ---- */

static size_t fill(struct list *list, struct hl_delivery *v)
{
	struct hl_dispatcher *d = list->l.walk.d;
	size_t n = 0;
	for (size_t i = 0; i < list->l.n; i++) {
		struct hl_delivery_row row;
		if (hl_delivery_visible(d, list->q.account, list->l.numbers[i], &row) == 0)
			hl_delivery_from_row(d, list->l.numbers[i], &row, NULL, NULL, &v[n++]);
	}
	return n;
}

static void answer(struct hl_listing *l, int status)
{
	struct list *list = HL_CONTAINER_OF(l, struct list, l);
	struct hl_dispatcher *d = l->walk.d;
	hl_deliveries_cb cb = list->cb;
	void *data = list->data;
	struct hl_page_info info = l->info;
	struct hl_delivery *v = NULL;
	size_t n = 0;
	if (status == 0) {
		v = HL_ARENA_ARRAY(&d->turn, struct hl_delivery, l->n + 1);
		status = v ? 0 : HL_ENOMEM;
	}
	if (status == 0) {
		n = fill(list, v);
		status = hl_txn_status(hl_core_read(d));
	}
	free(list);
	if (status)
		cb(data, status, NULL, 0, NULL);
	else
		cb(data, 0, v, n, &info);
}

static bool states_of(const struct hl_delivery_query *q, unsigned *out)
{
	if (q->state >= HL_DELIVERY_STATE_N)
		return false;
	*out = q->state < 0 ? 0 : 1u << q->state;
	if (q->failed_or_cancelled && q->state == HL_DELIVERY_FAILED)
		*out |= 1u << HL_DELIVERY_CANCELLED;
	return true;
}

int hl_delivery_list(struct hl_dispatcher *d, const struct hl_delivery_query *q, hl_deliveries_cb cb, void *data)
{
	unsigned states;
	if (!q->account || !states_of(q, &states) || q->dialect >= HL_DIALECT_N || q->type.len > HL_EVENT_TYPE_MAX)
		return HL_EINVAL;
	struct list *list = calloc(1, sizeof(*list));
	if (!list)
		return HL_ENOMEM;
	list->q = *q;
	if (q->type.len)
		memcpy(list->type_bytes, q->type.ptr, q->type.len);
	list->q.type = hl_str_make(list->type_bytes, q->type.len);
	list->states = states;
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

/* ---- one delivery ---- */

int hl_delivery_visible(struct hl_dispatcher *d, uint32_t account, uint64_t number, struct hl_delivery_row *out)
{
	struct hl_txn *txn = hl_core_read(d);
	struct hl_hidden hidden;
	if (!hl_delivery_row_get(txn, number, out))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	if (out->account != account)
		return HL_ENOTFOUND;
	int rc = hl_hidden_load(d, txn, account, &hidden);
	if (rc)
		return rc;
	return hl_hidden_apply(&hidden, out) ? 0 : HL_ENOTFOUND;
}

int hl_delivery_get(struct hl_dispatcher *d, uint32_t account, uint64_t number, struct hl_delivery *out)
{
	struct hl_delivery_row row;
	int rc = hl_delivery_visible(d, account, number, &row);
	if (rc)
		return rc;
	hl_delivery_from_row(d, number, &row, NULL, NULL, out);
	return hl_txn_status(hl_core_read(d));
}

int hl_delivery_attempts(struct hl_dispatcher *d, uint32_t account, uint64_t number, const struct hl_attempt **out,
		size_t *out_n)
{
	struct hl_delivery_row row;
	int rc = hl_delivery_visible(d, account, number, &row);
	return rc ? rc : hl_attempt_list(hl_core_read(d), number, &row, out, out_n);
}

/* ---- the body ---- */

/* The webhook as it shaped the latest attempt, or as it would shape the next. */
static bool shaping_webhook(struct hl_txn *txn, const struct hl_delivery_row *row, struct hl_webhook_row *out)
{
	bool found = hl_webhook_row_get(txn, row->webhook, out);
	bool as_it_was = row->n_attempts > 0 || !found || out->w.state == HL_WEBHOOK_DELETED;
	if (!as_it_was || (found && out->w.revision == row->revision))
		return found;
	struct hl_webhook_row old;
	if (!hl_webhook_revision_get(txn, row->webhook, row->revision, &old))
		return found;
	*out = old;
	return true;
}

static struct hl_str joined(struct hl_dispatcher *d, const struct hl_body *b)
{
	struct hl_str parts[3];
	size_t n = hl_body_slices(b, parts), len = 0;
	char *p = hl_arena_alloc(&d->turn, hl_body_len(b) + 1);
	for (size_t i = 0; p && i < n; i++) {
		memcpy(p + len, parts[i].ptr, parts[i].len);
		len += parts[i].len;
	}
	return hl_str_make(p, len);
}

/* format: instead of the webhook's own; HL_FORMAT_N = that. */
static int build_body(struct hl_dispatcher *d, uint32_t account, uint64_t number, enum hl_format format, struct hl_str *out)
{
	struct hl_txn *txn = hl_core_read(d);
	struct hl_delivery_row row;
	struct hl_event_row event_row;
	struct hl_webhook_row w;
	struct hl_server_row server_row;
	struct hl_render_server server;
	struct hl_event e;
	char server_id[HL_ID_CAP];
	int rc = hl_delivery_visible(d, account, number, &row);
	if (rc)
		return rc;
	if (!hl_event_row_get(txn, row.event, &event_row) || !shaping_webhook(txn, &row, &w))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	hl_event_from_row(d, row.event, &event_row, &e);
	struct hl_render r = { .dialect = w.w.dialect, .format = format == HL_FORMAT_N ? w.w.format : format, .event = &e,
		.webhook = row.webhook };
	if (e.server && hl_render_wants_server(w.w.dialect) && hl_server_row_get(txn, e.server, &server_row) &&
			server_row.account == account) {
		hl_core_id(d, HL_ID_SERVER, e.server, server_row.created_at_ms, server_id);
		server = (struct hl_render_server){ hl_str_from(server_id), server_row.name, server_row.status };
		r.server = &server;
	}
	struct hl_body body;
	hl_body_init(&body);
	rc = hl_render_body(&r, &body);
	if (rc == 0) {
		*out = joined(d, &body);
		rc = out->ptr ? 0 : HL_ENOMEM;
	}
	hl_body_fini(&body);
	return rc;
}

int hl_delivery_body(struct hl_dispatcher *d, uint32_t account, uint64_t number, struct hl_str *out)
{
	return build_body(d, account, number, HL_FORMAT_N, out);
}

int hl_delivery_payload(struct hl_dispatcher *d, uint32_t account, uint64_t number, struct hl_str *out)
{
	return build_body(d, account, number, HL_FORMAT_STANDARD, out);
}
