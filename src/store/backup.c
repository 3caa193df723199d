/* Backup: the environment is copied through a read transaction, which needs no lock and stops nobody; the copy is
 * synced and opened once, read only and page by page, before success is told. Whatever a failure left in the destination
 * is removed again, the directory too when we made it.
 *
 * Rekey: every sealed value is opened with the old key and sealed with the new one, and the format record names the
 * new key, all in one transaction: a crash leaves the store under one key or the other. The new key's file is made
 * (and synced) before; a value that does not open ends it with nothing changed. */
#include "store/backup.h"
#include "base/crash.h"
#include "base/err.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct backup {
	const struct hl_backup_options *o;
	struct hl_store *store;
	bool made_dir;
	char key_file[PATH_MAX];      /* the source's */
	char copy_key[PATH_MAX];      /* dest/key */
};

static int path_join(char out[PATH_MAX], const char *dir, const char *name, struct hl_err *err)
{
	if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return hl_err_set(err, HL_EINVAL, "the path is too long");
	return 0;
}

static bool dir_empty(DIR *d)
{
	struct dirent *e;
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	return true;
}

static int take_dest(struct backup *b, struct hl_err *err)
{
	if (mkdir(b->o->dest, 0700) == 0) {
		b->made_dir = true;
		return 0;
	}
	if (errno != EEXIST)
		return hl_err_errno(err, errno, "backup: %s", b->o->dest);
	DIR *d = opendir(b->o->dest);
	if (!d)
		return hl_err_errno(err, errno, "backup: %s", b->o->dest);
	bool empty = dir_empty(d);
	closedir(d);
	return empty ? 0 : hl_err_set(err, HL_EEXIST, "backup: %s is not empty", b->o->dest);
}

static void remove_copy(struct backup *b)
{
	static const char *const names[] = { "data.mdb", "lock.mdb", "key" };
	char file[PATH_MAX];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (path_join(file, b->o->dest, names[i], NULL) == 0)
			unlink(file);
	if (b->made_dir)
		rmdir(b->o->dest);
}

static int sync_path(const char *path, struct hl_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);
	int code = rc ? hl_err_errno(err, errno, "backup: %s", path) : 0;
	if (fd >= 0)
		close(fd);
	return code;
}

static int write_key(const char *from, const char *to, struct hl_err *err)
{
	char text[256];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	ssize_t n = in < 0 ? -1 : read(in, text, sizeof(text));
	int failed = n < 0 ? errno : 0;
	if (in >= 0)
		close(in);
	int out = failed ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (!failed && (out < 0 || write(out, text, (size_t)n) != n))
		failed = errno ? errno : EIO;
	if (out >= 0)
		close(out);
	OPENSSL_cleanse(text, sizeof(text));
	return failed ? hl_err_errno(err, failed, "backup: %s", to) : 0;
}

static void no_report(void *data, const char *text)
{
	(void)data, (void)text;
}

/* Opens the copy as a program would, and looks at every page. */
static int prove(struct backup *b, struct hl_err *err)
{
	char file[PATH_MAX];
	struct hl_store *copy;
	struct hl_store_options so = { .dir = b->o->dest, .read_only = true, .damage = no_report,
		.key_file = b->o->with_key ? b->copy_key : b->key_file };
	int rc = hl_store_open(&copy, &so, err);
	if (rc)
		return hl_err_prefix(err, "backup: the copy does not open");
	hl_store_close(copy);
	rc = path_join(file, b->o->dest, "lock.mdb", err);
	if (!rc)
		unlink(file);
	return rc;
}

static int copy_all(struct backup *b, struct hl_err *err)
{
	char data[PATH_MAX];
	int rc = path_join(data, b->o->dest, "data.mdb", err);
	rc = rc ? rc : hl_store_copy(b->store, b->o->dest, b->o->compact, err);
	HL_CRASH_POINT(BACKUP_COPIED);
	if (!rc && chmod(data, 0600))
		rc = hl_err_errno(err, errno, "backup: %s", data);
	rc = rc ? rc : sync_path(data, err);
	if (!rc && b->o->with_key)
		rc = write_key(b->key_file, b->copy_key, err);
	if (!rc && b->o->with_key)
		rc = sync_path(b->copy_key, err);
	HL_CRASH_POINT(BACKUP_SYNCED);
	rc = rc ? rc : prove(b, err);
	return rc ? rc : sync_path(b->o->dest, err);
}

int hl_backup(const struct hl_backup_options *o, struct hl_err *err)
{
	struct backup b = { .o = o };
	struct hl_store_options so = { .dir = o->dir, .read_only = true, .key_file = o->key_file,
		.damage = o->compact ? no_report : NULL }; /* compacting follows every page */
	int rc = path_join(b.copy_key, o->dest, "key", err);
	if (!rc && o->key_file && snprintf(b.key_file, PATH_MAX, "%s", o->key_file) >= PATH_MAX)
		rc = hl_err_set(err, HL_EINVAL, "the path is too long");
	if (!rc && !o->key_file)
		rc = path_join(b.key_file, o->dir, "key", err);
	rc = rc ? rc : hl_store_open(&b.store, &so, err);
	if (rc)
		return rc;
	rc = take_dest(&b, err);
	if (!rc) {
		rc = copy_all(&b, err);
		if (rc)
			remove_copy(&b);
	}
	if (rc && err)
		snprintf(err->field, sizeof(err->field), "dest");
	hl_store_close(b.store);
	return rc;
}

/* ---- rekey ------------------------------------------------------------------------------------------------------- */

struct rekey {
	struct hl_store *store;
	struct hl_txn *txn;
	struct hl_seal_key key;       /* the new one */
	struct hl_buf plain, sealed[3];
	enum hl_table table;          /* being walked */
};

/* Seals one value anew into sealed[i]; "" stays "". */
static int reseal(struct rekey *k, enum hl_seal_kind kind, uint64_t number, size_t i, struct hl_str *value)
{
	if (!value->len)
		return 0;
	hl_buf_reset(&k->plain);
	hl_buf_reset(&k->sealed[i]);
	int rc = hl_store_unseal(k->store, kind, number, *value, &k->plain);
	if (!rc)
		rc = hl_seal(&k->key, hl_store_env(k->store), kind, number, hl_buf_all(&k->plain), &k->sealed[i]);
	*value = hl_buf_all(&k->sealed[i]);
	return rc;
}

static int rekey_webhook(struct rekey *k, struct hl_str key, struct hl_str value)
{
	struct hl_webhook_row r;
	int rc = hl_webhook_row_decode(value, hl_txn_arena(k->txn), &r);
	rc = rc ? rc : reseal(k, HL_SEAL_SECRET, r.w.number, 0, &r.secret);
	rc = rc ? rc : reseal(k, HL_SEAL_SECRET, r.w.number, 1, &r.previous_secret);
	rc = rc ? rc : reseal(k, HL_SEAL_ADDRESS, r.w.number, 2, &r.address);
	if (rc)
		return rc;
	hl_buf_reset(&k->txn->scratch);
	hl_webhook_row_encode(&k->txn->scratch, &r);
	hl_txn_put_scratch(k->txn, k->table, key, false);
	return 0;
}

static int rekey_idem(struct rekey *k, struct hl_str key, struct hl_str value)
{
	struct hl_idem_row r;
	int rc = key.len < 8 ? HL_ECORRUPT : hl_idem_row_decode(value, &r);
	if (rc || !r.answer.len)
		return rc;
	rc = reseal(k, HL_SEAL_ANSWER, hl_be32_get((const uint8_t *)key.ptr + 4), 0, &r.answer);
	if (rc)
		return rc;
	hl_buf_reset(&k->txn->scratch);
	hl_idem_row_encode(&k->txn->scratch, &r);
	hl_txn_put_scratch(k->txn, HL_TABLE_IDEM, key, false);
	return 0;
}

/* Calls each for every row, seeking anew behind each one because it writes. */
static int rekey_table(struct rekey *k, enum hl_table t, int (*each)(struct rekey *, struct hl_str, struct hl_str))
{
	char last[64];
	size_t n = 0;
	k->table = t;
	for (;;) {
		struct hl_cursor c;
		struct hl_str key = HL_STR_NONE, value = HL_STR_NONE;
		hl_txn_next_command(k->txn);
		hl_cursor_open(&c, k->txn, t);
		if (n ? hl_cursor_seek(&c, hl_str_make(last, n)) : hl_cursor_first(&c)) {
			key = hl_txn_dup(k->txn, c.key);
			value = hl_txn_dup(k->txn, c.value);
		}
		hl_cursor_close(&c);
		if (hl_txn_status(k->txn) || !key.len)
			return hl_txn_status(k->txn);
		if (key.len >= sizeof(last))
			return HL_ECORRUPT;
		int rc = each(k, key, value);
		if (rc)
			return rc;
		memcpy(last, key.ptr, key.len); /* with a zero byte: the smallest key behind it */
		last[key.len] = '\0';
		n = key.len + 1;
	}
}

static int rekey_all(struct rekey *k, struct hl_err *err)
{
	int rc = hl_store_begin_write(k->store, &k->txn);
	if (rc)
		return hl_err_set(err, rc, "rekey: cannot begin a transaction");
	rc = rekey_table(k, HL_TABLE_WEBHOOK, rekey_webhook);
	rc = rc ? rc : rekey_table(k, HL_TABLE_WEBHOOK_REVISION, rekey_webhook);
	rc = rc ? rc : rekey_table(k, HL_TABLE_IDEM, rekey_idem);
	if (rc) {
		hl_store_abort(k->txn);
		return hl_err_set(err, rc, "rekey: a sealed value does not open; nothing was changed");
	}
	hl_meta_key_put(k->txn, &k->key, hl_store_env(k->store));
	HL_CRASH_POINT(REKEY_SEALED);
	rc = hl_store_commit(k->txn);
	HL_CRASH_POINT(REKEY_DONE);
	return rc ? hl_err_set(err, rc, "rekey: cannot commit; nothing was changed") : 0;
}

int hl_rekey(const char *dir, const char *old_key_file, const char *new_key_file, struct hl_err *err)
{
	struct rekey k = { .store = NULL };
	struct hl_store_options so = { .dir = dir, .key_file = old_key_file };
	int rc = hl_store_open(&k.store, &so, err);
	if (rc)
		return rc;
	if (access(new_key_file, F_OK) == 0)
		rc = hl_seal_key_load(new_key_file, &k.key, err);
	else
		rc = hl_seal_key_make(new_key_file, hl_store_env(k.store), &k.key, err);
	if (!rc && memcmp(k.key.id, hl_store_key(k.store)->id, sizeof(k.key.id)) == 0)
		rc = hl_err_set(err, HL_EINVAL, "rekey: %s holds the store's key already", new_key_file);
	rc = rc ? rc : rekey_all(&k, err);
	if (k.plain.data)
		OPENSSL_cleanse(k.plain.data, k.plain.cap);
	hl_buf_fini(&k.plain);
	hl_buf_fini(&k.sealed[0]);
	hl_buf_fini(&k.sealed[1]);
	hl_buf_fini(&k.sealed[2]);
	hl_seal_key_wipe(&k.key);
	hl_store_close(k.store);
	return rc;
}
