/* Any bytes as a stored record (the first byte says of which table): a decoder refuses them or reads within them, and what it
 * read is written as a record that reads the same and is written the same again. */
#include "fuzz.h"
#include "store/layout.h"

static struct hl_arena arena;

/* again_NAME: decodes s and encodes what it read; HL_E* as the decoder said. */
#define RECORD(name, type)                                                      \
	static int again_##name(struct hl_str s, struct hl_buf *b)              \
	{                                                                       \
		struct type r;                                                  \
		int rc = hl_##name##_decode(s, &r);                             \
		if (!rc)                                                        \
			hl_##name##_encode(b, &r);                              \
		return rc;                                                      \
	}

RECORD(event_row, hl_event_row)
RECORD(delivery_row, hl_delivery_row)
RECORD(attempt, hl_attempt)
RECORD(account_row, hl_account_row)
RECORD(key_row, hl_key_row)
RECORD(server_row, hl_server_row)
RECORD(event_type, hl_event_type)
RECORD(alert_row, hl_alert_row)
RECORD(alert_event_row, hl_alert_event_row)
RECORD(market_item, hl_market_item)
RECORD(rates_row, hl_rates_row)
RECORD(counts, hl_counts)
RECORD(totals, hl_totals)
RECORD(idem_row, hl_idem_row)
RECORD(job_row, hl_job_row)
RECORD(format_row, hl_format_row)
RECORD(index_bounds, hl_index_bounds)
RECORD(numbers, hl_numbers)

static int again_webhook_row(struct hl_str s, struct hl_buf *b)
{
	struct hl_webhook_row r;
	int rc = hl_webhook_row_decode(s, &arena, &r);
	if (!rc)
		hl_webhook_row_encode(b, &r);
	return rc;
}

/* The key is the text "webhook:4 due_ms:8 delivery:8" in front. */
static int again_due(struct hl_str s, struct hl_buf *b)
{
	struct hl_due d;
	uint32_t webhook;
	struct hl_str key = fuzz_take(&s, 20);
	int rc = hl_due_decode(key, s, &webhook, &d);
	if (rc)
		return rc;
	hl_buf_str(b, key);
	hl_due_encode(b, &d);
	return 0;
}

/* A block of quotes: what was read of it before damage was found counts for nothing, but must be sound as well. */
static int again_block(struct hl_str s, struct hl_buf *b)
{
	enum { MAX = 256 };
	static struct hl_market_quote asks[MAX], bids[MAX];
	struct hl_block_reader r;
	struct hl_market_quote q;
	size_t n_asks = 0, n_bids = 0;
	bool bid;
	hl_block_read(&r, s);
	while (hl_block_next(&r, &q, &bid)) {
		size_t *n = bid ? &n_bids : &n_asks;
		HL_CHECK(q.provider.len <= HL_MARKET_PROVIDER_MAX && q.link.len <= HL_MARKET_LINK_MAX);
		HL_CHECK(q.item_id && q.item_id < HL_MARKET_ITEM_ID_MAX && q.cents <= HL_MARKET_CENTS_MAX);
		if (*n == MAX)
			return HL_ECORRUPT; /* sound so far, but more than is kept here */
		(bid ? bids : asks)[(*n)++] = q;
	}
	int rc = hl_block_end(&r);
	if (!rc)
		hl_block_encode(b, asks, n_asks, bids, n_bids);
	return rc;
}

static int (*const records[])(struct hl_str, struct hl_buf *) = {
	again_event_row, again_delivery_row, again_counts, again_totals, again_idem_row, again_job_row, /* as they came */
	again_attempt, again_due, again_webhook_row, again_account_row, again_key_row, again_server_row, again_event_type,
	again_alert_row, again_alert_event_row, again_market_item, again_rates_row, again_block, again_format_row,
	again_index_bounds, again_numbers,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len);
	int (*again)(struct hl_str, struct hl_buf *) = records[fuzz_u8(&in) % HL_ARRAY_LEN(records)];
	struct hl_str bytes = fuzz_own(in);
	struct hl_buf first = { .data = NULL }, second = { .data = NULL };
	int rc = again(bytes, &first);
	HL_CHECK(rc == 0 || rc == HL_ECORRUPT || rc == HL_EVERSION);
	if (!rc) {
		HL_CHECK(hl_buf_ok(&first) && !again(hl_buf_all(&first), &second));
		HL_CHECK(hl_str_eq(hl_buf_all(&first), hl_buf_all(&second)));
	}
	hl_buf_fini(&first);
	hl_buf_fini(&second);
	hl_arena_reset(&arena);
	free((void *)(uintptr_t)bytes.ptr);
	return 0;
}
