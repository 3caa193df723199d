/* Reads a `struct hl_options` into settings. */
#ifndef HL_DISPATCH_OPTIONS_H
#define HL_DISPATCH_OPTIONS_H

#include "dispatch/core.h"

/* Checks every range (HL_EINVAL, err->field the member as an option name) and fills in d->set. */
HL_MUST_CHECK int hl_options_apply(struct hl_dispatcher *d, const struct hl_options *o, struct hl_err *err);

#endif
