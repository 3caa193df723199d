/* Which files the program's commands need once they run: the rules of their sandbox (main/sandbox.h). */
#ifndef HL_MAIN_CONFINE_H
#define HL_MAIN_CONFINE_H

#include "base/log.h"
#include "main/listeners.h"
#include "main/setup.h"

/* Whether what the operator asked for may be started at all. HL_EPERM, with a sentence that names the way out: started as
 * root without allow_root; server.sandbox = require without Landlock. */
HL_MUST_CHECK int hl_confine_admit(const struct hl_config *c, bool allow_root, struct hl_err *err);
/* Makes the data directory if it is missing, then closes everything serve does not need. After what is opened only once
 * (event types, ports chosen by the kernel), before the first thread. *out_on: whether the kernel keeps rules now. */
HL_MUST_CHECK int hl_confine_server(const struct hl_config *c, const struct hl_setup *setup, const struct hl_listeners *l,
		const struct hl_log *log, bool *out_on, struct hl_err *err);
/* For check, backup and migrate: the data directory, the sealing key and `made`, a file or directory to be made (or NULL). */
HL_MUST_CHECK int hl_confine_command(const struct hl_config *c, const char *made, struct hl_err *err);

#endif
