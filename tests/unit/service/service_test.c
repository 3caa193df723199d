#include "service_test.h"

#include "base/codec.h"
#include "base/str.h"

#include <stdlib.h>

/* ---- what a dispatcher would offer -------------------------------------------------------------------------------- */

struct hl_store *hl_dispatcher_store(struct hl_dispatcher *d) { return d->store; }
struct hl_commit *hl_dispatcher_commit(struct hl_dispatcher *d) { return d->commit; }
const struct hl_env *hl_dispatcher_env(const struct hl_dispatcher *d) { return d->env; }
const struct hl_log *hl_dispatcher_log(const struct hl_dispatcher *d) { return &d->log; }

uint64_t hl_dispatcher_numbers_take(struct hl_dispatcher *d, enum hl_id_kind kind)
{
	switch (kind) {
	case HL_ID_ACCOUNT: return d->numbers.account++;
	case HL_ID_KEY: return d->numbers.key++;
	default: return d->numbers.server++;
	}
}

void hl_dispatcher_account_changed(struct hl_dispatcher *d, uint32_t account)
{
	(void)account;
	assert_non_null(d);
}

void hl_id_format(const struct hl_dispatcher *d, enum hl_id_kind kind, uint64_t number, hl_ms_t created_at_ms,
		char out[HL_ID_CAP])
{
	(void)d;
	snprintf(out, HL_ID_CAP, "%08x-0000-7000-8000-%012llx", (unsigned)kind, (unsigned long long)(number + (uint64_t)created_at_ms * 0));
}

/* ---- the fixture -------------------------------------------------------------------------------------------------- */

static void open_all(struct fixture *f)
{
	struct hl_store_options so = { .dir = f->dir.path, .create = true, .max_bytes = 64 << 20, .reserve_bytes = 1 << 20, .env = &f->env.env };
	struct hl_commit_options co = { .threaded = false };
	struct hl_err err = { .code = 0 };
	if (hl_store_open(&f->store, &so, &err))
		fail_msg("store: %s", err.text);
	assert_int_equal(hl_commit_open(&f->commit, NULL, f->store, &co, &err), 0);
	f->dispatcher->store = f->store;
	f->dispatcher->commit = f->commit;
	f->dispatcher->env = &f->env.env;
	hl_store_next_numbers(hl_store_read(f->store), &f->dispatcher->numbers);
	if (f->dispatcher->numbers.account <= HL_ACCOUNT_DEFAULT)
		f->dispatcher->numbers.account = HL_ACCOUNT_DEFAULT + 1;
	assert_int_equal(hl_service_open(&f->service, f->dispatcher, NULL, &err), 0);
	step(f);
}

static void on_closed(void *data)
{
	*(bool *)data = true;
}

static void close_all(struct fixture *f)
{
	bool closed = false;
	hl_service_close(f->service, on_closed, &closed);
	step(f);
	assert_true(closed);
	closed = false;
	hl_commit_close(f->commit, on_closed, &closed);
	assert_true(closed);
	hl_store_close(f->store);
}

int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	tmpdir_make(&f->dir);
	fakeenv_init(&f->env, 1);
	f->dispatcher = calloc(1, sizeof(*f->dispatcher));
	open_all(f);
	*state = f;
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;
	close_all(f);
	tmpdir_remove(&f->dir);
	free(f->dispatcher);
	free(f);
	return 0;
}

void reopen(struct fixture *f)
{
	close_all(f);
	open_all(f);
}

void step(struct fixture *f)
{
	while (hl_commit_step(f->commit))
		;
}

static void note(struct fixture *f, int status, const struct hl_err *err, const struct hl_change_result *r)
{
	f->n_done++;
	f->status = status;
	f->err = err ? *err : (struct hl_err){ .code = 0 };
	f->replayed = r && r->replayed;
	assert_true((status == 0) == (r != NULL));
	assert_true((status != 0) == (err != NULL));
	f->secret[0] = f->answer[0] = '\0';
	if (r && r->secret.len)
		snprintf(f->secret, sizeof(f->secret), "%.*s", HL_FMT(r->secret));
	if (r && r->answer.len)
		snprintf(f->answer, sizeof(f->answer), "%.*s", HL_FMT(r->answer));
}

void on_account(void *data, int status, const struct hl_err *err, const struct hl_change_result *r)
{
	struct fixture *f = data;
	note(f, status, err, r);
	if (r && r->object)
		f->account = *(const struct hl_account *)r->object;
}

void on_key(void *data, int status, const struct hl_err *err, const struct hl_change_result *r)
{
	struct fixture *f = data;
	note(f, status, err, r);
	if (r && r->object)
		f->key = *(const struct hl_key *)r->object;
}

void on_subject(void *data, int status, const struct hl_err *err, const struct hl_change_result *r)
{
	struct fixture *f = data;
	note(f, status, err, r);
	if (r && r->object)
		f->subject = *(const struct hl_subject *)r->object;
}

void on_other(void *data, int status, const struct hl_err *err, const struct hl_change_result *r)
{
	note(data, status, err, r);
}

static struct hl_str render(void *data, const void *object, struct hl_str secret)
{
	static char text[256];
	(void)data;
	assert_non_null(object);
	snprintf(text, sizeof(text), "answer:%.*s", HL_FMT(secret));
	return hl_str_from(text);
}

struct hl_idempotency once(const char *key, uint8_t fingerprint)
{
	struct hl_idempotency idem = { .scope = HL_STR("POST"), .key = hl_str_from(key), .render = render };
	memset(idem.fingerprint, fingerprint, sizeof(idem.fingerprint));
	return idem;
}
