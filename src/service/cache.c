/* Least recently used, with a map for finding. */
#include "service/cache.h"

#include "base/check.h"

void hl_cache_init(struct hl_cache *c, size_t max, void (*destroy)(struct hl_cache *, struct hl_cache_entry *), void *data)
{
	hl_map_u64_init(&c->map);
	hl_list_init(&c->used);
	c->max = max;
	c->destroy = destroy;
	c->data = data;
}

static void drop(struct hl_cache *c, struct hl_cache_entry *e)
{
	HL_CHECK(hl_map_u64_del(&c->map, e->number) == e);
	hl_list_remove(&e->used);
	c->destroy(c, e);
}

void hl_cache_fini(struct hl_cache *c)
{
	HL_LIST_EACH(it, &c->used)
		drop(c, HL_LIST_ENTRY(it, struct hl_cache_entry, used));
	hl_map_u64_fini(&c->map);
}

struct hl_cache_entry *hl_cache_get(struct hl_cache *c, uint64_t number)
{
	struct hl_cache_entry *e = hl_map_u64_get(&c->map, number);
	if (e) {
		hl_list_remove(&e->used);
		hl_list_push_back(&c->used, &e->used);
	}
	return e;
}

bool hl_cache_put(struct hl_cache *c, struct hl_cache_entry *e, uint64_t number)
{
	hl_cache_drop(c, number);
	if (c->map.count >= c->max)
		drop(c, HL_LIST_ENTRY(c->used.next, struct hl_cache_entry, used));
	e->number = number;
	if (hl_map_u64_put(&c->map, number, e))
		return false;
	hl_list_push_back(&c->used, &e->used);
	return true;
}

void hl_cache_drop(struct hl_cache *c, uint64_t number)
{
	struct hl_cache_entry *e = hl_map_u64_get(&c->map, number);
	if (e)
		drop(c, e);
}
