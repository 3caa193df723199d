/* Where the rules of the index lie: 32 bytes each, in chunks that never move, found by slot or by number. */
#ifndef HL_ALERTS_RULE_TABLE_H
#define HL_ALERTS_RULE_TABLE_H

#include <hookline/types.h>

enum { HL_RULE_CHUNK = 1024 };        /* rules of a chunk; buckets of a segment */
#define HL_RULE_NO_SLOT UINT32_MAX

struct hl_rule_slot {
	uint64_t number;
	int64_t threshold;
	uint32_t item;
	uint32_t pos;                 /* in its heap */
	uint32_t next;                /* slot: in its bucket, or in the list of free ones; the table's */
	uint16_t currency;
	uint8_t kind;
};

struct hl_rule_table {
	struct hl_rule_slot **chunks;
	uint32_t n_chunks, cap_chunks;
	uint32_t n_slots;             /* ever handed out */
	uint32_t free;                /* slot, or HL_RULE_NO_SLOT */
	uint32_t **segments;          /* of buckets: slot of the first in the chain, or HL_RULE_NO_SLOT */
	uint32_t n_segments, cap_segments;
	uint32_t n_buckets, round;    /* round: the power of two with round ≤ n_buckets < 2 · round */
	uint32_t count;
};

HL_MUST_CHECK int hl_rule_table_init(struct hl_rule_table *t); /* HL_ENOMEM: nothing to fini */
void hl_rule_table_fini(struct hl_rule_table *t);
size_t hl_rule_table_bytes(const struct hl_rule_table *t);

static inline struct hl_rule_slot *hl_rule_table_at(const struct hl_rule_table *t, uint32_t slot)
{
	return &t->chunks[slot / HL_RULE_CHUNK][slot % HL_RULE_CHUNK];
}
uint32_t hl_rule_table_find(const struct hl_rule_table *t, uint64_t number); /* slot or HL_RULE_NO_SLOT */
HL_MUST_CHECK int hl_rule_table_room(struct hl_rule_table *t); /* the next put cannot fail. HL_ENOMEM */
uint32_t hl_rule_table_put(struct hl_rule_table *t, const struct hl_rule_slot *v); /* its slot */
void hl_rule_table_del(struct hl_rule_table *t, uint32_t slot);

#endif
