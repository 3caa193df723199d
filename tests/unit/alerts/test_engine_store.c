/* What the alert engine keeps: the log of ticks and its checkpoints over restarts and crashes, lists, idempotency keys,
 * retention. */
#include "engine.h"

#include "base/str.h"
#include "dispatch/engine.h"
#include "store/alerts.h"
#include "store/store_private.h"
#include <stdio.h>
#include <string.h>

enum { USD_20 = 20000000, DAY_MS = 86400 * 1000 };

static int setup(void **state)
{
	static struct ax x;
	ax_init(&x);
	*state = &x;
	return 0;
}

static int teardown(void **state)
{
	ax_fini(*state);
	return 0;
}

/* ---- checkpoints -------------------------------------------------------------------------------------------------- */

enum { ITEMS = 40, PROVIDERS = 5 };

/* What every quote should be: asks, then bids. */
struct model {
	int64_t cents[2][ITEMS + 1][PROVIDERS];
};

static const char *const providers[PROVIDERS] = { "buff163", "csfloat", "steam", "skinport", "youpin" };

static void tick(struct ax *x, struct model *m, size_t n)
{
	struct hl_market_quote q[64];
	struct ax_result r;
	bool bids = fakeenv_next(&x->f.world) >> 33 & 1;
	assert_true(n <= 64);
	for (size_t i = 0; i < n; i++) {
		uint64_t dice = fakeenv_next(&x->f.world) >> 16;
		uint64_t item = 1 + dice % ITEMS, provider = dice / 64 % PROVIDERS;
		int64_t cents = dice >> 20 & 3 ? (int64_t)(1 + (dice >> 24) % 100000) : 0;
		q[i] = ax_quote(item, providers[provider], cents);
		m->cents[bids][item][provider] = cents;
	}
	ax_quotes_begin(x, bids, q, n, &r);
	while (!r.called)
		fx_turn(&x->f);
	assert_int_equal(r.status, 0);
}

static void compare(struct ax *x, const struct model *m)
{
	struct hl_market_view v;
	for (uint64_t item = 1; item <= ITEMS; item++) {
		int64_t ask = 0, bid = 0;
		for (size_t p = 0; p < PROVIDERS; p++) {
			int64_t a = m->cents[0][item][p], b = m->cents[1][item][p];
			ask = a && (!ask || a < ask) ? a : ask;
			bid = HL_MAX(bid, b);
		}
		assert_int_equal(hl_market_get(x->a, item, &v), 0);
		assert_int_equal(v.best_ask, ask);
		assert_int_equal(v.best_bid, bid);
		if (ask)
			assert_true(hl_str_eq(v.ask_link, HL_STR("https://market.example/item")));
	}
}

static void test_checkpoint(void **state)
{
	struct ax *x = *state;
	static struct model m;
	memset(&m, 0, sizeof(m));
	ax_items(x, 4, ITEMS - 3);
	uint64_t most = 0;
	for (unsigned i = 0; i < 400; i++) {
		x->a->checkpoint.from_bytes = 20000;
		tick(x, &m, 1 + i % 64);
		most = HL_MAX(most, x->a->checkpoint.log_bytes);
		if (i % 97 == 50) { /* in the middle of whatever is under way */
			ax_crash(x);
			compare(x, &m);
		}
		if (i % 130 == 129) {
			ax_close(x);
			ax_open(x);
			compare(x, &m);
		}
	}
	assert_true(most < 60000); /* it does not grow with what came */
	x->a->checkpoint.from_bytes = 1;
	fx_pump(&x->f);
	assert_int_equal(hl_txn_entries(hl_core_read(x->f.d), HL_TABLE_MARKET_LOG), 0);
	assert_int_equal(x->a->checkpoint.log_bytes, 0);
	fx_turn(&x->f);
	ax_close(x);
	ax_open(x); /* from the rows alone */
	compare(x, &m);
	tick(x, &m, 10); /* blocks are numbered on */
	fx_pump(&x->f);
	ax_crash(x);
	compare(x, &m);
}

static int fail_write(void *data, enum hl_fault at)
{
	unsigned *left = data;
	return at == HL_FAULT_WRITE && *left && --*left == 0 ? HL_EIO : 0;
}

/* A slice that cannot be written: its items are written in the next round. */
static void test_checkpoint_fails(void **state)
{
	struct ax *x = *state;
	static struct model m;
	unsigned left = 2; /* the block's append is a write too */
	memset(&m, 0, sizeof(m));
	ax_items(x, 4, ITEMS - 3);
	x->a->checkpoint.from_bytes = 1;
	x->f.d->store->o.fault = fail_write;
	x->f.d->store->o.fault_data = &left;
	tick(x, &m, 64);
	fx_pump(&x->f);
	assert_int_equal(left, 0);
	assert_int_equal(x->a->checkpoint.state, HL_CHECKPOINT_IDLE);
	assert_true(x->a->checkpoint.log_bytes > 0);
	x->f.d->store->o.fault = NULL;
	fx_advance(&x->f, 2000);
	assert_int_equal(x->a->checkpoint.log_bytes, 0);
	ax_crash(x);
	compare(x, &m);
}

/* An item renamed while its row is written behind keeps its new name. */
static void test_rename(void **state)
{
	struct ax *x = *state;
	const struct hl_market_item item = { 1, HL_STR("new"), HL_STR("Ruby") };
	struct hl_market_view v;
	struct ax_result r = { 0 };
	x->a->checkpoint.from_bytes = 1;
	ax_ask(x, 1, "a", 100);
	assert_int_equal(hl_market_put_items(x->a, &item, 1, ax_on_done, &r, NULL), 0);
	fx_pump(&x->f);
	ax_close(x);
	ax_open(x);
	assert_int_equal(hl_market_get(x->a, 1, &v), 0);
	assert_true(hl_str_eq(v.item.name, HL_STR("new")) && hl_str_eq(v.item.phase, HL_STR("Ruby")) && v.best_ask == 100);
}

/* ---- refusals ----------------------------------------------------------------------------------------------------- */

static void test_refused(void **state)
{
	struct ax *x = *state;
	struct hl_market_quote q = ax_quote(99, "a", 100);
	const struct hl_market_item items[] = { { 50, HL_STR("x"), HL_STR("") }, { 51, HL_STR(""), HL_STR("") } };
	const struct hl_rate twice[] = { { "EUR", 5 }, { "EUR", 5 } };
	struct hl_err err = { 0 };
	struct ax_result r;
	struct hl_market_view v;
	ax_quotes_begin(x, false, &q, 1, &r);
	assert_int_equal(r.status, HL_ENOTFOUND);
	q = ax_quote(1, "a", HL_MARKET_CENTS_MAX + 1);
	ax_quotes_begin(x, false, &q, 1, &r);
	assert_int_equal(r.status, HL_EINVAL);
	q = ax_quote(1, "no such form!", 1);
	ax_quotes_begin(x, false, &q, 1, &r);
	assert_int_equal(r.status, HL_EINVAL);
	ax_quotes_begin(x, false, &q, 0, &r);
	assert_int_equal(r.status, HL_EINVAL);
	assert_int_equal(hl_market_put_items(x->a, items, 2, ax_on_done, &r, &err), HL_EINVAL);
	assert_string_equal(err.field, "/1/name");
	assert_int_equal(hl_market_get(x->a, 50, &v), HL_ENOTFOUND); /* all or none */
	assert_int_equal(hl_market_put_rates(x->a, twice, 2, 0, ax_on_done, &r, &err), HL_EDUPLICATE);
	assert_true(hl_market_knows_currency(x->a, HL_STR("USD")) && hl_market_knows_currency(x->a, HL_STR("EUR")));
	assert_false(hl_market_knows_currency(x->a, HL_STR("GBP")) || hl_market_knows_currency(x->a, HL_STR("eur")));
}

/* ---- lists -------------------------------------------------------------------------------------------------------- */

struct page {
	int status;
	bool called;
	size_t n;
	uint64_t numbers[250];
	struct hl_page_info info;
};

static void on_page(void *data, int status, const struct hl_alert *v, size_t n, const struct hl_page_info *info)
{
	struct page *p = data;
	p->called = true;
	p->status = status;
	p->n = n;
	for (size_t i = 0; i < n; i++)
		p->numbers[i] = v[i].number;
	if (info)
		p->info = *info;
}

static struct page list(struct ax *x, uint32_t account, int dialect, const char *search, uint32_t offset, uint32_t limit)
{
	struct page p = { 0 };
	const struct hl_alert_query q = { .account = account, .dialect = dialect, .search = hl_str_from(search),
		.page = { .offset = offset, .limit = limit, .want_total = true } };
	assert_int_equal(hl_alert_list(x->a, &q, on_page, &p), 0);
	fx_pump(&x->f);
	assert_true(p.called && p.status == 0);
	return p;
}

static void test_list(void **state)
{
	struct ax *x = *state;
	struct ax_result r;
	uint64_t first = 0;
	ax_items(x, 10, 30);
	for (uint64_t i = 0; i < 120; i++) {
		struct hl_alert v = ax_alert(HL_ALERT_PRICE_ABOVE, 10 + i % 30, USD_20, "USD");
		v.dialect = i % 2 ? HL_DIALECT_CS2CAP : HL_DIALECT_HOOKLINE;
		v.account = i % 3 ? 1 : 2;
		ax_rule_begin(x, &v, NULL, &r);
		fx_pump(&x->f);
		assert_int_equal(r.status, 0);
		first = first ? first : r.alert.number;
	}
	struct page p = list(x, 1, -1, "", 0, 50);
	assert_true(p.n == 50 && p.info.total == 80 && p.info.has_older && !p.info.has_newer);
	assert_int_equal(p.numbers[0], first + 119);
	assert_int_equal(p.numbers[1], first + 118);
	p = list(x, 1, HL_DIALECT_CS2CAP, "", 30, 50);
	assert_true(p.n == 10 && p.info.total == 40 && !p.info.has_older && p.info.has_newer);
	p = list(x, 1, -1, "", 500, 50);
	assert_true(p.n == 0 && p.info.total == 80);
	p = list(x, 1, -1, "14", 0, 50); /* the id, and names with 14 in them: item 14 twice over */
	assert_int_equal(p.info.total, 4);
	p = list(x, 1, -1, "REDLINE 3", 0, 50);
	assert_int_equal(p.info.total, p.n);
	assert_true(p.n > 10);
	p = list(x, 1, -1, "nothing like it", 0, 50);
	assert_int_equal(p.info.total, 0);
	/* foreign ones are not there */
	struct hl_alert v;
	assert_int_equal(hl_alert_get(x->a, 1, -1, first, &v), HL_ENOTFOUND);
	assert_int_equal(hl_alert_get(x->a, 2, HL_DIALECT_CS2CAP, first, &v), HL_ENOTFOUND);
	assert_int_equal(hl_alert_get(x->a, 2, HL_DIALECT_HOOKLINE, first, &v), 0);
	assert_true(hl_str_eq(v.item.name, HL_STR("AK-47 | Redline 10")));
	assert_int_equal(hl_alert_delete(x->a, 1, -1, first, ax_on_alert, &r, NULL), HL_ENOTFOUND);
	assert_int_equal(hl_alert_update(x->a, 2, HL_DIALECT_CS2CAP, first, HL_ALF_ENABLED, &v, NULL, ax_on_alert, &r, NULL),
			HL_ENOTFOUND);
}

static void on_page_events(void *data, int status, const struct hl_alert_event *v, size_t n, const struct hl_page_info *info)
{
	struct page *p = data;
	p->called = true;
	p->status = status;
	p->n = n;
	for (size_t i = 0; i < n; i++)
		p->numbers[i] = v[i].event;
	if (info)
		p->info = *info;
	if (n) {
		assert_true(hl_str_eq(v[0].item.name, HL_STR("AK-47 | Redline 1")));
		assert_true(hl_str_eq(v[0].reason, HL_STR("Best ask 15.00 USD is at or below 20.00 USD")));
	}
}

static void test_events(void **state)
{
	struct ax *x = *state;
	struct page p = { 0 };
	struct ax_result r;
	uint64_t n = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, USD_20, "USD"), other = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	ax_ask(x, 1, "a", 1500);
	for (unsigned i = 0; i < 9; i++)
		ax_enable(x, n, true);
	const struct hl_alert_event_query q = { .account = 1, .dialect = HL_DIALECT_HOOKLINE, .alert = n,
		.page = { .limit = 4, .offset = 3, .want_total = true } };
	assert_int_equal(hl_alert_event_list(x->a, &q, on_page_events, &p), 0);
	fx_pump(&x->f);
	assert_true(p.called && p.status == 0 && p.n == 4 && p.info.total == 10 && p.numbers[0] > p.numbers[3]);
	ax_delete_begin(x, n, &r); /* what it fired stays */
	fx_pump(&x->f);
	assert_int_equal(ax_events_of(x, n), 10);
	assert_int_equal(ax_events_of(x, other), 1);
	assert_int_equal(ax_events(x), 11);
	struct hl_alert_event_query foreign = q;
	foreign.dialect = HL_DIALECT_CS2CAP;
	memset(&p, 0, sizeof(p));
	assert_int_equal(hl_alert_event_list(x->a, &foreign, on_page_events, &p), 0);
	fx_pump(&x->f);
	assert_true(p.n == 0 && p.info.total == 0);
}

/* ---- the rest ----------------------------------------------------------------------------------------------------- */

static struct hl_str render(void *data, const void *object, struct hl_str secret)
{
	static char text[64];
	const struct hl_alert *v = object;
	(void)data;
	(void)secret;
	snprintf(text, sizeof(text), "alert %llu %s", (unsigned long long)v->number, v->id[0] ? "with an id" : "");
	return hl_str_from(text);
}

static void test_idempotency(void **state)
{
	struct ax *x = *state;
	struct hl_idempotency idem = { .scope = HL_STR("POST"), .key = HL_STR("k"), .fingerprint = { 1 }, .render = render };
	struct hl_alert v = ax_alert(HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	const struct hl_alert_gate nothing = { 0 };
	struct ax_result a = { 0 }, b = { 0 }, c = { 0 };
	assert_int_equal(hl_alert_create(x->a, &v, NULL, &idem, ax_on_alert, &a, NULL), 0);
	assert_int_equal(hl_alert_create(x->a, &v, &nothing, &idem, ax_on_alert, &b, NULL), 0);
	idem.fingerprint[0] = 2;
	assert_int_equal(hl_alert_create(x->a, &v, NULL, &idem, ax_on_alert, &c, NULL), 0);
	fx_pump(&x->f);
	char expected[64];
	snprintf(expected, sizeof(expected), "alert %llu with an id", (unsigned long long)a.alert.number);
	assert_true(a.status == 0 && !a.replayed);
	assert_true(b.status == 0 && b.replayed);
	assert_string_equal(b.answer, expected);
	assert_int_equal(c.status, HL_EMISMATCH);
	assert_int_equal(list(x, 1, -1, "", 0, 10).n, 1);
	ax_ask(x, 1, "a", 1500);
	assert_int_equal(ax_events(x), 1);
}

/* What fired is kept as long as its event. */
static void test_retention(void **state)
{
	struct ax *x = *state;
	struct hl_event ev;
	struct hl_alert_event e;
	uint64_t n = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	ax_ask(x, 1, "a", 1500);
	assert_int_equal(ax_list_events(x, n, &e, 1), 1);
	fx_advance(&x->f, 20LL * DAY_MS);
	assert_int_equal(ax_events(x), 1);
	fx_advance(&x->f, 12LL * DAY_MS);
	assert_int_equal(hl_event_get(x->f.d, HL_ACCOUNT_DEFAULT, e.event, &ev), HL_ENOTFOUND);
	assert_int_equal(ax_events(x), 0);
	assert_false(ax_get(x, n).enabled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_checkpoint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checkpoint_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idempotency, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retention, setup, teardown),
	};
	return cmocka_run_group_tests_name("alerts: store", tests, NULL, NULL);
}
