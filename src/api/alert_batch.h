/* Many alerts in one request: entries that are wrong in themselves keep their error, the others are made in one
 * transaction, and the answer is written from both.
 *
 *   b = hl_alert_batch_new(c, n, answer)
 *   for each entry: b->v[i].alert, or b->v[i].status and err
 *   hl_alert_batch_go(b, &gate)              // answer() runs later, or at once when nothing is left to be made */
#ifndef HL_API_ALERT_BATCH_H
#define HL_API_ALERT_BATCH_H

#include "api/call.h"
#include <hookline/alert.h>

struct hl_alert_batch_entry {
	int status;                  /* HL_OK: to be made, and in answer(): made */
	bool given;                  /* to the library; alert_batch.c's */
	struct hl_err err;           /* when status is not HL_OK */
	struct hl_alert alert;
};

struct hl_alert_batch {
	struct hl_call *call;
	/* Ends the call. status: why nothing at all was made, HL_OK = look at the entries. b is freed afterwards. */
	void (*answer)(struct hl_alert_batch *b, int status, const struct hl_err *err);
	/* Optional: writes the answer from the entries into call->out, before they are durable, so that it can be kept for the
	 * request's Idempotency-Key in their transaction. */
	void (*write)(struct hl_alert_batch *b);
	struct hl_str kept;          /* in answer(): the one of an earlier request with the key; ptr NULL = none */
	size_t n;
	struct hl_alert_batch_entry v[HL_ALERT_BATCH_MAX];
};

/* n ≤ HL_ALERT_BATCH_MAX entries, all HL_OK. NULL: no memory. */
struct hl_alert_batch *hl_alert_batch_new(struct hl_call *c, size_t n,
		void (*answer)(struct hl_alert_batch *b, int status, const struct hl_err *err));
void hl_alert_batch_free(struct hl_alert_batch *b); /* one that does not go */
void hl_alert_batch_go(struct hl_alert_batch *b, const struct hl_alert_gate *gate);
size_t hl_alert_batch_made(const struct hl_alert_batch *b);

#endif
