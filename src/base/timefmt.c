/* Times as text, computed here: the C library's functions depend on locale and zone and cannot parse what HTTP
 * sends.
 *
 * Formatting clamps to 1970-01-01 … 9999-12-31, the years that fit the formats. Parsing takes exactly the forms
 * named in the header, in those years; whatever else comes gives false and leaves the result alone. The name of the
 * weekday must be one, but whether it belongs to the date is not checked (RFC 9110 does not ask for it). */
#include "base/timefmt.h"
#include "base/defs.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS ((hl_ms_t)86400000)
#define LAST_AT_MS ((hl_ms_t)253402300799999) /* 9999-12-31T23:59:59.999Z */

struct civil {
	int year, month, day; /* month and day from 1 */
	int hour, minute, second, ms;
};

/* Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that the leap day is
 * the last of its year and months before it have fixed lengths; 400 years are 146097 days. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

static void date_of(int64_t days, struct civil *c)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	c->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	c->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	c->year = (int)(yoe + era * 400 + (c->month <= 2));
}

static struct civil civil_of(hl_ms_t at_ms)
{
	struct civil c;
	at_ms = at_ms < 0 ? 0 : HL_MIN(at_ms, LAST_AT_MS);
	int rest = (int)(at_ms % DAY_MS);
	date_of(at_ms / DAY_MS, &c);
	c.hour = rest / 3600000;
	c.minute = rest / 60000 % 60;
	c.second = rest / 1000 % 60;
	c.ms = rest % 1000;
	return c;
}

static hl_ms_t at_of(const struct civil *c)
{
	return days_of(c->year, c->month, c->day) * DAY_MS +
	       (hl_ms_t)(c->hour * 3600 + c->minute * 60 + c->second) * 1000 + c->ms;
}

/* Checks the ranges; a leap second becomes the second before it. */
static bool settle(struct civil *c)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12)
		return false;
	if (c->hour > 23 || c->minute > 59 || c->second > 60)
		return false;
	bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;
	if (c->day < 1 || c->day > days[c->month - 1] + (c->month == 2 && leap))
		return false;
	if (c->second == 60)
		c->second = 59;
	return true;
}

static bool give(hl_ms_t at_ms, hl_ms_t *out_at_ms)
{
	if (at_ms < 0 || at_ms > LAST_AT_MS)
		return false;
	*out_at_ms = at_ms;
	return true;
}

/* --- writing --- */

static char *put_num(char *p, int v, int width)
{
	for (int i = width - 1; i >= 0; i--, v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + width;
}

static char *put_clock(char *p, const struct civil *c)
{
	p = put_num(p, c->hour, 2);
	*p++ = ':';
	p = put_num(p, c->minute, 2);
	*p++ = ':';
	return put_num(p, c->second, 2);
}

size_t hl_rfc3339_format(hl_ms_t at_ms, char out[HL_RFC3339_CAP])
{
	struct civil c = civil_of(at_ms);
	char *p = put_num(out, c.year, 4);
	*p++ = '-';
	p = put_num(p, c.month, 2);
	*p++ = '-';
	p = put_num(p, c.day, 2);
	*p++ = 'T';
	p = put_clock(p, &c);
	*p++ = '.';
	p = put_num(p, c.ms, 3);
	*p++ = 'Z';
	*p = '\0';
	return (size_t)(p - out);
}

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char *const day_names[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };

size_t hl_http_date_format(hl_ms_t at_ms, char out[HL_HTTP_DATE_CAP])
{
	struct civil c = civil_of(at_ms);
	char *p = out;
	memcpy(p, day_names[(days_of(c.year, c.month, c.day) + 4) % 7], 3); /* 1970-01-01 was a Thursday */
	memcpy(p + 3, ", ", 2);
	p = put_num(p + 5, c.day, 2);
	*p++ = ' ';
	memcpy(p, month_names + (c.month - 1) * 3, 3);
	p[3] = ' ';
	p = put_num(p + 4, c.year, 4);
	*p++ = ' ';
	p = put_clock(p, &c);
	memcpy(p, " GMT", 5);
	return (size_t)(p + 4 - out);
}

/* --- reading: each take_ consumes from the front of *s or gives false --- */

static bool take_num(struct hl_str *s, int width, int *out)
{
	int v = 0;
	if (s->len < (size_t)width)
		return false;
	for (int i = 0; i < width; i++) {
		char c = s->ptr[i];
		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (c - '0');
	}
	s->ptr += width;
	s->len -= (size_t)width;
	*out = v;
	return true;
}

static bool take_text(struct hl_str *s, const char *text)
{
	size_t n = strlen(text);
	if (s->len < n || memcmp(s->ptr, text, n) != 0)
		return false;
	s->ptr += n;
	s->len -= n;
	return true;
}

static bool take_clock(struct hl_str *s, struct civil *c)
{
	return take_num(s, 2, &c->hour) && take_text(s, ":") && take_num(s, 2, &c->minute) && take_text(s, ":") &&
	       take_num(s, 2, &c->second);
}

/* ".d" to ".ddddddddd"; digits after the third are dropped. */
static bool take_fraction(struct hl_str *s, int *out_ms)
{
	int digit, n = 0, ms = 0;
	*out_ms = 0;
	if (!take_text(s, "."))
		return true;
	while (take_num(s, 1, &digit)) {
		if (n < 3)
			ms = ms * 10 + digit;
		if (++n > 9)
			return false;
	}
	for (int i = n; i < 3; i++)
		ms *= 10;
	*out_ms = ms;
	return n > 0;
}

static bool take_offset(struct hl_str *s, hl_ms_t *out_ms)
{
	int hours, minutes;
	if (take_text(s, "Z") || take_text(s, "z")) {
		*out_ms = 0;
		return true;
	}
	bool minus = take_text(s, "-");
	if (!minus && !take_text(s, "+"))
		return false;
	if (!take_num(s, 2, &hours) || !take_text(s, ":") || !take_num(s, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*out_ms = (hl_ms_t)(hours * 60 + minutes) * (minus ? -60000 : 60000);
	return true;
}

bool hl_rfc3339_parse(struct hl_str s, hl_ms_t *out_at_ms)
{
	struct civil c;
	hl_ms_t offset_ms;
	if (!take_num(&s, 4, &c.year) || !take_text(&s, "-") || !take_num(&s, 2, &c.month) || !take_text(&s, "-") ||
	    !take_num(&s, 2, &c.day) || !(take_text(&s, "T") || take_text(&s, "t")) || !take_clock(&s, &c) ||
	    !take_fraction(&s, &c.ms) || !take_offset(&s, &offset_ms) || s.len != 0 || !settle(&c))
		return false;
	return give(at_of(&c) - offset_ms, out_at_ms);
}

/* n: letters of the name that are used, 0 = all of it. */
static bool take_day_name(struct hl_str *s, size_t n)
{
	for (size_t i = 0; i < HL_ARRAY_LEN(day_names); i++) {
		char name[12];
		snprintf(name, sizeof(name), "%.*s", n ? (int)n : (int)sizeof(name) - 1, day_names[i]);
		if (take_text(s, name))
			return true;
	}
	return false;
}

static bool take_month_name(struct hl_str *s, int *out)
{
	for (int i = 0; i < 12; i++) {
		char name[4] = { 0 };
		memcpy(name, month_names + i * 3, 3);
		if (take_text(s, name)) {
			*out = i + 1;
			return true;
		}
	}
	return false;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool parse_imf(struct hl_str s, struct civil *c)
{
	return take_day_name(&s, 3) && take_text(&s, ", ") && take_num(&s, 2, &c->day) && take_text(&s, " ") &&
	       take_month_name(&s, &c->month) && take_text(&s, " ") && take_num(&s, 4, &c->year) &&
	       take_text(&s, " ") && take_clock(&s, c) && take_text(&s, " GMT") && s.len == 0 && settle(c);
}

/* Sun Nov  6 08:49:37 1994 */
static bool parse_asctime(struct hl_str s, struct civil *c)
{
	return take_day_name(&s, 3) && take_text(&s, " ") && take_month_name(&s, &c->month) && take_text(&s, " ") &&
	       (take_text(&s, " ") ? take_num(&s, 1, &c->day) : take_num(&s, 2, &c->day)) && take_text(&s, " ") &&
	       take_clock(&s, c) && take_text(&s, " ") && take_num(&s, 4, &c->year) && s.len == 0 && settle(c);
}

/* Sunday, 06-Nov-94 08:49:37 GMT; the year is the latest with these digits that is at most 50 years after now. */
static bool parse_rfc850(struct hl_str s, hl_ms_t now_ms, struct civil *c)
{
	int yy;
	if (!take_day_name(&s, 0) || !take_text(&s, ", ") || !take_num(&s, 2, &c->day) || !take_text(&s, "-") ||
	    !take_month_name(&s, &c->month) || !take_text(&s, "-") || !take_num(&s, 2, &yy) || !take_text(&s, " ") ||
	    !take_clock(&s, c) || !take_text(&s, " GMT") || s.len != 0)
		return false;
	struct civil limit = civil_of(now_ms);
	limit.year += 50;
	c->year = limit.year / 100 * 100 + yy;
	if (at_of(c) > at_of(&limit))
		c->year -= 100;
	return settle(c);
}

bool hl_http_date_parse(struct hl_str s, hl_ms_t now_ms, hl_ms_t *out_at_ms)
{
	struct civil c = { 0 };
	if (!parse_imf(s, &c) && !parse_asctime(s, &c) && !parse_rfc850(s, now_ms, &c))
		return false;
	return give(at_of(&c), out_at_ms);
}
