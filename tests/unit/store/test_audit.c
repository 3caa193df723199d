/* The audit must be quiet about a whole store and catch each planted damage: every entry of every table deleted once,
 * every value replaced by nonsense, entries that belong to nothing, wrong counters, secrets that do not open. */
#include "store_test.h"
#include "store/alerts.h"
#include "store/idem.h"
#include "store/index.h"
#include "store/jobs.h"
#include "store/market.h"

static struct fixture f;

static void seal(enum hl_seal_kind kind, uint64_t number, struct hl_buf *out)
{
	hl_buf_reset(out);
	assert_int_equal(hl_store_seal(f.store, kind, number, HL_STR("whsec_secret"), out), 0);
}

static void put_configuration(struct hl_txn *txn)
{
	struct hl_buf secret = { 0 };
	for (uint32_t n = 1; n <= 3; n++) {
		struct hl_webhook_row w = { .w = { .number = n, .account = n > 2 ? 2 : 1, .revision = 1,
			.url = HL_STR("http://x.example/") } };
		seal(HL_SEAL_SECRET, n, &secret);
		w.secret = w.previous_secret = hl_buf_all(&secret);
		hl_webhook_row_put(txn, &w);
	}
	struct hl_account_row a = { .number = 2, .id = HL_STR("acme") };
	struct hl_key_row k = { .number = 1, .account = 2, .sha256 = { 7 } };
	struct hl_server_row s = { .number = 1, .account = 2, .name = HL_STR("eu") };
	struct hl_event_type t = { .name = HL_STR("order.created") };
	struct hl_job_row j = { .number = 1, .kind = HL_JOB_RECOVER, .webhook = 1, .error_class = -1 };
	struct hl_idem_row i = { .created_at_ms = fakeenv_epoch_ms, .number = 1 };
	hl_account_row_put(txn, &a);
	hl_key_row_put(txn, &k);
	hl_server_row_put(txn, &s);
	hl_event_type_row_put(txn, &t);
	hl_job_put(txn, &j);
	seal(HL_SEAL_ANSWER, 1, &secret);
	i.answer = hl_buf_all(&secret);
	hl_idem_put(txn, 1, HL_STR("POST"), HL_STR("key"), &i);
	hl_buf_fini(&secret);
}

static void put_events(struct hl_txn *txn, uint64_t first_event, uint64_t *delivery)
{
	for (uint64_t e = first_event; e < first_event + 4; e++) {
		struct hl_event_row row = an_event(1, *delivery, 2);
		hl_event_append(txn, e, &row);
		for (uint32_t w = 1; w <= 2; w++) {
			struct hl_delivery_row d = a_delivery(e, 1, w);
			hl_delivery_append(txn, (*delivery)++, &d);
		}
	}
	struct hl_delivery_row later = a_delivery(first_event, 1, 2);
	later.flags = HL_DF_LATER;
	hl_delivery_append(txn, (*delivery)++, &later);
}

static void put_alerts(struct hl_txn *txn)
{
	const struct hl_market_item item = { 7, HL_STR("AK-47"), HL_STR("") };
	const struct hl_market_quote quote = { .item_id = 7, .provider = HL_STR("steam"), .cents = 100, .count = 1 };
	struct hl_alert_row row = { .number = 1, .account = 1, .item = 7, .threshold = 5, .currency = "USD", .enabled = true };
	const struct hl_alert_event_row said = { .alert = 1, .item = item, .threshold = 5, .currency = "USD" };
	const struct hl_rates_row rates = { .n = 1, .rates = { { "EUR", 5 } } };
	struct hl_buf block = { 0 };
	hl_block_encode(&block, &quote, 1, &quote, 1);
	hl_market_item_put(txn, &item);
	hl_market_quotes_put(txn, 7, hl_buf_all(&block));
	hl_market_log_append(txn, 1, hl_buf_all(&block));
	hl_market_rates_put(txn, &rates);
	hl_alert_row_put(txn, NULL, &row);
	row.number = 2;
	row.enabled = false;
	row.dialect = HL_DIALECT_CS2CAP;
	hl_alert_row_put(txn, NULL, &row);
	hl_alert_event_put(txn, 1, 2, &said);
	hl_buf_fini(&block);
}

static void attempts(struct hl_txn *txn, uint64_t number, unsigned n, enum hl_delivery_state end)
{
	for (unsigned i = 1; i <= n; i++) {
		struct hl_delivery_row old, r;
		assert_true(hl_delivery_row_get(txn, number, &old));
		r = old;
		r.n_attempts++;
		bool last = i == n && end != HL_DELIVERY_PENDING;
		struct hl_attempt a = an_attempt(i, end == HL_DELIVERY_SUCCEEDED && last);
		r.last_class = (uint8_t)a.error_class;
		r.state = last ? (uint8_t)end : HL_DELIVERY_PENDING;
		r.completed_at_ms = last ? fakeenv_epoch_ms : 0;
		r.next_at_ms = last ? 0 : fakeenv_epoch_ms + i;
		hl_attempt_add(txn, number, &r, &a);
		hl_delivery_change(txn, number, &old, &r);
	}
}

static int setup(void **state)
{
	struct hl_index_run run = { .phase = HL_INDEX_IDLE };
	uint64_t delivery = 1;
	bool done = false;
	(void)state;
	fixture_init(&f);
	struct hl_txn *txn = begin(&f);
	put_configuration(txn);
	put_events(txn, 1, &delivery);
	put_alerts(txn);
	attempts(txn, 1, 1, HL_DELIVERY_SUCCEEDED);
	attempts(txn, 2, 3, HL_DELIVERY_FAILED);
	attempts(txn, 3, 2, HL_DELIVERY_PENDING);
	commit(&f, txn);
	while (!done) {
		txn = begin(&f);
		assert_int_equal(hl_index_step(txn, &run, 1, 1000, &done), 0);
		commit(&f, txn);
	}
	txn = begin(&f);
	put_events(txn, 5, &delivery); /* the tail */
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

static uint64_t damages(bool live)
{
	struct hl_audit_options o = { .live = live };
	struct hl_audit_summary sum = { 0 };
	int rc = hl_audit(f.store, &o, &sum, NULL);
	return rc ? UINT64_MAX : sum.damages;
}

static void raw_put(enum hl_table t, struct hl_str key, struct hl_str value)
{
	struct hl_txn *txn = begin(&f);
	hl_txn_put(txn, t, key, value);
	commit(&f, txn);
}

static void raw_del(enum hl_table t, struct hl_str key)
{
	struct hl_txn *txn = begin(&f);
	assert_true(hl_txn_del(txn, t, key));
	commit(&f, txn);
}

/* The i-th entry of a table, copied; false beyond the last. */
static bool entry_at(enum hl_table t, size_t i, struct hl_buf *key, struct hl_buf *value)
{
	struct hl_cursor c;
	struct hl_txn *txn = reader(&f);
	hl_cursor_open(&c, txn, t);
	bool ok = hl_cursor_first(&c);
	while (ok && i--)
		ok = hl_cursor_next(&c);
	if (ok) {
		hl_buf_reset(key);
		hl_buf_reset(value);
		hl_buf_str(key, c.key);
		hl_buf_str(value, c.value);
	}
	hl_cursor_close(&c);
	return ok;
}

static void test_whole(void **state)
{
	(void)state;
	struct hl_audit_summary s = audit_clean(&f);
	assert_true(s.events == 8 && s.deliveries == 18 && s.attempts == 3 && s.due == 1 && s.webhooks == 3 &&
			s.accounts == 1 && s.keys == 1 && s.servers == 1 && s.event_types == 1 && s.idem == 1 && s.jobs == 1);
	assert_true(s.pending == 16 && s.tail == 9 + 4);
	assert_true(s.alerts == 2 && s.alert_events == 1 && s.market_items == 1 && s.market_blocks == 1);
	assert_int_equal(damages(true), 0);
}

/* Deleting one of these breaks nothing that another record tells. */
static bool may_go(enum hl_table t)
{
	return t == HL_TABLE_META || t == HL_TABLE_ATTEMPT || t == HL_TABLE_EVENT_TYPE || t == HL_TABLE_IDEM ||
			t == HL_TABLE_JOB || t == HL_TABLE_MARKET_QUOTES || t == HL_TABLE_MARKET_LOG;
}

static void test_each_deleted(void **state)
{
	struct hl_buf key = { 0 }, value = { 0 };
	(void)state;
	for (unsigned t = 0; t < HL_TABLE_N; t++) {
		for (size_t i = 0; !may_go((enum hl_table)t) && entry_at((enum hl_table)t, i, &key, &value); i++) {
			raw_del((enum hl_table)t, hl_buf_all(&key));
			bool entry = t >= HL_TABLE_DUE && t <= HL_TABLE_EVENT_BY_ACCOUNT; /* a row is missed by counters only */
			if (damages(false) == 0 || (entry && damages(true) == 0))
				fail_msg("entry %zu of %s deleted: not noticed", i, hl_table_name((enum hl_table)t));
			raw_put((enum hl_table)t, hl_buf_all(&key), hl_buf_all(&value));
		}
	}
	hl_buf_fini(&key);
	hl_buf_fini(&value);
}

static void test_each_spoiled(void **state)
{
	struct hl_buf key = { 0 }, value = { 0 };
	static const struct hl_str nonsense[] = { HL_STR(""), HL_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		HL_STR("x") };
	(void)state;
	for (unsigned t = HL_TABLE_META + 1; t < HL_TABLE_N; t++) {
		for (size_t i = 0; entry_at((enum hl_table)t, i, &key, &value); i++) {
			for (size_t k = 0; k < HL_ARRAY_LEN(nonsense); k++) {
				if (hl_str_eq(nonsense[k], hl_buf_all(&value)))
					continue;
				raw_put((enum hl_table)t, hl_buf_all(&key), nonsense[k]);
				if (damages(false) == 0)
					fail_msg("entry %zu of %s spoiled: not noticed", i, hl_table_name((enum hl_table)t));
			}
			raw_put((enum hl_table)t, hl_buf_all(&key), hl_buf_all(&value));
		}
	}
	hl_buf_fini(&key);
	hl_buf_fini(&value);
}

static void stray(enum hl_table t, struct hl_dbkey key, struct hl_str value)
{
	raw_put(t, HL_DBKEY(key), value);
	if (damages(false) == 0 || damages(true) == 0)
		fail_msg("a stray entry in %s: not noticed", hl_table_name(t));
	raw_del(t, HL_DBKEY(key));
}

static void test_strays(void **state)
{
	struct hl_buf due = { 0 };
	struct hl_due d = { .event = 1 };
	struct hl_dbkey none = HL_DBKEY_NONE;
	(void)state;
	hl_due_encode(&due, &d);
	stray(HL_TABLE_DUE, hl_due_key(1, 500, 1), hl_buf_all(&due));       /* an ended delivery */
	stray(HL_TABLE_DUE, hl_due_key(1, 500, 900), hl_buf_all(&due));     /* none at all */
	stray(HL_TABLE_BY_WEBHOOK, hl_pair_key(2, 1), HL_STR_NONE);         /* another webhook's */
	stray(HL_TABLE_BY_WEBHOOK, hl_pair_key(1, 12), HL_STR_NONE);        /* beyond the index */
	stray(HL_TABLE_BY_ACCOUNT, hl_pair_key(2, 1), HL_STR("\0"));
	stray(HL_TABLE_BY_STATUS, hl_status_key('w', 1, HL_DELIVERY_FAILED, 1), HL_STR_NONE);
	stray(HL_TABLE_BY_STATUS, hl_status_key('a', 1, HL_DELIVERY_PENDING, 2), HL_STR_NONE);
	stray(HL_TABLE_BY_STATUS, hl_status_key('x', 1, HL_DELIVERY_PENDING, 3), HL_STR_NONE);
	stray(HL_TABLE_BY_EVENT, hl_dbkey_u64(hl_dbkey_u64(none, 1), 2), HL_STR_NONE);
	stray(HL_TABLE_EVENT_BY_ACCOUNT, hl_pair_key(2, 1), HL_STR_NONE);
	stray(HL_TABLE_WEBHOOK_BY_ACCOUNT, hl_dbkey_u32(hl_dbkey_u32(none, 2), 1), HL_STR_NONE);
	stray(HL_TABLE_SERVER_BY_ACCOUNT, hl_pair_key(1, 1), HL_STR_NONE);
	stray(HL_TABLE_ALERT_BY_ACCOUNT, hl_pair_key(2, 1), HL_STR("\0")); /* another account's */
	stray(HL_TABLE_ALERT_BY_ACCOUNT, hl_pair_key(1, 9), HL_STR("\0"));
	raw_put(HL_TABLE_ACCOUNT_BY_ID, HL_STR("other"), HL_STR("\0\0\0\2"));
	assert_true(damages(true) == 1 && damages(false) == 1);
	raw_del(HL_TABLE_ACCOUNT_BY_ID, HL_STR("other"));
	hl_buf_fini(&due);
}

static void test_counters(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		for (int sign = 1; sign >= -1; sign -= 2) {
			struct hl_txn *txn = begin(&f);
			uint64_t n = (uint64_t)(int64_t)sign;
			if (i == 0)
				hl_counts_edit(txn, 1)->by_state[HL_DELIVERY_PENDING] += n;
			else if (i == 1)
				hl_counts_edit(txn, 1)->pending_by_class[HL_CLASS_DNS] += n;
			else if (i == 2)
				hl_totals_edit(txn, 1)->events += n;
			else if (i == 3)
				hl_totals_edit(txn, 0)->webhooks[HL_WEBHOOK_ENABLED] += n;
			else if (i == 5)
				hl_totals_edit(txn, 1)->alerts_enabled += n;
			else if (i == 6)
				hl_totals_edit(txn, 0)->alerts[HL_DIALECT_CS2CAP] += n;
			else if (i == 7)
				hl_totals_edit(txn, 1)->alert_events[HL_DIALECT_HOOKLINE] += n;
			else
				hl_counts_edit(txn, 2)->fresh_from += 11 * n;
			commit(&f, txn);
			if (sign > 0)
				assert_true(damages(false) >= 1);
			if (sign > 0 && i != 4)
				assert_int_equal(damages(true), 0);
		}
	}
}

/* Data that is no JSON any more: a byte of it turned over. */
static void test_data(void **state)
{
	struct hl_buf key = { 0 }, value = { 0 }, spoilt = { 0 };
	(void)state;
	assert_true(entry_at(HL_TABLE_EVENT, 0, &key, &value));
	hl_buf_str(&spoilt, hl_buf_all(&value));
	spoilt.data[spoilt.len - 1] ^= 0x20; /* the closing brace */
	raw_put(HL_TABLE_EVENT, hl_buf_all(&key), hl_buf_all(&spoilt));
	assert_true(damages(true) == 1 && damages(false) == 1);
	raw_put(HL_TABLE_EVENT, hl_buf_all(&key), hl_buf_all(&value));
	hl_buf_fini(&key);
	hl_buf_fini(&value);
	hl_buf_fini(&spoilt);
}

/* A secret copied from another webhook, a row that tells another time than its due entry, more reports than are
 * told. */
static void test_lies(void **state)
{
	struct hl_buf key = { 0 }, value = { 0 }, sealed = { 0 };
	struct hl_webhook_row w, copy;
	struct hl_delivery_row d;
	(void)state;
	seal(HL_SEAL_SECRET, 2, &sealed);
	assert_true(entry_at(HL_TABLE_WEBHOOK, 0, &key, &value));
	struct hl_txn *txn = begin(&f);
	assert_true(hl_webhook_row_get(txn, 1, &w));
	copy = w;
	copy.secret = hl_buf_all(&sealed);
	hl_buf_reset(&txn->scratch);
	hl_webhook_row_encode(&txn->scratch, &copy);
	hl_txn_put_scratch(txn, HL_TABLE_WEBHOOK, hl_buf_all(&key), false);
	commit(&f, txn);
	assert_int_equal(damages(true), 1);
	raw_put(HL_TABLE_WEBHOOK, hl_buf_all(&key), hl_buf_all(&value));
	assert_true(entry_at(HL_TABLE_DELIVERY, 2, &key, &value));
	txn = begin(&f);
	assert_true(hl_delivery_row_get(txn, 3, &d));
	d.next_at_ms++;
	hl_buf_reset(&txn->scratch);
	hl_delivery_row_encode(&txn->scratch, &d);
	hl_txn_put_scratch(txn, HL_TABLE_DELIVERY, hl_buf_all(&key), false);
	commit(&f, txn);
	assert_int_equal(damages(true), 2);
	raw_put(HL_TABLE_DELIVERY, hl_buf_all(&key), hl_buf_all(&value));
	hl_buf_fini(&key);
	hl_buf_fini(&value);
	hl_buf_fini(&sealed);
}

/* Quotes of another item, of none, and rates that are none. */
static void test_market(void **state)
{
	struct hl_market_quote q = { .item_id = 7, .provider = HL_STR("steam"), .cents = 100, .count = 1 };
	struct hl_buf key = { 0 }, value = { 0 }, block = { 0 };
	(void)state;
	assert_true(entry_at(HL_TABLE_MARKET_LOG, 0, &key, &value));
	q.item_id = 8;
	hl_block_encode(&block, &q, 1, NULL, 0);
	raw_put(HL_TABLE_MARKET_LOG, hl_buf_all(&key), hl_buf_all(&block));
	assert_int_equal(damages(true), 1);
	raw_put(HL_TABLE_MARKET_LOG, hl_buf_all(&key), hl_buf_all(&value));
	hl_buf_reset(&block);
	hl_market_item_encode(&block, &(struct hl_market_item){ 8, HL_STR("x"), HL_STR("") });
	raw_put(HL_TABLE_MARKET_ITEM, HL_DBKEY(hl_dbkey_u64(HL_DBKEY_NONE, 8)), hl_buf_all(&block));
	assert_int_equal(damages(true), 0);
	raw_put(HL_TABLE_MARKET_QUOTES, HL_DBKEY(hl_dbkey_u64(HL_DBKEY_NONE, 8)), hl_buf_all(&value)); /* item 7's */
	assert_int_equal(damages(true), 1);
	raw_del(HL_TABLE_MARKET_QUOTES, HL_DBKEY(hl_dbkey_u64(HL_DBKEY_NONE, 8)));
	raw_del(HL_TABLE_MARKET_ITEM, HL_DBKEY(hl_dbkey_u64(HL_DBKEY_NONE, 8)));
	hl_buf_reset(&value);
	struct hl_str rates;
	assert_true(hl_txn_get(reader(&f), HL_TABLE_META, HL_STR("rates"), &rates));
	hl_buf_str(&value, rates);
	raw_put(HL_TABLE_META, HL_STR("rates"), HL_STR("nonsense"));
	assert_int_equal(damages(true), 1);
	raw_put(HL_TABLE_META, HL_STR("rates"), hl_buf_all(&value));
	hl_buf_fini(&key);
	hl_buf_fini(&value);
	hl_buf_fini(&block);
}

static void count_report(void *data, enum hl_audit_severity severity, const char *text)
{
	unsigned *n = data;
	(void)text;
	n[severity]++;
}

static void test_many_reports(void **state)
{
	unsigned n[2] = { 0, 0 };
	struct hl_audit_options o = { .report = count_report, .data = n };
	struct hl_audit_summary sum;
	(void)state;
	struct hl_txn *txn = begin(&f);
	for (uint64_t i = 0; i < 1500; i++)
		hl_txn_put(txn, HL_TABLE_BY_WEBHOOK, HL_DBKEY(hl_pair_key(77, 1000 + i)), HL_STR_NONE);
	commit(&f, txn);
	assert_int_equal(hl_audit(f.store, &o, &sum, NULL), 0);
	assert_int_equal(sum.damages, 1500);
	assert_int_equal(n[HL_AUDIT_DAMAGE], HL_AUDIT_REPORTS_MAX);
	assert_int_equal(n[HL_AUDIT_NOTE], 1);
	o.live = true; /* in slices: the same */
	assert_int_equal(hl_audit(f.store, &o, &sum, NULL), 0);
	assert_int_equal(sum.damages, 1500);
	txn = begin(&f);
	for (uint64_t i = 0; i < 1500; i++)
		hl_txn_del(txn, HL_TABLE_BY_WEBHOOK, HL_DBKEY(hl_pair_key(77, 1000 + i)));
	commit(&f, txn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_whole), T(test_each_deleted), T(test_each_spoiled), T(test_strays), T(test_counters), T(test_lies), T(test_data), T(test_market),
		T(test_many_reports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
