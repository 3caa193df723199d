/* Reading events. */
#include "fixture.h"

#include "dispatch/listing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define A HL_ACCOUNT_DEFAULT
#define URL "https://a.example/hook"

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

struct page {
	bool called;
	int status;
	size_t n;
	uint64_t numbers[HL_PAGE_MAX];
	char data[HL_PAGE_MAX][32];
	struct hl_page_info info;
};

static void on_page(void *data, int status, const struct hl_event *v, size_t n, const struct hl_page_info *info)
{
	struct page *p = data;
	assert_false(p->called);
	p->called = true;
	p->status = status;
	p->n = n;
	for (size_t i = 0; i < n; i++) {
		p->numbers[i] = v[i].number;
		snprintf(p->data[i], sizeof(p->data[i]), "%.*s", HL_FMT(v[i].data));
	}
	if (info)
		p->info = *info;
}

static struct page *list(struct fx *f, struct hl_event_query q)
{
	static struct page p;
	memset(&p, 0, sizeof(p));
	assert_int_equal(hl_event_list(f->d, &q, on_page, &p), 0);
	assert_false(p.called);
	fx_pump(f);
	assert_true(p.called);
	assert_int_equal(p.status, 0);
	return &p;
}

static void listing_of_events(void **state)
{
	struct fx *f = *state;
	hl_ms_t t0 = fx_now(f);
	char data[16];
	for (int i = 0; i < 6; i++) {
		snprintf(data, sizeof(data), "{\"n\":%d}", i);
		fx_publish(f, i % 2 ? "odd" : "even", data);
		if (i == 2)
			fx_advance(f, 5000); /* indexed */
	}
	fx_publish_as(f, 2, &(struct hl_publish){ .type = HL_STR("odd"), .data = HL_STR("{}") });
	struct hl_event_query q = { .account = A, .page = { .limit = 4, .want_total = true } };
	struct page *p = list(f, q);
	assert_int_equal(p->n, 4);
	assert_int_equal(p->info.total, 6);
	assert_true(p->info.has_older);
	assert_false(p->info.has_newer);
	assert_string_equal(p->data[0], "{\"n\":5}");
	q.page.before = p->numbers[3];
	p = list(f, q);
	assert_int_equal(p->n, 2);
	assert_true(p->info.has_newer);
	assert_false(p->info.has_older);
	assert_string_equal(p->data[1], "{\"n\":0}");
	q.page.after = p->numbers[0];
	q.page.before = 0;
	p = list(f, q);
	assert_int_equal(p->n, 4);
	assert_string_equal(p->data[0], "{\"n\":5}");
	q = (struct hl_event_query){ .account = A, .type = HL_STR("odd"), .page = { .limit = 2, .want_total = true } };
	p = list(f, q);
	assert_int_equal(p->n, 2);
	assert_int_equal(p->info.total, 3);
	assert_true(p->info.has_older);
	q = (struct hl_event_query){ .account = A, .since_ms = t0 + 1, .page = { .limit = 10, .want_total = true } };
	p = list(f, q);
	assert_int_equal(p->n, 3);
	assert_int_equal(p->info.total, 3);
	q = (struct hl_event_query){ .account = A, .until_ms = t0 + 1, .page = { .limit = 10, .after = 1 } };
	p = list(f, q);
	assert_int_equal(p->n, 2);
	q = (struct hl_event_query){ .account = 3, .page = { .limit = 10, .want_total = true } };
	p = list(f, q);
	assert_int_equal(p->n, 0);
	assert_int_equal(p->info.total, 0);
	q.page.limit = 0;
	assert_int_equal(hl_event_list(f->d, &q, on_page, p), HL_EINVAL);
}

static void one_event(void **state)
{
	struct fx *f = *state;
	struct hl_event e;
	struct fx_result r = fx_publish_as(f, A, &(struct hl_publish){ .type = HL_STR("a"), .data = HL_STR("{\"n\":1.50}"),
							.external_id = HL_STR("x-1"), .server = 9 });
	assert_int_equal(hl_event_get(f->d, A, r.number, &e), 0);
	assert_true(hl_str_eq(e.data, HL_STR("{\"n\":1.50}")));
	assert_true(hl_str_eq(e.external_id, HL_STR("x-1")));
	assert_int_equal(e.server, 9);
	assert_int_equal(e.created_at_ms, fx_now(f));
	uint64_t number;
	assert_int_equal(hl_id_parse(f->d, HL_ID_EVENT, hl_str_from(e.id), &number), 0);
	assert_int_equal(number, r.number);
	assert_int_equal(hl_event_get(f->d, 2, r.number, &e), HL_ENOTFOUND);
	assert_int_equal(hl_event_get(f->d, A, r.number + 1, &e), HL_ENOTFOUND);
}

static void summary_holds_replays_too(void **state)
{
	struct fx *f = *state;
	fx_webhook(f, URL);
	fx_webhook(f, "https://bad.example/");
	fx_script(f, "https://bad.example/", &(struct fx_answer){ .status = 400 });
	uint64_t event = fx_publish(f, "a", "{}");
	uint64_t sum[HL_DELIVERY_STATE_N];
	assert_int_equal(hl_event_summary(f->d, A, event, sum), 0);
	assert_int_equal(sum[HL_DELIVERY_PENDING], 2);
	fx_advance(f, 100);
	assert_int_equal(hl_event_summary(f->d, A, event, sum), 0);
	assert_int_equal(sum[HL_DELIVERY_SUCCEEDED], 1);
	assert_int_equal(sum[HL_DELIVERY_FAILED], 1);
	struct fx_result r = { 0 };
	struct hl_replay replay = { .event = event };
	assert_int_equal(hl_event_replay(f->d, A, &replay, fx_on_publish, &r, NULL), 0);
	fx_advance(f, 100);
	assert_int_equal(r.n_deliveries, 2);
	assert_int_equal(hl_event_summary(f->d, A, event, sum), 0);
	assert_int_equal(sum[HL_DELIVERY_SUCCEEDED], 2);
	assert_int_equal(sum[HL_DELIVERY_FAILED], 2);
	assert_int_equal(hl_event_summary(f->d, 2, event, sum), HL_ENOTFOUND);
}

/* ---- publishing ---- */

struct promise {
	int calls;
	uint64_t event;
	uint32_t n_deliveries;
	char id[HL_ID_CAP];
};

static struct hl_str render(void *data, const void *object, struct hl_str secret)
{
	struct promise *p = data;
	const struct hl_published *v = object;
	(void)secret;
	p->calls++;
	p->event = v->event;
	p->n_deliveries = v->n_deliveries;
	memcpy(p->id, v->event_id, sizeof(p->id));
	return hl_str_from(p->id);
}

/* A webhook that is made while an event is on its way gets the event, which has another number for that: the answer kept for its
 * Idempotency-Key speaks of the event as it was stored. */
static void the_kept_answer_is_of_what_was_stored(void **state)
{
	struct fx *f = *state;
	struct promise first = { 0 };
	struct hl_idempotency idem = { .scope = HL_STR("POST /v1/events"), .key = HL_STR("k"), .render = render, .data = &first };
	struct hl_publish p = { .type = HL_STR("t"), .data = HL_STR("1"), .idempotency = &idem };
	struct hl_webhook w = { .account = A, .url = HL_STR("https://b.example/") };
	struct fx_result made = { 0 }, r[2] = { 0 };
	fx_webhook(f, URL);
	assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 0, NULL, fx_on_webhook, &made, NULL), 0);
	assert_int_equal(hl_publish(f->d, A, &p, fx_on_publish, &r[0], NULL), 0);
	fx_pump(f);
	assert_int_equal(made.status, 0);
	assert_int_equal(r[0].status, 0);
	assert_int_equal(r[0].n_deliveries, 2);
	assert_int_equal(first.calls, 2);
	assert_int_equal(first.event, r[0].number);
	assert_int_equal(first.n_deliveries, 2);
	assert_int_equal(hl_publish(f->d, A, &p, fx_on_publish, &r[1], NULL), 0);
	fx_pump(f);
	assert_true(r[1].replayed);
	assert_string_equal(r[1].answer, fx_header(&f->requests[0], "webhook-id"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { T(listing_of_events), T(one_event), T(summary_holds_replays_too),
		T(the_kept_answer_is_of_what_was_stored) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
