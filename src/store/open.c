/* Opening and closing a store. Happy path: the directory (made when allowed), its lock, the environment and its pages, the sealing
 * key (made with a new store), the format gate, the tables. Whatever fails says what was wrong with which store, and
 * what was opened before it is closed again. A new store is written in one transaction: a crash before its commit
 * leaves an environment without tables, which counts as new. The names of what was made are synced too before it counts as
 * open: a power cut must not take the whole store because its directory had not been written. */
#include "base/check.h"
#include "base/crash.h"
#include "base/err.h"
#include "store/address.h"
#include "store/birth.h"
#include "store/durable.h"
#include "store/lock.h"
#include "store/meta.h"
#include "store/pages.h"
#include "store/store_private.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUOTA_DEFAULT ((uint64_t)64 << 30)
#define LOOK_AT_ALL ((off_t)256 << 20)
#define RESERVE_DEFAULT ((uint64_t)64 << 20)

static int path_in(const struct hl_store *s, const char *name, char out[PATH_MAX], struct hl_err *err)
{
	if (snprintf(out, PATH_MAX, "%s/%s", s->dir, name) >= PATH_MAX)
		return hl_err_set(err, HL_EINVAL, "the path is too long");
	return 0;
}

/* The key is made when the first pages are on disk: where it is, missing ones are damage. One of another place tells nothing. */
static bool key_made(const struct hl_store *s)
{
	char file[PATH_MAX];
	return !s->o.key_file && path_in(s, "key", file, NULL) == 0 && access(file, F_OK) == 0;
}

/* Before LMDB sees the file: its first pages must be right. One that nothing was ever committed to is emptied instead. */
static int check_head(struct hl_store *s, struct hl_err *err)
{
	char file[PATH_MAX];
	uint32_t page_size;
	if (snprintf(file, sizeof(file), "%s/data.mdb", s->dir) >= (int)sizeof(file))
		return hl_err_set(err, HL_EINVAL, "the path is too long");
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : hl_err_errno(err, errno, "data.mdb");
	struct hl_err why = { 0 };
	int rc = hl_pages_head(fd, &page_size, &why);
	close(fd);
	bool may_make = s->o.create && !s->o.read_only;
	if (rc == HL_ECORRUPT && may_make && !key_made(s) && hl_birth_cut_off(file) && truncate(file, 0) == 0)
		return 0;
	if (!rc && page_size == 0 && key_made(s))
		return hl_err_set(err, HL_ECORRUPT, "data.mdb is damaged, restore a backup: it is empty");
	if (!rc && page_size == 0 && !may_make)
		return hl_err_set(err, HL_ENOTFOUND, "there is no store here");
	if (rc && err)
		*err = why;
	return rc;
}

static void on_damage(void *data, const char *text)
{
	struct hl_store *s = data;
	if (!s->first_damage[0])
		snprintf(s->first_damage, sizeof(s->first_damage), "%s", text);
	if (s->o.damage)
		s->o.damage(s->o.damage_data, text);
}

/* Every page of a store that is read in a moment; of a larger one those that lead to others, unless the caller wants all. */
static int check_pages(struct hl_store *s, struct hl_err *err)
{
	struct hl_txn txn;
	struct stat st;
	struct hl_pages_check c = { .fd = s->data_fd, .damage = on_damage, .data = s };
	int rc = hl_store_begin_read(s, &txn); /* keeps a server from writing over what is looked at */
	if (rc)
		return hl_err_set(err, rc, "cannot begin a transaction");
	c.txnid = hl_store_txn_number(&txn);
	c.branches_only = !s->o.damage && fstat(c.fd, &st) == 0 && st.st_size > LOOK_AT_ALL;
	rc = hl_pages_check(&c, err);
	hl_store_end_read(&txn);
	if (!rc && c.damages)
		rc = hl_err_set(err, HL_ECORRUPT, "data.mdb is damaged, restore a backup: %s%s", s->first_damage,
				c.damages > 1 ? ", and more (\"hookline check\" tells)" : "");
	return rc;
}

static int open_dir(struct hl_store *s, struct hl_err *err)
{
	struct stat st;
	char file[PATH_MAX];
	if (!s->o.read_only && s->o.create && hl_durable_mkdir(s->dir))
		return hl_err_errno(err, errno, "cannot make the directory");
	if (stat(s->dir, &st))
		return hl_err_errno(err, errno, "cannot use the directory");
	if (!S_ISDIR(st.st_mode))
		return hl_err_set(err, HL_ENOTFOUND, "not a directory");
	int rc = path_in(s, "data.mdb", file, err);
	if (!rc && (s->o.read_only || !s->o.create) && access(file, F_OK))
		return hl_err_set(err, HL_ENOTFOUND, "there is no store here");
	if (rc || s->o.read_only)
		return rc;
	rc = path_in(s, "lock", file, err);
	return rc ? rc : hl_lock_take(file, s->o.takeover, &s->lock_fd, err);
}

/* A new environment may get a new key file; for an old one the key must be there. */
static int open_key(struct hl_store *s, bool fresh, struct hl_err *err)
{
	char file[PATH_MAX];
	int rc = path_in(s, "key", file, err);
	const char *key_file = s->o.key_file ? s->o.key_file : file;
	if (rc)
		return rc;
	if (fresh && access(key_file, F_OK) != 0) {
		rc = hl_seal_key_make(key_file, s->o.env, &s->key, err);
		HL_CRASH_POINT(START_NEW_KEY);
		if (rc == HL_ENOTFOUND && err) /* its directory is missing, which does not mean that there is no store */
			err->code = HL_EKEY;
		return rc == HL_ENOTFOUND ? HL_EKEY : rc;
	}
	rc = hl_seal_key_load(key_file, &s->key, err);
	if (rc == HL_EKEY && !fresh)
		hl_err_prefix(err, "the secrets need their key (restore it, or name it in store.key_file; migrate --rekey "
				"changes it while it is there)");
	return rc;
}

static int open_store_in(struct hl_store *s, struct hl_txn *txn, bool *out_fresh, struct hl_err *err)
{
	int rc = hl_store_env_fresh(s, out_fresh);
	bool fresh = rc == 0 && *out_fresh;
	if (rc)
		return hl_err_set(err, rc, "data.mdb cannot be read");
	if (fresh && !(txn->write && s->o.create))
		return hl_err_set(err, HL_ENOTFOUND, "there is no store here");
	rc = hl_store_table_open(txn, HL_TABLE_META, fresh);
	if (rc == HL_ENOTFOUND)
		return hl_err_set(err, HL_EVERSION, "data.mdb belongs to another program");
	if (rc)
		return hl_err_set(err, rc, "table meta");
	rc = open_key(s, fresh, err);
	if (!rc)
		rc = hl_meta_gate(txn, fresh, &s->key, s->o.env, &s->format, err);
	/* one of this format has all of them: a missing one is damage, and must not be made anew */
	bool make = txn->write && (fresh || s->format.version < HL_FORMAT_VERSION);
	for (unsigned t = 0; !rc && t < HL_TABLE_N; t++) {
		rc = hl_store_table_open(txn, (enum hl_table)t, make);
		if (rc == HL_ENOTFOUND)
			rc = hl_err_set(err, HL_ECORRUPT, "data.mdb is damaged, restore a backup: table %s is missing",
					hl_table_name((enum hl_table)t));
		else if (rc)
			rc = hl_err_set(err, rc, "table %s", hl_table_name((enum hl_table)t));
	}
	if (!rc && txn->write && s->format.version < HL_ADDRESS_FORMAT) {
		hl_address_seal_all(txn);
		rc = hl_txn_status(txn) ? hl_err_set(err, hl_txn_status(txn), "cannot seal the URLs of webhooks") : 0;
	}
	return rc;
}

static int open_read_only(struct hl_store *s, struct hl_err *err)
{
	struct hl_txn txn;
	bool fresh;
	int rc = hl_store_begin_read(s, &txn);
	if (rc)
		return hl_err_set(err, rc, "cannot begin a transaction");
	rc = open_store_in(s, &txn, &fresh, err);
	if (!rc && hl_store_keep_tables(&txn))
		rc = hl_err_set(err, HL_EIO, "cannot open the tables");
	hl_store_end_read(&txn);
	return rc;
}

static int open_store(struct hl_store *s, struct hl_err *err)
{
	struct hl_txn *txn;
	bool fresh;
	if (s->o.read_only)
		return open_read_only(s, err);
	int rc = hl_store_begin_write(s, &txn);
	if (rc)
		return hl_err_set(err, rc, "cannot begin a transaction");
	rc = open_store_in(s, txn, &fresh, err);
	if (rc) {
		hl_store_abort(txn);
		return rc;
	}
	HL_CRASH_POINT(OPEN_GATE);
	rc = hl_store_commit(txn);
	if (rc)
		return hl_err_set(err, rc, "cannot write to the store");
	return fresh && hl_durable_dir(s->dir) ? hl_err_errno(err, errno, "cannot sync the directory") : 0;
}

int hl_store_open(struct hl_store **out, const struct hl_store_options *o, struct hl_err *err)
{
	struct hl_store *s = calloc(1, sizeof(*s));
	if (!s)
		return hl_err_set(err, HL_ENOMEM, "open store");
	s->o = *o;
	s->o.env = o->env ? o->env : &hl_env_real;
	s->o.max_bytes = o->max_bytes ? o->max_bytes : QUOTA_DEFAULT;
	s->room.max_bytes = s->o.max_bytes;
	s->room.reserve_bytes = o->reserve_bytes ? o->reserve_bytes : RESERVE_DEFAULT;
	s->lock_fd = s->data_fd = -1;
	hl_txn_init(&s->read, s, false);
	hl_txn_init(&s->write, s, true);
	int rc = 0;
	if (snprintf(s->dir, sizeof(s->dir), "%s", o->dir) >= (int)sizeof(s->dir))
		rc = hl_err_set(err, HL_EINVAL, "the path is too long");
	rc = rc ? rc : open_dir(s, err);
	HL_CRASH_POINT(OPEN_LOCKED);
	rc = rc ? rc : check_head(s, err);
	rc = rc ? rc : hl_store_env_open(s, err);
	rc = rc ? rc : check_pages(s, err);
	rc = rc ? rc : hl_store_check_length(s, err);
	HL_CRASH_POINT(OPEN_MAPPED);
	rc = rc ? rc : open_store(s, err);
	if (!rc && (rc = hl_store_measure(s)))
		hl_err_set(err, rc, "cannot count the free pages");
	if (rc) {
		hl_err_prefix(err, "store %s", o->dir);
		hl_store_close(s);
		return rc;
	}
	HL_CRASH_POINT(OPEN_DONE);
	s->o.dir = s->dir;
	s->o.key_file = NULL;
	*out = s;
	return 0;
}

void hl_store_close(struct hl_store *s)
{
	if (!s)
		return;
	HL_CHECK(!s->write.mdb);
	hl_store_end_read(&s->read);
	hl_txn_fini(&s->write);
	hl_store_env_close(s);
	hl_lock_give(s->lock_fd);
	hl_seal_key_wipe(&s->key);
	free(s);
}

/* ---- what an open store tells ------------------------------------------------------------------------------------ */

int hl_store_reserve(struct hl_store *s, uint64_t batch_bytes)
{
	if (s->o.fault && s->o.fault(s->o.fault_data, HL_FAULT_RESERVE)) {
		atomic_store(&s->room.disk_full, true);
		return HL_EFULL;
	}
	return hl_room_reserve(&s->room, s->data_fd, batch_bytes);
}

void hl_store_usage(struct hl_store *s, struct hl_store_usage *out)
{
	struct hl_store_usage u = { .max_bytes = s->room.max_bytes, .disk_full = atomic_load(&s->room.disk_full),
		.spent = atomic_load(&s->room.spent) };
	u.file_bytes = atomic_load(&s->room.pages) * s->room.page_size;
	u.used_bytes = hl_room_used(&s->room);
	u.free_bytes = u.file_bytes - u.used_bytes;
	*out = u;
}

bool hl_store_full(struct hl_store *s)
{
	return hl_room_full(&s->room);
}

const uint8_t *hl_store_id_key(const struct hl_store *s) { return s->format.id_key; }
const uint8_t *hl_store_uuid(const struct hl_store *s) { return s->format.uuid; }
uint32_t hl_store_found_format(const struct hl_store *s) { return s->format.version; }
const struct hl_env *hl_store_env(const struct hl_store *s) { return s->o.env; }
const char *hl_store_death(const struct hl_store *s) { return atomic_load(&s->dead) ? s->death : ""; }
const char *hl_store_dir(const struct hl_store *s) { return s->dir; }
const struct hl_seal_key *hl_store_key(const struct hl_store *s) { return &s->key; }

int hl_store_seal(struct hl_store *s, enum hl_seal_kind kind, uint64_t number, struct hl_str plain, struct hl_buf *out)
{
	return hl_seal(&s->key, s->o.env, kind, number, plain, out);
}

int hl_store_unseal(struct hl_store *s, enum hl_seal_kind kind, uint64_t number, struct hl_str sealed,
		struct hl_buf *out)
{
	return hl_unseal(&s->key, kind, number, sealed, out);
}
