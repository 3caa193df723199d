/* The market's rows. Ticks are appended to the log, many in a block; the quotes of an item are rewritten now and then, and the
 * blocks they make needless are dropped from the front. Played over the quotes from the oldest block on, the log gives the
 * market of the last commit: a quote takes the place of the one before, so it does no harm to play one again. */
#include "store/market.h"

static const struct hl_str name_rates = HL_STR("rates");

static struct hl_dbkey number_key(uint64_t number)
{
	return hl_dbkey_u64(HL_DBKEY_NONE, number);
}

/* Calls each(number, value) upwards. */
static void each_row(struct hl_txn *txn, enum hl_table t, bool (*each)(void *data, uint64_t number, struct hl_str value),
		void *data)
{
	struct hl_cursor c;
	hl_cursor_open(&c, txn, t);
	for (bool ok = hl_cursor_first(&c); ok; ok = hl_cursor_next(&c)) {
		if (c.key.len != 8) {
			hl_txn_fail(txn, HL_ECORRUPT);
			break;
		}
		if (!each(data, hl_be64_get((const uint8_t *)c.key.ptr), c.value))
			break;
	}
	hl_cursor_close(&c);
}

/* ---- items -------------------------------------------------------------------------------------------------------- */

void hl_market_item_put(struct hl_txn *txn, const struct hl_market_item *item)
{
	hl_buf_reset(&txn->scratch);
	hl_market_item_encode(&txn->scratch, item);
	hl_txn_put_scratch(txn, HL_TABLE_MARKET_ITEM, HL_DBKEY(number_key(item->item_id)), false);
}

struct item_each {
	struct hl_txn *txn;
	bool (*each)(void *data, const struct hl_market_item *item);
	void *data;
};

static bool item_row(void *data, uint64_t number, struct hl_str value)
{
	struct item_each *e = data;
	struct hl_market_item item;
	int rc = hl_market_item_decode(value, &item);
	item.item_id = number;
	if (rc)
		hl_txn_fail(e->txn, rc);
	return !rc && e->each(e->data, &item);
}

void hl_market_item_each(struct hl_txn *txn, bool (*each)(void *data, const struct hl_market_item *item), void *data)
{
	struct item_each e = { txn, each, data };
	each_row(txn, HL_TABLE_MARKET_ITEM, item_row, &e);
}

/* ---- quotes and log ----------------------------------------------------------------------------------------------- */

void hl_market_quotes_put(struct hl_txn *txn, uint64_t item_id, struct hl_str block)
{
	hl_txn_put(txn, HL_TABLE_MARKET_QUOTES, HL_DBKEY(number_key(item_id)), block);
}

void hl_market_quotes_each(struct hl_txn *txn, bool (*each)(void *data, uint64_t item_id, struct hl_str block), void *data)
{
	each_row(txn, HL_TABLE_MARKET_QUOTES, each, data);
}

void hl_market_log_append(struct hl_txn *txn, uint64_t number, struct hl_str block)
{
	hl_txn_append(txn, HL_TABLE_MARKET_LOG, HL_DBKEY(number_key(number)), block);
}

void hl_market_log_each(struct hl_txn *txn, bool (*each)(void *data, uint64_t number, struct hl_str block), void *data)
{
	each_row(txn, HL_TABLE_MARKET_LOG, each, data);
}

/* The oldest block; 0: there is none. */
static uint64_t oldest_block(struct hl_txn *txn)
{
	struct hl_cursor c;
	uint64_t number = 0;
	hl_cursor_open(&c, txn, HL_TABLE_MARKET_LOG);
	if (hl_cursor_first(&c)) {
		if (c.key.len == 8)
			number = hl_be64_get((const uint8_t *)c.key.ptr);
		else
			hl_txn_fail(txn, HL_ECORRUPT);
	}
	hl_cursor_close(&c);
	return number;
}

bool hl_market_log_drop(struct hl_txn *txn, uint64_t upto, size_t max)
{
	uint64_t number = oldest_block(txn);
	if (number && number <= upto)
		hl_meta_numbers_keep(txn, HL_TABLE_MARKET_LOG, upto);
	for (; number && number <= upto && max > 0; max--) {
		(void)hl_txn_del(txn, HL_TABLE_MARKET_LOG, HL_DBKEY(number_key(number)));
		number = oldest_block(txn);
	}
	return !number || number > upto;
}

/* ---- rates -------------------------------------------------------------------------------------------------------- */

void hl_market_rates_put(struct hl_txn *txn, const struct hl_rates_row *row)
{
	hl_buf_reset(&txn->scratch);
	hl_rates_row_encode(&txn->scratch, row);
	hl_txn_put_scratch(txn, HL_TABLE_META, name_rates, false);
}

bool hl_market_rates_get(struct hl_txn *txn, struct hl_rates_row *out)
{
	struct hl_str bytes;
	if (!hl_txn_get(txn, HL_TABLE_META, name_rates, &bytes))
		return false;
	int rc = hl_rates_row_decode(bytes, out);
	if (rc)
		hl_txn_fail(txn, rc);
	return rc == 0;
}
