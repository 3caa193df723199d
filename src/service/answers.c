/* Answers kept for idempotency keys outside a transaction of their change. A key in use stands in a map, so that a second
 * request with it is told to wait (HL_EBUSY) instead of doing the work twice. A crash between the work and the keeping
 * leaves nothing behind: the client's repetition does the work again. */
#include "service/internal.h"

#include "base/check.h"
#include "store/idem.h"

#include <stdlib.h>

struct hl_answer {
	struct hl_service *service;
	struct hl_buf name;      /* account, scope and key: what the map knows it by */
	struct hl_change *change;/* made at once, so that keeping can fail for want of disk only */
	hl_change_cb cb;
	void *data;
};

static void answer_close(struct hl_answer *a)
{
	HL_CHECK(hl_map_str_del(&a->service->answers, hl_buf_all(&a->name)) == a);
	hl_buf_fini(&a->name);
	free(a);
}

void hl_answers_fini(struct hl_service *s)
{
	size_t pos = 0;
	struct hl_str key;
	void *value;
	while (hl_map_str_next(&s->answers, &pos, &key, &value)) {
		struct hl_answer *a = value;
		if (a->change)
			hl_change_free(a->change);
		hl_buf_fini(&a->name);
		free(a);
	}
	hl_map_str_fini(&s->answers);
}

/* The look-up of change.c did all there is to do; what remains is that the row is put. */
static int keep_apply(struct hl_change *c, struct hl_txn *txn)
{
	(void)c;
	(void)txn;
	return HL_OK;
}

static void keep_done(void *data, int status, const struct hl_err *err, const struct hl_change_result *r)
{
	struct hl_answer *a = data;
	hl_change_cb cb = a->cb;
	void *cb_data = a->data;
	answer_close(a);
	cb(cb_data, status, err, r);
}

/* 1: the answer was kept before and is in out. 0: not. */
static int kept_before(struct hl_service *s, uint32_t account, const struct hl_idempotency *idem, struct hl_buf *out)
{
	struct hl_idem_row row;
	int rc = hl_idem_find(hl_store_read(s->store), account, idem->scope, idem->key, hl_env_wall_ms(s->env), &row);
	if (rc != 1)
		return rc;
	if (!hl_bytes_eq(row.fingerprint, idem->fingerprint, sizeof(row.fingerprint)))
		return HL_EMISMATCH;
	rc = hl_store_unseal(s->store, HL_SEAL_ANSWER, account, row.answer, out);
	return rc ? rc : 1;
}

static int answer_open(struct hl_service *s, uint32_t account, const struct hl_idempotency *idem, struct hl_answer *a)
{
	hl_buf_fmt(&a->name, "%u ", account);
	hl_buf_str(&a->name, idem->scope);
	hl_buf_char(&a->name, '\0');
	hl_buf_str(&a->name, idem->key);
	if (!hl_buf_ok(&a->name))
		return HL_ENOMEM;
	if (hl_map_str_get(&s->answers, hl_buf_all(&a->name)) || s->answers.count >= HL_ANSWERS_OPEN_MAX)
		return HL_EBUSY;
	a->change = hl_change_new(s, keep_apply, NULL, keep_done, a);
	if (!a->change)
		return HL_ENOMEM;
	struct hl_idempotency once = *idem;
	once.render = NULL; /* the answer comes later */
	int rc = hl_change_once(a->change, account, &once, NULL, HL_STR(""));
	return rc ? rc : hl_map_str_put(&s->answers, hl_buf_all(&a->name), a);
}

int hl_answer_begin(struct hl_service *s, uint32_t account, const struct hl_idempotency *idem, struct hl_buf *out,
		struct hl_answer **out_open)
{
	int rc = kept_before(s, account, idem, out);
	if (rc)
		return rc == 1 ? HL_EEXIST : rc;
	struct hl_answer *a = calloc(1, sizeof(*a));
	if (!a)
		return HL_ENOMEM;
	a->service = s;
	rc = answer_open(s, account, idem, a);
	if (rc) {
		if (a->change)
			hl_change_free(a->change);
		hl_buf_fini(&a->name);
		free(a);
		return rc;
	}
	*out_open = a;
	return HL_OK;
}

int hl_answer_keep(struct hl_answer *a, struct hl_str answer, hl_change_cb cb, void *data)
{
	struct hl_change *c = a->change;
	int rc = hl_store_seal(a->service->store, HL_SEAL_ANSWER, c->idem.account, answer, &c->idem.sealed);
	if (rc) {
		hl_answer_abandon(a);
		return rc;
	}
	a->cb = cb;
	a->data = data;
	a->change = NULL;
	c->command.grows = true;
	c->command.bytes += (uint32_t)answer.len;
	hl_change_submit(c);
	return HL_OK;
}

void hl_answer_abandon(struct hl_answer *a)
{
	hl_change_free(a->change);
	answer_close(a);
}
