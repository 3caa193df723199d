/* Opening a store: each thing that can be wrong has its own error. Transactions: sticky failures, aborts, numbers that
 * never come back. Room: quota, and a disk without space. */
#include "store_test.h"
#include "store/commit.h"
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SECTOR = 512 };

static struct hl_err err;

static int try_open(const struct hl_store_options *o)
{
	struct hl_store *s = NULL;
	memset(&err, 0, sizeof(err));
	int rc = hl_store_open(&s, o, &err);
	assert_int_equal(rc, err.code);
	hl_store_close(s);
	return rc;
}

static void in_dir(const struct fixture *f, const char *name, char out[TMPDIR_PATH_CAP])
{
	tmpdir_path(&f->dir, name, out);
}

/* A store that was made and closed again. */
static void closed_store(struct fixture *f)
{
	fixture_init(f);
	hl_store_close(f->store);
	f->store = NULL;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void test_make_and_reopen(void **state)
{
	struct fixture f;
	uint8_t uuid[16], id_key[16];
	struct stat st;
	(void)state;
	fixture_init(&f);
	memcpy(uuid, hl_store_uuid(f.store), 16);
	memcpy(id_key, hl_store_id_key(f.store), 16);
	fixture_reopen(&f);
	assert_memory_equal(uuid, hl_store_uuid(f.store), 16);
	assert_memory_equal(id_key, hl_store_id_key(f.store), 16);
	char sub[TMPDIR_PATH_CAP];
	in_dir(&f, "new", sub);
	struct hl_store_options o = f.o;
	o.dir = sub;
	assert_int_equal(try_open(&o), 0);
	assert_int_equal(stat(sub, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	fixture_fini(&f);
}

static void test_not_there(void **state)
{
	struct fixture f;
	(void)state;
	fixture_init(&f);
	struct hl_store_options o = f.o;
	o.dir = "/nonexistent/hookline";
	assert_int_equal(try_open(&o), HL_ENOTFOUND);
	o.create = false;
	assert_int_equal(try_open(&o), HL_ENOTFOUND);
	struct tmpdir empty;
	tmpdir_make(&empty);
	o.dir = empty.path;
	assert_int_equal(try_open(&o), HL_ENOTFOUND);
	assert_non_null(strstr(err.text, "no store"));
	o.read_only = o.create = true;
	assert_int_equal(try_open(&o), HL_ENOTFOUND);
	tmpdir_write(&empty, "file", "x");
	char file[TMPDIR_PATH_CAP];
	tmpdir_path(&empty, "file", file);
	o.dir = file;
	assert_int_equal(try_open(&o), HL_ENOTFOUND);
	tmpdir_remove(&empty);
	fixture_fini(&f);
}

static void test_garbage_and_cut(void **state)
{
	struct fixture f;
	char data[TMPDIR_PATH_CAP];
	(void)state;
	closed_store(&f);
	in_dir(&f, "data.mdb", data);
	assert_int_equal(truncate(data, 3 * 4096), 0);
	assert_int_equal(try_open(&f.o), HL_ECORRUPT);
	assert_non_null(strstr(err.text, "cut short"));
	FILE *file = fopen(data, "w");
	for (int i = 0; i < 20000; i++)
		fputs("this is no database; ", file);
	fclose(file);
	assert_int_equal(try_open(&f.o), HL_ECORRUPT);
	f.o.read_only = true;
	assert_int_equal(try_open(&f.o), HL_ECORRUPT);
	tmpdir_write(&f.dir, "data.mdb", "short");
	assert_int_equal(try_open(&f.o), HL_ECORRUPT);
	tmpdir_remove(&f.dir);
}

/* A power cut while a store was made leaves one of its two first pages, or none: it is made anew. Anything else is refused. */
static void test_cut_off_at_birth(void **state)
{
	struct fixture f;
	char data[TMPDIR_PATH_CAP], key[TMPDIR_PATH_CAP];
	uint8_t pages[8192];
	(void)state;
	closed_store(&f);
	in_dir(&f, "data.mdb", data);
	int fd = open(data, O_RDWR);
	assert_true(fd >= 0 && pread(fd, pages, sizeof(pages), 0) == sizeof(pages));
	memset(pages + 144, 0, 8);
	memset(pages + 4096 + 144, 0, 8);
	in_dir(&f, "key", key);
	assert_true(ftruncate(fd, SECTOR) == 0);
	assert_int_equal(try_open(&f.o), HL_ECORRUPT); /* it has a key: there was more */
	for (int keep = 0; keep < 3; keep++) { /* neither, the first, the second */
		assert_true(ftruncate(fd, 0) == 0 && ftruncate(fd, keep == 1 ? 4096 : 8192) == 0);
		if (keep)
			assert_int_equal(pwrite(fd, pages + (keep - 1) * 4096, SECTOR, (keep - 1) * 4096), SECTOR);
		f.o.read_only = true;
		assert_int_equal(try_open(&f.o), HL_ECORRUPT);
		f.o.read_only = false;
		f.o.create = false;
		assert_int_equal(try_open(&f.o), HL_ECORRUPT);
		f.o.create = true;
		assert_int_equal(try_open(&f.o), HL_ECORRUPT);
		unlink(key);
		assert_int_equal(try_open(&f.o), 0);
	}
	unlink(key);
	assert_true(ftruncate(fd, 0) == 0 && ftruncate(fd, 8193) == 0 && pwrite(fd, pages, SECTOR, 0) == SECTOR);
	assert_int_equal(try_open(&f.o), HL_ECORRUPT); /* there was more */
	assert_true(ftruncate(fd, 8192) == 0 && pwrite(fd, "x", 1, 8000) == 1);
	assert_int_equal(try_open(&f.o), HL_ECORRUPT); /* not ours */
	close(fd);
	tmpdir_remove(&f.dir);
}

/* An environment of LMDB with somebody else's table. */
static void test_foreign(void **state)
{
	struct fixture f;
	char file[TMPDIR_PATH_CAP];
	MDB_env *e;
	MDB_txn *t;
	MDB_dbi d;
	(void)state;
	closed_store(&f);
	in_dir(&f, "data.mdb", file);
	unlink(file);
	assert_int_equal(mdb_env_create(&e), 0);
	mdb_env_set_maxdbs(e, 4);
	assert_int_equal(mdb_env_open(e, f.dir.path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(e, NULL, 0, &t), 0);
	assert_int_equal(mdb_dbi_open(t, "postfix", MDB_CREATE, &d), 0);
	assert_int_equal(mdb_txn_commit(t), 0);
	mdb_env_close(e);
	assert_int_equal(try_open(&f.o), HL_EVERSION);
	assert_non_null(strstr(err.text, "another program"));
	f.o.read_only = true;
	assert_int_equal(try_open(&f.o), HL_EVERSION);
	/* Nothing of ours was put into it. */
	assert_int_equal(mdb_env_create(&e), 0);
	mdb_env_set_maxdbs(e, 4);
	assert_int_equal(mdb_env_open(e, f.dir.path, 0, 0600), 0);
	MDB_stat st;
	assert_int_equal(mdb_env_stat(e, &st), 0);
	assert_int_equal(st.ms_entries, 1);
	mdb_env_close(e);
	tmpdir_remove(&f.dir);
}

static void set_format(struct fixture *f, const void *bytes, size_t len)
{
	fixture_open(f);
	struct hl_txn *txn = begin(f);
	hl_txn_put(txn, HL_TABLE_META, HL_STR("format"), hl_str_make(bytes, len));
	commit(f, txn);
	hl_store_close(f->store);
}

static void test_newer_format(void **state)
{
	struct fixture f;
	struct hl_buf b = { 0 };
	(void)state;
	closed_store(&f);
	struct hl_format_row r = { .version = HL_FORMAT_VERSION + 3 };
	hl_format_row_encode(&b, &r);
	set_format(&f, b.data, b.len);
	assert_int_equal(try_open(&f.o), HL_EVERSION);
	assert_non_null(strstr(err.text, "format 6"));
	hl_buf_fini(&b);
	tmpdir_remove(&f.dir);
	closed_store(&f);
	set_format(&f, "damaged", 7);
	assert_int_equal(try_open(&f.o), HL_ECORRUPT);
	tmpdir_remove(&f.dir);
}

/* Pages taken and given back in one transaction are counted but never written: the file ends before them, and is whole. */
static void test_short_but_whole(void **state)
{
	static char big[200000];
	struct fixture f;
	struct stat st;
	char data[TMPDIR_PATH_CAP];
	(void)state;
	closed_store(&f);
	fixture_open(&f);
	const struct hl_str key = HL_STR("12345678");
	struct hl_txn *txn;
	for (unsigned i = 0; i < 20; i++) { /* single free pages, for what else is written */
		txn = begin(&f);
		hl_txn_put(txn, HL_TABLE_META, HL_STR("x"), hl_str_make(&i, sizeof(i)));
		commit(&f, txn);
	}
	txn = begin(&f);
	hl_txn_put(txn, HL_TABLE_META, HL_STR("x"), HL_STR("y"));
	hl_txn_put(txn, HL_TABLE_MARKET_LOG, key, hl_str_make(big, sizeof(big))); /* beyond all pages there are */
	assert_true(hl_txn_del(txn, HL_TABLE_MARKET_LOG, key));
	commit(&f, txn);
	struct hl_store_usage u;
	hl_store_usage(f.store, &u);
	hl_store_close(f.store);
	in_dir(&f, "data.mdb", data);
	assert_int_equal(stat(data, &st), 0);
	assert_true((uint64_t)st.st_size < u.file_bytes); /* so it is one */
	f.o.read_only = true;
	assert_int_equal(try_open(&f.o), 0);
	f.o.read_only = false;
	fixture_open(&f);
	struct hl_str y;
	assert_true(hl_txn_get(reader(&f), HL_TABLE_META, HL_STR("x"), &y) && hl_str_eq(y, HL_STR("y")));
	fixture_fini(&f);
}

/* A store as format 1 left it: without the newer tables, its numbers and totals shorter. */
static void test_older_format(void **state)
{
	static const char *const newer[] = { "alert", "alert_by_account", "alert_event", "market_item", "market_quotes", "market_log" };
	struct fixture f;
	struct hl_buf b = { 0 };
	struct hl_str bytes;
	(void)state;
	closed_store(&f);
	fixture_open(&f);
	struct hl_format_row format;
	struct hl_txn *txn = begin(&f);
	assert_true(hl_txn_get(txn, HL_TABLE_META, HL_STR("format"), &bytes));
	assert_int_equal(hl_format_row_decode(bytes, &format), 0);
	format.version = 1;
	hl_format_row_encode(&b, &format);
	hl_txn_put(txn, HL_TABLE_META, HL_STR("format"), hl_buf_all(&b));
	hl_buf_reset(&b);
	for (uint64_t n = 1; n <= 7; n++)
		hl_pack_u64(&b, 100 + n);
	hl_txn_put(txn, HL_TABLE_META, HL_STR("numbers"), hl_buf_all(&b));
	hl_buf_reset(&b);
	for (size_t i = 0; i < 2 + 4; i++)
		hl_pack_u64(&b, 5);
	hl_pack_u8(&b, HL_DIALECT_N);
	for (size_t i = 0; i < HL_DIALECT_N + HL_DELIVERY_STATE_N; i++)
		hl_pack_u64(&b, 0);
	hl_txn_put(txn, HL_TABLE_COUNTS, HL_STR("a\0\0\0\x09"), hl_buf_all(&b));
	commit(&f, txn);
	hl_store_close(f.store);
	MDB_env *e;
	MDB_txn *raw;
	MDB_dbi dbi;
	assert_int_equal(mdb_env_create(&e), 0);
	mdb_env_set_maxdbs(e, 64);
	assert_int_equal(mdb_env_open(e, f.dir.path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(e, NULL, 0, &raw), 0);
	for (size_t i = 0; i < HL_ARRAY_LEN(newer); i++) {
		assert_int_equal(mdb_dbi_open(raw, newer[i], 0, &dbi), 0);
		assert_int_equal(mdb_drop(raw, dbi, 1), 0);
	}
	assert_int_equal(mdb_txn_commit(raw), 0);
	mdb_env_close(e);

	f.o.read_only = true; /* whoever only reads cannot bring it up */
	assert_int_equal(try_open(&f.o), HL_EVERSION);
	assert_non_null(strstr(err.text, "format 1"));
	assert_non_null(strstr(err.text, "migrate"));
	f.o.read_only = false;
	fixture_open(&f);
	assert_int_equal(hl_store_found_format(f.store), 1);
	struct hl_numbers numbers;
	struct hl_totals totals;
	hl_store_next_numbers(reader(&f), &numbers);
	assert_true(numbers.event == 101 && numbers.key == 107 && numbers.alert == 1 && numbers.block == 1);
	hl_totals_get(reader(&f), 9, &totals);
	assert_true(totals.events == 5 && totals.alerts_enabled == 0 && totals.alerts[0] == 0);
	fixture_reopen(&f);
	assert_int_equal(hl_store_found_format(f.store), HL_FORMAT_VERSION);
	hl_buf_fini(&b);
	fixture_fini(&f);
}

static void test_keys(void **state)
{
	struct fixture f;
	char key[TMPDIR_PATH_CAP], kept[TMPDIR_PATH_CAP];
	struct hl_seal_key other;
	(void)state;
	closed_store(&f);
	in_dir(&f, "key", key);
	in_dir(&f, "kept", kept);
	assert_int_equal(rename(key, kept), 0);
	assert_int_equal(try_open(&f.o), HL_EKEY);
	assert_non_null(strstr(err.text, "missing"));
	assert_non_null(strstr(err.text, "--rekey"));
	assert_int_equal(access(key, F_OK), -1); /* no key was made for a store that has one */
	assert_int_equal(hl_seal_key_make(key, &f.env.env, &other, NULL), 0);
	assert_int_equal(try_open(&f.o), HL_EKEY);
	assert_non_null(strstr(err.text, "another key"));
	assert_non_null(strstr(err.text, "--rekey"));
	f.o.key_file = kept;
	assert_int_equal(try_open(&f.o), 0);
	assert_int_equal(chmod(kept, 0644), 0);
	assert_int_equal(try_open(&f.o), HL_EKEY);
	assert_non_null(strstr(err.text, "others"));
	tmpdir_remove(&f.dir);
}

/* A child that opens the store, tells, and holds it until the pipe from us closes. */
static pid_t holder(const struct fixture *f, int *out_hold, int *out_told)
{
	int hold[2], told[2];
	char c;
	assert_int_equal(pipe(hold) | pipe(told), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct hl_store *s;
		for (int fd = 3; fd < 64; fd++) /* the other pipes' ends too */
			if (fd != hold[0] && fd != told[1])
				close(fd);
		int rc = hl_store_open(&s, &f->o, NULL);
		if (write(told[1], rc ? "n" : "y", 1) != 1 || read(hold[0], &c, 1) < 0)
			_exit(1);
		_exit(0); /* without closing: as a crash would */
	}
	close(hold[0]);
	close(told[1]);
	*out_hold = hold[1];
	*out_told = told[0];
	return pid;
}

static char told(int fd)
{
	char c = '?';
	assert_int_equal(read(fd, &c, 1), 1);
	return c;
}

static void test_lock(void **state)
{
	struct fixture f;
	int hold, tell, hold2, tell2;
	char text[32];
	(void)state;
	closed_store(&f);
	pid_t owner = holder(&f, &hold, &tell);
	assert_int_equal(told(tell), 'y');
	assert_int_equal(try_open(&f.o), HL_ELOCKED);
	snprintf(text, sizeof(text), "process %d", (int)owner);
	assert_non_null(strstr(err.text, text));
	struct hl_store_options beside = f.o;
	beside.read_only = true;
	assert_int_equal(try_open(&beside), 0); /* a reader needs no lock */
	/* Takeover waits until the owner is gone. */
	struct fixture g = f;
	g.o.takeover = true;
	pid_t next = holder(&g, &hold2, &tell2);
	assert_int_equal(fcntl(tell2, F_SETFL, O_NONBLOCK), 0);
	char c;
	assert_int_equal(read(tell2, &c, 1), -1);
	close(hold);
	assert_int_equal(waitpid(owner, NULL, 0), owner);
	assert_int_equal(fcntl(tell2, F_SETFL, 0), 0);
	assert_int_equal(told(tell2), 'y');
	assert_int_equal(try_open(&f.o), HL_ELOCKED);
	close(hold2);
	assert_int_equal(waitpid(next, NULL, 0), next);
	assert_int_equal(try_open(&f.o), 0);
	close(tell);
	close(tell2);
	tmpdir_remove(&f.dir);
}

static void test_read_only_directory(void **state)
{
	struct fixture f;
	(void)state;
	closed_store(&f);
	if (geteuid() == 0) { /* root may write anywhere: make the mount read-only */
		if (mount(f.dir.path, f.dir.path, NULL, MS_BIND, NULL) ||
				mount(NULL, f.dir.path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL)) {
			umount2(f.dir.path, MNT_DETACH);
			tmpdir_remove(&f.dir);
			skip();
		}
		assert_int_equal(try_open(&f.o), HL_EPERM);
		assert_int_equal(umount2(f.dir.path, MNT_DETACH), 0);
	} else {
		assert_int_equal(chmod(f.dir.path, 0500), 0);
		char lock[TMPDIR_PATH_CAP];
		in_dir(&f, "lock", lock);
		assert_int_equal(chmod(lock, 0400), 0);
		assert_int_equal(try_open(&f.o), HL_EPERM);
		assert_int_equal(chmod(f.dir.path, 0700), 0);
	}
	tmpdir_remove(&f.dir);
}

/* ---- transactions ------------------------------------------------------------------------------------------------ */

struct fault {
	enum hl_fault at;
	int in;                       /* the in-th from now fails; 0 = none */
	int code;
};

static int fault_hook(void *data, enum hl_fault at)
{
	struct fault *x = data;
	return at == x->at && x->in && --x->in == 0 ? x->code : 0;
}

static void fixture_with_fault(struct fixture *f, struct fault *x)
{
	fixture_init(f);
	f->o.fault = fault_hook;
	f->o.fault_data = x;
	fixture_reopen(f);
}

static void test_sticky(void **state)
{
	struct fixture f;
	struct fault x = { HL_FAULT_WRITE, 0, HL_EFULL };
	struct hl_event_row e = an_event(1, 1, 0), got;
	(void)state;
	fixture_with_fault(&f, &x);
	struct hl_txn *txn = begin(&f);
	hl_event_append(txn, 1, &e);
	x.in = 1;
	hl_event_append(txn, 2, &e);
	assert_int_equal(hl_txn_status(txn), HL_EFULL);
	assert_false(hl_event_row_get(txn, 1, &got));
	hl_event_append(txn, 3, &e);
	assert_int_equal(hl_store_commit(txn), HL_EFULL);
	assert_false(hl_event_row_get(reader(&f), 1, &got));
	audit_clean(&f);
	txn = begin(&f); /* and it can be used again */
	hl_event_append(txn, 1, &e);
	commit(&f, txn);
	assert_true(hl_event_row_get(reader(&f), 1, &got));
	txn = begin(&f); /* numbers that go backwards are damage, not a new row */
	hl_event_append(txn, 1, &e);
	assert_int_equal(hl_txn_status(txn), HL_ECORRUPT);
	hl_store_abort(txn);
	fixture_fini(&f);
}

static void test_commit_failure_is_the_end(void **state)
{
	struct fixture f;
	struct fault x = { HL_FAULT_COMMIT, 0, HL_EIO };
	struct hl_event_row e = an_event(1, 1, 0), got;
	struct hl_txn *txn;
	(void)state;
	fixture_with_fault(&f, &x);
	txn = begin(&f);
	hl_event_append(txn, 1, &e);
	x.in = 1;
	assert_int_equal(hl_store_commit(txn), HL_EFATAL);
	assert_int_equal(hl_store_begin_write(f.store, &txn), HL_EFATAL);
	fixture_reopen(&f);
	assert_false(hl_event_row_get(reader(&f), 1, &got));
	fixture_fini(&f);
}

static void test_snapshots(void **state)
{
	struct fixture f;
	struct hl_event_row e = an_event(1, 1, 0), got;
	(void)state;
	fixture_init(&f);
	struct hl_txn *r = hl_store_read(f.store);
	assert_false(hl_event_row_get(r, 1, &got));
	struct hl_txn *txn = begin(&f);
	hl_event_append(txn, 1, &e);
	assert_int_equal(hl_store_commit(txn), 0);
	assert_false(hl_event_row_get(hl_store_read(f.store), 1, &got)); /* still the old one */
	hl_store_read_reset(f.store);
	assert_true(hl_event_row_get(hl_store_read(f.store), 1, &got));
	struct hl_txn other;
	assert_int_equal(hl_store_begin_read(f.store, &other), 0);
	assert_true(hl_event_row_get(&other, 1, &got));
	hl_store_end_read(&other);
	fixture_fini(&f);
}

static void test_numbers(void **state)
{
	struct fixture f;
	struct hl_numbers n;
	struct hl_event_row e = an_event(1, 1, 1);
	struct hl_delivery_row d = a_delivery(8, 1, 3);
	(void)state;
	fixture_init(&f);
	hl_store_next_numbers(reader(&f), &n);
	assert_true(n.event == 1 && n.delivery == 1 && n.webhook == 1 && n.account == 2 && n.key == 1 && n.server == 1 &&
			n.job == 1);
	struct hl_txn *txn = begin(&f);
	put_webhook(txn, 3, 1, 1, HL_WEBHOOK_ENABLED);
	hl_event_append(txn, 8, &e);
	hl_delivery_append(txn, 41, &d);
	commit(&f, txn);
	hl_store_next_numbers(reader(&f), &n);
	assert_true(n.event == 9 && n.delivery == 42 && n.webhook == 4);
	txn = begin(&f);
	assert_true(hl_delivery_row_get(txn, 41, &d));
	hl_delivery_del(txn, 41, &d);
	hl_event_del(txn, 8, &e);
	hl_webhook_row_del(txn, 3);
	commit(&f, txn);
	fixture_reopen(&f);
	hl_store_next_numbers(reader(&f), &n); /* the rows are gone, their numbers stay used */
	assert_true(n.event == 9 && n.delivery == 42 && n.webhook == 4);
	audit_clean(&f);
	fixture_fini(&f);
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

static void fill(struct fixture *f, uint64_t *number, unsigned events, size_t data_len)
{
	static char data[64 << 10];
	memset(data, '1', sizeof(data)); /* a long number */
	struct hl_txn *txn = begin(f);
	for (unsigned i = 0; i < events; i++) {
		struct hl_event_row e = an_event(1, 1, 0);
		e.data = hl_str_make(data, data_len);
		hl_event_append(txn, ++*number, &e);
	}
	commit(f, txn);
}

static void test_quota(void **state)
{
	struct fixture f;
	struct hl_store_usage u;
	uint64_t number = 0, last;
	(void)state;
	fixture_init(&f);
	f.o.max_bytes = 4 << 20;
	fixture_reopen(&f);
	assert_false(hl_store_full(f.store));
	while (!hl_store_full(f.store) && number < 1000)
		fill(&f, &number, 1, 32 << 10);
	hl_store_usage(f.store, &u);
	assert_in_range(u.used_bytes, (4 << 20) / 100 * 85, (4 << 20) / 100 * 85 + (128 << 10));
	assert_true(u.file_bytes >= u.used_bytes && u.max_bytes == 4 << 20 && !u.disk_full);
	/* Deleting makes room again. */
	last = number;
	struct hl_txn *txn = begin(&f);
	for (uint64_t n = 1; n <= last / 2; n++) {
		struct hl_event_row e = an_event(1, 1, 0);
		hl_event_del(txn, n, &e);
	}
	commit(&f, txn);
	assert_int_equal(hl_store_measure(f.store), 0);
	assert_false(hl_store_full(f.store));
	hl_store_usage(f.store, &u);
	assert_true(u.free_bytes > 1 << 20);
	fixture_fini(&f);
}

/* A command that stores one event, and one that only rewrites counters. */
struct writer {
	struct hl_command command;
	uint64_t number;
	int done;                     /* 1 = not yet */
};

static int apply_event(struct hl_command *c, struct hl_txn *txn)
{
	static char data[8 << 10];
	struct writer *w = HL_CONTAINER_OF(c, struct writer, command);
	struct hl_event_row e = an_event(1, 1, 0);
	memset(data, '1', sizeof(data)); /* a long number */
	e.data = hl_str_make(data, sizeof(data));
	hl_event_append(txn, w->number, &e);
	return 0;
}

static int apply_counts(struct hl_command *c, struct hl_txn *txn)
{
	struct writer *w = HL_CONTAINER_OF(c, struct writer, command);
	hl_counts_edit(txn, 1 + (uint32_t)(w->number % 50))->last_status++;
	return 0;
}

static void note_done(struct hl_command *c, int status)
{
	HL_CONTAINER_OF(c, struct writer, command)->done = status;
}

static int run_one(struct hl_commit *c, int (*apply)(struct hl_command *, struct hl_txn *), bool grows, uint64_t number)
{
	struct writer w = { .number = number, .done = 1, .command = { .priority = grows ? HL_PRIO_PUBLISH : HL_PRIO_OUTCOME,
		.grows = grows, .bytes = grows ? 8 << 10 : 200, .apply = apply, .done = note_done } };
	hl_commit_submit(c, &w.command);
	assert_true(hl_commit_step(c));
	return w.done;
}

static void nothing(void *data)
{
	(void)data;
}

/* A disk of a few MiB that is really full: publishes are refused, everything else still commits; with room, all is well
 * again. */
static void test_disk_full(void **state)
{
	struct fixture f;
	struct hl_commit *c;
	char mount_point[TMPDIR_PATH_CAP];
	uint64_t number = 0;
	(void)state;
	fixture_init(&f);
	in_dir(&f, "small", mount_point);
	assert_int_equal(mkdir(mount_point, 0700), 0);
	if (mount("none", mount_point, "tmpfs", 0, "size=6m")) {
		fixture_fini(&f);
		skip();
	}
	hl_store_close(f.store);
	f.o.dir = mount_point;
	fixture_open(&f);
	struct hl_commit_options co = { .threaded = false };
	assert_int_equal(hl_commit_open(&c, NULL, f.store, &co, NULL), 0);
	int rc = 0;
	while (!rc && number < 2000)
		rc = run_one(c, apply_event, true, ++number);
	assert_int_equal(rc, HL_EFULL);
	assert_true(number > 100);
	struct hl_store_usage u;
	hl_store_usage(f.store, &u);
	assert_true(u.disk_full && hl_store_full(f.store));
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(run_one(c, apply_counts, false, i), 0);
	assert_int_equal(run_one(c, apply_event, true, number), HL_EFULL);
	unsigned n = 0; /* outcomes that grow the store, until it says that they should end: before one fails */
	for (; !u.spent && n < 1000; n++, hl_store_usage(f.store, &u))
		assert_int_equal(run_one(c, apply_event, false, ++number), 0);
	assert_true(u.spent && n > 10);
	assert_int_equal(run_one(c, apply_event, false, ++number), 0);
	assert_int_equal(mount("none", mount_point, "tmpfs", MS_REMOUNT, "size=12m"), 0);
	assert_int_equal(run_one(c, apply_event, true, ++number), 0);
	hl_store_usage(f.store, &u);
	assert_false(u.spent || u.disk_full);
	hl_commit_close(c, nothing, NULL);
	audit_clean(&f);
	hl_store_close(f.store);
	umount2(mount_point, MNT_DETACH);
	tmpdir_remove(&f.dir);
}

static void test_reserve_fault(void **state)
{
	struct fixture f;
	struct fault x = { HL_FAULT_RESERVE, 0, HL_EFULL };
	(void)state;
	fixture_with_fault(&f, &x);
	assert_int_equal(hl_store_reserve(f.store, 100), 0);
	x.in = 1;
	assert_int_equal(hl_store_reserve(f.store, 100), HL_EFULL);
	assert_true(hl_store_full(f.store));
	assert_int_equal(hl_store_reserve(f.store, 100), 0);
	assert_false(hl_store_full(f.store));
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make_and_reopen), cmocka_unit_test(test_not_there), cmocka_unit_test(test_garbage_and_cut),
		cmocka_unit_test(test_cut_off_at_birth),
		cmocka_unit_test(test_foreign), cmocka_unit_test(test_newer_format), cmocka_unit_test(test_older_format),
		cmocka_unit_test(test_short_but_whole), cmocka_unit_test(test_keys),
		cmocka_unit_test(test_lock), cmocka_unit_test(test_read_only_directory), cmocka_unit_test(test_sticky),
		cmocka_unit_test(test_commit_failure_is_the_end), cmocka_unit_test(test_snapshots),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_quota), cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_reserve_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
