/* A bump allocator: many small pieces, freed together. One per request, per batch, per loop turn. */
#ifndef HL_BASE_ARENA_H
#define HL_BASE_ARENA_H

#include <hookline/types.h>

struct hl_arena_block;
struct hl_arena {
	struct hl_arena_block *head; /* newest block */
	size_t used;                 /* bytes handed out since the last reset */
	size_t max;                  /* 0 = no limit */
};

void hl_arena_init(struct hl_arena *a, size_t max);
void hl_arena_fini(struct hl_arena *a);
void hl_arena_reset(struct hl_arena *a);           /* keeps one block */
void *hl_arena_alloc(struct hl_arena *a, size_t n);/* zeroed, 16-aligned; NULL on ENOMEM or past max */
/* The pieces of other live on in a, as long as a's own; other is empty afterwards. Needs no memory; past max counts. */
void hl_arena_take(struct hl_arena *a, struct hl_arena *other);
/* Copies; the copy ends in NUL (not counted). ptr NULL on failure. */
struct hl_str hl_arena_dup(struct hl_arena *a, struct hl_str s);
#define HL_ARENA_NEW(a, type) ((type *)hl_arena_alloc((a), sizeof(type)))
#define HL_ARENA_ARRAY(a, type, n) ((type *)hl_arena_alloc((a), sizeof(type) * (n)))

#endif
