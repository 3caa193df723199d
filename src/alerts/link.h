/* Links, kept without what they share. */
#ifndef HL_ALERTS_LINK_H
#define HL_ALERTS_LINK_H

#include <hookline/alert.h>

struct hl_link;

/* The first link of a provider, for good. Zeroed memory is an empty one. */
struct hl_link_base {
	char *text;                   /* NULL = no link yet; owned */
	uint16_t len;
};
void hl_link_base_fini(struct hl_link_base *b);

/* Puts `link` ("": none) in place of *slot, whose base is *b. Without memory *slot becomes NULL. *heap_bytes is kept true. */
void hl_link_set(struct hl_link **slot, struct hl_link_base *b, struct hl_str link, size_t *heap_bytes);
/* "" for NULL; borrowed from buf. */
struct hl_str hl_link_get(const struct hl_link *l, const struct hl_link_base *b, char buf[HL_MARKET_LINK_MAX]);

#endif
