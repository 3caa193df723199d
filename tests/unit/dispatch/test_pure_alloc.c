/* Every allocation of the publish path's pure parts fails once: nothing crashes, nothing leaks, nothing is half done.
 *
 * The linker sends malloc, calloc and realloc through here; the n-th call after arm(n) answers NULL. */
#include "base/buf.h"
#include "base/str.h"
#include "dispatch/render.h"
#include "dispatch/sign.h"
#include "dispatch/subscriptions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned until; /* 0 = none is to fail */
static bool failed;

static bool fails(void)
{
	if (until == 0 || --until > 0)
		return false;
	failed = true;
	return true;
}

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }

static void arm(unsigned n)
{
	until = n;
	failed = false;
}

static bool never(void *data, enum hl_dialect d, struct hl_str type)
{
	(void)data, (void)d, (void)type;
	return false;
}

/* One webhook more or an answer: HL_OK and as asked for, or HL_ENOMEM and as before. */
static void subscriptions(void **state)
{
	(void)state;
	struct hl_str types[] = { HL_STR("a"), HL_STR("b"), HL_STR("c") };
	bool ran = false;
	for (unsigned n = 1; !ran; n++) {
		struct hl_subscriptions *s;
		struct hl_subscriptions_counts c;
		uint64_t enabled = 0, generation = 0;
		arm(n);
		int rc = hl_subscriptions_create(&s, never, NULL);
		if (rc) {
			assert_int_equal(rc, HL_ENOMEM);
			continue;
		}
		for (uint32_t i = 1; i <= 8; i++) {
			struct hl_webhook w = { .account = 1, .number = i, .event_types = types,
					.n_event_types = i % 4 };
			struct hl_targets *t;
			if (i % 4 == 0)
				w.n_event_types = 0;
			rc = hl_subscriptions_put(s, &w);
			assert_true(rc == 0 || (rc == HL_ENOMEM && failed));
			enabled += rc == 0;
			generation += rc == 0;
			assert_int_equal(hl_subscriptions_generation(s, 1), generation);
			hl_subscriptions_count(s, &c);
			assert_int_equal(c.enabled, enabled);
			rc = hl_subscriptions_match(s, 1, HL_STR("a"), 0, &t);
			assert_true(rc == 0 || (rc == HL_ENOMEM && failed));
			if (rc == 0) {
				assert_int_equal(t->n, enabled);
				hl_targets_release(t);
			}
		}
		until = 0;
		ran = !failed;
		hl_subscriptions_destroy(s);
	}
}

static void bodies(void **state)
{
	(void)state;
	static char big[20000];
	memset(big, 'x', sizeof big);
	memcpy(big, "{\"a\\u0062\":{\"b\\n\":\"\\n", 22);
	memcpy(big + sizeof big - 3, "\"}}", 3);
	struct hl_event e = { .number = 1, .id = "018f0000-0000-7000-8000-000000000001",
			.type = HL_STR("order.created"),
		.data = { big, sizeof big }, .created_at_ms = 1 };
	for (unsigned d = 0; d < HL_DIALECT_N; d++) {
		for (unsigned f = 0; f < HL_FORMAT_N; f++) {
			bool ran = false;
			for (unsigned n = 1; !ran; n++) {
				struct hl_render r = { .dialect = d, .format = f, .event = &e };
				struct hl_body b;
				hl_body_init(&b);
				arm(n);
				int rc = hl_render_body(&r, &b);
				ran = !failed;
				assert_true(rc == 0 || (rc == HL_ENOMEM && failed));
				until = 0;
				hl_body_fini(&b);
			}
		}
	}
}

static void headers(void **state)
{
	(void)state;
	struct hl_signer s;
	struct hl_str body = HL_STR("{}");
	assert_int_equal(hl_signer_init(&s, HL_DIALECT_CS2CAP, HL_STR("whsec_QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZX"),
			NULL), 0);
	struct hl_sign r = { .dialect = HL_DIALECT_CS2CAP, .current = &s, .event_id = HL_STR("i"),
			.delivery_id = HL_STR("d"),
		.event_type = HL_STR("t"), .body = &body, .n_body = 1 };
	bool ran = false;
	for (unsigned n = 1; !ran; n++) {
		struct hl_buf out;
		hl_buf_init(&out);
		arm(n);
		int rc = hl_sign_headers(&out, &r);
		ran = !failed;
		assert_true(rc == 0 || (rc == HL_ENOMEM && failed));
		until = 0;
		hl_buf_fini(&out);
	}
	hl_signer_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subscriptions), cmocka_unit_test(bodies), cmocka_unit_test(headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
