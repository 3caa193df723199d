/* Accounts, keys, servers and the catalogue of event types. In a write transaction the slices of what is got are copies in the arena. */
#ifndef HL_STORE_ACCOUNTS_H
#define HL_STORE_ACCOUNTS_H

#include "store/meta.h"
#include "store/store.h"

bool hl_account_row_get(struct hl_txn *txn, uint32_t number, struct hl_account_row *out);
bool hl_account_row_find(struct hl_txn *txn, struct hl_str id, struct hl_account_row *out);
void hl_account_row_put(struct hl_txn *txn, const struct hl_account_row *row); /* the id may change; must be free */
void hl_account_row_del(struct hl_txn *txn, uint32_t number);
void hl_account_row_each(struct hl_txn *txn, uint32_t after, bool (*each)(void *data, const struct hl_account_row *row),
		void *data);
/* Grows with every change of the account's webhooks (and by hl_account_generation_raise). 0 for an account without row. */
uint64_t hl_account_generation(struct hl_txn *txn, uint32_t account);
void hl_account_generation_raise(struct hl_txn *txn, uint32_t account);

bool hl_key_row_get(struct hl_txn *txn, uint32_t number, struct hl_key_row *out);
bool hl_key_row_find(struct hl_txn *txn, const uint8_t sha256[32], struct hl_key_row *out);
void hl_key_row_put(struct hl_txn *txn, const struct hl_key_row *row);
void hl_key_row_del(struct hl_txn *txn, uint32_t number);
void hl_key_row_each(struct hl_txn *txn, uint32_t after, bool (*each)(void *data, const struct hl_key_row *row), void *data);

bool hl_server_row_get(struct hl_txn *txn, uint64_t number, struct hl_server_row *out);
void hl_server_row_put(struct hl_txn *txn, const struct hl_server_row *row);
void hl_server_row_del(struct hl_txn *txn, uint64_t number);
void hl_server_row_each(struct hl_txn *txn, uint32_t account, uint64_t after, /* account 0 = all */
		bool (*each)(void *data, const struct hl_server_row *row), void *data);

bool hl_event_type_row_get(struct hl_txn *txn, struct hl_str name, struct hl_event_type *out);
void hl_event_type_row_put(struct hl_txn *txn, const struct hl_event_type *t);
bool hl_event_type_row_del(struct hl_txn *txn, struct hl_str name);
void hl_event_type_row_each(struct hl_txn *txn, bool (*each)(void *data, const struct hl_event_type *t), void *data);

#endif
