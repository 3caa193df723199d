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

/* What the webhook of the dialect wants. */
static void event_type(struct fx *f)
{
	struct hl_event_type t = { .name = HL_STR("order.created") };
	t.dialect_categories[HL_DIALECT_CS2CAP] = HL_STR("orders");
	for (;;) {
		struct fx_result r = { 0 };
		struct hl_err err = { 0 };
		armed = true;
		int rc = hl_event_type_put(f->d, &t, fx_on_done, &r, &err);
		fx_pump(f);
		armed = false;
		rc = rc ? rc : r.status;
		if (rc == 0)
			return;
		assert_true(rc == HL_ENOMEM && left == 0);
	}
}

/* Memory may not suffice to open the URL that was just sealed, for the answer; so the same is asked with the same key. */
static void webhook(struct fx *f, const char *url, enum hl_dialect dialect)
{
	const struct hl_idempotency idem = { .scope = HL_STR("POST /v1/webhooks"), .key = hl_str_from(url) };
	const struct hl_webhook w = { .account = HL_ACCOUNT_DEFAULT, .url = hl_str_from(url), .dialect = dialect };
	for (;;) {
		struct fx_result r = { 0 };
		struct hl_err err = { 0 };
		armed = true;
		int rc = hl_webhook_create(f->d, &w, HL_STR_NONE, 0, &idem, fx_on_webhook, &r, &err);
		fx_pump(f);
		armed = false;
		rc = rc ? rc : r.status;
		if (rc == 0)
			return;
		assert_true(rc == HL_ENOMEM && left == 0);
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
	event_type(&f);
	webhook(&f, "https://bad.example/hook", HL_DIALECT_HOOKLINE);
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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_allocation) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
