/* Who gets an event: the index against a slow twin that looks at every webhook. */
#include "dispatch/subscriptions.h"
#include "base/defs.h"
#include "base/str.h"
#include "fakeenv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* cs2cap knows alert.*, aboutyou order.*, the others what `extra` names. */
static struct hl_str extra;
static unsigned asked;

static bool in_catalogue(void *data, enum hl_dialect d, struct hl_str type)
{
	assert_ptr_equal(data, &extra);
	assert_int_not_equal(d, HL_DIALECT_HOOKLINE);
	asked++;
	if (d == HL_DIALECT_CS2CAP)
		return hl_str_starts(type, HL_STR("alert."));
	if (d == HL_DIALECT_ABOUTYOU)
		return hl_str_starts(type, HL_STR("order."));
	return hl_str_eq(type, extra);
}

static struct hl_subscriptions *make(void)
{
	struct hl_subscriptions *s;
	extra = HL_STR("server.started");
	asked = 0;
	assert_int_equal(hl_subscriptions_create(&s, in_catalogue, &extra), 0);
	return s;
}

static void put(struct hl_subscriptions *s, uint32_t account, uint32_t number, enum hl_dialect dialect,
		const char *type,
		uint64_t server, enum hl_webhook_state state)
{
	struct hl_str types[] = { hl_str_from(type) };
	struct hl_webhook w = { .account = account, .number = number, .revision = number * 10, .dialect = dialect,
		.event_types = types, .n_event_types = type ? 1 : 0, .server = server, .state = state };
	assert_int_equal(hl_subscriptions_put(s, &w), 0);
}

/* "1 5 7" for webhooks 1, 5 and 7. */
static const char *match(struct hl_subscriptions *s, uint32_t account, const char *type, uint64_t server)
{
	static char text[256];
	struct hl_targets *t;
	size_t n = 0;
	assert_int_equal(hl_subscriptions_match(s, account, hl_str_from(type), server, &t), 0);
	assert_int_equal(t->generation, hl_subscriptions_generation(s, account));
	text[0] = '\0';
	for (uint32_t i = 0; i < t->n; i++) {
		assert_int_equal(t->items[i].revision, t->items[i].webhook * 10);
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%u", i ? " " : "", t->items[i].webhook);
	}
	hl_targets_release(t);
	return text;
}

static void rules(void **state)
{
	(void)state;
	struct hl_subscriptions *s = make();
	put(s, 1, 1, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_ENABLED);
	put(s, 1, 2, HL_DIALECT_HOOKLINE, "order.created", 0, HL_WEBHOOK_ENABLED);
	put(s, 1, 3, HL_DIALECT_HOOKLINE, NULL, 77, HL_WEBHOOK_ENABLED);
	put(s, 1, 4, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_PAUSED);
	put(s, 1, 5, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_DISABLED);
	put(s, 1, 6, HL_DIALECT_CS2CAP, NULL, 0, HL_WEBHOOK_ENABLED);
	put(s, 1, 7, HL_DIALECT_ABOUTYOU, NULL, 0, HL_WEBHOOK_ENABLED);
	put(s, 1, 8, HL_DIALECT_STELLARSTACK, "server.started", 77, HL_WEBHOOK_ENABLED);
	put(s, 1, 9, HL_DIALECT_BITNOB, "order.created", 0, HL_WEBHOOK_ENABLED);
	put(s, 2, 10, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_ENABLED);
	assert_string_equal(match(s, 1, "order.created", 0), "1 2 7");
	assert_string_equal(match(s, 1, "order.created", 77), "1 2 3 7");
	assert_string_equal(match(s, 1, "alert.triggered", 0), "1 6");
	assert_string_equal(match(s, 1, "server.started", 77), "1 3 8");
	assert_string_equal(match(s, 1, "server.started", 78), "1");
	assert_string_equal(match(s, 1, "never.heard.of", 0), "1");
	assert_string_equal(match(s, 1, "order.create", 0), "1 7");
	assert_string_equal(match(s, 2, "order.created", 0), "10");
	assert_string_equal(match(s, 3, "order.created", 0), "");
	assert_int_equal(hl_subscriptions_generation(s, 3), 0);
	struct hl_subscriptions_counts c;
	hl_subscriptions_count(s, &c);
	assert_int_equal(c.enabled, 8);
	assert_int_equal(c.paused, 1);
	assert_int_equal(c.disabled, 1);
	hl_subscriptions_destroy(s);
}

static void changes(void **state)
{
	(void)state;
	struct hl_subscriptions *s = make();
	struct hl_subscriptions_counts c;
	put(s, 1, 5, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_ENABLED);
	put(s, 1, 3, HL_DIALECT_HOOKLINE, "a", 0, HL_WEBHOOK_ENABLED);
	assert_int_equal(hl_subscriptions_generation(s, 1), 2);
	assert_string_equal(match(s, 1, "a", 0), "3 5");
	put(s, 1, 3, HL_DIALECT_HOOKLINE, "b", 0, HL_WEBHOOK_ENABLED);
	assert_string_equal(match(s, 1, "a", 0), "5");
	assert_string_equal(match(s, 1, "b", 0), "3 5");
	put(s, 1, 5, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_PAUSED);
	assert_string_equal(match(s, 1, "b", 0), "3");
	put(s, 1, 5, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_ENABLED);
	assert_string_equal(match(s, 1, "b", 0), "3 5");
	put(s, 1, 5, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_DELETED);
	assert_string_equal(match(s, 1, "b", 0), "3");
	uint64_t generation = hl_subscriptions_generation(s, 1);
	hl_subscriptions_remove(s, 1, 5);
	hl_subscriptions_remove(s, 1, 99);
	hl_subscriptions_remove(s, 9, 3);
	assert_int_equal(hl_subscriptions_generation(s, 1), generation);
	hl_subscriptions_remove(s, 1, 3);
	assert_int_equal(hl_subscriptions_generation(s, 1), generation + 1);
	assert_string_equal(match(s, 1, "b", 0), "");
	put(s, 1, 3, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_ENABLED);
	assert_int_equal(hl_subscriptions_generation(s, 1), generation + 2); /* did not start again */
	hl_subscriptions_count(s, &c);
	assert_int_equal(c.enabled + c.paused + c.disabled, 1);
	hl_subscriptions_destroy(s);
}

static void cached(void **state)
{
	(void)state;
	struct hl_subscriptions *s = make();
	struct hl_targets *a, *b, *c;
	for (uint32_t i = 1; i <= 1000; i++)
		put(s, 1, i, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_ENABLED);
	put(s, 2, 2000, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_ENABLED);
	assert_int_equal(hl_subscriptions_match(s, 1, HL_STR("a"), 0, &a), 0);
	assert_int_equal(a->n, 1000);
	assert_int_equal(asked, 4);
	assert_int_equal(hl_subscriptions_match(s, 1, HL_STR("a"), 0, &b), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(asked, 4);
	assert_int_equal(hl_subscriptions_match(s, 1, HL_STR("a"), 1, &c), 0);
	assert_ptr_not_equal(a, c);
	hl_targets_release(c);
	/* another account's change touches nothing */
	put(s, 2, 2001, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_ENABLED);
	assert_int_equal(hl_subscriptions_match(s, 1, HL_STR("a"), 0, &c), 0);
	assert_ptr_equal(a, c);
	hl_targets_release(c);
	/* its own does; who holds the old answer keeps it */
	hl_subscriptions_remove(s, 1, 500);
	assert_int_equal(hl_subscriptions_match(s, 1, HL_STR("a"), 0, &c), 0);
	assert_int_equal(c->n, 999);
	assert_int_equal(a->n, 1000);
	assert_int_equal(a->items[499].webhook, 500);
	assert_true(a->generation < c->generation);
	hl_targets_release(a);
	hl_targets_release(b);
	/* the catalogue */
	put(s, 1, 3000, HL_DIALECT_BITNOB, NULL, 0, HL_WEBHOOK_ENABLED);
	hl_targets_release(c);
	assert_int_equal(hl_subscriptions_match(s, 1, HL_STR("new"), 0, &c), 0);
	assert_int_equal(c->n, 999);
	hl_targets_release(c);
	extra = HL_STR("new");
	hl_subscriptions_catalogue_changed(s);
	assert_int_equal(hl_subscriptions_match(s, 1, HL_STR("new"), 0, &c), 0);
	assert_int_equal(c->n, 1000);
	hl_subscriptions_destroy(s); /* still held */
	assert_int_equal(c->items[999].webhook, 3000);
	hl_targets_hold(c);
	hl_targets_release(c);
	hl_targets_release(c);
}

/* The cache has a limit over all accounts, and a publisher with ever new types cannot exceed it. */
static void cache_limit(void **state)
{
	(void)state;
	struct hl_subscriptions *s = make();
	struct hl_subscriptions_counts c;
	struct hl_targets *t;
	size_t most = 0;
	for (uint32_t i = 1; i <= 2000; i++)
		put(s, 1 + i % 2, i, HL_DIALECT_HOOKLINE, NULL, 0, HL_WEBHOOK_ENABLED);
	for (unsigned i = 0; i < 5000; i++) {
		char type[32];
		snprintf(type, sizeof type, "type.%u", i);
		assert_int_equal(hl_subscriptions_match(s, 1 + i % 2, hl_str_from(type), 0, &t), 0);
		assert_int_equal(t->n, 1000);
		hl_targets_release(t);
		hl_subscriptions_count(s, &c);
		assert_true(c.cached_bytes <= HL_SUBSCRIPTIONS_CACHE_BYTES_MAX);
		most = HL_MAX(most, c.cached_bytes);
	}
	assert_true(most > HL_SUBSCRIPTIONS_CACHE_BYTES_MAX / 2);
	hl_subscriptions_destroy(s);
}

/* ---- against the twin ---- */

enum { N = 40, ACCOUNTS = 3, TYPES = 6 };
static const char *const types[TYPES] = { "order.created", "alert.triggered", "server.started", "x", "y", "order.x" };

struct twin {
	bool exists;
	enum hl_dialect dialect;
	enum hl_webhook_state state;
	unsigned filter; /* bit set, 0 = all */
	uint64_t server;
};

static void twin_match(const struct twin *w, uint32_t account, unsigned type, uint64_t server, char *text, size_t cap)
{
	size_t n = 0;
	text[0] = '\0';
	for (uint32_t i = 0; i < N; i++) {
		const struct twin *x = &w[i];
		struct hl_str name = hl_str_from(types[type]);
		if (!x->exists || i % ACCOUNTS + 1 != account || x->state != HL_WEBHOOK_ENABLED)
			continue;
		if (x->dialect != HL_DIALECT_HOOKLINE && !in_catalogue(&extra, x->dialect, name))
			continue;
		if ((x->filter && !(x->filter & 1u << type)) || (x->server && x->server != server))
			continue;
		n += (size_t)snprintf(text + n, cap - n, "%s%u", n ? " " : "", i + 1);
	}
}

static void twin(void **state)
{
	(void)state;
	struct hl_subscriptions *s = make();
	struct twin w[N] = { 0 };
	struct fakeenv f;
	fakeenv_init(&f, 42);
	for (int round = 0; round < 20000; round++) {
		uint32_t i = (uint32_t)(fakeenv_next(&f) % N), account = i % ACCOUNTS + 1;
		uint64_t dice = fakeenv_next(&f);
		if (dice % 4 == 0) {
			struct hl_str list[TYPES];
			size_t n = 0;
			w[i] = (struct twin){ .exists = dice >> 8 & 3, .dialect = (dice >> 10) % HL_DIALECT_N,
				.state = (dice >> 20 & 3) ? HL_WEBHOOK_ENABLED : HL_WEBHOOK_PAUSED,
						.filter = dice >> 24 & 63,
				.server = (dice >> 32 & 3) ? 0 : 1 + (dice >> 34 & 1) };
			for (unsigned t = 0; t < TYPES; t++) {
				if (w[i].filter & 1u << t)
					list[n++] = hl_str_from(types[t]);
			}
			struct hl_webhook put = { .account = account, .number = i + 1, .revision = (i + 1) * 10,
				.dialect = w[i].dialect, .state = w[i].state, .event_types = list, .n_event_types = n,
				.server = w[i].server };
			if (w[i].exists)
				assert_int_equal(hl_subscriptions_put(s, &put), 0);
			else
				hl_subscriptions_remove(s, account, i + 1);
		} else {
			char want[256];
			unsigned type = (unsigned)(dice >> 8) % TYPES;
			uint64_t server = (dice >> 16) % 3;
			twin_match(w, account, type, server, want, sizeof want);
			assert_string_equal(match(s, account, types[type], server), want);
		}
	}
	hl_subscriptions_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules), cmocka_unit_test(changes), cmocka_unit_test(cached),
		cmocka_unit_test(cache_limit),
		cmocka_unit_test(twin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
