/* A counted copy of each event that waits to be sent.
 *
 * A publish puts its event here when it is durable; every delivery of it holds one reference until its attempt ended.
 * Past bytes_max nothing is added at publish; such deliveries read their event from the store when their turn comes, and
 * share that copy while more than one of them is in flight. */
#include "dispatch/event_cache.h"

#include "base/check.h"
#include "base/str.h"
#include <stdlib.h>

void hl_event_cache_init(struct hl_event_cache *c, uint64_t bytes_max)
{
	hl_map_u64_init(&c->map);
	c->bytes = 0;
	c->bytes_max = bytes_max;
}

void hl_event_cache_fini(struct hl_event_cache *c)
{
	HL_CHECK(c->map.count == 0);
	hl_map_u64_fini(&c->map);
}

bool hl_event_cache_room(const struct hl_event_cache *c)
{
	return c->bytes < c->bytes_max;
}

static struct hl_str copy_into(char **at, struct hl_str s)
{
	struct hl_str out = { *at, s.len };
	if (s.len)
		memcpy(*at, s.ptr, s.len);
	*at += s.len;
	return out;
}

struct hl_event_ref *hl_event_ref_create(const struct hl_event *e)
{
	size_t bytes = sizeof(struct hl_event_ref) + e->type.len + e->external_id.len + e->data.len;
	struct hl_event_ref *r = malloc(bytes);
	if (!r)
		return NULL;
	r->refs = 1;
	r->bytes = (uint32_t)bytes;
	r->cached = false;
	r->event = *e;
	char *at = (char *)(r + 1);
	r->event.type = copy_into(&at, e->type);
	r->event.external_id = copy_into(&at, e->external_id);
	r->event.data = copy_into(&at, e->data);
	return r;
}

bool hl_event_cache_insert(struct hl_event_cache *c, struct hl_event_ref *r)
{
	if (hl_map_u64_get(&c->map, r->event.number) || hl_map_u64_put(&c->map, r->event.number, r) != 0)
		return false;
	r->cached = true;
	c->bytes += r->bytes;
	return true;
}

struct hl_event_ref *hl_event_cache_add(struct hl_event_cache *c, const struct hl_event *e)
{
	struct hl_event_ref *r = hl_event_cache_find(c, e->number);
	if (r)
		return r;
	r = hl_event_ref_create(e);
	if (r && !hl_event_cache_insert(c, r)) {
		free(r);
		return NULL;
	}
	return r;
}

struct hl_event_ref *hl_event_cache_find(struct hl_event_cache *c, uint64_t number)
{
	struct hl_event_ref *r = hl_map_u64_get(&c->map, number);
	if (r)
		r->refs++;
	return r;
}

struct hl_event_ref *hl_event_ref_hold(struct hl_event_ref *r)
{
	if (r)
		r->refs++;
	return r;
}

void hl_event_cache_release(struct hl_event_cache *c, struct hl_event_ref *r)
{
	if (!r)
		return;
	HL_CHECK(r->refs > 0);
	if (--r->refs > 0)
		return;
	if (r->cached) {
		c->bytes -= r->bytes;
		hl_map_u64_del(&c->map, r->event.number);
	}
	free(r);
}
