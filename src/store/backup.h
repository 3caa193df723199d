/* Copies of a store, beside a running server; and changing the sealing key. */
#ifndef HL_STORE_BACKUP_H
#define HL_STORE_BACKUP_H

#include "store/audit.h"

struct hl_backup_options {
	const char *dir;
	const char *dest;             /* must not exist, or be an empty directory */
	const char *key_file;         /* NULL = dir/key */
	bool compact;                 /* leave free pages out */
	bool with_key;                /* copy the key file too; without it the copy opens only with --key-file */
};
/* The copy is synced and opened once to prove that it is one. What a failure left in dest is removed. */
HL_MUST_CHECK int hl_backup(const struct hl_backup_options *o, struct hl_err *err);

/* Seals every secret anew under the key of new_key_file (made when missing) in one transaction; takes the directory's
 * lock. old_key_file NULL = dir/key. */
HL_MUST_CHECK int hl_rekey(const char *dir, const char *old_key_file, const char *new_key_file, struct hl_err *err);

#endif
