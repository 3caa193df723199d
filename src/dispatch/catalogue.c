/* A set of names with one bit per dialect, kept in step with the store by the commands that change event types. */
#include "dispatch/catalogue.h"

#include "base/str.h"
#include <stdlib.h>

struct entry {
	unsigned dialects;   /* bit 1 << enum hl_dialect */
	size_t name_len;
	char name[];
};

void hl_catalogue_init(struct hl_catalogue *c)
{
	hl_map_str_init(&c->types);
}

void hl_catalogue_fini(struct hl_catalogue *c)
{
	size_t pos = 0;
	void *e;
	struct hl_str name;
	while (hl_map_str_next(&c->types, &pos, &name, &e)) {
		hl_map_str_del(&c->types, name);
		free(e);
	}
	hl_map_str_fini(&c->types);
}

int hl_catalogue_put(struct hl_catalogue *c, const struct hl_event_type *t)
{
	unsigned dialects = 0;
	for (int d = 0; d < HL_DIALECT_N; d++)
		if (t->dialect_categories[d].len)
			dialects |= 1u << d;
	struct entry *e = hl_map_str_get(&c->types, t->name);
	if (e) {
		e->dialects = dialects;
		return 0;
	}
	e = malloc(sizeof(*e) + t->name.len);
	if (!e)
		return HL_ENOMEM;
	e->dialects = dialects;
	e->name_len = t->name.len;
	memcpy(e->name, t->name.ptr, t->name.len);
	int rc = hl_map_str_put(&c->types, hl_str_make(e->name, e->name_len), e);
	if (rc)
		free(e);
	return rc;
}

void hl_catalogue_remove(struct hl_catalogue *c, struct hl_str name)
{
	free(hl_map_str_del(&c->types, name));
}

bool hl_catalogue_has(const struct hl_catalogue *c, enum hl_dialect d, struct hl_str name)
{
	const struct entry *e = hl_map_str_get(&c->types, name);
	return e && e->dialects & 1u << d;
}
