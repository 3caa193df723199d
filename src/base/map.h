/* Open-addressing hash maps: from u64 to pointer, and from slice to pointer (the slice is borrowed and must live as long
 * as the entry). Seeded SipHash for slices. Values are never NULL. */
#ifndef HL_BASE_MAP_H
#define HL_BASE_MAP_H

#include <hookline/types.h>

struct hl_map_u64 {
	struct hl_map_u64_slot *slots;
	size_t cap, count, tombs;
};
void hl_map_u64_init(struct hl_map_u64 *m);
void hl_map_u64_fini(struct hl_map_u64 *m);
void *hl_map_u64_get(const struct hl_map_u64 *m, uint64_t key);      /* NULL when absent */
HL_MUST_CHECK int hl_map_u64_put(struct hl_map_u64 *m, uint64_t key, void *value); /* replaces; HL_ENOMEM */
void *hl_map_u64_del(struct hl_map_u64 *m, uint64_t key);            /* the removed value or NULL */
/* Start with *pos = 0; false at the end. Deleting the returned entry during the walk is allowed. */
bool hl_map_u64_next(const struct hl_map_u64 *m, size_t *pos, uint64_t *out_key, void **out_value);

struct hl_map_str {
	struct hl_map_str_slot *slots;
	size_t cap, count, tombs;
};
void hl_map_str_init(struct hl_map_str *m);
void hl_map_str_fini(struct hl_map_str *m);
void *hl_map_str_get(const struct hl_map_str *m, struct hl_str key);
HL_MUST_CHECK int hl_map_str_put(struct hl_map_str *m, struct hl_str key, void *value);
void *hl_map_str_del(struct hl_map_str *m, struct hl_str key);
bool hl_map_str_next(const struct hl_map_str *m, size_t *pos, struct hl_str *out_key, void **out_value);

#endif
