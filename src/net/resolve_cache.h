/* The answers a resolver remembers: name → addresses or failure, until their time is over, at most
 * HL_RESOLVE_CACHE_MAX names, least recently used out first. */
#ifndef HL_NET_RESOLVE_CACHE_H
#define HL_NET_RESOLVE_CACHE_H

#include "base/list.h"
#include "base/map.h"
#include "net/addr.h"

enum {
	HL_RESOLVE_CACHE_MAX = 4096,     /* names */
	HL_RESOLVE_STALE_MS = 60000,     /* how long an expired address may still stand in */
};

/* Immutable once filled in; counted, because cache and waiters share it. */
struct hl_resolve_answer {
	unsigned refs;
	int status;                  /* HL_OK or HL_EDNS */
	const char *text;            /* static; why not */
	size_t n;
	struct hl_addr addrs[];
};
/* A copy of n addresses, counted once; NULL on ENOMEM. */
struct hl_resolve_answer *hl_resolve_answer_create(const struct hl_addr *addrs, size_t n);
/* A failure; never NULL (without memory it is a shared "out of memory"). */
struct hl_resolve_answer *hl_resolve_answer_failure(const char *text);
static inline struct hl_resolve_answer *hl_resolve_answer_ref(struct hl_resolve_answer *a) { a->refs++; return a; }
void hl_resolve_answer_unref(struct hl_resolve_answer *a); /* NULL allowed */

struct hl_resolve_cache {
	struct hl_map_str entries;   /* name → struct entry */
	struct hl_list lru;          /* most recently used first */
};
void hl_resolve_cache_init(struct hl_resolve_cache *c);
void hl_resolve_cache_fini(struct hl_resolve_cache *c);
void hl_resolve_cache_clear(struct hl_resolve_cache *c);
/* Remembers a (one more reference) for fresh_ms; without memory it is simply not remembered. */
void hl_resolve_cache_put(struct hl_resolve_cache *c, struct hl_str name, struct hl_resolve_answer *a,
		hl_ms_t fresh_ms, hl_ms_t now_mono_ms);
/* A fresh answer, good or bad, borrowed; NULL when there is none. */
struct hl_resolve_answer *hl_resolve_cache_get(struct hl_resolve_cache *c, struct hl_str name, hl_ms_t now_mono_ms);
/* An address that expired less than HL_RESOLVE_STALE_MS ago, borrowed; it counts as fresh for extend_ms more. Else
 * NULL. */
struct hl_resolve_answer *hl_resolve_cache_get_stale(struct hl_resolve_cache *c, struct hl_str name,
		hl_ms_t extend_ms, hl_ms_t now_mono_ms);

#endif
