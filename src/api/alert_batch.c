/* The library gets the good entries without gaps; its results come back in that order and find their places again. */
#include "api/alert_batch.h"

#include "base/check.h"

#include <stdlib.h>

struct hl_alert_batch *hl_alert_batch_new(struct hl_call *c, size_t n,
		void (*answer)(struct hl_alert_batch *b, int status, const struct hl_err *err))
{
	HL_CHECK(n <= HL_ALERT_BATCH_MAX);
	struct hl_alert_batch *b = calloc(1, sizeof(*b));
	if (b) {
		b->call = c;
		b->answer = answer;
		b->n = n;
	}
	return b;
}

void hl_alert_batch_free(struct hl_alert_batch *b)
{
	free(b);
}

size_t hl_alert_batch_made(const struct hl_alert_batch *b)
{
	size_t n = 0;
	for (size_t i = 0; i < b->n; i++)
		n += b->v[i].status == HL_OK;
	return n;
}

static void answer(struct hl_alert_batch *b, int status, const struct hl_err *err)
{
	b->answer(b, status, err);
	free(b);
}

/* The library's results to their places; they are the same when they are shown beforehand and when they are durable. */
static void merge(struct hl_alert_batch *b, const struct hl_alert_batch_made *m)
{
	size_t k = 0;
	for (size_t i = 0; i < b->n && k < m->n; i++) {
		struct hl_alert_batch_entry *e = &b->v[i];
		if (!e->given)
			continue;
		e->status = m->v[k].status;
		e->err = m->v[k].err;
		e->alert = m->v[k].alert;
		k++;
	}
	HL_CHECK(k == m->n);
}

static struct hl_str render(void *data, const void *object, struct hl_str secret)
{
	struct hl_alert_batch *b = data;
	(void)secret;
	merge(b, object);
	b->write(b);
	return hl_buf_all(&b->call->out);
}

static void made(void *data, int status, const struct hl_err *err, const struct hl_alert_batch_made *m)
{
	struct hl_alert_batch *b = data;
	if (!status && m->replayed)
		b->kept = m->answer;
	else if (!status)
		merge(b, m);
	answer(b, status, err);
}

/* The request's key, when it has one and the answer can be written beforehand. */
static const struct hl_idempotency *key_of(struct hl_alert_batch *b)
{
	struct hl_call *c = b->call;
	if (!c->once || !b->write)
		return NULL;
	c->idem.render = render;
	c->idem.data = b;
	return &c->idem;
}

void hl_alert_batch_go(struct hl_alert_batch *b, const struct hl_alert_gate *gate)
{
	struct hl_err err = { .code = 0 };
	size_t n = 0;
	struct hl_alert *v = calloc(HL_ALERT_BATCH_MAX, sizeof(*v));
	for (size_t i = 0; v && i < b->n; i++) {
		b->v[i].given = !b->v[i].status;
		if (b->v[i].given)
			v[n++] = b->v[i].alert;
	}
	int rc = v ? HL_OK : HL_ENOMEM;
	if (!rc && n)
		rc = hl_alert_create_batch(b->call->api->alerts, v, n, gate, key_of(b), made, b, &err);
	free(v);
	if (rc || !n)
		answer(b, rc, &err);
}
