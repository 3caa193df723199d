/* Cursors: three numbers and a keyed check, so that a cursor that was made up, cut, edited or taken from another store is
 * refused instead of walking somewhere. A check that fits with another filter hash is the caller's own mistake and said
 * apart. */
#include "service/paging.h"

#include "base/codec.h"
#include "base/siphash.h"
#include "base/str.h"

enum { VERSION = 1, NEWER_BIT = 0x80, BODY_LEN = 13, RAW_LEN = 21 };

/* Cursor checks must never equal the checks of ids, which use the same key. */
static uint64_t check_of(const uint8_t key[16], const uint8_t body[BODY_LEN])
{
	uint8_t text[7 + BODY_LEN] = { 'c', 'u', 'r', 's', 'o', 'r', 0 };
	memcpy(text + 7, body, BODY_LEN);
	return hl_siphash(key, text, sizeof(text));
}

uint32_t hl_page_cursor_filter(const uint8_t key[16], struct hl_str filters)
{
	return (uint32_t)hl_siphash(key, filters.ptr, filters.len);
}

void hl_page_cursor_format(const uint8_t key[16], const struct hl_page_cursor *c, char out[HL_PAGE_CURSOR_CAP])
{
	uint8_t raw[RAW_LEN];
	raw[0] = (uint8_t)(VERSION | (c->newer ? NEWER_BIT : 0));
	hl_be64_put(raw + 1, c->number);
	hl_be32_put(raw + 9, c->filter);
	hl_be64_put(raw + BODY_LEN, check_of(key, raw));
	out[hl_base64url_encode(raw, sizeof(raw), out)] = '\0';
}

int hl_page_cursor_parse(const uint8_t key[16], struct hl_str text, uint32_t filter, struct hl_page_cursor *out)
{
	uint8_t raw[RAW_LEN];
	size_t n;
	if (text.len != HL_PAGE_CURSOR_LEN || !hl_base64url_decode(text, raw, sizeof(raw), &n) || n != RAW_LEN)
		return HL_ESYNTAX;
	if ((raw[0] & ~NEWER_BIT) != VERSION || hl_be64_get(raw + BODY_LEN) != check_of(key, raw))
		return HL_ESYNTAX;
	if (hl_be32_get(raw + 9) != filter)
		return HL_EMISMATCH;
	*out = (struct hl_page_cursor){ .newer = (raw[0] & NEWER_BIT) != 0, .number = hl_be64_get(raw + 1), .filter = filter };
	return HL_OK;
}
