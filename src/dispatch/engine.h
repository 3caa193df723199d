/* A dispatcher without a loop: opened on ports that somebody provides, moved on by ticks, closed by draining. dispatcher.c
 * provides libuv; tests provide a clock that stands still and receivers that answer by script. */
#ifndef HL_DISPATCH_ENGINE_H
#define HL_DISPATCH_ENGINE_H

#include "dispatch/core.h"

struct hl_engine_ports {
	struct hl_transport transport;
	struct hl_alarm alarm;
	const struct hl_egress *egress;
	const struct hl_env *env;        /* clocks of the loop; NULL = those of the options */
	uv_loop_t *loop;                 /* NULL: commits are stepped by hand (hl_engine_step) */
};
/* Opens store and engine; delivers from the first tick on. Used by dispatcher.c and by tests on virtual time. */
HL_MUST_CHECK int hl_engine_open(struct hl_dispatcher **out, const struct hl_options *o, const struct hl_engine_ports *ports,
		struct hl_err *err);
/* What time and readiness ask for: starts attempts, wakes queues, upkeep; sets the alarm again. */
void hl_engine_tick(struct hl_dispatcher *d);
/* End of a loop turn: gives up the read snapshot and what answers borrowed. */
void hl_engine_turn_end(struct hl_dispatcher *d);
/* Stops starting attempts; on_drained runs when nothing is in flight or waits for the disk. */
void hl_engine_drain(struct hl_dispatcher *d, hl_ms_t grace_ms, void (*on_drained)(struct hl_dispatcher *d));
/* After on_drained and after its ports have closed. Closes commit queue and store, frees d, calls cb. */
void hl_engine_free(struct hl_dispatcher *d, void (*cb)(void *data), void *data);
/* An open that failed half-way: closes and frees what there is. */
void hl_engine_abandon(struct hl_dispatcher *d);
/* Not threaded: one batch of commits. false: nothing waited. */
bool hl_engine_step(struct hl_dispatcher *d);

#endif
