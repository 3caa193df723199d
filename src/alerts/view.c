/* From rows to the vocabulary of <hookline/alert.h>. Names of items are copied: a tick of the same turn may replace them. */
#include "alerts/view.h"

#include "base/str.h"

static struct hl_market_item copy_item(struct hl_alerts *a, const struct hl_market_item *v)
{
	return (struct hl_market_item){ v->item_id, hl_arena_dup(&a->d->turn, v->name), hl_arena_dup(&a->d->turn, v->phase) };
}

void hl_alert_view(struct hl_alerts *a, const struct hl_alert_row *row, struct hl_alert *out)
{
	uint32_t index = hl_market_find(a->market, row->item);
	struct hl_market_item item = { .item_id = row->item };
	if (index != HL_MARKET_NO_ITEM)
		hl_market_item_of(a->market, index, &item);
	*out = (struct hl_alert){
		.number = row->number, .account = row->account, .dialect = (enum hl_dialect)row->dialect,
		.kind = (enum hl_alert_kind)row->kind, .item = copy_item(a, &item), .threshold = row->threshold,
		.enabled = row->enabled, .last_triggered_at_ms = row->last_triggered_at_ms,
		.created_at_ms = row->created_at_ms, .updated_at_ms = row->updated_at_ms,
	};
	memcpy(out->currency, row->currency, sizeof(out->currency));
	hl_core_id(a->d, HL_ID_ALERT, row->number, row->created_at_ms, out->id);
}

void hl_alert_event_view(struct hl_alerts *a, uint32_t account, uint64_t event, const struct hl_alert_event_row *row,
		struct hl_alert_event *out)
{
	*out = (struct hl_alert_event){
		.event = event, .alert = row->alert, .account = account, .dialect = (enum hl_dialect)row->dialect,
		.kind = (enum hl_alert_kind)row->kind, .item = copy_item(a, &row->item), .threshold = row->threshold,
		.triggered = row->triggered, .best_ask = row->best_ask, .best_bid = row->best_bid,
		.reason = hl_arena_dup(&a->d->turn, row->reason), .email = (enum hl_alert_email)row->email,
		.created_at_ms = row->created_at_ms,
	};
	memcpy(out->currency, row->currency, sizeof(out->currency));
	hl_core_id(a->d, HL_ID_EVENT, event, row->created_at_ms, out->id);
	hl_core_id(a->d, HL_ID_ALERT, row->alert, row->alert_created_at_ms, out->alert_id);
}
