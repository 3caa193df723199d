/* An event from JSON; the same for single ones and lines of a batch. */
#ifndef HL_API_PUBLISH_JSON_H
#define HL_API_PUBLISH_JSON_H

#include "api/webhook_json.h"

/* `data` stays where it is in `text`. HL_ESYNTAX, HL_EINVAL, HL_EDUPLICATE. */
HL_MUST_CHECK int hl_publish_read(struct hl_reader *r, const struct hl_webhook_scope *scope, struct hl_str text,
		struct hl_publish *out);
/* {"id":…,"deliveries":n,"replayed":b} as members of an open object. */
/* What to say about a publish that was refused after it was handed over: err, filled in, or NULL (the status says all). */
const struct hl_err *hl_published_error(int status, const struct hl_published *p, struct hl_err *err);
void hl_published_members(struct hl_jsonw *w, const struct hl_published *p);

#endif
