/* Keys. Somebody presents a text: its check digits tell the number, the number finds the entry (cache, else row), the
 * SHA-256 of the text must equal the stored one, compared in constant time; then revocation and expiry are looked at.
 * Both checks cost more than the rest of a small request, so an entry remembers the text that passed them: as 128 bits of
 * SipHash under a key only this process knows, which nobody can aim at and which tells nothing about the text.
 *
 * Failures: everything up to the comparison is HL_ENOTFOUND alike, so an answer tells nothing about keys that exist.
 * last_used_at is written behind, at most once a minute per key, and lost in a crash: it is a hint for people. */
#include "service/internal.h"

#include "base/codec.h"
#include "base/err.h"
#include "base/siphash.h"
#include "base/str.h"
#include "base/utf8.h"
#include "dispatch/dispatcher.h"
#include "service/digest.h"

#include <stdlib.h>

enum { USED_EVERY_MS = 60000 };

struct key_entry {
	struct hl_cache_entry cache;
	struct hl_key key;       /* name points into `name` */
	uint8_t sha256[32];
	bool passed;             /* a text was found right: */
	uint64_t mac[2];         /* …the one with this hash */
	hl_ms_t noted_mono_ms;   /* when its use was last written, 0 = not by this process */
	char name[];
};

static void entry_destroy(struct hl_cache *cache, struct hl_cache_entry *e)
{
	(void)cache;
	free(HL_CONTAINER_OF(e, struct key_entry, cache));
}

void hl_keys_init(struct hl_service *s, size_t cache_max)
{
	hl_cache_init(&s->keys, cache_max, entry_destroy, s);
	hl_env_random(s->env, s->key_mac, sizeof(s->key_mac));
}

void hl_keys_fini(struct hl_service *s)
{
	hl_cache_fini(&s->keys);
}

void hl_key_from_row(const struct hl_key_row *row, struct hl_key *out)
{
	*out = (struct hl_key){
		.number = row->number, .account = row->account, .dialect = row->dialect, .scopes = row->scopes, .name = row->name,
		.created_at_ms = row->created_at_ms, .expires_at_ms = row->expires_at_ms,
		.revoked_at_ms = row->revoked_at_ms, .last_used_at_ms = row->last_used_at_ms,
	};
	memcpy(out->prefix, row->prefix.ptr, HL_MIN(row->prefix.len, sizeof(out->prefix) - 1));
	memcpy(out->last4, row->last4, sizeof(out->last4));
}

void hl_key_row_make(const struct hl_key *k, const char *text, struct hl_key_row *out)
{
	struct hl_str whole = hl_str_from(text);
	*out = (struct hl_key_row){
		.number = k->number, .account = k->account, .dialect = (uint8_t)k->dialect, .scopes = k->scopes, .name = k->name,
		.prefix = hl_str_make(text, HL_KEY_PREFIX_LEN), .created_at_ms = k->created_at_ms,
		.expires_at_ms = k->expires_at_ms,
	};
	memcpy(out->last4, text + HL_KEY_TEXT_LEN - 4, 5);
	hl_sha256(&whole, 1, out->sha256);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int entry_get(struct hl_service *s, uint32_t number, struct key_entry **out)
{
	struct hl_cache_entry *hit = hl_cache_get(&s->keys, number);
	struct hl_key_row row;
	if (hit) {
		*out = HL_CONTAINER_OF(hit, struct key_entry, cache);
		return HL_OK;
	}
	struct hl_txn *txn = hl_store_read(s->store);
	if (!hl_key_row_get(txn, number, &row))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	struct key_entry *e = calloc(1, sizeof(*e) + row.name.len + 1);
	if (!e)
		return HL_ENOMEM;
	if (row.name.len)
		memcpy(e->name, row.name.ptr, row.name.len);
	hl_key_from_row(&row, &e->key);
	e->key.name.ptr = e->name;
	memcpy(e->sha256, row.sha256, sizeof(e->sha256));
	if (!hl_cache_put(&s->keys, &e->cache, number)) {
		free(e);
		return HL_ENOMEM;
	}
	*out = e;
	return HL_OK;
}

int hl_key_get(struct hl_service *s, uint32_t number, struct hl_key *out)
{
	struct key_entry *e;
	int rc = entry_get(s, number, &e);
	if (!rc)
		*out = e->key;
	return rc;
}

static int used_apply(struct hl_change *c, struct hl_txn *txn)
{
	struct hl_key_row row;
	if (hl_key_row_get(txn, c->key.number, &row) && row.last_used_at_ms < c->key.last_used_at_ms) {
		row.last_used_at_ms = c->key.last_used_at_ms;
		hl_key_row_put(txn, &row);
	}
	return HL_OK;
}

/* Nobody waits for it, and a failure is not worth a word. */
static void note_use(struct hl_service *s, struct key_entry *e)
{
	hl_ms_t mono = hl_env_mono_ms(s->env), wall = hl_env_wall_ms(s->env);
	if (e->noted_mono_ms && mono - e->noted_mono_ms < USED_EVERY_MS)
		return;
	e->noted_mono_ms = mono ? mono : 1;
	if (wall - e->key.last_used_at_ms < USED_EVERY_MS && wall >= e->key.last_used_at_ms)
		return;
	struct hl_change *c = hl_change_new(s, used_apply, NULL, NULL, NULL);
	if (!c)
		return;
	e->key.last_used_at_ms = wall;
	c->key = e->key;
	c->command.priority = HL_PRIO_JOB;
	hl_change_submit(c);
}

static bool text_right(struct hl_service *s, struct key_entry *e, struct hl_str text)
{
	uint32_t number;
	uint8_t sha256[32];
	uint64_t mac[2];
	for (int i = 0; i < 2; i++)
		mac[i] = hl_siphash(s->key_mac[i], text.ptr, text.len);
	if (e->passed && hl_bytes_eq(mac, e->mac, sizeof(mac)))
		return true;
	if (hl_key_text_parse(text, &number))
		return false;
	hl_sha256(&text, 1, sha256);
	if (!hl_bytes_eq(sha256, e->sha256, sizeof(sha256)))
		return false;
	e->passed = true;
	memcpy(e->mac, mac, sizeof(mac));
	return true;
}

int hl_key_authenticate(struct hl_service *s, struct hl_str text, struct hl_key *out)
{
	uint32_t number;
	struct key_entry *e;
	if (text.len != HL_KEY_TEXT_LEN || hl_key_prefix_parse(hl_str_make(text.ptr, HL_KEY_PREFIX_LEN), &number))
		return HL_ENOTFOUND;
	int rc = entry_get(s, number, &e);
	if (rc)
		return rc;
	if (!text_right(s, e, text))
		return HL_ENOTFOUND;
	if (e->key.revoked_at_ms)
		return HL_EPERM;
	if (e->key.expires_at_ms && hl_env_wall_ms(s->env) >= e->key.expires_at_ms)
		return HL_ETIMEDOUT;
	note_use(s, e);
	*out = e->key;
	return HL_OK;
}

static bool list_decode(void *data, struct hl_txn *txn, uint64_t number, struct hl_str value, void *out_row)
{
	uint32_t account = *(const uint32_t *)data;
	struct hl_key_row row;
	if (hl_key_row_decode(value, &row)) {
		hl_txn_fail(txn, HL_ECORRUPT);
		return false;
	}
	row.number = (uint32_t)number;
	hl_key_from_row(&row, out_row);
	return !account || row.account == account;
}

int hl_key_list(struct hl_service *s, uint32_t account, const struct hl_page *page, struct hl_key *out, size_t *out_n,
		struct hl_page_info *info)
{
	struct hl_rows rows = {
		.table = HL_TABLE_KEY, .number_len = 4, .size = sizeof(*out), .decode = list_decode, .data = &account,
	};
	return hl_rows_page(hl_store_read(s->store), &rows, page, out, out_n, info);
}

/* ---- changing ----------------------------------------------------------------------------------------------------- */

static int create_apply(struct hl_change *c, struct hl_txn *txn)
{
	struct hl_account_row account;
	struct hl_key_row row;
	if (!hl_account_row_get(txn, c->key.account, &account)) {
		hl_err_field(&c->err, HL_ENOTFOUND, "/account", "there is no such account");
		return HL_ENOTFOUND;
	}
	hl_key_row_make(&c->key, c->result.secret.ptr, &row);
	hl_key_row_put(txn, &row);
	return HL_OK;
}

static void key_landed(struct hl_change *c)
{
	hl_cache_drop(&c->service->keys, c->key.number);
	c->result.object = &c->key;
	hl_log(c->service->log, HL_LOG_INFO, "key.created", "key=%s account=%u scopes=%u", c->key.prefix, c->key.account,
			c->key.scopes);
}

static int check(const struct hl_service *s, const struct hl_key *k, struct hl_err *err)
{
	if (!k->scopes || (k->scopes & ~(unsigned)HL_SCOPE_ALL))
		return hl_err_field(err, HL_EINVAL, "/scopes", "must name at least one of admin, publish, manage, read");
	if (!hl_utf8_valid(k->name) || hl_utf8_count(k->name) > HL_NAME_MAX)
		return hl_err_field(err, HL_EINVAL, "/name", "must not be longer than %d characters", HL_NAME_MAX);
	if (k->expires_at_ms && k->expires_at_ms <= hl_env_wall_ms(s->env))
		return hl_err_field(err, HL_EINVAL, "/expires_at", "must be in the future");
	return HL_OK;
}

int hl_key_create(struct hl_service *s, const struct hl_key *k, const struct hl_idempotency *idem, hl_change_cb cb,
		void *data, struct hl_err *err)
{
	char text[HL_KEY_TEXT_CAP];
	int rc = check(s, k, err);
	if (rc)
		return rc;
	struct hl_change *c = hl_change_new(s, create_apply, key_landed, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "no memory for the change");
	c->key = (struct hl_key){
		.number = (uint32_t)hl_dispatcher_numbers_take(s->dispatcher, HL_ID_KEY), .account = k->account,
		.dialect = k->dialect, .scopes = k->scopes, .expires_at_ms = k->expires_at_ms,
		.created_at_ms = hl_env_wall_ms(s->env), .name = hl_change_dup(c, k->name),
	};
	hl_key_text_make(s->env, c->key.number, text);
	memcpy(c->key.prefix, text, HL_KEY_PREFIX_LEN);
	memcpy(c->key.last4, text + HL_KEY_TEXT_LEN - 4, 5);
	c->command.grows = true;
	c->result.secret = hl_change_dup(c, hl_str_from(text));
	explicit_bzero(text, sizeof(text));
	rc = c->key.name.ptr && c->result.secret.ptr ? HL_OK : HL_ENOMEM;
	if (!rc)
		rc = hl_change_once(c, HL_ACCOUNT_DEFAULT, idem, &c->key, c->result.secret);
	if (rc) {
		hl_change_free(c);
		return hl_err_set(err, rc, "%s", hl_strerror(rc));
	}
	hl_change_submit(c);
	return HL_OK;
}

static int revoke_apply(struct hl_change *c, struct hl_txn *txn)
{
	struct hl_key_row row;
	if (!hl_key_row_get(txn, c->key.number, &row))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	if (!row.revoked_at_ms) {
		row.revoked_at_ms = c->key.revoked_at_ms;
		hl_key_row_put(txn, &row);
	}
	return HL_OK;
}

static void revoke_landed(struct hl_change *c)
{
	hl_cache_drop(&c->service->keys, c->key.number);
	if (!hl_key_get(c->service, c->key.number, &c->key))
		c->result.object = &c->key;
	hl_log(c->service->log, HL_LOG_INFO, "key.revoked", "key=%s account=%u", c->key.prefix, c->key.account);
}

int hl_key_revoke(struct hl_service *s, uint32_t number, hl_change_cb cb, void *data, struct hl_err *err)
{
	struct hl_key k;
	int rc = hl_key_get(s, number, &k);
	if (rc)
		return hl_err_set(err, rc, "there is no such key");
	struct hl_change *c = hl_change_new(s, revoke_apply, revoke_landed, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "no memory for the change");
	c->key.number = number;
	c->key.revoked_at_ms = hl_env_wall_ms(s->env);
	hl_change_submit(c);
	return HL_OK;
}
