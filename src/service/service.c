/* Opening: the default account is there or its creation is submitted before anything else can be. Closing: changes under
 * way still end; the last one's end frees the service and tells. */
#include "service/internal.h"

#include "base/check.h"
#include "base/err.h"
#include "dispatch/dispatcher.h"

#include <stdlib.h>

enum { CACHE_DEFAULT = 16384, CACHE_MIN = 1024 /* more than one request can look at */ };

static int default_apply(struct hl_change *c, struct hl_txn *txn)
{
	(void)c;
	hl_account_default_put(txn, hl_env_wall_ms(hl_store_env(txn->store)));
	return hl_txn_status(txn);
}

/* A store that is new, or was made by the library alone, has no account yet. */
static int default_account(struct hl_service *s, struct hl_err *err)
{
	struct hl_account_row row;
	struct hl_txn *txn = hl_store_read(s->store);
	if (hl_account_row_get(txn, HL_ACCOUNT_DEFAULT, &row))
		return HL_OK;
	if (hl_txn_status(txn))
		return hl_err_set(err, hl_txn_status(txn), "read account default: %s", hl_strerror(hl_txn_status(txn)));
	struct hl_change *c = hl_change_new(s, default_apply, NULL, NULL, NULL);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "no memory for account default");
	hl_change_submit(c);
	return HL_OK;
}

static void service_free(struct hl_service *s)
{
	hl_answers_fini(s);
	hl_keys_fini(s);
	hl_accounts_fini(s);
	hl_limits_fini(&s->limits);
	free(s);
}

int hl_service_open(struct hl_service **out, struct hl_dispatcher *d, const struct hl_service_options *o, struct hl_err *err)
{
	struct hl_service *s = calloc(1, sizeof(*s));
	if (!s)
		return hl_err_set(err, HL_ENOMEM, "no memory for the service");
	s->dispatcher = d;
	s->store = hl_dispatcher_store(d);
	s->commit = hl_dispatcher_commit(d);
	s->env = hl_dispatcher_env(d);
	s->log = hl_dispatcher_log(d);
	hl_tiers_init(&s->tiers);
	if (o && o->tiers)
		s->tiers = *o->tiers;
	size_t cache_max = o && o->cache_max ? HL_MAX(o->cache_max, (size_t)CACHE_MIN) : CACHE_DEFAULT;
	hl_limits_init(&s->limits, 0);
	hl_accounts_init(s, cache_max);
	hl_keys_init(s, cache_max);
	hl_map_str_init(&s->answers);
	int rc = default_account(s, err);
	if (rc) {
		service_free(s);
		return rc;
	}
	*out = s;
	return HL_OK;
}

void hl_service_settle(struct hl_service *s)
{
	if (!s->closing || s->n_changes)
		return;
	hl_close_cb cb = s->on_closed;
	void *data = s->on_closed_data;
	service_free(s);
	if (cb)
		cb(data);
}

void hl_service_close(struct hl_service *s, hl_close_cb cb, void *data)
{
	HL_CHECK(!s->closing);
	s->closing = true;
	s->on_closed = cb;
	s->on_closed_data = data;
	hl_service_settle(s);
}

void hl_service_set_tiers(struct hl_service *s, const struct hl_tiers *tiers)
{
	s->tiers = *tiers;
}

const struct hl_tiers *hl_service_tiers(const struct hl_service *s)
{
	return &s->tiers;
}

const struct hl_tier *hl_service_tier(const struct hl_service *s, const struct hl_account *a)
{
	const struct hl_tier *t = hl_tiers_find(&s->tiers, a->tier);
	return t ? t : &s->tiers.list[0];
}

struct hl_dispatcher *hl_service_dispatcher(const struct hl_service *s)
{
	return s->dispatcher;
}

const struct hl_env *hl_service_env(const struct hl_service *s)
{
	return s->env;
}

const struct hl_log *hl_service_log(const struct hl_service *s)
{
	return s->log;
}

struct hl_limits *hl_service_limits(struct hl_service *s)
{
	return &s->limits;
}

const uint8_t *hl_service_cursor_key(const struct hl_service *s)
{
	return hl_store_id_key(s->store);
}
