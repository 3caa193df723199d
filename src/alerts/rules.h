/* The enabled rules, in memory, so ordered that a price tick looks only at those next to fire.
 *
 * Pure: no store, no loop, one thread. A rule is known by its number. Whoever makes or enables one adds it here and then has
 * it judged (hl_rules_judge_one); whoever disables or deletes it removes it. A rule that fires leaves the index at that
 * moment ("firing"), so however many ticks follow it fires once; if its event could not be stored it is added again. */
#ifndef HL_ALERTS_RULES_H
#define HL_ALERTS_RULES_H

#include "alerts/rule.h"

struct hl_rules;

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

#endif
