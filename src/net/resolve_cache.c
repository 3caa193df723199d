/* Remembered answers of the resolver.
 *
 * An entry is fresh, then for a minute stale (good only when no server answers), then of no use; it is not hunted
 * down, but replaced by the next look-up of its name or pushed out by newer names. */
#include "net/resolve_cache.h"

#include "base/check.h"
#include "base/str.h"
#include <stdlib.h>

struct entry {
	struct hl_list lru;
	struct hl_resolve_answer *answer;
	hl_ms_t fresh_until_mono_ms;
	hl_ms_t stale_until_mono_ms;
	size_t len;
	char name[];
};

struct hl_resolve_answer *hl_resolve_answer_create(const struct hl_addr *addrs, size_t n)
{
	struct hl_resolve_answer *a = malloc(sizeof *a + n * sizeof a->addrs[0]);
	if (!a)
		return NULL;
	*a = (struct hl_resolve_answer){ .refs = 1, .status = HL_OK, .text = "", .n = n };
	memcpy(a->addrs, addrs, n * sizeof a->addrs[0]);
	return a;
}

struct hl_resolve_answer *hl_resolve_answer_failure(const char *text)
{
	static struct hl_resolve_answer no_memory = { .refs = 1, .status = HL_EDNS, .text = "out of memory" };
	struct hl_resolve_answer *a = malloc(sizeof *a);
	if (!a)
		return hl_resolve_answer_ref(&no_memory);
	*a = (struct hl_resolve_answer){ .refs = 1, .status = HL_EDNS, .text = text };
	return a;
}

void hl_resolve_answer_unref(struct hl_resolve_answer *a)
{
	if (!a)
		return;
	HL_CHECK(a->refs > 0);
	if (--a->refs == 0)
		free(a);
}

static void drop(struct hl_resolve_cache *c, struct entry *e)
{
	hl_map_str_del(&c->entries, hl_str_make(e->name, e->len));
	hl_list_remove(&e->lru);
	hl_resolve_answer_unref(e->answer);
	free(e);
}

void hl_resolve_cache_init(struct hl_resolve_cache *c)
{
	hl_map_str_init(&c->entries);
	hl_list_init(&c->lru);
}

void hl_resolve_cache_fini(struct hl_resolve_cache *c)
{
	hl_resolve_cache_clear(c);
	hl_map_str_fini(&c->entries);
}

void hl_resolve_cache_clear(struct hl_resolve_cache *c)
{
	while (!hl_list_empty(&c->lru))
		drop(c, HL_LIST_ENTRY(c->lru.next, struct entry, lru));
}

static void touch(struct hl_resolve_cache *c, struct entry *e)
{
	hl_list_remove(&e->lru);
	hl_list_push_front(&c->lru, &e->lru);
}

static struct entry *insert(struct hl_resolve_cache *c, struct hl_str name)
{
	if (c->entries.count >= HL_RESOLVE_CACHE_MAX)
		drop(c, HL_LIST_ENTRY(c->lru.prev, struct entry, lru));
	struct entry *e = calloc(1, sizeof *e + name.len + 1);
	if (!e)
		return NULL;
	e->len = name.len;
	memcpy(e->name, name.ptr, name.len);
	if (hl_map_str_put(&c->entries, hl_str_make(e->name, e->len), e)) {
		free(e);
		return NULL;
	}
	return e;
}

void hl_resolve_cache_put(struct hl_resolve_cache *c, struct hl_str name, struct hl_resolve_answer *a,
		hl_ms_t fresh_ms, hl_ms_t now_mono_ms)
{
	struct entry *e = hl_map_str_get(&c->entries, name);
	if (!e)
		e = insert(c, name);
	if (!e)
		return;
	hl_resolve_answer_ref(a);
	hl_resolve_answer_unref(e->answer);
	e->answer = a;
	e->fresh_until_mono_ms = now_mono_ms + fresh_ms;
	e->stale_until_mono_ms = e->fresh_until_mono_ms + HL_RESOLVE_STALE_MS;
	touch(c, e);
}

struct hl_resolve_answer *hl_resolve_cache_get(struct hl_resolve_cache *c, struct hl_str name, hl_ms_t now_mono_ms)
{
	struct entry *e = hl_map_str_get(&c->entries, name);
	if (!e || now_mono_ms >= e->fresh_until_mono_ms)
		return NULL;
	touch(c, e);
	return e->answer;
}

struct hl_resolve_answer *hl_resolve_cache_get_stale(struct hl_resolve_cache *c, struct hl_str name,
		hl_ms_t extend_ms, hl_ms_t now_mono_ms)
{
	struct entry *e = hl_map_str_get(&c->entries, name);
	if (!e || e->answer->status || now_mono_ms >= e->stale_until_mono_ms)
		return NULL;
	e->fresh_until_mono_ms = HL_MIN(now_mono_ms + extend_ms, e->stale_until_mono_ms);
	touch(c, e);
	return e->answer;
}
