/* The event types a new store begins with: those of share/event-types.json, which the program carries along, or of a file
 * of the operator's in the same shape. */
#ifndef HL_MAIN_SEED_H
#define HL_MAIN_SEED_H

#include "base/arena.h"
#include "base/log.h"
#include <hookline/dispatcher.h>

/* The bytes of share/event-types.json (tools/embed). */
extern const char hl_seed_builtin[];
extern const size_t hl_seed_builtin_len;

struct hl_seed {
	struct hl_arena arena;             /* holds text and types */
	const char *from;                  /* what option store.event_types says; borrowed */
	const struct hl_event_type *types;
	size_t n;
};

/* from: a file, "" or NULL = the built-in catalogue, "none" = no types. HL_EINVAL, HL_ESYNTAX, HL_EDUPLICATE naming file and entry;
 * HL_ENOTFOUND, HL_EIO and the like when the file cannot be read. Nothing to fini after a failure. */
HL_MUST_CHECK int hl_seed_read(struct hl_seed *out, const char *from, struct hl_err *err);
void hl_seed_fini(struct hl_seed *s);
/* Gives them to a store that is new and waits, running the loop, until they are on disk; leaves any other store alone. */
HL_MUST_CHECK int hl_seed_plant(const struct hl_seed *s, struct hl_dispatcher *d, uv_loop_t *loop, const struct hl_log *log,
		struct hl_err *err);

#endif
