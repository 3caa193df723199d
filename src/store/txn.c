/* What a transaction does without LMDB: its sticky failure, its memory, moves made of other moves. The rest is in store.c. */
#include "store/txn.h"

int hl_txn_fail(struct hl_txn *txn, int code)
{
	if (!txn->status)
		txn->status = code;
	return txn->status;
}

void *hl_txn_alloc(struct hl_txn *txn, size_t n)
{
	void *p = hl_arena_alloc(&txn->arena, n);
	if (!p)
		hl_txn_fail(txn, HL_ENOMEM);
	return p;
}

struct hl_str hl_txn_dup(struct hl_txn *txn, struct hl_str s)
{
	struct hl_str copy = hl_arena_dup(&txn->arena, s);
	if (!copy.ptr)
		hl_txn_fail(txn, HL_ENOMEM);
	return copy;
}

bool hl_txn_get_kept(struct hl_txn *txn, enum hl_table t, struct hl_str key, struct hl_str *out)
{
	if (!hl_txn_get(txn, t, key, out))
		return false;
	if (txn->write && out->len)
		*out = hl_txn_dup(txn, *out);
	return txn->status == 0;
}

void hl_txn_put_scratch(struct hl_txn *txn, enum hl_table t, struct hl_str key, bool append)
{
	if (!hl_buf_ok(&txn->scratch))
		hl_txn_fail(txn, HL_ENOMEM);
	else if (append)
		hl_txn_append(txn, t, key, hl_buf_all(&txn->scratch));
	else
		hl_txn_put(txn, t, key, hl_buf_all(&txn->scratch));
}

bool hl_cursor_seek_before(struct hl_cursor *c, struct hl_str key)
{
	return hl_cursor_seek(c, key) ? hl_cursor_prev(c) : hl_cursor_last(c);
}
