/* The bump allocator: a chain of blocks, newest first; only the newest is bumped.
 *
 * A piece that does not fit the newest block opens another, twice as large as the last up to BLOCK_MAX; a piece too
 * large for that gets a block of its own behind the newest, so that the room left there is not lost. ENOMEM and
 * going past max both give NULL and leave the arena as it was. */
#include "base/arena.h"
#include "base/defs.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16, BLOCK_MIN = 4096, BLOCK_MAX = 65536 };

struct hl_arena_block {
	struct hl_arena_block *next; /* older */
	size_t cap, used;            /* bytes of data */
	_Alignas(ALIGN) unsigned char data[];
};

void hl_arena_init(struct hl_arena *a, size_t max)
{
	*a = (struct hl_arena){ .max = max };
}

static void free_chain(struct hl_arena_block *b)
{
	while (b) {
		struct hl_arena_block *next = b->next;
		free(b);
		b = next;
	}
}

void hl_arena_fini(struct hl_arena *a)
{
	free_chain(a->head);
	a->head = NULL;
	a->used = 0;
}

void hl_arena_reset(struct hl_arena *a)
{
	a->used = 0;
	if (!a->head)
		return;
	free_chain(a->head->next);
	a->head->next = NULL;
	a->head->used = 0;
}

void hl_arena_take(struct hl_arena *a, struct hl_arena *other)
{
	struct hl_arena_block **at = a->head ? &a->head->next : &a->head, *older = *at;
	*at = other->head;
	while (*at)
		at = &(*at)->next;
	*at = older;
	a->used += other->used;
	other->head = NULL;
	other->used = 0;
}

static struct hl_arena_block *new_block(size_t cap)
{
	struct hl_arena_block *b = malloc(sizeof *b + cap);
	if (!b)
		return NULL;
	b->next = NULL;
	b->cap = cap;
	b->used = 0;
	return b;
}

/* A block with room for n bytes, linked; the newest one unless the piece is large. */
static struct hl_arena_block *block_for(struct hl_arena *a, size_t n)
{
	struct hl_arena_block *head = a->head;
	if (head && n <= head->cap - head->used)
		return head;
	bool own = head && n > BLOCK_MAX / 4;
	size_t next_cap = head ? HL_MIN(head->cap * 2, (size_t)BLOCK_MAX) : (size_t)BLOCK_MIN;
	struct hl_arena_block *b = new_block(own ? n : HL_MAX(next_cap, n));
	if (!b)
		return NULL;
	if (own) {
		b->next = head->next;
		head->next = b;
	} else {
		b->next = head;
		a->head = b;
	}
	return b;
}

void *hl_arena_alloc(struct hl_arena *a, size_t n)
{
	if (n > SIZE_MAX / 2)
		return NULL;
	n = (HL_MAX(n, (size_t)1) + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
	if (a->max && (a->used > a->max || n > a->max - a->used))
		return NULL;
	struct hl_arena_block *b = block_for(a, n);
	if (!b)
		return NULL;
	void *p = b->data + b->used;
	b->used += n;
	a->used += n;
	return memset(p, 0, n);
}

struct hl_str hl_arena_dup(struct hl_arena *a, struct hl_str s)
{
	char *p = s.len < SIZE_MAX ? hl_arena_alloc(a, s.len + 1) : NULL;
	if (!p)
		return HL_STR_NONE;
	if (s.len)
		memcpy(p, s.ptr, s.len);
	return (struct hl_str){ p, s.len };
}
