/* Counting requests. Happy path: the window of (key, bucket) is found, still open, and its count goes up by one.
 *
 * A window that ended is replaced by a new one beginning now. Ended windows are dropped from the old end of the list,
 * two per call, so memory follows the traffic without a timer. A full table drops its oldest window. No memory for a new
 * window: the request passes, because refusing everybody would be worse than limiting nobody for a moment. */
#include "service/limits.h"

#include "base/check.h"

#include <stdlib.h>

struct limit_window {
	struct hl_list by_age;
	uint64_t id;
	hl_ms_t from_mono_ms;
	uint32_t count;
};

void hl_limits_init(struct hl_limits *l, size_t max)
{
	hl_map_u64_init(&l->windows);
	hl_list_init(&l->by_age);
	l->max = max ? max : HL_LIMITS_MAX;
}

static void drop(struct hl_limits *l, struct limit_window *w)
{
	HL_CHECK(hl_map_u64_del(&l->windows, w->id) == w);
	hl_list_remove(&w->by_age);
	free(w);
}

void hl_limits_fini(struct hl_limits *l)
{
	HL_LIST_EACH(it, &l->by_age)
		drop(l, HL_LIST_ENTRY(it, struct limit_window, by_age));
	hl_map_u64_fini(&l->windows);
}

static bool ended(const struct limit_window *w, hl_ms_t mono_ms)
{
	return mono_ms - w->from_mono_ms >= HL_LIMIT_WINDOW_MS;
}

static struct limit_window *oldest(struct hl_limits *l)
{
	return hl_list_empty(&l->by_age) ? NULL : HL_LIST_ENTRY(l->by_age.next, struct limit_window, by_age);
}

static struct limit_window *window_get(struct hl_limits *l, uint64_t id, hl_ms_t mono_ms)
{
	struct limit_window *w = hl_map_u64_get(&l->windows, id);
	if (w && ended(w, mono_ms)) {
		drop(l, w);
		w = NULL;
	}
	if (w)
		return w;
	for (int i = 0; i < 2 && (w = oldest(l)) && ended(w, mono_ms); i++)
		drop(l, w);
	if (l->windows.count >= l->max)
		drop(l, oldest(l));
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->id = id;
	w->from_mono_ms = mono_ms;
	if (hl_map_u64_put(&l->windows, id, w)) {
		free(w);
		return NULL;
	}
	hl_list_push_back(&l->by_age, &w->by_age);
	return w;
}

bool hl_limits_take(struct hl_limits *l, uint32_t key, uint16_t bucket, uint32_t limit, hl_ms_t mono_ms,
		struct hl_limit_state *out)
{
	struct limit_window *w = window_get(l, (uint64_t)key << 16 | bucket, mono_ms);
	*out = (struct hl_limit_state){ .limit = limit, .remaining = limit, .reset_s = HL_LIMIT_WINDOW_MS / 1000 };
	if (!w)
		return true;
	bool pass = w->count < limit;
	if (pass)
		w->count++;
	out->remaining = limit > w->count ? limit - w->count : 0;
	out->reset_s = (uint32_t)((HL_LIMIT_WINDOW_MS - (mono_ms - w->from_mono_ms) + 999) / 1000);
	return pass;
}
