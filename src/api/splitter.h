/* Cuts a stream of bytes into the entries of a batch: lines of NDJSON, or elements of one JSON array. Pieces may end
 * anywhere. Whether an entry is good JSON is not judged here, nor what stands around the array of an envelope.
 *
 *   hl_splitter_feed(&s, piece);
 *   while (hl_splitter_next(&s, &entry)) …       // borrowed until the next call
 *   hl_splitter_end(&s);                         // the stream is over: then next() again, it may hold a last entry
 */
#ifndef HL_API_SPLITTER_H
#define HL_API_SPLITTER_H

#include "base/buf.h"

enum hl_split_kind {
	HL_SPLIT_LINES,
	HL_SPLIT_ARRAY,
	HL_SPLIT_LIST,       /* an array, or an object that has one as its member "items" */
};

enum hl_split_result {
	HL_SPLIT_ENTRY,      /* text is one entry, without surrounding blanks */
	HL_SPLIT_TOO_LARGE,  /* an entry over the limit was thrown away */
	HL_SPLIT_BROKEN,     /* the array's own syntax is wrong; nothing more comes. why says what */
};

struct hl_split_entry {
	enum hl_split_result result;
	struct hl_str text;
	uint64_t line;       /* the line it stands on (blank ones count); of an array which element it is. From 1 */
	const char *why;
};

struct hl_splitter {
	enum hl_split_kind kind;
	size_t entry_max;            /* bytes */
	struct hl_buf in;            /* unread: what was fed and not looked at, or belongs to an entry not complete */
	size_t scanned;              /* bytes of the unread part already looked at */
	bool ended;                  /* the stream is over */
	bool dropping;               /* inside an entry that is too large */
	uint64_t line;               /* lines or elements passed */
	/* array and list: */
	int place;                   /* enum in splitter.c */
	unsigned depth;              /* brackets open inside the entry */
	bool in_string, escaped;
	bool enclosed;               /* an envelope is around the array */
	bool items, items_seen;      /* the member being read is "items"; it was there */
	size_t consume;              /* to be dropped before looking further: the entry handed out last */
};

void hl_splitter_init(struct hl_splitter *s, enum hl_split_kind kind, size_t entry_max);
void hl_splitter_fini(struct hl_splitter *s);
/* HL_ENOMEM. */
HL_MUST_CHECK int hl_splitter_feed(struct hl_splitter *s, struct hl_str piece);
void hl_splitter_end(struct hl_splitter *s);
bool hl_splitter_next(struct hl_splitter *s, struct hl_split_entry *out);
/* The entry handed out last comes again, now or after more was fed. Not for one that was too large. */
void hl_splitter_back(struct hl_splitter *s);

#endif
