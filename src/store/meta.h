/* The table `meta`: the format gate, the numbers, the index bounds. */
#ifndef HL_STORE_META_H
#define HL_STORE_META_H

#include "store/seal.h"
#include "store/txn.h"

/* Judges an opened environment. fresh: it holds nothing at all. On a fresh one with `create`, writes the format record. In a
 * write transaction an older format becomes HL_FORMAT_VERSION; out->version is what was found.
 * HL_EVERSION (another program's, newer, or older and only read), HL_EKEY (names --rekey), HL_ENOTFOUND (fresh and not to be
 * created). */
HL_MUST_CHECK int hl_meta_gate(struct hl_txn *txn, bool fresh, const struct hl_seal_key *key, const struct hl_env *env,
		struct hl_format_row *out, struct hl_err *err);
/* Whether `key` is the store's: compares the id, then opens the check value. */
HL_MUST_CHECK int hl_meta_key_check(const struct hl_format_row *f, const struct hl_seal_key *key, struct hl_err *err);
/* Makes `key` the store's: the format record gets its id and a check value sealed under it. */
void hl_meta_key_put(struct hl_txn *txn, const struct hl_seal_key *key, const struct hl_env *env);

/* The next free number of every kind: after the last row, and never below what was ever given out. */
void hl_store_next_numbers(struct hl_txn *txn, struct hl_numbers *out);
/* To be called when rows numbered `number` may vanish: keeps the numbers up to the newest row used for good. */
void hl_meta_numbers_keep(struct hl_txn *txn, enum hl_table t, uint64_t number);

/* A store is new as long as it has no event type and never had a webhook or an event; and only until it was given its
 * first event types, which leaves a mark: a catalogue that was emptied by hand stays empty. */
bool hl_meta_is_new(struct hl_txn *txn);
void hl_meta_new_end(struct hl_txn *txn);

/* How far the indexes reach, in this transaction. */
const struct hl_index_bounds *hl_txn_bounds(struct hl_txn *txn);
void hl_txn_bounds_put(struct hl_txn *txn, const struct hl_index_bounds *b);

#endif
