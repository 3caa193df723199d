/* The catalogue of event types: in the store with its texts, in memory as far as publishing needs it. Memory follows each
 * commit; what was matched before keeps its targets.
 *
 * One or many are put by the same command, in one transaction. Seeding is a put that first looks whether the store is
 * new, once on the loop (so that the usual start writes nothing) and again where it counts, in apply. */
#include "dispatch/core.h"
#include "dispatch/validate.h"
#include "store/meta.h"

#include "base/err.h"
#include <stdio.h>
#include <stdlib.h>

struct change {
	struct hl_command command;
	struct hl_dispatcher *d;
	struct hl_arena arena;           /* holds the types and their texts */
	struct hl_event_type *types;
	size_t n;
	bool seed;                       /* only if the store is new */
	hl_done_cb cb;
	void *data;
};

static struct change *new_change(struct hl_dispatcher *d, size_t n, hl_done_cb cb, void *data)
{
	struct change *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	hl_arena_init(&c->arena, 0);
	c->types = HL_ARENA_ARRAY(&c->arena, struct hl_event_type, n + 1);
	if (!c->types) {
		free(c);
		return NULL;
	}
	c->n = n;
	c->d = d;
	c->cb = cb;
	c->data = data;
	return c;
}

static void destroy(struct change *c)
{
	hl_arena_fini(&c->arena);
	free(c);
}

static void answer(struct change *c, int status)
{
	struct hl_err err = { 0 };
	if (status == HL_ENOTFOUND)
		hl_err_set(&err, status, "no such event type");
	else if (status == HL_ELIMIT)
		hl_err_set(&err, status, "the catalogue holds at most %d event types", HL_EVENT_TYPES_TOTAL_MAX);
	else if (status == HL_EEXIST)
		hl_err_set(&err, status, "the store is not new");
	else if (status)
		hl_err_set(&err, status, "%s", hl_strerror(status));
	c->cb(c->data, status, status ? &err : NULL);
	destroy(c);
}

static bool keep(struct hl_arena *a, struct hl_str *s)
{
	*s = hl_arena_dup(a, *s);
	return s->ptr != NULL;
}

/* ---- put ---- */

/* Checks everything before it writes anything: an error found later would cost the whole batch. */
static int put_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_event_type old;
	uint64_t total = hl_txn_entries(txn, HL_TABLE_EVENT_TYPE);
	if (c->seed && !hl_meta_is_new(txn))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_EEXIST;
	for (size_t i = 0; i < c->n; i++)
		total += !hl_event_type_row_get(txn, c->types[i].name, &old);
	if (total > HL_EVENT_TYPES_TOTAL_MAX)
		return HL_ELIMIT;
	for (size_t i = 0; i < c->n; i++) {
		struct hl_event_type t = c->types[i];
		if (hl_event_type_row_get(txn, t.name, &old))
			t.created_at_ms = old.created_at_ms;
		hl_event_type_row_put(txn, &t);
	}
	if (c->seed)
		hl_meta_new_end(txn);
	return hl_txn_status(txn);
}

static void put_done(struct hl_command *command, int status)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_dispatcher *d = c->d;
	hl_core_command_done(d);
	for (size_t i = 0; status == 0 && i < c->n; i++) {
		int rc = hl_catalogue_put(&d->catalogue, &c->types[i]);
		if (rc) {
			hl_log(&d->log, HL_LOG_ERROR, "catalogue.change_unseen", "code=%s", hl_errname(rc));
			hl_core_behind(d, rc);
		}
	}
	if (status == 0)
		hl_subscriptions_catalogue_changed(d->subscriptions);
	answer(c, status);
}

static bool copy_type(struct change *c, size_t i, const struct hl_event_type *t)
{
	struct hl_event_type *own = &c->types[i];
	*own = *t;
	bool ok = keep(&c->arena, &own->name) && keep(&c->arena, &own->title) && keep(&c->arena, &own->description) &&
			keep(&c->arena, &own->category);
	for (int k = 0; ok && k < HL_DIALECT_N; k++)
		ok = keep(&c->arena, &own->dialect_categories[k]);
	own->created_at_ms = own->updated_at_ms = hl_core_wall(c->d);
	return ok;
}

/* Hands over types that were validated. */
static int put(struct hl_dispatcher *d, const struct hl_event_type *v, size_t n, bool seed, hl_done_cb cb, void *data,
		struct hl_err *err)
{
	struct change *c = new_change(d, n, cb, data);
	bool ok = c != NULL;
	for (size_t i = 0; ok && i < n; i++)
		ok = copy_type(c, i, &v[i]);
	if (!ok) {
		if (c)
			destroy(c);
		return hl_err_set(err, HL_ENOMEM, "%s", hl_strerror(HL_ENOMEM));
	}
	c->seed = seed;
	c->command = (struct hl_command){ .priority = HL_PRIO_API, .grows = true, .apply = put_apply, .done = put_done,
		.bytes = (uint32_t)(512 * (n + 1) + c->arena.used) };
	hl_core_submit(d, &c->command);
	return 0;
}

int hl_event_type_put(struct hl_dispatcher *d, const struct hl_event_type *t, hl_done_cb cb, void *data, struct hl_err *err)
{
	int rc = hl_core_admit(d, err);
	if (rc == 0)
		rc = hl_validate_event_type(t, err);
	return rc ? rc : put(d, t, 1, false, cb, data, err);
}

static int validate_all(const struct hl_event_type *v, size_t n, struct hl_err *err)
{
	char field[64];
	struct hl_err why = { 0 };
	if (n > HL_EVENT_TYPES_TOTAL_MAX)
		return hl_err_set(err, HL_EINVAL, "must be at most %d event types", HL_EVENT_TYPES_TOTAL_MAX);
	for (size_t i = 0; i < n; i++) {
		int rc = hl_validate_event_type(&v[i], &why);
		if (rc == 0)
			continue;
		snprintf(field, sizeof(field), "/%zu%.40s", i, why.field);
		return hl_err_field(err, rc, field, "%s", why.text);
	}
	return 0;
}

int hl_event_type_put_all(struct hl_dispatcher *d, const struct hl_event_type *v, size_t n, hl_done_cb cb, void *data,
		struct hl_err *err)
{
	int rc = hl_core_admit(d, err);
	if (rc == 0)
		rc = validate_all(v, n, err);
	return rc ? rc : put(d, v, n, false, cb, data, err);
}

int hl_event_type_seed(struct hl_dispatcher *d, const struct hl_event_type *v, size_t n, hl_done_cb cb, void *data,
		struct hl_err *err)
{
	struct hl_txn *txn = hl_core_read(d);
	int rc = hl_core_admit(d, err);
	if (rc == 0)
		rc = validate_all(v, n, err);
	if (rc)
		return rc;
	if (!hl_meta_is_new(txn)) {
		rc = hl_txn_status(txn) ? hl_txn_status(txn) : HL_EEXIST;
		return hl_err_set(err, rc, "%s", rc == HL_EEXIST ? "the store is not new" : hl_strerror(rc));
	}
	return put(d, v, n, true, cb, data, err);
}

/* ---- delete ---- */

static int delete_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	bool found = hl_event_type_row_del(txn, c->types[0].name);
	return hl_txn_status(txn) ? hl_txn_status(txn) : found ? 0 : HL_ENOTFOUND;
}

static void delete_done(struct hl_command *command, int status)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_dispatcher *d = c->d;
	hl_core_command_done(d);
	if (status == 0) {
		hl_catalogue_remove(&d->catalogue, c->types[0].name);
		hl_subscriptions_catalogue_changed(d->subscriptions);
	}
	answer(c, status);
}

int hl_event_type_delete(struct hl_dispatcher *d, struct hl_str name, hl_done_cb cb, void *data)
{
	struct hl_event_type t;
	int rc = hl_core_admit(d, NULL);
	if (rc == 0)
		rc = hl_event_type_get(d, name, &t);
	if (rc)
		return rc;
	struct change *c = new_change(d, 1, cb, data);
	if (!c)
		return HL_ENOMEM;
	c->types[0].name = name;
	if (!keep(&c->arena, &c->types[0].name)) {
		destroy(c);
		return HL_ENOMEM;
	}
	c->command = (struct hl_command){ .priority = HL_PRIO_API, .apply = delete_apply, .done = delete_done, .bytes = 512 };
	hl_core_submit(d, &c->command);
	return 0;
}

/* ---- reading ---- */

int hl_event_type_get(struct hl_dispatcher *d, struct hl_str name, struct hl_event_type *out)
{
	struct hl_txn *txn = hl_core_read(d);
	if (!hl_validate_type_ok(name))
		return HL_ENOTFOUND; /* cannot be there, and the store's keys have a limit */
	if (hl_event_type_row_get(txn, name, out))
		return 0;
	return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
}

struct list {
	int dialect;
	struct hl_event_type *v;         /* NULL: only count */
	size_t n, cap;
};

static bool add(void *data, const struct hl_event_type *t)
{
	struct list *l = data;
	if (l->dialect > HL_DIALECT_HOOKLINE && t->dialect_categories[l->dialect].len == 0)
		return true;
	if (l->v && l->n == l->cap)
		return false;
	if (l->v)
		l->v[l->n] = *t;
	l->n++;
	return true;
}

int hl_event_type_list(struct hl_dispatcher *d, int dialect, const struct hl_event_type **out, size_t *out_n)
{
	struct hl_txn *txn = hl_core_read(d);
	struct list l = { .dialect = dialect };
	if (dialect >= HL_DIALECT_N)
		return HL_EINVAL;
	hl_event_type_row_each(txn, add, &l);
	l.cap = l.n;
	l.n = 0;
	l.v = HL_ARENA_ARRAY(&d->turn, struct hl_event_type, l.cap + 1);
	if (!l.v)
		return HL_ENOMEM;
	hl_event_type_row_each(txn, add, &l);
	if (hl_txn_status(txn))
		return hl_txn_status(txn);
	*out = l.v;
	*out_n = l.n;
	return 0;
}
