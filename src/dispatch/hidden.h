/* Deliveries of deleted webhooks whose rows their job has not reached yet: what readers must be told instead. */
#ifndef HL_DISPATCH_HIDDEN_H
#define HL_DISPATCH_HIDDEN_H

#include "dispatch/core.h"

struct hl_hidden_webhook {
	uint32_t webhook;
	bool drop;                       /* its deliveries go too; else pending ones are to be cancelled */
	enum hl_dialect dialect;
	hl_ms_t deleted_at_ms;
};

/* The account's deletions under way; nearly always none. Lives in the turn's arena. */
struct hl_hidden {
	const struct hl_hidden_webhook *v;
	size_t n;
};
HL_MUST_CHECK int hl_hidden_load(struct hl_dispatcher *d, struct hl_txn *txn, uint32_t account, struct hl_hidden *out);
/* NULL: the webhook is not among them. */
const struct hl_hidden_webhook *hl_hidden_find(const struct hl_hidden *h, uint32_t webhook);
/* Makes the row what it is to be; false: there is no such delivery any more. */
bool hl_hidden_apply(const struct hl_hidden *h, struct hl_delivery_row *row);

#endif
