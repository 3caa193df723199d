/* Webhook rows. A change writes the row, the same without its secrets as a revision (deliveries name the one they used;
 * the newest 64 are kept), raises the account's generation, so that a publish that matched against the webhooks of
 * before is matched again, and keeps the gauges by state. URL and header values are sealed on the way in (address.c).
 *
 * One that does not open fails the transaction of who wants to know where the webhook sends, and nobody else's: its row
 * can still be looked at, overwritten and dropped. */
#include "store/webhooks.h"
#include "base/check.h"
#include "store/address.h"

static struct hl_dbkey number_key(uint32_t number)
{
	return hl_dbkey_u32(HL_DBKEY_NONE, number);
}

static struct hl_dbkey pair_key(uint32_t a, uint32_t b)
{
	return hl_dbkey_u32(number_key(a), b);
}

static bool row_read(struct hl_txn *txn, enum hl_table t, struct hl_dbkey key, struct hl_webhook_row *out)
{
	struct hl_str bytes;
	if (!hl_txn_get_kept(txn, t, HL_DBKEY(key), &bytes))
		return false;
	int rc = hl_webhook_row_decode(bytes, hl_txn_arena(txn), out);
	if (rc)
		hl_txn_fail(txn, rc);
	return rc == 0;
}

static bool open_address(struct hl_txn *txn, struct hl_webhook_row *row)
{
	int rc = hl_address_open(txn, row);
	if (rc)
		hl_txn_fail(txn, rc);
	return rc == 0;
}

bool hl_webhook_row_peek(struct hl_txn *txn, uint32_t number, struct hl_webhook_row *out)
{
	return row_read(txn, HL_TABLE_WEBHOOK, number_key(number), out);
}

bool hl_webhook_row_get(struct hl_txn *txn, uint32_t number, struct hl_webhook_row *out)
{
	return hl_webhook_row_peek(txn, number, out) && open_address(txn, out);
}

bool hl_webhook_revision_get(struct hl_txn *txn, uint32_t number, uint32_t revision, struct hl_webhook_row *out)
{
	return row_read(txn, HL_TABLE_WEBHOOK_REVISION, pair_key(number, revision), out) && open_address(txn, out);
}

static void gauge(struct hl_txn *txn, const struct hl_webhook *w, uint64_t n)
{
	hl_totals_edit(txn, w->account)->webhooks[w->state] += n;
	hl_totals_edit(txn, 0)->webhooks[w->state] += n;
}

void hl_webhook_row_put(struct hl_txn *txn, const struct hl_webhook_row *row)
{
	const struct hl_webhook *w = &row->w;
	struct hl_webhook_row old, sealed = *row;
	struct hl_buf address = { 0 };
	HL_CHECK(!row->address.len); /* a row peeked at does not say where it sends */
	bool had = hl_webhook_row_peek(txn, w->number, &old);
	int rc = hl_address_seal(txn->store, w, &address);
	if (rc) {
		hl_buf_fini(&address);
		hl_txn_fail(txn, rc);
		return;
	}
	sealed.address = hl_buf_all(&address);
	hl_buf_reset(&txn->scratch);
	hl_webhook_row_encode(&txn->scratch, &sealed);
	hl_txn_put_scratch(txn, HL_TABLE_WEBHOOK, HL_DBKEY(number_key(w->number)), false);
	sealed.secret = sealed.previous_secret = HL_STR_NONE;
	hl_buf_reset(&txn->scratch);
	hl_webhook_row_encode(&txn->scratch, &sealed);
	hl_buf_fini(&address);
	hl_txn_put_scratch(txn, HL_TABLE_WEBHOOK_REVISION, HL_DBKEY(pair_key(w->number, w->revision)), false);
	if (w->revision > HL_REVISIONS_KEPT)
		(void)hl_txn_del(txn, HL_TABLE_WEBHOOK_REVISION,
				HL_DBKEY(pair_key(w->number, w->revision - HL_REVISIONS_KEPT)));
	if (had)
		gauge(txn, &old.w, UINT64_MAX); /* one less */
	else
		hl_txn_put(txn, HL_TABLE_WEBHOOK_BY_ACCOUNT, HL_DBKEY(pair_key(w->account, w->number)), HL_STR_NONE);
	gauge(txn, w, 1);
	hl_account_generation_raise(txn, w->account);
}

static bool revision_first(struct hl_txn *txn, uint32_t number, uint32_t *out_revision)
{
	struct hl_cursor c;
	hl_cursor_open(&c, txn, HL_TABLE_WEBHOOK_REVISION);
	bool found = hl_cursor_seek(&c, HL_DBKEY(number_key(number))) && hl_cursor_under(&c, HL_DBKEY(number_key(number))) &&
			c.key.len == 8;
	if (found)
		*out_revision = hl_be32_get((const uint8_t *)c.key.ptr + 4);
	hl_cursor_close(&c);
	return found;
}

void hl_webhook_row_del(struct hl_txn *txn, uint32_t number)
{
	struct hl_webhook_row old;
	uint32_t revision;
	if (!hl_webhook_row_peek(txn, number, &old))
		return;
	hl_meta_numbers_keep(txn, HL_TABLE_WEBHOOK, number);
	while (revision_first(txn, number, &revision))
		(void)hl_txn_del(txn, HL_TABLE_WEBHOOK_REVISION, HL_DBKEY(pair_key(number, revision)));
	(void)hl_txn_del(txn, HL_TABLE_WEBHOOK_BY_ACCOUNT, HL_DBKEY(pair_key(old.w.account, number)));
	(void)hl_txn_del(txn, HL_TABLE_WEBHOOK, HL_DBKEY(number_key(number)));
	hl_counts_drop(txn, number);
	gauge(txn, &old.w, UINT64_MAX);
	/* Not raised: the account's generation. Nobody matches a webhook that was deleted before, and the loop, which does not
	 * hear of the job that drops its row, would have every publish of the account refused. */
}

/* The webhook of the account (0 = any) next to a number, above or (back) below it; 0 = none. */
static uint32_t number_beside(struct hl_txn *txn, uint32_t account, uint32_t at, bool back)
{
	struct hl_cursor c;
	uint32_t number = 0;
	if (!back && at == UINT32_MAX)
		return 0;
	at = back ? at : at + 1;
	struct hl_dbkey start = account ? pair_key(account, at) : number_key(at);
	hl_cursor_open(&c, txn, account ? HL_TABLE_WEBHOOK_BY_ACCOUNT : HL_TABLE_WEBHOOK);
	if (back ? hl_cursor_seek_before(&c, HL_DBKEY(start)) : hl_cursor_seek(&c, HL_DBKEY(start))) {
		const uint8_t *k = (const uint8_t *)c.key.ptr;
		if (c.key.len != start.len)
			hl_txn_fail(txn, HL_ECORRUPT);
		else if (!account)
			number = hl_be32_get(k);
		else if (hl_be32_get(k) == account)
			number = hl_be32_get(k + 4);
	}
	hl_cursor_close(&c);
	return number;
}

static void walk(struct hl_txn *txn, uint32_t account, uint32_t at, bool back,
		bool (*each)(void *data, const struct hl_webhook_row *row), void *data)
{
	struct hl_webhook_row row;
	while ((at = number_beside(txn, account, at, back)) != 0) {
		if (!hl_webhook_row_peek(txn, at, &row)) {
			hl_txn_fail(txn, HL_ECORRUPT);
			return;
		}
		if (!each(data, &row))
			return;
	}
}

void hl_webhook_each(struct hl_txn *txn, uint32_t account, uint32_t after,
		bool (*each)(void *data, const struct hl_webhook_row *row), void *data)
{
	walk(txn, account, after, false, each, data);
}

void hl_webhook_each_back(struct hl_txn *txn, uint32_t account, uint32_t before,
		bool (*each)(void *data, const struct hl_webhook_row *row), void *data)
{
	walk(txn, account, before ? before : UINT32_MAX, true, each, data);
}
