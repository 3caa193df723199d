/* Webhooks through the public calls: what is checked, what is stored, what the engine does about it. */
#include "fixture.h"

#include "dispatch/janitor.h"
#include "dispatch/sign.h"
#include "net/egress.h"

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

static struct hl_webhook get(struct fx *f, uint32_t number)
{
	struct hl_webhook w;
	assert_int_equal(hl_webhook_get(f->d, A, number, true, &w), 0);
	return w;
}

static void assert_str(struct hl_str s, const char *expected)
{
	char text[512];
	snprintf(text, sizeof(text), "%.*s", HL_FMT(s));
	assert_string_equal(text, expected);
}

/* ---- create ---- */

static void create_keeps_what_it_was_given(void **state)
{
	struct fx *f = *state;
	struct hl_str types[] = { HL_STR("order.created"), HL_STR("order.paid") };
	struct hl_header headers[] = { { HL_STR("X-Env"), HL_STR("test") } };
	struct hl_webhook in = {
		.account = A, .name = HL_STR("Shop"), .description = HL_STR("about\norders"),
		.url = HL_STR("HTTPS://A.Example:443/hook?x=1"), .event_types = types, .n_event_types = 2, .headers = headers,
		.n_headers = 1, .server = 7, .timeout_ms = 3000, .rate_limit = 10, .max_in_flight = 3,
		.retry = { .kind = HL_RETRY_DELAYS, .n_delays = 2, .delays_s = { 5, 60 } }, .window_s = 3600,
		.metadata = HL_STR("{\"a\":1}"),
	};
	struct fx_result r = { 0 };
	assert_int_equal(hl_webhook_create(f->d, &in, HL_STR_NONE, 0, NULL, fx_on_webhook, &r, NULL), 0);
	assert_false(r.called);
	fx_pump(f);
	assert_true(r.called);
	assert_int_equal(r.status, 0);
	assert_int_equal(strlen(r.secret), HL_SECRET_GENERATED_LEN);
	struct hl_webhook w = get(f, (uint32_t)r.number);
	assert_str(w.url, "https://a.example/hook?x=1");
	assert_str(w.name, "Shop");
	assert_str(w.description, "about\norders");
	assert_str(w.metadata, "{\"a\":1}");
	assert_int_equal(w.n_event_types, 2);
	assert_str(w.event_types[1], "order.paid");
	assert_int_equal(w.n_headers, 1);
	assert_str(w.headers[0].value, "test");
	assert_int_equal(w.server, 7);
	assert_int_equal(w.timeout_ms, 3000);
	assert_int_equal(w.rate_limit, 10);
	assert_int_equal(w.max_in_flight, 3);
	assert_int_equal(w.retry.kind, HL_RETRY_DELAYS);
	assert_int_equal(w.retry.delays_s[1], 60);
	assert_int_equal(w.window_s, 3600);
	assert_int_equal(w.revision, 1);
	assert_int_equal(w.created_at_ms, fx_now(f));
	assert_string_equal(w.secret_last4, r.secret + strlen(r.secret) - 4);
	uint64_t number;
	assert_int_equal(hl_id_parse(f->d, HL_ID_WEBHOOK, hl_str_from(w.id), &number), 0);
	assert_int_equal(number, r.number);
}

static void create_names_a_nameless_one_after_its_host(void **state)
{
	struct fx *f = *state;
	struct hl_webhook w = get(f, fx_webhook(f, URL));
	assert_str(w.name, "a.example");
	assert_int_equal(w.state, HL_WEBHOOK_ENABLED);
}

static void create_refuses(void **state)
{
	struct fx *f = *state;
	struct hl_str bad_type[] = { HL_STR("no spaces") };
	const struct {
		struct hl_webhook w;
		const char *secret;
		int code;
		const char *field;
	} cases[] = {
		{ { .account = A, .url = HL_STR("") }, "", HL_EURL, "/url" },
		{ { .account = A, .url = HL_STR("ftp://a.example/") }, "", HL_EURL, "/url" },
		{ { .account = A, .url = HL_STR("https://127.1/") }, "", HL_EURL, "/url" },
		{ { .account = A, .url = HL_STR("http://a.example/"), .https_only = true }, "", HL_EURL, "/url" },
		{ { .account = 0, .url = HL_STR(URL) }, "", HL_EINVAL, "/account" },
		{ { .account = A, .url = HL_STR(URL), .state = HL_WEBHOOK_DISABLED }, "", HL_EINVAL, "/state" },
		{ { .account = A, .url = HL_STR(URL), .event_types = bad_type, .n_event_types = 1 }, "", HL_EINVAL,
			"/event_types/0" },
		{ { .account = A, .url = HL_STR(URL) }, "whsec_tooshort", HL_EINVAL, "/secret" },
		{ { .account = A, .url = HL_STR(URL), .format = HL_FORMAT_TELEGRAM }, "", HL_EINVAL, "/url" },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(cases); i++) {
		struct hl_err err = { 0 };
		struct fx_result r = { 0 };
		int rc = hl_webhook_create(f->d, &cases[i].w, hl_str_from(cases[i].secret), 0, NULL, fx_on_webhook, &r, &err);
		assert_int_equal(rc, cases[i].code);
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.field, cases[i].field);
		fx_pump(f);
		assert_false(r.called);
	}
	struct hl_account_stats s;
	assert_int_equal(hl_account_stats(f->d, A, &s), 0);
	assert_int_equal(s.webhooks, 0);
}

static void create_judges_the_address(void **state)
{
	struct fx *f = *state;
	struct hl_egress egress;
	struct hl_err err = { 0 };
	struct hl_webhook w = { .account = A, .url = HL_STR("https://10.0.0.1/") };
	assert_int_equal(hl_egress_init(&egress, &(struct hl_egress_options){ .allow_http = false }, &err), 0);
	f->d->egress = &egress;
	assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 0, NULL, fx_on_webhook, NULL, &err), HL_EBLOCKED);
	assert_string_equal(err.field, "/url");
	assert_true(err.text[0] != '\0');
	w.url = HL_STR("http://a.example/");
	assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 0, NULL, fx_on_webhook, NULL, &err), HL_EURL);
	w.url = HL_STR("https://a.example:22/");
	assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 0, NULL, fx_on_webhook, NULL, &err), HL_EURL);
	w.url = HL_STR("https://localhost/");
	assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 0, NULL, fx_on_webhook, NULL, &err), HL_EBLOCKED);
	uint32_t number = fx_webhook(f, URL);
	struct hl_webhook values = { .url = HL_STR("https://192.168.1.1/") };
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_URL, &values, fx_on_webhook, NULL, &err), HL_EBLOCKED);
	f->d->egress = NULL;
	hl_egress_fini(&egress);
}

static void create_counts_against_the_limit(void **state)
{
	struct fx *f = *state;
	struct hl_webhook w = { .account = A, .url = HL_STR(URL) };
	struct fx_result r[3] = { 0 };
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 2, NULL, fx_on_webhook, &r[i], NULL), 0);
	fx_pump(f);
	assert_int_equal(r[0].status, 0);
	assert_int_equal(r[1].status, 0);
	assert_int_equal(r[2].status, HL_ELIMIT);
	assert_int_equal(r[2].err.code, HL_ELIMIT);
	struct fx_result del = { 0 };
	assert_int_equal(hl_webhook_delete(f->d, A, (uint32_t)r[0].number, false, fx_on_webhook, &del, NULL), 0);
	fx_pump(f);
	struct fx_result again = { 0 };
	assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 2, NULL, fx_on_webhook, &again, NULL), 0);
	fx_pump(f);
	assert_int_equal(again.status, 0);
}

struct rendering {
	unsigned calls;
	uint32_t number;
	char text[128];
};

static struct hl_str render(void *data, const void *object, struct hl_str secret)
{
	struct rendering *r = data;
	const struct hl_webhook *w = object;
	r->calls++;
	r->number = w->number;
	assert_int_equal(strlen(w->id), HL_ID_LEN);
	assert_int_not_equal(w->created_at_ms, 0);
	snprintf(r->text, sizeof(r->text), "made %u with %.*s", w->number, HL_FMT(secret));
	return hl_str_from(r->text);
}

static void create_happens_once_per_key(void **state)
{
	struct fx *f = *state;
	struct hl_webhook w = { .account = A, .url = HL_STR(URL) };
	struct rendering first = { 0 }, second = { 0 };
	struct hl_idempotency idem = { .scope = HL_STR("POST /v1/webhooks"), .key = HL_STR("k1"), .render = render,
		.data = &first };
	struct fx_result r[3] = { 0 };
	assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 0, &idem, fx_on_webhook, &r[0], NULL), 0);
	assert_int_equal(first.calls, 1);
	fx_pump(f);
	assert_int_equal(r[0].status, 0);
	assert_false(r[0].replayed);
	assert_non_null(strstr(first.text, r[0].secret));
	idem.data = &second;
	assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 0, &idem, fx_on_webhook, &r[1], NULL), 0);
	fx_pump(f);
	assert_int_equal(r[1].status, 0);
	assert_true(r[1].replayed);
	assert_string_equal(r[1].answer, first.text);
	assert_string_equal(r[1].secret, "");
	idem.fingerprint[0] = 1;
	assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 0, &idem, fx_on_webhook, &r[2], NULL), 0);
	fx_pump(f);
	assert_int_equal(r[2].status, HL_EMISMATCH);
	struct hl_account_stats s;
	assert_int_equal(hl_account_stats(f->d, A, &s), 0);
	assert_int_equal(s.webhooks, 1);
}

static void created_ones_receive(void **state)
{
	struct fx *f = *state;
	fx_webhook(f, URL);
	fx_webhook_make(f, &(struct hl_webhook){ .url = HL_STR("https://paused.example/"), .state = HL_WEBHOOK_PAUSED });
	fx_webhook_make(f, &(struct hl_webhook){ .account = 2, .url = HL_STR("https://foreign.example/") });
	fx_publish(f, "order.created", "{\"n\":1}");
	fx_advance(f, 100);
	assert_int_equal(f->n_requests, 1);
	assert_string_equal(f->requests[0].url, URL);
	assert_non_null(strstr(f->requests[0].body, "\"data\":{\"n\":1}"));
	assert_true(fx_header(&f->requests[0], "webhook-signature")[0] != '\0');
}

/* ---- update ---- */

static void update_changes_what_is_named(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	fx_advance(f, 5000);
	struct hl_str types[] = { HL_STR("order.paid") };
	struct hl_webhook v = { .name = HL_STR("new"), .description = HL_STR("not named"), .event_types = types,
		.n_event_types = 1, .url = HL_STR("https://b.example") };
	struct fx_result r = { 0 };
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_NAME | HL_WF_URL | HL_WF_EVENT_TYPES, &v, fx_on_webhook, &r,
					 NULL), 0);
	fx_pump(f);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.secret, "");
	struct hl_webhook w = get(f, number);
	assert_str(w.name, "new");
	assert_str(w.description, "");
	assert_str(w.url, "https://b.example/");
	assert_int_equal(w.revision, 2);
	assert_int_equal(w.updated_at_ms, fx_now(f));
	assert_int_not_equal(w.created_at_ms, w.updated_at_ms);
	fx_publish(f, "order.created", "{}");
	fx_publish(f, "order.paid", "{}");
	fx_advance(f, 100);
	assert_int_equal(f->n_requests, 1);
	assert_string_equal(f->requests[0].url, "https://b.example/");
	struct hl_webhook old;
	assert_int_equal(hl_webhook_get_revision(f->d, A, number, 1, &old), 0);
	assert_str(old.url, URL);
	assert_string_equal(old.id, w.id);
	assert_int_equal(hl_webhook_get_revision(f->d, 2, number, 1, &old), HL_ENOTFOUND);
	assert_int_equal(hl_webhook_get_revision(f->d, A, number, 3, &old), HL_ENOTFOUND);
}

static void update_refuses(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	struct hl_webhook v = { .timeout_ms = HL_TIMEOUT_MAX_MS + 1, .state = HL_WEBHOOK_DISABLED, .url = HL_STR("x") };
	struct hl_err err = { 0 };
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_TIMEOUT, &v, fx_on_webhook, NULL, &err), HL_EINVAL);
	assert_string_equal(err.field, "/timeout");
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_STATE, &v, fx_on_webhook, NULL, &err), HL_EINVAL);
	assert_string_equal(err.field, "/reason");
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_URL, &v, fx_on_webhook, NULL, &err), HL_EURL);
	assert_int_equal(hl_webhook_update(f->d, 2, number, HL_WF_NAME, &v, fx_on_webhook, NULL, &err), HL_ENOTFOUND);
	assert_int_equal(hl_webhook_update(f->d, A, 99, HL_WF_NAME, &v, fx_on_webhook, NULL, NULL), HL_ENOTFOUND);
	assert_int_equal(get(f, number).revision, 1);
}

/* Both read the same revision; neither may be lost. */
static void updates_at_once_are_merged(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	struct fx_result r[3] = { 0 };
	struct hl_webhook v = { .name = HL_STR("new"), .timeout_ms = 1234, .rate_limit = 5 };
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_NAME, &v, fx_on_webhook, &r[0], NULL), 0);
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_TIMEOUT, &v, fx_on_webhook, &r[1], NULL), 0);
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_RATE_LIMIT, &v, fx_on_webhook, &r[2], NULL), 0);
	fx_pump(f);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(r[i].status, 0);
	struct hl_webhook w = get(f, number);
	assert_str(w.name, "new");
	assert_int_equal(w.timeout_ms, 1234);
	assert_int_equal(w.rate_limit, 5);
	assert_int_equal(w.revision, 4);
}

static void update_meets_a_deletion(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	struct fx_result del = { 0 }, r = { 0 };
	struct hl_webhook v = { .name = HL_STR("new") };
	assert_int_equal(hl_webhook_delete(f->d, A, number, false, fx_on_webhook, &del, NULL), 0);
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_NAME, &v, fx_on_webhook, &r, NULL), 0);
	fx_pump(f);
	assert_int_equal(del.status, 0);
	assert_int_equal(r.status, HL_ENOTFOUND);
}

static void pause_holds_and_resume_makes_due(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 500, .times = 1 });
	fx_publish(f, "a", "{}");
	fx_advance(f, 100); /* failed once; waits for 5 s */
	assert_int_equal(f->n_requests, 1);
	fx_webhook_state(f, number, HL_WEBHOOK_PAUSED);
	fx_publish(f, "a", "{}"); /* not for a paused one */
	fx_advance(f, 60 * 60 * 1000);
	assert_int_equal(f->n_requests, 1);
	fx_webhook_state(f, number, HL_WEBHOOK_ENABLED);
	fx_advance(f, 100);
	assert_int_equal(f->n_requests, 2);
	struct hl_webhook_stats s;
	assert_int_equal(hl_webhook_stats(f->d, A, number, &s), 0);
	assert_int_equal(s.by_state[HL_DELIVERY_SUCCEEDED], 1);
	assert_int_equal(s.by_state[HL_DELIVERY_PENDING], 0);
}

/* The second retry would be due after 30 s; resuming makes it due at once. */
static void resume_drains_what_waits_for_backoff(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 500, .times = 2 });
	fx_publish(f, "a", "{}");
	fx_advance(f, 7000);
	assert_int_equal(f->n_requests, 2);
	fx_webhook_state(f, number, HL_WEBHOOK_PAUSED);
	fx_webhook_state(f, number, HL_WEBHOOK_ENABLED);
	fx_advance(f, 100);
	assert_int_equal(f->n_requests, 3);
}

static void a_new_url_enables_a_disabled_one(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 410 });
	fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	struct hl_webhook w = get(f, number);
	assert_int_equal(w.state, HL_WEBHOOK_DISABLED);
	assert_true(w.reason.len > 0);
	struct fx_result r[2] = { 0 };
	struct hl_webhook v = { .url = HL_STR(URL), .name = HL_STR("x") };
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_URL | HL_WF_NAME, &v, fx_on_webhook, &r[0], NULL), 0);
	fx_pump(f);
	assert_int_equal(get(f, number).state, HL_WEBHOOK_DISABLED); /* the same place */
	v.url = HL_STR("https://b.example/");
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_URL, &v, fx_on_webhook, &r[1], NULL), 0);
	fx_pump(f);
	w = get(f, number);
	assert_int_equal(w.state, HL_WEBHOOK_ENABLED);
	assert_int_equal(w.reason.len, 0);
	fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	assert_int_equal(fx_count(f, "https://b.example/"), 1);
}

/* ---- delete ---- */

static void delete_hides_at_once(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	struct fx_result r = { 0 };
	struct hl_webhook w;
	struct hl_err err = { 0 };
	assert_int_equal(hl_webhook_delete(f->d, 2, number, false, fx_on_webhook, &r, &err), HL_ENOTFOUND);
	assert_int_equal(hl_webhook_delete(f->d, A, number, false, fx_on_webhook, &r, NULL), 0);
	fx_pump(f);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.number, number);
	assert_int_equal(hl_webhook_get(f->d, A, number, false, &w), HL_ENOTFOUND);
	assert_int_equal(hl_webhook_get(f->d, A, number, true, &w), 0);
	assert_int_equal(w.state, HL_WEBHOOK_DELETED);
	struct hl_webhook_stats s;
	assert_int_equal(hl_webhook_stats(f->d, A, number, &s), HL_ENOTFOUND);
	fx_publish(f, "a", "{}");
	fx_advance(f, 1000);
	assert_int_equal(f->n_requests, 0);
	struct fx_result twice = { 0 };
	assert_int_equal(hl_webhook_delete(f->d, A, number, false, fx_on_webhook, &twice, NULL), HL_ENOTFOUND);
}

static void delete_survives_a_crash(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	for (int i = 0; i < 50; i++)
		fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	struct fx_result r = { 0 };
	assert_int_equal(hl_webhook_delete(f->d, A, number, true, fx_on_webhook, &r, NULL), 0);
	while (!r.called)
		fx_turn(f); /* committed; the job may not have begun */
	fx_crash(f);
	struct hl_account_stats s;
	assert_int_equal(hl_account_stats(f->d, A, &s), 0);
	assert_int_equal(s.deliveries[HL_DIALECT_HOOKLINE], 0);
	assert_int_equal(s.webhooks, 0);
	struct hl_webhook w;
	assert_int_equal(hl_webhook_get(f->d, A, number, true, &w), HL_ENOTFOUND);
}

/* The job that drops it may be done before the loop hears of the deletion: the row is gone by then. */
static void deleted_and_dropped_in_one_commit(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	struct hl_webhook w;
	fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	struct fx_result r = { 0 };
	f->disk_stalled = true;
	assert_int_equal(hl_webhook_delete(f->d, A, number, true, fx_on_webhook, &r, NULL), 0);
	hl_janitor_wake(f->d); /* as when it had work already */
	fx_turn(f);
	f->disk_stalled = false;
	fx_pump(f);
	assert_int_equal(r.status, 0);
	assert_int_equal(hl_webhook_get(f->d, A, number, true, &w), HL_ENOTFOUND);
	r = fx_publish_as(f, A, &(struct hl_publish){ .type = HL_STR("a"), .data = HL_STR("{}") });
	assert_int_equal(r.status, 0);
	assert_int_equal(r.n_deliveries, 0);
}

/* ---- rotate ---- */

static void rotate_signs_with_both_for_a_while(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	struct fx_result r = { 0 };
	assert_int_equal(hl_webhook_rotate(f->d, A, number, 3600, HL_STR_NONE, NULL, fx_on_webhook, &r, NULL), 0);
	fx_pump(f);
	assert_int_equal(r.status, 0);
	assert_int_equal(strlen(r.secret), HL_SECRET_GENERATED_LEN);
	struct hl_webhook w = get(f, number);
	assert_int_equal(w.revision, 2);
	assert_int_equal(w.previous_secret_until_ms, fx_now(f) + 3600 * 1000);
	assert_string_equal(w.secret_last4, r.secret + strlen(r.secret) - 4);
	fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	assert_non_null(strchr(fx_header(&f->requests[0], "webhook-signature"), ' ')); /* two of them */
	fx_advance(f, 3600 * 1000);
	fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	assert_null(strchr(fx_header(&f->requests[1], "webhook-signature"), ' '));
	assert_int_equal(get(f, number).previous_secret_until_ms, 0);
}

static void rotate_without_overlap_and_with_a_given_secret(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	struct fx_result r = { 0 };
	struct hl_err err = { 0 };
	struct hl_str given = HL_STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	assert_int_equal(hl_webhook_rotate(f->d, A, number, 0, HL_STR("nonsense"), NULL, fx_on_webhook, &r, &err), HL_EINVAL);
	assert_int_equal(hl_webhook_rotate(f->d, A, number, 8 * 86400, given, NULL, fx_on_webhook, &r, &err), HL_EINVAL);
	assert_int_equal(hl_webhook_rotate(f->d, 2, number, 0, given, NULL, fx_on_webhook, &r, &err), HL_ENOTFOUND);
	assert_int_equal(hl_webhook_rotate(f->d, A, number, 0, given, NULL, fx_on_webhook, &r, NULL), 0);
	fx_pump(f);
	assert_string_equal(r.secret, given.ptr);
	assert_int_equal(get(f, number).previous_secret_until_ms, 0);
	assert_string_equal(get(f, number).secret_last4, "LaSw");
	fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	assert_null(strchr(fx_header(&f->requests[0], "webhook-signature"), ' '));
}

static void rotate_happens_once_per_key(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	struct rendering one = { 0 };
	struct hl_idempotency idem = { .scope = HL_STR("rotate"), .key = HL_STR("k"), .render = render, .data = &one };
	struct fx_result r[2] = { 0 };
	assert_int_equal(hl_webhook_rotate(f->d, A, number, UINT32_MAX, HL_STR_NONE, &idem, fx_on_webhook, &r[0], NULL), 0);
	fx_pump(f);
	char text[128];
	memcpy(text, one.text, sizeof(text));
	assert_int_equal(hl_webhook_rotate(f->d, A, number, UINT32_MAX, HL_STR_NONE, &idem, fx_on_webhook, &r[1], NULL), 0);
	fx_pump(f);
	assert_false(r[0].replayed);
	assert_true(r[1].replayed);
	assert_string_equal(r[1].answer, text);
	struct hl_webhook w = get(f, number);
	assert_int_equal(w.revision, 2);
	assert_string_equal(w.secret_last4, r[0].secret + strlen(r[0].secret) - 4);
	assert_int_equal(w.previous_secret_until_ms, w.updated_at_ms + 86400 * 1000);
}

/* ---- reads ---- */

struct page {
	bool called;
	int status;
	size_t n;
	uint32_t numbers[256];
	struct hl_page_info info;
};

static void on_page(void *data, int status, const struct hl_webhook *w, size_t n, const struct hl_page_info *info)
{
	struct page *p = data;
	assert_false(p->called);
	p->called = true;
	p->status = status;
	p->n = n;
	for (size_t i = 0; i < n; i++)
		p->numbers[i] = w[i].number;
	if (info)
		p->info = *info;
}

static struct page list(struct fx *f, struct hl_webhook_query q)
{
	struct page p = { 0 };
	q.account = q.account ? q.account : A;
	assert_int_equal(hl_webhook_list(f->d, &q, on_page, &p), 0);
	assert_false(p.called);
	fx_pump(f);
	assert_true(p.called);
	assert_int_equal(p.status, 0);
	return p;
}

static void assert_page(const struct page *p, const uint32_t *numbers, size_t n, bool newer, bool older)
{
	assert_int_equal(p->n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p->numbers[i], numbers[i]);
	assert_int_equal(p->info.has_newer, newer);
	assert_int_equal(p->info.has_older, older);
}

static void list_pages_newest_first(void **state)
{
	struct fx *f = *state;
	uint32_t w[6];
	for (size_t i = 1; i <= 5; i++)
		w[i] = fx_webhook_make(f, &(struct hl_webhook){ .url = HL_STR(URL), .dialect = i == 3 ? HL_DIALECT_BITNOB : 0 });
	fx_webhook_make(f, &(struct hl_webhook){ .account = 2, .url = HL_STR(URL) });
	fx_webhook_state(f, w[2], HL_WEBHOOK_PAUSED);
	struct fx_result del = { 0 };
	assert_int_equal(hl_webhook_delete(f->d, A, w[4], false, fx_on_webhook, &del, NULL), 0);
	fx_pump(f);
	struct page p = list(f, (struct hl_webhook_query){ .dialect = -1, .state = -1,
		.page = { .limit = 10, .want_total = true } });
	assert_page(&p, (uint32_t[]){ w[5], w[3], w[2], w[1] }, 4, false, false);
	assert_int_equal(p.info.total, 4);
	p = list(f, (struct hl_webhook_query){ .dialect = -1, .state = -1, .page = { .limit = 2 } });
	assert_page(&p, (uint32_t[]){ w[5], w[3] }, 2, false, true);
	p = list(f, (struct hl_webhook_query){ .dialect = -1, .state = -1, .page = { .limit = 2, .before = w[3] } });
	assert_page(&p, (uint32_t[]){ w[2], w[1] }, 2, true, false);
	p = list(f, (struct hl_webhook_query){ .dialect = -1, .state = -1, .page = { .limit = 2, .after = w[1] } });
	assert_page(&p, (uint32_t[]){ w[3], w[2] }, 2, true, true);
	p = list(f, (struct hl_webhook_query){ .dialect = -1, .state = -1, .page = { .limit = 2, .offset = 1 } });
	assert_page(&p, (uint32_t[]){ w[3], w[2] }, 2, true, true);
	p = list(f, (struct hl_webhook_query){ .dialect = HL_DIALECT_BITNOB, .state = -1, .page = { .limit = 2 } });
	assert_page(&p, (uint32_t[]){ w[3] }, 1, false, false);
	p = list(f, (struct hl_webhook_query){ .dialect = -1, .state = HL_WEBHOOK_PAUSED, .page = { .limit = 2 } });
	assert_page(&p, (uint32_t[]){ w[2] }, 1, false, false);
	p = list(f, (struct hl_webhook_query){ .dialect = -1, .state = HL_WEBHOOK_DELETED, .page = { .limit = 2 } });
	assert_page(&p, (uint32_t[]){ w[4] }, 1, false, false);
	p = list(f, (struct hl_webhook_query){ .account = 9, .dialect = -1, .state = -1, .page = { .limit = 2 } });
	assert_page(&p, NULL, 0, false, false);
	struct hl_webhook_query bad = { .account = A, .page = { .limit = 251 } };
	assert_int_equal(hl_webhook_list(f->d, &bad, on_page, &p), HL_EINVAL);
}

/* What a page should be, cut out of all that match (ascending). */
static void assert_cut(struct fx *f, const struct hl_webhook_query *q, const uint32_t *all, size_t n_all)
{
	const struct hl_page *want = &q->page;
	uint32_t rest[16], page[16];
	size_t n_rest = 0, n = 0;
	for (size_t i = 0; i < n_all; i++) {
		uint32_t v = all[want->after ? i : n_all - 1 - i]; /* in the direction walked */
		if ((!want->after || v > want->after) && (!want->before || v < want->before))
			rest[n_rest++] = v;
	}
	for (size_t i = want->offset; i < n_rest && n < want->limit; i++)
		page[n++] = rest[i];
	for (size_t i = 0; want->after && i < n / 2; i++) {
		uint32_t v = page[i];
		page[i] = page[n - 1 - i];
		page[n - 1 - i] = v;
	}
	bool ahead = want->offset + n < n_rest, behind = want->offset && n_rest > 0;
	for (size_t i = 0; i < n_all; i++) {
		behind = behind || (want->after && all[i] <= want->after) || (!want->after && want->before && all[i] >= want->before);
		ahead = ahead || (want->after && want->before && all[i] >= want->before);
	}
	struct page p = list(f, *q);
	assert_page(&p, page, n, want->after ? ahead : behind, want->after ? behind : ahead);
	assert_int_equal(p.info.total, want->want_total ? n_all : 0);
}

static void every_page_is_cut_from_all(void **state)
{
	struct fx *f = *state;
	enum { N = 9 };
	uint32_t all[N], some[N];
	size_t n_some = 0;
	for (uint32_t i = 0; i < N; i++) {
		bool one = i % 3 == 1;
		all[i] = fx_webhook_make(f, &(struct hl_webhook){ .url = HL_STR(URL), .dialect = one ? HL_DIALECT_BITNOB : 0 });
		if (one)
			some[n_some++] = all[i];
		fx_webhook_make(f, &(struct hl_webhook){ .account = 2, .url = HL_STR(URL) });
	}
	for (uint32_t i = 0; i < (2 * N + 2) * 2 * 4 * 3 * 2; i++) { /* a cursor, whose side, offset, limit, filter */
		uint32_t k = i, cursor = k % (2 * N + 2);
		bool after = (k /= 2 * N + 2) % 2;
		struct hl_webhook_query q = { .state = -1 };
		q.page.offset = (k /= 2) % 4;
		q.page.limit = 1 + (k /= 4) % 3 * 3;
		q.dialect = (k /= 3) % 2 ? HL_DIALECT_BITNOB : -1;
		q.page.want_total = i % 5 == 0;
		*(after ? &q.page.after : &q.page.before) = cursor;
		assert_cut(f, &q, q.dialect < 0 ? all : some, q.dialect < 0 ? N : n_some);
	}
}

static void list_is_cancelled_by_closing(void **state)
{
	struct fx *f = *state;
	struct page p = { 0 };
	struct hl_webhook_query q = { .account = A, .dialect = -1, .state = -1, .page = { .limit = 1 } };
	assert_int_equal(hl_webhook_list(f->d, &q, on_page, &p), 0);
	fx_close(f);
	assert_true(p.called);
	assert_int_equal(p.status, HL_ECANCELED);
}

static void stats_say_what_is_undelivered_and_why(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	struct hl_webhook_stats s;
	assert_int_equal(hl_webhook_stats(f->d, A, number, &s), 0);
	assert_int_equal(s.next_attempt_at_ms, 0);
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	hl_ms_t published = fx_now(f);
	fx_publish(f, "a", "{}");
	fx_advance(f, 2000);
	assert_int_equal(hl_webhook_stats(f->d, A, number, &s), 0);
	assert_int_equal(s.by_state[HL_DELIVERY_PENDING], 1);
	assert_int_equal(s.pending_by_class[HL_CLASS_HTTP_STATUS], 1);
	assert_int_equal(s.oldest_pending_at_ms, published);
	assert_in_range(s.next_attempt_at_ms, published + 5000, published + 5502);
	assert_int_equal(s.last_http_status, 500);
	assert_int_equal(s.last_class, HL_CLASS_HTTP_STATUS);
	assert_false(s.parked);
	assert_int_equal(s.in_flight, 0);
	fx_webhook_state(f, number, HL_WEBHOOK_PAUSED);
	assert_int_equal(hl_webhook_stats(f->d, A, number, &s), 0);
	assert_int_equal(s.next_attempt_at_ms, 0);
	assert_int_equal(hl_webhook_stats(f->d, 2, number, &s), HL_ENOTFOUND);
}

static void changes_after_closing_are_refused(void **state)
{
	struct fx *f = *state;
	uint32_t number = fx_webhook(f, URL);
	struct hl_webhook w = { .account = A, .url = HL_STR(URL) };
	f->d->failed = true;
	assert_int_equal(hl_webhook_create(f->d, &w, HL_STR_NONE, 0, NULL, fx_on_webhook, NULL, NULL), HL_EFATAL);
	assert_int_equal(hl_webhook_update(f->d, A, number, HL_WF_NAME, &w, fx_on_webhook, NULL, NULL), HL_EFATAL);
	assert_int_equal(hl_webhook_delete(f->d, A, number, false, fx_on_webhook, NULL, NULL), HL_EFATAL);
	f->d->failed = false;
}

static void borrow(void *data, int status, const struct hl_err *err, const struct hl_webhook_result *r)
{
	struct hl_webhook *w = data;
	assert_true(status == 0 && !err);
	if (w[0].number) /* the answer before, of the same turn */
		assert_true(hl_str_eq(w[0].url, HL_STR("https://a.example/")) && hl_str_eq(w[0].description, HL_STR("one")));
	w[w[0].number ? 1 : 0] = *r->webhook;
}

/* What is handed out lives until the turn ends, not only as long as its callback. */
static void answers_last_a_turn(void **state)
{
	struct hl_webhook w[2] = { { .number = 0 } };
	struct fx *f = *state;
	uint32_t a = fx_webhook(f, "https://a.example/"), b = fx_webhook(f, "https://b.example/");
	const struct hl_webhook one = { .description = HL_STR("one") };
	assert_int_equal(hl_webhook_update(f->d, HL_ACCOUNT_DEFAULT, a, HL_WF_DESCRIPTION, &one, borrow, w, NULL), 0);
	assert_int_equal(hl_webhook_rotate(f->d, HL_ACCOUNT_DEFAULT, b, 0, HL_STR_NONE, NULL, borrow, w, NULL), 0);
	fx_pump(f);
	assert_true(w[0].number == a && w[1].number == b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(create_keeps_what_it_was_given), T(create_names_a_nameless_one_after_its_host), T(create_refuses),
		T(create_judges_the_address), T(create_counts_against_the_limit), T(create_happens_once_per_key),
		T(created_ones_receive), T(update_changes_what_is_named), T(update_refuses), T(updates_at_once_are_merged),
		T(update_meets_a_deletion), T(pause_holds_and_resume_makes_due), T(resume_drains_what_waits_for_backoff),
		T(a_new_url_enables_a_disabled_one), T(delete_hides_at_once), T(delete_survives_a_crash), T(deleted_and_dropped_in_one_commit),
		T(rotate_signs_with_both_for_a_while), T(rotate_without_overlap_and_with_a_given_secret),
		T(rotate_happens_once_per_key), T(list_pages_newest_first), T(every_page_is_cut_from_all),
		T(list_is_cancelled_by_closing),
		T(answers_last_a_turn),
		T(stats_say_what_is_undelivered_and_why), T(changes_after_closing_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
