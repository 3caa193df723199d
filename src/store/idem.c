/* Idempotency records. The key hashes scope and key together (each with its length, so that no two pairs make the same
 * text) to 128 bits of SHA-256; a look-up reads today's bucket and the two before, because 48 hours touch three days. A
 * clock set back by less than a day still finds what was stored "tomorrow": that bucket is read too. */
#include "store/idem.h"
#include "base/crash.h"
#include "base/defs.h"
#include <openssl/evp.h>

enum { BUCKETS_BACK = 2, KEY_LEN = 4 + 4 + HL_IDEM_HASH_LEN };

static int hash(struct hl_txn *txn, struct hl_str scope, struct hl_str key, uint8_t out[HL_IDEM_HASH_LEN])
{
	uint8_t sum[EVP_MAX_MD_SIZE], len[8];
	unsigned n = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	hl_be64_put(len, scope.len);
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(ctx, len, sizeof(len)) == 1 &&
			EVP_DigestUpdate(ctx, scope.ptr, scope.len) == 1 && EVP_DigestUpdate(ctx, key.ptr, key.len) == 1 &&
			EVP_DigestFinal_ex(ctx, sum, &n) == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return hl_txn_fail(txn, HL_ENOMEM);
	memcpy(out, sum, HL_IDEM_HASH_LEN);
	return 0;
}

static uint32_t bucket_of(hl_ms_t at_ms)
{
	return at_ms > 0 ? (uint32_t)(at_ms / HL_IDEM_DAY_MS) : 0;
}

static struct hl_dbkey key_of(uint32_t bucket, uint32_t account, const uint8_t h[HL_IDEM_HASH_LEN])
{
	struct hl_dbkey k = hl_dbkey_u32(hl_dbkey_u32(HL_DBKEY_NONE, bucket), account);
	memcpy(k.bytes + k.len, h, HL_IDEM_HASH_LEN);
	k.len += HL_IDEM_HASH_LEN;
	return k;
}

int hl_idem_find(struct hl_txn *txn, uint32_t account, struct hl_str scope, struct hl_str key, hl_ms_t now_ms,
		struct hl_idem_row *out)
{
	uint8_t h[HL_IDEM_HASH_LEN];
	struct hl_str bytes;
	uint32_t newest = bucket_of(now_ms) + 1;
	if (hash(txn, scope, key, h))
		return hl_txn_status(txn);
	for (uint32_t i = 0; i <= BUCKETS_BACK + 1 && i <= newest; i++) {
		if (!hl_txn_get(txn, HL_TABLE_IDEM, HL_DBKEY(key_of(newest - i, account, h)), &bytes))
			continue;
		int rc = hl_idem_row_decode(bytes, out);
		if (rc)
			return hl_txn_fail(txn, rc);
		if (out->created_at_ms > now_ms - HL_IDEM_KEEP_MS)
			return 1;
	}
	return hl_txn_status(txn);
}

void hl_idem_put(struct hl_txn *txn, uint32_t account, struct hl_str scope, struct hl_str key,
		const struct hl_idem_row *row)
{
	uint8_t h[HL_IDEM_HASH_LEN];
	if (hash(txn, scope, key, h))
		return;
	hl_buf_reset(&txn->scratch);
	hl_idem_row_encode(&txn->scratch, row);
	hl_txn_put_scratch(txn, HL_TABLE_IDEM, HL_DBKEY(key_of(bucket_of(row->created_at_ms), account, h)), false);
}

bool hl_idem_drop_old(struct hl_txn *txn, hl_ms_t now_ms, size_t max, uint64_t *out_n)
{
	uint32_t oldest = HL_MAX(bucket_of(now_ms), (uint32_t)BUCKETS_BACK) - BUCKETS_BACK;
	for (; max; max--) {
		struct hl_cursor c;
		uint8_t key[KEY_LEN];
		hl_cursor_open(&c, txn, HL_TABLE_IDEM);
		bool old = hl_cursor_first(&c) && c.key.len == KEY_LEN && hl_be32_get((const uint8_t *)c.key.ptr) < oldest;
		if (old)
			memcpy(key, c.key.ptr, KEY_LEN);
		hl_cursor_close(&c);
		if (!old)
			return true;
		if (!hl_txn_del(txn, HL_TABLE_IDEM, hl_str_make(key, KEY_LEN)))
			return true; /* the transaction failed */
		++*out_n;
		HL_CRASH_POINT(IDEM_DROPPED);
	}
	return false;
}
