/* A line's members are taken as the scan meets them (hl_json_pull), looked up in a short table and read by type. What is
 * wrong with one of them is kept until the scan has ended, because a line that is no JSON is that and nothing else.
 *
 * Rates are decimals of any form JSON allows, "0.92", "9.2e-1", "920000e-6", and become whole numbers of 1e-8 by their digits. A
 * rate that would have to be rounded is refused: who knows how it should be rounded is the one who sends it. */
#include "api/market_json.h"

#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"
#include "base/timefmt.h"

#include <stdio.h>

/* ---- records ------------------------------------------------------------------------------------------------------ */

enum member { ITEM_ID, PROVIDER, PRICE, COUNT, LINK, TIMESTAMP, NAME, PHASE, OTHER };

/* The members of one kind of record. */
struct shape {
	struct { struct hl_str name; enum member member; } v[6];
	size_t n;
	unsigned required;           /* set of 1 << enum member */
};

static const struct shape asks = {
	.v = {
		{ HL_STR("item_id"), ITEM_ID }, { HL_STR("provider"), PROVIDER }, { HL_STR("lowest_ask"), PRICE },
		{ HL_STR("quantity"), COUNT }, { HL_STR("link"), LINK }, { HL_STR("timestamp"), TIMESTAMP },
	},
	.n = 6, .required = 1 << ITEM_ID | 1 << PROVIDER | 1 << PRICE,
};
static const struct shape bids = {
	.v = {
		{ HL_STR("item_id"), ITEM_ID }, { HL_STR("provider"), PROVIDER }, { HL_STR("highest_bid"), PRICE },
		{ HL_STR("num_bids"), COUNT }, { HL_STR("timestamp"), TIMESTAMP },
	},
	.n = 5, .required = 1 << ITEM_ID | 1 << PROVIDER | 1 << PRICE,
};
static const struct shape items = {
	.v = { { HL_STR("item_id"), ITEM_ID }, { HL_STR("market_hash_name"), NAME }, { HL_STR("phase"), PHASE } },
	.n = 3, .required = 1 << ITEM_ID | 1 << NAME,
};

struct record {
	struct hl_market_item item;
	struct hl_market_quote quote;
};

static const char *name_of(const struct shape *s, enum member m)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].member == m)
			return s->v[i].name.ptr;
	return "";
}

static int bad(struct hl_reader *r, const struct shape *s, enum member m, int code, const char *what)
{
	char pointer[32];
	snprintf(pointer, sizeof(pointer), "/%s", name_of(s, m));
	return hl_err_field(r->err, code, pointer, "%s", what);
}

static enum member member_of(struct hl_reader *r, const struct shape *s, struct hl_str key)
{
	struct hl_json raw = { .type = HL_JSON_STRING, .raw = key };
	if (key.len && memchr(key.ptr, '\\', key.len) && hl_json_string(r->arena, raw, true, &key))
		return OTHER;
	for (size_t i = 0; i < s->n; i++)
		if (hl_str_eq(s->v[i].name, key))
			return s->v[i].member;
	return OTHER;
}

/* A string that outlives the line; null, where it may be, is "". */
static int text(struct hl_reader *r, const struct shape *s, enum member m, struct hl_json v, struct hl_str *out)
{
	struct hl_str raw = HL_STR("");
	if (v.type == HL_JSON_NULL && m != NAME && m != PROVIDER) {
		*out = raw;
		return HL_OK;
	}
	if (v.type != HL_JSON_STRING)
		return bad(r, s, m, HL_EINVAL, m == NAME || m == PROVIDER ? "must be a string" : "must be a string or null");
	int rc = hl_json_string(r->arena, v, false, &raw);
	if (rc == HL_ESYNTAX)
		return bad(r, s, m, rc, "holds a lone surrogate or U+0000");
	*out = rc ? HL_STR_NONE : hl_arena_dup(r->arena, raw);
	return out->ptr ? HL_OK : hl_err_set(r->err, HL_ENOMEM, "no memory for the record");
}

static int number(struct hl_reader *r, const struct shape *s, enum member m, struct hl_json v, int64_t min, int64_t max,
		int64_t *out)
{
	static const char *const what[] = {
		[ITEM_ID] = "must be a whole number from 1 to 9007199254740991",
		[PRICE] = "must be a whole number of cents, or null",
		[COUNT] = "must be a whole number from 0 to 4294967295",
	};
	if (m == PRICE && v.type == HL_JSON_NULL) {
		*out = 0;
		return HL_OK;
	}
	return hl_json_i64(v, out) && *out >= min && *out <= max ? HL_OK : bad(r, s, m, HL_EINVAL, what[m]);
}

static int take(struct hl_reader *r, const struct shape *s, enum member m, struct hl_json v, struct record *out)
{
	int64_t n = 0;
	int rc = HL_OK;
	switch (m) {
	case ITEM_ID:
		rc = number(r, s, m, v, 1, (int64_t)HL_MARKET_ITEM_ID_MAX - 1, &n);
		out->item.item_id = out->quote.item_id = (uint64_t)n;
		return rc;
	case PROVIDER:
		return text(r, s, m, v, &out->quote.provider);
	case PRICE:
		return number(r, s, m, v, INT64_MIN, INT64_MAX, &out->quote.cents);
	case COUNT:
		rc = number(r, s, m, v, 0, UINT32_MAX, &n);
		out->quote.count = (uint32_t)n;
		return rc;
	case LINK:
		return text(r, s, m, v, &out->quote.link);
	case TIMESTAMP:
		if (v.type == HL_JSON_NULL)
			return HL_OK;
		if (v.type == HL_JSON_STRING && hl_rfc3339_parse(hl_str_make(v.raw.ptr + 1, v.raw.len - 2), &out->quote.at_ms))
			return HL_OK;
		return bad(r, s, m, HL_EINVAL, "must be a time as in RFC 3339, e.g. 2026-04-12T18:20:11Z, or null");
	case NAME:
		return text(r, s, m, v, &out->item.name);
	case PHASE:
		return text(r, s, m, v, &out->item.phase);
	default:
		return HL_OK;
	}
}

static int read_record(struct hl_reader *r, const struct shape *s, struct hl_str line, struct record *out)
{
	struct hl_json_pull p;
	unsigned seen = 0;
	int rc = HL_OK;
	*out = (struct record){ .quote = { .count = 1 } };
	for (hl_json_pull(&p, line); hl_json_pull_next(&p);) {
		enum member m = rc ? OTHER : member_of(r, s, p.key);
		if (m == OTHER)
			continue;
		rc = seen & 1u << m ? bad(r, s, m, HL_EDUPLICATE, "is given twice") : take(r, s, m, p.value, out);
		seen |= 1u << m;
	}
	if (p.rc)
		return hl_json_pull_end(&p, r->err);
	for (size_t i = 0; !rc && i < s->n; i++)
		if (s->required & ~seen & 1u << s->v[i].member)
			rc = bad(r, s, s->v[i].member, HL_EINVAL, "is missing");
	return rc;
}

int hl_market_read_item(struct hl_reader *r, struct hl_str line, struct hl_market_item *out)
{
	struct record record;
	int rc = read_record(r, &items, line, &record);
	*out = record.item;
	if (!rc && (!out->name.len || out->name.len > HL_MARKET_NAME_MAX))
		rc = bad(r, &items, NAME, HL_EINVAL, "must be 1 to 255 bytes long");
	if (!rc && out->phase.len > HL_MARKET_PHASE_MAX)
		rc = bad(r, &items, PHASE, HL_EINVAL, "must be at most 64 bytes long");
	return rc;
}

int hl_market_read_quote(struct hl_reader *r, bool is_bid, struct hl_str line, struct hl_market_quote *out)
{
	struct record record;
	int rc = read_record(r, is_bid ? &bids : &asks, line, &record);
	*out = record.quote;
	return rc;
}

void hl_market_pointer(bool is_bid, struct hl_err *err)
{
	static const struct { const char *from, *ask, *bid; } names[] = {
		{ "/price", "/lowest_ask", "/highest_bid" },
		{ "/quantity", "/quantity", "/num_bids" },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(names); i++)
		if (!strcmp(err->field, names[i].from)) {
			snprintf(err->field, sizeof(err->field), "%s", is_bid ? names[i].bid : names[i].ask);
			return;
		}
}

/* ---- rates -------------------------------------------------------------------------------------------------------- */

/* Significant digits of a JSON number as a whole number, and the power of ten it is to be multiplied with. */
struct decimal {
	uint64_t digits;
	int64_t power;
};

static int add_digit(struct decimal *d, unsigned digit, unsigned zeros_before)
{
	for (unsigned i = 0; i <= zeros_before; i++)
		if (__builtin_mul_overflow(d->digits, (uint64_t)10, &d->digits))
			return HL_EINVAL;
	return __builtin_add_overflow(d->digits, (uint64_t)digit, &d->digits) ? HL_EINVAL : HL_OK;
}

/* Zeros are held back until a digit follows, so that no number of them at either end matters. */
static int read_decimal(struct hl_str s, struct decimal *d)
{
	unsigned zeros = 0;
	bool point = false;
	size_t i = 0;
	*d = (struct decimal){ .digits = 0 };
	for (; i < s.len && s.ptr[i] != 'e' && s.ptr[i] != 'E'; i++) {
		if (s.ptr[i] == '.') {
			point = true;
			continue;
		}
		d->power -= point;
		if (s.ptr[i] == '0') {
			zeros += d->digits != 0;
			continue;
		}
		if (add_digit(d, (unsigned)(s.ptr[i] - '0'), zeros))
			return HL_EINVAL;
		zeros = 0;
	}
	d->power += zeros;
	if (i < s.len) {
		struct hl_str e = hl_str_make(s.ptr + i + 1, s.len - i - 1);
		int64_t exponent;
		if (e.ptr[0] == '+')
			e = hl_str_make(e.ptr + 1, e.len - 1);
		if (!hl_str_i64(e, &exponent) || exponent > 1000000 || exponent < -1000000)
			return d->digits ? HL_EINVAL : HL_OK; /* nothing times anything is nothing */
		d->power += exponent;
	}
	return HL_OK;
}

int hl_rate_parse(struct hl_str s, int64_t *out)
{
	struct decimal d;
	bool minus = s.len && s.ptr[0] == '-';
	if (read_decimal(hl_str_make(s.ptr + minus, s.len - minus), &d))
		return HL_EINVAL;
	if (!d.digits)
		d.power = 0;
	d.power += 8;
	for (; d.power > 0 && d.digits; d.power--)
		if (__builtin_mul_overflow(d.digits, (uint64_t)10, &d.digits))
			return HL_EINVAL;
	if ((d.power < 0 && d.digits) || d.digits > INT64_MAX)
		return HL_EINVAL;
	*out = minus ? -(int64_t)d.digits : (int64_t)d.digits;
	return HL_OK;
}

void hl_rate_write(struct hl_jsonw *w, int64_t rate)
{
	struct hl_buf text = { .data = NULL };
	hl_buf_fmt(&text, "%lld.%08lld", (long long)(rate / HL_RATE_SCALE), (long long)(rate % HL_RATE_SCALE));
	struct hl_str s = hl_buf_ok(&text) ? hl_buf_all(&text) : HL_STR("0");
	while (s.ptr[s.len - 1] == '0' && s.len > 1)
		s.len--;
	s.len -= s.ptr[s.len - 1] == '.';
	hl_jsonw_raw(w, s);
	hl_buf_fini(&text);
}

static int bad_rate(struct hl_reader *r, struct hl_str code, int rc, const char *what)
{
	char pointer[64];
	snprintf(pointer, sizeof(pointer), "/rates/%.*s", (int)HL_MIN(code.len, (size_t)40), code.ptr);
	for (char *p = pointer + 7; *p; p++)
		if (*p < 0x20 || *p > 0x7e || *p == '/' || *p == '~')
			*p = '?';
	return hl_err_field(r->err, rc, pointer, "%s", what);
}

/* Which currency, which rates are good ones: hl_market_put_rates says. */
static int read_rate(struct hl_reader *r, const struct hl_json_iter *it, struct hl_rate *out)
{
	if (it->key.len != 3)
		return bad_rate(r, it->key, HL_EINVAL, "a currency is three capital letters");
	memcpy(out->currency, it->key.ptr, 3);
	out->currency[3] = '\0';
	if (it->value.type != HL_JSON_NUMBER)
		return bad_rate(r, it->key, HL_EINVAL, "must be a number");
	if (hl_rate_parse(it->value.raw, &out->rate))
		return bad_rate(r, it->key, HL_EINVAL, "must have at most eight decimals and be less than 92000000000");
	return HL_OK;
}

int hl_market_read_rates(struct hl_reader *r, struct hl_str body, const struct hl_rate **out, size_t *out_n, hl_ms_t *out_at_ms)
{
	struct hl_json_field f[] = {
		{ .name = "rates", .types = HL_T_OBJECT, .required = true },
		{ .name = "timestamp", .types = HL_T_STRING | HL_T_NULL },
	};
	struct hl_json_iter it;
	size_t n = 0;
	*out_at_ms = 0;
	int rc = hl_read_object(r, body, false, f, HL_ARRAY_LEN(f));
	if (rc || (rc = hl_read_time(r, &f[1], out_at_ms)))
		return rc;
	struct hl_rate *v = HL_ARENA_ARRAY(r->arena, struct hl_rate, HL_MARKET_CURRENCIES_MAX);
	if (!v)
		return hl_err_set(r->err, HL_ENOMEM, "no memory for the request");
	for (hl_json_each(&it, f[0].value); hl_json_next(&it); n++) {
		if (n == HL_MARKET_CURRENCIES_MAX)
			return hl_read_fail(r, &f[0], "must not have more than %d currencies", HL_MARKET_CURRENCIES_MAX);
		if ((rc = read_rate(r, &it, &v[n])))
			return rc;
	}
	*out = v;
	*out_n = n;
	return HL_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static void text_or_null(struct hl_jsonw *w, const char *name, struct hl_str s)
{
	hl_jsonw_key(w, name);
	if (s.len)
		hl_jsonw_str(w, s);
	else
		hl_jsonw_null(w);
}

void hl_market_cents_write(struct hl_jsonw *w, int64_t cents)
{
	if (cents)
		hl_jsonw_i64(w, cents);
	else
		hl_jsonw_null(w);
}

void hl_market_item_members(struct hl_jsonw *w, const struct hl_market_item *v)
{
	hl_jsonw_key(w, "item_id");
	hl_jsonw_u64(w, v->item_id);
	hl_jsonw_key(w, "market_hash_name");
	hl_jsonw_str(w, v->name);
	text_or_null(w, "phase", v->phase);
}

void hl_market_view_write(struct hl_jsonw *w, const struct hl_market_view *v)
{
	hl_jsonw_object(w);
	hl_market_item_members(w, &v->item);
	hl_jsonw_key(w, "best_ask");
	hl_market_cents_write(w, v->best_ask);
	text_or_null(w, "best_ask_provider", v->ask_provider);
	text_or_null(w, "best_ask_link", v->ask_link);
	hl_jsonw_key(w, "best_bid");
	hl_market_cents_write(w, v->best_bid);
	text_or_null(w, "best_bid_provider", v->bid_provider);
	hl_jsonw_object_end(w);
}
