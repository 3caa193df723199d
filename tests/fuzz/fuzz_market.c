/* Market records: lines of items, asks and bids, the table of rates, amounts as text.
 *
 * A line is read exactly when it is a JSON object, and then its members are what a lookup by name finds. Quotes that pass
 * the market's check go into a block and come out of it as they were. Amounts come back as they were written.
 * The first byte chooses: item, ask, bid, rates, an amount, a rate. */
#include "api/market_json.h"
#include "alerts/market.h"
#include "fuzz.h"
#include "store/layout.h"

static struct hl_arena arena;
static struct hl_market *market;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct hl_market_item one = { .item_id = 7, .name = HL_STR("AK-47") };
	uint32_t index;
	(void)argc;
	(void)argv;
	HL_CHECK(!hl_market_create(&market) && !hl_market_put_item(market, &one, &index));
	return 0;
}

static void same_text(struct hl_json object, const char *name, struct hl_str got)
{
	struct hl_json v;
	struct hl_str want;
	if (!hl_json_get(object, hl_str_from(name), &v) || v.type != HL_JSON_STRING)
		return;
	HL_CHECK(!hl_json_string(&arena, v, false, &want) && hl_str_eq(want, got));
}

static void same_number(struct hl_json object, const char *name, int64_t got)
{
	struct hl_json v;
	int64_t want;
	if (hl_json_get(object, hl_str_from(name), &v) && v.type == HL_JSON_NUMBER)
		HL_CHECK(hl_json_i64(v, &want) && want == got);
}

static void store(bool bids, const struct hl_market_quote *q)
{
	struct hl_buf b = { .data = NULL };
	struct hl_block_reader r;
	struct hl_market_quote back;
	bool bid;
	hl_block_encode(&b, q, bids ? 0 : 1, q, bids ? 1 : 0);
	HL_CHECK(hl_buf_ok(&b));
	hl_block_read(&r, hl_buf_all(&b));
	HL_CHECK(hl_block_next(&r, &back, &bid) && bid == bids && back.item_id == q->item_id);
	HL_CHECK(hl_str_eq(back.provider, q->provider));
	if (q->cents > 0 && q->count > 0) {
		HL_CHECK(back.cents == q->cents && back.count == q->count && back.at_ms == q->at_ms);
		HL_CHECK(bids || hl_str_eq(back.link, q->link));
	} else { /* gone: nothing else is kept of it */
		HL_CHECK(back.cents == 0 && back.count == 0 && back.at_ms == 0);
	}
	HL_CHECK(!hl_block_next(&r, &back, &bid) && !hl_block_end(&r));
	hl_buf_fini(&b);
}

static void line(unsigned how, struct hl_str text)
{
	struct hl_err err = { 0 };
	struct hl_reader r = { .arena = &arena, .err = &err };
	struct hl_market_item item;
	struct hl_market_quote q;
	struct hl_json v;
	bool good = !hl_json_check(text, HL_JSON_DEPTH_MAX, &v, NULL), bids = how == 2;
	int rc = how ? hl_market_read_quote(&r, bids, text, &q) : hl_market_read_item(&r, text, &item);
	/* text may be JSON and yet no text: half a surrogate pair, U+0000 */
	HL_CHECK(rc == HL_ESYNTAX ? !good || memchr(text.ptr, '\\', text.len) : good);
	HL_CHECK(!rc || (err.code == rc && err.text[0]));
	if (rc)
		return;
	HL_CHECK(v.type == HL_JSON_OBJECT);
	if (!how) {
		same_text(v, "market_hash_name", item.name);
		same_text(v, "phase", item.phase);
		same_number(v, "item_id", (int64_t)item.item_id);
		(void)!hl_market_check_item(&item, &err);
		return;
	}
	same_text(v, "provider", q.provider);
	same_number(v, "item_id", (int64_t)q.item_id);
	same_number(v, bids ? "highest_bid" : "lowest_ask", q.cents);
	same_number(v, bids ? "num_bids" : "quantity", q.count);
	rc = hl_market_check_quote(market, &q, &err);
	if (!rc)
		store(bids, &q);
	else
		hl_market_pointer(bids, &err);
}

static void rate(int64_t scaled)
{
	struct hl_buf b = { .data = NULL };
	struct hl_jsonw w;
	int64_t back;
	hl_jsonw_init(&w, &b);
	hl_rate_write(&w, scaled);
	HL_CHECK(hl_buf_ok(&b) && !hl_rate_parse(hl_buf_all(&b), &back) && back == scaled);
	hl_buf_fini(&b);
}

static void rates(struct hl_str text)
{
	struct hl_err err = { 0 };
	struct hl_reader r = { .arena = &arena, .err = &err };
	const struct hl_rate *v;
	size_t n;
	hl_ms_t at_ms;
	if (hl_market_read_rates(&r, text, &v, &n, &at_ms))
		return;
	HL_CHECK(n <= HL_MARKET_CURRENCIES_MAX && at_ms >= 0);
	if (hl_market_check_rates(v, n, &err))
		return;
	for (size_t i = 0; i < n; i++)
		rate(v[i].rate);
}

/* In a double's reach the text means what strtod makes of it. */
static void amount(bool is_rate, struct hl_str s)
{
	int64_t scaled, back;
	char text[HL_DECIMAL_CAP];
	struct hl_json v;
	if (is_rate) {
		if (!hl_json_check(s, 1, &v, NULL) && v.type == HL_JSON_NUMBER && !hl_rate_parse(v.raw, &scaled)) {
			char *whole = fuzz_cstr(v.raw);
			double want = strtod(whole, NULL) * HL_RATE_SCALE, off = want - (double)scaled;
			double most = 2 + 1e-12 * (want < 0 ? -want : want);
			HL_CHECK(off < most && -off < most);
			free(whole);
			if (scaled > 0)
				rate(scaled);
		}
		return;
	}
	int rc = hl_decimal_parse(s, &scaled);
	HL_CHECK(rc == HL_OK || rc == HL_ESYNTAX || rc == HL_EINVAL);
	if (rc)
		return;
	hl_decimal_format(scaled, text);
	HL_CHECK(!hl_decimal_parse(hl_str_from(text), &back) && back == scaled);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len);
	unsigned how = fuzz_u8(&in) % 6;
	struct hl_str text = fuzz_own(in);
	if (how < 3)
		line(how, text);
	else if (how == 3)
		rates(text);
	else
		amount(how == 5, text);
	hl_arena_reset(&arena);
	free((void *)(uintptr_t)text.ptr);
	return 0;
}
