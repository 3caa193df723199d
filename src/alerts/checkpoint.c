/* Checkpoints. Ticks are cheap because they only append to the log; so that the log does not grow for ever, and a start does not
 * play all of it, the items it speaks of are written now and then, and the blocks are dropped.
 *
 * A round begins when the log holds from_bytes, and as much as the last round wrote, so that no more goes into rows than into the
 * log. It remembers the newest block in memory, walks over all items, writes the rows of dirty ones (some in each command, more
 * when the log has become long), and when the last is durable drops the blocks up to the remembered one. Whatever a tick changes
 * meanwhile is in a later block; if its item was written before, it is dirty again for the next round.
 *
 * A row holds what memory holds, and memory holds nothing that is not durable. So playing the blocks that are left over the rows
 * gives the market as it was, however old the rows are and wherever a crash happened.
 *
 *   a slice cannot be written   its items are dirty again, the round ends, the next begins a second later
 *   rounds do not keep up       a log of HL_CHECKPOINT_LOG_MAX and of four times a round's rows: ticks are refused (HL_EBUSY) */
#include "alerts/internal.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/crash.h"
#include "base/str.h"
#include "store/market.h"
#include <stdlib.h>

enum { SLICE_ITEMS = 64, SLICE_ITEMS_MAX = 512, SLICE_BYTES = 1 << 20, SLICE_BLOCKS = 256, RETRY_MS = 1000, ENTRY = 12 };

static void move(struct hl_checkpoint *c, enum hl_checkpoint_state to)
{
	static const uint8_t edges[] = {
		[HL_CHECKPOINT_IDLE] = 1 << HL_CHECKPOINT_WRITING,
		[HL_CHECKPOINT_WRITING] = 1 << HL_CHECKPOINT_DROPPING | 1 << HL_CHECKPOINT_IDLE,
		[HL_CHECKPOINT_DROPPING] = 1 << HL_CHECKPOINT_IDLE,
	};
	HL_CHECK(edges[c->state] & 1 << to);
	c->state = to;
}

void hl_checkpoint_init(struct hl_checkpoint *c)
{
	*c = (struct hl_checkpoint){ .from_bytes = HL_CHECKPOINT_FROM };
}

void hl_checkpoint_fini(struct hl_checkpoint *c)
{
	free(c->dirty);
	hl_buf_fini(&c->rows);
}

int hl_checkpoint_reserve(struct hl_checkpoint *c, uint64_t items)
{
	size_t cap = c->dirty_cap ? c->dirty_cap : 1024;
	while (cap < items)
		cap *= 2;
	if (cap == c->dirty_cap)
		return 0;
	uint64_t *bits = realloc(c->dirty, cap / 8);
	if (!bits)
		return HL_ENOMEM;
	memset(bits + c->dirty_cap / 64, 0, (cap - c->dirty_cap) / 8);
	c->dirty = bits;
	c->dirty_cap = cap;
	return 0;
}

void hl_checkpoint_note(struct hl_checkpoint *c, uint32_t item)
{
	HL_CHECK(item < c->dirty_cap);
	c->dirty[item / 64] |= (uint64_t)1 << item % 64;
}

void hl_checkpoint_logged(struct hl_checkpoint *c, uint64_t block, size_t len)
{
	c->last_block = block;
	c->log_bytes += len + HL_CHECKPOINT_BLOCK_COST;
}

static uint64_t begin_at(const struct hl_checkpoint *c)
{
	return HL_MAX(c->from_bytes, c->round_bytes);
}

bool hl_checkpoint_behind(const struct hl_checkpoint *c)
{
	uint64_t round = HL_MAX(c->round_bytes, c->written_bytes);
	return c->log_bytes >= HL_MAX((uint64_t)HL_CHECKPOINT_LOG_MAX, 4 * round);
}

/* ---- writing ---- */

static void encode_item(const struct hl_market *m, uint32_t item, struct hl_buf *out, struct hl_arena *links)
{
	static char link[HL_MARKET_LINK_MAX]; /* the loop's */
	struct hl_market_quote asks[HL_MARKET_PROVIDERS_MAX], bids[HL_MARKET_PROVIDERS_MAX];
	size_t n_asks = 0, n_bids = 0;
	for (size_t pos = 0; n_asks < HL_MARKET_PROVIDERS_MAX && hl_market_next(m, false, item, &pos, &asks[n_asks], link); n_asks++) {
		asks[n_asks].link = hl_arena_dup(links, asks[n_asks].link);
		out->failed |= asks[n_asks].link.ptr == NULL;
	}
	for (size_t pos = 0; n_bids < HL_MARKET_PROVIDERS_MAX && hl_market_next(m, true, item, &pos, &bids[n_bids], link);)
		n_bids++;
	hl_block_encode(out, asks, n_asks, bids, n_bids);
}

/* One entry of `rows`; the length is put in when the block is there. */
static void add_row(struct hl_alerts *a, uint32_t item, struct hl_arena *links)
{
	struct hl_buf *rows = &a->checkpoint.rows;
	struct hl_market_item v;
	uint8_t head[ENTRY] = { 0 };
	size_t at = rows->len;
	hl_market_item_of(a->market, item, &v);
	hl_be64_put(head, v.item_id);
	hl_buf_add(rows, head, sizeof(head));
	encode_item(a->market, item, rows, links);
	if (hl_buf_ok(rows))
		hl_be32_put((uint8_t *)rows->data + at + 8, (uint32_t)(rows->len - at - ENTRY));
}

/* The next entry behind *at; false at the end. */
static bool next_row(const struct hl_buf *rows, size_t *at, uint64_t *out_id, struct hl_str *out_block)
{
	const uint8_t *p = (const uint8_t *)rows->data + *at;
	if (*at >= rows->len)
		return false;
	*out_id = hl_be64_get(p);
	*out_block = hl_str_make(p + ENTRY, hl_be32_get(p + 8));
	*at += ENTRY + out_block->len;
	return true;
}

static int write_apply(struct hl_command *cmd, struct hl_txn *txn)
{
	struct hl_checkpoint *c = HL_CONTAINER_OF(cmd, struct hl_checkpoint, command);
	struct hl_str block;
	uint64_t id;
	for (size_t at = 0; next_row(&c->rows, &at, &id, &block);)
		hl_market_quotes_put(txn, id, block);
	HL_CRASH_POINT(CHECKPOINT_ROWS);
	return hl_txn_status(txn);
}

static int drop_apply(struct hl_command *cmd, struct hl_txn *txn)
{
	struct hl_checkpoint *c = HL_CONTAINER_OF(cmd, struct hl_checkpoint, command);
	c->dropped = hl_market_log_drop(txn, c->cover, SLICE_BLOCKS);
	HL_CRASH_POINT(CHECKPOINT_DROP);
	return hl_txn_status(txn);
}

/* ---- the round ---- */

static void step(struct hl_alerts *a);

static void give_up(struct hl_alerts *a, int status)
{
	struct hl_checkpoint *c = &a->checkpoint;
	for (uint32_t i = c->slice_from; c->state == HL_CHECKPOINT_WRITING && i < c->at && i < c->dirty_cap; i++)
		hl_checkpoint_note(c, i); /* those that were not dirty are written once more than needed */
	move(c, HL_CHECKPOINT_IDLE);
	c->not_before_mono_ms = hl_core_mono(a->d) + RETRY_MS;
	hl_log(&a->d->log, HL_LOG_ERROR, "market.checkpoint_failed", "code=%s", hl_errname(status));
	hl_core_soon(a->d);
}

static void slice_done(struct hl_command *cmd, int status)
{
	struct hl_checkpoint *c = HL_CONTAINER_OF(cmd, struct hl_checkpoint, command);
	struct hl_alerts *a = HL_CONTAINER_OF(c, struct hl_alerts, checkpoint);
	hl_core_command_done(a->d);
	if (status) {
		give_up(a, status);
	} else if (c->state == HL_CHECKPOINT_DROPPING && c->dropped) {
		c->log_bytes -= c->cover_bytes;
		c->round_bytes = c->written_bytes;
		move(c, HL_CHECKPOINT_IDLE);
		hl_log(&a->d->log, HL_LOG_DEBUG, "market.checkpoint", "upto=%llu bytes=%llu left=%llu", (unsigned long long)c->cover,
				(unsigned long long)c->cover_bytes, (unsigned long long)c->log_bytes);
		hl_core_soon(a->d);
	} else if (!a->closing) {
		HL_CRASH_POINT(CHECKPOINT_SLICE);
		step(a);
	}
	hl_alerts_ended(a);
}

static void submit(struct hl_alerts *a, int (*apply)(struct hl_command *, struct hl_txn *))
{
	struct hl_checkpoint *c = &a->checkpoint;
	c->command = (struct hl_command){ .priority = HL_PRIO_JOB, .apply = apply, .done = slice_done,
		.bytes = (uint32_t)(c->rows.len + 4096) };
	hl_alerts_submit(a, &c->command);
}

/* Collects dirty items from c->at on; how many. */
static size_t collect(struct hl_alerts *a)
{
	struct hl_checkpoint *c = &a->checkpoint;
	struct hl_arena links;
	uint32_t count = hl_market_count(a->market);
	size_t n = 0, most = (size_t)HL_MIN((c->log_bytes / begin_at(c) + 1) * SLICE_ITEMS, (uint64_t)SLICE_ITEMS_MAX);
	c->slice_from = c->at;
	hl_buf_reset(&c->rows);
	hl_arena_init(&links, 0);
	for (; c->at < count && n < most && c->rows.len < SLICE_BYTES; c->at++) {
		uint64_t bit = (uint64_t)1 << c->at % 64;
		if (c->dirty[c->at / 64] == 0) {
			c->at |= 63; /* none of these */
			continue;
		}
		if (!(c->dirty[c->at / 64] & bit))
			continue;
		c->dirty[c->at / 64] &= ~bit;
		add_row(a, c->at, &links);
		n++;
	}
	hl_arena_fini(&links);
	c->written_bytes += c->rows.len;
	return n;
}

/* The next command of the round. */
static void step(struct hl_alerts *a)
{
	struct hl_checkpoint *c = &a->checkpoint;
	if (c->state == HL_CHECKPOINT_WRITING && collect(a) == 0)
		move(c, HL_CHECKPOINT_DROPPING);
	if (c->state == HL_CHECKPOINT_DROPPING)
		submit(a, drop_apply);
	else if (hl_buf_ok(&c->rows))
		submit(a, write_apply);
	else
		give_up(a, HL_ENOMEM);
}

hl_ms_t hl_checkpoint_tick(struct hl_alerts *a, hl_ms_t now_mono_ms)
{
	struct hl_checkpoint *c = &a->checkpoint;
	if (c->state != HL_CHECKPOINT_IDLE || c->log_bytes < begin_at(c) || a->d->failed)
		return INT64_MAX;
	if (now_mono_ms < c->not_before_mono_ms)
		return c->not_before_mono_ms;
	move(c, HL_CHECKPOINT_WRITING);
	c->at = 0;
	c->written_bytes = 0;
	c->cover = c->last_block;
	c->cover_bytes = c->log_bytes;
	step(a);
	return INT64_MAX;
}
