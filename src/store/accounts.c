/* The operator's records: small tables, changed by the API one row at a time. Each secondary entry (account by id,
 * key by hash, server by account) is written and removed here and nowhere else. Walks seek anew for every row, so
 * that `each` may write; they are short. */
#include "store/accounts.h"

static struct hl_dbkey key32(uint32_t n)
{
	return hl_dbkey_u32(HL_DBKEY_NONE, n);
}

static struct hl_dbkey key64(uint64_t n)
{
	return hl_dbkey_u64(HL_DBKEY_NONE, n);
}

static struct hl_dbkey server_pair(uint32_t account, uint64_t number)
{
	return hl_dbkey_u64(key32(account), number);
}

/* First entry ≥ key of a table; its key's bytes go to out_key (key.len of them must fit), its value is copied. */
static bool entry_from(struct hl_txn *txn, enum hl_table t, struct hl_str key, struct hl_str *out_key,
		struct hl_str *out)
{
	struct hl_cursor c;
	hl_cursor_open(&c, txn, t);
	bool found = hl_cursor_seek(&c, key);
	if (found) {
		*out_key = hl_txn_dup(txn, c.key);
		*out = txn->write && c.value.len ? hl_txn_dup(txn, c.value) : c.value;
	}
	hl_cursor_close(&c);
	return found && hl_txn_status(txn) == 0;
}

static void scratch_put(struct hl_txn *txn, enum hl_table t, struct hl_dbkey key)
{
	hl_txn_put_scratch(txn, t, HL_DBKEY(key), false);
}

static bool decoded(struct hl_txn *txn, int rc)
{
	if (rc)
		hl_txn_fail(txn, rc);
	return rc == 0;
}

/* ---- accounts ---------------------------------------------------------------------------------------------------- */

static bool account_read(struct hl_txn *txn, struct hl_str bytes, struct hl_account_row *out)
{
	if (!decoded(txn, hl_account_row_decode(bytes, out)))
		return false;
	out->generation = hl_account_generation(txn, out->number);
	return hl_txn_status(txn) == 0;
}

bool hl_account_row_get(struct hl_txn *txn, uint32_t number, struct hl_account_row *out)
{
	struct hl_str bytes;
	return hl_txn_get_kept(txn, HL_TABLE_ACCOUNT, HL_DBKEY(key32(number)), &bytes) && account_read(txn, bytes, out);
}

bool hl_account_row_find(struct hl_txn *txn, struct hl_str id, struct hl_account_row *out)
{
	struct hl_str bytes;
	if (id.len == 0 || id.len > HL_ACCOUNT_ID_MAX || !hl_txn_get(txn, HL_TABLE_ACCOUNT_BY_ID, id, &bytes))
		return false;
	return decoded(txn, bytes.len == 4 ? 0 : HL_ECORRUPT) &&
			hl_account_row_get(txn, hl_be32_get((const uint8_t *)bytes.ptr), out);
}

void hl_account_row_put(struct hl_txn *txn, const struct hl_account_row *row)
{
	struct hl_account_row old, other;
	struct hl_dbkey number = key32(row->number);
	bool had = hl_account_row_get(txn, row->number, &old);
	bool same_id = had && hl_str_eq(old.id, row->id);
	if (!same_id && hl_account_row_find(txn, row->id, &other)) {
		hl_txn_fail(txn, HL_EEXIST);
		return;
	}
	hl_buf_reset(&txn->scratch);
	hl_account_row_encode(&txn->scratch, row);
	scratch_put(txn, HL_TABLE_ACCOUNT, number);
	if (same_id)
		return;
	if (had)
		(void)hl_txn_del(txn, HL_TABLE_ACCOUNT_BY_ID, old.id);
	hl_txn_put(txn, HL_TABLE_ACCOUNT_BY_ID, row->id, HL_DBKEY(number));
}

void hl_account_row_del(struct hl_txn *txn, uint32_t number)
{
	struct hl_account_row old;
	if (!hl_account_row_get(txn, number, &old))
		return;
	hl_meta_numbers_keep(txn, HL_TABLE_ACCOUNT, number);
	(void)hl_txn_del(txn, HL_TABLE_ACCOUNT_BY_ID, old.id);
	(void)hl_txn_del(txn, HL_TABLE_ACCOUNT, HL_DBKEY(key32(number)));
}

void hl_account_row_each(struct hl_txn *txn, uint32_t after, bool (*each)(void *data, const struct hl_account_row *row),
		void *data)
{
	struct hl_str key, bytes;
	struct hl_account_row row;
	while (after < UINT32_MAX && entry_from(txn, HL_TABLE_ACCOUNT, HL_DBKEY(key32(after + 1)), &key, &bytes) &&
			account_read(txn, bytes, &row) && each(data, &row))
		after = row.number;
}

uint64_t hl_account_generation(struct hl_txn *txn, uint32_t account)
{
	struct hl_totals t;
	hl_totals_get(txn, account, &t);
	return t.generation;
}

void hl_account_generation_raise(struct hl_txn *txn, uint32_t account)
{
	hl_totals_edit(txn, account)->generation++;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

bool hl_key_row_get(struct hl_txn *txn, uint32_t number, struct hl_key_row *out)
{
	struct hl_str bytes;
	return hl_txn_get_kept(txn, HL_TABLE_KEY, HL_DBKEY(key32(number)), &bytes) &&
			decoded(txn, hl_key_row_decode(bytes, out));
}

bool hl_key_row_find(struct hl_txn *txn, const uint8_t sha256[32], struct hl_key_row *out)
{
	struct hl_str bytes;
	if (!hl_txn_get(txn, HL_TABLE_KEY_BY_HASH, hl_str_make(sha256, 32), &bytes))
		return false;
	return decoded(txn, bytes.len == 4 ? 0 : HL_ECORRUPT) &&
			hl_key_row_get(txn, hl_be32_get((const uint8_t *)bytes.ptr), out);
}

void hl_key_row_put(struct hl_txn *txn, const struct hl_key_row *row)
{
	struct hl_key_row old;
	struct hl_dbkey number = key32(row->number);
	bool had = hl_key_row_get(txn, row->number, &old);
	hl_buf_reset(&txn->scratch);
	hl_key_row_encode(&txn->scratch, row);
	scratch_put(txn, HL_TABLE_KEY, number);
	if (had && memcmp(old.sha256, row->sha256, sizeof(old.sha256)) == 0)
		return;
	if (had)
		(void)hl_txn_del(txn, HL_TABLE_KEY_BY_HASH, hl_str_make(old.sha256, sizeof(old.sha256)));
	hl_txn_put(txn, HL_TABLE_KEY_BY_HASH, hl_str_make(row->sha256, sizeof(row->sha256)), HL_DBKEY(number));
}

void hl_key_row_del(struct hl_txn *txn, uint32_t number)
{
	struct hl_key_row old;
	if (!hl_key_row_get(txn, number, &old))
		return;
	hl_meta_numbers_keep(txn, HL_TABLE_KEY, number);
	(void)hl_txn_del(txn, HL_TABLE_KEY_BY_HASH, hl_str_make(old.sha256, sizeof(old.sha256)));
	(void)hl_txn_del(txn, HL_TABLE_KEY, HL_DBKEY(key32(number)));
}

void hl_key_row_each(struct hl_txn *txn, uint32_t after, bool (*each)(void *data, const struct hl_key_row *row),
		void *data)
{
	struct hl_str key, bytes;
	struct hl_key_row row;
	while (after < UINT32_MAX && entry_from(txn, HL_TABLE_KEY, HL_DBKEY(key32(after + 1)), &key, &bytes) &&
			decoded(txn, hl_key_row_decode(bytes, &row)) && each(data, &row))
		after = row.number;
}

/* ---- servers ----------------------------------------------------------------------------------------------------- */

bool hl_server_row_get(struct hl_txn *txn, uint64_t number, struct hl_server_row *out)
{
	struct hl_str bytes;
	return hl_txn_get_kept(txn, HL_TABLE_SERVER, HL_DBKEY(key64(number)), &bytes) &&
			decoded(txn, hl_server_row_decode(bytes, out));
}

void hl_server_row_put(struct hl_txn *txn, const struct hl_server_row *row)
{
	struct hl_server_row old;
	bool had = hl_server_row_get(txn, row->number, &old);
	hl_buf_reset(&txn->scratch);
	hl_server_row_encode(&txn->scratch, row);
	scratch_put(txn, HL_TABLE_SERVER, key64(row->number));
	if (had && old.account == row->account)
		return;
	if (had)
		(void)hl_txn_del(txn, HL_TABLE_SERVER_BY_ACCOUNT, HL_DBKEY(server_pair(old.account, row->number)));
	hl_txn_put(txn, HL_TABLE_SERVER_BY_ACCOUNT, HL_DBKEY(server_pair(row->account, row->number)), HL_STR_NONE);
}

void hl_server_row_del(struct hl_txn *txn, uint64_t number)
{
	struct hl_server_row old;
	if (!hl_server_row_get(txn, number, &old))
		return;
	hl_meta_numbers_keep(txn, HL_TABLE_SERVER, number);
	(void)hl_txn_del(txn, HL_TABLE_SERVER_BY_ACCOUNT, HL_DBKEY(server_pair(old.account, number)));
	(void)hl_txn_del(txn, HL_TABLE_SERVER, HL_DBKEY(key64(number)));
}

/* The next server of the account (0 = any) after a number. */
static bool server_after(struct hl_txn *txn, uint32_t account, uint64_t after, struct hl_server_row *out)
{
	struct hl_str key, bytes;
	if (after == UINT64_MAX)
		return false;
	if (!account)
		return entry_from(txn, HL_TABLE_SERVER, HL_DBKEY(key64(after + 1)), &key, &bytes) &&
				decoded(txn, hl_server_row_decode(bytes, out));
	if (!entry_from(txn, HL_TABLE_SERVER_BY_ACCOUNT, HL_DBKEY(server_pair(account, after + 1)), &key, &bytes) ||
			!decoded(txn, key.len == 12 ? 0 : HL_ECORRUPT) || hl_be32_get((const uint8_t *)key.ptr) != account)
		return false;
	if (hl_server_row_get(txn, hl_be64_get((const uint8_t *)key.ptr + 4), out))
		return true;
	hl_txn_fail(txn, HL_ECORRUPT);
	return false;
}

void hl_server_row_each(struct hl_txn *txn, uint32_t account, uint64_t after,
		bool (*each)(void *data, const struct hl_server_row *row), void *data)
{
	struct hl_server_row row;
	while (server_after(txn, account, after, &row) && each(data, &row))
		after = row.number;
}

/* ---- event types ------------------------------------------------------------------------------------------------- */

bool hl_event_type_row_get(struct hl_txn *txn, struct hl_str name, struct hl_event_type *out)
{
	struct hl_str bytes;
	return name.len > 0 && name.len <= HL_EVENT_TYPE_MAX && hl_txn_get_kept(txn, HL_TABLE_EVENT_TYPE, name, &bytes) &&
			decoded(txn, hl_event_type_decode(bytes, out));
}

void hl_event_type_row_put(struct hl_txn *txn, const struct hl_event_type *t)
{
	hl_buf_reset(&txn->scratch);
	hl_event_type_encode(&txn->scratch, t);
	hl_txn_put_scratch(txn, HL_TABLE_EVENT_TYPE, t->name, false);
	hl_account_generation_raise(txn, 0);
}

bool hl_event_type_row_del(struct hl_txn *txn, struct hl_str name)
{
	if (name.len == 0 || name.len > HL_EVENT_TYPE_MAX || !hl_txn_del(txn, HL_TABLE_EVENT_TYPE, name))
		return false;
	hl_account_generation_raise(txn, 0);
	return true;
}

void hl_event_type_row_each(struct hl_txn *txn, bool (*each)(void *data, const struct hl_event_type *t), void *data)
{
	struct hl_str key, bytes;
	struct hl_event_type t;
	char after[HL_EVENT_TYPE_MAX + 1] = ""; /* the name just seen and a NUL: the smallest key behind it */
	size_t n = 1;
	while (entry_from(txn, HL_TABLE_EVENT_TYPE, hl_str_make(after, n), &key, &bytes) &&
			decoded(txn, hl_event_type_decode(bytes, &t)) &&
			decoded(txn, key.len <= HL_EVENT_TYPE_MAX ? 0 : HL_ECORRUPT) && each(data, &t)) {
		memcpy(after, key.ptr, key.len);
		after[key.len] = '\0';
		n = key.len + 1;
	}
}
