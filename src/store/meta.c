/* The gate: a store says what it is before anything else is read. Happy path: the record "format" decodes, has our
 * version, and the sealing key opens its check value. A fresh environment gets one. Everything else is refused with
 * the reason: another program's tables (no record), damage (a record that does not decode), a newer version, another
 * key.
 *
 * Numbers: the next one follows the newest row of its table. Rows may be deleted, the newest included, and a number
 * must never come back; so before a delete the number after the newest row is kept in "numbers", once per such row. */
#include "store/meta.h"
#include "base/err.h"
#include "store/pack.h"

static const struct hl_str name_format = HL_STR("format");
static const struct hl_str name_index = HL_STR("index");
static const struct hl_str name_numbers = HL_STR("numbers");
static const struct hl_str name_catalogue = HL_STR("catalogue");
static const struct hl_str check_text = HL_STR("the sealing key is right");

/* Writes the format record with a check value for `key`. */
static void format_put(struct hl_txn *txn, struct hl_format_row *f, const struct hl_seal_key *key,
		const struct hl_env *env)
{
	struct hl_buf check = { 0 };
	int rc = hl_seal(key, env, HL_SEAL_CHECK, 0, check_text, &check);
	if (rc)
		hl_txn_fail(txn, rc);
	memcpy(f->key_id, key->id, sizeof(f->key_id));
	f->key_check = hl_buf_all(&check);
	hl_buf_reset(&txn->scratch);
	hl_format_row_encode(&txn->scratch, f);
	hl_txn_put_scratch(txn, HL_TABLE_META, name_format, false);
	hl_buf_fini(&check);
	f->key_check = HL_STR_NONE;
}

void hl_meta_key_put(struct hl_txn *txn, const struct hl_seal_key *key, const struct hl_env *env)
{
	struct hl_str bytes;
	struct hl_format_row f;
	if (hl_txn_get(txn, HL_TABLE_META, name_format, &bytes) && hl_format_row_decode(bytes, &f) == 0)
		format_put(txn, &f, key, env);
	else
		hl_txn_fail(txn, HL_ECORRUPT);
}

static int format_make(struct hl_txn *txn, const struct hl_seal_key *key, const struct hl_env *env,
		struct hl_format_row *out, struct hl_err *err)
{
	struct hl_format_row f = { .version = HL_FORMAT_VERSION, .created_at_ms = hl_env_wall_ms(env) };
	hl_env_random(env, f.uuid, sizeof(f.uuid));
	hl_env_random(env, f.id_key, sizeof(f.id_key));
	format_put(txn, &f, key, env);
	*out = f;
	return hl_txn_status(txn) ? hl_err_set(err, hl_txn_status(txn), "cannot write the format record") : 0;
}

/* An older store becomes one of ours: its rows are read as they are, its tables are made by who opens them. From then on the
 * older program refuses it. */
static int raise_format(struct hl_txn *txn, const struct hl_format_row *found, const struct hl_seal_key *key,
		const struct hl_env *env, struct hl_err *err)
{
	struct hl_format_row f = *found;
	if (f.version == HL_FORMAT_VERSION)
		return 0;
	if (!txn->write)
		return hl_err_set(err, HL_EVERSION, "the store has format %u, this program's is %d; \"hookline migrate\" or a start "
				"of the server brings it there", f.version, HL_FORMAT_VERSION);
	f.version = HL_FORMAT_VERSION;
	format_put(txn, &f, key, env);
	return hl_txn_status(txn) ? hl_err_set(err, hl_txn_status(txn), "cannot write the format record") : 0;
}

int hl_meta_gate(struct hl_txn *txn, bool fresh, const struct hl_seal_key *key, const struct hl_env *env,
		struct hl_format_row *out, struct hl_err *err)
{
	struct hl_str bytes;
	if (fresh && txn->write)
		return format_make(txn, key, env, out, err);
	if (fresh)
		return hl_err_set(err, HL_ENOTFOUND, "there is no store yet");
	if (!hl_txn_get(txn, HL_TABLE_META, name_format, &bytes))
		return hl_err_set(err, HL_EVERSION, "data.mdb belongs to another program");
	struct hl_format_row f = { 0 };
	int rc = hl_format_row_decode(bytes, &f);
	if (rc == HL_EVERSION)
		return hl_err_set(err, rc, "the store has format %u, this program knows up to %d; use a newer one",
				f.version, HL_FORMAT_VERSION);
	if (rc)
		return hl_err_set(err, rc, "data.mdb is damaged, restore a backup: the format record");
	rc = key ? hl_meta_key_check(&f, key, err) : 0;
	f.key_check = HL_STR_NONE;
	rc = rc ? rc : raise_format(txn, &f, key, env, err);
	if (!rc)
		*out = f;
	return rc;
}

int hl_meta_key_check(const struct hl_format_row *f, const struct hl_seal_key *key, struct hl_err *err)
{
	struct hl_buf plain = { 0 };
	if (memcmp(f->key_id, key->id, sizeof(f->key_id)) != 0)
		return hl_err_set(err, HL_EKEY, "the store was sealed with another key; name that one in store.key_file "
				"(after --rekey it is the new one)");
	int rc = hl_unseal(key, HL_SEAL_CHECK, 0, f->key_check, &plain);
	if (!rc && !hl_str_eq(hl_buf_all(&plain), check_text))
		rc = HL_EKEY;
	hl_buf_fini(&plain);
	return rc ? hl_err_set(err, rc, "the sealing key does not open the store's check value") : 0;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static void marks_get(struct hl_txn *txn, struct hl_numbers *out)
{
	struct hl_str bytes;
	*out = (struct hl_numbers){ .event = 1, .delivery = 1, .server = 1, .job = 1, .webhook = 1, .key = 1,
		.account = HL_ACCOUNT_DEFAULT + 1, .alert = 1, .block = 1 };
	if (hl_txn_get(txn, HL_TABLE_META, name_numbers, &bytes) && hl_numbers_decode(bytes, out))
		hl_txn_fail(txn, HL_ECORRUPT);
}

/* The number after the newest row of a table keyed by number. */
static uint64_t after_last(struct hl_txn *txn, enum hl_table t)
{
	struct hl_cursor c;
	uint64_t n = 1;
	hl_cursor_open(&c, txn, t);
	if (hl_cursor_last(&c)) {
		if (c.key.len == 8)
			n = hl_be64_get((const uint8_t *)c.key.ptr) + 1;
		else if (c.key.len == 4)
			n = (uint64_t)hl_be32_get((const uint8_t *)c.key.ptr) + 1;
		else
			hl_txn_fail(txn, HL_ECORRUPT);
	}
	hl_cursor_close(&c);
	return n;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void hl_store_next_numbers(struct hl_txn *txn, struct hl_numbers *out)
{
	struct hl_numbers n;
	marks_get(txn, &n);
	n.event = later(n.event, after_last(txn, HL_TABLE_EVENT));
	n.delivery = later(n.delivery, after_last(txn, HL_TABLE_DELIVERY));
	n.server = later(n.server, after_last(txn, HL_TABLE_SERVER));
	n.job = later(n.job, after_last(txn, HL_TABLE_JOB));
	n.webhook = (uint32_t)later(n.webhook, after_last(txn, HL_TABLE_WEBHOOK));
	n.account = (uint32_t)later(n.account, after_last(txn, HL_TABLE_ACCOUNT));
	n.key = (uint32_t)later(n.key, after_last(txn, HL_TABLE_KEY));
	n.alert = later(n.alert, after_last(txn, HL_TABLE_ALERT));
	n.block = later(n.block, after_last(txn, HL_TABLE_MARKET_LOG));
	*out = n;
}

static bool below_mark(const struct hl_numbers *n, enum hl_table t, uint64_t number)
{
	switch (t) {
	case HL_TABLE_EVENT: return number < n->event;
	case HL_TABLE_DELIVERY: return number < n->delivery;
	case HL_TABLE_SERVER: return number < n->server;
	case HL_TABLE_JOB: return number < n->job;
	case HL_TABLE_WEBHOOK: return number < n->webhook;
	case HL_TABLE_ACCOUNT: return number < n->account;
	case HL_TABLE_KEY: return number < n->key;
	case HL_TABLE_ALERT: return number < n->alert;
	case HL_TABLE_MARKET_LOG: return number < n->block;
	default: return true;
	}
}

void hl_meta_numbers_keep(struct hl_txn *txn, enum hl_table t, uint64_t number)
{
	struct hl_numbers n;
	marks_get(txn, &n);
	if (below_mark(&n, t, number))
		return;
	hl_store_next_numbers(txn, &n);
	hl_buf_reset(&txn->scratch);
	hl_numbers_encode(&txn->scratch, &n);
	hl_txn_put_scratch(txn, HL_TABLE_META, name_numbers, false);
}

/* ---- the first catalogue ----------------------------------------------------------------------------------------- */

bool hl_meta_is_new(struct hl_txn *txn)
{
	struct hl_str bytes;
	struct hl_numbers n;
	if (hl_txn_get(txn, HL_TABLE_META, name_catalogue, &bytes))
		return false;
	hl_store_next_numbers(txn, &n);
	return n.event == 1 && n.webhook == 1 && hl_txn_entries(txn, HL_TABLE_EVENT_TYPE) == 0 && hl_txn_status(txn) == 0;
}

void hl_meta_new_end(struct hl_txn *txn)
{
	hl_txn_put(txn, HL_TABLE_META, name_catalogue, HL_STR("1"));
}

/* ---- index bounds ------------------------------------------------------------------------------------------------ */

const struct hl_index_bounds *hl_txn_bounds(struct hl_txn *txn)
{
	struct hl_str bytes;
	if (txn->bounds_known)
		return &txn->bounds;
	txn->bounds = (struct hl_index_bounds){ 1, 1, 1, 1, 0 };
	if (hl_txn_get(txn, HL_TABLE_META, name_index, &bytes) && hl_index_bounds_decode(bytes, &txn->bounds))
		hl_txn_fail(txn, HL_ECORRUPT);
	txn->bounds_known = txn->status == 0;
	return &txn->bounds;
}

void hl_txn_bounds_put(struct hl_txn *txn, const struct hl_index_bounds *b)
{
	txn->bounds = *b;
	txn->bounds_known = true;
	hl_buf_reset(&txn->scratch);
	hl_index_bounds_encode(&txn->scratch, b);
	hl_txn_put_scratch(txn, HL_TABLE_META, name_index, false);
}
