/* What may come into the market: the limits of <hookline/alert.h>, said in words to whoever sent it.
 *
 * The first thing wrong is told, with a pointer to it; nothing is changed here. */
#include "alerts/market.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"
#include <inttypes.h>

#define AT_MAX_MS ((hl_ms_t)1 << 47) /* exclusive; the year 6429 */

static int check_id(uint64_t id, struct hl_err *err)
{
	if (id == 0 || id >= HL_MARKET_ITEM_ID_MAX)
		return hl_err_field(err, HL_EINVAL, "/item_id", "must be from 1 to %" PRIu64, HL_MARKET_ITEM_ID_MAX - 1);
	return 0;
}

int hl_market_check_item(const struct hl_market_item *v, struct hl_err *err)
{
	int rc = check_id(v->item_id, err);
	if (rc)
		return rc;
	if (v->name.len == 0 || v->name.len > HL_MARKET_NAME_MAX || !hl_utf8_valid(v->name))
		return hl_err_field(err, HL_EINVAL, "/name", "must be text of 1 to %d bytes", HL_MARKET_NAME_MAX);
	if (v->phase.len > HL_MARKET_PHASE_MAX || !hl_utf8_valid(v->phase))
		return hl_err_field(err, HL_EINVAL, "/phase", "must be text of at most %d bytes", HL_MARKET_PHASE_MAX);
	return 0;
}

bool hl_market_provider_valid(struct hl_str name)
{
	if (name.len == 0 || name.len > HL_MARKET_PROVIDER_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i], small = (char)(c | 0x20);
		if ((small < 'a' || small > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-')
			return false;
	}
	return true;
}

int hl_market_check_quote(const struct hl_market *m, const struct hl_market_quote *q, struct hl_err *err)
{
	int rc = check_id(q->item_id, err);
	if (rc)
		return rc;
	if (hl_market_find(m, q->item_id) == HL_MARKET_NO_ITEM)
		return hl_err_field(err, HL_ENOTFOUND, "/item_id", "Item not found: %" PRIu64, q->item_id);
	if (hl_market_provider_find(m, q->provider) < 0) {
		if (!hl_market_provider_valid(q->provider))
			return hl_err_field(err, HL_EINVAL, "/provider", "must be 1 to %d of A-Z, a-z, 0-9, _ . -",
					HL_MARKET_PROVIDER_MAX);
		if (hl_market_providers(m) >= HL_MARKET_PROVIDERS_MAX)
			return hl_err_field(err, HL_ELIMIT, "/provider", "there are %d providers already",
					HL_MARKET_PROVIDERS_MAX);
	}
	if (q->cents > HL_MARKET_CENTS_MAX)
		return hl_err_field(err, HL_EINVAL, "/price", "must be at most %" PRId64 " cents", HL_MARKET_CENTS_MAX);
	if (q->link.len > HL_MARKET_LINK_MAX || !hl_utf8_valid(q->link))
		return hl_err_field(err, HL_EINVAL, "/link", "must be text of at most %d bytes", HL_MARKET_LINK_MAX);
	if (q->at_ms < 0 || q->at_ms >= AT_MAX_MS)
		return hl_err_field(err, HL_EINVAL, "/timestamp", "is out of range");
	return 0;
}

/* ---- currencies ---------------------------------------------------------------------------------------------------- */

int hl_currency_number(struct hl_str code)
{
	int number = 0;
	if (code.len != 3)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		if (code.ptr[i] < 'A' || code.ptr[i] > 'Z')
			return -1;
		number = number * 26 + (code.ptr[i] - 'A');
	}
	return number;
}

void hl_currency_code(uint16_t currency, char out[4])
{
	out[0] = '\0';
	if (currency >= HL_CURRENCY_N)
		return;
	out[0] = (char)('A' + currency / 676);
	out[1] = (char)('A' + currency / 26 % 26);
	out[2] = (char)('A' + currency % 26);
	out[3] = '\0';
}

int hl_market_check_rates(const struct hl_rate *v, size_t n, struct hl_err *err)
{
	uint64_t seen[(HL_CURRENCY_N + 63) / 64] = { 0 };
	bool usd = false;
	for (size_t i = 0; i < n; i++) {
		struct hl_str code = { v[i].currency, strnlen(v[i].currency, sizeof v[i].currency) };
		char field[32] = "/rates/";
		int c = hl_currency_number(code);
		memcpy(field + strlen(field), code.ptr, code.len);
		if (c < 0)
			return hl_err_field(err, HL_EINVAL, field, "a currency is three capital letters");
		if (v[i].rate <= 0)
			return hl_err_field(err, HL_EINVAL, field, "must be greater than 0");
		bool is_usd = hl_str_eq(code, HL_STR("USD"));
		if (is_usd && v[i].rate != HL_RATE_SCALE)
			return hl_err_field(err, HL_EINVAL, field, "must be 1: rates are units per US dollar");
		if (seen[c / 64] >> (c % 64) & 1)
			return hl_err_field(err, HL_EDUPLICATE, field, "is given twice");
		seen[c / 64] |= (uint64_t)1 << (c % 64);
		usd |= is_usd;
	}
	if (n + !usd > HL_MARKET_CURRENCIES_MAX)
		return hl_err_field(err, HL_ELIMIT, "/rates", "at most %d currencies", HL_MARKET_CURRENCIES_MAX);
	return 0;
}
