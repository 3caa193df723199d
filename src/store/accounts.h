/* Accounts, keys, servers and the catalogue of event types. In a write transaction the slices of what is got are
 * copies in the arena; in a read transaction they are borrowed from the snapshot. The *_each functions go upwards by
 * number until `each` returns false; it may write. */
#ifndef HL_STORE_ACCOUNTS_H
#define HL_STORE_ACCOUNTS_H

#include "store/counts.h"
#include "store/meta.h"

bool hl_account_row_get(struct hl_txn *txn, uint32_t number, struct hl_account_row *out);
bool hl_account_row_find(struct hl_txn *txn, struct hl_str id, struct hl_account_row *out);
/* The id may change; one that is another account's fails the transaction with HL_EEXIST: look first. */
void hl_account_row_put(struct hl_txn *txn, const struct hl_account_row *row);
void hl_account_row_del(struct hl_txn *txn, uint32_t number);
void hl_account_row_each(struct hl_txn *txn, uint32_t after, bool (*each)(void *data, const struct hl_account_row *row),
		void *data);
/* Grows with every change of the account's webhooks (hl_webhook_row_put does it). Works for accounts without a row too.
 * Account 0: the catalogue's, raised by every change of an event type. */
uint64_t hl_account_generation(struct hl_txn *txn, uint32_t account);
void hl_account_generation_raise(struct hl_txn *txn, uint32_t account);

bool hl_key_row_get(struct hl_txn *txn, uint32_t number, struct hl_key_row *out);
bool hl_key_row_find(struct hl_txn *txn, const uint8_t sha256[32], struct hl_key_row *out);
void hl_key_row_put(struct hl_txn *txn, const struct hl_key_row *row);
void hl_key_row_del(struct hl_txn *txn, uint32_t number);
void hl_key_row_each(struct hl_txn *txn, uint32_t after, bool (*each)(void *data, const struct hl_key_row *row),
		void *data);

bool hl_server_row_get(struct hl_txn *txn, uint64_t number, struct hl_server_row *out);
void hl_server_row_put(struct hl_txn *txn, const struct hl_server_row *row);
void hl_server_row_del(struct hl_txn *txn, uint64_t number);
/* account 0 = all */
void hl_server_row_each(struct hl_txn *txn, uint32_t account, uint64_t after,
		bool (*each)(void *data, const struct hl_server_row *row), void *data);

bool hl_event_type_row_get(struct hl_txn *txn, struct hl_str name, struct hl_event_type *out);
void hl_event_type_row_put(struct hl_txn *txn, const struct hl_event_type *t);
bool hl_event_type_row_del(struct hl_txn *txn, struct hl_str name);
void hl_event_type_row_each(struct hl_txn *txn, bool (*each)(void *data, const struct hl_event_type *t), void *data);

#endif
