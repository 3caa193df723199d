/* A disk for one store: what the program writes lies in a cache until it is synced, and may be lost sector by sector until then.
 *
 * The store is the real one. Its system calls on DIR/data.mdb (pwrite, writev, fdatasync, fallocate …) end here instead of in
 * the kernel, because the program's own definitions come before those of the C library. The file is the cache: what the store
 * maps is what it wrote. Every write that is not yet synced keeps the bytes it replaced, so that a power cut can put back any
 * subset of its 512-byte sectors. Writes through a descriptor opened with O_DSYNC (the store's meta page) are durable when they
 * return. Everything decided here is decided by the seed given to disk_attach.
 *
 *   disk_attach(dir, seed);            // before the store is opened
 *   disk_plan(7, DISK_POWER_CUT);      // the 7th operation from now on is the last one
 *   …
 *   if (disk_dead()) …                 // it happened: every call fails, nothing is written any more
 *   disk_settle();                     // the store is closed: what survived is in the file, the disk works again */
#ifndef HL_TEST_SIM_DISK_H
#define HL_TEST_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

enum disk_fault {
	DISK_FINE,
	DISK_FAILS,                /* the operation reports EIO; what it wrote may be there, what it synced may be lost */
	DISK_KILLED,               /* the process ends here: the cache survives it */
	DISK_POWER_CUT,            /* the machine ends here: only what is synced is sure */
};

void disk_attach(const char *dir, uint64_t seed);
void disk_detach(void);

/* The n-th operation from now on (1 = the next one) meets this; 0 = none does. */
void disk_plan(unsigned n, enum disk_fault what);
/* The end at this moment, between two operations. */
void disk_end(enum disk_fault what);
/* A fault has happened; after DISK_KILLED and DISK_POWER_CUT nothing is written any more. */
bool disk_failed(void);
bool disk_dead(void);
/* The store is closed: decides what of the unsynced is there, forgets plan and faults. */
void disk_settle(void);

/* The disk holds so many bytes beyond what the file has and was given by now; UINT64_MAX = it never fills. What was given may
 * be lost in a power cut; some megabytes are left then. */
void disk_room(uint64_t bytes);

struct disk_counts {
	uint64_t operations, writes, syncs, sectors_lost;
	uint64_t hash;             /* of all writes and syncs: where and how long */
};
const struct disk_counts *disk_counts(void);

#endif
