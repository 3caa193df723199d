/* Idempotency keys inside a command: looked up before the change, stored with it. */
#ifndef HL_DISPATCH_IDEMPOTENCY_H
#define HL_DISPATCH_IDEMPOTENCY_H

#include "dispatch/core.h"

/* A key as it travels in a command. Zeroed memory = no key. */
struct hl_idem_use {
	bool used;
	uint32_t account;
	struct hl_buf scope, key;
	uint8_t fingerprint[32];
	hl_ms_t now_ms;
	struct hl_str (*render)(void *data, const void *object, struct hl_str secret); /* NULL: no answer is stored */
	void *data;
	struct hl_buf sealed;        /* the answer to store, sealed */
	/* what a look-up found */
	bool found;
	struct hl_buf answer;        /* of the first use, in plain text */
	uint64_t number;             /* object the first use made */
};

/* Copies and seals on the loop. idem NULL: nothing. */
HL_MUST_CHECK int hl_idem_use_init(struct hl_dispatcher *d, struct hl_idem_use *u, uint32_t account,
		const struct hl_idempotency *idem, const void *object, struct hl_str secret);
/* The answer again, when the object to be stored is another one than at first. No key: nothing. */
HL_MUST_CHECK int hl_idem_use_render(struct hl_dispatcher *d, struct hl_idem_use *u, const void *object, struct hl_str secret);
void hl_idem_use_fini(struct hl_idem_use *u);
/* In apply. 0: not used before, go on; HL_EEXIST: used with the same fingerprint (found, answer set); HL_EMISMATCH. */
HL_MUST_CHECK int hl_idem_use_check(struct hl_idem_use *u, struct hl_store *s, struct hl_txn *txn);
/* In apply, with the change. */
void hl_idem_use_put(struct hl_idem_use *u, struct hl_txn *txn, uint64_t number);

#endif
