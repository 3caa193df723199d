/* The server: opens everything in order, runs, and ends in the reverse order, whatever the reason. */
#ifndef HL_MAIN_SERVE_H
#define HL_MAIN_SERVE_H

#include "main/seed.h"
#include "main/setup.h"

/* Runs until a signal or a fatal error; returns the exit code. setup is read again on SIGHUP; config is the first reading
 * of it; seed goes into a new store. */
int hl_serve(const struct hl_setup *setup, struct hl_config *config, const struct hl_seed *seed, bool takeover);

#endif
