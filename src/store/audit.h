/* The whole store read and compared with itself: every index entry has its row and back, due entries match rows,
 * counters match what they count, attempts belong to deliveries, every record decodes, every secret opens. */
#ifndef HL_STORE_AUDIT_H
#define HL_STORE_AUDIT_H

#include "store/jobs.h"

enum hl_audit_severity { HL_AUDIT_NOTE, HL_AUDIT_DAMAGE };

struct hl_audit_options {
	bool live;                    /* a server writes meanwhile: read in slices, each of a consistent snapshot; counters,
	                               * which only a whole snapshot could judge, are not compared */
	void (*report)(void *data, enum hl_audit_severity severity, const char *text); /* at most HL_AUDIT_REPORTS_MAX */
	void *data;
};
enum { HL_AUDIT_REPORTS_MAX = 1000 };

struct hl_audit_summary {
	uint64_t events, deliveries, attempts, due, index_entries, webhooks, accounts, keys, servers, event_types, idem, jobs;
	uint64_t alerts, alert_events, market_items, market_blocks;
	uint64_t pending, tail;       /* pending deliveries; rows not indexed yet */
	uint64_t damages;             /* all found, reported or not */
};
/* 0 whether or not damage was found; HL_E* when the reading itself failed. */
HL_MUST_CHECK int hl_audit(struct hl_store *s, const struct hl_audit_options *o, struct hl_audit_summary *out,
		struct hl_err *err);

#endif
