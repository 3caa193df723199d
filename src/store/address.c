/* Sealing where webhooks send. What is sealed is the URL, the number of headers, and their values in the order of the names,
 * which stay in the row; a value that was sealed for another webhook does not open. */
#include "store/address.h"
#include <openssl/crypto.h>

static void wipe(struct hl_buf *b)
{
	if (b->data)
		OPENSSL_cleanse(b->data, b->cap);
	hl_buf_fini(b);
}

int hl_address_seal(struct hl_store *s, const struct hl_webhook *w, struct hl_buf *out)
{
	struct hl_buf plain = { 0 };
	hl_pack_str(&plain, w->url);
	hl_pack_u64(&plain, w->n_headers);
	for (size_t i = 0; i < w->n_headers; i++)
		hl_pack_str(&plain, w->headers[i].value);
	int rc = hl_buf_ok(&plain) ? hl_store_seal(s, HL_SEAL_ADDRESS, w->number, hl_buf_all(&plain), out) : HL_ENOMEM;
	wipe(&plain);
	return rc;
}

static int unpack(struct hl_txn *txn, struct hl_str plain, struct hl_webhook *w)
{
	struct hl_str copy = hl_txn_dup(txn, plain);
	if (!copy.ptr)
		return HL_ENOMEM;
	struct hl_unpack u = hl_unpack_start(copy);
	w->url = hl_unpack_str(&u, HL_URL_MAX);
	if (hl_unpack_max(&u, HL_HEADERS_MAX) != w->n_headers)
		return HL_ECORRUPT;
	struct hl_header *headers = w->n_headers ? hl_txn_alloc(txn, w->n_headers * sizeof(*headers)) : NULL;
	if (w->n_headers && !headers)
		return HL_ENOMEM;
	for (size_t i = 0; i < w->n_headers; i++)
		headers[i] = (struct hl_header){ w->headers[i].name, hl_unpack_str(&u, HL_HEADERS_BYTES_MAX) };
	w->headers = headers;
	return hl_unpack_done(&u) ? 0 : HL_ECORRUPT;
}

int hl_address_open(struct hl_txn *txn, struct hl_webhook_row *r)
{
	struct hl_buf plain = { 0 };
	if (!r->address.len)
		return 0;
	int rc = hl_store_unseal(txn->store, HL_SEAL_ADDRESS, r->w.number, r->address, &plain);
	rc = rc ? rc : unpack(txn, hl_buf_all(&plain), &r->w);
	if (!rc)
		r->address = HL_STR_NONE;
	wipe(&plain);
	return rc;
}

/* Seals the row at the cursor; false at the table's end. *key: of the row before, then of this one. */
static bool seal_next(struct hl_txn *txn, enum hl_table t, char key[8], size_t *len)
{
	struct hl_cursor c;
	struct hl_webhook_row r;
	struct hl_str value = HL_STR_NONE;
	char after[9] = { 0 }; /* with a zero byte: the smallest key behind it */
	hl_txn_next_command(txn);
	memcpy(after, key, *len);
	hl_cursor_open(&c, txn, t);
	bool found = *len ? hl_cursor_seek(&c, hl_str_make(after, *len + 1)) : hl_cursor_first(&c);
	if (found && (c.key.len == 0 || c.key.len > 8))
		hl_txn_fail(txn, HL_ECORRUPT);
	else if (found) {
		*len = c.key.len;
		memcpy(key, c.key.ptr, c.key.len);
		value = hl_txn_dup(txn, c.value);
	}
	hl_cursor_close(&c);
	if (!found || hl_txn_status(txn))
		return false;
	struct hl_buf sealed = { 0 };
	int rc = hl_webhook_row_decode(value, hl_txn_arena(txn), &r);
	if (!rc && !r.address.len) {
		rc = hl_address_seal(txn->store, &r.w, &sealed);
		r.address = hl_buf_all(&sealed);
		hl_buf_reset(&txn->scratch);
		hl_webhook_row_encode(&txn->scratch, &r);
		if (!rc)
			hl_txn_put_scratch(txn, t, hl_str_make(key, *len), false);
	}
	hl_buf_fini(&sealed);
	if (rc)
		hl_txn_fail(txn, rc);
	return rc == 0;
}

void hl_address_seal_all(struct hl_txn *txn)
{
	static const enum hl_table tables[] = { HL_TABLE_WEBHOOK, HL_TABLE_WEBHOOK_REVISION };
	for (int i = 0; i < 2; i++) {
		char key[8] = { 0 };
		size_t len = 0;
		while (seal_next(txn, tables[i], key, &len))
			;
	}
}
