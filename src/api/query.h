/* Query parameters and pages of listings. Every reader answers 400 naming the parameter when it returns false. */
#ifndef HL_API_QUERY_H
#define HL_API_QUERY_H

#include "api/call.h"

struct hl_query {
	const char *name;
	bool seen;
	struct hl_str value; /* decoded; "" when absent */
};

/* Takes the query apart. Unknown and repeated parameters are refused; on a lenient mount unknown ones are ignored and the
 * last of several counts. */
bool hl_query_read(struct hl_call *c, struct hl_query *q, size_t n);
bool hl_query_none(struct hl_call *c); /* a route without parameters */
bool hl_query_time(struct hl_call *c, const struct hl_query *q, hl_ms_t *out_at_ms);
bool hl_query_bool(struct hl_call *c, const struct hl_query *q, bool *out);
bool hl_query_word(struct hl_call *c, const struct hl_query *q, size_t max, struct hl_str *out);
/* By name; absent leaves *out alone. `known` lists the choices. */
bool hl_query_name(struct hl_call *c, const struct hl_query *q, int (*parse)(struct hl_str), const char *known, int *out);
/* An id: absent 0. Well-formed but unknown: *out_known = false. */
bool hl_query_id(struct hl_call *c, const struct hl_query *q, enum hl_id_kind kind, uint64_t *out_number, bool *out_known);

/* The last two entries of q must be "limit" and "cursor". Sets c->page and c->filter: all other values, the route and the
 * account select the rows. */
bool hl_query_page(struct hl_call *c, const struct hl_query *q, size_t n);

/* The envelope of a page. begin opens {"data":[ ; end closes it with the cursors and the Link field and answers 200.
 * first and last: numbers of the rows at the ends, 0 when the page is empty. */
void hl_page_begin(struct hl_call *c, struct hl_jsonw *w);
void hl_page_end(struct hl_call *c, struct hl_jsonw *w, uint64_t first, uint64_t last, const struct hl_page_info *info);
void hl_page_empty(struct hl_call *c);

/* What pages of other shapes are made of. */
/* Sets c->filter: the route, the account and these values select the rows. */
void hl_query_select(struct hl_call *c, const struct hl_query *q, size_t n);
/* A cursor of this list and these filters (select first); absent: number 0. */
bool hl_query_cursor(struct hl_call *c, const struct hl_query *q, struct hl_page_cursor *out);
/* Member with a cursor at that row, null for row 0; the text stays in `text`, "" for null. */
void hl_page_cursor_member(struct hl_call *c, struct hl_jsonw *w, const char *member, bool newer, uint64_t number,
		char text[HL_PAGE_CURSOR_CAP]);

/* "%41+b" → "A b" (plus is a space in queries); ptr NULL: malformed. */
struct hl_str hl_percent_decode(struct hl_arena *a, struct hl_str s, bool plus);

#endif
