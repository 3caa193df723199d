/* What audit.c (deliveries, events, indexes, counters), audit_conf.c (configuration, service records) and audit_alerts.c
 * (alerts, market) share. */
#ifndef HL_STORE_AUDIT_PRIVATE_H
#define HL_STORE_AUDIT_PRIVATE_H

#include "base/map.h"
#include "store/audit.h"

struct hl_audit_run {
	struct hl_store *store;
	const struct hl_audit_options *o;
	struct hl_audit_summary sum;
	struct hl_txn txn;
	struct hl_map_u64 webhooks;   /* counted from the rows, NULL entries never; whole snapshots only */
	struct hl_map_u64 accounts;   /* struct hl_totals, 0 = of the store */
	struct hl_arena memory;       /* of the counters */
	struct hl_buf plain;          /* an unsealed secret, wiped after each */
};

/* Counts one damage and reports it while there is room. */
void hl_audit_damage(struct hl_audit_run *a, const char *fmt, ...) HL_PRINTF(2, 3);
/* Calls each for every entry of a table, renewing the snapshot now and then when the audit is live. */
typedef void (*hl_audit_each)(struct hl_audit_run *a, struct hl_str key, struct hl_str value);
HL_MUST_CHECK int hl_audit_table(struct hl_audit_run *a, enum hl_table t, hl_audit_each each);
/* Whether an entry is there. */
bool hl_audit_has(struct hl_audit_run *a, enum hl_table t, struct hl_dbkey key);
/* Reads a row without failing the transaction when it is damaged. */
bool hl_audit_delivery(struct hl_audit_run *a, uint64_t number, struct hl_delivery_row *out);
bool hl_audit_event(struct hl_audit_run *a, uint64_t number, struct hl_event_row *out);
bool hl_audit_webhook(struct hl_audit_run *a, uint32_t number, struct hl_webhook_row *out);
/* The counters made from the rows; a place nobody reads when they are not compared. */
struct hl_counts *hl_audit_counts(struct hl_audit_run *a, uint32_t webhook);
struct hl_totals *hl_audit_totals(struct hl_audit_run *a, uint32_t account);

HL_MUST_CHECK int hl_audit_conf(struct hl_audit_run *a);   /* audit_conf.c */
HL_MUST_CHECK int hl_audit_alerts(struct hl_audit_run *a); /* audit_alerts.c */

#endif
