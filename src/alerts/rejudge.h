/* Rules that may be missing in the index: found in the store, slice by slice, put in and judged. */
#ifndef HL_ALERTS_REJUDGE_H
#define HL_ALERTS_REJUDGE_H

#include "base/list.h"

struct hl_alerts;

struct hl_rejudge {
	struct hl_list walks;         /* one after the other */
	bool all_wanted;              /* memory was short: everything, later */
	hl_ms_t not_before_mono_ms;
};
void hl_rejudge_init(struct hl_rejudge *r);
void hl_rejudge_fini(struct hl_rejudge *r);
/* The account's rules, from the next tick on, or after a while. */
void hl_rejudge_account(struct hl_alerts *a, uint32_t account, bool later);
/* Every rule, after a while: one could not be put in. */
void hl_rejudge_all(struct hl_alerts *a);
/* Part of the tick; when it wants to be called again (monotonic). */
hl_ms_t hl_rejudge_tick(struct hl_alerts *a, hl_ms_t now_mono_ms);

#endif
