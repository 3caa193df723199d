/* Backups, beside a writer too, and a new sealing key. */
#include "store_test.h"
#include "store/backup.h"
#include "store/idem.h"
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct fixture f;
static struct hl_err err;
static char dest[TMPDIR_PATH_CAP];

static int setup(void **state)
{
	struct hl_buf sealed = { 0 }, answer = { 0 };
	(void)state;
	fixture_init(&f);
	tmpdir_path(&f.dir, "copy", dest);
	struct hl_txn *txn = begin(&f);
	for (uint32_t n = 1; n <= 3; n++) {
		struct hl_webhook_row w = { .w = { .number = n, .account = 1, .revision = 1, .url = HL_STR("http://x.example/") } };
		hl_buf_reset(&sealed);
		assert_int_equal(hl_store_seal(f.store, HL_SEAL_SECRET, n, HL_STR("whsec_secret"), &sealed), 0);
		w.secret = hl_buf_all(&sealed);
		w.previous_secret = n == 2 ? hl_buf_all(&sealed) : HL_STR_NONE;
		hl_webhook_row_put(txn, &w);
	}
	assert_int_equal(hl_store_seal(f.store, HL_SEAL_ANSWER, 1, HL_STR("{}"), &answer), 0);
	struct hl_idem_row with = { .created_at_ms = fakeenv_epoch_ms, .answer = hl_buf_all(&answer) };
	struct hl_idem_row without = { .created_at_ms = fakeenv_epoch_ms };
	hl_idem_put(txn, 1, HL_STR("s"), HL_STR("k"), &with);
	hl_idem_put(txn, 1, HL_STR("s"), HL_STR("l"), &without);
	struct hl_event_row e = an_event(1, 1, 1);
	struct hl_delivery_row d = a_delivery(1, 1, 2);
	hl_event_append(txn, 1, &e);
	hl_delivery_append(txn, 1, &d);
	commit(&f, txn);
	hl_buf_fini(&sealed);
	hl_buf_fini(&answer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_fini(&f);
	return 0;
}

static int backup(bool compact, bool with_key)
{
	struct hl_backup_options o = { .dir = f.dir.path, .dest = dest, .compact = compact, .with_key = with_key };
	memset(&err, 0, sizeof(err));
	return hl_backup(&o, &err);
}

/* The copy opens (with the given key), is whole, and holds what was stored. */
static uint64_t check_copy(const char *key_file)
{
	struct fixture copy = { .env = f.env };
	copy.o = f.o;
	copy.o.dir = dest;
	copy.o.key_file = key_file;
	fixture_open(&copy);
	struct hl_audit_summary s = audit_clean(&copy);
	hl_store_close(copy.store);
	return s.deliveries;
}

static bool there(const char *name)
{
	char file[TMPDIR_PATH_CAP * 2];
	snprintf(file, sizeof(file), "%s/%s", dest, name);
	return access(file, F_OK) == 0;
}

static void test_copy(void **state)
{
	struct stat st;
	char key[TMPDIR_PATH_CAP], file[TMPDIR_PATH_CAP * 2];
	(void)state;
	hl_store_close(f.store); /* an environment is opened once per process: the copy is made by another one otherwise */
	f.store = NULL;
	tmpdir_path(&f.dir, "key", key);
	for (unsigned i = 0; i < 4; i++) {
		bool compact = i & 1, with_key = i & 2;
		assert_int_equal(backup(compact, with_key), 0);
		assert_int_equal(stat(dest, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0700);
		snprintf(file, sizeof(file), "%s/data.mdb", dest);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		assert_int_equal(there("key"), with_key);
		assert_false(there("lock.mdb"));
		assert_int_equal(check_copy(with_key ? NULL : key), 1);
		struct tmpdir d;
		snprintf(d.path, sizeof(d.path), "%s", dest);
		tmpdir_remove(&d);
	}
}

static void test_refused(void **state)
{
	(void)state;
	hl_store_close(f.store);
	f.store = NULL;
	assert_int_equal(mkdir(dest, 0700), 0);
	assert_int_equal(backup(false, false), 0); /* an empty directory will do */
	assert_int_equal(backup(false, false), HL_EEXIST);
	assert_non_null(strstr(err.text, "not empty"));
	assert_true(there("data.mdb")); /* what was there is left alone */
	struct hl_backup_options o = { .dir = "/nonexistent/store", .dest = dest };
	assert_int_equal(hl_backup(&o, &err), HL_ENOTFOUND);
	char under[TMPDIR_PATH_CAP * 2];
	snprintf(under, sizeof(under), "%s/not/there", dest);
	o = (struct hl_backup_options){ .dir = f.dir.path, .dest = under };
	assert_int_equal(hl_backup(&o, &err), HL_ENOTFOUND);
}

static void append_for_ever(struct fixture *w, int tell)
{
	uint64_t number = 1;
	for (;;) {
		struct hl_txn *txn;
		if (hl_store_begin_write(w->store, &txn))
			_exit(1);
		for (unsigned i = 0; i < 20; i++) {
			number++;
			struct hl_event_row e = an_event(1, number, 1);
			struct hl_delivery_row d = a_delivery(number, 1, 1 + (uint32_t)(number % 3));
			hl_event_append(txn, number, &e);
			hl_delivery_append(txn, number, &d);
		}
		if (hl_store_commit(txn))
			_exit(1);
		if (number > 200 && tell >= 0) {
			if (write(tell, "y", 1) != 1)
				_exit(1);
			tell = -1;
		}
	}
}

static void test_beside_a_writer(void **state)
{
	int tell[2];
	char c;
	(void)state;
	hl_store_close(f.store);
	f.store = NULL;
	assert_int_equal(pipe(tell), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (hl_store_open(&f.store, &f.o, NULL))
			_exit(1);
		append_for_ever(&f, tell[1]);
	}
	close(tell[1]);
	assert_int_equal(read(tell[0], &c, 1), 1);
	uint64_t before = 0;
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(backup(i & 1, true), 0);
		uint64_t n = check_copy(NULL);
		assert_true(n >= 200 && n >= before);
		before = n;
		struct tmpdir d;
		snprintf(d.path, sizeof(d.path), "%s", dest);
		tmpdir_remove(&d);
	}
	/* The audit works beside it too. */
	struct fixture beside = { .o = f.o };
	beside.o.read_only = true;
	beside.o.create = false;
	fixture_open(&beside);
	struct hl_audit_options ao = { .live = true, .report = print_damage };
	struct hl_audit_summary sum;
	assert_int_equal(hl_audit(beside.store, &ao, &sum, &err), 0);
	assert_int_equal(sum.damages, 0);
	assert_true(sum.deliveries >= before);
	hl_store_close(beside.store);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(tell[0]);
	fixture_open(&f);
	audit_clean(&f);
}

static void test_rekey(void **state)
{
	char key[TMPDIR_PATH_CAP], other[TMPDIR_PATH_CAP];
	struct hl_store *s;
	(void)state;
	hl_store_close(f.store);
	f.store = NULL;
	tmpdir_path(&f.dir, "key", key);
	tmpdir_path(&f.dir, "key2", other);
	assert_int_equal(hl_rekey(f.dir.path, NULL, key, &err), HL_EINVAL); /* the same */
	assert_int_equal(hl_rekey(f.dir.path, NULL, other, &err), 0);
	assert_int_equal(hl_store_open(&s, &f.o, &err), HL_EKEY);
	f.o.key_file = other;
	fixture_open(&f);
	audit_clean(&f); /* opens every sealed value */
	struct hl_webhook_row w;
	struct hl_buf plain = { 0 };
	assert_true(hl_webhook_row_get(reader(&f), 2, &w));
	assert_int_equal(w.w.revision, 1);
	assert_int_equal(hl_store_unseal(f.store, HL_SEAL_SECRET, 2, w.previous_secret, &plain), 0);
	assert_string_equal(plain.data, "whsec_secret");
	hl_buf_fini(&plain);
	/* The lock is respected: another process may be serving. */
	pid_t pid = fork();
	if (pid == 0)
		_exit(hl_rekey(f.dir.path, other, key, NULL) == HL_ELOCKED ? 0 : 1);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* One value that does not open: nothing is changed. */
static void test_rekey_all_or_nothing(void **state)
{
	char other[TMPDIR_PATH_CAP];
	struct hl_webhook_row w;
	(void)state;
	struct hl_txn *txn = begin(&f);
	assert_true(hl_webhook_row_get(txn, 3, &w));
	w.secret = HL_STR("this is not a sealed value, but it is long enough");
	hl_webhook_row_put(txn, &w);
	commit(&f, txn);
	hl_store_close(f.store);
	f.store = NULL;
	tmpdir_path(&f.dir, "key2", other);
	assert_int_equal(hl_rekey(f.dir.path, NULL, other, &err), HL_EKEY);
	assert_non_null(strstr(err.text, "nothing was changed"));
	fixture_open(&f);
	struct hl_buf plain = { 0 };
	assert_true(hl_webhook_row_get(reader(&f), 1, &w));
	assert_int_equal(hl_store_unseal(f.store, HL_SEAL_SECRET, 1, w.secret, &plain), 0);
	hl_buf_fini(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_copy), T(test_refused), T(test_beside_a_writer), T(test_rekey), T(test_rekey_all_or_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
