/* Amounts as text, and text as amounts.
 *
 * Reading takes an optional sign, digits and at most one point, with at least one digit; how many zeros lead or trail does
 * not matter. No exponent, no separators: the form the documented clients send.
 *
 *   anything else              HL_ESYNTAX
 *   a seventh decimal not 0    HL_EINVAL: nothing is rounded on the way in
 *   past INT64_MAX scaled      HL_EINVAL
 *
 * Writing rounds half up, and only there. No product can overflow: an amount is at most 10^12 cents and a rate below 2^63,
 * so cents · rate < 10^12 · 9.3·10^18 < 10^31; the share of a spread is at most 10^12 · 100 · 10^6 = 10^20; doubling
 * for the half keeps both far below 2^127 > 1.7·10^38. */
#include "alerts/decimal.h"
#include "base/check.h"
#include "base/str.h"
#include <hookline/error.h>

static const int64_t power[] = { 1, 10, 100, 1000, 10000, 100000, 1000000 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* One more digit behind those of *value; HL_EINVAL past INT64_MAX. */
static int add_digit(uint64_t *value, unsigned digit)
{
	uint64_t v;
	if (__builtin_mul_overflow(*value, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)digit, &v) ||
			v > (uint64_t)INT64_MAX)
		return HL_EINVAL;
	*value = v;
	return 0;
}

int hl_decimal_parse(struct hl_str text, int64_t *out)
{
	size_t i = 0, digits = 0;
	unsigned decimals = 0;
	bool minus = false, point = false;
	int rc = 0;
	uint64_t value = 0;
	if (text.len && (text.ptr[0] == '+' || text.ptr[0] == '-'))
		minus = text.ptr[i++] == '-';
	for (; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '.' && !point) {
			point = true;
			continue;
		}
		if (!is_digit(c))
			return HL_ESYNTAX;
		digits++;
		if (point && decimals == HL_DECIMAL_PLACES)
			rc = c != '0' ? HL_EINVAL : rc;
		else if (rc == 0)
			rc = add_digit(&value, (unsigned)(c - '0'));
		decimals += point && decimals < HL_DECIMAL_PLACES;
	}
	if (digits == 0)
		return HL_ESYNTAX;
	for (; rc == 0 && decimals < HL_DECIMAL_PLACES; decimals++)
		rc = add_digit(&value, 0);
	if (rc)
		return rc;
	*out = minus ? -(int64_t)value : (int64_t)value;
	return 0;
}

unsigned hl_decimal_places_of(int64_t scaled)
{
	unsigned places = HL_DECIMAL_PLACES;
	while (places > 2 && scaled % power[HL_DECIMAL_PLACES - places + 1] == 0)
		places--;
	return places;
}

size_t hl_decimal_format_wide(unsigned __int128 value, unsigned places, char out[HL_DECIMAL_WIDE_CAP])
{
	char backwards[HL_DECIMAL_WIDE_CAP];
	size_t n = 0, len = 0;
	HL_CHECK(places >= 1 && places <= HL_DECIMAL_PLACES);
	do {
		if (n == places)
			backwards[n++] = '.';
		backwards[n++] = (char)('0' + (unsigned)(value % 10));
		value /= 10;
	} while (value || n < places + 2);
	while (n)
		out[len++] = backwards[--n];
	out[len] = '\0';
	return len;
}

void hl_decimal_format(int64_t scaled, char out[HL_DECIMAL_CAP])
{
	char digits[HL_DECIMAL_WIDE_CAP];
	unsigned places = hl_decimal_places_of(scaled);
	uint64_t size = scaled < 0 ? -(uint64_t)scaled : (uint64_t)scaled;
	size_t len = hl_decimal_format_wide(size / (uint64_t)power[HL_DECIMAL_PLACES - places], places, digits);
	size_t sign = scaled < 0;
	HL_CHECK(len + sign < HL_DECIMAL_CAP);
	out[0] = '-';
	memcpy(out + sign, digits, len + 1);
}

/* n / d, half up; n far below 2^127. */
static unsigned __int128 divided(unsigned __int128 n, unsigned __int128 d)
{
	return (n + n + d) / (d + d);
}

/* cents / 100 · rate / 10^8 = cents · rate / 10^10 units of the currency. */
unsigned __int128 hl_decimal_price(int64_t cents, int64_t rate, unsigned places)
{
	HL_CHECK(cents >= 0 && cents <= HL_MARKET_CENTS_MAX && rate > 0 && places <= HL_DECIMAL_PLACES);
	int64_t d = (int64_t)10000 * power[HL_DECIMAL_PLACES - places];
	return divided((unsigned __int128)cents * (uint64_t)rate, (unsigned __int128)d);
}

unsigned __int128 hl_decimal_percent(int64_t ask, int64_t bid, unsigned places)
{
	HL_CHECK(ask > 0 && ask <= HL_MARKET_CENTS_MAX && bid >= 0 && bid <= ask && places <= HL_DECIMAL_PLACES);
	return divided((unsigned __int128)(ask - bid) * 100 * (unsigned __int128)power[places], (unsigned __int128)ask);
}
