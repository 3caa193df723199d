/* Names on disk: a file that was made, renamed or removed is so after a power cut only when its directory was synced. */
#ifndef HL_STORE_DURABLE_H
#define HL_STORE_DURABLE_H

#include <hookline/error.h>

/* Both: 0, or -1 with errno. Of the names in dir; of the name `path` itself. */
HL_MUST_CHECK int hl_durable_dir(const char *dir);
HL_MUST_CHECK int hl_durable_name(const char *path);
/* Makes a directory (0700) for good; one that is there is none of our business. 0, or -1 with errno. */
HL_MUST_CHECK int hl_durable_mkdir(const char *path);

#endif
