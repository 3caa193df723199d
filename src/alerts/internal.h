/* What the files of this floor share that store and publish: the object, the machinery of a call, the parts.
 *
 * Everything lives on the loop and follows the commits: what a command's done callback does to market and rules is what its
 * transaction did to the store, in the same order. So at any moment memory is the store as of the last commit told, and a
 * rule that is enabled there (and whose account is) is in the index, or fires (trigger.h), or waits for a rejudging. */
#ifndef HL_ALERTS_INTERNAL_H
#define HL_ALERTS_INTERNAL_H

#include "alerts/checkpoint.h"
#include "alerts/rejudge.h"
#include "alerts/rules.h"
#include "alerts/trigger.h"
#include "dispatch/core.h"

struct hl_alerts {
	struct hl_dispatcher *d;
	struct hl_guest guest;
	struct hl_market *market;
	struct hl_rules *rules;
	struct hl_triggers triggers;
	struct hl_checkpoint checkpoint;
	struct hl_rejudge rejudge;
	struct hl_map_u64 disabled;   /* accounts; the value says nothing */
	uint64_t ticks, fired;        /* since start */
	size_t n_calls;               /* commands, publishes and listings under way */
	bool closing;
	hl_close_cb on_closed;
	void *on_closed_data;
	char link[HL_MARKET_LINK_MAX];/* scratch for what the market shows */
};

/* HL_ECLOSED, or what the dispatcher says. */
HL_MUST_CHECK int hl_alerts_admit(struct hl_alerts *a, struct hl_err *err);
/* A command of this floor: counted until hl_alerts_ended. Its done callback calls hl_core_command_done first. */
void hl_alerts_submit(struct hl_alerts *a, struct hl_command *c);
/* Something under way is over; the last thing its callback does (a closing `a` may be gone then). */
static inline void hl_alerts_began(struct hl_alerts *a) { a->n_calls++; }
void hl_alerts_ended(struct hl_alerts *a);

/* ---- rules in memory (alerts.c) ---- */

/* Puts an enabled rule into the index and judges it; one of a disabled account is left out. Without memory it is rejudged
 * later. It must not be in the index. */
void hl_alerts_rule_enter(struct hl_alerts *a, const struct hl_alert_row *row);
void hl_alerts_rule_judge(struct hl_alerts *a, uint64_t number); /* one that is in the index */
/* It is not what it was any more: out of the index, and if it waits to fire, it does not. */
void hl_alerts_rule_leave(struct hl_alerts *a, uint64_t number);
/* After a price of the item moved. */
void hl_alerts_judge_item(struct hl_alerts *a, uint32_t item);
/* After their rates changed. */
void hl_alerts_judge_currencies(struct hl_alerts *a, const uint16_t *currencies, size_t n);
HL_MUST_CHECK int hl_alerts_rule_of(const struct hl_alerts *a, const struct hl_alert_row *row, struct hl_rule *out);
static inline bool hl_alerts_disabled(const struct hl_alerts *a, uint32_t account)
{
	return hl_map_u64_get(&a->disabled, account) != NULL;
}

/* Everything out of the store into memory; judges nothing (load.c). */
HL_MUST_CHECK int hl_alerts_load(struct hl_alerts *a, struct hl_err *err);
/* A block's quotes into the market, without judging (load.c, for blocks of the store). */
HL_MUST_CHECK int hl_alerts_play(struct hl_alerts *a, struct hl_str block, bool dirty);

#endif
