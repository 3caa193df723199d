/* Lines: an entry is what stands between line feeds; blank ones are skipped.
 *
 * Array: outside of entries only blanks, commas and the brackets count; inside, strings and nesting are followed just far
 * enough to find the comma or bracket that ends the entry. An entry that is bad JSON inside stays one entry as long as its
 * quotes and brackets are balanced.
 *
 *   BEFORE ─[─► FIRST ─entry─► AFTER ─,─► NEXT ─entry─► AFTER ─]─► DONE      anything else: BROKEN
 *
 * List: an array, or an envelope whose other members are passed over without being kept:
 *
 *   BEFORE ─{─► MEMBER_FIRST ─name─► COLON ─► VALUE ─► OTHER, or FIRST … AFTER ─]─► MEMBER_AFTER ─,─► MEMBER_NEXT or ─}─► DONE
 *
 * An entry that grows over the limit is dropped byte by byte while its end is looked for, so memory stays bounded. */
#include "api/splitter.h"

#include "base/check.h"
#include "base/str.h"
#include <hookline/error.h>

enum place {
	BEFORE, FIRST, NEXT, INSIDE, AFTER, DONE, BROKEN,
	MEMBER_FIRST, MEMBER_NEXT, NAME, COLON, VALUE, OTHER, MEMBER_AFTER,
};

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
	s->line--;
	if (s->kind != HL_SPLIT_LINES) {
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

/* So long with the blanks around it that it is not kept until its end, and refused even when its end is here already: what
 * becomes of an entry must not depend on how the stream was cut. A CR and a blank may still be trimmed. */
static bool over(const struct hl_splitter *s, size_t n)
{
	return n > s->entry_max + 2;
}

/* The entry is the first n unread bytes; `extra` more (its delimiter) go with it. */
static bool hand_out(struct hl_splitter *s, size_t n, size_t extra, struct hl_split_entry *out)
{
	struct hl_str text = hl_str_trim(hl_str_make(hl_buf_unread(&s->in).ptr, n));
	bool dropped = s->dropping || over(s, n) || text.len > s->entry_max;
	s->consume = n + extra;
	s->scanned = 0;
	s->dropping = false;
	*out = (struct hl_split_entry){
		.result = dropped ? HL_SPLIT_TOO_LARGE : HL_SPLIT_ENTRY, .text = text, .line = ++s->line,
	};
	return true;
}

/* All that is unread belongs to an entry that goes on: forget it if that is already too much. */
static void bound(struct hl_splitter *s, size_t n)
{
	s->scanned = n;
	if (s->dropping || over(s, n)) {
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
		if (!s->dropping && !over(s, n) && !hl_str_trim(hl_str_make(in.ptr, n)).len) {
			skip(s, n + (nl != NULL));
			if (!nl)
				return false;
			s->line++;
			continue;
		}
		return hand_out(s, n, nl != NULL, out);
	}
}

static bool broken(struct hl_splitter *s, const char *why, struct hl_split_entry *out)
{
	s->place = BROKEN;
	skip(s, hl_buf_unread(&s->in).len);
	*out = (struct hl_split_entry){ .result = HL_SPLIT_BROKEN, .line = s->line + 1, .why = why };
	return true;
}

/* Follows a value from where the last look ended; true at the comma or bracket behind it, whose place is *out_n. */
static bool follow(struct hl_splitter *s, struct hl_str in, char close, size_t *out_n)
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
		} else if (!s->depth && (c == ',' || c == close)) {
			*out_n = i;
			return true;
		}
	}
	return false;
}

static bool inside(struct hl_splitter *s, struct hl_str in, struct hl_split_entry *out)
{
	size_t n;
	if (follow(s, in, ']', &n)) {
		s->place = AFTER;
		return hand_out(s, n, 0, out);
	}
	bound(s, in.len);
	return false;
}

/* A member of the envelope that is not ours. */
static void pass_over(struct hl_splitter *s, struct hl_str in)
{
	size_t n = in.len;
	if (follow(s, in, '}', &n))
		s->place = MEMBER_AFTER;
	skip(s, n);
}

/* NULL: fine, or more must come first. */
static const char *read_name(struct hl_splitter *s, struct hl_str in)
{
	size_t n = s->scanned;
	for (; n < in.len && (s->escaped || in.ptr[n] != '"'); n++)
		s->escaped = !s->escaped && in.ptr[n] == '\\';
	s->scanned = n;
	if (n > s->entry_max)
		return "a member's name is too long";
	if (n == in.len)
		return NULL;
	s->items = hl_str_eq(hl_str_make(in.ptr, n), HL_STR("items"));
	s->place = COLON;
	skip(s, n + 1);
	return NULL;
}

static void begin_value(struct hl_splitter *s, enum place place)
{
	s->place = place;
	s->depth = 0;
	s->in_string = s->escaped = false;
}

/* A byte between the members of an envelope. */
static const char *member(struct hl_splitter *s, char c)
{
	switch ((enum place)s->place) {
	case MEMBER_FIRST:
	case MEMBER_NEXT:
		s->place = c == '"' ? NAME : c == '}' && s->place == MEMBER_FIRST ? DONE : BROKEN;
		break;
	case COLON:
		s->place = c == ':' ? VALUE : BROKEN;
		break;
	case VALUE:
		if (s->items && c != '[')
			return "\"items\" must be an array";
		s->items_seen |= s->items;
		s->place = FIRST;
		break;
	case MEMBER_AFTER:
		s->place = c == ',' ? MEMBER_NEXT : c == '}' ? DONE : BROKEN;
		break;
	default:
		HL_NEVER("not a place between members");
	}
	if (s->place == DONE && !s->items_seen)
		return "there is no member \"items\"";
	return s->place == BROKEN ? "a member of the object is malformed" : NULL;
}

/* A byte between entries; NULL: fine. */
static const char *between(struct hl_splitter *s, char c)
{
	switch ((enum place)s->place) {
	case BEFORE:
		s->enclosed = c == '{' && s->kind == HL_SPLIT_LIST;
		if (c != '[' && !s->enclosed)
			return s->kind == HL_SPLIT_LIST ? "the body must be a JSON array, or an object with one as \"items\"" :
					"the body must be a JSON array";
		s->place = s->enclosed ? MEMBER_FIRST : FIRST;
		return NULL;
	case AFTER:
		s->place = c == ',' ? NEXT : c != ']' ? BROKEN : s->enclosed ? MEMBER_AFTER : DONE;
		return s->place == BROKEN ? "a comma or bracket is missing between two entries" : NULL;
	case DONE:
		return "something follows the end";
	default:
		return member(s, c);
	}
}

/* The first byte of what comes next; NULL: fine. */
static const char *begin(struct hl_splitter *s, char c)
{
	if (s->place == FIRST && c == ']') {
		s->place = s->enclosed ? MEMBER_AFTER : DONE;
		skip(s, 1);
	} else if (s->place == FIRST || s->place == NEXT) {
		if (c == ',' || c == ']')
			return "an entry is missing";
		begin_value(s, INSIDE);
	} else if (s->place == VALUE && !s->items) {
		if (c == ',' || c == '}')
			return "a member of the object is malformed";
		begin_value(s, OTHER);
	} else {
		const char *why = between(s, c);
		if (why)
			return why;
		skip(s, 1);
	}
	return NULL;
}

static bool next_element(struct hl_splitter *s, struct hl_split_entry *out)
{
	while (s->place != BROKEN) {
		struct hl_str in = hl_buf_unread(&s->in);
		const char *why = NULL;
		if (s->place == INSIDE) {
			if (inside(s, in, out))
				return true;
			break;
		} else if (s->place == OTHER) {
			pass_over(s, in);
		} else if (s->place == NAME) {
			why = read_name(s, in);
		} else {
			size_t n = 0;
			while (n < in.len && blank(in.ptr[n]))
				n++;
			skip(s, n);
			if (n < in.len)
				why = begin(s, in.ptr[n]);
		}
		if (why)
			return broken(s, why, out);
		if (hl_buf_unread(&s->in).len == s->scanned)
			break;
	}
	if (s->ended && s->place != DONE && s->place != BROKEN)
		return broken(s, s->enclosed ? "the object is not closed" : "the array is not closed", out);
	return false;
}

bool hl_splitter_next(struct hl_splitter *s, struct hl_split_entry *out)
{
	hl_buf_consume(&s->in, s->consume);
	s->consume = 0;
	return s->kind == HL_SPLIT_LINES ? next_line(s, out) : next_element(s, out);
}
