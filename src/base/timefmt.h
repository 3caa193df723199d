/* Times as text. All UTC. */
#ifndef HL_BASE_TIMEFMT_H
#define HL_BASE_TIMEFMT_H

#include <hookline/types.h>

enum { HL_RFC3339_CAP = 32, HL_HTTP_DATE_CAP = 32 };
/* "2026-04-12T18:20:11.123Z" (RFC 3339, always milliseconds); returns the length. */
size_t hl_rfc3339_format(hl_ms_t at_ms, char out[HL_RFC3339_CAP]);
/* Full RFC 3339 date-time with any offset, 0–9 fraction digits (cut to ms), years 1970–9999; leap second 60 read as 59. */
bool hl_rfc3339_parse(struct hl_str s, hl_ms_t *out_at_ms);
/* HTTP-date: IMF-fixdate, RFC 850 (two-digit year relative to now_ms) and asctime form (RFC 9110 §5.6.7). */
bool hl_http_date_parse(struct hl_str s, hl_ms_t now_ms, hl_ms_t *out_at_ms);
size_t hl_http_date_format(hl_ms_t at_ms, char out[HL_HTTP_DATE_CAP]); /* IMF-fixdate */

#endif
