/* Any bytes as a JSON text: what is accepted can be walked to its end, and is accepted again inside an array. */
#include "base/json.h"
#include "base/check.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void walk(struct hl_json v, unsigned depth)
{
	struct hl_json_iter it = { .at = NULL };
	HL_CHECK(depth <= 64);
	if (v.type != HL_JSON_OBJECT && v.type != HL_JSON_ARRAY)
		return;
	for (hl_json_each(&it, v); hl_json_next(&it);)
		walk(it.value, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str text = hl_str_make((const char *)data, len);
	struct hl_json v;
	if (hl_json_check(text, 63, &v, NULL))
		return 0;
	walk(v, 0);
	struct hl_buf again = { .data = NULL };
	hl_buf_fmt(&again, "[");
	hl_buf_str(&again, v.raw);
	hl_buf_fmt(&again, "]");
	HL_CHECK(!hl_buf_ok(&again) || !hl_json_check(hl_buf_all(&again), 64, &v, NULL));
	hl_buf_fini(&again);
	return 0;
}
