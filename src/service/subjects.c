/* Servers in the sense of the API: small records, read from their rows each time; another account's answers like none. */
#include "service/internal.h"

#include "base/err.h"
#include "base/utf8.h"
#include "dispatch/dispatcher.h"

static void from_row(const struct hl_server_row *row, struct hl_subject *out)
{
	*out = (struct hl_subject){
		.number = row->number, .account = row->account, .name = row->name, .status = row->status,
		.created_at_ms = row->created_at_ms, .updated_at_ms = row->updated_at_ms,
	};
}

static int row_get(struct hl_txn *txn, uint32_t account, uint64_t number, struct hl_server_row *out)
{
	if (hl_server_row_get(txn, number, out) && out->account == account)
		return HL_OK;
	return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
}

int hl_subject_get(struct hl_service *s, uint32_t account, uint64_t number, struct hl_subject *out)
{
	struct hl_server_row row;
	int rc = row_get(hl_store_read(s->store), account, number, &row);
	if (!rc)
		from_row(&row, out);
	return rc;
}

static bool list_decode(void *data, struct hl_txn *txn, uint64_t number, struct hl_str value, void *out_row)
{
	struct hl_server_row row;
	(void)data;
	(void)value; /* the index holds nothing */
	if (!hl_server_row_get(txn, number, &row))
		return false;
	from_row(&row, out_row);
	return true;
}

int hl_subject_list(struct hl_service *s, uint32_t account, const struct hl_page *page, struct hl_subject *out, size_t *out_n,
		struct hl_page_info *info)
{
	struct hl_rows rows = {
		.table = HL_TABLE_SERVER_BY_ACCOUNT, .prefix = hl_dbkey_u32(HL_DBKEY_NONE, account), .number_len = 8,
		.size = sizeof(*out), .decode = list_decode,
	};
	return hl_rows_page(hl_store_read(s->store), &rows, page, out, out_n, info);
}

static int check(const struct hl_subject *v, uint32_t fields, struct hl_err *err)
{
	if ((fields & HL_SF_NAME) && (!v->name.len || !hl_utf8_valid(v->name) || hl_utf8_count(v->name) > HL_NAME_MAX))
		return hl_err_field(err, HL_EINVAL, "/name", "must be 1 to %d characters", HL_NAME_MAX);
	if ((fields & HL_SF_STATUS) && (!hl_utf8_valid(v->status) || hl_utf8_count(v->status) > HL_SUBJECT_STATUS_MAX))
		return hl_err_field(err, HL_EINVAL, "/status", "must not be longer than %d characters", HL_SUBJECT_STATUS_MAX);
	return HL_OK;
}

static struct hl_change *change_make(struct hl_service *s, int (*apply)(struct hl_change *, struct hl_txn *),
		void (*landed)(struct hl_change *), const struct hl_subject *v, hl_change_cb cb, void *data)
{
	struct hl_change *c = hl_change_new(s, apply, landed, cb, data);
	if (!c)
		return NULL;
	c->subject = *v;
	c->subject.name = hl_change_dup(c, v->name);
	c->subject.status = hl_change_dup(c, v->status);
	if (!c->subject.name.ptr || !c->subject.status.ptr) {
		hl_change_free(c);
		return NULL;
	}
	return c;
}

static int create_apply(struct hl_change *c, struct hl_txn *txn)
{
	struct hl_server_row row = {
		.number = c->subject.number, .account = c->subject.account, .name = c->subject.name, .status = c->subject.status,
		.created_at_ms = c->subject.created_at_ms, .updated_at_ms = c->subject.updated_at_ms,
	};
	hl_server_row_put(txn, &row);
	return HL_OK;
}

static void create_landed(struct hl_change *c)
{
	c->result.object = &c->subject;
}

int hl_subject_create(struct hl_service *s, const struct hl_subject *v, const struct hl_idempotency *idem, hl_change_cb cb,
		void *data, struct hl_err *err)
{
	int rc = check(v, ~0u, err);
	if (rc)
		return rc;
	struct hl_change *c = change_make(s, create_apply, create_landed, v, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "no memory for the change");
	c->subject.number = hl_dispatcher_numbers_take(s->dispatcher, HL_ID_SERVER);
	c->subject.created_at_ms = c->subject.updated_at_ms = hl_env_wall_ms(s->env);
	c->command.grows = true;
	rc = hl_change_once(c, v->account, idem, &c->subject, HL_STR(""));
	if (rc) {
		hl_change_free(c);
		return hl_err_set(err, rc, "%s", hl_strerror(rc));
	}
	hl_change_submit(c);
	return HL_OK;
}

static int update_apply(struct hl_change *c, struct hl_txn *txn)
{
	struct hl_server_row row;
	int rc = row_get(txn, c->subject.account, c->subject.number, &row);
	if (rc)
		return rc;
	if (c->fields & HL_SF_NAME)
		row.name = c->subject.name;
	if (c->fields & HL_SF_STATUS)
		row.status = c->subject.status;
	if (c->fields)
		row.updated_at_ms = c->subject.updated_at_ms;
	hl_server_row_put(txn, &row);
	return HL_OK;
}

static void update_landed(struct hl_change *c)
{
	if (!hl_subject_get(c->service, c->subject.account, c->subject.number, &c->subject))
		c->result.object = &c->subject;
}

static int delete_apply(struct hl_change *c, struct hl_txn *txn)
{
	struct hl_server_row row;
	int rc = row_get(txn, c->subject.account, c->subject.number, &row);
	if (!rc)
		hl_server_row_del(txn, c->subject.number);
	return rc;
}

static int change_existing(struct hl_service *s, const struct hl_subject *v, uint32_t fields,
		int (*apply)(struct hl_change *, struct hl_txn *), void (*landed)(struct hl_change *), hl_change_cb cb,
		void *data, struct hl_err *err)
{
	struct hl_subject old;
	int rc = hl_subject_get(s, v->account, v->number, &old);
	if (rc)
		return hl_err_set(err, rc, "there is no such server");
	struct hl_change *c = change_make(s, apply, landed, v, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "no memory for the change");
	c->fields = fields;
	c->subject.updated_at_ms = hl_env_wall_ms(s->env);
	hl_change_submit(c);
	return HL_OK;
}

int hl_subject_update(struct hl_service *s, uint32_t account, uint64_t number, uint32_t fields,
		const struct hl_subject *values, hl_change_cb cb, void *data, struct hl_err *err)
{
	struct hl_subject v = *values;
	int rc = check(values, fields, err);
	if (rc)
		return rc;
	v.account = account;
	v.number = number;
	return change_existing(s, &v, fields, update_apply, update_landed, cb, data, err);
}

int hl_subject_delete(struct hl_service *s, uint32_t account, uint64_t number, hl_change_cb cb, void *data,
		struct hl_err *err)
{
	struct hl_subject v = { .account = account, .number = number };
	return change_existing(s, &v, 0, delete_apply, NULL, cb, data, err);
}
