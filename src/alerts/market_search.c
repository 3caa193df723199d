/* Finding items by a part of their name, whatever the case.
 *
 * Both texts are walked scalar value by scalar value, each folded to its small letter where the alphabet is one of those
 * that names are written in; what has no case or an exotic one only equals itself. Malformed bytes equal only themselves. */
#include "alerts/market.h"
#include "base/str.h"
#include "base/utf8.h"

enum { NO_SCALAR = 0x110000 };

static uint32_t fold(uint32_t c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	if (c < 0x100)
		return c >= 0xC0 && c <= 0xDE && c != 0xD7 ? c + 32 : c;
	if (c < 0x180) { /* pairs, capital first, at even places but for two stretches */
		if (c == 0x178)
			return 0xFF;
		if (c == 0x130 || c == 0x131 || c == 0x138 || c == 0x149 || c == 0x17F)
			return c;
		bool odd_first = (c >= 0x139 && c <= 0x148) || c >= 0x179;
		return (c & 1) == odd_first ? c + 1 : c;
	}
	if (c >= 0x391 && c <= 0x3A9)
		return c + 32;
	if (c >= 0x410 && c <= 0x42F)
		return c + 32;
	if (c >= 0x400 && c <= 0x40F)
		return c + 80;
	return c;
}

static uint32_t next_folded(const char **p, const char *end)
{
	uint32_t c;
	int n = hl_utf8_step(*p, end, &c);
	if (n < 0) {
		c = NO_SCALAR + (unsigned char)**p;
		n = 1;
	}
	*p += n;
	return fold(c);
}

static bool starts_with(const char *p, const char *end, struct hl_str search)
{
	const char *s = search.ptr, *s_end = s + search.len;
	while (s < s_end) {
		if (p == end || next_folded(&p, end) != next_folded(&s, s_end))
			return false;
	}
	return true;
}

bool hl_market_name_contains(struct hl_str name, struct hl_str search)
{
	if (search.len == 0)
		return true;
	for (const char *p = name.ptr, *end = p + name.len; p < end; next_folded(&p, end)) {
		if (starts_with(p, end, search))
			return true;
	}
	return false;
}

bool hl_market_matches(const struct hl_market *m, uint32_t item, struct hl_str search)
{
	struct hl_market_item v;
	uint64_t id;
	hl_market_item_of(m, item, &v);
	if (hl_str_u64(search, &id) && id == v.item_id)
		return true;
	return hl_market_name_contains(v.name, search);
}
