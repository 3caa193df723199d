/* The store: one LMDB environment in one directory, one writer, one read transaction for the loop.
 *
 * Threads: hl_store_read* on the loop's thread only; hl_store_begin_write … commit on one thread at a time (the
 * storage thread, or the caller when there is none); seal, unseal, usage and full on any thread. */
#ifndef HL_STORE_STORE_H
#define HL_STORE_STORE_H

#include "base/env.h"
#include "store/seal.h"
#include "store/txn.h"

struct hl_store;

/* Where a test can make the store fail. */
enum hl_fault { HL_FAULT_WRITE, HL_FAULT_COMMIT, HL_FAULT_RESERVE };

struct hl_store_options {
	const char *dir;
	uint64_t max_bytes;           /* quota; 0 = 64 GiB */
	const char *key_file;         /* NULL = dir/key, made on first start */
	bool create;                  /* make directory and store if missing */
	bool read_only;               /* takes no lock: beside a server */
	bool takeover;                /* wait for the lock */
	uint64_t reserve_bytes;       /* kept allocated beyond the last page; 0 = 64 MiB */
	const struct hl_env *env;     /* NULL = the real one */
	int (*fault)(void *data, enum hl_fault at); /* tests: non-zero makes that operation fail with it. NULL = none */
	void *fault_data;
	/* Called for each damaged page found while opening; with it all pages are looked at, however many there are. NULL: of a
	 * store over 256 MiB only those that lead to others. Any damage refuses the store (HL_ECORRUPT). */
	void (*damage)(void *data, const char *text);
	void *damage_data;
};

/* HL_ENOTFOUND, HL_EPERM, HL_ELOCKED (names the owner), HL_ECORRUPT (not LMDB), HL_EVERSION (newer, or not ours),
 * HL_EKEY (key missing, malformed, open to others, or not the store's), HL_EFULL, HL_EIO, HL_ENOMEM. */
HL_MUST_CHECK int hl_store_open(struct hl_store **out, const struct hl_store_options *o, struct hl_err *err);
/* No transaction may be open but the loop's own. NULL: nothing. */
void hl_store_close(struct hl_store *s);

/* The loop's read transaction, renewed when it was reset. Never NULL; look at hl_txn_status. */
struct hl_txn *hl_store_read(struct hl_store *s);
/* Gives the snapshot up (before the loop sleeps, and after a commit so that the next read sees it). Frees its arena. */
void hl_store_read_reset(struct hl_store *s);
/* Further readers, ended by hl_store_end_read. hl_txn_renew moves one to the newest snapshot. */
HL_MUST_CHECK int hl_store_begin_read(struct hl_store *s, struct hl_txn *txn);
HL_MUST_CHECK int hl_txn_renew(struct hl_txn *txn);
void hl_store_end_read(struct hl_txn *txn);

/* The one write transaction. commit flushes the counters first. commit's failure is fatal (HL_EFATAL) except
 * HL_EFULL and other failures before anything was handed to the disk: then the transaction was aborted and could be
 * run again. */
HL_MUST_CHECK int hl_store_begin_write(struct hl_store *s, struct hl_txn **out);
HL_MUST_CHECK int hl_store_commit(struct hl_txn *txn);
void hl_store_abort(struct hl_txn *txn);
/* Between commands of a batch: frees the arena. */
void hl_txn_next_command(struct hl_txn *txn);

/* Keeps max(reserve, 4 × batch_bytes) allocated on disk beyond the last page. Storage thread, outside a transaction.
 * HL_EFULL: the disk has no room for commands that grow the store. */
HL_MUST_CHECK int hl_store_reserve(struct hl_store *s, uint64_t batch_bytes);

struct hl_store_usage {
	uint64_t used_bytes;          /* pages that hold data */
	uint64_t free_bytes;          /* pages of the file free for reuse */
	uint64_t file_bytes;
	uint64_t max_bytes;
	bool disk_full;               /* the reserve could not be kept at the last batch */
	bool spent;                   /* and little of it is left: what calls for outcomes should wait */
};
void hl_store_usage(struct hl_store *s, struct hl_store_usage *out);
bool hl_store_full(struct hl_store *s);       /* from 85 % of max_bytes, or disk_full */
int hl_store_measure(struct hl_store *s);     /* counts the free pages now (storage thread, outside a transaction) */

const uint8_t *hl_store_id_key(const struct hl_store *s); /* 16 bytes */
const uint8_t *hl_store_uuid(const struct hl_store *s);   /* 16 bytes */
uint32_t hl_store_found_format(const struct hl_store *s); /* as it was before it was opened */
const struct hl_env *hl_store_env(const struct hl_store *s);
const char *hl_store_death(const struct hl_store *s); /* why the last commit failed; "" while none did */
const char *hl_store_dir(const struct hl_store *s);
const struct hl_seal_key *hl_store_key(const struct hl_store *s);
HL_MUST_CHECK int hl_store_seal(struct hl_store *s, enum hl_seal_kind kind, uint64_t number, struct hl_str plain,
		struct hl_buf *out);
HL_MUST_CHECK int hl_store_unseal(struct hl_store *s, enum hl_seal_kind kind, uint64_t number, struct hl_str sealed,
		struct hl_buf *out);
/* A consistent copy of the environment into dest_dir (exists, empty), synced; compact leaves free pages out. */
HL_MUST_CHECK int hl_store_copy(struct hl_store *s, const char *dest_dir, bool compact, struct hl_err *err);

#endif
