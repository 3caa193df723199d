/* Webhook rows, their revisions, and the list per account. */
#ifndef HL_STORE_WEBHOOKS_H
#define HL_STORE_WEBHOOKS_H

#include "store/accounts.h"

/* Arrays and, in a write transaction, slices live in the arena. w.id and activity are not filled in. */
bool hl_webhook_row_get(struct hl_txn *txn, uint32_t number, struct hl_webhook_row *out);
/* The same with URL and header values left sealed in out->address ("" in out->w), for who does not ask where it sends. */
bool hl_webhook_row_peek(struct hl_txn *txn, uint32_t number, struct hl_webhook_row *out);
/* Stores row->w.number, new or changed: row, revision row (newest 64 kept), the account's list, its generation, the
 * gauges by state. The caller raises w.revision with every change. Never a row that was only peeked at. */
void hl_webhook_row_put(struct hl_txn *txn, const struct hl_webhook_row *row);
/* Removes row, revisions, list entry and counters. Its deliveries must be gone. */
void hl_webhook_row_del(struct hl_txn *txn, uint32_t number);
/* The webhook as it was; secrets are "". false when that revision is no longer kept. */
bool hl_webhook_revision_get(struct hl_txn *txn, uint32_t number, uint32_t revision, struct hl_webhook_row *out);
/* Ascending by number, account 0 = all, after = exclusive start (0 = from the first); until each returns false. The
 * rows, as hl_webhook_row_peek has them, stay in the arena until the transaction's next reset. */
void hl_webhook_each(struct hl_txn *txn, uint32_t account, uint32_t after,
		bool (*each)(void *data, const struct hl_webhook_row *row), void *data);
/* The same downwards; before = exclusive start (0 = from the last). */
void hl_webhook_each_back(struct hl_txn *txn, uint32_t account, uint32_t before,
		bool (*each)(void *data, const struct hl_webhook_row *row), void *data);

#endif
