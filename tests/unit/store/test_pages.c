/* Damaged pages. Whatever is done to a file, opening it refuses it, with the page named, or LMDB reads all of it without going
 * astray: every state is opened and audited in a child, and the child must not die. What damages a page's skeleton must be
 * named. HL_DAMAGES lengthens it, HL_SEED repeats it. */
#include "store_test.h"
#include "store/index.h"
#include "store/pages.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096, EVENTS = 400, REFUSED = 10, CLEAN = 11, FOUND = 12, UNREAD = 13 };

static struct fixture f;
static uint8_t *whole;
static size_t len;
static char data_file[TMPDIR_PATH_CAP];

/* A store with trees of two and three levels, long values, and free pages. */
static void fill(void)
{
	static char big[9000];
	struct hl_index_run run = { .phase = HL_INDEX_IDLE };
	bool done = false;
	memset(big, 'x', sizeof(big));
	big[0] = big[sizeof(big) - 1] = '"';
	struct hl_txn *txn = begin(&f);
	for (uint32_t w = 1; w <= 3; w++)
		put_webhook(txn, w, 1, 1, HL_WEBHOOK_ENABLED);
	commit(&f, txn);
	uint64_t delivery = 1;
	for (uint64_t e = 1; e <= EVENTS; e++) {
		txn = e % 20 == 1 ? begin(&f) : txn;
		struct hl_event_row row = an_event(1, delivery, 3);
		if (e % 50 == 0)
			row.data = hl_str_make(big, sizeof(big));
		hl_event_append(txn, e, &row);
		for (uint32_t w = 1; w <= 3; w++) {
			struct hl_delivery_row d = a_delivery(e, 1, w);
			hl_delivery_append(txn, delivery++, &d);
		}
		if (e % 20 == 0)
			commit(&f, txn);
	}
	while (!done) {
		txn = begin(&f);
		assert_int_equal(hl_index_step(txn, &run, 1, 500, &done), 0);
		commit(&f, txn);
	}
	hl_index_run_fini(&run);
}

static int setup(void **state)
{
	(void)state;
	fixture_init(&f);
	fill();
	audit_clean(&f);
	hl_store_close(f.store);
	f.store = NULL;
	tmpdir_path(&f.dir, "data.mdb", data_file);
	int fd = open(data_file, O_RDONLY);
	struct stat st;
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	len = (size_t)st.st_size;
	whole = malloc(len);
	assert_true(read(fd, whole, len) == (ssize_t)len);
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(whole);
	tmpdir_remove(&f.dir);
	return 0;
}

static void lay(const uint8_t *bytes, size_t n)
{
	int fd = open(data_file, O_RDWR | O_TRUNC);
	assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	close(fd);
}

static void child_main(bool write)
{
	struct hl_err err = { 0 };
	struct hl_audit_options o = { .live = false };
	struct hl_audit_summary sum;
	f.o.read_only = !write;
	alarm(20);
	int rc = hl_store_open(&f.store, &f.o, &err);
	if (rc)
		_exit(rc == HL_ECORRUPT || rc == HL_EVERSION || rc == HL_EKEY || rc == HL_ENOTFOUND ? REFUSED : rc == HL_EIO ? UNREAD : 1);
	rc = hl_audit(f.store, &o, &sum, &err);
	_exit(rc == HL_ECORRUPT ? FOUND : rc ? 1 : sum.damages ? FOUND : CLEAN);
}

/* What comes of the file as it lies there. */
static int look(bool write)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		child_main(write);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- damage at random ------------------------------------------------------------------------------------------------ */

static size_t below(struct rnd *r, size_t n)
{
	return rnd_below(r, (uint32_t)n);
}

/* Spoils a copy of the file; returns its length. */
static size_t spoil(struct rnd *r, uint8_t *p)
{
	size_t pages = len / PAGE, at = below(r, pages) * PAGE, n = 1 + below(r, 8);
	switch (rnd_below(r, 8)) {
	case 0: /* bits */
		while (n--)
			p[below(r, len)] ^= (uint8_t)(1 << rnd_below(r, 8));
		break;
	case 1: /* bytes of a page's head and offsets, where it hurts */
	case 2:
		while (n--)
			p[at + below(r, 64)] = (uint8_t)rnd_u64(r);
		break;
	case 3: /* a page in another's place */
		memcpy(p + at, whole + below(r, pages) * PAGE, PAGE);
		break;
	case 4:
		memset(p + at, (int)below(r, 2) * 0xff, PAGE);
		break;
	case 5: /* a sector */
		memset(p + at + below(r, 8) * 512, (int)below(r, 256), 512);
		break;
	case 6: /* a small number that may be a page's */
		p[at + below(r, PAGE / 2) * 2] = (uint8_t)below(r, pages + 4);
		break;
	default:
		return below(r, len);
	}
	return len;
}

static void test_random(void **state)
{
	const char *more = getenv("HL_DAMAGES"), *seed = getenv("HL_SEED");
	unsigned n = more ? (unsigned)atoi(more) : 1500, count[20] = { 0 };
	struct rnd r = { seed ? strtoull(seed, NULL, 10) : 7 };
	uint8_t *p = malloc(len);
	(void)state;
	for (unsigned i = 0; i < n; i++) {
		struct rnd start = r;
		memcpy(p, whole, len);
		lay(p, spoil(&r, p));
		int got = look(false);
		if (got < REFUSED || got > UNREAD)
			fail_msg("damage %u (HL_SEED=%llu HL_DAMAGES=1): %d", i, (unsigned long long)start.state, got);
		count[got]++;
	}
	print_message("%u damages: %u refused, %u found by the audit, %u in what nobody reads or in values\n", n,
			count[REFUSED] + count[UNREAD], count[FOUND], count[CLEAN]);
	assert_true(count[REFUSED] > n / 3);
	free(p);
}

/* ---- damage of the skeleton ------------------------------------------------------------------------------------------ */

static uint16_t u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, sizeof(v)); return v; }

/* Which pages are in use: those whose loss is named. */
static bool in_use(size_t page, uint8_t *p)
{
	memcpy(p, whole, len);
	memset(p + page * PAGE, 0, PAGE);
	lay(p, len);
	return look(false) == REFUSED;
}

/* Every number in the head of every page in use, and every offset of its entries, set to others: refused. */
static void test_heads(void **state)
{
	uint8_t *p = malloc(len);
	unsigned used = 0, tried = 0;
	(void)state;
	for (size_t page = 2; page < len / PAGE; page++) {
		size_t at = page * PAGE;
		if (!in_use(page, p))
			continue;
		used++;
		uint16_t kind = u16(whole + at + 10), lower = u16(whole + at + 12);
		size_t upto = kind & 4 ? 16 : lower < 40 ? lower : 40;
		for (size_t k = 0; k < upto; k += 2) {
			if ((k == 8) || (kind & 4 && k == 14)) /* padding; the high half of a count of pages */
				continue;
			memcpy(p, whole, len);
			p[at + k] ^= 0x41;
			p[at + k + 1] ^= 0x3f;
			lay(p, len);
			int got = look(false);
			tried++;
			if (got != REFUSED && !(kind & 4 && k >= 12))
				fail_msg("page %zu (kind %u), byte %zu: %d", page, kind, k, got);
		}
	}
	print_message("%u pages in use, %u heads spoilt\n", used, tried);
	assert_true(used > 20);
	free(p);
}

/* Cut anywhere: refused, for reading and for writing, and left as it was. */
static void test_cut(void **state)
{
	struct stat st;
	(void)state;
	for (size_t n = 512; n < len; n += len / 60) {
		for (int write = 0; write < 2; write++) {
			lay(whole, n);
			int got = look(write);
			assert_true(got == REFUSED || got == CLEAN); /* clean: only free pages are missing */
			assert_int_equal(stat(data_file, &st), 0);
			if (got == REFUSED)
				assert_int_equal(st.st_size, n);
			else
				assert_true(n > len * 3 / 4);
		}
	}
	lay(whole, len);
	assert_int_equal(look(true), CLEAN);
}

/* ---- telling --------------------------------------------------------------------------------------------------------- */

static void note(void *data, const char *text)
{
	struct hl_buf *b = data;
	hl_buf_fmt(b, "%s\n", text);
}

/* Each damage is told, not only the first; a walk of what leads to others leaves leaves alone. */
static void test_reports(void **state)
{
	struct hl_buf told = { 0 };
	struct hl_err err = { 0 };
	uint8_t *p = malloc(len), *spoilt = malloc(len);
	unsigned done = 0;
	(void)state;
	memcpy(spoilt, whole, len);
	for (size_t page = len / PAGE - 1; page > 2 && done < 3; page--)
		if (u16(whole + page * PAGE + 10) == 2 && in_use(page, p)) {
			memset(spoilt + page * PAGE + 10, 0, 2);
			done++;
		}
	assert_int_equal(done, 3);
	lay(spoilt, len);
	int fd = open(data_file, O_RDONLY);
	struct hl_pages_check c = { .fd = fd, .damage = note, .data = &told };
	assert_int_equal(hl_pages_check(&c, &err), 0);
	assert_true(c.damages == 3 && c.pages > 20);
	assert_non_null(strstr(told.data, "is no leaf"));
	uint64_t all = c.damages;
	c.branches_only = true;
	assert_int_equal(hl_pages_check(&c, &err), 0);
	assert_true(c.damages < all);
	close(fd);
	f.o.read_only = true;
	assert_int_equal(hl_store_open(&f.store, &f.o, &err), HL_ECORRUPT);
	assert_non_null(strstr(err.text, "restore a backup"));
	hl_buf_fini(&told);
	lay(whole, len);
	free(spoilt);
	free(p);
}

/* ---- names ----------------------------------------------------------------------------------------------------------- */

/* A bit of a table's name turned over: the table is missed by name, and never made anew, empty, by a start that may write. */
static void test_names(void **state)
{
	uint8_t *p = malloc(len);
	(void)state;
	for (unsigned t = HL_TABLE_META + 1; t < HL_TABLE_N; t++) {
		const char *name = hl_table_name((enum hl_table)t);
		size_t n = strlen(name);
		struct hl_err err = { 0 };
		memcpy(p, whole, len);
		for (uint8_t *at = p; (at = memmem(at, (size_t)(p + len - at), name, n)) != NULL; at += n)
			at[n - 1] ^= 1;
		lay(p, len);
		for (int write = 0; write < 2; write++) {
			f.o.read_only = !write;
			assert_int_equal(hl_store_open(&f.store, &f.o, &err), HL_ECORRUPT);
			assert_non_null(strstr(err.text, "damaged, restore a backup: "));
		}
	}
	lay(whole, len);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_heads), cmocka_unit_test(test_cut), cmocka_unit_test(test_reports),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
