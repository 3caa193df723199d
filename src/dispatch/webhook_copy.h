/* Copying and merging webhooks, deep. */
#ifndef HL_DISPATCH_WEBHOOK_COPY_H
#define HL_DISPATCH_WEBHOOK_COPY_H

#include "dispatch/core.h"
#include "http/url.h"

/* *out owns nothing: every slice and array is a copy in `a`. HL_ENOMEM. */
HL_MUST_CHECK int hl_webhook_dup(struct hl_arena *a, const struct hl_webhook *w, struct hl_webhook *out);
/* The members named by `fields` (enum hl_webhook_field) become those of *values; slices are taken over as they are. */
void hl_webhook_merge(struct hl_webhook *w, uint32_t fields, const struct hl_webhook *values);
/* Judges the URL: HL_EURL or HL_EBLOCKED with field "/url" and the rule; egress NULL: any host. Normalises it (in `a`), and
 * names a nameless webhook after its host. */
HL_MUST_CHECK int hl_webhook_judge_url(const struct hl_egress *egress, struct hl_arena *a, struct hl_webhook *w,
		struct hl_err *err);

#endif
