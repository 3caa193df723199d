/* Market records from JSON: an item, a quote, the table of rates; and a view of an item to JSON.
 *
 * Items and quotes come by the hundred thousand: each is read in one pass over its line, members it does not know are
 * ignored, and its strings are copied into the arena, because the line does not stay. */
#ifndef HL_API_MARKET_JSON_H
#define HL_API_MARKET_JSON_H

#include "api/reader.h"
#include <hookline/alert.h>

/* HL_ESYNTAX; HL_EINVAL, HL_EDUPLICATE with the member's pointer; HL_ENOMEM. What a quote says is judged by
 * hl_market_check; hl_market_pointer gives its pointers the names of the record. */
HL_MUST_CHECK int hl_market_read_item(struct hl_reader *r, struct hl_str text, struct hl_market_item *out);
HL_MUST_CHECK int hl_market_read_quote(struct hl_reader *r, bool bids, struct hl_str text, struct hl_market_quote *out);
void hl_market_pointer(bool bids, struct hl_err *err);

/* {"timestamp", "rates": {"EUR": 0.92, …}}; *out lives in the reader's arena. *out_at_ms 0 = not said. What
 * currencies and rates may be: hl_market_put_rates. */
HL_MUST_CHECK int hl_market_read_rates(struct hl_reader *r, struct hl_str body, const struct hl_rate **out, size_t *out_n,
		hl_ms_t *out_at_ms);
/* A JSON number, exponent and all, times HL_RATE_SCALE. HL_EINVAL: not exact in an int64_t (too large, too many decimals). */
HL_MUST_CHECK int hl_rate_parse(struct hl_str number, int64_t *out);
void hl_rate_write(struct hl_jsonw *w, int64_t rate);

void hl_market_item_members(struct hl_jsonw *w, const struct hl_market_item *v);
/* null for 0 */
void hl_market_cents_write(struct hl_jsonw *w, int64_t cents);
void hl_market_view_write(struct hl_jsonw *w, const struct hl_market_view *v);

#endif
