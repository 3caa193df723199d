/* A bounded map of what was read, least recently used first out. Entries are heap objects that begin with a
 * struct hl_cache_entry. */
#ifndef HL_SERVICE_CACHE_H
#define HL_SERVICE_CACHE_H

#include "base/list.h"
#include "base/map.h"

struct hl_cache_entry {
	struct hl_list used; /* newest at the back */
	uint64_t number;
};
struct hl_cache {
	struct hl_map_u64 map;
	struct hl_list used;
	size_t max;          /* ≥ 1 */
	void (*destroy)(struct hl_cache *c, struct hl_cache_entry *e);
	void *data;
};

void hl_cache_init(struct hl_cache *c, size_t max, void (*destroy)(struct hl_cache *, struct hl_cache_entry *), void *data);
void hl_cache_fini(struct hl_cache *c);
struct hl_cache_entry *hl_cache_get(struct hl_cache *c, uint64_t number); /* NULL when absent */
/* Takes e; replaces an older one. false: no memory, e is still the caller's. */
bool hl_cache_put(struct hl_cache *c, struct hl_cache_entry *e, uint64_t number);
void hl_cache_drop(struct hl_cache *c, uint64_t number);

#endif
