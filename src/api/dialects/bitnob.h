/* What the two files of dialect bitnob share: its pages. */
#ifndef HL_API_DIALECTS_BITNOB_H
#define HL_API_DIALECTS_BITNOB_H

#include "api/dialects/dialect.h"

enum { HL_BITNOB_PAGE_MAX = 100, HL_BITNOB_PAGE_USUAL = 20 };

extern const struct hl_routes hl_bitnob_events; /* /events… and /event-types */

/* The first three entries of q are "limit", "starting_after" and "ending_before"; the values of the others select the rows.
 * Sets c->page and c->filter; with ending_before c->page.after is set. false: answered. */
bool hl_bitnob_page_read(struct hl_call *c, const struct hl_query *q, size_t n);
/* The envelope; first and last: numbers of the rows at its ends, 0 when it is empty. end answers. */
void hl_bitnob_page_begin(struct hl_call *c, struct hl_jsonw *w);
void hl_bitnob_page_end(struct hl_call *c, struct hl_jsonw *w, uint64_t first, uint64_t last, const struct hl_page_info *info);

#endif
