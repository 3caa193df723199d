/* Any bytes as a webhook's URL: what is accepted is in normal form, so reading it again changes nothing. */
#include "http/url.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void parse(struct hl_str text)
{
	struct hl_arena a;
	struct hl_url first, second;
	hl_arena_init(&a, 0);
	if (!hl_url_parse(text, &a, &first, NULL)) {
		HL_CHECK(hl_str_all_between(first.text, 0x21, 0x7e));
		HL_CHECK(!hl_url_parse(first.text, &a, &second, NULL));
		HL_CHECK(hl_str_eq(first.text, second.text) && hl_str_eq(first.host, second.host) && first.port == second.port);
	}
	hl_arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str rest = hl_str_make((const char *)data, len);
	struct hl_buf text = { .data = NULL };
	parse(rest);
	hl_buf_fmt(&text, "http://");
	hl_buf_str(&text, rest);
	if (hl_buf_ok(&text))
		parse(hl_buf_all(&text));
	hl_buf_fini(&text);
	return 0;
}
