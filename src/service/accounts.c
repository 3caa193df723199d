/* Accounts. Reading one: the cache, else its row. A change lands, its cache entry goes, the next reader sees the new row.
 *
 * Failures: an id that is taken is found by apply (HL_EEXIST), because two creations may be under way at once; an account
 * that is not there is HL_ENOTFOUND at once and again in apply. */
#include "service/internal.h"

#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"
#include "dispatch/dispatcher.h"

#include <stdlib.h>

struct account_entry {
	struct hl_cache_entry cache;
	struct hl_account account; /* slices into the arena */
	struct hl_arena arena;
};

static void entry_destroy(struct hl_cache *cache, struct hl_cache_entry *e)
{
	struct hl_service *s = cache->data;
	struct account_entry *a = HL_CONTAINER_OF(e, struct account_entry, cache);
	if (hl_map_str_get(&s->account_ids, a->account.id) == a)
		hl_map_str_del(&s->account_ids, a->account.id);
	hl_arena_fini(&a->arena);
	free(a);
}

void hl_accounts_init(struct hl_service *s, size_t cache_max)
{
	hl_map_str_init(&s->account_ids);
	hl_cache_init(&s->accounts, cache_max, entry_destroy, s);
}

void hl_accounts_fini(struct hl_service *s)
{
	hl_cache_fini(&s->accounts);
	hl_map_str_fini(&s->account_ids);
}

void hl_account_from_row(const struct hl_account_row *row, struct hl_account *out)
{
	*out = (struct hl_account){
		.number = row->number, .id = row->id, .name = row->name, .tier = row->tier, .email = row->email,
		.preferred_currency = row->preferred_currency, .disabled = row->disabled,
		.email_verified = row->email_verified, .alert_emails = row->alert_emails,
		.created_at_ms = row->created_at_ms, .updated_at_ms = row->updated_at_ms,
	};
}

static void row_from_account(const struct hl_account *a, struct hl_account_row *out)
{
	*out = (struct hl_account_row){
		.number = a->number, .id = a->id, .name = a->name, .tier = a->tier, .email = a->email,
		.preferred_currency = a->preferred_currency, .disabled = a->disabled,
		.email_verified = a->email_verified, .alert_emails = a->alert_emails,
		.created_at_ms = a->created_at_ms, .updated_at_ms = a->updated_at_ms,
	};
}

/* Account 1 as it is before anybody changed it. */
static struct hl_account default_account(hl_ms_t now_ms)
{
	return (struct hl_account){
		.number = HL_ACCOUNT_DEFAULT, .id = HL_STR("default"), .name = HL_STR("Default"), .tier = HL_STR(""),
		.email = HL_STR(""), .preferred_currency = HL_STR(""), .created_at_ms = now_ms, .updated_at_ms = now_ms,
	};
}

void hl_account_default_put(struct hl_txn *txn, hl_ms_t now_ms)
{
	struct hl_account_row row;
	struct hl_account a = default_account(now_ms);
	if (hl_account_row_get(txn, HL_ACCOUNT_DEFAULT, &row))
		return;
	row_from_account(&a, &row);
	hl_account_row_put(txn, &row);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

/* Copies every text of *a into the arena; false: no memory. */
static bool own(struct hl_arena *arena, struct hl_account *a)
{
	struct hl_str *texts[] = { &a->id, &a->name, &a->tier, &a->email, &a->preferred_currency };
	for (size_t i = 0; i < HL_ARRAY_LEN(texts); i++) {
		*texts[i] = hl_arena_dup(arena, *texts[i]);
		if (!texts[i]->ptr)
			return false;
	}
	return true;
}

/* Account 1 is there from the first moment, its row a few milliseconds later (service.c). */
static int absent(struct hl_service *s, struct hl_txn *txn, bool is_default, struct hl_account *out)
{
	if (hl_txn_status(txn))
		return hl_txn_status(txn);
	if (!is_default)
		return HL_ENOTFOUND;
	*out = default_account(hl_env_wall_ms(s->env));
	return HL_OK;
}

/* Remembers what was read. Without memory the next reader reads again. */
static void remember(struct hl_service *s, const struct hl_account *a)
{
	struct account_entry *e = calloc(1, sizeof(*e));
	if (!e)
		return;
	hl_arena_init(&e->arena, 0);
	e->account = *a;
	if (!own(&e->arena, &e->account) || !hl_cache_put(&s->accounts, &e->cache, a->number)) {
		hl_arena_fini(&e->arena);
		free(e);
		return;
	}
	if (hl_map_str_put(&s->account_ids, e->account.id, e))
		hl_cache_drop(&s->accounts, a->number);
}

int hl_account_get(struct hl_service *s, uint32_t number, struct hl_account *out)
{
	struct hl_cache_entry *e = hl_cache_get(&s->accounts, number);
	struct hl_account_row row;
	if (e) {
		*out = HL_CONTAINER_OF(e, struct account_entry, cache)->account;
		return HL_OK;
	}
	struct hl_txn *txn = hl_store_read(s->store);
	if (!hl_account_row_get(txn, number, &row))
		return absent(s, txn, number == HL_ACCOUNT_DEFAULT, out);
	hl_account_from_row(&row, out);
	remember(s, out);
	return HL_OK;
}

int hl_account_find(struct hl_service *s, struct hl_str id, struct hl_account *out)
{
	struct account_entry *e = hl_map_str_get(&s->account_ids, id);
	struct hl_account_row row;
	if (e)
		return hl_account_get(s, e->account.number, out);
	if (!id.len || id.len > HL_ACCOUNT_WORD_MAX)
		return HL_ENOTFOUND;
	struct hl_txn *txn = hl_store_read(s->store);
	if (!hl_account_row_find(txn, id, &row))
		return absent(s, txn, hl_str_eq(id, HL_STR("default")), out);
	hl_account_from_row(&row, out);
	remember(s, out);
	return HL_OK;
}

static bool list_decode(void *data, struct hl_txn *txn, uint64_t number, struct hl_str value, void *out_row)
{
	struct hl_account_row row;
	(void)data;
	if (hl_account_row_decode(value, &row)) {
		hl_txn_fail(txn, HL_ECORRUPT);
		return false;
	}
	row.number = (uint32_t)number;
	hl_account_from_row(&row, out_row);
	return true;
}

int hl_account_list(struct hl_service *s, const struct hl_page *page, struct hl_account *out, size_t *out_n,
		struct hl_page_info *info)
{
	struct hl_rows rows = {
		.table = HL_TABLE_ACCOUNT, .number_len = 4, .size = sizeof(*out), .decode = list_decode,
	};
	return hl_rows_page(hl_store_read(s->store), &rows, page, out, out_n, info);
}

/* ---- changing ----------------------------------------------------------------------------------------------------- */

static bool word_ok(struct hl_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
			return false;
	}
	return s.len <= HL_ACCOUNT_WORD_MAX;
}

static int check(const struct hl_service *s, const struct hl_account *a, uint32_t fields, struct hl_err *err)
{
	if ((fields & HL_AF_NAME) && (!hl_utf8_valid(a->name) || hl_utf8_count(a->name) > HL_NAME_MAX))
		return hl_err_field(err, HL_EINVAL, "/name", "must not be longer than %d characters", HL_NAME_MAX);
	if ((fields & HL_AF_TIER) && !hl_tiers_find(&s->tiers, a->tier))
		return hl_err_field(err, HL_EINVAL, "/tier", "is not a configured tier");
	if ((fields & HL_AF_EMAIL) && a->email.len) {
		struct hl_str domain = a->email, local = hl_str_split(&domain, '@');
		if (a->email.len > HL_EMAIL_MAX || !local.len || !domain.len || !hl_str_all_between(a->email, 0x21, 0x7e) ||
				hl_str_contains(domain, HL_STR("@")))
			return hl_err_field(err, HL_EINVAL, "/email", "must be an address of at most %d visible ASCII characters",
					HL_EMAIL_MAX);
	}
	if ((fields & HL_AF_PREFERRED_CURRENCY) && a->preferred_currency.len &&
			(a->preferred_currency.len != HL_CURRENCY_LEN || !hl_str_all_between(a->preferred_currency, 'A', 'Z')))
		return hl_err_field(err, HL_EINVAL, "/preferred_currency", "must be three upper-case letters");
	return HL_OK;
}

static void account_landed(struct hl_change *c)
{
	hl_cache_drop(&c->service->accounts, c->account.number);
	hl_dispatcher_account_changed(c->service->dispatcher, c->account.number);
	c->result.object = &c->account;
	hl_log(c->service->log, HL_LOG_INFO, "account.created", "account=%u id=%.*s", c->account.number, HL_FMT(c->account.id));
}

static int create_apply(struct hl_change *c, struct hl_txn *txn)
{
	struct hl_account_row row;
	if (hl_account_row_find(txn, c->account.id, &row)) {
		hl_err_field(&c->err, HL_EEXIST, "/id", "there is an account with this id");
		return HL_EEXIST;
	}
	row_from_account(&c->account, &row);
	hl_account_row_put(txn, &row);
	return HL_OK;
}

int hl_account_create(struct hl_service *s, const struct hl_account *a, const struct hl_idempotency *idem, hl_change_cb cb,
		void *data, struct hl_err *err)
{
	char id[HL_ID_CAP];
	if (!word_ok(a->id))
		return hl_err_field(err, HL_EINVAL, "/id", "must be 1 to %d of A-Z a-z 0-9 _ . -", HL_ACCOUNT_WORD_MAX);
	int rc = check(s, a, ~0u, err);
	if (rc)
		return rc;
	struct hl_change *c = hl_change_new(s, create_apply, account_landed, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "no memory for the change");
	c->account = *a;
	c->account.number = (uint32_t)hl_dispatcher_numbers_take(s->dispatcher, HL_ID_ACCOUNT);
	c->account.created_at_ms = c->account.updated_at_ms = hl_env_wall_ms(s->env);
	if (!a->id.len) {
		hl_id_format(s->dispatcher, HL_ID_ACCOUNT, c->account.number, c->account.created_at_ms, id);
		c->account.id = hl_str_from(id);
	}
	c->command.grows = true;
	rc = own(&c->arena, &c->account) ? HL_OK : HL_ENOMEM;
	if (!rc)
		rc = hl_change_once(c, HL_ACCOUNT_DEFAULT, idem, &c->account, HL_STR(""));
	if (rc) {
		hl_change_free(c);
		return hl_err_set(err, rc, "%s", hl_strerror(rc));
	}
	hl_change_submit(c);
	return HL_OK;
}

static void merge(struct hl_account *to, const struct hl_account *from, uint32_t fields)
{
	if (fields & HL_AF_NAME)
		to->name = from->name;
	if (fields & HL_AF_TIER)
		to->tier = from->tier;
	if (fields & HL_AF_EMAIL)
		to->email = from->email;
	if (fields & HL_AF_EMAIL_VERIFIED)
		to->email_verified = from->email_verified;
	if (fields & HL_AF_ALERT_EMAILS)
		to->alert_emails = from->alert_emails;
	if (fields & HL_AF_PREFERRED_CURRENCY)
		to->preferred_currency = from->preferred_currency;
	if (fields & HL_AF_DISABLED)
		to->disabled = from->disabled;
}

/* Reads the row of now, lays the change over it, writes it. What was written is read again when the change has landed. */
static int update_apply(struct hl_change *c, struct hl_txn *txn)
{
	struct hl_account_row row;
	struct hl_account a;
	if (!hl_account_row_get(txn, c->account.number, &row))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	hl_account_from_row(&row, &a);
	merge(&a, &c->account, c->fields);
	uint64_t generation = row.generation;
	row_from_account(&a, &row);
	row.generation = generation;
	if (c->fields)
		row.updated_at_ms = c->account.updated_at_ms;
	hl_account_row_put(txn, &row);
	return HL_OK;
}

static void update_landed(struct hl_change *c)
{
	hl_cache_drop(&c->service->accounts, c->account.number);
	hl_dispatcher_account_changed(c->service->dispatcher, c->account.number);
	if (!hl_account_get(c->service, c->account.number, &c->account))
		c->result.object = &c->account;
	hl_log(c->service->log, HL_LOG_INFO, "account.changed", "account=%u disabled=%d", c->account.number, c->account.disabled);
}

int hl_account_update(struct hl_service *s, uint32_t number, uint32_t fields, const struct hl_account *values,
		hl_change_cb cb, void *data, struct hl_err *err)
{
	struct hl_account old;
	int rc = hl_account_get(s, number, &old);
	if (rc)
		return hl_err_set(err, rc, "there is no such account");
	rc = check(s, values, fields, err);
	if (rc)
		return rc;
	struct hl_change *c = hl_change_new(s, update_apply, update_landed, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "no memory for the change");
	c->account = *values;
	c->account.number = number;
	c->account.updated_at_ms = hl_env_wall_ms(s->env);
	c->fields = fields;
	if (!own(&c->arena, &c->account)) {
		hl_change_free(c);
		return hl_err_set(err, HL_ENOMEM, "no memory for the change");
	}
	hl_change_submit(c);
	return HL_OK;
}
