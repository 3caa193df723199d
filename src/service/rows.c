/* A page of a table: from the place given, away from it, until `limit` rows match; one more match tells whether there is
 * another page that way. Towards newer rows the walk is ascending and the page is turned round at the end. */
#include "service/internal.h"

#include "base/check.h"
#include "base/str.h"

static struct hl_dbkey key_of(const struct hl_rows *rows, uint64_t number)
{
	if (rows->number_len == 8)
		return hl_dbkey_u64(rows->prefix, number);
	return hl_dbkey_u32(rows->prefix, number > UINT32_MAX ? UINT32_MAX : (uint32_t)number);
}

static uint64_t number_of(const struct hl_rows *rows, struct hl_str key)
{
	const uint8_t *p = (const uint8_t *)key.ptr + key.len - rows->number_len;
	return rows->number_len == 8 ? hl_be64_get(p) : hl_be32_get(p);
}

static void turn_round(char *out, size_t n, size_t size)
{
	char tmp[HL_ROW_MAX];
	for (size_t i = 0; i < n / 2; i++) {
		char *a = out + i * size, *b = out + (n - 1 - i) * size;
		memcpy(tmp, a, size);
		memcpy(a, b, size);
		memcpy(b, tmp, size);
	}
}

/* Puts the cursor on the first row of the page. */
static bool start(struct hl_cursor *c, const struct hl_rows *rows, const struct hl_page *page)
{
	struct hl_dbkey k;
	if (page->after) {
		k = key_of(rows, page->after);
		if (!hl_cursor_seek(c, HL_DBKEY(k)))
			return false;
		return !hl_str_eq(c->key, HL_DBKEY(k)) || hl_cursor_next(c);
	}
	k = key_of(rows, page->before ? page->before : UINT64_MAX);
	return hl_cursor_seek_before(c, HL_DBKEY(k));
}

int hl_rows_page(struct hl_txn *txn, const struct hl_rows *rows, const struct hl_page *page, void *out, size_t *out_n,
		struct hl_page_info *info)
{
	struct hl_cursor c;
	char probe[HL_ROW_MAX];
	size_t n = 0;
	bool more = false;
	HL_CHECK(rows->size <= HL_ROW_MAX);
	hl_cursor_open(&c, txn, rows->table);
	for (bool ok = start(&c, rows, page); ok; ok = page->after ? hl_cursor_next(&c) : hl_cursor_prev(&c)) {
		if (!hl_cursor_under(&c, HL_DBKEY(rows->prefix)) || c.key.len != rows->prefix.len + rows->number_len)
			break;
		void *row = n < page->limit ? (char *)out + n * rows->size : probe;
		if (!rows->decode(rows->data, txn, number_of(rows, c.key), c.value, row))
			continue;
		if (n == page->limit) {
			more = true;
			break;
		}
		n++;
	}
	hl_cursor_close(&c);
	if (page->after)
		turn_round(out, n, rows->size);
	*out_n = n;
	info->has_newer = page->after ? more : page->before != 0;
	info->has_older = page->after ? true : more;
	info->total = 0;
	return hl_txn_status(txn);
}
