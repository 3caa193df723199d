/* Triggers. A rule that fires leaves the index and waits here with what it saw; the next turn takes those that waited longest
 * and publishes an event for each. The publish carries a rider: in the same transaction the rule is disabled and what fired is
 * kept beside the event. Deliveries are made as for every event.
 *
 * Exactly one event per enabled period: the rider insists on the rule's being there, enabled, and of the revision the flight
 * was made from; otherwise nothing of the publish is stored.
 *
 *   the rule was changed or deleted meanwhile   the change has put it into the index again, or has not: nothing is left to do
 *   the account is disabled                     dropped; enabling the account rejudges its rules
 *   the store is full                           waits on with what it saw, tried again every three seconds
 *   too busy, no memory, targets keep changing  the same, sooner
 *   the process ends, the store fails           the rule is still enabled in the store and is judged at the next start
 *   anything else                               logged; judged at the next start
 *
 * At most FLIGHTS_MAX are under way, so a price that fires a hundred thousand rules does not shut out other publishes. */
#include "alerts/internal.h"
#include "alerts/message.h"

#include "base/buf.h"
#include "base/crash.h"
#include "base/str.h"
#include "dispatch/publish.h"
#include "store/alerts.h"
#include <stdlib.h>

enum { FLIGHTS_MAX = 1024, FULL_RETRY_MS = 3000, BUSY_RETRY_MS = 100 };

/* Whose ask was the best, and where it can be seen: shared by all rules that one price fired. */
struct hl_sighting {
	uint32_t refs;
	uint32_t item;
	struct hl_str provider;       /* the market's, for good */
	uint32_t link_len;
	char link[];
};

struct trigger {
	struct hl_list link;          /* triggers.waiting; unlinked: in a flight */
	struct hl_rule_fired fired;
	struct hl_sighting *sighting; /* held */
	uint32_t revision;            /* of the row it was started from before; meaningful when tried */
	bool tried;
};

struct flight {
	struct hl_alerts *a;
	struct trigger *t;            /* owned */
	struct hl_alert_row row;      /* as it was when the flight was made */
	struct hl_alert_event_row said;
	char reason[HL_RULE_REASON_CAP];
	char name[HL_MARKET_NAME_MAX], phase[HL_MARKET_PHASE_MAX];
	struct hl_publish_rider rider;
};

/* ---- waiting ---- */

void hl_triggers_init(struct hl_triggers *t)
{
	*t = (struct hl_triggers){ .n_flights = 0 };
	hl_list_init(&t->waiting);
	hl_map_u64_init(&t->by_rule);
}

static void sighting_release(struct hl_sighting *s)
{
	if (s && --s->refs == 0)
		free(s);
}

static void trigger_free(struct trigger *t)
{
	sighting_release(t->sighting);
	free(t);
}

static struct trigger *take_first(struct hl_triggers *t)
{
	struct trigger *first = HL_LIST_ENTRY(hl_list_pop_front(&t->waiting), struct trigger, link);
	hl_map_u64_del(&t->by_rule, first->fired.rule.number);
	return first;
}

void hl_triggers_fini(struct hl_triggers *t)
{
	while (!hl_list_empty(&t->waiting))
		trigger_free(take_first(t));
	hl_map_u64_fini(&t->by_rule);
	hl_triggers_judged(t);
}

void hl_triggers_judged(struct hl_triggers *t)
{
	sighting_release(t->sighting);
	t->sighting = NULL;
}

void hl_trigger_forget(struct hl_triggers *t, uint64_t rule)
{
	struct trigger *it = hl_map_u64_del(&t->by_rule, rule);
	if (!it)
		return;
	hl_list_remove(&it->link);
	trigger_free(it);
}

/* ---- firing ---- */

static struct hl_sighting *sighting_of(struct hl_alerts *a, uint32_t item)
{
	struct hl_triggers *t = &a->triggers;
	struct hl_market_view view;
	if (t->sighting && t->sighting->item == item)
		return t->sighting;
	hl_market_view_of(a->market, item, &view, a->link);
	struct hl_sighting *s = malloc(sizeof(*s) + view.ask_link.len);
	if (!s)
		return NULL;
	*s = (struct hl_sighting){ .refs = 1, .item = item, .provider = view.ask_provider, .link_len = (uint32_t)view.ask_link.len };
	if (view.ask_link.len)
		memcpy(s->link, view.ask_link.ptr, view.ask_link.len);
	hl_triggers_judged(t);
	t->sighting = s;
	return s;
}

int hl_trigger_fire(void *alerts, const struct hl_rule_fired *fired)
{
	struct hl_alerts *a = alerts;
	if (hl_map_u64_get(&a->triggers.by_rule, fired->rule.number))
		return 0; /* waits already */
	struct hl_sighting *s = sighting_of(a, fired->rule.item);
	struct trigger *t = s ? malloc(sizeof(*t)) : NULL;
	if (!t)
		return HL_ENOMEM;
	*t = (struct trigger){ .fired = *fired, .sighting = s };
	if (hl_map_u64_put(&a->triggers.by_rule, fired->rule.number, t)) {
		free(t);
		return HL_ENOMEM;
	}
	s->refs++;
	hl_list_push_back(&a->triggers.waiting, &t->link);
	hl_core_soon(a->d);
	return 0;
}

/* Back to where it waited, unless the rule has fired anew since. */
static void wait_again(struct hl_alerts *a, struct trigger *t, uint32_t revision, hl_ms_t wait_ms)
{
	struct hl_triggers *all = &a->triggers;
	all->not_before_mono_ms = hl_core_mono(a->d) + wait_ms;
	t->tried = true;
	t->revision = revision;
	if (hl_map_u64_get(&all->by_rule, t->fired.rule.number)) {
		trigger_free(t);
		return;
	}
	if (hl_map_u64_put(&all->by_rule, t->fired.rule.number, t)) {
		trigger_free(t);
		hl_rejudge_all(a);
		return;
	}
	hl_list_push_front(&all->waiting, &t->link);
	hl_core_soon(a->d);
}

/* ---- the transaction, on the storage thread ---- */

static int ride(void *data, struct hl_txn *txn, const struct hl_event *e)
{
	struct flight *f = data;
	struct hl_alert_row old, row;
	struct hl_account_row account;
	struct hl_alert_event_row said = f->said;
	if (!hl_alert_row_get(txn, f->row.number, &old))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ECONFLICT;
	if (!old.enabled || old.revision != f->row.revision)
		return HL_ECONFLICT;
	if (hl_account_row_get(txn, old.account, &account)) {
		if (account.disabled)
			return HL_EPERM;
		if (account.email.len && account.email_verified && account.alert_emails)
			said.email = HL_ALERT_EMAIL_SKIPPED;
	}
	said.created_at_ms = e->created_at_ms;
	row = old;
	row.enabled = false;
	row.revision++;
	row.last_triggered_at_ms = row.updated_at_ms = e->created_at_ms;
	hl_alert_row_put(txn, &old, &row);
	hl_alert_event_put(txn, old.account, e->number, &said);
	HL_CRASH_POINT(ALERT_RIDING);
	return hl_txn_status(txn);
}

/* ---- flights ---- */

/* What becomes of a trigger whose publish did not happen. */
static void refused(struct hl_alerts *a, struct trigger *t, const struct hl_alert_row *row, int status)
{
	switch (status) {
	case HL_EFULL:
		wait_again(a, t, row->revision, FULL_RETRY_MS);
		return;
	case HL_EAGAIN:
	case HL_EBUSY:
	case HL_ENOMEM:
		wait_again(a, t, row->revision, BUSY_RETRY_MS);
		return;
	case HL_EPERM:
		if (!hl_alerts_disabled(a, row->account)) /* enabled again before we were told */
			hl_rejudge_account(a, row->account, true);
		break;
	case HL_ECONFLICT:
	case HL_EFATAL:
	case HL_ECANCELED:
	case HL_ECLOSED:
		break;
	default:
		hl_log(&a->d->log, HL_LOG_ERROR, "alert.not_stored", "number=%llu code=%s; it is judged again at the next start",
				(unsigned long long)row->number, hl_errname(status));
	}
	trigger_free(t);
}

static void published(void *data, int status, const struct hl_published *p)
{
	struct flight *f = data;
	struct hl_alerts *a = f->a;
	a->triggers.n_flights--;
	if (status == HL_OK) {
		HL_CRASH_POINT(ALERT_FIRED);
		a->fired++;
		hl_alerts_rule_leave(a, f->row.number);
		hl_log(&a->d->log, HL_LOG_DEBUG, "alert.fired", "number=%llu account=%u event=%s deliveries=%u",
				(unsigned long long)f->row.number, f->row.account, p->event_id, p->n_deliveries);
		trigger_free(f->t);
	} else if (a->closing) {
		trigger_free(f->t);
	} else {
		refused(a, f->t, &f->row, status);
	}
	free(f);
	hl_core_soon(a->d);
	hl_alerts_ended(a);
}

static struct hl_str keep(char *to, size_t cap, struct hl_str s)
{
	size_t len = HL_MIN(s.len, cap);
	if (len)
		memcpy(to, s.ptr, len);
	return hl_str_make(to, len);
}

/* What the event and its companion will say. */
static void fill(struct flight *f, struct hl_buf *data)
{
	struct hl_alerts *a = f->a;
	const struct hl_rule_fired *fired = &f->t->fired;
	const struct hl_sighting *s = f->t->sighting;
	struct hl_market_item item;
	char id[HL_ID_CAP];
	size_t len = hl_rule_reason(fired, f->reason);
	hl_market_item_of(a->market, fired->rule.item, &item);
	f->said = (struct hl_alert_event_row){
		.alert = f->row.number, .alert_created_at_ms = f->row.created_at_ms, .dialect = f->row.dialect, .kind = f->row.kind,
		.item = { item.item_id, keep(f->name, sizeof(f->name), item.name), keep(f->phase, sizeof(f->phase), item.phase) },
		.threshold = f->row.threshold, .triggered = hl_rule_triggered(fired), .best_ask = fired->ask,
		.best_bid = fired->bid, .reason = hl_str_make(f->reason, len),
	};
	memcpy(f->said.currency, f->row.currency, sizeof(f->said.currency));
	hl_core_id(a->d, HL_ID_ALERT, f->row.number, f->row.created_at_ms, id);
	const struct hl_alert_message m = {
		.alert_id = id, .fired = fired, .item = f->said.item, .provider = s->provider,
		.link = hl_str_make(s->link, s->link_len), .reason = f->said.reason,
	};
	hl_alert_message_write(data, &m, &f->rider.id_at);
}

static int publish(struct hl_alerts *a, struct trigger *t, const struct hl_alert_row *row)
{
	struct flight *f = calloc(1, sizeof(*f));
	struct hl_buf data = { 0 };
	if (!f)
		return HL_ENOMEM;
	f->a = a;
	f->t = t;
	f->row = *row;
	f->rider.data = f;
	f->rider.apply = ride;
	fill(f, &data);
	const struct hl_publish p = { .type = HL_STR(HL_ALERT_EVENT_TYPE), .data = hl_buf_all(&data), .data_checked = true };
	int rc = hl_buf_ok(&data) ? hl_publish_with(a->d, row->account, &p, &f->rider, published, f, NULL) : HL_ENOMEM;
	hl_buf_fini(&data);
	if (rc) {
		free(f);
		return rc;
	}
	a->triggers.n_flights++;
	hl_alerts_began(a);
	return 0;
}

/* Whether the rule is still what fired. */
static bool still(const struct hl_alerts *a, const struct trigger *t, const struct hl_alert_row *row)
{
	struct hl_rule now;
	const struct hl_rule *then = &t->fired.rule;
	return row->enabled && hl_alerts_rule_of(a, row, &now) == 0 && now.threshold == then->threshold &&
			now.currency == then->currency && (!t->tried || t->revision == row->revision);
}

static void start(struct hl_alerts *a, struct trigger *t)
{
	struct hl_txn *txn = hl_core_read(a->d);
	struct hl_alert_row row = { .number = t->fired.rule.number };
	bool found = hl_alert_row_get(txn, row.number, &row);
	int rc = hl_txn_status(txn);
	if (!found && rc) {
		refused(a, t, &row, rc);
		return;
	}
	if (!found || !still(a, t, &row) || hl_alerts_disabled(a, row.account)) {
		trigger_free(t);
		return;
	}
	rc = publish(a, t, &row);
	if (rc)
		refused(a, t, &row, rc);
}

hl_ms_t hl_triggers_tick(struct hl_alerts *a, hl_ms_t now_mono_ms)
{
	struct hl_triggers *t = &a->triggers;
	while (!hl_list_empty(&t->waiting) && t->n_flights < FLIGHTS_MAX && now_mono_ms >= t->not_before_mono_ms)
		start(a, take_first(t));
	if (hl_list_empty(&t->waiting) || t->n_flights >= FLIGHTS_MAX)
		return INT64_MAX; /* each flight's end asks for a turn */
	return t->not_before_mono_ms;
}
