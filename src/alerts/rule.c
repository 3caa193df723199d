/* One rule against one moment of the market.
 *
 * Comparisons cross-multiply, so nothing is divided and no rounding decides. With ask and bid in cents, the rate in 10^-8 and
 * the threshold in 10^-6:
 *
 *   price     ask/100 · rate/10^8  against  threshold/10^6    ⇔    ask · rate  against  threshold · 10^4
 *   spread    (ask − bid)/ask · 100  ≥  threshold/10^6       ⇔    (ask − bid) · 10^8  ≥  threshold · ask
 *
 * In 128 bits with a sign (up to 1.7·10^38) none can overflow: ask, bid ≤ 10^12, threshold ≤ 10^18, rate < 9.3·10^18, so
 * ask · rate < 10^31, threshold · 10^4 ≤ 10^22, |ask − bid| · 10^8 ≤ 10^20 and threshold · ask ≤ 10^30.
 *
 *   no ask         nothing holds
 *   no bid         no spread holds; a bid above the ask is a negative spread, which never reaches a threshold above 0
 *   unknown rate   no price rule holds */
#include "alerts/rule.h"
#include "alerts/decimal.h"
#include "base/check.h"
#include "base/str.h"
#include <stdio.h>

#define HL_X(number, name, text) [number] = text,
static const char *const kinds[] = { HL_ALERT_KIND_TABLE(HL_X) };
#undef HL_X

_Static_assert(HL_MARKET_CENTS_MAX <= (int64_t)1000000000000 && HL_ALERT_THRESHOLD_MAX <= (int64_t)1000000000000000000,
		"the proof above counts on it");
_Static_assert(HL_RATE_SCALE == 100000000 && HL_ALERT_THRESHOLD_SCALE == 1000000, "so do the powers of ten below");

const char *hl_alert_kind_name(enum hl_alert_kind k)
{
	return (unsigned)k < HL_ALERT_KIND_N ? kinds[k] : "?";
}

int hl_alert_kind_parse(struct hl_str text)
{
	for (int i = 0; i < HL_ALERT_KIND_N; i++) {
		if (hl_str_eq(text, hl_str_from(kinds[i])))
			return i;
	}
	return -1;
}

bool hl_rule_holds(enum hl_alert_kind kind, int64_t threshold, int64_t ask, int64_t bid, int64_t rate)
{
	if (ask <= 0)
		return false;
	if (kind == HL_ALERT_SPREAD_EXCEEDS)
		return bid > 0 && (__int128)(ask - bid) * 100000000 >= (__int128)threshold * ask;
	if (rate <= 0)
		return false;
	__int128 price = (__int128)ask * rate, limit = (__int128)threshold * 10000;
	return kind == HL_ALERT_PRICE_BELOW ? price <= limit : price >= limit;
}

static unsigned __int128 observed(const struct hl_rule_fired *f, unsigned places)
{
	if (f->rule.kind == HL_ALERT_SPREAD_EXCEEDS)
		return hl_decimal_percent(f->ask, f->bid, places);
	return hl_decimal_price(f->ask, f->rate, places);
}

int64_t hl_rule_triggered(const struct hl_rule_fired *f)
{
	const int64_t hundredth = HL_ALERT_THRESHOLD_SCALE / 100;
	unsigned __int128 hundredths = observed(f, 2);
	if (hundredths > HL_RULE_TRIGGERED_MAX / hundredth)
		return HL_RULE_TRIGGERED_MAX;
	return (int64_t)hundredths * hundredth;
}

size_t hl_rule_reason(const struct hl_rule_fired *f, char out[HL_RULE_REASON_CAP])
{
	char value[HL_DECIMAL_WIDE_CAP], threshold[HL_DECIMAL_CAP], unit[8] = "%";
	bool spread = f->rule.kind == HL_ALERT_SPREAD_EXCEEDS;
	unsigned places = hl_decimal_places_of(f->rule.threshold);
	hl_decimal_format_wide(observed(f, places), places, value);
	hl_decimal_format(f->rule.threshold, threshold);
	if (!spread) {
		unit[0] = ' ';
		hl_currency_code(f->rule.currency, unit + 1);
	}
	int n = snprintf(out, HL_RULE_REASON_CAP, "%s %s%s is at or %s %s%s", spread ? "Spread" : "Best ask", value, unit,
			f->rule.kind == HL_ALERT_PRICE_BELOW ? "below" : "above", threshold, unit);
	HL_CHECK(n > 0 && n < HL_RULE_REASON_CAP);
	return (size_t)n;
}
