/* What the files of dialect stellarstack share: its tables, and the pieces of its answers. */
#ifndef HL_API_DIALECTS_STELLARSTACK_H
#define HL_API_DIALECTS_STELLARSTACK_H

#include "api/dialects/dialect.h"

extern const struct hl_routes hl_routes_stellarstack_webhooks;
extern const struct hl_routes hl_routes_stellarstack_deliveries;

/* An answer "Validation failed" that grows in c->out; begin with .c alone set. */
struct hl_stellarstack_issues {
	struct hl_call *c;
	struct hl_jsonw w;
	size_t n;
};
/* One entry: its path (members, indexes) is written into s->w between the two. */
void hl_stellarstack_issue_begin(struct hl_stellarstack_issues *s, const char *code);
void hl_stellarstack_issue_end(struct hl_stellarstack_issues *s, struct hl_str message);
/* The answer is complete; n ≥ 1. Nothing is sent. */
void hl_stellarstack_issues_end(struct hl_stellarstack_issues *s);

/* Members of the webhook into an open object. */
void hl_stellarstack_webhook_members(struct hl_call *c, struct hl_jsonw *w, const struct hl_webhook *v);

#endif
