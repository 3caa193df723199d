/* Every allocation of the engine fails once, on the loop and while a batch is applied: opening, webhooks, event types, publishing, attempts,
 * outcomes, retries. A call says HL_ENOMEM and is made again, or it did what it should, perhaps later. In the end each event is
 * there once, each delivery has succeeded, and the store is sound; nothing leaks (under the address sanitizer).
 *
 * The fixture's own memory never fails (meson.build), so the n-th allocation is the engine's wherever it comes from. */
#include "fixture.h"

#include "base/str.h"
#include "dispatch/engine.h"
#include "store/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { EVENTS = 4 };

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool armed;
static unsigned left; /* until the one that fails; 0 = it has */

static bool fails(void)
{
	return armed && left && --left == 0;
}

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }

static void report(void *data, enum hl_audit_severity severity, const char *text)
{
	(void)data, (void)severity;
	print_message("audit: %s\n", text);
}

/* May be refused for want of memory, once; what it made so far is gone then. */
static void open_engine(struct fx *f)
{
	struct hl_err err = { 0 };
	armed = true;
	int rc = fx_try_open(f, &err);
	if (rc) {
		armed = false;
		assert_true(left == 0 && rc == HL_ENOMEM);
		assert_int_equal(fx_try_open(f, &err), 0);
	}
	armed = true;
	fx_pump(f);
	armed = false;
}

/* Asks until it is done. What is refused has not happened: nothing durable is told as a failure. */
static struct fx_result ask(struct fx *f, int (*op)(struct fx *f, const void *data, struct fx_result *r), const void *data)
{
	for (;;) {
		struct fx_result r = { 0 };
		armed = true;
		int rc = op(f, data, &r);
		fx_pump(f);
		armed = false;
		rc = rc ? rc : r.status;
		if (rc == 0)
			return r;
		assert_true(rc == HL_ENOMEM && left == 0);
	}
}

/* What the webhook of the dialect wants. */
static int event_type(struct fx *f, const void *name, struct fx_result *r)
{
	struct hl_event_type t = { .name = hl_str_from(name) };
	t.dialect_categories[HL_DIALECT_CS2CAP] = HL_STR("orders");
	return hl_event_type_put(f->d, &t, fx_on_done, r, NULL);
}

static int create(struct fx *f, const void *webhook, struct fx_result *r)
{
	return hl_webhook_create(f->d, webhook, HL_STR_NONE, 0, NULL, fx_on_webhook, r, NULL);
}

static uint32_t webhook(struct fx *f, const char *url, enum hl_dialect dialect)
{
	const struct hl_webhook w = { .account = HL_ACCOUNT_DEFAULT, .url = hl_str_from(url), .dialect = dialect };
	return (uint32_t)ask(f, create, &w).number;
}

static int update(struct fx *f, const void *number, struct fx_result *r)
{
	const struct hl_webhook values = { .description = HL_STR("nobody listens") };
	return hl_webhook_update(f->d, HL_ACCOUNT_DEFAULT, *(const uint32_t *)number, HL_WF_DESCRIPTION, &values, fx_on_webhook, r, NULL);
}

static int rotate(struct fx *f, const void *number, struct fx_result *r)
{
	return hl_webhook_rotate(f->d, HL_ACCOUNT_DEFAULT, *(const uint32_t *)number, 3600, HL_STR_NONE, NULL, fx_on_webhook, r, NULL);
}

static int delete(struct fx *f, const void *number, struct fx_result *r)
{
	return hl_webhook_delete(f->d, HL_ACCOUNT_DEFAULT, *(const uint32_t *)number, false, fx_on_webhook, r, NULL);
}

/* Made, changed and deleted, each of it once. */
static void short_life(struct fx *f)
{
	static int (*const steps[])(struct fx *, const void *, struct fx_result *) = { update, rotate, delete };
	uint32_t number = webhook(f, "https://spare.example/hook", HL_DIALECT_HOOKLINE);
	for (uint32_t i = 0; i < 3; i++) {
		struct hl_webhook w;
		struct fx_result r = ask(f, steps[i], &number);
		assert_true(r.number == number && (r.secret[0] != '\0') == (steps[i] == rotate));
		assert_int_equal(hl_webhook_get(f->d, HL_ACCOUNT_DEFAULT, number, true, &w), 0);
		assert_int_equal(w.revision, i + 2);
		hl_engine_turn_end(f->d);
	}
}

static void begin(struct fx *f, unsigned i, struct fx_result *r)
{
	char id[16], data[64];
	snprintf(id, sizeof(id), "e-%u", i);
	snprintf(data, sizeof(data), "{\"n\":%u}", i);
	const struct hl_publish p = { .type = HL_STR("order.created"), .external_id = hl_str_from(id), .data = hl_str_from(data) };
	fx_publish_begin(f, HL_ACCOUNT_DEFAULT, &p, r);
}

/* Two in one batch, with ids of their own: what is said twice is one event. */
static void publish_two(struct fx *f, unsigned i)
{
	struct fx_result r[2] = { { .status = HL_ENOMEM }, { .status = HL_ENOMEM } };
	while (r[0].status || r[1].status) {
		armed = true;
		for (unsigned k = 0; k < 2; k++)
			if (r[k].status)
				begin(f, i + k, &r[k]);
		fx_pump(f);
		armed = false;
		for (unsigned k = 0; k < 2; k++) {
			assert_true(r[k].called && (r[k].status == 0 || (r[k].status == HL_ENOMEM && left == 0)));
			assert_true(r[k].status || r[k].n_deliveries == 2);
		}
	}
}

static void check(struct fx *f)
{
	const struct hl_audit_options o = { .report = report };
	struct hl_audit_summary sum;
	assert_int_equal(f->fatal, 0);
	assert_int_equal(hl_audit(f->d->store, &o, &sum, NULL), 0);
	assert_int_equal(sum.damages, 0);
	assert_int_equal(sum.events, EVENTS);
	assert_int_equal(sum.deliveries, 2 * EVENTS);
	assert_int_equal(sum.pending, 0);
	unsigned good = 0;
	for (uint64_t n = 1; n <= 100; n++) { /* numbers of tries that failed are left out */
		struct hl_delivery v;
		good += hl_delivery_get(f->d, HL_ACCOUNT_DEFAULT, n, &v) == 0 && v.state == HL_DELIVERY_SUCCEEDED;
		hl_engine_turn_end(f->d);
	}
	assert_int_equal(good, 2 * EVENTS);
	/* an outcome that could not be stored is one that never was: its attempt is made again */
	assert_in_range(fx_count(f, "https://good.example/"), EVENTS, EVENTS + 1);
	assert_true(fx_count(f, "https://bad.example/") >= EVENTS + 1);
}

/* The n-th allocation fails; false: there are not so many. */
static bool run(unsigned n)
{
	static struct fx f;
	fx_init(&f);
	left = n;
	open_engine(&f);
	webhook(&f, "https://good.example/hook", HL_DIALECT_CS2CAP);
	(void)ask(&f, event_type, "order.created");
	webhook(&f, "https://bad.example/hook", HL_DIALECT_HOOKLINE);
	short_life(&f);
	fx_script(&f, "https://bad.example/", &(struct fx_answer){ .status = 503, .body = "not now", .times = 2 });
	for (unsigned i = 0; i < EVENTS; i += 2)
		publish_two(&f, i);
	armed = true;
	fx_advance(&f, 4 * 3600 * 1000);
	armed = false;
	bool failed = left == 0;
	check(&f);
	fx_close(&f);
	fx_open(&f);
	check(&f);
	fx_close(&f);
	fx_fini(&f);
	return failed;
}

static void test_each_allocation(void **state)
{
	unsigned n = 1;
	(void)state;
	while (run(n))
		n++;
	print_message("%u allocations\n", n - 1);
	assert_true(n > 50);
}

static void spoil(void *data, int status, const struct hl_published *p)
{
	struct fx *f = data;
	assert_true(status == 0 && p->n_deliveries == 1);
	(void)hl_txn_fail(hl_core_read(f->d), HL_ENOMEM);
}

/* Whoever reads before it in the turn may run out of memory: what was published is delivered all the same. */
static void test_spoilt_snapshot(void **state)
{
	static struct fx f;
	struct fx_result r = { 0 };
	const struct hl_str types[] = { HL_STR("a.a"), HL_STR("b.b") };
	(void)state;
	fx_init(&f);
	fx_open(&f);
	for (int i = 0; i < 2; i++)
		fx_webhook_make(&f, &(struct hl_webhook){ .url = i ? HL_STR("https://b.example/") : HL_STR("https://a.example/"),
				.event_types = &types[i], .n_event_types = 1 });
	const struct hl_publish a = { .type = types[0], .data = HL_STR("{}") }, b = { .type = types[1], .data = HL_STR("{}") };
	assert_int_equal(hl_publish(f.d, HL_ACCOUNT_DEFAULT, &a, spoil, &f, NULL), 0);
	fx_publish_begin(&f, HL_ACCOUNT_DEFAULT, &b, &r);
	fx_advance(&f, 10000);
	assert_true(r.called && r.status == 0);
	assert_true(fx_count(&f, "https://a.example/") == 1 && fx_count(&f, "https://b.example/") == 1);
	fx_close(&f);
	fx_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_allocation), cmocka_unit_test(test_spoilt_snapshot) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
