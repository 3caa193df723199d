/* Lines: an entry is what stands between line feeds; blank ones are skipped.
 *
 * Array: outside of entries only blanks, commas and the brackets count; inside, strings and nesting are followed just far
 * enough to find the comma or bracket that ends the entry. An entry that is bad JSON inside stays one entry as long as its
 * quotes and brackets are balanced.
 *
 *   BEFORE ─[─► FIRST ─entry─► AFTER ─,─► NEXT ─entry─► AFTER ─]─► DONE      anything else: BROKEN
 *
 * An entry that grows over the limit is dropped byte by byte while its end is looked for, so memory stays bounded. */
#include "api/splitter.h"

#include "base/check.h"
#include "base/str.h"
#include <hookline/error.h>

enum place { BEFORE, FIRST, NEXT, INSIDE, AFTER, DONE, BROKEN };

void hl_splitter_init(struct hl_splitter *s, enum hl_split_kind kind, size_t entry_max)
{
	memset(s, 0, sizeof(*s));
	hl_buf_init(&s->in);
	s->kind = kind;
	s->entry_max = entry_max;
	s->place = BEFORE;
}

void hl_splitter_fini(struct hl_splitter *s)
{
	hl_buf_fini(&s->in);
}

int hl_splitter_feed(struct hl_splitter *s, struct hl_str piece)
{
	hl_buf_consume(&s->in, s->consume);
	s->consume = 0;
	/* What was read stands before the unread part: move it down once it is the larger half. */
	if (s->in.rd > s->in.len / 2) {
		struct hl_str unread = hl_buf_unread(&s->in);
		memmove(s->in.data, unread.ptr, unread.len);
		s->in.len = unread.len;
		s->in.rd = 0;
		s->in.data[s->in.len] = '\0';
	}
	hl_buf_str(&s->in, piece);
	return hl_buf_ok(&s->in) ? HL_OK : HL_ENOMEM;
}

void hl_splitter_back(struct hl_splitter *s)
{
	s->consume = 0;
	if (s->kind == HL_SPLIT_ARRAY) {
		s->place = INSIDE;
		s->depth = 0;
	}
}

void hl_splitter_end(struct hl_splitter *s)
{
	s->ended = true;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Drops n unread bytes now. */
static void skip(struct hl_splitter *s, size_t n)
{
	hl_buf_consume(&s->in, n);
	s->scanned = 0;
}

/* The entry is the first n unread bytes; `extra` more (its delimiter) go with it. */
static bool hand_out(struct hl_splitter *s, size_t n, size_t extra, struct hl_split_entry *out)
{
	struct hl_str text = hl_str_trim(hl_str_make(hl_buf_unread(&s->in).ptr, n));
	bool dropped = s->dropping || text.len > s->entry_max;
	s->consume = n + extra;
	s->scanned = 0;
	s->dropping = false;
	*out = (struct hl_split_entry){ .result = dropped ? HL_SPLIT_TOO_LARGE : HL_SPLIT_ENTRY, .text = text };
	return true;
}

/* All that is unread belongs to an entry that goes on: forget it if that is already too much. */
static void bound(struct hl_splitter *s, size_t n)
{
	s->scanned = n;
	if (s->dropping || n > s->entry_max + 2) { /* a CR and a blank may still be trimmed */
		s->dropping = true;
		skip(s, n);
	}
}

static bool next_line(struct hl_splitter *s, struct hl_split_entry *out)
{
	for (;;) {
		struct hl_str in = hl_buf_unread(&s->in);
		const char *nl = in.len > s->scanned ? memchr(in.ptr + s->scanned, '\n', in.len - s->scanned) : NULL;
		size_t n = nl ? (size_t)(nl - in.ptr) : in.len;
		if (!nl && !s->ended) {
			bound(s, in.len);
			return false;
		}
		if (!s->dropping && !hl_str_trim(hl_str_make(in.ptr, n)).len) {
			skip(s, n + (nl != NULL));
			if (!nl)
				return false;
			continue;
		}
		return hand_out(s, n, nl != NULL, out);
	}
}

static bool broken(struct hl_splitter *s, const char *why, struct hl_split_entry *out)
{
	s->place = BROKEN;
	skip(s, hl_buf_unread(&s->in).len);
	*out = (struct hl_split_entry){ .result = HL_SPLIT_BROKEN, .why = why };
	return true;
}

/* Follows an entry from where the last look ended; true when it is complete. */
static bool inside(struct hl_splitter *s, struct hl_str in, struct hl_split_entry *out)
{
	for (size_t i = s->scanned; i < in.len; i++) {
		char c = in.ptr[i];
		if (s->in_string) {
			if (s->escaped)
				s->escaped = false;
			else if (c == '\\')
				s->escaped = true;
			else if (c == '"')
				s->in_string = false;
		} else if (c == '"') {
			s->in_string = true;
		} else if (c == '{' || c == '[') {
			s->depth++;
		} else if (s->depth && (c == '}' || c == ']')) {
			s->depth--;
		} else if (!s->depth && (c == ',' || c == ']')) {
			s->place = AFTER;
			return hand_out(s, i, 0, out);
		}
	}
	bound(s, in.len);
	return false;
}

/* A byte between entries; NULL: fine. */
static const char *between(struct hl_splitter *s, char c)
{
	switch ((enum place)s->place) {
	case BEFORE:
		if (c != '[')
			return "the body must be a JSON array";
		s->place = FIRST;
		return NULL;
	case AFTER:
		s->place = c == ',' ? NEXT : c == ']' ? DONE : BROKEN;
		return s->place == BROKEN ? "a comma or bracket is missing between two events" : NULL;
	case DONE:
		return "something follows the end of the array";
	default:
		HL_NEVER("not a place between entries");
	}
}

static bool next_element(struct hl_splitter *s, struct hl_split_entry *out)
{
	while (s->place != BROKEN) {
		struct hl_str in = hl_buf_unread(&s->in);
		if (s->place == INSIDE) {
			if (inside(s, in, out))
				return true;
			break;
		}
		size_t n = 0;
		while (n < in.len && blank(in.ptr[n]))
			n++;
		skip(s, n);
		if (n == in.len)
			break;
		char c = in.ptr[n];
		if (s->place == FIRST && c == ']') {
			s->place = DONE;
			skip(s, 1);
		} else if (s->place == FIRST || s->place == NEXT) {
			if (c == ',' || c == ']')
				return broken(s, "an event is missing", out);
			s->place = INSIDE;
			s->depth = 0;
			s->in_string = s->escaped = false;
		} else {
			const char *why = between(s, c);
			if (why)
				return broken(s, why, out);
			skip(s, 1);
		}
	}
	if (s->ended && s->place != DONE && s->place != BROKEN)
		return broken(s, "the array is not closed", out);
	return false;
}

bool hl_splitter_next(struct hl_splitter *s, struct hl_split_entry *out)
{
	hl_buf_consume(&s->in, s->consume);
	s->consume = 0;
	return s->kind == HL_SPLIT_LINES ? next_line(s, out) : next_element(s, out);
}
