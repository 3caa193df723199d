/* The binary heap of embedded nodes: an array of pointers in heap order, each node knowing its place.
 *
 * Order is (key, seq), so equal keys leave in the order they came. Only push can fail (ENOMEM), and then nothing has
 * changed. Memory is given back when the heap shrinks to a quarter, so a burst does not stay forever. */
#include "base/heap.h"
#include "base/check.h"
#include <hookline/error.h>

#include <stdlib.h>

enum { CAP_MIN = 16 };

void hl_heap_init(struct hl_heap *h)
{
	*h = (struct hl_heap){ 0 };
}

void hl_heap_fini(struct hl_heap *h)
{
	free(h->nodes); /* the nodes are not touched: their owners may have freed them already */
	*h = (struct hl_heap){ 0 };
}

static bool before(const struct hl_heap_node *a, const struct hl_heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void place(struct hl_heap *h, size_t pos, struct hl_heap_node *n)
{
	h->nodes[pos - 1] = n;
	n->pos = pos;
}

static void sift_up(struct hl_heap *h, size_t pos, struct hl_heap_node *n)
{
	while (pos > 1 && before(n, h->nodes[pos / 2 - 1])) {
		place(h, pos, h->nodes[pos / 2 - 1]);
		pos /= 2;
	}
	place(h, pos, n);
}

static void sift_down(struct hl_heap *h, size_t pos, struct hl_heap_node *n)
{
	for (;;) {
		size_t child = pos * 2;
		if (child > h->count)
			break;
		if (child < h->count && before(h->nodes[child], h->nodes[child - 1]))
			child++;
		if (!before(h->nodes[child - 1], n))
			break;
		place(h, pos, h->nodes[child - 1]);
		pos = child;
	}
	place(h, pos, n);
}

static bool resize(struct hl_heap *h, size_t cap)
{
	if (cap > SIZE_MAX / sizeof(struct hl_heap_node *))
		return false;
	struct hl_heap_node **p = realloc(h->nodes, cap * sizeof *p);
	if (!p)
		return false;
	h->nodes = p;
	h->cap = cap;
	return true;
}

int hl_heap_push(struct hl_heap *h, struct hl_heap_node *n, int64_t key)
{
	HL_CHECK(!hl_heap_linked(n));
	if (h->count == h->cap && !resize(h, h->cap ? h->cap * 2 : CAP_MIN))
		return HL_ENOMEM;
	n->key = key;
	n->seq = h->seq++;
	sift_up(h, ++h->count, n);
	return 0;
}

struct hl_heap_node *hl_heap_peek(const struct hl_heap *h)
{
	return h->count ? h->nodes[0] : NULL;
}

struct hl_heap_node *hl_heap_pop(struct hl_heap *h)
{
	struct hl_heap_node *n = hl_heap_peek(h);
	if (n)
		hl_heap_remove(h, n);
	return n;
}

void hl_heap_remove(struct hl_heap *h, struct hl_heap_node *n)
{
	if (!hl_heap_linked(n))
		return;
	size_t pos = n->pos;
	HL_CHECK(pos <= h->count && h->nodes[pos - 1] == n);
	struct hl_heap_node *last = h->nodes[--h->count];
	n->pos = 0;
	if (last != n) {
		if (pos > 1 && before(last, h->nodes[pos / 2 - 1]))
			sift_up(h, pos, last);
		else
			sift_down(h, pos, last);
	}
	if (h->cap > CAP_MIN && h->count < h->cap / 4)
		(void)resize(h, h->cap / 2); /* failing to shrink costs nothing */
}
