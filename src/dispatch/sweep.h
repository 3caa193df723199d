/* Ends the windows of deliveries whose queue does not send: parked or held ones. */
#ifndef HL_DISPATCH_SWEEP_H
#define HL_DISPATCH_SWEEP_H

#include "dispatch/core.h"

/* One pass over a queue, in slices. Embedded in its command. */
struct hl_sweep {
	struct hl_dispatcher *d;
	uint32_t webhook;
	bool parked;                  /* else held */
	struct hl_policy policy;
	uint64_t fresh_from;          /* cursors */
	hl_ms_t due_ms;
	uint64_t due_delivery;
	bool fresh_done, done;
	uint64_t ended;               /* deliveries that failed in this pass */
};

/* One slice inside a command. Returns hl_txn_status. */
HL_MUST_CHECK int hl_sweep_step(struct hl_sweep *s, struct hl_txn *txn, hl_ms_t now_ms);

#endif
