/* Every record: a random one comes back as it was; each shorter or longer text, and bytes at random, are refused or
 * read as some valid record, never past their end (the sanitizers watch). */
#include "store_test.h"
#include "store/layout.h"

enum { ROUNDS = 300 };

static struct rnd rnd = { 7 };

static uint64_t some_u64(void)
{
	return rnd_u64(&rnd) >> rnd_below(&rnd, 64);
}

static uint32_t some_u32(void)
{
	return (uint32_t)(rnd_u64(&rnd) >> (32 + rnd_below(&rnd, 32)));
}

static hl_ms_t some_ms(void)
{
	return rnd_below(&rnd, 3) ? (hl_ms_t)(rnd_u64(&rnd) >> 20) : 0;
}

static struct hl_str some_text(size_t max)
{
	static char pool[1 << 16];
	if (!pool[0])
		for (size_t i = 0; i < sizeof(pool); i++)
			pool[i] = (char)('a' + rnd_below(&rnd, 26));
	size_t len = rnd_below(&rnd, 3) ? rnd_below(&rnd, (uint32_t)max + 1) : 0;
	return hl_str_make(pool + rnd_below(&rnd, (uint32_t)(sizeof(pool) - len)), len);
}

static struct hl_arena arena;

/* A record type under test: encodes a random one, decodes, encodes again. */
struct codec {
	const char *name;
	void (*random)(struct hl_buf *b);                    /* encodes a random record */
	int (*again)(struct hl_str bytes, struct hl_buf *b); /* decodes; encodes what it read */
	bool grown;                                          /* an older format ended earlier */
};

#define CODEC(name, type, ...)                                                  \
	static void name##_random(struct hl_buf *b)                             \
	{                                                                       \
		struct type r;                                                  \
		memset(&r, 0, sizeof(r));                                       \
		__VA_ARGS__                                                     \
		hl_##name##_encode(b, &r);                                      \
	}                                                                       \
	static int name##_again(struct hl_str bytes, struct hl_buf *b)          \
	{                                                                       \
		struct type r;                                                  \
		int rc = DECODE_##name(bytes, &r);                              \
		if (!rc)                                                        \
			hl_##name##_encode(b, &r);                              \
		return rc;                                                      \
	}

#define DECODE_event_row hl_event_row_decode
CODEC(event_row, hl_event_row, {
	r.account = some_u32();
	r.server = some_u64();
	r.created_at_ms = some_ms();
	r.occurred_at_ms = some_ms();
	r.deliver_after_ms = some_ms();
	r.expires_at_ms = some_ms();
	r.first_delivery = some_u64() >> 1;
	r.n_deliveries = some_u32();
	r.type = some_text(HL_EVENT_TYPE_MAX);
	r.external_id = some_text(HL_EXTERNAL_ID_MAX);
	r.data = some_text(5000);
})

#define DECODE_delivery_row hl_delivery_row_decode
CODEC(delivery_row, hl_delivery_row, {
	r.event = some_u64();
	r.account = some_u32();
	r.webhook = some_u32();
	r.revision = some_u32();
	r.dialect = (uint8_t)rnd_below(&rnd, HL_DIALECT_N);
	r.state = (uint8_t)rnd_below(&rnd, HL_DELIVERY_STATE_N);
	r.flags = (uint8_t)rnd_below(&rnd, HL_DF_ALL + 1);
	r.n_attempts = some_u32();
	r.n_scheduled = some_u32();
	r.last_class = (uint8_t)rnd_below(&rnd, HL_CLASS_N);
	r.last_status = (uint16_t)some_u32();
	r.n_hints = (uint8_t)some_u32();
	r.created_at_ms = some_ms();
	r.window_from_ms = some_ms();
	r.expires_at_ms = some_ms();
	r.retry_of = some_u64();
	if (r.state == HL_DELIVERY_PENDING) {
		r.next_at_ms = some_ms();
		r.wait = (uint8_t)(r.next_at_ms ? rnd_below(&rnd, HL_WAIT_N) : 0);
	} else {
		r.completed_at_ms = 1 + some_ms();
	}
	r.last_error = some_text(HL_LAST_ERROR_MAX);
	r.first_attempt = some_text(HL_FIRST_ATTEMPT_MAX);
})

#define DECODE_attempt hl_attempt_decode
CODEC(attempt, hl_attempt, {
	r.number = 1 + (some_u32() >> 1);
	r.trigger = (enum hl_trigger)rnd_below(&rnd, HL_TRIGGER_N);
	r.succeeded = rnd_below(&rnd, 2);
	r.error_class = (enum hl_class)rnd_below(&rnd, HL_CLASS_N);
	r.http_status = (uint16_t)some_u32();
	r.started_at_ms = some_ms();
	r.next_at_ms = some_ms();
	r.error = some_text(900);
	r.response_body = some_text(20000);
	r.address = some_text(64);
	r.tls = some_text(64);
	r.dns_ms = -1;
	r.connect_ms = (int32_t)(some_u32() >> 1);
	r.tls_ms = INT32_MAX;
	r.total_ms = (int32_t)(some_u32() >> 1);
})

#define DECODE_counts hl_counts_decode
CODEC(counts, hl_counts, {
	for (size_t i = 0; i < HL_DELIVERY_STATE_N; i++)
		r.by_state[i] = some_u64();
	for (size_t i = 0; i < HL_CLASS_N; i++)
		r.pending_by_class[i] = some_u64();
	r.last_attempt_at_ms = some_ms();
	r.last_success_at_ms = some_ms();
	r.last_failure_at_ms = some_ms();
	r.last_class = (uint8_t)rnd_below(&rnd, HL_CLASS_N);
	r.last_status = (uint16_t)some_u32();
	r.fresh_from = some_u64();
	r.drain_gen = some_u32();
	r.parked = rnd_below(&rnd, 2);
	struct hl_str text = some_text(HL_LAST_ERROR_MAX);
	r.last_failure_len = (uint8_t)text.len;
	memcpy(r.last_failure, text.ptr, text.len);
})

#define DECODE_totals hl_totals_decode
CODEC(totals, hl_totals, {
	r.generation = some_u64();
	r.events = some_u64();
	for (size_t i = 0; i < 4; i++)
		r.webhooks[i] = some_u64();
	for (size_t i = 0; i < HL_DIALECT_N; i++)
		r.deliveries[i] = some_u64();
	for (size_t i = 0; i < HL_DELIVERY_STATE_N; i++)
		r.by_state[i] = some_u64();
	r.alerts_enabled = some_u64();
	for (size_t i = 0; i < HL_DIALECT_N; i++) {
		r.alerts[i] = some_u64();
		r.alert_events[i] = some_u64();
	}
})

#define DECODE_webhook_row(bytes, out) hl_webhook_row_decode(bytes, &arena, out)
CODEC(webhook_row, hl_webhook_row, {
	static struct hl_str list[HL_EVENT_TYPES_MAX];
	static struct hl_header headers[HL_HEADERS_MAX];
	r.w.number = 1 + (some_u32() >> 1);
	r.w.account = some_u32();
	r.w.revision = some_u32();
	r.w.dialect = (enum hl_dialect)rnd_below(&rnd, HL_DIALECT_N);
	r.w.format = (enum hl_format)rnd_below(&rnd, HL_FORMAT_N);
	r.w.state = (enum hl_webhook_state)rnd_below(&rnd, HL_WEBHOOK_STATE_N);
	r.w.strict = rnd_below(&rnd, 2);
	r.w.https_only = rnd_below(&rnd, 2);
	r.w.name = some_text(480);
	r.w.description = some_text(4000);
	r.address = rnd_below(&rnd, 2) ? some_text(HL_SEALED_ADDRESS_MAX) : HL_STR_NONE;
	r.w.url = r.address.len ? HL_STR_NONE : some_text(HL_URL_MAX);
	r.w.reason = some_text(HL_REASON_MAX);
	r.w.metadata = some_text(HL_METADATA_MAX);
	r.w.n_event_types = rnd_below(&rnd, 2) ? rnd_below(&rnd, HL_EVENT_TYPES_MAX + 1) : 0;
	for (size_t i = 0; i < r.w.n_event_types; i++)
		list[i] = some_text(HL_EVENT_TYPE_MAX);
	r.w.event_types = list;
	r.w.n_headers = rnd_below(&rnd, HL_HEADERS_MAX + 1);
	for (size_t i = 0; i < r.w.n_headers; i++)
		headers[i] = (struct hl_header){ some_text(40), r.address.len ? HL_STR_NONE : some_text(100) };
	r.w.headers = headers;
	r.w.server = some_u64();
	r.w.timeout_ms = some_u32();
	r.w.rate_limit = some_u32();
	r.w.max_in_flight = some_u32();
	r.w.retry.kind = (enum hl_retry_kind)rnd_below(&rnd, HL_RETRY_N);
	r.w.retry.n_delays = rnd_below(&rnd, HL_DELAYS_MAX + 1);
	for (size_t i = 0; i < r.w.retry.n_delays; i++)
		r.w.retry.delays_s[i] = some_u32();
	r.w.window_s = some_u32();
	memcpy(r.w.secret_last4, "abcd", 5);
	r.w.previous_secret_until_ms = some_ms();
	r.w.created_at_ms = some_ms();
	r.w.updated_at_ms = some_ms();
	r.secret = some_text(HL_SEALED_SECRET_MAX);
	r.previous_secret = some_text(HL_SEALED_SECRET_MAX);
})

#define DECODE_account_row hl_account_row_decode
CODEC(account_row, hl_account_row, {
	r.number = 1 + (some_u32() >> 1);
	r.id = HL_STR("acme");
	r.name = some_text(480);
	r.tier = some_text(20);
	r.email = some_text(HL_ACCOUNT_TEXT_MAX);
	r.preferred_currency = some_text(3);
	r.disabled = rnd_below(&rnd, 2);
	r.email_verified = rnd_below(&rnd, 2);
	r.alert_emails = rnd_below(&rnd, 2);
	r.created_at_ms = some_ms();
	r.updated_at_ms = some_ms();
})

#define DECODE_key_row hl_key_row_decode
CODEC(key_row, hl_key_row, {
	r.number = 1 + (some_u32() >> 1);
	r.account = some_u32();
	r.dialect = (uint8_t)rnd_below(&rnd, HL_DIALECT_N);
	r.scopes = some_u32();
	r.name = some_text(HL_KEY_NAME_MAX);
	r.prefix = some_text(32);
	memcpy(r.last4, "wxyz", 5);
	for (size_t i = 0; i < 32; i++)
		r.sha256[i] = (uint8_t)some_u32();
	r.created_at_ms = some_ms();
	r.expires_at_ms = some_ms();
	r.revoked_at_ms = some_ms();
	r.last_used_at_ms = some_ms();
})

#define DECODE_server_row hl_server_row_decode
CODEC(server_row, hl_server_row, {
	r.number = 1 + (some_u64() >> 1);
	r.account = some_u32();
	r.name = some_text(480);
	r.status = some_text(100);
	r.created_at_ms = some_ms();
	r.updated_at_ms = some_ms();
})

#define DECODE_event_type hl_event_type_decode
CODEC(event_type, hl_event_type, {
	r.name = HL_STR("order.created");
	r.title = some_text(400);
	r.description = some_text(4000);
	r.category = some_text(100);
	for (size_t i = 0; i < HL_DIALECT_N; i++)
		r.dialect_categories[i] = some_text(100);
	r.created_at_ms = some_ms();
	r.updated_at_ms = some_ms();
})

#define DECODE_idem_row hl_idem_row_decode
CODEC(idem_row, hl_idem_row, {
	for (size_t i = 0; i < 32; i++)
		r.fingerprint[i] = (uint8_t)some_u32();
	r.created_at_ms = some_ms();
	r.kind = (uint8_t)some_u32();
	r.number = some_u64();
	r.answer = some_text(3000);
})

#define DECODE_job_row hl_job_row_decode
CODEC(job_row, hl_job_row, {
	r.number = some_u64();
	r.kind = (uint8_t)rnd_below(&rnd, HL_JOB_N);
	r.account = some_u32();
	r.webhook = some_u32();
	r.created_at_ms = some_ms();
	r.cursor = some_u64();
	r.upto = some_u64();
	r.since_ms = some_ms();
	r.until_ms = some_ms();
	r.error_class = (int)rnd_below(&rnd, HL_CLASS_N + 1) - 1;
	r.type = some_text(HL_EVENT_TYPE_MAX);
	r.before_ms = some_ms();
	r.used_max = some_u64();
})

#define DECODE_format_row hl_format_row_decode
CODEC(format_row, hl_format_row, {
	r.version = HL_FORMAT_VERSION;
	r.created_at_ms = some_ms();
	for (size_t i = 0; i < 16; i++)
		r.uuid[i] = r.id_key[i] = (uint8_t)some_u32();
	r.key_check = some_text(100);
})

#define DECODE_index_bounds hl_index_bounds_decode
CODEC(index_bounds, hl_index_bounds, {
	r.deliveries_upto = some_u64() >> 1;
	r.deliveries_running = r.deliveries_upto + some_u32();
	r.events_upto = some_u64() >> 1;
	r.events_running = r.events_upto + some_u32();
	r.slice = some_u64();
})

#define DECODE_numbers hl_numbers_decode
CODEC(numbers, hl_numbers, {
	r.event = some_u64();
	r.delivery = some_u64();
	r.server = some_u64();
	r.job = some_u64();
	r.webhook = some_u32();
	r.account = some_u32();
	r.key = some_u32();
	r.alert = some_u64();
	r.block = some_u64();
})

static void some_currency(char out[4])
{
	for (size_t i = 0; i < 3; i++)
		out[i] = (char)('A' + rnd_below(&rnd, 26));
}

static struct hl_str some_name(size_t max)
{
	struct hl_str s = some_text(max);
	return s.len ? s : HL_STR("x");
}

#define DECODE_alert_row hl_alert_row_decode
CODEC(alert_row, hl_alert_row, {
	r.number = 1 + (some_u64() >> 1);
	r.account = some_u32();
	r.dialect = (uint8_t)rnd_below(&rnd, HL_DIALECT_N);
	r.kind = (uint8_t)rnd_below(&rnd, HL_ALERT_KIND_N);
	r.item = 1 + some_u64() % (HL_MARKET_ITEM_ID_MAX - 1);
	r.threshold = 1 + (int64_t)(some_u64() % (uint64_t)HL_ALERT_THRESHOLD_MAX);
	if (r.kind != HL_ALERT_SPREAD_EXCEEDS)
		some_currency(r.currency);
	r.enabled = rnd_below(&rnd, 2);
	r.revision = some_u32();
	r.last_triggered_at_ms = some_ms();
	r.created_at_ms = some_ms();
	r.updated_at_ms = some_ms();
})

#define DECODE_alert_event_row hl_alert_event_row_decode
CODEC(alert_event_row, hl_alert_event_row, {
	r.alert = 1 + (some_u64() >> 1);
	r.alert_created_at_ms = some_ms();
	r.dialect = (uint8_t)rnd_below(&rnd, HL_DIALECT_N);
	r.kind = (uint8_t)rnd_below(&rnd, HL_ALERT_KIND_N);
	r.email = (uint8_t)rnd_below(&rnd, 2);
	r.item = (struct hl_market_item){ .item_id = 1 + some_u32(), .name = some_name(HL_MARKET_NAME_MAX),
		.phase = some_text(HL_MARKET_PHASE_MAX) };
	r.threshold = HL_ALERT_THRESHOLD_MAX;
	if (r.kind != HL_ALERT_SPREAD_EXCEEDS)
		some_currency(r.currency);
	r.triggered = (int64_t)(some_u64() >> 1);
	r.best_ask = HL_MARKET_CENTS_MAX;
	r.best_bid = some_u32();
	r.reason = some_text(HL_ALERT_REASON_MAX);
	r.created_at_ms = some_ms();
})

#define DECODE_market_item hl_market_item_decode
CODEC(market_item, hl_market_item, {
	r.name = some_name(HL_MARKET_NAME_MAX);
	r.phase = some_text(HL_MARKET_PHASE_MAX);
})

#define DECODE_rates_row hl_rates_row_decode
CODEC(rates_row, hl_rates_row, {
	r.at_ms = some_ms();
	r.n = rnd_below(&rnd, HL_MARKET_CURRENCIES_MAX + 1);
	for (size_t i = 0; i < r.n; i++) {
		some_currency(r.rates[i].currency);
		r.rates[i].rate = 1 + (int64_t)(some_u64() >> 2);
	}
})

enum { QUOTES = 40 };

/* A block by its quotes; both sides, sometimes nothing. */
static void some_quotes(struct hl_market_quote *v, size_t n, bool bids)
{
	static const char *const providers[] = { "buff163", "csfloat", "steam", "skinport", "x" };
	for (size_t i = 0; i < n; i++) {
		v[i] = (struct hl_market_quote){ .item_id = 1 + some_u64() % (HL_MARKET_ITEM_ID_MAX - 1),
			.provider = hl_str_from(providers[rnd_below(&rnd, 5)]), .cents = rnd_below(&rnd, 4) ? 1 + some_u32() : 0 };
		if (!v[i].cents)
			continue;
		v[i].count = 1 + (some_u32() >> 1);
		v[i].at_ms = some_ms();
		v[i].link = bids ? HL_STR_NONE : some_text(HL_MARKET_LINK_MAX);
	}
}

static void block_random(struct hl_buf *b)
{
	struct hl_market_quote asks[QUOTES], bids[QUOTES];
	size_t n_asks = rnd_below(&rnd, QUOTES + 1), n_bids = rnd_below(&rnd, QUOTES + 1);
	some_quotes(asks, n_asks, false);
	some_quotes(bids, n_bids, true);
	hl_block_encode(b, asks, n_asks, bids, n_bids);
}

static int block_again(struct hl_str bytes, struct hl_buf *b)
{
	static struct hl_market_quote asks[HL_MARKET_BLOCK_MAX], bids[HL_MARKET_BLOCK_MAX];
	struct hl_block_reader r;
	struct hl_market_quote q;
	size_t n[2] = { 0, 0 };
	bool bid;
	hl_block_read(&r, bytes);
	while (hl_block_next(&r, &q, &bid))
		(bid ? bids : asks)[n[bid]++] = q;
	int rc = hl_block_end(&r);
	if (!rc)
		hl_block_encode(b, asks, n[0], bids, n[1]);
	return rc;
}

#define C(name) { #name, name##_random, name##_again, false }
#define GROWN(name) { #name, name##_random, name##_again, true }
static const struct codec codecs[] = {
	C(event_row), C(delivery_row), C(attempt), C(counts), GROWN(totals), C(webhook_row), C(account_row), C(key_row),
	C(server_row), C(event_type), C(idem_row), C(job_row), C(format_row), C(index_bounds), GROWN(numbers),
	C(alert_row), C(alert_event_row), C(market_item), C(rates_row), C(block),
};

/* The bytes in memory of exactly their size, so that a read past the end is seen. */
static int again_exact(const struct codec *c, const char *bytes, size_t len, struct hl_buf *out)
{
	char *copy = malloc(len ? len : 1);
	memcpy(copy, bytes, len);
	hl_buf_reset(out);
	int rc = c->again((struct hl_str){ copy, len }, out);
	free(copy);
	hl_arena_reset(&arena);
	return rc;
}

static void test_round_trip(void **state)
{
	struct hl_buf a = { 0 }, b = { 0 };
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(codecs); i++) {
		for (unsigned k = 0; k < ROUNDS; k++) {
			hl_buf_reset(&a);
			codecs[i].random(&a);
			if (again_exact(&codecs[i], a.data, a.len, &b))
				fail_msg("%s does not decode", codecs[i].name);
			assert_int_equal(a.len, b.len);
			assert_memory_equal(a.data, b.data, a.len);
		}
	}
	hl_buf_fini(&a);
	hl_buf_fini(&b);
}

static void test_truncated(void **state)
{
	struct hl_buf a = { 0 }, b = { 0 };
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(codecs); i++) {
		for (unsigned k = 0; k < 20; k++) {
			hl_buf_reset(&a);
			codecs[i].random(&a);
			for (size_t cut = 0; cut < a.len; cut += 1 + a.len / 200)
				if (again_exact(&codecs[i], a.data, cut, &b) == 0 &&
						!(codecs[i].grown && memcmp(a.data, b.data, cut) == 0))
					fail_msg("%s decodes although cut to %zu of %zu", codecs[i].name, cut, a.len);
			hl_buf_char(&a, 'x');
			assert_int_equal(again_exact(&codecs[i], a.data, a.len, &b), HL_ECORRUPT);
		}
	}
	hl_buf_fini(&a);
	hl_buf_fini(&b);
}

static void test_garbage(void **state)
{
	struct hl_buf a = { 0 }, b = { 0 }, c = { 0 };
	(void)state;
	for (size_t i = 0; i < HL_ARRAY_LEN(codecs); i++) {
		for (unsigned k = 0; k < ROUNDS; k++) {
			hl_buf_reset(&a);
			codecs[i].random(&a);
			for (unsigned flips = 1 + rnd_below(&rnd, 4); flips--;)
				a.data[rnd_below(&rnd, (uint32_t)a.len)] = (char)rnd_u64(&rnd);
			if (again_exact(&codecs[i], a.data, a.len, &b))
				continue;
			/* What decodes is a record: it survives another round. */
			assert_int_equal(again_exact(&codecs[i], b.data, b.len, &c), 0);
			assert_int_equal(b.len, c.len);
		}
	}
	hl_buf_fini(&a);
	hl_buf_fini(&b);
	hl_buf_fini(&c);
}

static void test_small(void **state)
{
	struct hl_buf b = { 0 };
	struct hl_delivery_row r = a_delivery(5000000, 1, 900);
	(void)state;
	hl_delivery_row_encode(&b, &r);
	assert_true(b.len <= 40);
	hl_buf_fini(&b);
}

static void test_long_texts_are_cut(void **state)
{
	static char text[30000];
	struct hl_buf b = { 0 };
	struct hl_attempt a = an_attempt(1, false), got;
	(void)state;
	memset(text, 'x', sizeof(text));
	a.response_body = a.error = a.address = a.tls = hl_str_make(text, sizeof(text));
	hl_attempt_encode(&b, &a);
	assert_int_equal(hl_attempt_decode(hl_buf_all(&b), &got), 0);
	assert_int_equal(got.response_body.len, 20000);
	hl_buf_reset(&b);
	struct hl_delivery_row r = a_delivery(1, 1, 1), back;
	r.last_error = hl_str_make(text, sizeof(text));
	hl_delivery_row_encode(&b, &r);
	assert_int_equal(hl_delivery_row_decode(hl_buf_all(&b), &back), 0);
	assert_int_equal(back.last_error.len, HL_LAST_ERROR_MAX);
	hl_buf_fini(&b);
}

/* What no encoder of ours makes: an ended delivery that waits, a pending one that is complete, a newer format. */
static void test_contradictions(void **state)
{
	struct hl_buf b = { 0 };
	struct hl_delivery_row r = a_delivery(1, 1, 1), out;
	struct hl_format_row f = { .version = HL_FORMAT_VERSION + 1 }, got = { 0 };
	(void)state;
	r.state = HL_DELIVERY_FAILED;
	r.completed_at_ms = 5;
	r.next_at_ms = 6;
	hl_delivery_row_encode(&b, &r);
	assert_int_equal(hl_delivery_row_decode(hl_buf_all(&b), &out), HL_ECORRUPT);
	r.state = HL_DELIVERY_PENDING;
	hl_buf_reset(&b);
	hl_delivery_row_encode(&b, &r);
	assert_int_equal(hl_delivery_row_decode(hl_buf_all(&b), &out), HL_ECORRUPT);
	hl_buf_reset(&b);
	hl_format_row_encode(&b, &f);
	assert_int_equal(hl_format_row_decode(hl_buf_all(&b), &got), HL_EVERSION);
	assert_int_equal(got.version, HL_FORMAT_VERSION + 1);
	assert_int_equal(hl_format_row_decode(HL_STR("another program's bytes"), &got), HL_ECORRUPT);
	hl_buf_fini(&b);
}

static void test_due(void **state)
{
	struct hl_buf b = { 0 };
	struct hl_due d = { .why = HL_WAIT_HINT, .attempts = 3, .event = 9, .expires_at_ms = 77, .set_at_ms = 5,
			.drain_gen = 4 };
	struct hl_due got;
	struct hl_dbkey key = hl_due_key(12, 1000, 34);
	uint32_t webhook;
	(void)state;
	hl_due_encode(&b, &d);
	assert_int_equal(hl_due_decode(HL_DBKEY(key), hl_buf_all(&b), &webhook, &got), 0);
	assert_true(webhook == 12 && got.due_at_ms == 1000 && got.delivery == 34 && got.why == d.why && got.attempts == 3 &&
			got.event == 9 && got.expires_at_ms == 77 && got.set_at_ms == 5 && got.drain_gen == 4);
	for (size_t cut = 0; cut < b.len; cut++)
		assert_int_equal(hl_due_decode(HL_DBKEY(key), hl_str_make(b.data, cut), &webhook, &got), HL_ECORRUPT);
	assert_int_equal(hl_due_decode(HL_STR("short"), hl_buf_all(&b), &webhook, &got), HL_ECORRUPT);
	hl_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_truncated), cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_small), cmocka_unit_test(test_long_texts_are_cut),
		cmocka_unit_test(test_contradictions), cmocka_unit_test(test_due),
	};
	hl_arena_init(&arena, 0);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	hl_arena_fini(&arena);
	return rc;
}
