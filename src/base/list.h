/* Intrusive doubly linked ring. A node knows whether it is linked (next != NULL). Zeroed memory is an unlinked node. */
#ifndef HL_BASE_LIST_H
#define HL_BASE_LIST_H

#include "base/defs.h"

struct hl_list {
	struct hl_list *next, *prev;
};

static inline void hl_list_init(struct hl_list *head) { head->next = head->prev = head; }
static inline bool hl_list_empty(const struct hl_list *head) { return head->next == head; }
static inline bool hl_list_linked(const struct hl_list *node) { return node->next != NULL; }
static inline void hl_list_insert_after(struct hl_list *at, struct hl_list *node)
{
	node->prev = at;
	node->next = at->next;
	at->next->prev = node;
	at->next = node;
}
static inline void hl_list_push_front(struct hl_list *head, struct hl_list *node) { hl_list_insert_after(head, node); }
static inline void hl_list_push_back(struct hl_list *head, struct hl_list *node) { hl_list_insert_after(head->prev, node); }
/* Unlinks; a node that is not linked is left alone. */
static inline void hl_list_remove(struct hl_list *node)
{
	if (!node->next)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}
/* Unlinks and returns the first node, NULL when empty. */
static inline struct hl_list *hl_list_pop_front(struct hl_list *head)
{
	struct hl_list *n = head->next;
	if (n == head)
		return NULL;
	hl_list_remove(n);
	return n;
}
#define HL_LIST_ENTRY(node, type, member) HL_CONTAINER_OF(node, type, member)
/* `next_` lets the body remove the current node. */
#define HL_LIST_EACH(it, head) \
	for (struct hl_list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
