/* Request limits: a fixed window of 60 s per (key, bucket), beginning with the bucket's first request.
 *
 * The table is bounded. When it is full the oldest window is forgotten, which can only let a caller do more. */
#ifndef HL_SERVICE_LIMITS_H
#define HL_SERVICE_LIMITS_H

#include "base/list.h"
#include "base/map.h"

enum { HL_LIMIT_WINDOW_MS = 60000, HL_LIMITS_MAX = 65536 };

struct hl_limits {
	struct hl_map_u64 windows; /* key << 16 | bucket → struct limit_window */
	struct hl_list by_age;     /* oldest window first */
	size_t max;
};

/* What to tell the caller. */
struct hl_limit_state {
	uint32_t limit;     /* requests per window */
	uint32_t remaining;
	uint32_t reset_s;   /* until the window ends, 1 … 60 */
};

void hl_limits_init(struct hl_limits *l, size_t max); /* max 0 = HL_LIMITS_MAX */
void hl_limits_fini(struct hl_limits *l);
/* Counts one request against `limit` (≥ 1). true = go on. Out of memory lets the request pass. */
bool hl_limits_take(struct hl_limits *l, uint32_t key, uint16_t bucket, uint32_t limit, hl_ms_t mono_ms,
		struct hl_limit_state *out);

#endif
