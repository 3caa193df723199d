/* Amounts as text: thresholds (six decimals), prices and percentages rounded half up. Pure; integers only.
 * hl_decimal_parse and hl_decimal_format of <hookline/alert.h> are in decimal.c as well. */
#ifndef HL_ALERTS_DECIMAL_H
#define HL_ALERTS_DECIMAL_H

#include <hookline/alert.h>

enum { HL_DECIMAL_PLACES = 6, HL_DECIMAL_WIDE_CAP = 48 };

/* How many decimals hl_decimal_format shows of `scaled`: 2 … HL_DECIMAL_PLACES. */
unsigned hl_decimal_places_of(int64_t scaled);
/* value / 10^places with exactly that many decimals (1 … HL_DECIMAL_PLACES); returns the length. */
size_t hl_decimal_format_wide(unsigned __int128 value, unsigned places, char out[HL_DECIMAL_WIDE_CAP]);

/* cents · rate, in 10^-places units of the currency, half up. cents ≥ 0, rate > 0. */
unsigned __int128 hl_decimal_price(int64_t cents, int64_t rate, unsigned places);
/* (ask − bid) / ask · 100, in 10^-places percent, half up. ask > 0, 0 ≤ bid ≤ ask. */
unsigned __int128 hl_decimal_percent(int64_t ask, int64_t bid, unsigned places);

#endif
