/* A transaction over the store's tables. A write transaction lives on one thread from begin to commit.
 *
 * The error is sticky: after the first failure every later call does nothing, and the transaction can only be aborted.
 * So table code writes on and the one who commits looks once. Bytes got from a table are valid until the next write of
 * this transaction (read transaction: until it ends or is reset). */
#ifndef HL_STORE_TXN_H
#define HL_STORE_TXN_H

#include "base/codec.h"
#include "base/str.h"
#include "store/layout.h"

struct hl_store;
struct hl_txn_cache;                  /* counts.c: counters edited in this transaction */

struct hl_txn {
	struct hl_store *store;
	struct MDB_txn *mdb;          /* NULL = not begun, or reset */
	int status;                   /* 0, or the first failure */
	bool write;
	bool snapshot;                /* a read transaction that sees data now */
	bool bounds_known;
	uint64_t n_writes;            /* puts, dels and counter edits so far */
	struct hl_index_bounds bounds;/* cached by hl_txn_bounds */
	struct hl_arena arena;
	struct hl_buf scratch;        /* for encoding one row */
	struct hl_txn_cache *cache;
	int (*flush)(struct hl_txn *txn); /* set with cache: writes it out before the commit */
	void (*drop)(struct hl_txn *txn); /* frees the cache at the end */
};

static inline int hl_txn_status(const struct hl_txn *txn) { return txn->status; }
int hl_txn_fail(struct hl_txn *txn, int code); /* keeps the first; returns the kept one */
/* Memory until the next command (write) or reset (read). */
static inline struct hl_arena *hl_txn_arena(struct hl_txn *txn) { return &txn->arena; }
/* Allocates in the arena; NULL also fails the transaction with HL_ENOMEM. */
void *hl_txn_alloc(struct hl_txn *txn, size_t n);
/* Copies into the arena. */
struct hl_str hl_txn_dup(struct hl_txn *txn, struct hl_str s);

/* false: absent, or the transaction failed. */
bool hl_txn_get(struct hl_txn *txn, enum hl_table t, struct hl_str key, struct hl_str *out);
/* The same; in a write transaction the bytes are copied into the arena, so that they outlive the next write. */
bool hl_txn_get_kept(struct hl_txn *txn, enum hl_table t, struct hl_str key, struct hl_str *out);
void hl_txn_put(struct hl_txn *txn, enum hl_table t, struct hl_str key, struct hl_str value);
/* key must be larger than every key of the table (else HL_ECORRUPT: numbers went backwards). */
void hl_txn_append(struct hl_txn *txn, enum hl_table t, struct hl_str key, struct hl_str value);
/* The row encoded in txn->scratch becomes the value. */
void hl_txn_put_scratch(struct hl_txn *txn, enum hl_table t, struct hl_str key, bool append);
bool hl_txn_del(struct hl_txn *txn, enum hl_table t, struct hl_str key); /* false: was not there */
uint64_t hl_txn_entries(struct hl_txn *txn, enum hl_table t);

/* A position in a table; closed by hl_cursor_close before the transaction ends. Moves return false at the end (and
 * when the transaction failed); key and value are set on true. In a write transaction, seek again after writing to
 * the table. */
struct hl_cursor {
	struct hl_txn *txn;
	struct MDB_cursor *mdb;
	struct hl_str key, value;
};
void hl_cursor_open(struct hl_cursor *c, struct hl_txn *txn, enum hl_table t);
void hl_cursor_close(struct hl_cursor *c);
bool hl_cursor_seek(struct hl_cursor *c, struct hl_str key);        /* first entry ≥ key */
bool hl_cursor_seek_before(struct hl_cursor *c, struct hl_str key); /* last entry < key */
bool hl_cursor_next(struct hl_cursor *c);
bool hl_cursor_prev(struct hl_cursor *c);
bool hl_cursor_first(struct hl_cursor *c);
bool hl_cursor_last(struct hl_cursor *c);
static inline bool hl_cursor_under(const struct hl_cursor *c, struct hl_str prefix)
{
	return c->key.len >= prefix.len && memcmp(c->key.ptr, prefix.ptr, prefix.len) == 0;
}

/* A key being built: columns are added in order. Larger than any key of the store. */
struct hl_dbkey {
	uint8_t bytes[40];
	size_t len;
};
static inline struct hl_dbkey hl_dbkey_u8(struct hl_dbkey k, uint8_t v) { k.bytes[k.len++] = v; return k; }
static inline struct hl_dbkey hl_dbkey_u32(struct hl_dbkey k, uint32_t v)
{
	hl_be32_put(k.bytes + k.len, v);
	k.len += 4;
	return k;
}
static inline struct hl_dbkey hl_dbkey_u64(struct hl_dbkey k, uint64_t v)
{
	hl_be64_put(k.bytes + k.len, v);
	k.len += 8;
	return k;
}
#define HL_DBKEY_NONE ((struct hl_dbkey){ .len = 0 })
#define HL_DBKEY(k) ((struct hl_str){ (const char *)(k).bytes, (k).len })

#endif
