/* Counters, gauges and histograms of a dispatcher. */
#ifndef HL_DISPATCH_STATS_H
#define HL_DISPATCH_STATS_H

#include "dispatch/core.h"

/* Adds a sample; negative ones are ignored. */
void hl_stats_note(struct hl_histogram *h, hl_ms_t ms);

#endif
