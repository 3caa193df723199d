/* Counters are edited in a map that belongs to the write transaction: the first edit of a record loads it, the
 * commit writes each edited record once, in key order, and an abort forgets them all. So a fan-out to a thousand
 * webhooks costs a thousand increments in memory and a thousand small puts per batch, however many events the batch
 * holds.
 *
 * A record that cannot be read or remembered fails the transaction; the caller then edits a place nobody reads. */
#include "store/counts.h"
#include "base/defs.h"
#include "base/map.h"
#include "base/utf8.h"
#include <stdlib.h>

enum { KIND_WEBHOOK = 'w', KIND_ACCOUNT = 'a', KIND_STORE = 't' };

struct entry {
	uint8_t kind;
	bool gone;                    /* delete instead of write */
	uint32_t number;
	union {
		struct hl_counts counts;
		struct hl_totals totals;
	} u;
};

struct hl_txn_cache {
	struct hl_map_u64 map;        /* kind << 32 | number → entry */
	struct hl_arena arena;        /* the entries */
	struct entry *whole;          /* of the store, or NULL; it and the next are asked for all the time */
	struct entry *account;        /* the latest account's, or NULL */
};

static struct hl_dbkey entry_key(uint8_t kind, uint32_t number)
{
	return hl_dbkey_u32(hl_dbkey_u8(HL_DBKEY_NONE, kind), number);
}

static uint64_t map_key(uint8_t kind, uint32_t number)
{
	return (uint64_t)kind << 32 | number;
}

/* Reads the stored record into *e; zeros when there is none. */
static void entry_load(struct hl_txn *txn, struct entry *e)
{
	struct hl_str bytes;
	int rc = 0;
	if (!hl_txn_get(txn, HL_TABLE_COUNTS, HL_DBKEY(entry_key(e->kind, e->number)), &bytes))
		return;
	if (e->kind == KIND_WEBHOOK)
		rc = hl_counts_decode(bytes, &e->u.counts);
	else
		rc = hl_totals_decode(bytes, &e->u.totals);
	if (rc)
		hl_txn_fail(txn, rc);
}

static int entry_order(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void entry_write(struct hl_txn *txn, const struct entry *e)
{
	struct hl_dbkey key = entry_key(e->kind, e->number);
	if (e->gone) {
		(void)hl_txn_del(txn, HL_TABLE_COUNTS, HL_DBKEY(key));
		return;
	}
	hl_buf_reset(&txn->scratch);
	if (e->kind == KIND_WEBHOOK)
		hl_counts_encode(&txn->scratch, &e->u.counts);
	else
		hl_totals_encode(&txn->scratch, &e->u.totals);
	hl_txn_put_scratch(txn, HL_TABLE_COUNTS, HL_DBKEY(key), false);
}

static int flush(struct hl_txn *txn)
{
	struct hl_txn_cache *c = txn->cache;
	size_t n = 0, pos = 0;
	uint64_t key;
	void *value;
	struct entry **sorted = HL_ARENA_ARRAY(&c->arena, struct entry *, c->map.count);
	if (!sorted)
		return HL_ENOMEM;
	while (hl_map_u64_next(&c->map, &pos, &key, &value))
		sorted[n++] = value;
	qsort(sorted, n, sizeof(*sorted), entry_order);
	for (size_t i = 0; i < n; i++)
		entry_write(txn, sorted[i]);
	return hl_txn_status(txn);
}

static void drop(struct hl_txn *txn)
{
	hl_map_u64_fini(&txn->cache->map);
	hl_arena_fini(&txn->cache->arena);
	free(txn->cache);
}

static struct hl_txn_cache *cache_of(struct hl_txn *txn)
{
	if (txn->cache)
		return txn->cache;
	struct hl_txn_cache *c = calloc(1, sizeof(*c));
	if (!c) {
		hl_txn_fail(txn, HL_ENOMEM);
		return NULL;
	}
	hl_map_u64_init(&c->map);
	hl_arena_init(&c->arena, 0);
	txn->cache = c;
	txn->flush = flush;
	txn->drop = drop;
	return c;
}

static struct entry *entry_edit(struct hl_txn *txn, uint8_t kind, uint32_t number)
{
	struct hl_txn_cache *c = cache_of(txn);
	struct entry *e = c ? hl_map_u64_get(&c->map, map_key(kind, number)) : NULL;
	if (e || !c)
		return e;
	e = HL_ARENA_NEW(&c->arena, struct entry);
	if (e) {
		*e = (struct entry){ .kind = kind, .number = number };
		entry_load(txn, e);
	}
	if (!e || hl_map_u64_put(&c->map, map_key(kind, number), e)) {
		hl_txn_fail(txn, HL_ENOMEM);
		return NULL;
	}
	return e;
}

/* Where edits of a failed transaction go. */
static struct entry *nowhere(void)
{
	static _Thread_local struct entry e;
	return &e;
}

struct hl_counts *hl_counts_edit(struct hl_txn *txn, uint32_t webhook)
{
	struct entry *e = entry_edit(txn, KIND_WEBHOOK, webhook);
	txn->n_writes++;
	e = e ? e : nowhere();
	e->gone = false;
	return &e->u.counts;
}

struct hl_totals *hl_totals_edit(struct hl_txn *txn, uint32_t account)
{
	struct hl_txn_cache *c = cache_of(txn);
	struct entry **memo = c ? account ? &c->account : &c->whole : NULL;
	txn->n_writes++;
	if (memo && *memo && (*memo)->number == account)
		return &(*memo)->u.totals;
	struct entry *e = entry_edit(txn, account ? KIND_ACCOUNT : KIND_STORE, account);
	if (memo)
		*memo = e;
	return e ? &e->u.totals : &nowhere()->u.totals;
}

static void entry_get(struct hl_txn *txn, struct entry *e)
{
	struct entry *edited = txn->cache ? hl_map_u64_get(&txn->cache->map, map_key(e->kind, e->number)) : NULL;
	if (!edited)
		entry_load(txn, e);
	else if (!edited->gone)
		*e = *edited;
}

void hl_counts_get(struct hl_txn *txn, uint32_t webhook, struct hl_counts *out)
{
	struct entry e = { .kind = KIND_WEBHOOK, .number = webhook };
	entry_get(txn, &e);
	*out = e.u.counts;
}

void hl_totals_get(struct hl_txn *txn, uint32_t account, struct hl_totals *out)
{
	struct entry e = { .kind = account ? KIND_ACCOUNT : KIND_STORE, .number = account };
	entry_get(txn, &e);
	*out = e.u.totals;
}

bool hl_totals_next(struct hl_txn *txn, uint32_t after, uint32_t *out_account, struct hl_totals *out)
{
	struct hl_cursor c;
	struct hl_dbkey kind = hl_dbkey_u8(HL_DBKEY_NONE, KIND_ACCOUNT);
	bool found = false;
	hl_cursor_open(&c, txn, HL_TABLE_COUNTS);
	if (after < UINT32_MAX && hl_cursor_seek(&c, HL_DBKEY(entry_key(KIND_ACCOUNT, after + 1))) &&
			hl_cursor_under(&c, HL_DBKEY(kind)) && c.key.len == 5) {
		*out_account = hl_be32_get((const uint8_t *)c.key.ptr + 1);
		int rc = hl_totals_decode(c.value, out);
		if (rc)
			hl_txn_fail(txn, rc);
		found = !rc;
	}
	hl_cursor_close(&c);
	return found;
}

void hl_counts_drop(struct hl_txn *txn, uint32_t webhook)
{
	struct entry *e = entry_edit(txn, KIND_WEBHOOK, webhook);
	txn->n_writes++;
	if (!e)
		return;
	e->u.counts = (struct hl_counts){ .last_class = 0 };
	e->gone = true;
}

void hl_counts_note_attempt(struct hl_counts *c, const struct hl_attempt *a)
{
	c->last_attempt_at_ms = a->started_at_ms;
	c->last_class = (uint8_t)a->error_class;
	c->last_status = a->http_status;
	if (a->succeeded) {
		c->last_success_at_ms = a->started_at_ms;
		return;
	}
	struct hl_str text = a->error.len > HL_LAST_ERROR_MAX ? hl_utf8_cut_bytes(a->error, HL_LAST_ERROR_MAX) : a->error;
	c->last_failure_at_ms = a->started_at_ms;
	c->last_failure_len = (uint8_t)text.len;
	if (text.len)
		memcpy(c->last_failure, text.ptr, text.len);
}
