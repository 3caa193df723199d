/* The one file that knows LMDB: environment, transactions, tables, cursors; its codes become ours here.
 *
 * The environment's flags are MDB_NOTLS | MDB_NORDAHEAD and no others: every one that makes commits cheaper loses or
 * damages acknowledged data when the power fails. The map is address space: it is set once, twice the quota and at
 * least 16 GiB, so it is never full before the quota is. No nested transactions, no duplicate keys, no MDB_CURRENT:
 * version 0.9.24 has bugs there.
 *
 * Transactions: the first failure sticks, the rest does nothing, commit says no. A commit that LMDB refuses is the
 * end of this store in this process (`dead`): nothing it held was acknowledged, and only a new process may try the
 * disk again. */
#include "base/check.h"
#include "base/defs.h"
#include "base/err.h"
#include "store/store_private.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READERS_MAX = 256, TABLES_MAX = 48, MEASURE_EVERY = 32, SHORT_MAX = 1024 /* pages */ };
#define ARENA_MAX ((size_t)256 << 20)
#define MAP_MIN ((uint64_t)16 << 30)

static int translate(int rc)
{
	switch (rc) {
	case 0: return 0;
	case MDB_MAP_FULL: case ENOSPC: case EDQUOT: return HL_EFULL;
	case MDB_TXN_FULL: return HL_ETOOBIG;
	case ENOMEM: return HL_ENOMEM;
	case MDB_PANIC: return HL_EFATAL;
	case MDB_READERS_FULL: return HL_ELIMIT;
	case EACCES: case EPERM: case EROFS: return HL_EPERM;
	case MDB_INVALID: case MDB_CORRUPTED: case MDB_PAGE_NOTFOUND: case MDB_KEYEXIST: case MDB_NOTFOUND: return HL_ECORRUPT;
	case MDB_VERSION_MISMATCH: return HL_EVERSION;
	default: return HL_EIO;
	}
}

/* ---- transactions ------------------------------------------------------------------------------------------------ */

static MDB_val val(struct hl_str s)
{
	return (MDB_val){ .mv_size = s.len, .mv_data = (void *)s.ptr };
}

static struct hl_str str(MDB_val v)
{
	return (struct hl_str){ v.mv_data, v.mv_size };
}

bool hl_txn_get(struct hl_txn *txn, enum hl_table t, struct hl_str key, struct hl_str *out)
{
	MDB_val k = val(key), v;
	if (txn->status)
		return false;
	int rc = mdb_get(txn->mdb, txn->store->tables[t], &k, &v);
	if (rc && rc != MDB_NOTFOUND)
		hl_txn_fail(txn, translate(rc));
	if (rc)
		return false;
	*out = str(v);
	return true;
}

/* Counts a write and lets a test make it fail. */
static bool may_write(struct hl_txn *txn)
{
	const struct hl_store_options *o = &txn->store->o;
	HL_CHECK(txn->write);
	txn->n_writes++;
	if (!txn->status && o->fault)
		txn->status = o->fault(o->fault_data, HL_FAULT_WRITE);
	return !txn->status;
}

static void put(struct hl_txn *txn, enum hl_table t, struct hl_str key, struct hl_str value, unsigned flags)
{
	MDB_val k = val(key), v = val(value);
	if (!may_write(txn))
		return;
	int rc = mdb_put(txn->mdb, txn->store->tables[t], &k, &v, flags);
	if (rc)
		hl_txn_fail(txn, translate(rc));
}

void hl_txn_put(struct hl_txn *txn, enum hl_table t, struct hl_str key, struct hl_str value)
{
	put(txn, t, key, value, 0);
}

void hl_txn_append(struct hl_txn *txn, enum hl_table t, struct hl_str key, struct hl_str value)
{
	put(txn, t, key, value, MDB_APPEND);
}

bool hl_txn_del(struct hl_txn *txn, enum hl_table t, struct hl_str key)
{
	MDB_val k = val(key);
	if (!may_write(txn))
		return false;
	int rc = mdb_del(txn->mdb, txn->store->tables[t], &k, NULL);
	if (rc && rc != MDB_NOTFOUND)
		hl_txn_fail(txn, translate(rc));
	return rc == 0;
}

uint64_t hl_txn_entries(struct hl_txn *txn, enum hl_table t)
{
	MDB_stat st;
	if (txn->status)
		return 0;
	int rc = mdb_stat(txn->mdb, txn->store->tables[t], &st);
	if (rc)
		hl_txn_fail(txn, translate(rc));
	return rc ? 0 : st.ms_entries;
}

/* ---- cursors ----------------------------------------------------------------------------------------------------- */

void hl_cursor_open(struct hl_cursor *c, struct hl_txn *txn, enum hl_table t)
{
	*c = (struct hl_cursor){ .txn = txn };
	if (txn->status)
		return;
	int rc = mdb_cursor_open(txn->mdb, txn->store->tables[t], &c->mdb);
	if (rc) {
		c->mdb = NULL;
		hl_txn_fail(txn, translate(rc));
	}
}

void hl_cursor_close(struct hl_cursor *c)
{
	if (c->mdb)
		mdb_cursor_close(c->mdb);
	c->mdb = NULL;
}

static bool cursor_move(struct hl_cursor *c, struct hl_str key, MDB_cursor_op op)
{
	MDB_val k = val(key), v;
	if (c->txn->status || !c->mdb)
		return false;
	int rc = mdb_cursor_get(c->mdb, &k, &v, op);
	if (rc && rc != MDB_NOTFOUND)
		hl_txn_fail(c->txn, translate(rc));
	if (rc)
		return false;
	c->key = str(k);
	c->value = str(v);
	return true;
}

bool hl_cursor_seek(struct hl_cursor *c, struct hl_str key) { return cursor_move(c, key, MDB_SET_RANGE); }
bool hl_cursor_next(struct hl_cursor *c) { return cursor_move(c, HL_STR_NONE, MDB_NEXT); }
bool hl_cursor_prev(struct hl_cursor *c) { return cursor_move(c, HL_STR_NONE, MDB_PREV); }
bool hl_cursor_first(struct hl_cursor *c) { return cursor_move(c, HL_STR_NONE, MDB_FIRST); }
bool hl_cursor_last(struct hl_cursor *c) { return cursor_move(c, HL_STR_NONE, MDB_LAST); }

/* ---- room -------------------------------------------------------------------------------------------------------- */

static void note_pages(struct hl_store *s)
{
	MDB_envinfo info;
	if (mdb_env_info(s->env, &info) == 0)
		atomic_store(&s->room.pages, (uint64_t)info.me_last_pgno + 1);
}

/* Numbers ≥ from in one value of the free list: a count, then as many page numbers, the largest first. */
static uint64_t free_in(MDB_val v, uint64_t from)
{
	uint64_t n, page, found = 0, room = v.mv_size / sizeof(n);
	if (room == 0)
		return 0;
	memcpy(&n, v.mv_data, sizeof(n));
	if (from == 0)
		return n;
	for (uint64_t i = 1; i <= n && i < room; i++) {
		memcpy(&page, (const char *)v.mv_data + i * sizeof(page), sizeof(page));
		if (page < from)
			break;
		found++;
	}
	return found;
}

/* How many pages from `from` on are free. */
static int count_free(MDB_txn *txn, uint64_t from, uint64_t *out)
{
	MDB_cursor *c;
	MDB_val k, v;
	uint64_t n = 0;
	_Static_assert(sizeof(size_t) == sizeof(n), "LMDB's numbers");
	int rc = mdb_cursor_open(txn, 0, &c);
	if (rc)
		return translate(rc);
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0)
		n += free_in(v, from);
	mdb_cursor_close(c);
	*out = n;
	return rc == MDB_NOTFOUND ? 0 : translate(rc);
}

int hl_store_measure(struct hl_store *s)
{
	MDB_txn *txn;
	uint64_t n;
	int dead, rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return translate(rc);
	(void)mdb_reader_check(s->env, &dead); /* slots of killed readers would keep old pages for ever */
	rc = count_free(txn, 0, &n);
	mdb_txn_abort(txn);
	if (!rc)
		atomic_store(&s->room.free_pages, n);
	note_pages(s);
	s->commits = 0;
	return rc;
}

/* ---- begin and end ----------------------------------------------------------------------------------------------- */

void hl_txn_init(struct hl_txn *txn, struct hl_store *s, bool write)
{
	*txn = (struct hl_txn){ .store = s, .write = write };
	hl_arena_init(&txn->arena, ARENA_MAX);
}

void hl_txn_fini(struct hl_txn *txn)
{
	hl_arena_fini(&txn->arena);
	hl_buf_fini(&txn->scratch);
}

/* Takes what one use of the transaction left behind; memory is kept for the next. */
static void txn_clear(struct hl_txn *txn)
{
	if (txn->drop)
		txn->drop(txn);
	txn->drop = NULL;
	txn->flush = NULL;
	txn->cache = NULL;
	txn->status = 0;
	txn->snapshot = false;
	txn->bounds_known = false;
	txn->n_writes = 0;
	hl_arena_reset(&txn->arena);
}

/* A read transaction gets (again) the newest snapshot. */
static int take_snapshot(struct hl_txn *txn)
{
	int rc = txn->mdb ? mdb_txn_renew(txn->mdb) : mdb_txn_begin(txn->store->env, NULL, MDB_RDONLY, &txn->mdb);
	txn->snapshot = rc == 0;
	return rc ? hl_txn_fail(txn, translate(rc)) : 0;
}

static void give_snapshot(struct hl_txn *txn)
{
	if (txn->snapshot)
		mdb_txn_reset(txn->mdb);
	txn_clear(txn);
}

struct hl_txn *hl_store_read(struct hl_store *s)
{
	if (!s->read.snapshot && !s->read.status)
		(void)take_snapshot(&s->read);
	return &s->read;
}

void hl_store_read_reset(struct hl_store *s)
{
	give_snapshot(&s->read);
}

int hl_store_begin_read(struct hl_store *s, struct hl_txn *txn)
{
	hl_txn_init(txn, s, false);
	int rc = take_snapshot(txn);
	if (rc)
		hl_txn_fini(txn);
	return rc;
}

int hl_txn_renew(struct hl_txn *txn)
{
	HL_CHECK(!txn->write);
	give_snapshot(txn);
	return take_snapshot(txn);
}

void hl_store_end_read(struct hl_txn *txn)
{
	txn_clear(txn);
	if (txn->mdb)
		mdb_txn_abort(txn->mdb);
	txn->mdb = NULL;
	hl_txn_fini(txn);
}

int hl_store_begin_write(struct hl_store *s, struct hl_txn **out)
{
	if (s->dead)
		return HL_EFATAL;
	if (s->o.read_only)
		return HL_EPERM;
	HL_CHECK(!s->write.mdb);
	int rc = mdb_txn_begin(s->env, NULL, 0, &s->write.mdb);
	if (rc) {
		s->write.mdb = NULL;
		return translate(rc);
	}
	*out = &s->write;
	return 0;
}

void hl_store_abort(struct hl_txn *txn)
{
	HL_CHECK(txn->write && txn->mdb);
	mdb_txn_abort(txn->mdb);
	txn->mdb = NULL;
	txn_clear(txn);
}

int hl_store_commit(struct hl_txn *txn)
{
	struct hl_store *s = txn->store;
	HL_CHECK(txn->write && txn->mdb);
	if (!txn->status && txn->flush)
		hl_txn_fail(txn, txn->flush(txn));
	int rc = txn->status;
	if (rc) {
		hl_store_abort(txn);
		return rc;
	}
	if (s->o.fault && s->o.fault(s->o.fault_data, HL_FAULT_COMMIT)) {
		hl_store_abort(txn);
		snprintf(s->death, sizeof(s->death), "as a test wanted");
		s->dead = true;
		return HL_EFATAL;
	}
	rc = mdb_txn_commit(txn->mdb); /* frees it in any case */
	txn->mdb = NULL;
	txn_clear(txn);
	if (rc) {
		snprintf(s->death, sizeof(s->death), "%s", mdb_strerror(rc));
		s->dead = true;
		return HL_EFATAL;
	}
	note_pages(s);
	/* while full every commit counts: what it freed may be what publishers wait for */
	if (++s->commits >= MEASURE_EVERY || hl_room_full(&s->room))
		(void)hl_store_measure(s); /* a failure leaves the older count */
	return 0;
}

void hl_txn_next_command(struct hl_txn *txn)
{
	hl_arena_reset(&txn->arena);
}

/* ---- the environment --------------------------------------------------------------------------------------------- */

static int lmdb_err(struct hl_err *err, int rc, const char *what)
{
	int code = translate(rc);
	if (rc == MDB_INVALID)
		return hl_err_set(err, HL_ECORRUPT, "data.mdb is damaged, restore a backup, or no store we know");
	return hl_err_set(err, code, "%s: %s", what, mdb_strerror(rc));
}

/* Whether the pages from `from` on, all up to `upto`, are free ones. A page that was taken and given back in one transaction is
 * counted but was never written, so the file may end before it. */
static bool missing_are_free(struct hl_store *s, uint64_t from, uint64_t upto)
{
	MDB_txn *txn;
	uint64_t n = 0;
	if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn))
		return false;
	int rc = count_free(txn, from, &n);
	mdb_txn_abort(txn);
	return rc == 0 && n == upto - from;
}

/* The file ends early. For writing it is made as long as it should be first, with zeros, so that reading the free list cannot
 * reach behind its end; zeros are no list of pages. Reading only, a long stretch is not looked into for that reason. */
static bool short_but_whole(struct hl_store *s, uint64_t size, uint64_t page_size, uint64_t pages)
{
	if (s->o.read_only)
		return size / page_size + SHORT_MAX >= pages && missing_are_free(s, size / page_size, pages);
	if (ftruncate(s->data_fd, (off_t)(pages * page_size)))
		return false;
	bool whole = missing_are_free(s, size / page_size, pages);
	if (!whole && ftruncate(s->data_fd, (off_t)size)) /* as it was found: whoever repairs it should see that */
		return false;
	return whole;
}

int hl_store_check_length(struct hl_store *s, struct hl_err *err)
{
	MDB_envinfo info;
	MDB_stat st;
	struct stat file;
	int rc = mdb_env_info(s->env, &info);
	rc = rc ? rc : mdb_env_stat(s->env, &st);
	if (rc)
		return lmdb_err(err, rc, "data.mdb");
	if (fstat(s->data_fd, &file))
		return hl_err_errno(err, errno, "data.mdb");
	uint64_t size = (uint64_t)file.st_size, pages = (uint64_t)info.me_last_pgno + 1;
	if (size < pages * st.ms_psize && !short_but_whole(s, size, st.ms_psize, pages))
		return hl_err_set(err, HL_ECORRUPT, "data.mdb is damaged, restore a backup: cut short, %llu bytes, %llu pages expected",
				(unsigned long long)size, (unsigned long long)pages);
	s->room.page_size = st.ms_psize;
	return 0;
}

static int env_open(struct hl_store *s)
{
	MDB_envinfo info;
	uint64_t map = HL_MAX(MAP_MIN, 2 * s->o.max_bytes) & ~(uint64_t)0xfffff;
	unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (s->o.read_only ? MDB_RDONLY : 0);
	int rc = mdb_env_create(&s->env);
	rc = rc ? rc : mdb_env_set_maxdbs(s->env, TABLES_MAX);
	rc = rc ? rc : mdb_env_set_maxreaders(s->env, READERS_MAX);
	rc = rc ? rc : mdb_env_set_mapsize(s->env, (size_t)map);
	rc = rc ? rc : mdb_env_open(s->env, s->dir, flags, 0600);
	rc = rc ? rc : mdb_env_get_fd(s->env, &s->data_fd);
	rc = rc ? rc : mdb_env_info(s->env, &info);
	if (!rc && info.me_last_txnid == 0 && !s->o.read_only)
		rc = mdb_env_sync(s->env, 1); /* the first pages are whole before a third is written */
	return rc;
}

int hl_store_env_open(struct hl_store *s, struct hl_err *err)
{
	int rc = env_open(s);
	return rc ? lmdb_err(err, rc, "data.mdb") : 0;
}

uint64_t hl_store_txn_number(const struct hl_txn *txn)
{
	return mdb_txn_id(txn->mdb);
}

void hl_store_env_close(struct hl_store *s)
{
	if (s->env)
		mdb_env_close(s->env);
	s->env = NULL;
}

int hl_store_env_fresh(struct hl_store *s, bool *out_fresh)
{
	MDB_stat st;
	int rc = mdb_env_stat(s->env, &st); /* of the table of tables */
	if (!rc)
		*out_fresh = st.ms_entries == 0;
	return translate(rc);
}

int hl_store_table_open(struct hl_txn *txn, enum hl_table t, bool create)
{
	int rc = mdb_dbi_open(txn->mdb, hl_table_name(t), create ? MDB_CREATE : 0, &txn->store->tables[t]);
	return rc == MDB_NOTFOUND ? HL_ENOTFOUND : translate(rc);
}

int hl_store_keep_tables(struct hl_txn *reader)
{
	int rc = mdb_txn_commit(reader->mdb);
	reader->mdb = NULL;
	reader->snapshot = false;
	return translate(rc);
}

int hl_store_copy(struct hl_store *s, const char *dest_dir, bool compact, struct hl_err *err)
{
	int rc = mdb_env_copy2(s->env, dest_dir, compact ? MDB_CP_COMPACT : 0);
	return rc ? lmdb_err(err, rc, "copy") : 0;
}
