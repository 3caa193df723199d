/* Event types from JSON and to JSON: one, or a whole catalogue as PUT /v1/event-types and catalogue files hold it. */
#ifndef HL_API_EVENT_TYPE_JSON_H
#define HL_API_EVENT_TYPE_JSON_H

#include "api/reader.h"
#include <hookline/dispatcher.h>

/* An object whose name is known already (from the path); it may say it again. "" = an empty body is {}. */
HL_MUST_CHECK int hl_event_type_read(struct hl_reader *r, struct hl_str text, struct hl_str name, struct hl_event_type *out);
/* An array of objects, each with its name. *out lives in the reader's arena. HL_ESYNTAX, HL_EINVAL, HL_EDUPLICATE with
 * "/INDEX/member" in err->field. */
HL_MUST_CHECK int hl_event_types_read(struct hl_reader *r, struct hl_str text, const struct hl_event_type **out,
		size_t *out_n);
void hl_event_type_write(struct hl_jsonw *w, const struct hl_event_type *t);

#endif
