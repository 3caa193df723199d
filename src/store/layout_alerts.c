/* Records of alerts and of the market as bytes (layout.c has the rules).
 *
 * A block begins with the providers it names; a quote's first number is provider · 2 + side. Differences are zigzag, so that a
 * list sorted by item takes a byte for each item. A quote that is nothing any more says 0 cents and no more. */
#include "base/check.h"
#include "base/defs.h"
#include "store/layout.h"

/* ---- alerts ------------------------------------------------------------------------------------------------------- */

static void pack_currency(struct hl_buf *b, const char currency[4])
{
	hl_pack_str(b, (struct hl_str){ currency, strnlen(currency, 3) });
}

static void unpack_currency(struct hl_unpack *u, char out[4])
{
	struct hl_str s = hl_unpack_str(u, 3);
	memset(out, 0, 4);
	if (s.len)
		memcpy(out, s.ptr, s.len);
	if (s.len && (s.len != 3 || !hl_str_all_between(s, 'A', 'Z')))
		u->bad = true;
}

static bool fits_kind(uint8_t kind, const char currency[4])
{
	return (kind == HL_ALERT_SPREAD_EXCEEDS) == (currency[0] == '\0');
}

/* Thresholds, and the ids of items: never 0. */
static uint64_t unpack_from_1(struct hl_unpack *u, uint64_t max)
{
	uint64_t v = hl_unpack_max(u, max);
	u->bad |= v == 0;
	return v;
}

void hl_alert_row_encode(struct hl_buf *b, const struct hl_alert_row *r)
{
	hl_pack_u64(b, r->number);
	hl_pack_u64(b, r->account);
	hl_pack_u8(b, r->dialect);
	hl_pack_u8(b, (uint8_t)(r->kind << 1 | r->enabled));
	hl_pack_u64(b, r->item);
	hl_pack_u64(b, (uint64_t)r->threshold);
	pack_currency(b, r->currency);
	hl_pack_u64(b, r->revision);
	hl_pack_ms(b, r->last_triggered_at_ms);
	hl_pack_ms(b, r->created_at_ms);
	hl_pack_ms(b, r->updated_at_ms);
}

int hl_alert_row_decode(struct hl_str bytes, struct hl_alert_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_alert_row r = { .number = unpack_from_1(&u, UINT64_MAX) };
	r.account = hl_unpack_u32(&u);
	r.dialect = (uint8_t)hl_unpack_max(&u, HL_DIALECT_N - 1);
	uint8_t head = hl_unpack_u8(&u);
	r.kind = head >> 1;
	r.enabled = head & 1;
	r.item = unpack_from_1(&u, HL_MARKET_ITEM_ID_MAX - 1);
	r.threshold = (int64_t)unpack_from_1(&u, (uint64_t)HL_ALERT_THRESHOLD_MAX);
	unpack_currency(&u, r.currency);
	r.revision = hl_unpack_u32(&u);
	r.last_triggered_at_ms = hl_unpack_ms(&u);
	r.created_at_ms = hl_unpack_ms(&u);
	r.updated_at_ms = hl_unpack_ms(&u);
	if (!hl_unpack_done(&u) || r.kind >= HL_ALERT_KIND_N || !fits_kind(r.kind, r.currency))
		return HL_ECORRUPT;
	*out = r;
	return 0;
}

static int64_t unpack_cents(struct hl_unpack *u)
{
	return (int64_t)hl_unpack_max(u, (uint64_t)HL_MARKET_CENTS_MAX);
}

void hl_alert_event_row_encode(struct hl_buf *b, const struct hl_alert_event_row *r)
{
	hl_pack_u64(b, r->alert);
	hl_pack_ms(b, r->alert_created_at_ms);
	hl_pack_u8(b, r->dialect);
	hl_pack_u8(b, r->kind);
	hl_pack_u8(b, r->email);
	hl_pack_u64(b, r->item.item_id);
	hl_market_item_encode(b, &r->item);
	hl_pack_u64(b, (uint64_t)r->threshold);
	pack_currency(b, r->currency);
	hl_pack_u64(b, (uint64_t)r->triggered);
	hl_pack_u64(b, (uint64_t)r->best_ask);
	hl_pack_u64(b, (uint64_t)r->best_bid);
	hl_pack_str(b, r->reason);
	hl_pack_ms(b, r->created_at_ms);
}

static void unpack_names(struct hl_unpack *u, struct hl_market_item *r)
{
	r->name = hl_unpack_str(u, HL_MARKET_NAME_MAX);
	r->phase = hl_unpack_str(u, HL_MARKET_PHASE_MAX);
	u->bad |= r->name.len == 0;
}

int hl_alert_event_row_decode(struct hl_str bytes, struct hl_alert_event_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_alert_event_row r = { .alert = unpack_from_1(&u, UINT64_MAX) };
	r.alert_created_at_ms = hl_unpack_ms(&u);
	r.dialect = (uint8_t)hl_unpack_max(&u, HL_DIALECT_N - 1);
	r.kind = (uint8_t)hl_unpack_max(&u, HL_ALERT_KIND_N - 1);
	r.email = (uint8_t)hl_unpack_max(&u, HL_ALERT_EMAIL_SKIPPED);
	r.item.item_id = unpack_from_1(&u, HL_MARKET_ITEM_ID_MAX - 1);
	unpack_names(&u, &r.item);
	r.threshold = (int64_t)unpack_from_1(&u, (uint64_t)HL_ALERT_THRESHOLD_MAX);
	unpack_currency(&u, r.currency);
	r.triggered = (int64_t)hl_unpack_max(&u, INT64_MAX);
	r.best_ask = unpack_cents(&u);
	r.best_bid = unpack_cents(&u);
	r.reason = hl_unpack_str(&u, HL_ALERT_REASON_MAX);
	r.created_at_ms = hl_unpack_ms(&u);
	if (!hl_unpack_done(&u) || !fits_kind(r.kind, r.currency))
		return HL_ECORRUPT;
	*out = r;
	return 0;
}

/* ---- the market --------------------------------------------------------------------------------------------------- */

void hl_market_item_encode(struct hl_buf *b, const struct hl_market_item *r)
{
	hl_pack_str(b, r->name);
	hl_pack_str(b, r->phase);
}

int hl_market_item_decode(struct hl_str bytes, struct hl_market_item *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_market_item r = { .item_id = 0 };
	unpack_names(&u, &r);
	if (!hl_unpack_done(&u))
		return HL_ECORRUPT;
	*out = r;
	return 0;
}

void hl_rates_row_encode(struct hl_buf *b, const struct hl_rates_row *r)
{
	hl_pack_ms(b, r->at_ms);
	hl_pack_u64(b, r->n);
	for (size_t i = 0; i < r->n; i++) {
		pack_currency(b, r->rates[i].currency);
		hl_pack_u64(b, (uint64_t)r->rates[i].rate);
	}
}

int hl_rates_row_decode(struct hl_str bytes, struct hl_rates_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	out->at_ms = hl_unpack_ms(&u);
	out->n = hl_unpack_max(&u, HL_MARKET_CURRENCIES_MAX);
	for (size_t i = 0; i < out->n; i++) {
		unpack_currency(&u, out->rates[i].currency);
		out->rates[i].rate = (int64_t)unpack_from_1(&u, INT64_MAX);
		u.bad |= out->rates[i].currency[0] == '\0';
	}
	return hl_unpack_done(&u) ? 0 : HL_ECORRUPT;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------- */

/* Providers of a block while it is written. */
struct dictionary {
	size_t n, last;
	struct hl_str names[HL_MARKET_PROVIDERS_MAX];
};

static size_t name_at(struct dictionary *d, struct hl_str name)
{
	if (d->n && hl_str_eq(d->names[d->last], name))
		return d->last;
	for (size_t i = 0; i < d->n; i++)
		if (hl_str_eq(d->names[i], name))
			return d->last = i;
	HL_CHECK(d->n < HL_MARKET_PROVIDERS_MAX);
	d->names[d->n] = name;
	return d->last = d->n++;
}

static uint64_t zigzag(uint64_t v)
{
	return v << 1 ^ (uint64_t)((int64_t)v >> 63);
}

static uint64_t unzigzag(uint64_t v)
{
	return v >> 1 ^ (0 - (v & 1));
}

static uint64_t time_of(const struct hl_market_quote *q)
{
	return q->at_ms > 0 && (uint64_t)q->at_ms <= HL_UNPACK_MS_MAX ? (uint64_t)q->at_ms : 0;
}

static void pack_quotes(struct hl_buf *b, struct dictionary *d, const struct hl_market_quote *v, size_t n, bool bids,
		uint64_t *item, uint64_t *at_ms)
{
	for (size_t i = 0; i < n; i++) {
		const struct hl_market_quote *q = &v[i];
		bool something = q->cents > 0 && q->count > 0;
		hl_pack_u64(b, name_at(d, q->provider) << 1 | bids);
		hl_pack_u64(b, zigzag(q->item_id - *item));
		*item = q->item_id;
		hl_pack_u64(b, something ? (uint64_t)q->cents : 0);
		if (!something)
			continue;
		hl_pack_u64(b, q->count);
		hl_pack_u64(b, zigzag(time_of(q) - *at_ms));
		*at_ms = time_of(q);
		if (!bids)
			hl_pack_str(b, q->link);
	}
}

void hl_block_encode(struct hl_buf *b, const struct hl_market_quote *asks, size_t n_asks, const struct hl_market_quote *bids,
		size_t n_bids)
{
	struct dictionary d;
	uint64_t item = 0, at_ms = 0;
	d.n = d.last = 0;
	for (size_t i = 0; i < n_asks; i++)
		(void)name_at(&d, asks[i].provider);
	for (size_t i = 0; i < n_bids; i++)
		(void)name_at(&d, bids[i].provider);
	hl_pack_u64(b, d.n);
	for (size_t i = 0; i < d.n; i++)
		hl_pack_str(b, d.names[i]);
	hl_pack_u64(b, n_asks + n_bids);
	pack_quotes(b, &d, asks, n_asks, false, &item, &at_ms);
	pack_quotes(b, &d, bids, n_bids, true, &item, &at_ms);
}

void hl_block_read(struct hl_block_reader *r, struct hl_str bytes)
{
	r->u = hl_unpack_start(bytes);
	r->item = r->at_ms = 0;
	r->n_providers = hl_unpack_max(&r->u, HL_MARKET_PROVIDERS_MAX);
	for (uint64_t i = 0; i < r->n_providers; i++) {
		r->providers[i] = hl_unpack_str(&r->u, HL_MARKET_PROVIDER_MAX);
		r->u.bad |= r->providers[i].len == 0;
	}
	r->left = hl_unpack_max(&r->u, HL_MARKET_BLOCK_MAX);
}

bool hl_block_next(struct hl_block_reader *r, struct hl_market_quote *out, bool *out_bid)
{
	struct hl_unpack *u = &r->u;
	if (u->bad || r->left == 0)
		return false;
	r->left--;
	uint64_t head = hl_unpack_max(u, 2 * HL_MARKET_PROVIDERS_MAX - 1);
	r->item += unzigzag(hl_unpack_u64(u));
	struct hl_market_quote q = { .item_id = r->item, .cents = unpack_cents(u) };
	if (q.cents) {
		q.count = (uint32_t)unpack_from_1(u, UINT32_MAX);
		r->at_ms += unzigzag(hl_unpack_u64(u));
		q.at_ms = (hl_ms_t)r->at_ms;
		if (!(head & 1))
			q.link = hl_unpack_str(u, HL_MARKET_LINK_MAX);
	}
	if (head >> 1 >= r->n_providers || r->item == 0 || r->item >= HL_MARKET_ITEM_ID_MAX || r->at_ms > HL_UNPACK_MS_MAX)
		u->bad = true;
	if (u->bad)
		return false;
	q.provider = r->providers[head >> 1];
	*out_bid = head & 1;
	*out = q;
	return true;
}

int hl_block_end(const struct hl_block_reader *r)
{
	return r->left == 0 && hl_unpack_done(&r->u) ? 0 : HL_ECORRUPT;
}
