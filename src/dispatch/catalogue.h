/* Which event types belong to which dialect, in memory: what a publish needs of the catalogue. */
#ifndef HL_DISPATCH_CATALOGUE_H
#define HL_DISPATCH_CATALOGUE_H

#include "base/map.h"
#include <hookline/dispatcher.h>

struct hl_catalogue {
	struct hl_map_str types;     /* name → entry; names are owned by the entries */
};

void hl_catalogue_init(struct hl_catalogue *c);
void hl_catalogue_fini(struct hl_catalogue *c);
/* Adds or replaces. HL_ENOMEM changes nothing. */
HL_MUST_CHECK int hl_catalogue_put(struct hl_catalogue *c, const struct hl_event_type *t);
void hl_catalogue_remove(struct hl_catalogue *c, struct hl_str name);
bool hl_catalogue_has(const struct hl_catalogue *c, enum hl_dialect d, struct hl_str name);

#endif
