/* Slices of bytes: compare, trim, split, numbers. Nothing here allocates. */
#ifndef HL_BASE_STR_H
#define HL_BASE_STR_H

#include <hookline/types.h>
#include <string.h>

static inline struct hl_str hl_str_make(const void *ptr, size_t len) { return (struct hl_str){ (const char *)ptr, len }; }
static inline struct hl_str hl_str_from(const char *cstr) { return (struct hl_str){ cstr, cstr ? strlen(cstr) : 0 }; }
static inline bool hl_str_eq(struct hl_str a, struct hl_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
#define HL_FMT(s) (int)(s).len, (s).ptr /* for "%.*s" */

int hl_str_cmp(struct hl_str a, struct hl_str b);          /* bytewise */
bool hl_str_ieq(struct hl_str a, struct hl_str b);         /* ASCII case-insensitive */
bool hl_str_starts(struct hl_str s, struct hl_str prefix);
bool hl_str_ends(struct hl_str s, struct hl_str suffix);
bool hl_str_contains(struct hl_str s, struct hl_str needle);
struct hl_str hl_str_trim(struct hl_str s);                /* SP, HT, CR, LF */
/* Cuts *rest at the first `sep`: returns the part before, *rest becomes the part after (ptr NULL when there was no sep). */
struct hl_str hl_str_split(struct hl_str *rest, char sep);
/* Whole slice as a decimal number without sign, space or leading "+"; false on overflow or anything else. */
bool hl_str_u64(struct hl_str s, uint64_t *out);
bool hl_str_i64(struct hl_str s, int64_t *out);            /* optional leading '-' */
/* Every byte between lo and hi inclusive. */
bool hl_str_all_between(struct hl_str s, unsigned char lo, unsigned char hi);

#endif
