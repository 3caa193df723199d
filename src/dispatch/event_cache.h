/* Events that wait in memory to be sent, one counted copy each, however wide the fan-out. */
#ifndef HL_DISPATCH_EVENT_CACHE_H
#define HL_DISPATCH_EVENT_CACHE_H

#include "base/map.h"
#include <hookline/event.h>

/* One event in memory. Slices of `event` point into the same allocation. */
struct hl_event_ref {
	uint32_t refs;
	uint32_t bytes;              /* of this allocation */
	bool cached;                 /* in the cache's map */
	struct hl_event event;
};

struct hl_event_cache {
	struct hl_map_u64 map;       /* event number → hl_event_ref */
	uint64_t bytes;              /* of all of them */
	uint64_t bytes_max;          /* above it hl_event_cache_room says no */
};

void hl_event_cache_init(struct hl_event_cache *c, uint64_t bytes_max);
void hl_event_cache_fini(struct hl_event_cache *c); /* every reference must have been released */
bool hl_event_cache_room(const struct hl_event_cache *c);
/* Copies the event; held for the caller, in no cache yet (its number may still change). NULL on ENOMEM. */
struct hl_event_ref *hl_event_ref_create(const struct hl_event *e);
/* From now on it is found by its number. false: another copy is there already, or no memory. */
bool hl_event_cache_insert(struct hl_event_cache *c, struct hl_event_ref *r);
/* Copies the event and puts it in; held for the caller. One already there gets one more reference. NULL on ENOMEM. */
struct hl_event_ref *hl_event_cache_add(struct hl_event_cache *c, const struct hl_event *e);
struct hl_event_ref *hl_event_cache_find(struct hl_event_cache *c, uint64_t number); /* held; NULL = not there */
struct hl_event_ref *hl_event_ref_hold(struct hl_event_ref *r);
void hl_event_cache_release(struct hl_event_cache *c, struct hl_event_ref *r);      /* NULL is fine */

#endif
