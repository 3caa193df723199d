/* Rows and what moves with them: attempt records and their trimming, due entries, the fresh cursor; webhooks with their
 * revisions; accounts, keys, servers, event types; idempotency records. */
#include "store_test.h"
#include "store/address.h"
#include "store/idem.h"
#include "store/scan.h"

static struct fixture f;

static int setup(void **state)
{
	(void)state;
	fixture_init(&f);
	struct hl_txn *txn = begin(&f);
	struct hl_event_row e = an_event(1, 1, 3);
	put_webhook(txn, 5, 1, 1, HL_WEBHOOK_ENABLED);
	hl_event_append(txn, 1, &e);
	for (uint64_t n = 1; n <= 3; n++) {
		struct hl_delivery_row d = a_delivery(1, 1, 5);
		hl_delivery_append(txn, n, &d);
	}
	commit(&f, txn);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	audit_clean(&f);
	fixture_fini(&f);
	return 0;
}

/* One failed attempt with a retry at next. */
static void fail_once(struct hl_txn *txn, uint64_t number, hl_ms_t next, struct hl_str body)
{
	struct hl_delivery_row old, r;
	assert_true(hl_delivery_row_get(txn, number, &old));
	r = old;
	r.n_attempts++;
	r.last_class = HL_CLASS_HTTP_STATUS;
	r.next_at_ms = next;
	r.set_at_ms = next - 1;
	struct hl_attempt a = an_attempt(r.n_attempts, false);
	a.response_body = body;
	hl_attempt_add(txn, number, &r, &a);
	hl_delivery_change(txn, number, &old, &r);
}

static void check_attempts(uint64_t number, const uint32_t *want, size_t n_want)
{
	struct hl_txn *txn = reader(&f);
	struct hl_delivery_row r;
	const struct hl_attempt *list;
	size_t n;
	assert_true(hl_delivery_row_get(txn, number, &r));
	assert_int_equal(hl_attempt_list(txn, number, &r, &list, &n), 0);
	assert_int_equal(n, n_want);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(list[i].number, want[i]);
}

static void test_attempts(void **state)
{
	static char big[8000];
	uint32_t want[50];
	(void)state;
	memset(big, 'b', sizeof(big));
	for (uint32_t k = 1; k <= HL_ATTEMPTS_MAX; k++) {
		struct hl_txn *txn = begin(&f);
		fail_once(txn, 1, 1000 + k, HL_STR("small"));
		fail_once(txn, 2, 1000 + k, hl_str_make(big, sizeof(big)));
		commit(&f, txn);
		size_t n = 0;
		for (uint32_t i = 1; i <= k; i++)
			if (i <= 10 || i + 40 > k)
				want[n++] = i;
		if (k % 7 == 0 || k < 3 || (k > 48 && k < 55) || k == HL_ATTEMPTS_MAX) {
			check_attempts(1, want, n);
			check_attempts(2, want, n);
		}
	}
	struct hl_delivery_row r;
	assert_true(hl_delivery_row_get(reader(&f), 1, &r));
	assert_true(r.first_attempt.len > 0);
	assert_true(hl_delivery_row_get(reader(&f), 2, &r));
	assert_int_equal(r.first_attempt.len, 0); /* too long for the row */
	assert_int_equal(hl_txn_entries(reader(&f), HL_TABLE_ATTEMPT), 49 + 50);
	struct hl_txn *txn = begin(&f);
	for (uint64_t n = 1; n <= 2; n++) {
		assert_true(hl_delivery_row_get(txn, n, &r));
		hl_delivery_del(txn, n, &r);
	}
	commit(&f, txn);
	assert_int_equal(hl_txn_entries(reader(&f), HL_TABLE_ATTEMPT), 0);
	assert_int_equal(hl_txn_entries(reader(&f), HL_TABLE_DUE), 0);
}

static struct hl_due only_due(uint32_t webhook)
{
	struct hl_due d[2];
	size_t n;
	bool more;
	assert_int_equal(hl_scan_due(reader(&f), webhook, 0, 0, 2, d, &n, &more), 0);
	assert_int_equal(n, 1);
	assert_false(more);
	return d[0];
}

/* When a wait was decided, and in which drain generation, is kept while the wait goes on, and new with a new wait. */
static void test_due(void **state)
{
	struct hl_delivery_row old, r;
	(void)state;
	struct hl_txn *txn = begin(&f);
	hl_counts_edit(txn, 5)->drain_gen = 3;
	fail_once(txn, 1, 5000, HL_STR(""));
	commit(&f, txn);
	struct hl_due d = only_due(5);
	assert_true(d.due_at_ms == 5000 && d.set_at_ms == 4999 && d.drain_gen == 3 && d.attempts == 1 && d.event == 1);
	txn = begin(&f);
	hl_counts_edit(txn, 5)->drain_gen = 4;
	assert_true(hl_delivery_row_get(txn, 1, &old));
	r = old;
	r.n_attempts = 2; /* a probe: its own time stays */
	hl_delivery_change(txn, 1, &old, &r);
	commit(&f, txn);
	d = only_due(5);
	assert_true(d.due_at_ms == 5000 && d.set_at_ms == 4999 && d.drain_gen == 3 && d.attempts == 2);
	txn = begin(&f);
	old = r;
	r.set_at_ms = 4000; /* decided anew, for the same time */
	r.wait = HL_WAIT_HINT;
	hl_delivery_change(txn, 1, &old, &r);
	commit(&f, txn);
	d = only_due(5);
	assert_true(d.due_at_ms == 5000 && d.set_at_ms == 4000 && d.drain_gen == 4 && d.why == HL_WAIT_HINT);
	txn = begin(&f);
	assert_true(hl_delivery_row_get(txn, 1, &old));
	r = old;
	r.next_at_ms = 7000;
	r.set_at_ms = 6000;
	hl_delivery_change(txn, 1, &old, &r);
	commit(&f, txn);
	d = only_due(5);
	assert_true(d.due_at_ms == 7000 && d.set_at_ms == 6000);
	/* A change from a row that is not the stored one would lose the entry: the transaction fails. */
	txn = begin(&f);
	r = old;
	r.next_at_ms = 9000;
	hl_delivery_change(txn, 1, &old, &r); /* old says 5000 */
	assert_int_equal(hl_txn_status(txn), HL_ECORRUPT);
	hl_store_abort(txn);
}

static void test_fresh_cursor(void **state)
{
	struct hl_counts c;
	struct hl_delivery_row old, r;
	(void)state;
	struct hl_txn *txn = begin(&f);
	fail_once(txn, 1, 5000, HL_STR(""));
	hl_counts_edit(txn, 5)->fresh_from = 2;
	commit(&f, txn);
	txn = begin(&f); /* becomes fresh again: the cursor goes back */
	assert_true(hl_delivery_row_get(txn, 1, &old));
	r = old;
	r.next_at_ms = 0;
	hl_delivery_change(txn, 1, &old, &r);
	commit(&f, txn);
	hl_counts_get(reader(&f), 5, &c);
	assert_int_equal(c.fresh_from, 1);
	assert_int_equal(c.by_state[HL_DELIVERY_PENDING], 3);
	assert_int_equal(c.pending_by_class[HL_CLASS_HTTP_STATUS], 1);
	assert_int_equal(c.pending_by_class[HL_CLASS_NONE], 2);
}

static void test_counts(void **state)
{
	struct hl_counts c;
	struct hl_totals t;
	(void)state;
	struct hl_txn *txn = begin(&f);
	struct hl_attempt a = an_attempt(1, false);
	static char text[500];
	memset(text, 'e', sizeof(text));
	a.error = hl_str_make(text, sizeof(text));
	hl_counts_note_attempt(hl_counts_edit(txn, 5), &a);
	hl_counts_get(txn, 5, &c); /* what was edited counts in the same transaction */
	assert_int_equal(c.last_failure_len, HL_LAST_ERROR_MAX);
	hl_store_abort(txn);
	hl_counts_get(reader(&f), 5, &c);
	assert_int_equal(c.last_failure_len, 0);
	txn = begin(&f);
	hl_counts_note_attempt(hl_counts_edit(txn, 5), &a);
	a = an_attempt(2, true);
	hl_counts_note_attempt(hl_counts_edit(txn, 5), &a);
	commit(&f, txn);
	hl_counts_get(reader(&f), 5, &c);
	assert_true(c.last_status == 200 && c.last_class == HL_CLASS_NONE && c.last_attempt_at_ms == fakeenv_epoch_ms + 2 &&
			c.last_success_at_ms == fakeenv_epoch_ms + 2 && c.last_failure_at_ms == fakeenv_epoch_ms + 1);
	hl_totals_get(reader(&f), 1, &t);
	assert_true(t.events == 1 && t.webhooks[HL_WEBHOOK_ENABLED] == 1 && t.deliveries[0] == 3 && t.by_state[0] == 3);
	hl_totals_get(reader(&f), 0, &t);
	assert_true(t.events == 1 && t.deliveries[0] == 3);
	uint32_t account;
	assert_true(hl_totals_next(reader(&f), 0, &account, &t) && account == 1 && t.generation == 1);
	assert_false(hl_totals_next(reader(&f), 1, &account, &t));
	hl_totals_get(reader(&f), 9, &t);
	assert_int_equal(t.events, 0);
}

struct listed {
	uint64_t numbers[100];
	size_t n, stop_at;
};

static bool list_webhook(void *data, const struct hl_webhook_row *row)
{
	struct listed *l = data;
	l->numbers[l->n++] = row->w.number;
	return l->n != l->stop_at;
}

static bool holds(struct hl_str bytes, const char *text)
{
	return memmem(bytes.ptr, bytes.len, text, strlen(text)) != NULL;
}

/* Where a webhook sends is sealed in its row and its revisions, comes back whole, and opens for no other webhook. */
static void test_addresses(void **state)
{
	static const struct hl_header headers[] = {
		{ HL_STR("authorization"), HL_STR("Bearer credential-1") }, { HL_STR("x-empty"), HL_STR("") }, { HL_STR("x-b"), HL_STR("credential-2") },
	};
	struct hl_webhook_row r = { .w = { .number = 31, .account = 1, .revision = 1, .headers = headers, .n_headers = 3,
		.url = HL_STR("https://chat.example/bot:token/send?key=word"), .name = HL_STR("named") } }, got;
	struct hl_str bytes;
	(void)state;
	struct hl_txn *txn = begin(&f);
	hl_webhook_row_put(txn, &r);
	commit(&f, txn);
	static const enum hl_table tables[] = { HL_TABLE_WEBHOOK, HL_TABLE_WEBHOOK_REVISION };
	static const struct hl_str keys[] = { HL_STR("\0\0\0\x1f"), HL_STR("\0\0\0\x1f\0\0\0\1") };
	for (int i = 0; i < 2; i++) {
		assert_true(hl_txn_get(reader(&f), tables[i], keys[i], &bytes));
		assert_true(holds(bytes, "named") && holds(bytes, "authorization"));
		assert_false(holds(bytes, "chat.example") || holds(bytes, "token") || holds(bytes, "word") || holds(bytes, "credential"));
		assert_true(i ? hl_webhook_revision_get(reader(&f), 31, 1, &got) : hl_webhook_row_get(reader(&f), 31, &got));
		assert_true(hl_str_eq(got.w.url, r.w.url) && got.w.n_headers == 3);
		for (size_t h = 0; h < 3; h++)
			assert_true(hl_str_eq(got.w.headers[h].name, headers[h].name) && hl_str_eq(got.w.headers[h].value, headers[h].value));
	}
	struct hl_txn *read = reader(&f); /* anew it would forget what was read */
	assert_true(hl_webhook_row_peek(read, 31, &got) && got.address.len && !got.w.url.len && !got.w.headers[0].value.len);
	struct hl_webhook_row moved = got;
	moved.w.number = 32;
	assert_int_equal(hl_address_open(read, &moved), HL_EKEY);
	moved = got;
	moved.w.n_headers = 2; /* names that do not fit the values */
	assert_int_equal(hl_address_open(read, &moved), HL_ECORRUPT);
	/* one that does not open can be put right and deleted */
	txn = begin(&f);
	struct hl_buf spoilt = { 0 };
	hl_buf_str(&spoilt, got.address);
	spoilt.data[20] ^= 1;
	moved = got;
	moved.address = hl_buf_all(&spoilt);
	hl_buf_reset(&txn->scratch);
	hl_webhook_row_encode(&txn->scratch, &moved);
	hl_txn_put_scratch(txn, HL_TABLE_WEBHOOK, keys[0], false);
	commit(&f, txn);
	hl_buf_fini(&spoilt);
	read = reader(&f);
	assert_false(hl_webhook_row_get(read, 31, &got));
	assert_int_equal(hl_txn_status(read), HL_EKEY);
	hl_store_read_reset(f.store);
	struct listed l = { .stop_at = 0 };
	hl_webhook_each(reader(&f), 1, 30, list_webhook, &l);
	assert_true(l.n == 1 && l.numbers[0] == 31);
	txn = begin(&f);
	r.w.revision = 2;
	hl_webhook_row_put(txn, &r);
	commit(&f, txn);
	assert_true(hl_webhook_row_get(reader(&f), 31, &got) && hl_str_eq(got.w.url, r.w.url));
	txn = begin(&f);
	hl_webhook_row_del(txn, 31);
	commit(&f, txn);
}

/* Rows of format 2 hold it in the clear: they are read, and sealed when the store is brought here. */
static void test_plain_addresses(void **state)
{
	static const struct hl_header header = { HL_STR("x-token"), HL_STR("credential") };
	struct hl_webhook_row r = { .w = { .number = 1, .account = 1, .url = HL_STR("https://chat.example/token"), .headers = &header, .n_headers = 1 } };
	struct hl_str bytes;
	struct hl_dbkey key;
	(void)state;
	struct hl_txn *txn = begin(&f);
	for (uint32_t n = 41; n <= 43; n++)
		for (r.w.revision = 1; r.w.revision <= 3; r.w.revision++) {
			r.w.number = n;
			hl_webhook_row_put(txn, &r);
			hl_buf_reset(&txn->scratch);
			hl_webhook_row_encode(&txn->scratch, &r);
			key = hl_dbkey_u32(hl_dbkey_u32(HL_DBKEY_NONE, n), r.w.revision);
			hl_txn_put_scratch(txn, HL_TABLE_WEBHOOK_REVISION, HL_DBKEY(key), false);
			hl_buf_reset(&txn->scratch);
			hl_webhook_row_encode(&txn->scratch, &r);
			key = hl_dbkey_u32(HL_DBKEY_NONE, n);
			hl_txn_put_scratch(txn, HL_TABLE_WEBHOOK, HL_DBKEY(key), false);
		}
	commit(&f, txn);
	assert_true(hl_webhook_row_get(reader(&f), 42, &r) && hl_str_eq(r.w.url, HL_STR("https://chat.example/token")));
	for (int again = 0; again < 2; again++) {
		txn = begin(&f);
		hl_address_seal_all(txn);
		commit(&f, txn);
	}
	for (uint32_t n = 41; n <= 43; n++) {
		key = hl_dbkey_u32(HL_DBKEY_NONE, n);
		assert_true(hl_txn_get(reader(&f), HL_TABLE_WEBHOOK, HL_DBKEY(key), &bytes) && !holds(bytes, "chat.example") && !holds(bytes, "credential"));
		for (uint32_t rev = 1; rev <= 3; rev++) {
			key = hl_dbkey_u32(hl_dbkey_u32(HL_DBKEY_NONE, n), rev);
			assert_true(hl_txn_get(reader(&f), HL_TABLE_WEBHOOK_REVISION, HL_DBKEY(key), &bytes) && !holds(bytes, "credential"));
			assert_true(hl_webhook_revision_get(reader(&f), n, rev, &r) && r.w.revision == rev && hl_str_eq(r.w.headers[0].value, header.value));
		}
	}
	txn = begin(&f);
	for (uint32_t n = 41; n <= 43; n++)
		hl_webhook_row_del(txn, n);
	commit(&f, txn);
}

static void test_webhooks(void **state)
{
	struct hl_webhook_row r;
	struct hl_totals t;
	struct listed l = { .n = 0 };
	(void)state;
	struct hl_txn *txn = begin(&f);
	uint64_t generation = hl_account_generation(txn, 1);
	put_webhook(txn, 6, 2, 1, HL_WEBHOOK_PAUSED);
	put_webhook(txn, 7, 1, 1, HL_WEBHOOK_ENABLED);
	assert_int_equal(hl_account_generation(txn, 1), generation + 1);
	for (uint32_t rev = 2; rev <= 100; rev++)
		put_webhook(txn, 7, 1, rev, rev % 2 ? HL_WEBHOOK_ENABLED : HL_WEBHOOK_DISABLED);
	commit(&f, txn);
	assert_int_equal(hl_account_generation(reader(&f), 1), generation + 100);
	assert_true(hl_webhook_row_get(reader(&f), 7, &r));
	assert_true(r.w.revision == 100 && r.w.state == HL_WEBHOOK_DISABLED && hl_str_eq(r.w.name, HL_STR("a receiver")));
	assert_false(hl_webhook_revision_get(reader(&f), 7, 36, &r));
	for (uint32_t rev = 37; rev <= 100; rev++)
		assert_true(hl_webhook_revision_get(reader(&f), 7, rev, &r) && r.w.revision == rev);
	hl_totals_get(reader(&f), 1, &t);
	assert_true(t.webhooks[HL_WEBHOOK_ENABLED] == 1 && t.webhooks[HL_WEBHOOK_DISABLED] == 1);
	hl_webhook_each(reader(&f), 1, 0, list_webhook, &l);
	assert_true(l.n == 2 && l.numbers[0] == 5 && l.numbers[1] == 7);
	l.n = 0;
	hl_webhook_each(reader(&f), 0, 5, list_webhook, &l);
	assert_true(l.n == 2 && l.numbers[0] == 6 && l.numbers[1] == 7);
	l = (struct listed){ .stop_at = 1 };
	hl_webhook_each(reader(&f), 0, 0, list_webhook, &l);
	assert_int_equal(l.n, 1);
	l = (struct listed){ .n = 0 };
	hl_webhook_each_back(reader(&f), 1, 0, list_webhook, &l);
	assert_true(l.n == 2 && l.numbers[0] == 7 && l.numbers[1] == 5);
	l.n = 0;
	hl_webhook_each_back(reader(&f), 0, 7, list_webhook, &l);
	assert_true(l.n == 2 && l.numbers[0] == 6 && l.numbers[1] == 5);
	l.n = 0;
	hl_webhook_each_back(reader(&f), 2, 6, list_webhook, &l);
	assert_int_equal(l.n, 0);
	txn = begin(&f);
	hl_webhook_row_del(txn, 7);
	hl_webhook_row_del(txn, 7); /* no second time */
	commit(&f, txn);
	assert_false(hl_webhook_row_get(reader(&f), 7, &r));
	assert_false(hl_webhook_revision_get(reader(&f), 7, 100, &r));
	hl_totals_get(reader(&f), 1, &t);
	assert_true(t.webhooks[HL_WEBHOOK_ENABLED] == 1 && t.webhooks[HL_WEBHOOK_DISABLED] == 0);
}

static bool list_account(void *data, const struct hl_account_row *row)
{
	struct listed *l = data;
	l->numbers[l->n++] = row->number;
	return true;
}

static void test_accounts(void **state)
{
	struct hl_account_row a = { .number = 2, .id = HL_STR("acme"), .name = HL_STR("Acme"), .tier = HL_STR("quant") }, r;
	struct listed l = { .n = 0 };
	(void)state;
	struct hl_txn *txn = begin(&f);
	hl_account_row_put(txn, &a);
	a.number = 3;
	a.id = HL_STR("beta");
	hl_account_row_put(txn, &a);
	commit(&f, txn);
	assert_true(hl_account_row_find(reader(&f), HL_STR("acme"), &r) && r.number == 2);
	assert_false(hl_account_row_find(reader(&f), HL_STR(""), &r));
	assert_false(hl_account_row_find(reader(&f), HL_STR("acm"), &r));
	txn = begin(&f);
	a.id = HL_STR("acme"); /* taken */
	hl_account_row_put(txn, &a);
	assert_int_equal(hl_txn_status(txn), HL_EEXIST);
	hl_store_abort(txn);
	txn = begin(&f);
	a.id = HL_STR("gamma");
	a.disabled = true;
	hl_account_row_put(txn, &a);
	hl_account_generation_raise(txn, 3);
	commit(&f, txn);
	assert_false(hl_account_row_find(reader(&f), HL_STR("beta"), &r));
	assert_true(hl_account_row_find(reader(&f), HL_STR("gamma"), &r) && r.disabled && r.generation == 1);
	hl_account_row_each(reader(&f), 0, list_account, &l);
	assert_true(l.n == 2 && l.numbers[0] == 2 && l.numbers[1] == 3);
	txn = begin(&f);
	hl_account_row_del(txn, 3);
	commit(&f, txn);
	assert_false(hl_account_row_find(reader(&f), HL_STR("gamma"), &r));
	assert_false(hl_account_row_get(reader(&f), 3, &r));
}

static bool list_key(void *data, const struct hl_key_row *row)
{
	struct listed *l = data;
	l->numbers[l->n++] = row->number;
	return true;
}

static void test_keys(void **state)
{
	struct hl_key_row k = { .number = 1, .account = 1, .scopes = 5, .name = HL_STR("ci"), .prefix = HL_STR("hlk_ab"),
		.last4 = "wxyz", .sha256 = { 1, 2, 3 } }, r;
	uint8_t other[32] = { 9 };
	struct listed l = { .n = 0 };
	(void)state;
	struct hl_txn *txn = begin(&f);
	hl_key_row_put(txn, &k);
	commit(&f, txn);
	assert_true(hl_key_row_find(reader(&f), k.sha256, &r) && r.number == 1 && r.scopes == 5);
	assert_string_equal(r.last4, "wxyz");
	assert_false(hl_key_row_find(reader(&f), other, &r));
	txn = begin(&f);
	memcpy(k.sha256, other, 32);
	k.last_used_at_ms = 77;
	hl_key_row_put(txn, &k);
	k.number = 2;
	k.sha256[0] = 8;
	hl_key_row_put(txn, &k);
	commit(&f, txn);
	assert_true(hl_key_row_find(reader(&f), other, &r) && r.last_used_at_ms == 77);
	hl_key_row_each(reader(&f), 1, list_key, &l);
	assert_true(l.n == 1 && l.numbers[0] == 2);
	txn = begin(&f);
	hl_key_row_del(txn, 1);
	commit(&f, txn);
	assert_false(hl_key_row_find(reader(&f), other, &r));
}

static bool list_server(void *data, const struct hl_server_row *row)
{
	struct listed *l = data;
	l->numbers[l->n++] = row->number;
	return true;
}

static void test_servers(void **state)
{
	struct hl_server_row s = { .number = 1, .account = 1, .name = HL_STR("eu-1"), .status = HL_STR("active") }, r;
	struct listed l = { .n = 0 };
	(void)state;
	struct hl_txn *txn = begin(&f);
	for (s.number = 1; s.number <= 6; s.number++) {
		s.account = s.number % 2 ? 1 : 2;
		hl_server_row_put(txn, &s);
	}
	s.number = 6;
	s.account = 1; /* moves */
	hl_server_row_put(txn, &s);
	hl_server_row_del(txn, 3);
	commit(&f, txn);
	assert_true(hl_server_row_get(reader(&f), 6, &r) && r.account == 1);
	assert_false(hl_server_row_get(reader(&f), 3, &r));
	hl_server_row_each(reader(&f), 1, 1, list_server, &l);
	assert_true(l.n == 2 && l.numbers[0] == 5 && l.numbers[1] == 6);
	l.n = 0;
	hl_server_row_each(reader(&f), 0, 0, list_server, &l);
	assert_int_equal(l.n, 5);
}

static bool list_type(void *data, const struct hl_event_type *t)
{
	struct hl_buf *b = data;
	hl_buf_str(b, t->name);
	hl_buf_char(b, ' ');
	return true;
}

static void test_event_types(void **state)
{
	static char longest[HL_EVENT_TYPE_MAX];
	struct hl_event_type t = { .title = HL_STR("A type"),
			.dialect_categories = { [HL_DIALECT_BITNOB] = HL_STR("wallet") } }, r;
	struct hl_buf names = { 0 };
	(void)state;
	memset(longest, 'z', sizeof(longest));
	struct hl_txn *txn = begin(&f);
	const struct hl_str list[] = { HL_STR("order.paid"), HL_STR("order"), hl_str_make(longest, sizeof(longest)),
		HL_STR("order.created") };
	for (size_t i = 0; i < HL_ARRAY_LEN(list); i++) {
		t.name = list[i];
		hl_event_type_row_put(txn, &t);
	}
	commit(&f, txn);
	assert_int_equal(hl_account_generation(reader(&f), 0), 4);
	assert_true(hl_event_type_row_get(reader(&f), list[1], &r));
	assert_true(hl_str_eq(r.dialect_categories[HL_DIALECT_BITNOB], HL_STR("wallet")));
	hl_event_type_row_each(reader(&f), list_type, &names);
	assert_int_equal(strncmp(names.data, "order order.created order.paid zzz", 34), 0);
	txn = begin(&f);
	assert_true(hl_event_type_row_del(txn, list[0]));
	assert_false(hl_event_type_row_del(txn, list[0]));
	assert_false(hl_event_type_row_del(txn, HL_STR("")));
	commit(&f, txn);
	assert_false(hl_event_type_row_get(reader(&f), list[0], &r));
	hl_buf_fini(&names);
}

static void test_idempotency(void **state)
{
	const hl_ms_t hour = 3600 * 1000, start = fakeenv_epoch_ms + 20 * hour;
	struct hl_idem_row row = { .created_at_ms = start, .number = 12, .fingerprint = { 1, 2 } }, got;
	struct hl_buf answer = { 0 }, plain = { 0 };
	(void)state;
	assert_int_equal(hl_store_seal(f.store, HL_SEAL_ANSWER, 1, HL_STR("{\"id\":1}"), &answer), 0);
	row.answer = hl_buf_all(&answer);
	struct hl_txn *txn = begin(&f);
	assert_int_equal(hl_idem_find(txn, 1, HL_STR("POST"), HL_STR("k1"), start, &got), 0);
	hl_idem_put(txn, 1, HL_STR("POST"), HL_STR("k1"), &row);
	assert_int_equal(hl_idem_find(txn, 1, HL_STR("POST"), HL_STR("k1"), start, &got), 1);
	commit(&f, txn);
	struct hl_txn *r = reader(&f);
	for (hl_ms_t later = -20 * hour; later < 48 * hour; later += hour)
		assert_int_equal(hl_idem_find(r, 1, HL_STR("POST"), HL_STR("k1"), start + later, &got), 1);
	assert_true(got.number == 12 && got.fingerprint[1] == 2);
	assert_int_equal(hl_store_unseal(f.store, HL_SEAL_ANSWER, 1, got.answer, &plain), 0);
	assert_string_equal(plain.data, "{\"id\":1}");
	assert_int_equal(hl_idem_find(r, 1, HL_STR("POST"), HL_STR("k1"), start + 48 * hour, &got), 0);
	assert_int_equal(hl_idem_find(r, 2, HL_STR("POST"), HL_STR("k1"), start, &got), 0);
	assert_int_equal(hl_idem_find(r, 1, HL_STR("POSTk"), HL_STR("1"), start, &got), 0);
	assert_int_equal(hl_idem_find(r, 1, HL_STR("POST"), HL_STR("k2"), start, &got), 0);
	/* Old buckets are dropped, young ones stay. */
	txn = begin(&f);
	for (unsigned i = 0; i < 20; i++) {
		struct hl_str key = hl_str_make(&i, sizeof(i));
		row.created_at_ms = start + (hl_ms_t)i * 6 * hour;
		hl_idem_put(txn, 1, HL_IDEM_SCOPE_ID, key, &row);
	}
	uint64_t dropped = 0;
	assert_true(hl_idem_drop_old(txn, start + 20 * 6 * hour, 1000, &dropped));
	assert_true(dropped > 5 && dropped < 16);
	uint64_t again = 0;
	assert_true(hl_idem_drop_old(txn, start + 20 * 6 * hour, 1000, &again));
	assert_int_equal(again, 0);
	for (unsigned i = 13; i < 20; i++)
		assert_int_equal(hl_idem_find(txn, 1, HL_IDEM_SCOPE_ID, hl_str_make(&i, sizeof(i)), start + 20 * 6 * hour, &got), 1);
	assert_false(hl_idem_drop_old(txn, start + 90 * 24 * hour, 2, &again)); /* a slice */
	assert_int_equal(again, 2);
	commit(&f, txn);
	hl_buf_fini(&answer);
	hl_buf_fini(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_attempts), T(test_due), T(test_fresh_cursor), T(test_counts), T(test_addresses), T(test_plain_addresses), T(test_webhooks), T(test_accounts),
		T(test_keys), T(test_servers), T(test_event_types), T(test_idempotency),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
