/* What store.c (the only file that knows LMDB) and open.c share. Nobody else includes this. */
#ifndef HL_STORE_STORE_PRIVATE_H
#define HL_STORE_STORE_PRIVATE_H

#include "store/room.h"
#include "store/store.h"
#include <limits.h>

struct hl_store {
	struct MDB_env *env;          /* NULL = not open */
	unsigned tables[HL_TABLE_N];  /* LMDB's handles */
	int lock_fd;                  /* -1 = none */
	int data_fd;                  /* the environment's; -1 = none */
	struct hl_store_options o;    /* strings are valid during hl_store_open only */
	char dir[PATH_MAX];
	struct hl_seal_key key;
	struct hl_format_row format;
	struct hl_txn read;           /* the loop's */
	struct hl_txn write;
	atomic_bool dead;             /* a commit failed … */
	char death[96];               /* … for this reason; written before */
	char first_damage[200];       /* of a page, found while opening; "" = none */
	struct hl_room room;
	unsigned commits;             /* since the last measure */
};

/* Opens dir/data.mdb, which must be one that LMDB may be let at. */
HL_MUST_CHECK int hl_store_env_open(struct hl_store *s, struct hl_err *err);
/* Makes sure that every page the environment speaks of is in the file: a read beyond its end would kill us. */
HL_MUST_CHECK int hl_store_check_length(struct hl_store *s, struct hl_err *err);
uint64_t hl_store_txn_number(const struct hl_txn *txn); /* LMDB's number of the snapshot */
void hl_store_env_close(struct hl_store *s);
/* Whether the environment holds no table at all. */
HL_MUST_CHECK int hl_store_env_fresh(struct hl_store *s, bool *out_fresh);
/* Opens one table in txn; create: makes it. HL_ENOTFOUND. */
HL_MUST_CHECK int hl_store_table_open(struct hl_txn *txn, enum hl_table t, bool create);
/* Ends a read transaction so that the tables opened in it stay open. */
HL_MUST_CHECK int hl_store_keep_tables(struct hl_txn *reader);
void hl_txn_init(struct hl_txn *txn, struct hl_store *s, bool write);
void hl_txn_fini(struct hl_txn *txn);

#endif
