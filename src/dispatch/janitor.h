/* Upkeep in small bites: building indexes, background jobs, retention, the windows of queues that do not send, queues nobody
 * needs. All of it commands of the lowest priority, cut into slices of about 2 ms. */
#ifndef HL_DISPATCH_JANITOR_H
#define HL_DISPATCH_JANITOR_H

#include "dispatch/core.h"

HL_MUST_CHECK int hl_janitor_create(struct hl_dispatcher *d);
void hl_janitor_destroy(struct hl_dispatcher *d); /* NULL janitor is fine; nothing may be submitted */
/* Deliveries were added: indexes run when enough came, or when it gets quiet. */
void hl_janitor_note(struct hl_dispatcher *d);
/* A job was stored (by a command that is done now): starts working on it. */
void hl_janitor_wake(struct hl_dispatcher *d);
/* Part of hl_engine_tick: does what its time has come for; returns when it wants to be called next (monotonic). */
hl_ms_t hl_janitor_tick(struct hl_dispatcher *d);

#endif
