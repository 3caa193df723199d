/* The enabled rules, in memory, so ordered that a price tick looks only at those next to fire.
 *
 * Pure: no store, no loop, one thread. A rule is known by its number. Whoever makes or enables one adds it here and then has
 * it judged (hl_rules_judge_one); whoever disables or deletes it removes it. A rule that fires leaves the index at that
 * moment ("firing"), so however many ticks follow it fires once; if its event could not be stored it is added again. */
#ifndef HL_ALERTS_RULES_H
#define HL_ALERTS_RULES_H

#include "alerts/market.h"

struct hl_rules;

struct hl_rule {
	uint64_t number;
	uint32_t item;               /* index in the market */
	enum hl_alert_kind kind;
	uint16_t currency;           /* number; HL_CURRENCY_NONE for spreads */
	int64_t threshold;           /* 1 … HL_ALERT_THRESHOLD_MAX */
};

/* A rule and what it was compared with when it fired. */
struct hl_rule_fired {
	struct hl_rule rule;
	int64_t ask, bid;            /* US cents; 0 = none */
	int64_t rate;                /* of the rule's currency; 0 for spreads */
};

/* Told of each rule that fires. 0: taken over; the rule is out of the index when the judging call goes on. Otherwise (an
 * error): it stays, judging stops and returns that error; what fired before stays fired. Must not change the rules. */
typedef int (*hl_rules_cb)(void *data, const struct hl_rule_fired *fired);

HL_MUST_CHECK int hl_rules_create(struct hl_rules **out);
void hl_rules_destroy(struct hl_rules *r);
size_t hl_rules_count(const struct hl_rules *r);
/* Bytes of everything held, the allocator's overhead included. */
size_t hl_rules_memory_bytes(const struct hl_rules *r);

/* The number must not be in the index. HL_ENOMEM changes nothing. O(log n). */
HL_MUST_CHECK int hl_rules_add(struct hl_rules *r, const struct hl_rule *v);
bool hl_rules_remove(struct hl_rules *r, uint64_t number);                       /* false: was not there */
bool hl_rules_get(const struct hl_rules *r, uint64_t number, struct hl_rule *out); /* false: is not there */

/* Fires every rule of the item that is true. Call it when hl_market_set says that a price moved; also, slice by slice over
 * all items, at start. 0 or the callback's error. */
HL_MUST_CHECK int hl_rules_judge(struct hl_rules *r, const struct hl_market *m, uint32_t item, hl_rules_cb cb, void *data);
/* The same for all rules in these currencies, over all items: after hl_market_set_rates. */
HL_MUST_CHECK int hl_rules_judge_currencies(struct hl_rules *r, const struct hl_market *m, const uint16_t *currencies,
		size_t n, hl_rules_cb cb, void *data);
/* The same for one rule: after hl_rules_add. A number that is not there: nothing. */
HL_MUST_CHECK int hl_rules_judge_one(struct hl_rules *r, const struct hl_market *m, uint64_t number, hl_rules_cb cb,
		void *data);

/* Is a rule true at these prices? ask, bid 0 … HL_MARKET_CENTS_MAX (0 = none), rate 0 = unknown. */
bool hl_rule_holds(enum hl_alert_kind kind, int64_t threshold, int64_t ask, int64_t bid, int64_t rate);

/* What an event shows: the price in the rule's currency or the percentage, scaled by HL_ALERT_THRESHOLD_SCALE and rounded
 * half up to hundredths, so that hl_decimal_format gives two decimals; at most HL_RULE_TRIGGERED_MAX. */
#define HL_RULE_TRIGGERED_MAX ((int64_t)9223372036854770000)
int64_t hl_rule_triggered(const struct hl_rule_fired *f);
/* "Best ask 19.50 USD is at or below 20.00 USD", "… at or above …", "Spread 12.31% is at or above 10.00%". The first number has
 * as many decimals as the threshold, so that rounding never makes the sentence untrue. Returns the length. */
enum { HL_RULE_REASON_CAP = 160 };
size_t hl_rule_reason(const struct hl_rule_fired *f, char out[HL_RULE_REASON_CAP]);

#endif
