/* The answer is rendered and sealed on the loop, before the change is handed over, so the storage thread only stores bytes.
 * A replay hands the stored bytes back; it never shows an answer that was not committed with its change. */
#include "dispatch/idempotency.h"

#include "dispatch/sign.h"

static bool copy(struct hl_buf *out, struct hl_str s)
{
	hl_buf_reset(out);
	hl_buf_str(out, s);
	return hl_buf_ok(out);
}

int hl_idem_use_init(struct hl_dispatcher *d, struct hl_idem_use *u, uint32_t account, const struct hl_idempotency *idem,
		const void *object, struct hl_str secret)
{
	if (!idem || idem->key.len == 0)
		return 0;
	u->used = true;
	u->account = account;
	u->now_ms = hl_core_wall(d);
	memcpy(u->fingerprint, idem->fingerprint, sizeof(u->fingerprint));
	u->render = idem->render;
	u->data = idem->data;
	if (!copy(&u->scope, idem->scope) || !copy(&u->key, idem->key))
		return HL_ENOMEM;
	return hl_idem_use_render(d, u, object, secret);
}

int hl_idem_use_render(struct hl_dispatcher *d, struct hl_idem_use *u, const void *object, struct hl_str secret)
{
	if (!u->used || !u->render)
		return 0;
	hl_buf_reset(&u->sealed);
	return hl_store_seal(d->store, HL_SEAL_ANSWER, u->account, u->render(u->data, object, secret), &u->sealed);
}

void hl_idem_use_fini(struct hl_idem_use *u)
{
	if (u->answer.data)
		hl_secret_wipe(u->answer.data, u->answer.cap);
	hl_buf_fini(&u->scope);
	hl_buf_fini(&u->key);
	hl_buf_fini(&u->sealed);
	hl_buf_fini(&u->answer);
}

int hl_idem_use_check(struct hl_idem_use *u, struct hl_store *s, struct hl_txn *txn)
{
	struct hl_idem_row row;
	u->found = false;
	if (!u->used)
		return 0;
	int rc = hl_idem_find(txn, u->account, hl_buf_all(&u->scope), hl_buf_all(&u->key), u->now_ms, &row);
	if (rc <= 0)
		return rc;
	if (memcmp(row.fingerprint, u->fingerprint, sizeof(row.fingerprint)) != 0)
		return HL_EMISMATCH;
	hl_buf_reset(&u->answer);
	if (row.answer.len) {
		rc = hl_store_unseal(s, HL_SEAL_ANSWER, u->account, row.answer, &u->answer);
		if (rc < 0)
			return rc;
	}
	u->number = row.number;
	u->found = true;
	return HL_EEXIST;
}

void hl_idem_use_put(struct hl_idem_use *u, struct hl_txn *txn, uint64_t number)
{
	if (!u->used)
		return;
	struct hl_idem_row row = { .created_at_ms = u->now_ms, .number = number, .answer = hl_buf_all(&u->sealed) };
	memcpy(row.fingerprint, u->fingerprint, sizeof(row.fingerprint));
	hl_idem_put(txn, u->account, hl_buf_all(&u->scope), hl_buf_all(&u->key), &row);
}
