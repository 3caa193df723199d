/* A webhook as an attempt needs it: parsed URL, ready header lines, keyed signers, policy. Made when the first attempt needs
 * it, replaced when the webhook changes, shared by the attempts in flight. */
#ifndef HL_DISPATCH_DESTINATION_H
#define HL_DISPATCH_DESTINATION_H

#include "dispatch/core.h"

struct hl_destination {
	uint32_t refs;
	uint32_t webhook, account, revision;
	enum hl_dialect dialect;
	enum hl_format format;
	struct hl_arena arena;          /* holds everything below */
	struct hl_url url;
	char id[HL_ID_CAP];
	struct hl_str fields;           /* "User-Agent: …\r\nContent-Type: …\r\n" and the webhook's own headers */
	struct hl_signer current, previous;
	bool has_previous;
	hl_ms_t previous_until_ms;      /* wall; the old secret signs too until then */
	struct hl_policy policy;
	uint32_t timeout_ms;
};

/* Held for the caller. HL_ENOTFOUND, HL_EKEY (its secret does not open), HL_ENOMEM, HL_EURL. */
HL_MUST_CHECK int hl_destination_load(struct hl_dispatcher *d, uint32_t webhook, struct hl_destination **out,
		struct hl_err *err);
struct hl_destination *hl_destination_hold(struct hl_destination *x);
void hl_destination_release(struct hl_destination *x); /* NULL is fine */
/* The queue's own, loading it if need be; not held. */
HL_MUST_CHECK int hl_destination_of_queue(struct hl_dispatcher *d, struct hl_queue *q, struct hl_destination **out);
/* Limits of the queue of this webhook. */
void hl_destination_limits(const struct hl_dispatcher *d, const struct hl_webhook *w, struct hl_queue_limits *out);

#endif
