/* Background work over many rows, in slices, each in one transaction together with the cursor it moved: a crash repeats
 * nothing and skips nothing. */
#ifndef HL_STORE_JOBS_H
#define HL_STORE_JOBS_H

#include "store/scan.h"
#include "store/webhooks.h"

/* Slices of or borrowed from the arena. */
bool hl_job_get(struct hl_txn *txn, uint64_t number, struct hl_job_row *out);
void hl_job_put(struct hl_txn *txn, const struct hl_job_row *row);
void hl_job_del(struct hl_txn *txn, uint64_t number);
/* The first job with number > after; false when there is none. */
bool hl_job_next(struct hl_txn *txn, uint64_t after, struct hl_job_row *out);

struct hl_job_result {
	bool done;                    /* the job's row is gone */
	uint64_t changed;             /* rows this slice changed or removed */
	bool due_changed;             /* `webhook` has deliveries due now that it had not */
	uint32_t account, webhook;    /* the job's, 0 = none */
};
/* One slice of about budget_us (at most 2000). job: as read in this transaction (so that a batch that is run again
 * starts from the stored cursor); its row is changed, or deleted when done. Returns hl_txn_status. */
HL_MUST_CHECK int hl_job_step(struct hl_txn *txn, struct hl_job_row *job, hl_ms_t now_ms, uint32_t budget_us,
		struct hl_job_result *out);

/* Dry run of RECOVER: looks at up to max_rows from *cursor (0 at first), adds matches to *count, sets *out_done at
 * the end. */
HL_MUST_CHECK int hl_job_count_recover(struct hl_txn *txn, const struct hl_job_row *job, size_t max_rows,
		uint64_t *cursor,
		uint64_t *count, bool *out_done);

#endif
