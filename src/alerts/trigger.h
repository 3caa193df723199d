/* From "the rule is true" to "its event is stored": one transaction each, started a few at a time. */
#ifndef HL_ALERTS_TRIGGER_H
#define HL_ALERTS_TRIGGER_H

#include "alerts/rule.h"
#include "base/list.h"
#include "base/map.h"

struct hl_alerts;

struct hl_triggers {
	struct hl_list waiting;       /* rules that fired and are not being stored yet, oldest first */
	struct hl_map_u64 by_rule;    /* of those waiting */
	uint32_t n_flights;           /* transactions under way */
	hl_ms_t not_before_mono_ms;   /* the store refused: not earlier */
	struct hl_sighting *sighting; /* of the judging under way; held. NULL = not looked at yet */
};
void hl_triggers_init(struct hl_triggers *t);
void hl_triggers_fini(struct hl_triggers *t); /* those waiting fire after the next start */
static inline size_t hl_triggers_waiting(const struct hl_triggers *t) { return t->by_rule.count; }

/* A hl_rules_cb; data is the struct hl_alerts. HL_ENOMEM: the rule stays in the index. */
int hl_trigger_fire(void *alerts, const struct hl_rule_fired *fired);
/* End of a judging: another one sees other prices. */
void hl_triggers_judged(struct hl_triggers *t);
/* The rule is another one now, or none: what it was about to tell is not told. */
void hl_trigger_forget(struct hl_triggers *t, uint64_t rule);
/* Part of the tick: starts what may start; when it wants to be called again (monotonic). */
hl_ms_t hl_triggers_tick(struct hl_alerts *a, hl_ms_t now_mono_ms);

#endif
