/* Reading deliveries: pages, filters, totals, bodies; what a deletion hides. */
#include "fixture.h"

#include "dispatch/engine.h"

#include "dispatch/listing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define A HL_ACCOUNT_DEFAULT
#define URL "https://a.example/hook"
#define OTHER "https://b.example/hook"

static int setup(void **state)
{
	struct fx *f = calloc(1, sizeof(*f));
	fx_init(f);
	fx_open(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fx *f = *state;
	fx_fini(f);
	free(f);
	return 0;
}

/* ---- listing ---- */

struct page {
	bool called;
	int status;
	size_t n;
	struct hl_delivery v[HL_PAGE_MAX]; /* texts copied */
	char types[HL_PAGE_MAX][32];
	struct hl_page_info info;
};

static void on_page(void *data, int status, const struct hl_delivery *v, size_t n, const struct hl_page_info *info)
{
	struct page *p = data;
	assert_false(p->called);
	p->called = true;
	p->status = status;
	p->n = n;
	for (size_t i = 0; i < n; i++) {
		p->v[i] = v[i];
		snprintf(p->types[i], sizeof(p->types[i]), "%.*s", HL_FMT(v[i].event_type));
	}
	if (info)
		p->info = *info;
}

/* Every field of the query but these is 0 = all. */
static struct hl_delivery_query query(void)
{
	return (struct hl_delivery_query){ .account = A, .dialect = -1, .state = -1, .page = { .limit = HL_PAGE_MAX } };
}

static struct page *list(struct fx *f, struct hl_delivery_query q)
{
	static struct page p;
	memset(&p, 0, sizeof(p));
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, &p), 0);
	assert_false(p.called);
	while (!p.called)
		assert_true(fx_turn(f));
	assert_int_equal(p.status, 0);
	for (size_t i = 1; i < p.n; i++)
		assert_true(p.v[i - 1].number > p.v[i].number);
	return &p;
}

static void index_now(struct fx *f)
{
	fx_advance(f, 5000);
}

static void pages_go_both_ways(void **state)
{
	struct fx *f = *state;
	fx_webhook(f, URL);
	for (int i = 0; i < 10; i++) {
		fx_publish(f, "a", "{}");
		if (i == 4)
			index_now(f); /* the page spans index and tail */
	}
	struct page *p = list(f, query());
	assert_int_equal(p->n, 10);
	assert_false(p->info.has_newer);
	assert_false(p->info.has_older);
	uint64_t newest = p->v[0].number;
	struct hl_delivery_query q = query();
	q.page.limit = 4;
	p = list(f, q);
	assert_int_equal(p->n, 4);
	assert_int_equal(p->v[0].number, newest);
	assert_true(p->info.has_older);
	assert_false(p->info.has_newer);
	q.page.before = p->v[3].number;
	p = list(f, q);
	assert_int_equal(p->v[0].number, newest - 4);
	assert_true(p->info.has_older && p->info.has_newer);
	q.page.before = p->v[3].number;
	p = list(f, q);
	assert_int_equal(p->n, 2);
	assert_false(p->info.has_older);
	assert_true(p->info.has_newer);
	q.page.after = p->v[0].number;
	q.page.before = 0;
	p = list(f, q);
	assert_int_equal(p->n, 4);
	assert_int_equal(p->v[0].number, newest - 4);
	assert_true(p->info.has_older && p->info.has_newer);
	q.page.after = p->v[0].number;
	p = list(f, q);
	assert_int_equal(p->v[0].number, newest);
	assert_true(p->info.has_older);
	assert_false(p->info.has_newer);
	q.page.after = newest;
	p = list(f, q);
	assert_int_equal(p->n, 0);
	assert_true(p->info.has_older);
	assert_false(p->info.has_newer);
}

static void offset_and_total(void **state)
{
	struct fx *f = *state;
	fx_webhook(f, URL);
	for (int i = 0; i < 10; i++)
		fx_publish(f, i % 2 ? "odd" : "even", "{}");
	struct hl_delivery_query q = query();
	q.page = (struct hl_page){ .limit = 3, .offset = 8, .want_total = true };
	struct page *p = list(f, q);
	assert_int_equal(p->n, 2);
	assert_int_equal(p->info.total, 10);
	assert_true(p->info.has_newer);
	assert_false(p->info.has_older);
	q.type = HL_STR("odd"); /* no counter knows */
	q.page.offset = 1;
	p = list(f, q);
	assert_int_equal(p->n, 3);
	assert_int_equal(p->info.total, 5);
	assert_string_equal(p->types[0], "odd");
	q.page.offset = 50;
	p = list(f, q);
	assert_int_equal(p->n, 0);
	assert_int_equal(p->info.total, 5);
}

static void filters(void **state)
{
	struct fx *f = *state;
	uint32_t w = fx_webhook(f, URL);
	uint32_t other = fx_webhook_make(f, &(struct hl_webhook){ .url = HL_STR(OTHER), .dialect = HL_DIALECT_CS2CAP });
	fx_webhook_make(f, &(struct hl_webhook){ .account = 2, .url = HL_STR("https://c.example/") });
	struct fx_result done = { 0 };
	struct hl_event_type type = { .name = HL_STR("a") };
	type.dialect_categories[HL_DIALECT_CS2CAP] = HL_STR("x");
	assert_int_equal(hl_event_type_put(f->d, &type, fx_on_done, &done, NULL), 0);
	fx_pump(f);
	fx_script(f, OTHER, &(struct fx_answer){ .status = 400 });
	hl_ms_t t0 = fx_now(f);
	uint64_t first = fx_publish(f, "a", "{}");
	fx_publish_as(f, 2, &(struct hl_publish){ .type = HL_STR("a"), .data = HL_STR("{}") });
	fx_advance(f, 10000);
	fx_publish(f, "a", "{}");
	fx_advance(f, 1);
	struct hl_delivery_query q = query();
	assert_int_equal(list(f, q)->n, 4);
	q.webhook = other;
	struct page *p = list(f, q);
	assert_int_equal(p->n, 2);
	assert_int_equal(p->v[0].dialect, HL_DIALECT_CS2CAP);
	q = query();
	q.dialect = HL_DIALECT_CS2CAP;
	q.page.want_total = true;
	p = list(f, q);
	assert_int_equal(p->n, 2);
	assert_int_equal(p->info.total, 2);
	q.dialect = -1;
	q.state = HL_DELIVERY_FAILED;
	p = list(f, q);
	assert_int_equal(p->n, 2);
	assert_int_equal(p->info.total, 2);
	assert_int_equal(p->v[0].webhook, other);
	assert_int_equal(p->v[0].last_http_status, 400);
	q = query();
	q.event = first;
	p = list(f, q);
	assert_int_equal(p->n, 2);
	assert_int_equal(p->v[0].event, first);
	q.webhook = w;
	assert_int_equal(list(f, q)->n, 1);
	q = query();
	q.since_ms = t0 + 1;
	assert_int_equal(list(f, q)->n, 2);
	q.since_ms = t0;
	q.until_ms = t0 + 1;
	assert_int_equal(list(f, q)->n, 2);
	q.account = 2;
	assert_int_equal(list(f, q)->n, 1);
	q.account = 3;
	assert_int_equal(list(f, q)->n, 0);
}

static void bad_queries_are_refused(void **state)
{
	struct fx *f = *state;
	struct hl_delivery_query q = query();
	q.page.limit = 0;
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, NULL), HL_EINVAL);
	q.page.limit = 251;
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, NULL), HL_EINVAL);
	q = query();
	q.state = HL_DELIVERY_STATE_N;
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, NULL), HL_EINVAL);
	q = query();
	q.account = 0;
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, NULL), HL_EINVAL);
}

/* A page far down is found in slices: several turns pass, and two such walks share them. */
static void long_walks_are_cut(void **state)
{
	struct fx *f = *state;
	for (int i = 0; i < 200; i++)
		fx_webhook_make(f, &(struct hl_webhook){ .url = HL_STR(URL) });
	fx_publish(f, "needle", "{}");
	fx_advance(f, 10);
	struct hl_publish p = { .type = HL_STR("hay"), .data = HL_STR("{}") };
	struct fx_result results[150];
	for (int i = 0; i < 150; i++)
		fx_publish_begin(f, A, &p, &results[i]);
	fx_advance(f, 60000);
	struct hl_delivery_query q = query();
	q.type = HL_STR("needle");
	q.page.want_total = true;
	static struct page one, two;
	memset(&one, 0, sizeof(one));
	memset(&two, 0, sizeof(two));
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, &one), 0);
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, &two), 0);
	unsigned turns = 0;
	while (!one.called || !two.called) {
		assert_true(fx_turn(f));
		turns++;
	}
	assert_in_range(turns, 6, 60);
	assert_int_equal(one.n, 200);
	assert_int_equal(one.info.total, 200);
	assert_int_equal(two.n, 200);
	assert_string_equal(one.types[0], "needle");
	/* closing in the middle */
	memset(&one, 0, sizeof(one));
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, &one), 0);
	assert_true(fx_turn(f));
	assert_false(one.called);
	fx_close(f);
	assert_true(one.called);
	assert_int_equal(one.status, HL_ECANCELED);
}

/* A walk that never finds an end. */
struct endless {
	struct hl_long_walk walk;
	size_t steps, entries;
	bool over;
};

static bool endless_step(struct hl_long_walk *w, size_t max_steps, int status)
{
	struct endless *e = HL_CONTAINER_OF(w, struct endless, walk);
	e->over = status != 0;
	e->steps++;
	e->entries += max_steps;
	return !e->over;
}

static void walks_share_a_turn_fairly(void **state)
{
	struct fx *f = *state;
	static struct endless v[50];
	memset(v, 0, sizeof(v));
	for (size_t i = 0; i < HL_ARRAY_LEN(v); i++) {
		v[i].walk.step = endless_step;
		assert_int_equal(hl_walks_begin(f->d, &v[i].walk), 0);
	}
	size_t before = 0;
	for (int turn = 1; turn <= 5; turn++) {
		size_t entries = 0;
		fx_turn(f);
		for (size_t i = 0; i < HL_ARRAY_LEN(v); i++)
			entries += v[i].entries;
		assert_in_range(entries - before, 1, HL_SCAN_STEPS);
		before = entries;
	}
	for (size_t i = 0; i < HL_ARRAY_LEN(v); i++)
		assert_int_equal(v[i].steps, 2); /* five turns of twenty slices for fifty walks */
	fx_close(f);
	for (size_t i = 0; i < HL_ARRAY_LEN(v); i++)
		assert_true(v[i].over);
	fx_open(f);
}

/* ---- one ---- */

static void get_and_attempts(void **state)
{
	struct fx *f = *state;
	uint32_t w = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 503, .body = "later", .times = 2 });
	uint64_t event = fx_publish(f, "order.created", "{}");
	fx_advance(f, 60000);
	struct hl_delivery v;
	uint64_t number = list(f, query())->v[0].number, parsed;
	assert_int_equal(hl_delivery_get(f->d, A, number, &v), 0);
	assert_int_equal(v.state, HL_DELIVERY_SUCCEEDED);
	assert_int_equal(v.n_attempts, 3);
	assert_int_equal(v.event, event);
	assert_int_equal(v.webhook, w);
	assert_int_equal(v.window_until_ms - v.window_from_ms, 48 * 3600 * 1000);
	assert_int_equal(v.next_at_ms, 0);
	assert_int_equal(hl_id_parse(f->d, HL_ID_DELIVERY, hl_str_from(v.id), &parsed), 0);
	assert_int_equal(parsed, number);
	const struct hl_attempt *a;
	size_t n;
	assert_int_equal(hl_delivery_attempts(f->d, A, number, &a, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(a[0].number, 1);
	assert_int_equal(a[0].http_status, 503);
	assert_true(hl_str_eq(a[0].response_body, HL_STR("later")));
	assert_int_equal(a[0].trigger, HL_TRIGGER_PUBLISH);
	assert_int_equal(a[1].trigger, HL_TRIGGER_RETRY);
	assert_true(a[2].succeeded);
	assert_int_equal(hl_delivery_get(f->d, 2, number, &v), HL_ENOTFOUND);
	assert_int_equal(hl_delivery_get(f->d, A, number + 1, &v), HL_ENOTFOUND);
	assert_int_equal(hl_delivery_attempts(f->d, 2, number, &a, &n), HL_ENOTFOUND);
}

static void body_is_built_again(void **state)
{
	struct fx *f = *state;
	uint32_t w = fx_webhook(f, URL);
	fx_publish(f, "order.created", "{\"n\":1.0}");
	struct hl_str body;
	uint64_t number = list(f, query())->v[0].number;
	fx_advance(f, 10);
	assert_int_equal(hl_delivery_body(f->d, A, number, &body), 0);
	assert_true(hl_str_eq(body, hl_str_from(f->requests[0].body)));
	/* as it was when it was sent, whatever the webhook became */
	struct fx_result r = { 0 };
	struct hl_webhook v = { .format = HL_FORMAT_DISCORD };
	assert_int_equal(hl_webhook_update(f->d, A, w, HL_WF_FORMAT, &v, fx_on_webhook, &r, NULL), 0);
	fx_pump(f);
	assert_int_equal(hl_delivery_body(f->d, A, number, &body), 0);
	assert_true(hl_str_eq(body, hl_str_from(f->requests[0].body)));
	struct fx_result del = { 0 };
	assert_int_equal(hl_webhook_delete(f->d, A, w, false, fx_on_webhook, &del, NULL), 0);
	fx_pump(f);
	assert_int_equal(hl_delivery_body(f->d, A, number, &body), 0);
	assert_true(hl_str_eq(body, hl_str_from(f->requests[0].body)));
	assert_int_equal(hl_delivery_body(f->d, 2, number, &body), HL_ENOTFOUND);
}

/* What a receiver of people's messages was told, as its dialect's plain event. */
static void payload_is_the_event_whatever_the_format(void **state)
{
	struct fx *f = *state;
	fx_webhook_make(f, &(struct hl_webhook){ .url = HL_STR(URL), .format = HL_FORMAT_DISCORD });
	fx_publish(f, "order.created", "{\"n\":1.0}");
	struct hl_str payload, body;
	uint64_t number = list(f, query())->v[0].number;
	assert_int_equal(hl_delivery_body(f->d, A, number, &body), 0);
	assert_true(hl_str_starts(body, HL_STR("{\"embeds\":")));
	assert_int_equal(hl_delivery_payload(f->d, A, number, &payload), 0);
	assert_true(hl_str_starts(payload, HL_STR("{\"id\":\"")));
	assert_true(hl_str_contains(payload, HL_STR(",\"type\":\"order.created\"")));
	assert_true(hl_str_contains(payload, HL_STR(",\"data\":{\"n\":1.0}}")));
	assert_int_equal(hl_delivery_payload(f->d, 2, number, &payload), HL_ENOTFOUND);
}

/* ---- deletions under way ---- */

/* The delete is durable, its job has not begun. */
static void delete_only(struct fx *f, uint32_t webhook, bool drop)
{
	struct fx_result del = { 0 };
	assert_int_equal(hl_webhook_delete(f->d, A, webhook, drop, fx_on_webhook, &del, NULL), 0);
	f->soon = false;
	f->alarm_mono_ms = INT64_MAX;
	while (!del.called)
		assert_true(hl_engine_step(f->d));
	assert_int_equal(del.status, 0);
	hl_engine_turn_end(f->d);
}

static void deleted_pending_ones_are_cancelled_already(void **state)
{
	struct fx *f = *state;
	uint32_t w = fx_webhook(f, URL);
	fx_webhook(f, OTHER);
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	uint64_t event = fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	struct hl_delivery_query q = query();
	q.webhook = w;
	uint64_t number = list(f, q)->v[0].number;
	fx_advance(f, 2000); /* indexed */
	delete_only(f, w, false);
	struct hl_delivery v = fx_delivery(f, number);
	assert_int_equal(v.state, HL_DELIVERY_CANCELLED);
	assert_int_equal(v.last_class, HL_CLASS_DELETED);
	assert_int_equal(v.completed_at_ms, fx_now(f));
	assert_int_equal(v.next_at_ms, 0);
	uint64_t sum[HL_DELIVERY_STATE_N];
	assert_int_equal(hl_event_summary(f->d, A, event, sum), 0);
	assert_int_equal(sum[HL_DELIVERY_CANCELLED], 1);
	assert_int_equal(sum[HL_DELIVERY_SUCCEEDED], 1);
	struct fx_result r = { 0 };
	assert_int_equal(hl_delivery_retry(f->d, A, number, fx_on_delivery, &r, NULL), 0);
	static struct page pending, cancelled;
	memset(&pending, 0, sizeof(pending));
	memset(&cancelled, 0, sizeof(cancelled));
	q = query();
	q.state = HL_DELIVERY_PENDING;
	q.page.want_total = true;
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, &pending), 0);
	q.state = HL_DELIVERY_CANCELLED;
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, &cancelled), 0);
	hl_walks_tick(f->d);
	assert_int_equal(pending.n, 0);
	assert_int_equal(pending.info.total, 0);
	assert_int_equal(cancelled.n, 1);
	assert_int_equal(cancelled.info.total, 1);
	hl_engine_turn_end(f->d);
	fx_pump(f); /* now the job runs */
	assert_int_equal(r.status, HL_ECONFLICT);
	assert_int_equal(fx_delivery(f, number).state, HL_DELIVERY_CANCELLED);
	assert_int_equal(fx_delivery(f, number).last_class, HL_CLASS_DELETED);
	assert_int_equal(list(f, q)->n, 1);
	struct hl_counts counts;
	hl_counts_get(hl_core_read(f->d), w, &counts);
	assert_int_equal(counts.by_state[HL_DELIVERY_PENDING], 0);
	assert_int_equal(counts.by_state[HL_DELIVERY_CANCELLED], 1);
}

static void dropped_ones_are_gone_already(void **state)
{
	struct fx *f = *state;
	uint32_t w = fx_webhook(f, URL);
	uint64_t event = fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	uint64_t number = list(f, query())->v[0].number;
	delete_only(f, w, true);
	struct hl_delivery v;
	uint64_t sum[HL_DELIVERY_STATE_N];
	assert_int_equal(hl_delivery_get(f->d, A, number, &v), HL_ENOTFOUND);
	assert_int_equal(hl_event_summary(f->d, A, event, sum), 0);
	assert_int_equal(sum[HL_DELIVERY_SUCCEEDED], 0);
	static struct page p;
	memset(&p, 0, sizeof(p));
	struct hl_delivery_query q = query();
	q.page.want_total = true;
	assert_int_equal(hl_delivery_list(f->d, &q, on_page, &p), 0);
	hl_walks_tick(f->d);
	assert_int_equal(p.n, 0);
	assert_int_equal(p.info.total, 0);
	hl_engine_turn_end(f->d);
	fx_pump(f);
	assert_int_equal(list(f, q)->n, 0);
	assert_int_equal(list(f, q)->info.total, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(pages_go_both_ways), T(offset_and_total), T(filters), T(bad_queries_are_refused), T(long_walks_are_cut),
		T(walks_share_a_turn_fairly),
		T(get_and_attempts), T(body_is_built_again), T(payload_is_the_event_whatever_the_format),
		T(deleted_pending_ones_are_cancelled_already),
		T(dropped_ones_are_gone_already),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
