/* DIR/lock: one process writes. The file holds the owner's process id, for the message; flock decides. */
#ifndef HL_STORE_LOCK_H
#define HL_STORE_LOCK_H

#include <hookline/error.h>

/* wait: until the owner lets go (for --takeover). HL_ELOCKED names the owner. The descriptor is the lock. */
HL_MUST_CHECK int hl_lock_take(const char *file, bool wait, int *out_fd, struct hl_err *err);
void hl_lock_give(int fd); /* -1: nothing */

#endif
