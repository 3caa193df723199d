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

static void made(void *data, int status, const struct hl_err *err, const struct hl_alert_batch_result *v, size_t n)
{
	struct hl_alert_batch *b = data;
	size_t k = 0;
	for (size_t i = 0; !status && i < b->n; i++) {
		struct hl_alert_batch_entry *e = &b->v[i];
		if (e->status)
			continue;
		HL_CHECK(k < n);
		e->status = v[k].status;
		e->err = v[k].err;
		e->alert = v[k].alert;
		k++;
	}
	answer(b, status, err);
}

void hl_alert_batch_go(struct hl_alert_batch *b, const struct hl_alert_gate *gate)
{
	struct hl_err err = { .code = 0 };
	size_t n = 0;
	struct hl_alert *v = calloc(HL_ALERT_BATCH_MAX, sizeof(*v));
	for (size_t i = 0; v && i < b->n; i++)
		if (!b->v[i].status)
			v[n++] = b->v[i].alert;
	int rc = v ? HL_OK : HL_ENOMEM;
	if (!rc && n)
		rc = hl_alert_create_batch(b->call->api->alerts, v, n, gate, made, b, &err);
	free(v);
	if (rc || !n)
		answer(b, rc, &err);
}
