/* Items and exchange rates: small tables, put as a whole. One command each; memory follows when it is durable.
 *
 * No memory then: what is stored stays stored, the callback says HL_ENOMEM, and putting it again helps. */
#include "alerts/internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "store/market.h"
#include <stdio.h>
#include <stdlib.h>

enum { ITEMS_MAX = 1 << 20 };

struct change {
	struct hl_command command;
	struct hl_alerts *a;
	struct hl_arena arena;        /* holds what follows */
	struct hl_market_item *items;
	size_t n;
	struct hl_rates_row *rates;
	int (*land)(struct change *c);/* the change in memory */
	hl_done_cb cb;
	void *data;
};

static struct change *new_change(struct hl_alerts *a, int (*land)(struct change *), hl_done_cb cb, void *data)
{
	struct change *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	hl_arena_init(&c->arena, 0);
	c->a = a;
	c->land = land;
	c->cb = cb;
	c->data = data;
	return c;
}

static void destroy(struct change *c)
{
	hl_arena_fini(&c->arena);
	free(c);
}

static void done(struct hl_command *command, int status)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_alerts *a = c->a;
	struct hl_err err = { 0 };
	hl_core_command_done(a->d);
	if (status == 0)
		status = c->land(c);
	if (status)
		hl_err_set(&err, status, "%s", hl_strerror(status));
	hl_done_cb cb = c->cb;
	void *data = c->data;
	destroy(c);
	cb(data, status, status ? &err : NULL);
	hl_alerts_ended(a);
}

static void submit(struct change *c, int (*apply)(struct hl_command *, struct hl_txn *))
{
	c->command = (struct hl_command){ .priority = HL_PRIO_API, .grows = true, .apply = apply, .done = done,
		.bytes = (uint32_t)HL_MIN(c->arena.used + 1024, (size_t)UINT32_MAX) };
	hl_alerts_submit(c->a, &c->command);
}

/* ---- items ---- */

static int items_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	for (size_t i = 0; i < c->n; i++)
		hl_market_item_put(txn, &c->items[i]);
	return hl_txn_status(txn);
}

static int items_land(struct change *c)
{
	uint32_t index;
	int rc = hl_checkpoint_reserve(&c->a->checkpoint, hl_market_count(c->a->market) + c->n);
	for (size_t i = 0; !rc && i < c->n; i++)
		rc = hl_market_put_item(c->a->market, &c->items[i], &index);
	return rc;
}

static int check_items(const struct hl_alerts *a, const struct hl_market_item *items, size_t n, struct hl_err *err)
{
	struct hl_err own = { 0 };
	size_t count = hl_market_count(a->market);
	for (size_t i = 0; i < n; i++) {
		int rc = hl_market_check_item(&items[i], &own);
		count += rc == 0 && hl_market_find(a->market, items[i].item_id) == HL_MARKET_NO_ITEM;
		char field[sizeof(own.field) + 24];
		if (rc == 0)
			continue;
		(void)snprintf(field, sizeof(field), "/%zu%s", i, own.field);
		return hl_err_field(err, rc, field, "%s", own.text);
	}
	if (count > ITEMS_MAX)
		return hl_err_set(err, HL_ELIMIT, "there may be %d items at most", ITEMS_MAX);
	return n ? 0 : hl_err_set(err, HL_EINVAL, "at least one item");
}

static bool copy_items(struct change *c, const struct hl_market_item *items, size_t n)
{
	c->items = HL_ARENA_ARRAY(&c->arena, struct hl_market_item, n);
	for (size_t i = 0; c->items && i < n; i++) {
		struct hl_market_item *to = &c->items[c->n++];
		*to = (struct hl_market_item){ items[i].item_id, hl_arena_dup(&c->arena, items[i].name),
			hl_arena_dup(&c->arena, items[i].phase) };
		if (!to->name.ptr || !to->phase.ptr)
			return false;
	}
	return c->items != NULL;
}

int hl_market_put_items(struct hl_alerts *a, const struct hl_market_item *items, size_t n, hl_done_cb cb, void *data,
		struct hl_err *err)
{
	int rc = hl_alerts_admit(a, err);
	if (rc == 0)
		rc = check_items(a, items, n, err);
	if (rc)
		return rc;
	struct change *c = new_change(a, items_land, cb, data);
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	if (!copy_items(c, items, n)) {
		destroy(c);
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	}
	submit(c, items_apply);
	return 0;
}

/* ---- rates ---- */

static int rates_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	hl_market_rates_put(txn, c->rates);
	return hl_txn_status(txn);
}

static int rates_land(struct change *c)
{
	uint16_t changed[HL_MARKET_CURRENCIES_MAX];
	size_t n = 0;
	hl_market_set_rates(c->a->market, c->rates->rates, c->rates->n, changed, &n);
	hl_alerts_judge_currencies(c->a, changed, n);
	return 0;
}

int hl_market_put_rates(struct hl_alerts *a, const struct hl_rate *rates, size_t n, hl_ms_t at_ms, hl_done_cb cb, void *data,
		struct hl_err *err)
{
	int rc = hl_alerts_admit(a, err);
	if (rc == 0)
		rc = hl_market_check_rates(rates, n, err);
	if (rc)
		return rc;
	struct change *c = new_change(a, rates_land, cb, data);
	if (c)
		c->rates = HL_ARENA_NEW(&c->arena, struct hl_rates_row);
	if (!c || !c->rates) {
		if (c)
			destroy(c);
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	}
	c->rates->at_ms = at_ms;
	for (size_t i = 0; i < n; i++)
		if (!hl_str_eq(hl_str_from(rates[i].currency), HL_STR("USD"))) /* always 1 */
			c->rates->rates[c->rates->n++] = rates[i];
	submit(c, rates_apply);
	return 0;
}
