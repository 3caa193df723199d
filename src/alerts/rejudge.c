/* Rejudging: rules are put into the index that the store knows as enabled and memory has lost sight of.
 *
 *   an account is enabled again     its rules were dropped when they fired, or were never put in: all of it is walked
 *   memory was short for a rule     everything is walked, ten seconds later
 *
 * A walk reads a slice in each turn, in the turn's snapshot, which may be ahead of what memory was told. That does no harm: what
 * is put in wrongly is taken out by the done callback that is still to come, and what fires is checked in its transaction. */
#include "alerts/internal.h"

#include "store/alerts.h"
#include <stdlib.h>

enum { SLICE = 2000, LATER_MS = 1000, ALL_LATER_MS = 10000 };

struct walk {
	struct hl_list link;          /* in rejudge.walks */
	struct hl_alerts *a;
	struct hl_alert_walk at;      /* account 0: everything */
};

void hl_rejudge_init(struct hl_rejudge *r)
{
	*r = (struct hl_rejudge){ .all_wanted = false };
	hl_list_init(&r->walks);
}

void hl_rejudge_fini(struct hl_rejudge *r)
{
	struct hl_list *link;
	while ((link = hl_list_pop_front(&r->walks)) != NULL)
		free(HL_LIST_ENTRY(link, struct walk, link));
}

static void later(struct hl_alerts *a, hl_ms_t wait_ms)
{
	a->rejudge.not_before_mono_ms = hl_core_mono(a->d) + wait_ms;
	hl_core_soon(a->d);
}

void hl_rejudge_all(struct hl_alerts *a)
{
	if (a->closing || a->rejudge.all_wanted)
		return;
	a->rejudge.all_wanted = true;
	hl_log(&a->d->log, HL_LOG_ERROR, "alert.no_memory", "rules are judged late");
	later(a, ALL_LATER_MS);
}

static bool begin(struct hl_alerts *a, uint32_t account)
{
	struct walk *w = calloc(1, sizeof(*w));
	if (!w)
		return false;
	w->a = a;
	w->at = (struct hl_alert_walk){ .account = account, .oldest_first = true };
	hl_list_push_back(&a->rejudge.walks, &w->link);
	return true;
}

void hl_rejudge_account(struct hl_alerts *a, uint32_t account, bool wait)
{
	if (a->closing)
		return;
	HL_LIST_EACH(link, &a->rejudge.walks) {
		struct walk *w = HL_LIST_ENTRY(link, struct walk, link);
		if (w->at.account != account)
			continue;
		w->at.after = 0; /* from the start again */
		w->at.done = false;
		return;
	}
	if (!begin(a, account))
		hl_rejudge_all(a);
	else if (wait)
		later(a, LATER_MS);
	hl_core_soon(a->d);
}

static bool look(void *data, uint64_t number, struct hl_str value)
{
	struct walk *w = data;
	struct hl_alerts *a = w->a;
	struct hl_alert_row row;
	struct hl_rule known;
	(void)value;
	if (hl_map_u64_get(&a->triggers.by_rule, number))
		return true;
	if (hl_rules_get(a->rules, number, &known))
		hl_alerts_rule_judge(a, number);
	else if (hl_alert_row_get(hl_core_read(a->d), number, &row) && row.enabled)
		hl_alerts_rule_enter(a, &row);
	return !a->rejudge.all_wanted; /* no memory: no use going on */
}

static void step(struct hl_alerts *a, struct walk *w)
{
	int rc = hl_alert_walk_step(hl_core_read(a->d), &w->at, SLICE, look, w);
	if (rc)
		hl_log(&a->d->log, HL_LOG_ERROR, "alert.rejudge_failed", "account=%u code=%s", w->at.account, hl_errname(rc));
	if (!rc && !w->at.done)
		return;
	hl_list_remove(&w->link);
	free(w);
}

hl_ms_t hl_rejudge_tick(struct hl_alerts *a, hl_ms_t now_mono_ms)
{
	struct hl_rejudge *r = &a->rejudge;
	if (hl_list_empty(&r->walks) && !r->all_wanted)
		return INT64_MAX;
	if (now_mono_ms < r->not_before_mono_ms)
		return r->not_before_mono_ms;
	if (r->all_wanted && !begin(a, 0))
		return r->not_before_mono_ms = now_mono_ms + ALL_LATER_MS;
	r->all_wanted = false;
	step(a, HL_LIST_ENTRY(r->walks.next, struct walk, link));
	hl_core_soon(a->d);
	return INT64_MAX;
}
