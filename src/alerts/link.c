/* Links of one provider differ in their ends. The first becomes its base; of the others only how much they share with it and the
 * rest is kept: a few bytes for millions of links of fifty. A link that has not changed, the usual case, costs no allocation.
 *
 *   no memory for the base    links are kept whole until there is
 *   no memory for a link      it is lost */
#include "alerts/link.h"
#include "alerts/memory.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/str.h"
#include <stdlib.h>

struct hl_link {
	uint16_t shared;              /* bytes of the base it starts with */
	uint16_t len;                 /* of text */
	char text[];
};

void hl_link_base_fini(struct hl_link_base *b)
{
	free(b->text);
	*b = (struct hl_link_base){ NULL, 0 };
}

static size_t block_of(const struct hl_link *l)
{
	return l ? hl_memory_block(sizeof *l + l->len) : 0;
}

static size_t shared_with(const struct hl_link_base *b, struct hl_str link)
{
	size_t n = 0, max = HL_MIN(link.len, (size_t)b->len);
	while (n < max && b->text[n] == link.ptr[n])
		n++;
	return n;
}

static void take_base(struct hl_link_base *b, struct hl_str link, size_t *heap_bytes)
{
	if (b->text)
		return;
	b->text = malloc(link.len);
	if (!b->text)
		return;
	memcpy(b->text, link.ptr, link.len);
	b->len = (uint16_t)link.len;
	*heap_bytes += hl_memory_block(link.len);
}

void hl_link_set(struct hl_link **slot, struct hl_link_base *b, struct hl_str link, size_t *heap_bytes)
{
	struct hl_link *old = *slot, *l = NULL;
	if (link.len) {
		take_base(b, link, heap_bytes);
		size_t shared = shared_with(b, link), len = link.len - shared;
		if (old && old->shared == shared && old->len == len && memcmp(old->text, link.ptr + shared, len) == 0)
			return;
		l = malloc(sizeof *l + len);
		if (l) {
			l->shared = (uint16_t)shared;
			l->len = (uint16_t)len;
			memcpy(l->text, link.ptr + shared, len);
		}
	}
	*heap_bytes += block_of(l);
	*heap_bytes -= block_of(old);
	free(old);
	*slot = l;
}

struct hl_str hl_link_get(const struct hl_link *l, const struct hl_link_base *b, char buf[HL_MARKET_LINK_MAX])
{
	if (!l)
		return HL_STR("");
	HL_CHECK(l->shared + l->len <= HL_MARKET_LINK_MAX);
	if (l->shared)
		memcpy(buf, b->text, l->shared);
	memcpy(buf + l->shared, l->text, l->len);
	return hl_str_make(buf, (size_t)l->shared + l->len);
}
