/* A binary min-heap of embedded nodes, removable by position. Ties are served in insertion order. */
#ifndef HL_BASE_HEAP_H
#define HL_BASE_HEAP_H

#include <hookline/types.h>

struct hl_heap_node {
	int64_t key;
	uint64_t seq;   /* set by push */
	size_t pos;     /* 1-based; 0 = not in a heap */
};
struct hl_heap {
	struct hl_heap_node **nodes;
	size_t count, cap;
	uint64_t seq;
};
void hl_heap_init(struct hl_heap *h);
void hl_heap_fini(struct hl_heap *h);
HL_MUST_CHECK int hl_heap_push(struct hl_heap *h, struct hl_heap_node *n, int64_t key); /* node must not be linked */
struct hl_heap_node *hl_heap_peek(const struct hl_heap *h);   /* NULL when empty */
struct hl_heap_node *hl_heap_pop(struct hl_heap *h);
void hl_heap_remove(struct hl_heap *h, struct hl_heap_node *n); /* not linked: nothing */
static inline bool hl_heap_linked(const struct hl_heap_node *n) { return n->pos != 0; }

#endif
