/* A change of rules under way: one command over one or many rows. */
#ifndef HL_ALERTS_CHANGE_H
#define HL_ALERTS_CHANGE_H

#include "alerts/view.h"
#include "dispatch/idempotency.h"

/* apply runs on the storage thread and may run again: what it finds it writes anew each time. */
struct hl_alert_change {
	struct hl_command command;
	struct hl_alerts *a;
	int (*apply)(struct hl_alert_change *c, struct hl_txn *txn);
	void (*answer)(struct hl_alert_change *c, int status, struct hl_err *err); /* calls back; the change is freed after it */
	bool channel;                 /* an enabled rule of the account reaches somebody */
	uint32_t max_enabled;         /* 0 = no limit */
	/* update, delete */
	uint32_t account, fields;
	int dialect;                  /* -1 = any */
	struct hl_alert_row values;   /* the members named by fields */
	struct hl_alert_row old;      /* found by apply */
	bool had_old;                 /* …and it is another one or gone now */
	/* create: the new rows; update: the one as it is now; delete: as it was (both by apply) */
	struct hl_alert_row *rows;
	size_t n;
	size_t n_entering;            /* rows from the first on that are new in memory (by apply) */
	struct hl_idem_use idem;
	/* batch: one for each given, in order; alert is filled in when it is durable */
	struct hl_alert_batch_result *results;
	size_t n_results;
	union {
		hl_alert_cb one;
		hl_alert_batch_cb many;
	} cb;
	void *data;
};

/* With place for n rows. NULL: no memory. */
struct hl_alert_change *hl_alert_change_new(struct hl_alerts *a, size_t n);
void hl_alert_change_free(struct hl_alert_change *c); /* one that was not submitted */
void hl_alert_change_submit(struct hl_alert_change *c, bool grows);
/* What an owner may do; gate NULL: anything. HL_ENOMEM. */
HL_MUST_CHECK int hl_alert_change_gate(struct hl_alert_change *c, uint32_t account, const struct hl_alert_gate *gate);
/* In apply: whether n more rules of the account may be enabled. HL_ECONFLICT, HL_ELIMIT. */
HL_MUST_CHECK int hl_alert_change_allow(const struct hl_alert_change *c, struct hl_txn *txn, uint32_t account, uint64_t n);

#endif
