/* Keys on a store that no server has open: one write transaction per call, committed before it returns. */
#include "service/offline.h"

#include "base/err.h"
#include "service/internal.h"

/* Ends a write transaction: commits what went well. */
static int finish(struct hl_txn *txn, int rc, struct hl_err *err)
{
	if (rc || (rc = hl_txn_status(txn))) {
		hl_store_abort(txn);
		return err && err->code == rc ? rc : hl_err_set(err, rc, "%s", hl_strerror(rc));
	}
	rc = hl_store_commit(txn);
	return rc ? hl_err_set(err, rc, "commit: %s", hl_strerror(rc)) : HL_OK;
}

static int begin(struct hl_store *store, struct hl_txn **out, struct hl_err *err)
{
	int rc = hl_store_begin_write(store, out);
	if (err)
		memset(err, 0, sizeof(*err));
	return rc ? hl_err_set(err, rc, "begin: %s", hl_strerror(rc)) : HL_OK;
}

int hl_offline_prepare(struct hl_store *store, const struct hl_env *env, struct hl_err *err)
{
	struct hl_txn *txn;
	int rc = begin(store, &txn, err);
	if (rc)
		return rc;
	hl_account_default_put(txn, hl_env_wall_ms(env));
	return finish(txn, HL_OK, err);
}

static int find_account(struct hl_txn *txn, struct hl_str id, uint32_t *out, struct hl_err *err)
{
	struct hl_account_row row;
	if (!id.len)
		id = HL_STR("default");
	if (!hl_account_row_find(txn, id, &row)) {
		int rc = hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
		return hl_err_set(err, rc, "there is no account \"%.*s\"", HL_FMT(id));
	}
	*out = row.number;
	return HL_OK;
}

static int create(struct hl_txn *txn, const struct hl_env *env, struct hl_str account, const struct hl_key *k, char *out_text,
		struct hl_err *err)
{
	struct hl_numbers numbers;
	struct hl_key key = *k;
	struct hl_key_row row;
	if (!k->scopes || (k->scopes & ~(unsigned)HL_SCOPE_ALL))
		return hl_err_field(err, HL_EINVAL, "/scopes", "name at least one of admin, publish, manage, read");
	int rc = find_account(txn, account, &key.account, err);
	if (rc)
		return rc;
	hl_store_next_numbers(txn, &numbers);
	key.number = numbers.key;
	key.created_at_ms = hl_env_wall_ms(env);
	hl_key_text_make(env, key.number, out_text);
	hl_key_row_make(&key, out_text, &row);
	hl_key_row_put(txn, &row);
	return HL_OK;
}

int hl_offline_key_create(struct hl_store *store, const struct hl_env *env, struct hl_str account, const struct hl_key *k,
		char out_text[HL_KEY_TEXT_CAP], struct hl_err *err)
{
	struct hl_txn *txn;
	int rc = begin(store, &txn, err);
	if (rc)
		return rc;
	hl_account_default_put(txn, hl_env_wall_ms(env));
	return finish(txn, create(txn, env, account, k, out_text, err), err);
}

struct each {
	bool (*fn)(void *data, const struct hl_key *k, struct hl_str account_id);
	void *data;
	struct hl_txn *txn;
	uint32_t account; /* 0 = all */
};

static bool each_row(void *data, const struct hl_key_row *row)
{
	struct each *e = data;
	struct hl_account_row account;
	struct hl_key k;
	if (e->account && row->account != e->account)
		return true;
	if (!hl_account_row_get(e->txn, row->account, &account))
		account.id = HL_STR("?");
	hl_key_from_row(row, &k);
	return e->fn(e->data, &k, account.id);
}

int hl_offline_key_each(struct hl_store *store, struct hl_str account,
		bool (*each)(void *data, const struct hl_key *k, struct hl_str account_id), void *data, struct hl_err *err)
{
	struct each e = { .fn = each, .data = data, .txn = hl_store_read(store) };
	int rc = account.len ? find_account(e.txn, account, &e.account, err) : HL_OK;
	if (!rc) {
		hl_key_row_each(e.txn, 0, each_row, &e);
		rc = hl_txn_status(e.txn);
		if (rc)
			hl_err_set(err, rc, "read keys: %s", hl_strerror(rc));
	}
	hl_store_read_reset(store);
	return rc;
}

int hl_offline_key_revoke(struct hl_store *store, const struct hl_env *env, struct hl_str key, struct hl_err *err)
{
	struct hl_txn *txn;
	struct hl_key_row row;
	uint32_t number;
	if (hl_key_prefix_parse(key, &number) && hl_key_text_parse(key, &number))
		return hl_err_set(err, HL_ENOTFOUND, "this is neither a key nor the prefix of one");
	int rc = begin(store, &txn, err);
	if (rc)
		return rc;
	if (!hl_key_row_get(txn, number, &row))
		return finish(txn, hl_err_set(err, hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND, "there is no such key"), err);
	if (!row.revoked_at_ms) {
		row.revoked_at_ms = hl_env_wall_ms(env);
		hl_key_row_put(txn, &row);
	}
	return finish(txn, HL_OK, err);
}
