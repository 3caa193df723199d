/* The catalogue of event types, and what it means for the dialects. */
#include "fixture.h"

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

static int put(struct fx *f, const char *name, const char *title, const char *bitnob)
{
	struct fx_result r = { 0 };
	struct hl_event_type t = { .name = hl_str_from(name), .title = hl_str_from(title), .description = HL_STR("text"),
		.category = HL_STR("c") };
	t.dialect_categories[HL_DIALECT_BITNOB] = hl_str_from(bitnob);
	int rc = hl_event_type_put(f->d, &t, fx_on_done, &r, NULL);
	fx_pump(f);
	assert_int_equal(r.called, rc == 0);
	return rc ? rc : r.status;
}

static int drop(struct fx *f, const char *name)
{
	struct fx_result r = { 0 };
	int rc = hl_event_type_delete(f->d, hl_str_from(name), fx_on_done, &r);
	fx_pump(f);
	return rc ? rc : r.status;
}

static void put_get_list_delete(void **state)
{
	struct fx *f = *state;
	struct hl_event_type t;
	const struct hl_event_type *v;
	size_t n;
	assert_int_equal(put(f, "wallet.created", "Wallet", "wallet"), 0);
	assert_int_equal(put(f, "order.created", "Order", ""), 0);
	hl_ms_t made = fx_now(f);
	fx_advance(f, 1000);
	assert_int_equal(put(f, "order.created", "An order", ""), 0);
	assert_int_equal(hl_event_type_get(f->d, HL_STR("order.created"), &t), 0);
	assert_true(hl_str_eq(t.title, HL_STR("An order")));
	assert_int_equal(t.created_at_ms, made);
	assert_int_equal(t.updated_at_ms, made + 1000);
	assert_int_equal(hl_event_type_list(f->d, -1, &v, &n), 0);
	assert_int_equal(n, 2);
	assert_true(hl_str_eq(v[0].name, HL_STR("order.created")));
	assert_true(hl_str_eq(v[1].name, HL_STR("wallet.created")));
	assert_int_equal(hl_event_type_list(f->d, HL_DIALECT_BITNOB, &v, &n), 0);
	assert_int_equal(n, 1);
	assert_true(hl_str_eq(v[0].dialect_categories[HL_DIALECT_BITNOB], HL_STR("wallet")));
	assert_int_equal(hl_event_type_list(f->d, HL_DIALECT_CS2CAP, &v, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(hl_event_type_list(f->d, HL_DIALECT_N, &v, &n), HL_EINVAL);
	assert_int_equal(drop(f, "order.created"), 0);
	assert_int_equal(drop(f, "order.created"), HL_ENOTFOUND);
	assert_int_equal(hl_event_type_get(f->d, HL_STR("order.created"), &t), HL_ENOTFOUND);
	assert_int_equal(hl_event_type_get(f->d, HL_STR("no such name"), &t), HL_ENOTFOUND);
	fx_close(f);
	fx_open(f);
	assert_int_equal(hl_event_type_list(f->d, -1, &v, &n), 0);
	assert_int_equal(n, 1);
}

static void deleted_twice_at_once(void **state)
{
	struct fx *f = *state;
	struct fx_result r[2] = { 0 };
	assert_int_equal(put(f, "a", "A", ""), 0);
	assert_int_equal(hl_event_type_delete(f->d, HL_STR("a"), fx_on_done, &r[0]), 0);
	assert_int_equal(hl_event_type_delete(f->d, HL_STR("a"), fx_on_done, &r[1]), 0);
	fx_pump(f);
	assert_int_equal(r[0].status, 0);
	assert_int_equal(r[1].status, HL_ENOTFOUND);
	assert_int_equal(r[1].err.code, HL_ENOTFOUND);
}

static void limits(void **state)
{
	struct fx *f = *state;
	struct hl_err err = { 0 };
	char text[801];
	memset(text, 0, sizeof(text));
	for (size_t i = 0; i < 200; i++)
		memcpy(text + 4 * i, "\xf0\x9f\x98\x80", 4); /* 200 characters, 800 bytes */
	struct hl_event_type t = { .name = HL_STR("a b") };
	assert_int_equal(hl_event_type_put(f->d, &t, fx_on_done, NULL, &err), HL_EINVAL);
	assert_string_equal(err.field, "/name");
	t = (struct hl_event_type){ .name = HL_STR("a"), .title = hl_str_from(text), .category = hl_str_from(text) };
	for (int i = 0; i < HL_DIALECT_N; i++)
		t.dialect_categories[i] = hl_str_from(text);
	struct fx_result r = { 0 };
	struct hl_event_type got;
	assert_int_equal(hl_event_type_put(f->d, &t, fx_on_done, &r, NULL), 0);
	fx_pump(f);
	assert_int_equal(r.status, 0);
	assert_int_equal(hl_event_type_get(f->d, HL_STR("a"), &got), 0); /* what is allowed can be read back */
	assert_int_equal(got.category.len, 800);
}

/* A dialect's webhook gets what its dialect's catalogue holds, from the moment it does. */
static void dialects_follow_the_catalogue(void **state)
{
	struct fx *f = *state;
	fx_webhook_make(f, &(struct hl_webhook){ .url = HL_STR(URL), .dialect = HL_DIALECT_BITNOB, .https_only = true });
	fx_publish(f, "wallet.created", "{}");
	assert_int_equal(put(f, "wallet.created", "W", "wallet"), 0);
	fx_publish(f, "wallet.created", "{}");
	assert_int_equal(put(f, "wallet.created", "W", ""), 0);
	fx_publish(f, "wallet.created", "{}");
	assert_int_equal(put(f, "wallet.created", "W", "wallet"), 0);
	fx_close(f);
	fx_open(f);
	fx_publish(f, "wallet.created", "{}");
	assert_int_equal(drop(f, "wallet.created"), 0);
	fx_publish(f, "wallet.created", "{}");
	fx_advance(f, 1000);
	assert_int_equal(f->n_requests, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { T(put_get_list_delete), T(deleted_twice_at_once), T(limits),
		T(dialects_follow_the_catalogue) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
