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

static const struct hl_event_type three[] = {
	{ .name = HL_STR("a"), .title = HL_STR("A") }, { .name = HL_STR("b") }, { .name = HL_STR("c") },
};

/* The end of a put_all or a seed. */
static int many(struct fx *f, bool seed, const struct hl_event_type *v, size_t n, struct hl_err *err)
{
	struct fx_result r = { 0 };
	int rc = seed ? hl_event_type_seed(f->d, v, n, fx_on_done, &r, err) : hl_event_type_put_all(f->d, v, n, fx_on_done, &r, err);
	fx_pump(f);
	assert_int_equal(r.called, rc == 0);
	return rc ? rc : r.status;
}

static size_t total(struct fx *f)
{
	const struct hl_event_type *v;
	size_t n;
	assert_int_equal(hl_event_type_list(f->d, -1, &v, &n), 0);
	return n;
}

static void all_or_none(void **state)
{
	struct fx *f = *state;
	struct hl_event_type got, v[3], *full = calloc(HL_EVENT_TYPES_TOTAL_MAX, sizeof(*full));
	char (*names)[8] = calloc(HL_EVENT_TYPES_TOTAL_MAX, sizeof(*names));
	struct hl_err err = { 0 };
	memcpy(v, three, sizeof(v));
	v[2].name = HL_STR("a b");
	assert_int_equal(many(f, false, v, 3, &err), HL_EINVAL);
	assert_string_equal(err.field, "/2/name");
	assert_int_equal(total(f), 0);
	assert_int_equal(many(f, false, three, 3, NULL), 0);
	hl_ms_t made = fx_now(f);
	fx_advance(f, 1000);
	v[0].title = HL_STR("changed");
	assert_int_equal(many(f, false, v, 2, NULL), 0);
	assert_int_equal(hl_event_type_get(f->d, HL_STR("a"), &got), 0);
	assert_true(hl_str_eq(got.title, HL_STR("changed")));
	assert_int_equal(got.created_at_ms, made);
	assert_int_equal(total(f), 3);
	assert_int_equal(many(f, false, NULL, 0, NULL), 0);
	/* a full catalogue takes changes and nothing new */
	for (int i = 0; i < HL_EVENT_TYPES_TOTAL_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "n%d", i);
		full[i].name = hl_str_from(names[i]);
	}
	assert_int_equal(many(f, false, full, HL_EVENT_TYPES_TOTAL_MAX - 2, NULL), HL_ELIMIT);
	assert_int_equal(total(f), 3);
	assert_int_equal(many(f, false, full, HL_EVENT_TYPES_TOTAL_MAX - 3, NULL), 0);
	assert_int_equal(put(f, "one.more", "", ""), HL_ELIMIT);
	assert_int_equal(put(f, "a", "again", ""), 0);
	assert_int_equal(many(f, false, full, HL_EVENT_TYPES_TOTAL_MAX + 1, NULL), HL_EINVAL);
	free(full);
	free(names);
}

/* A first catalogue is given once, whatever becomes of it. */
static void seeded_once(void **state)
{
	struct fx *f = *state;
	struct fx_result r[2] = { 0 }, deleted[3] = { 0 };
	assert_int_equal(hl_event_type_seed(f->d, three, 3, fx_on_done, &r[0], NULL), 0);
	assert_int_equal(hl_event_type_seed(f->d, three, 3, fx_on_done, &r[1], NULL), 0); /* the loop cannot know yet */
	fx_pump(f);
	assert_int_equal(r[0].status, 0);
	assert_int_equal(r[1].status, HL_EEXIST);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(hl_event_type_delete(f->d, three[i].name, fx_on_done, &deleted[i]), 0);
	fx_pump(f);
	assert_int_equal(total(f), 0);
	assert_int_equal(many(f, true, three, 3, NULL), HL_EEXIST);
	fx_crash(f);
	assert_int_equal(many(f, true, three, 3, NULL), HL_EEXIST);
	assert_int_equal(total(f), 0);
}

static void seeded_with_nothing(void **state)
{
	struct fx *f = *state;
	assert_int_equal(many(f, true, NULL, 0, NULL), 0);
	fx_crash(f);
	assert_int_equal(many(f, true, three, 3, NULL), HL_EEXIST);
}

/* A crash before the commit leaves a new store. */
static void seeded_after_a_crash(void **state)
{
	struct fx *f = *state;
	struct fx_result *lost = calloc(1, sizeof(*lost));
	f->disk_stalled = true;
	assert_int_equal(hl_event_type_seed(f->d, three, 3, fx_on_done, lost, NULL), 0);
	f->disk_stalled = false;
	fx_crash(f);
	free(lost);
	assert_int_equal(total(f), 0);
	assert_int_equal(many(f, true, three, 3, NULL), 0);
	assert_int_equal(total(f), 3);
}

/* What is in use without ever having been seeded is not new: an event, a webhook, a type is enough, deleted or not. */
static void not_new(void **state)
{
	struct fx *f = *state;
	for (int what = 0; what < 3; what++) {
		fx_close(f);
		fx_fini(f);
		fx_init(f);
		fx_open(f);
		if (what == 0)
			fx_publish(f, "x", "{}");
		else if (what == 1)
			fx_webhook(f, URL);
		else
			assert_int_equal(put(f, "x", "", ""), 0);
		assert_int_equal(many(f, true, three, 3, NULL), HL_EEXIST);
		fx_close(f);
		fx_open(f);
		assert_int_equal(many(f, true, three, 3, NULL), HL_EEXIST);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { T(put_get_list_delete), T(deleted_twice_at_once), T(limits),
		T(dialects_follow_the_catalogue), T(all_or_none), T(seeded_once), T(seeded_with_nothing), T(seeded_after_a_crash),
		T(not_new) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
