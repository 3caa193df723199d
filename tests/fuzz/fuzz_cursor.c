/* Texts that name a place or an object and that clients hand back: cursors of listings (the native ones and bitnob's are the
 * same), API keys and their prefixes. What is read was written by us: it is written the same again. What we write is read,
 * and with a bit changed it is not. The first byte chooses: any text, or numbers to be written. */
#include "fuzz.h"
#include "service/key_text.h"
#include "service/paging.h"

static const uint8_t key[16] = "0123456789abcde";

static void as_cursor(struct hl_str s, uint32_t filter)
{
	struct hl_page_cursor c;
	char text[HL_PAGE_CURSOR_CAP];
	int rc = hl_page_cursor_parse(key, s, filter, &c);
	HL_CHECK(rc == HL_OK || rc == HL_ESYNTAX || rc == HL_EMISMATCH);
	if (rc)
		return;
	hl_page_cursor_format(key, &c, text);
	HL_CHECK(c.filter == filter && hl_str_eq(s, hl_str_from(text)));
}

static void as_key(struct hl_str s)
{
	uint32_t number, again;
	unsigned scopes;
	if (!hl_key_text_parse(s, &number))
		HL_CHECK(s.len == HL_KEY_TEXT_LEN && !hl_key_prefix_parse(hl_str_make(s.ptr, HL_KEY_PREFIX_LEN), &again) && number == again);
	if (!hl_key_prefix_parse(s, &number))
		HL_CHECK(s.len == HL_KEY_PREFIX_LEN);
	if (hl_scopes_parse(s, &scopes))
		HL_CHECK(scopes && !(scopes & ~(unsigned)HL_SCOPE_ALL));
}

static void written(struct hl_str in)
{
	struct hl_page_cursor c = { .newer = fuzz_u8(&in) & 1, .number = fuzz_u64(&in), .filter = (uint32_t)fuzz_u64(&in) }, back;
	char text[HL_PAGE_CURSOR_CAP];
	hl_page_cursor_format(key, &c, text);
	struct hl_str s = hl_str_make(text, HL_PAGE_CURSOR_LEN);
	HL_CHECK(text[HL_PAGE_CURSOR_LEN] == '\0' && !hl_page_cursor_parse(key, s, c.filter, &back));
	HL_CHECK(back.newer == c.newer && back.number == c.number && back.filter == c.filter);
	HL_CHECK(hl_page_cursor_parse(key, s, c.filter + 1, &back) == HL_EMISMATCH);
	text[fuzz_u8(&in) % HL_PAGE_CURSOR_LEN] ^= (char)(1 + fuzz_u8(&in) % 127);
	HL_CHECK(hl_page_cursor_parse(key, s, c.filter, &back) == HL_ESYNTAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len);
	if (fuzz_u8(&in) & 1) {
		written(in);
		return 0;
	}
	struct hl_str s = fuzz_own(in);
	as_cursor(s, 7);
	as_key(s);
	free((void *)(uintptr_t)s.ptr);
	return 0;
}
