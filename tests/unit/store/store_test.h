/* What the tests of the store floor share: cmocka with its headers, a generator with a seed, a store in a directory of
 * its own, and short ways to begin, commit and look. */
#ifndef HL_TESTS_STORE_TEST_H
#define HL_TESTS_STORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/defs.h"
#include "fakeenv.h"
#include "store/audit.h"
#include "store/deliveries.h"
#include "store/events.h"
#include "store/store.h"
#include "store/webhooks.h"
#include "tmpdir.h"

/* splitmix64 */
struct rnd {
	uint64_t state;
};

static inline uint64_t rnd_u64(struct rnd *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline uint32_t rnd_below(struct rnd *r, uint32_t n)
{
	return (uint32_t)((rnd_u64(r) >> 32) * n >> 32);
}

struct fixture {
	struct tmpdir dir;
	struct fakeenv env;
	struct hl_store_options o;
	struct hl_store *store;
};

static inline void fixture_open(struct fixture *f)
{
	struct hl_err err = { 0 };
	int rc = hl_store_open(&f->store, &f->o, &err);
	if (rc)
		fail_msg("open: %d %s", rc, err.text);
}

static inline void fixture_reopen(struct fixture *f)
{
	hl_store_close(f->store);
	fixture_open(f);
}

static inline void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0); /* thousands of small commits: memory will do */
	tmpdir_make(&f->dir);
	fakeenv_init(&f->env, 1);
	f->o = (struct hl_store_options){ .dir = f->dir.path, .create = true, .env = &f->env.env, .reserve_bytes = 1 << 20 };
	fixture_open(f);
}

static inline void fixture_fini(struct fixture *f)
{
	hl_store_close(f->store);
	tmpdir_remove(&f->dir);
}

static inline struct hl_txn *begin(struct fixture *f)
{
	struct hl_txn *txn;
	assert_int_equal(hl_store_begin_write(f->store, &txn), 0);
	return txn;
}

static inline void commit(struct fixture *f, struct hl_txn *txn)
{
	assert_int_equal(hl_store_commit(txn), 0);
	hl_store_read_reset(f->store);
}

static inline struct hl_txn *reader(struct fixture *f)
{
	hl_store_read_reset(f->store);
	struct hl_txn *txn = hl_store_read(f->store);
	assert_int_equal(hl_txn_status(txn), 0);
	return txn;
}

static inline void put_webhook(struct hl_txn *txn, uint32_t number, uint32_t account, uint32_t revision,
		enum hl_webhook_state state)
{
	struct hl_webhook_row row = { .w = { .number = number, .account = account, .revision = revision, .state = state,
		.name = HL_STR("a receiver"), .url = HL_STR("http://receiver.example/hook"), .created_at_ms = fakeenv_epoch_ms } };
	hl_webhook_row_put(txn, &row);
}

static inline struct hl_event_row an_event(uint32_t account, uint64_t first, uint32_t n)
{
	return (struct hl_event_row){ .account = account, .created_at_ms = fakeenv_epoch_ms,
		.occurred_at_ms = fakeenv_epoch_ms, .first_delivery = first, .n_deliveries = n, .type = HL_STR("order.created"),
		.data = HL_STR("{\"n\":1}") };
}

static inline struct hl_delivery_row a_delivery(uint64_t event, uint32_t account, uint32_t webhook)
{
	return (struct hl_delivery_row){ .event = event, .account = account, .webhook = webhook, .revision = 1,
		.created_at_ms = fakeenv_epoch_ms };
}

static inline struct hl_attempt an_attempt(uint32_t number, bool succeeded)
{
	return (struct hl_attempt){ .number = number, .trigger = number == 1 ? HL_TRIGGER_PUBLISH : HL_TRIGGER_RETRY,
		.succeeded = succeeded, .error_class = succeeded ? HL_CLASS_NONE : HL_CLASS_HTTP_STATUS,
		.http_status = succeeded ? 200 : 503, .started_at_ms = fakeenv_epoch_ms + number, .error =
		succeeded ? HL_STR("") : HL_STR("503 Service Unavailable"), .response_body = HL_STR("ok"),
		.address = HL_STR("192.0.2.1:443"), .tls = HL_STR("TLSv1.3"), .dns_ms = -1, .connect_ms = 1, .tls_ms = 2,
		.first_byte_ms = 3, .total_ms = 4 };
}

static inline void print_damage(void *data, enum hl_audit_severity severity, const char *text)
{
	(void)severity;
	(void)data;
	print_message("audit: %s\n", text);
}

/* The store must be whole. */
static inline struct hl_audit_summary audit_clean(struct fixture *f)
{
	struct hl_audit_options o = { .report = print_damage };
	struct hl_audit_summary sum;
	struct hl_err err = { 0 };
	int rc = hl_audit(f->store, &o, &sum, &err);
	if (rc)
		fail_msg("audit: %d %s", rc, err.text);
	assert_int_equal(sum.damages, 0);
	return sum;
}

#endif
