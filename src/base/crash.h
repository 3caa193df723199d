/* Named places where the process can be made to die as if by kill -9, for tests/crash/run. Built only with the option
 * crash_points; otherwise HL_CRASH_POINT is nothing at all.
 *
 *   HOOKLINE_CRASH_AT=commit.durable:3 hookline serve …      dies the third time it comes by
 *
 * The table is the only list of them: the test reads it too, and wants each to be reached. Its columns: name in the code,
 * name outside, in which of the test's scenes it is reached (tests/crash/kill/scenes.py), what a crash there leaves behind. */
#ifndef HL_BASE_CRASH_H
#define HL_BASE_CRASH_H

#include <stdbool.h>

/* clang-format off */
#define HL_CRASH_TABLE(X) \
	X(OPEN_LOCKED,        "open.locked",        start,  "the lock is taken, nothing is open") \
	X(OPEN_MAPPED,        "open.mapped",        start,  "the environment is open, the format was not looked at") \
	X(OPEN_GATE,          "open.gate",          start,  "the opening transaction is ready, not committed") \
	X(OPEN_DONE,          "open.done",          start,  "the store is open, memory is empty") \
	X(START_WEBHOOK,      "start.webhook",      start,  "some of the queues are made") \
	X(START_ENGINE,       "start.engine",       start,  "the engine is open, nobody is let in") \
	X(START_ALERTS,       "start.alerts",       start,  "some of the market is read back") \
	X(START_LISTENING,    "start.listening",    start,  "clients may connect, READY was not said") \
	X(START_NEW_KEY,      "start.new_key",      birth,  "a new store: its sealing key is there, its tables are not") \
	X(START_NEW_STORE,    "start.new_store",    birth,  "a new store: its tables are there, its first account is not") \
	X(COMMIT_TAKEN,       "commit.taken",       load,   "a batch has left the queue, nothing is written") \
	X(COMMIT_HALF,        "commit.half",        load,   "some commands of a batch are applied") \
	X(COMMIT_APPLIED,     "commit.applied",     load,   "a whole batch is applied, not committed") \
	X(COMMIT_DURABLE,     "commit.durable",     load,   "a batch is on disk, nobody was told") \
	X(COMMIT_TOLD,        "commit.told",        load,   "the first of a batch was told") \
	X(PUBLISH_SUBMITTED,  "publish.submitted",  load,   "an event has left for the storage thread") \
	X(PUBLISH_HALF,       "publish.half",       load,   "half of an event's deliveries are written, uncommitted") \
	X(PUBLISH_DURABLE,    "publish.durable",    load,   "event and deliveries are on disk, no queue knows of them") \
	X(PUBLISH_QUEUED,     "publish.queued",     load,   "its deliveries are in their queues, the publisher has no answer") \
	X(BATCH_RESULT,       "batch.result",       load,   "a result of a batch is made, not sent") \
	X(ANSWER_SENT,        "answer.sent",        load,   "an answer was handed to the kernel") \
	X(ATTEMPT_BEGUN,      "attempt.begun",      load,   "a delivery is claimed, nothing is sent") \
	X(ATTEMPT_CONNECTED,  "attempt.connected",  load,   "connected to the receiver, nothing is sent") \
	X(WRITE_PARTIAL,      "write.partial",      load,   "the kernel took half of a request's head") \
	X(ATTEMPT_SENT,       "attempt.sent",       load,   "the request is on its way") \
	X(ATTEMPT_ANSWERED,   "attempt.answered",   load,   "the answer is read and judged, not handed over") \
	X(OUTCOME_SUBMITTED,  "outcome.submitted",  load,   "the outcome has left for the storage thread") \
	X(OUTCOME_APPLIED,    "outcome.applied",    load,   "the outcome is written, uncommitted") \
	X(OUTCOME_DURABLE,    "outcome.durable",    load,   "the outcome is on disk, memory does not know") \
	X(OUTCOME_REQUEUED,   "outcome.requeued",   load,   "the next attempt is in its queue, no timer is set") \
	X(REFILL_DONE,        "refill.done",        load,   "a queue's window was read again") \
	X(REPLAY_APPLIED,     "replay.applied",     load,   "the deliveries of a replay are written, uncommitted") \
	X(RESUME_APPLIED,     "resume.applied",     load,   "a resumed webhook is written, uncommitted") \
	X(ROTATE_APPLIED,     "rotate.applied",     load,   "a new secret is written, uncommitted") \
	X(DELETE_APPLIED,     "delete.applied",     load,   "a webhook is deleted and its job made, uncommitted") \
	X(DISABLE_APPLIED,    "disable.applied",    load,   "a receiver said it is gone: written, uncommitted") \
	X(WEBHOOK_DURABLE,    "webhook.durable",    load,   "a change of a webhook is on disk, memory does not know") \
	X(CHANGE_DURABLE,     "change.durable",     load,   "a change of an account, key or server is on disk, untold") \
	X(JOB_HALF,           "job.half",           load,   "half a slice of a job over a webhook's deliveries is written") \
	X(JOB_SLICE,          "job.slice",          load,   "a slice of a job is written, uncommitted") \
	X(JOB_DURABLE,        "job.durable",        load,   "a slice of a job is on disk, the next was not begun") \
	X(INDEX_BEGUN,        "index.begun",        load,   "the bound of an index run is raised, uncommitted") \
	X(INDEX_HALF,         "index.half",         load,   "some entries of an index run are put") \
	X(INDEX_SLICE,        "index.slice",        load,   "a slice of an index run is written, uncommitted") \
	X(TICK_APPLIED,       "tick.applied",       load,   "prices are in the log, uncommitted") \
	X(TICK_DURABLE,       "tick.durable",       load,   "prices are on disk, memory does not know") \
	X(ALERT_RIDING,       "alert.riding",       load,   "a rule is disabled, its event is not written yet") \
	X(ALERT_FIRED,        "alert.fired",        load,   "event and disabled rule are on disk, memory does not know") \
	X(CHECKPOINT_ROWS,    "checkpoint.rows",    load,   "some rows of a checkpoint are written, uncommitted") \
	X(CHECKPOINT_SLICE,   "checkpoint.slice",   load,   "a slice of a checkpoint is on disk, blocks are not dropped") \
	X(CHECKPOINT_DROP,    "checkpoint.drop",    load,   "the blocks a checkpoint covers are dropped, uncommitted") \
	X(DRAIN_BEGUN,        "drain.begun",        drain,  "SIGTERM: nothing new is let in") \
	X(DRAIN_SERVICE,      "drain.service",      drain,  "the servers are closed, the engine still sends") \
	X(DRAIN_ATTEMPTS,     "drain.attempts",     drain,  "the last attempt has ended") \
	X(DRAIN_STORE,        "drain.store",        drain,  "everything is committed, the store is not closed") \
	X(DRAIN_ENDED,        "drain.ended",        drain,  "all is closed, the process has not exited") \
	X(TAKEOVER_WAITING,   "takeover.waiting",   takeover, "the successor waits for the lock") \
	X(BACKUP_COPIED,      "backup.copied",      backup, "the copy is written, not synced") \
	X(BACKUP_SYNCED,      "backup.synced",      backup, "the copy is synced, it was not opened") \
	X(REKEY_SEALED,       "rekey.sealed",       rekey,  "every secret is sealed anew, uncommitted") \
	X(REKEY_DONE,         "rekey.done",         rekey,  "the store is under the new key, nobody was told") \
	X(UPKEEP_APPLIED,     "upkeep.applied",     later,  "a retention job is made, uncommitted") \
	X(IDEM_DROPPED,       "idem.dropped",       later,  "some old idempotency records are gone, uncommitted") \
	X(SWEEP_SLICE,        "sweep.slice",        later,  "some windows are ended, uncommitted") \
	X(RETENTION_HALF,     "retention.half",     later,  "an event and its deliveries are gone, the slice goes on")
/* clang-format on */

enum hl_crash_point {
#define HL_X(name, text, scene, left) HL_CRASH_##name,
	HL_CRASH_TABLE(HL_X)
#undef HL_X
	HL_CRASH_N
};

#ifdef HL_CRASH_POINTS
/* Any thread. */
void hl_crash_point(enum hl_crash_point p);
#define HL_CRASH_POINT(name) hl_crash_point(HL_CRASH_##name)
/* Whether coming by there once more is the end: for what has to be brought about first. */
bool hl_crash_next(enum hl_crash_point p);
#define HL_CRASH_NEXT(name) hl_crash_next(HL_CRASH_##name)
#else
#define HL_CRASH_POINT(name) ((void)0)
#define HL_CRASH_NEXT(name) false
#endif

#endif
