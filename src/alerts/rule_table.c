/* A table of rules that grows without a pause.
 *
 * The hash table of numbers grows by one bucket with each rule (linear hashing): bucket n takes its part of what bucket
 * n − round holds. So no insertion ever moves the whole table, and the loop never waits for one that does. Freed slots are
 * used again; chunks and buckets stay for the next rules.
 *
 *   no memory for a chunk     room says HL_ENOMEM, nothing has changed
 *   no memory for a bucket    chains are a little longer until the next rule */
#include "alerts/rule_table.h"
#include "alerts/memory.h"
#include "base/check.h"
#include <hookline/error.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = HL_RULE_CHUNK, ARRAY_MIN = 16 };
#define NONE HL_RULE_NO_SLOT

_Static_assert(sizeof(struct hl_rule_slot) == 32, "there are millions of them");

/* ---- numbers ------------------------------------------------------------------------------------------------------- */

static uint32_t *bucket_at(const struct hl_rule_table *t, uint32_t bucket)
{
	return &t->segments[bucket / CHUNK][bucket % CHUNK];
}

static uint32_t hash_of(uint64_t number)
{
	return (uint32_t)((number ^ number >> 32) * 0x9E3779B97F4A7C15u >> 32);
}

static uint32_t *bucket_of(const struct hl_rule_table *t, uint64_t number)
{
	uint32_t h = hash_of(number), b = h & (2 * t->round - 1);
	return bucket_at(t, b < t->n_buckets ? b : h & (t->round - 1));
}

uint32_t hl_rule_table_find(const struct hl_rule_table *t, uint64_t number)
{
	uint32_t slot = *bucket_of(t, number);
	while (slot != NONE && hl_rule_table_at(t, slot)->number != number)
		slot = hl_rule_table_at(t, slot)->next;
	return slot;
}

/* A segment of empty buckets more. */
static int grow_segments(struct hl_rule_table *t)
{
	if (t->n_segments == t->cap_segments) {
		uint32_t cap = t->cap_segments ? 2 * t->cap_segments : ARRAY_MIN;
		uint32_t **segments = realloc(t->segments, cap * sizeof *segments);
		if (!segments)
			return HL_ENOMEM;
		t->segments = segments;
		t->cap_segments = cap;
	}
	uint32_t *segment = malloc(CHUNK * sizeof *segment);
	if (!segment)
		return HL_ENOMEM;
	memset(segment, 0xFF, CHUNK * sizeof *segment);
	t->segments[t->n_segments++] = segment;
	return 0;
}

/* One bucket more: it takes from its elder those whose hash has the bit that tells them apart. */
static void split_bucket(struct hl_rule_table *t)
{
	if (t->n_buckets == t->n_segments * CHUNK && (t->n_buckets > NONE / 4 || grow_segments(t) != 0))
		return;
	uint32_t *young = bucket_at(t, t->n_buckets), *link = bucket_at(t, t->n_buckets - t->round);
	while (*link != NONE) {
		uint32_t slot = *link;
		struct hl_rule_slot *v = hl_rule_table_at(t, slot);
		if (hash_of(v->number) & t->round) {
			*link = v->next;
			v->next = *young;
			*young = slot;
		} else {
			link = &v->next;
		}
	}
	if (++t->n_buckets == 2 * t->round)
		t->round = t->n_buckets;
}

static void link_number(struct hl_rule_table *t, uint32_t slot)
{
	if (t->count >= t->n_buckets)
		split_bucket(t);
	uint32_t *bucket = bucket_of(t, hl_rule_table_at(t, slot)->number);
	hl_rule_table_at(t, slot)->next = *bucket;
	*bucket = slot;
	t->count++;
}

static void unlink_number(struct hl_rule_table *t, uint32_t slot)
{
	uint32_t *link = bucket_of(t, hl_rule_table_at(t, slot)->number);
	while (*link != slot)
		link = &hl_rule_table_at(t, *link)->next;
	*link = hl_rule_table_at(t, slot)->next;
	t->count--;
}

/* ---- slots --------------------------------------------------------------------------------------------------------- */

int hl_rule_table_room(struct hl_rule_table *t)
{
	if (t->free != NONE || t->n_slots < t->n_chunks * CHUNK)
		return 0;
	if (t->n_chunks == NONE / CHUNK)
		return HL_ENOMEM;
	if (t->n_chunks == t->cap_chunks) {
		uint32_t cap = t->cap_chunks ? 2 * t->cap_chunks : ARRAY_MIN;
		struct hl_rule_slot **chunks = realloc(t->chunks, cap * sizeof *chunks);
		if (!chunks)
			return HL_ENOMEM;
		t->chunks = chunks;
		t->cap_chunks = cap;
	}
	struct hl_rule_slot *chunk = malloc(CHUNK * sizeof *chunk);
	if (!chunk)
		return HL_ENOMEM;
	t->chunks[t->n_chunks++] = chunk;
	return 0;
}

static uint32_t take_slot(struct hl_rule_table *t)
{
	uint32_t slot = t->free;
	if (slot == NONE)
		return t->n_slots++;
	t->free = hl_rule_table_at(t, slot)->next;
	return slot;
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */

int hl_rule_table_init(struct hl_rule_table *t)
{
	*t = (struct hl_rule_table){ .free = NONE, .n_buckets = CHUNK, .round = CHUNK };
	int rc = grow_segments(t);
	if (rc)
		hl_rule_table_fini(t);
	return rc;
}

void hl_rule_table_fini(struct hl_rule_table *t)
{
	for (uint32_t i = 0; i < t->n_chunks; i++)
		free(t->chunks[i]);
	for (uint32_t i = 0; i < t->n_segments; i++)
		free(t->segments[i]);
	free(t->chunks);
	free(t->segments);
	*t = (struct hl_rule_table){ 0 };
}

size_t hl_rule_table_bytes(const struct hl_rule_table *t)
{
	return hl_memory_block(t->cap_chunks * sizeof *t->chunks) + hl_memory_block(t->cap_segments * sizeof *t->segments) +
			t->n_chunks * hl_memory_block(CHUNK * sizeof **t->chunks) +
			t->n_segments * hl_memory_block(CHUNK * sizeof **t->segments);
}

uint32_t hl_rule_table_put(struct hl_rule_table *t, const struct hl_rule_slot *v)
{
	HL_CHECK(hl_rule_table_find(t, v->number) == NONE);
	uint32_t slot = take_slot(t);
	*hl_rule_table_at(t, slot) = *v;
	link_number(t, slot);
	return slot;
}

void hl_rule_table_del(struct hl_rule_table *t, uint32_t slot)
{
	unlink_number(t, slot);
	hl_rule_table_at(t, slot)->next = t->free;
	t->free = slot;
}
