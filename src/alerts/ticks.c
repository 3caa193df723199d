/* Ticks. The quotes of one call become one block on the loop, and room for them is made in the market, so that nothing can
 * fail later. One command appends the block to the log. When it is durable the quotes go into memory one after the other, in
 * the order they were given, and after each the rules of its item are judged if the best price moved: a rule that was true
 * for one quote of the block only fires, too.
 *
 *   an item nobody put, a price out of range   HL_EINVAL or HL_ENOTFOUND: the caller had not checked; nothing is stored
 *   the store is full                          HL_EFULL from the callback; memory stays as it was */
#include "alerts/internal.h"

#include "base/check.h"
#include "base/crash.h"
#include "base/err.h"
#include "store/market.h"
#include <stdlib.h>

enum { AHEAD = 8 /* quotes: about as long as memory takes */ };

/* Where a quote goes; what it says is in the block. */
struct spot {
	uint32_t item;
	uint32_t provider;
};

struct tick {
	struct hl_command command;
	struct hl_alerts *a;
	uint64_t number;              /* the block's */
	struct hl_buf block;
	bool bids;
	hl_done_cb cb;
	void *data;
	size_t n;
	struct spot spots[];
};

static int apply(struct hl_command *c, struct hl_txn *txn)
{
	struct tick *t = HL_CONTAINER_OF(c, struct tick, command);
	hl_market_log_append(txn, t->number, hl_buf_all(&t->block));
	HL_CRASH_POINT(TICK_APPLIED);
	return hl_txn_status(txn);
}

static void touch(const struct tick *t, size_t i, enum hl_market_depth depth)
{
	if (i < t->n)
		hl_market_touch(t->a->market, t->bids, t->spots[i].item, t->spots[i].provider, depth);
}

static void play(struct tick *t)
{
	struct hl_alerts *a = t->a;
	struct hl_block_reader r;
	struct hl_market_quote q;
	bool bid, moved;
	size_t i = 0;
	hl_block_read(&r, hl_buf_all(&t->block));
	for (; hl_block_next(&r, &q, &bid); i++) {
		const struct spot *s = &t->spots[i];
		touch(t, i + 3 * AHEAD, HL_MARKET_TOUCH_ITEM);
		touch(t, i + 2 * AHEAD, HL_MARKET_TOUCH_QUOTE);
		touch(t, i + AHEAD, HL_MARKET_TOUCH_LINK);
		HL_CHECK(hl_market_set(a->market, bid, s->item, s->provider, &q, &moved) == 0); /* room was made */
		hl_checkpoint_note(&a->checkpoint, s->item);
		if (moved)
			hl_alerts_judge_item(a, s->item);
	}
	HL_CHECK(i == t->n && hl_block_end(&r) == 0);
	hl_checkpoint_logged(&a->checkpoint, t->number, t->block.len);
	a->ticks += t->n;
	hl_core_soon(a->d);
}

static void destroy(struct tick *t)
{
	hl_buf_fini(&t->block);
	free(t);
}

static void done(struct hl_command *c, int status)
{
	struct tick *t = HL_CONTAINER_OF(c, struct tick, command);
	struct hl_alerts *a = t->a;
	struct hl_err err = { 0 };
	hl_core_command_done(a->d);
	HL_CRASH_POINT(TICK_DURABLE);
	if (status == 0)
		play(t);
	else
		hl_err_set(&err, status, "%s", hl_strerror(status));
	hl_done_cb cb = t->cb;
	void *data = t->data;
	destroy(t);
	cb(data, status, status ? &err : NULL);
	hl_alerts_ended(a);
}

/* Judges a quote as hl_market_check does, in short. */
static int find_spot(struct tick *t, const struct hl_market_quote *q, struct spot *out, struct hl_err *err)
{
	struct hl_market *m = t->a->market;
	uint32_t item = hl_market_find(m, q->item_id);
	if (item == HL_MARKET_NO_ITEM)
		return hl_err_field(err, HL_ENOTFOUND, "/item_id", "there is no such item");
	if (q->cents > HL_MARKET_CENTS_MAX || q->link.len > HL_MARKET_LINK_MAX)
		return hl_err_set(err, HL_EINVAL, "a price or a link is too large");
	int provider = hl_market_provider_put(m, q->provider);
	if (provider < 0)
		return hl_err_field(err, provider, "/provider", "%s", hl_strerror(provider));
	*out = (struct spot){ item, (uint32_t)provider };
	return 0;
}

/* Finds where each quote goes and makes room for it. */
static int take(struct tick *t, const struct hl_market_quote *v, struct hl_err *err)
{
	for (size_t i = 0; i < t->n; i++) {
		int rc = find_spot(t, &v[i], &t->spots[i], err);
		if (rc)
			return rc;
		touch(t, i, HL_MARKET_TOUCH_ITEM);
	}
	for (size_t i = 0; i < t->n; i++) {
		touch(t, i + AHEAD, HL_MARKET_TOUCH_QUOTE);
		int rc = hl_market_room(t->a->market, t->bids, t->spots[i].item, t->spots[i].provider);
		if (rc)
			return hl_err_set(err, rc, "%s", hl_strerror(rc));
	}
	return 0;
}

int hl_market_apply(struct hl_alerts *a, bool bids, const struct hl_market_quote *q, size_t n, hl_done_cb cb, void *data,
		struct hl_err *err)
{
	int rc = hl_alerts_admit(a, err);
	if (rc)
		return rc;
	if (n == 0 || n > HL_MARKET_BLOCK_MAX)
		return hl_err_set(err, HL_EINVAL, "1 to %d quotes at a time", HL_MARKET_BLOCK_MAX);
	if (hl_checkpoint_behind(&a->checkpoint))
		return hl_err_set(err, HL_EBUSY, "too many quotes wait to be written to their items");
	struct tick *t = calloc(1, sizeof(*t) + n * sizeof(t->spots[0]));
	if (!t)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	t->a = a;
	t->bids = bids;
	t->cb = cb;
	t->data = data;
	t->n = n;
	rc = take(t, q, err);
	if (rc == 0) {
		hl_block_encode(&t->block, bids ? NULL : q, bids ? 0 : n, bids ? q : NULL, bids ? n : 0);
		rc = hl_buf_ok(&t->block) ? 0 : hl_err_set(err, HL_ENOMEM, "out of memory");
	}
	if (rc) {
		destroy(t);
		return rc;
	}
	t->number = a->d->numbers.block++;
	t->command = (struct hl_command){ .priority = HL_PRIO_PUBLISH, .grows = true, .apply = apply, .done = done,
		.bytes = (uint32_t)t->block.len + 64 };
	hl_alerts_submit(a, &t->command);
	return 0;
}

int hl_market_check(const struct hl_alerts *a, const struct hl_market_quote *q, struct hl_err *err)
{
	return hl_market_check_quote(a->market, q, err);
}

int hl_market_get(const struct hl_alerts *a, uint64_t item_id, struct hl_market_view *out)
{
	uint32_t item = hl_market_find(a->market, item_id);
	char *link = item == HL_MARKET_NO_ITEM ? NULL : hl_arena_alloc(&a->d->turn, HL_MARKET_LINK_MAX);
	if (item == HL_MARKET_NO_ITEM)
		return HL_ENOTFOUND;
	if (!link)
		return HL_ENOMEM;
	hl_market_view_of(a->market, item, out, link);
	return 0;
}

bool hl_market_knows_currency(const struct hl_alerts *a, struct hl_str currency)
{
	int number = hl_currency_number(currency);
	return number >= 0 && hl_market_rate(a->market, (uint16_t)number) > 0;
}
