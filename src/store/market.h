/* Rows of the market: items, their quotes as last written, the log of what came since, exchange rates. */
#ifndef HL_STORE_MARKET_H
#define HL_STORE_MARKET_H

#include "store/meta.h"

void hl_market_item_put(struct hl_txn *txn, const struct hl_market_item *item);
/* All items upwards by id, borrowed. false = stop. */
void hl_market_item_each(struct hl_txn *txn, bool (*each)(void *data, const struct hl_market_item *item), void *data);

/* block: hl_block_encode's bytes, of that item only. */
void hl_market_quotes_put(struct hl_txn *txn, uint64_t item_id, struct hl_str block);
void hl_market_quotes_each(struct hl_txn *txn, bool (*each)(void *data, uint64_t item_id, struct hl_str block), void *data);

/* number must be larger than every block's before. */
void hl_market_log_append(struct hl_txn *txn, uint64_t number, struct hl_str block);
void hl_market_log_each(struct hl_txn *txn, bool (*each)(void *data, uint64_t number, struct hl_str block), void *data);
/* Drops up to max blocks from the oldest on, none above upto; true: none of them is left. */
bool hl_market_log_drop(struct hl_txn *txn, uint64_t upto, size_t max);

void hl_market_rates_put(struct hl_txn *txn, const struct hl_rates_row *row);
bool hl_market_rates_get(struct hl_txn *txn, struct hl_rates_row *out); /* false: none were ever put */

#endif
