/* Publishing for floors above: an event whose transaction carries a change of theirs. */
#ifndef HL_DISPATCH_PUBLISH_H
#define HL_DISPATCH_PUBLISH_H

#include "dispatch/core.h"

/* Belongs to the caller until the publish's callback ran. */
struct hl_publish_rider {
	void *data;
	size_t id_at;           /* HL_ID_LEN bytes of the event's data from here on become the event's id; 0 = none do */
	/* Storage thread, when nothing else can refuse the publish any more: checks first, then writes. Anything but 0 refuses
	 * event and deliveries with it. May run again, also for another number of the event. */
	int (*apply)(void *data, struct hl_txn *txn, const struct hl_event *e);
};

/* Like hl_publish without external_id and idempotency; type, data and times are the caller's own and are not checked. What the
 * rider's apply says reaches cb. */
HL_MUST_CHECK int hl_publish_with(struct hl_dispatcher *d, uint32_t account, const struct hl_publish *in,
		const struct hl_publish_rider *rider, hl_publish_cb cb, void *data, struct hl_err *err);

#endif
