/* What every change of this floor has in common: one callback, one result, once per idempotency key. */
#ifndef HL_SERVICE_CHANGE_H
#define HL_SERVICE_CHANGE_H

#include <hookline/dispatcher.h>

struct hl_service;

struct hl_change_result {
	const void *object;   /* as stored: struct hl_account, hl_key, hl_subject; NULL when replayed or nothing is left */
	struct hl_str secret; /* plaintext key, on creation only */
	bool replayed;        /* an earlier change with the same idempotency key: */
	struct hl_str answer; /* its stored answer */
};
/* status HL_OK: durable. Everything behind r lives until the callback returns. */
typedef void (*hl_change_cb)(void *data, int status, const struct hl_err *err, const struct hl_change_result *r);

#endif
