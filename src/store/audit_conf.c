/* The audit of configuration and service records: webhooks with revisions and secrets, accounts, keys, servers, event
 * types, idempotency records, jobs. See audit.c for how it goes. */
#include "store/address.h"
#include "store/audit_private.h"
#include "store/idem.h"
#include <inttypes.h>
#include <openssl/crypto.h>

static struct hl_dbkey key32(uint32_t n)
{
	return hl_dbkey_u32(HL_DBKEY_NONE, n);
}

static uint32_t u32_at(struct hl_str s, size_t at)
{
	return hl_be32_get((const uint8_t *)s.ptr + at);
}

static bool opens(struct hl_audit_run *a, enum hl_seal_kind kind, uint64_t number, struct hl_str sealed)
{
	hl_buf_reset(&a->plain);
	int rc = hl_store_unseal(a->store, kind, number, sealed, &a->plain);
	if (a->plain.data)
		OPENSSL_cleanse(a->plain.data, a->plain.cap);
	return rc == 0;
}

/* A secondary entry whose value is the number of a row. */
static bool names_row(struct hl_audit_run *a, struct hl_str value, enum hl_table t, struct hl_str *out_row)
{
	return value.len == 4 && hl_txn_get(&a->txn, t, value, out_row);
}

/* ---- webhooks ---------------------------------------------------------------------------------------------------- */

static void each_webhook(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_webhook_row r;
	a->sum.webhooks++;
	if (key.len != 4 || hl_webhook_row_decode(value, hl_txn_arena(&a->txn), &r) || r.w.number != u32_at(key, 0)) {
		hl_audit_damage(a, "a webhook row is damaged");
		return;
	}
	uint32_t n = r.w.number;
	hl_audit_totals(a, r.w.account)->webhooks[r.w.state]++;
	hl_audit_totals(a, 0)->webhooks[r.w.state]++;
	if (!hl_audit_has(a, HL_TABLE_WEBHOOK_BY_ACCOUNT, hl_dbkey_u32(key32(r.w.account), n)))
		hl_audit_damage(a, "webhook %" PRIu32 ": missing in webhook_by_account", n);
	if (!hl_audit_has(a, HL_TABLE_WEBHOOK_REVISION, hl_dbkey_u32(key32(n), r.w.revision)))
		hl_audit_damage(a, "webhook %" PRIu32 ": its revision %" PRIu32 " is not kept", n, r.w.revision);
	if ((r.secret.len && !opens(a, HL_SEAL_SECRET, n, r.secret)) ||
			(r.previous_secret.len && !opens(a, HL_SEAL_SECRET, n, r.previous_secret)))
		hl_audit_damage(a, "webhook %" PRIu32 ": a secret does not open", n);
	if (hl_address_open(&a->txn, &r))
		hl_audit_damage(a, "webhook %" PRIu32 ": its URL and headers do not open", n);
}

static void each_revision(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_webhook_row r, now;
	if (key.len != 8 || hl_webhook_row_decode(value, hl_txn_arena(&a->txn), &r) || r.w.number != u32_at(key, 0) ||
			r.w.revision != u32_at(key, 4) || r.secret.len || r.previous_secret.len)
		hl_audit_damage(a, "a webhook revision is damaged");
	else if (hl_address_open(&a->txn, &r))
		hl_audit_damage(a, "webhook %" PRIu32 ": URL and headers of revision %" PRIu32 " do not open", r.w.number, r.w.revision);
	else if (!hl_audit_webhook(a, r.w.number, &now) || now.w.revision < r.w.revision)
		hl_audit_damage(a, "webhook %" PRIu32 ": revision %" PRIu32 " without its webhook", r.w.number, r.w.revision);
}

static void each_webhook_by_account(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_webhook_row r;
	a->sum.index_entries++;
	if (key.len != 8 || value.len || !hl_audit_webhook(a, u32_at(key, 4), &r) || r.w.account != u32_at(key, 0))
		hl_audit_damage(a, "webhook_by_account: an entry without its webhook");
}

/* ---- accounts, keys, servers, event types ------------------------------------------------------------------------ */

static void each_account(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_account_row r;
	struct hl_str entry;
	a->sum.accounts++;
	if (key.len != 4 || hl_account_row_decode(value, &r) || r.number != u32_at(key, 0))
		hl_audit_damage(a, "an account row is damaged");
	else if (!hl_txn_get(&a->txn, HL_TABLE_ACCOUNT_BY_ID, r.id, &entry) || !hl_str_eq(entry, key))
		hl_audit_damage(a, "account %" PRIu32 ": missing in account_by_id", r.number);
}

static void each_account_by_id(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_account_row r;
	struct hl_str bytes;
	a->sum.index_entries++;
	if (!names_row(a, value, HL_TABLE_ACCOUNT, &bytes) || hl_account_row_decode(bytes, &r) || !hl_str_eq(r.id, key))
		hl_audit_damage(a, "account_by_id: an entry without its account");
}

static void each_key(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_key_row r;
	struct hl_str entry;
	a->sum.keys++;
	if (key.len != 4 || hl_key_row_decode(value, &r) || r.number != u32_at(key, 0))
		hl_audit_damage(a, "a key row is damaged");
	else if (!hl_txn_get(&a->txn, HL_TABLE_KEY_BY_HASH, hl_str_make(r.sha256, sizeof(r.sha256)), &entry) ||
			!hl_str_eq(entry, key))
		hl_audit_damage(a, "key %" PRIu32 ": missing in key_by_hash", r.number);
}

static void each_key_by_hash(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_key_row r;
	struct hl_str bytes;
	a->sum.index_entries++;
	if (key.len != sizeof(r.sha256) || !names_row(a, value, HL_TABLE_KEY, &bytes) || hl_key_row_decode(bytes, &r) ||
			memcmp(r.sha256, key.ptr, sizeof(r.sha256)) != 0)
		hl_audit_damage(a, "key_by_hash: an entry without its key");
}

static void each_server(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_server_row r;
	a->sum.servers++;
	if (key.len != 8 || hl_server_row_decode(value, &r) || r.number != hl_be64_get((const uint8_t *)key.ptr))
		hl_audit_damage(a, "a server row is damaged");
	else if (!hl_audit_has(a, HL_TABLE_SERVER_BY_ACCOUNT, hl_pair_key(r.account, r.number)))
		hl_audit_damage(a, "server %" PRIu64 ": missing in server_by_account", r.number);
}

static void each_server_by_account(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_server_row r;
	struct hl_str bytes;
	a->sum.index_entries++;
	if (key.len != 12 || value.len || !hl_txn_get(&a->txn, HL_TABLE_SERVER, hl_str_make(key.ptr + 4, 8), &bytes) ||
			hl_server_row_decode(bytes, &r) || r.account != u32_at(key, 0))
		hl_audit_damage(a, "server_by_account: an entry without its server");
}

static void each_event_type(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_event_type t;
	a->sum.event_types++;
	if (hl_event_type_decode(value, &t) || !hl_str_eq(t.name, key))
		hl_audit_damage(a, "an event type is damaged");
}

/* ---- service records --------------------------------------------------------------------------------------------- */

static void each_idem(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_idem_row r;
	a->sum.idem++;
	if (key.len != 8 + HL_IDEM_HASH_LEN || hl_idem_row_decode(value, &r))
		hl_audit_damage(a, "an idempotency record is damaged");
	else if (r.answer.len && !opens(a, HL_SEAL_ANSWER, u32_at(key, 4), r.answer))
		hl_audit_damage(a, "an idempotency record of account %" PRIu32 " does not open", u32_at(key, 4));
}

static void each_job(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_job_row r;
	a->sum.jobs++;
	if (key.len != 8 || hl_job_row_decode(value, &r) || r.number != hl_be64_get((const uint8_t *)key.ptr))
		hl_audit_damage(a, "a job is damaged");
}

int hl_audit_conf(struct hl_audit_run *a)
{
	static const struct {
		enum hl_table table;
		hl_audit_each each;
	} passes[] = {
		{ HL_TABLE_WEBHOOK, each_webhook },
		{ HL_TABLE_WEBHOOK_REVISION, each_revision },
		{ HL_TABLE_WEBHOOK_BY_ACCOUNT, each_webhook_by_account },
		{ HL_TABLE_ACCOUNT, each_account },
		{ HL_TABLE_ACCOUNT_BY_ID, each_account_by_id },
		{ HL_TABLE_KEY, each_key },
		{ HL_TABLE_KEY_BY_HASH, each_key_by_hash },
		{ HL_TABLE_SERVER, each_server },
		{ HL_TABLE_SERVER_BY_ACCOUNT, each_server_by_account },
		{ HL_TABLE_EVENT_TYPE, each_event_type },
		{ HL_TABLE_IDEM, each_idem },
		{ HL_TABLE_JOB, each_job },
	};
	int rc = 0;
	for (size_t i = 0; !rc && i < sizeof(passes) / sizeof(passes[0]); i++)
		rc = hl_audit_table(a, passes[i].table, passes[i].each);
	return rc;
}
