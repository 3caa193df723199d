/* Idempotency records: remembered for 48 h by account, scope and key. They lie in buckets by day of first use, so that
 * old ones are dropped in key order. */
#ifndef HL_STORE_IDEM_H
#define HL_STORE_IDEM_H

#include "store/store.h"

enum { HL_IDEM_KEEP_MS = 48 * 3600 * 1000, HL_IDEM_DAY_MS = 24 * 3600 * 1000, HL_IDEM_HASH_LEN = 16 };

#define HL_IDEM_SCOPE_ID HL_STR("id") /* scope of a publisher's own event ids */

/* 1 = found (out's answer borrowed from the table), 0 = not used within 48 h, or HL_E*. */
HL_MUST_CHECK int hl_idem_find(struct hl_txn *txn, uint32_t account, struct hl_str scope, struct hl_str key,
		hl_ms_t now_ms,
		struct hl_idem_row *out);
void hl_idem_put(struct hl_txn *txn, uint32_t account, struct hl_str scope, struct hl_str key,
		const struct hl_idem_row *row);
/* Deletes up to max records of buckets no look-up reads any more; true when none is left. *out_n is raised. */
bool hl_idem_drop_old(struct hl_txn *txn, hl_ms_t now_ms, size_t max, uint64_t *out_n);

#endif
