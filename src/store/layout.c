/* Records of events, deliveries, attempts and counters as bytes (layout_conf.c has the others).
 *
 * Encoding appends to a buffer and cannot fail but for memory, which the buffer remembers. Texts longer than their
 * bound are cut there, on a UTF-8 boundary: a receiver's long answer must not make a record that cannot be read.
 *
 * Decoding reads every member, lets the reader remember the first thing that does not fit, and judges at the end:
 * trailing bytes, numbers out of range and enums nobody defined are all HL_ECORRUPT. */
#include "store/layout.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/utf8.h"
#include "store/pack.h"

enum { ATTEMPT_TEXT_MAX = 1000, ATTEMPT_BODY_MAX = 4 * HL_RESPONSE_CHARS_MAX, ATTEMPT_PEER_MAX = 64 };

const char *hl_table_name(enum hl_table t)
{
	static const char *const names[] = {
#define HL_X(NAME, name, what) [HL_TABLE_##NAME] = name,
		HL_TABLE_TABLE(HL_X)
#undef HL_X
	};
	HL_CHECK(t < HL_TABLE_N);
	return names[t];
}

static void pack_cut(struct hl_buf *b, struct hl_str s, size_t max)
{
	hl_pack_str(b, s.len > max ? hl_utf8_cut_bytes(s, max) : s);
}

static int verdict(const struct hl_unpack *u)
{
	return hl_unpack_done(u) ? 0 : HL_ECORRUPT;
}

void hl_event_row_encode(struct hl_buf *b, const struct hl_event_row *r)
{
	hl_pack_u64(b, r->account);
	hl_pack_u64(b, r->server);
	hl_pack_ms(b, r->created_at_ms);
	hl_pack_ms(b, r->occurred_at_ms);
	hl_pack_ms(b, r->deliver_after_ms);
	hl_pack_ms(b, r->expires_at_ms);
	hl_pack_u64(b, r->first_delivery);
	hl_pack_u64(b, r->n_deliveries);
	hl_pack_str(b, r->type);
	hl_pack_str(b, r->external_id);
	hl_pack_str(b, r->data);
}

int hl_event_row_decode(struct hl_str bytes, struct hl_event_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_event_row r = { .account = hl_unpack_u32(&u) };
	r.server = hl_unpack_u64(&u);
	r.created_at_ms = hl_unpack_ms(&u);
	r.occurred_at_ms = hl_unpack_ms(&u);
	r.deliver_after_ms = hl_unpack_ms(&u);
	r.expires_at_ms = hl_unpack_ms(&u);
	r.first_delivery = hl_unpack_u64(&u);
	r.n_deliveries = hl_unpack_u32(&u);
	r.type = hl_unpack_str(&u, HL_EVENT_TYPE_MAX);
	r.external_id = hl_unpack_str(&u, HL_EXTERNAL_ID_MAX);
	r.data = hl_unpack_str(&u, HL_EVENT_DATA_MAX);
	if (r.first_delivery + r.n_deliveries < r.first_delivery)
		u.bad = true;
	if (verdict(&u))
		return HL_ECORRUPT;
	*out = r;
	return 0;
}

/* Members of a delivery that most rows do not have. */
enum {
	HAS_ATTEMPTS = 1 << 0, HAS_NEXT = 1 << 1, HAS_COMPLETED = 1 << 2, HAS_WINDOW = 1 << 3, HAS_EXPIRES = 1 << 4,
	HAS_FIRST = 1 << 5, HAS_ERROR = 1 << 6, HAS_HINTS = 1 << 7, HAS_FLAGS = 1 << 8, HAS_RETRY_OF = 1 << 9,
	HAS_ALL = (1 << 10) - 1,
};

static unsigned delivery_mask(const struct hl_delivery_row *r)
{
	unsigned m = 0;
	m |= r->n_attempts || r->n_scheduled || r->last_class || r->last_status ? HAS_ATTEMPTS : 0;
	m |= r->next_at_ms ? HAS_NEXT : 0;
	m |= r->completed_at_ms ? HAS_COMPLETED : 0;
	m |= r->window_from_ms ? HAS_WINDOW : 0;
	m |= r->expires_at_ms ? HAS_EXPIRES : 0;
	m |= r->first_attempt.len ? HAS_FIRST : 0;
	m |= r->last_error.len ? HAS_ERROR : 0;
	m |= r->n_hints ? HAS_HINTS : 0;
	m |= r->flags ? HAS_FLAGS : 0;
	m |= r->retry_of ? HAS_RETRY_OF : 0;
	return m;
}

void hl_delivery_row_encode(struct hl_buf *b, const struct hl_delivery_row *r)
{
	unsigned m = delivery_mask(r);
	hl_pack_u8(b, (uint8_t)(r->state | r->dialect << 2));
	hl_pack_u64(b, m);
	hl_pack_u64(b, r->event);
	hl_pack_u64(b, r->account);
	hl_pack_u64(b, r->webhook);
	hl_pack_u64(b, r->revision);
	hl_pack_ms(b, r->created_at_ms);
	if (m & HAS_ATTEMPTS) {
		hl_pack_u8(b, r->last_class);
		hl_pack_u64(b, r->last_status);
		hl_pack_u64(b, r->n_attempts);
		hl_pack_u64(b, r->n_scheduled);
	}
	if (m & HAS_NEXT) {
		hl_pack_u8(b, r->wait);
		hl_pack_ms(b, r->next_at_ms);
	}
	if (m & HAS_COMPLETED)
		hl_pack_ms(b, r->completed_at_ms);
	if (m & HAS_WINDOW)
		hl_pack_ms(b, r->window_from_ms);
	if (m & HAS_EXPIRES)
		hl_pack_ms(b, r->expires_at_ms);
	if (m & HAS_FIRST)
		hl_pack_str(b, r->first_attempt);
	if (m & HAS_ERROR)
		pack_cut(b, r->last_error, HL_LAST_ERROR_MAX);
	if (m & HAS_HINTS)
		hl_pack_u8(b, r->n_hints);
	if (m & HAS_FLAGS)
		hl_pack_u8(b, r->flags);
	if (m & HAS_RETRY_OF)
		hl_pack_u64(b, r->retry_of);
}

static void delivery_optional(struct hl_unpack *u, unsigned m, struct hl_delivery_row *r)
{
	if (m & HAS_ATTEMPTS) {
		r->last_class = (uint8_t)hl_unpack_max(u, HL_CLASS_N - 1);
		r->last_status = (uint16_t)hl_unpack_max(u, UINT16_MAX);
		r->n_attempts = hl_unpack_u32(u);
		r->n_scheduled = hl_unpack_u32(u);
	}
	if (m & HAS_NEXT) {
		r->wait = (uint8_t)hl_unpack_max(u, HL_WAIT_N - 1);
		r->next_at_ms = hl_unpack_ms(u);
	}
	if (m & HAS_COMPLETED)
		r->completed_at_ms = hl_unpack_ms(u);
	if (m & HAS_WINDOW)
		r->window_from_ms = hl_unpack_ms(u);
	if (m & HAS_EXPIRES)
		r->expires_at_ms = hl_unpack_ms(u);
	if (m & HAS_FIRST)
		r->first_attempt = hl_unpack_str(u, HL_FIRST_ATTEMPT_MAX);
	if (m & HAS_ERROR)
		r->last_error = hl_unpack_str(u, HL_LAST_ERROR_MAX);
	if (m & HAS_HINTS)
		r->n_hints = hl_unpack_u8(u);
	if (m & HAS_FLAGS)
		r->flags = (uint8_t)hl_unpack_max(u, HL_DF_ALL);
	if (m & HAS_RETRY_OF)
		r->retry_of = hl_unpack_u64(u);
}

int hl_delivery_row_decode(struct hl_str bytes, struct hl_delivery_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	uint8_t head = hl_unpack_u8(&u);
	unsigned m = (unsigned)hl_unpack_max(&u, HAS_ALL);
	struct hl_delivery_row r = { .state = head & 3, .dialect = head >> 2 };
	r.event = hl_unpack_u64(&u);
	r.account = hl_unpack_u32(&u);
	r.webhook = hl_unpack_u32(&u);
	r.revision = hl_unpack_u32(&u);
	r.created_at_ms = hl_unpack_ms(&u);
	delivery_optional(&u, m, &r);
	if (r.dialect >= HL_DIALECT_N || (r.state == HL_DELIVERY_PENDING) != (r.completed_at_ms == 0) ||
			(r.state != HL_DELIVERY_PENDING && r.next_at_ms != 0))
		u.bad = true;
	if (verdict(&u))
		return HL_ECORRUPT;
	*out = r;
	return 0;
}

void hl_attempt_encode(struct hl_buf *b, const struct hl_attempt *a)
{
	hl_pack_u64(b, a->number);
	hl_pack_u8(b, (uint8_t)(a->trigger << 1 | a->succeeded));
	hl_pack_u8(b, (uint8_t)a->error_class);
	hl_pack_u64(b, a->http_status);
	hl_pack_ms(b, a->started_at_ms);
	hl_pack_ms(b, a->next_at_ms);
	pack_cut(b, a->error, ATTEMPT_TEXT_MAX);
	pack_cut(b, a->response_body, ATTEMPT_BODY_MAX);
	pack_cut(b, a->address, ATTEMPT_PEER_MAX);
	pack_cut(b, a->tls, ATTEMPT_PEER_MAX);
	const int32_t times[] = { a->dns_ms, a->connect_ms, a->tls_ms, a->first_byte_ms, a->total_ms };
	for (size_t i = 0; i < HL_ARRAY_LEN(times); i++)
		hl_pack_u64(b, times[i] < 0 ? 0 : (uint64_t)times[i] + 1); /* 0 = not reached */
}

int hl_attempt_decode(struct hl_str bytes, struct hl_attempt *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_attempt a = { .number = hl_unpack_u32(&u) };
	uint8_t head = hl_unpack_u8(&u);
	a.succeeded = head & 1;
	a.trigger = (enum hl_trigger)(head >> 1);
	a.error_class = (enum hl_class)hl_unpack_max(&u, HL_CLASS_N - 1);
	a.http_status = (uint16_t)hl_unpack_max(&u, UINT16_MAX);
	a.started_at_ms = hl_unpack_ms(&u);
	a.next_at_ms = hl_unpack_ms(&u);
	a.error = hl_unpack_str(&u, ATTEMPT_TEXT_MAX);
	a.response_body = hl_unpack_str(&u, ATTEMPT_BODY_MAX);
	a.address = hl_unpack_str(&u, ATTEMPT_PEER_MAX);
	a.tls = hl_unpack_str(&u, ATTEMPT_PEER_MAX);
	int32_t *times[] = { &a.dns_ms, &a.connect_ms, &a.tls_ms, &a.first_byte_ms, &a.total_ms };
	for (size_t i = 0; i < HL_ARRAY_LEN(times); i++)
		*times[i] = (int32_t)((int64_t)hl_unpack_max(&u, (uint64_t)INT32_MAX + 1) - 1);
	if (a.trigger >= HL_TRIGGER_N || a.number == 0)
		u.bad = true;
	if (verdict(&u))
		return HL_ECORRUPT;
	*out = a;
	return 0;
}

void hl_due_encode(struct hl_buf *b, const struct hl_due *d)
{
	hl_pack_u8(b, d->why);
	hl_pack_u64(b, d->attempts);
	hl_pack_u64(b, d->event);
	hl_pack_ms(b, d->expires_at_ms);
	hl_pack_ms(b, d->set_at_ms);
	hl_pack_u64(b, d->drain_gen);
}

int hl_due_decode(struct hl_str key, struct hl_str bytes, uint32_t *out_webhook, struct hl_due *out)
{
	if (key.len != 20)
		return HL_ECORRUPT;
	const uint8_t *k = (const uint8_t *)key.ptr;
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_due d = { .delivery = hl_be64_get(k + 12) };
	uint64_t due = hl_be64_get(k + 4);
	d.why = (uint8_t)hl_unpack_max(&u, HL_WAIT_N - 1);
	d.attempts = hl_unpack_u32(&u);
	d.event = hl_unpack_u64(&u);
	d.expires_at_ms = hl_unpack_ms(&u);
	d.set_at_ms = hl_unpack_ms(&u);
	d.drain_gen = hl_unpack_u32(&u);
	if (verdict(&u) || due == 0 || due > HL_UNPACK_MS_MAX)
		return HL_ECORRUPT;
	d.due_at_ms = (hl_ms_t)due;
	*out_webhook = hl_be32_get(k);
	*out = d;
	return 0;
}

void hl_counts_encode(struct hl_buf *b, const struct hl_counts *c)
{
	for (size_t i = 0; i < HL_DELIVERY_STATE_N; i++)
		hl_pack_u64(b, c->by_state[i]);
	hl_pack_u8(b, HL_CLASS_N);
	for (size_t i = 0; i < HL_CLASS_N; i++)
		hl_pack_u64(b, c->pending_by_class[i]);
	hl_pack_ms(b, c->last_attempt_at_ms);
	hl_pack_ms(b, c->last_success_at_ms);
	hl_pack_ms(b, c->last_failure_at_ms);
	hl_pack_u8(b, c->last_class);
	hl_pack_u64(b, c->last_status);
	hl_pack_u64(b, c->fresh_from);
	hl_pack_u64(b, c->drain_gen);
	hl_pack_u8(b, c->parked);
	hl_pack_str(b, (struct hl_str){ c->last_failure, c->last_failure_len });
}

int hl_counts_decode(struct hl_str bytes, struct hl_counts *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_counts c = { .last_class = 0 };
	for (size_t i = 0; i < HL_DELIVERY_STATE_N; i++)
		c.by_state[i] = hl_unpack_u64(&u);
	uint64_t n_classes = hl_unpack_max(&u, HL_CLASS_N); /* an older program knew fewer */
	for (size_t i = 0; i < n_classes; i++)
		c.pending_by_class[i] = hl_unpack_u64(&u);
	c.last_attempt_at_ms = hl_unpack_ms(&u);
	c.last_success_at_ms = hl_unpack_ms(&u);
	c.last_failure_at_ms = hl_unpack_ms(&u);
	c.last_class = (uint8_t)hl_unpack_max(&u, HL_CLASS_N - 1);
	c.last_status = (uint16_t)hl_unpack_max(&u, UINT16_MAX);
	c.fresh_from = hl_unpack_u64(&u);
	c.drain_gen = hl_unpack_u32(&u);
	c.parked = hl_unpack_max(&u, 1) != 0;
	struct hl_str text = hl_unpack_str(&u, HL_LAST_ERROR_MAX);
	if (verdict(&u))
		return HL_ECORRUPT;
	c.last_failure_len = (uint8_t)text.len;
	memcpy(c.last_failure, text.ptr, text.len);
	*out = c;
	return 0;
}

void hl_totals_encode(struct hl_buf *b, const struct hl_totals *t)
{
	hl_pack_u64(b, t->generation);
	hl_pack_u64(b, t->events);
	for (size_t i = 0; i < HL_ARRAY_LEN(t->webhooks); i++)
		hl_pack_u64(b, t->webhooks[i]);
	hl_pack_u8(b, HL_DIALECT_N);
	for (size_t i = 0; i < HL_DIALECT_N; i++)
		hl_pack_u64(b, t->deliveries[i]);
	for (size_t i = 0; i < HL_DELIVERY_STATE_N; i++)
		hl_pack_u64(b, t->by_state[i]);
	hl_pack_u64(b, t->alerts_enabled);
	hl_pack_u8(b, HL_DIALECT_N);
	for (size_t i = 0; i < HL_DIALECT_N; i++) {
		hl_pack_u64(b, t->alerts[i]);
		hl_pack_u64(b, t->alert_events[i]);
	}
}

static void unpack_alert_totals(struct hl_unpack *u, struct hl_totals *t)
{
	t->alerts_enabled = hl_unpack_u64(u);
	uint64_t n_dialects = hl_unpack_max(u, HL_DIALECT_N);
	for (size_t i = 0; i < n_dialects; i++) {
		t->alerts[i] = hl_unpack_u64(u);
		t->alert_events[i] = hl_unpack_u64(u);
	}
}

int hl_totals_decode(struct hl_str bytes, struct hl_totals *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_totals t = { .generation = hl_unpack_u64(&u) };
	t.events = hl_unpack_u64(&u);
	for (size_t i = 0; i < HL_ARRAY_LEN(t.webhooks); i++)
		t.webhooks[i] = hl_unpack_u64(&u);
	uint64_t n_dialects = hl_unpack_max(&u, HL_DIALECT_N);
	for (size_t i = 0; i < n_dialects; i++)
		t.deliveries[i] = hl_unpack_u64(&u);
	for (size_t i = 0; i < HL_DELIVERY_STATE_N; i++)
		t.by_state[i] = hl_unpack_u64(&u);
	if (!hl_unpack_done(&u)) /* format 1 ends here */
		unpack_alert_totals(&u, &t);
	if (verdict(&u))
		return HL_ECORRUPT;
	*out = t;
	return 0;
}

void hl_idem_row_encode(struct hl_buf *b, const struct hl_idem_row *r)
{
	hl_buf_add(b, r->fingerprint, sizeof(r->fingerprint));
	hl_pack_ms(b, r->created_at_ms);
	hl_pack_u8(b, r->kind);
	hl_pack_u64(b, r->number);
	hl_pack_str(b, r->answer);
}

int hl_idem_row_decode(struct hl_str bytes, struct hl_idem_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_idem_row r = { .kind = 0 };
	struct hl_str fingerprint = hl_unpack_bytes(&u, sizeof(r.fingerprint));
	r.created_at_ms = hl_unpack_ms(&u);
	r.kind = hl_unpack_u8(&u);
	r.number = hl_unpack_u64(&u);
	r.answer = hl_unpack_str(&u, HL_IDEM_ANSWER_MAX);
	if (verdict(&u))
		return HL_ECORRUPT;
	memcpy(r.fingerprint, fingerprint.ptr, fingerprint.len);
	*out = r;
	return 0;
}

void hl_job_row_encode(struct hl_buf *b, const struct hl_job_row *r)
{
	hl_pack_u64(b, r->number);
	hl_pack_u8(b, r->kind);
	hl_pack_u64(b, r->account);
	hl_pack_u64(b, r->webhook);
	hl_pack_ms(b, r->created_at_ms);
	hl_pack_u64(b, r->cursor);
	hl_pack_u64(b, r->upto);
	hl_pack_ms(b, r->since_ms);
	hl_pack_ms(b, r->until_ms);
	hl_pack_u64(b, (uint64_t)(r->error_class + 1));
	hl_pack_str(b, r->type);
	hl_pack_ms(b, r->before_ms);
	hl_pack_u64(b, r->used_max);
}

int hl_job_row_decode(struct hl_str bytes, struct hl_job_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_job_row r = { .number = hl_unpack_u64(&u) };
	r.kind = (uint8_t)hl_unpack_max(&u, HL_JOB_N - 1);
	r.account = hl_unpack_u32(&u);
	r.webhook = hl_unpack_u32(&u);
	r.created_at_ms = hl_unpack_ms(&u);
	r.cursor = hl_unpack_u64(&u);
	r.upto = hl_unpack_u64(&u);
	r.since_ms = hl_unpack_ms(&u);
	r.until_ms = hl_unpack_ms(&u);
	r.error_class = (int)hl_unpack_max(&u, HL_CLASS_N) - 1;
	r.type = hl_unpack_str(&u, HL_EVENT_TYPE_MAX);
	r.before_ms = hl_unpack_ms(&u);
	r.used_max = hl_unpack_u64(&u);
	if (verdict(&u))
		return HL_ECORRUPT;
	*out = r;
	return 0;
}
