/* Once per idempotency key, for work whose answer is known only when it ended (a new try that waits for its attempt):
 *
 *   hl_answer_begin   → HL_OK: do it; HL_EEXIST: *out is the kept answer; HL_EMISMATCH; HL_EBUSY: somebody is doing it
 *   hl_answer_keep    stores the answer, then tells; or
 *   hl_answer_abandon it failed: nothing is kept, the key is free again
 *
 * Changes of the store itself carry their idempotency key in their own transaction instead. */
#ifndef HL_SERVICE_ANSWERS_H
#define HL_SERVICE_ANSWERS_H

#include "base/buf.h"
#include "service/change.h"

enum { HL_ANSWERS_OPEN_MAX = 1024 };

struct hl_answer; /* a key in use */

HL_MUST_CHECK int hl_answer_begin(struct hl_service *s, uint32_t account, const struct hl_idempotency *idem,
		struct hl_buf *out, struct hl_answer **out_open);
HL_MUST_CHECK int hl_answer_keep(struct hl_answer *a, struct hl_str answer, hl_change_cb cb, void *data);
void hl_answer_abandon(struct hl_answer *a);

#endif
