/* One rule: when it is true, and what is said of it when it fires. Pure; integers only. hl_alert_kind_name and _parse of
 * <hookline/alert.h> are in rule.c as well. */
#ifndef HL_ALERTS_RULE_H
#define HL_ALERTS_RULE_H

#include "alerts/market.h"

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
