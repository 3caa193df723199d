/* Cursors of listings: opaque, tamper-evident, bound to the filters of the listing they came from.
 *
 * 21 bytes as base64url (28 characters): version and direction (1), number (8), hash of the filters (4), keyed check (8).
 * A cursor names a place between rows, so rows that come or go in between never shift a page. */
#ifndef HL_SERVICE_PAGING_H
#define HL_SERVICE_PAGING_H

#include <hookline/error.h>

enum { HL_PAGE_CURSOR_LEN = 28, HL_PAGE_CURSOR_CAP = 29 };

struct hl_page_cursor {
	bool newer;      /* false: the page of rows older than number; true: the nearest newer ones */
	uint64_t number;
	uint32_t filter; /* hl_page_cursor_filter of everything that selects the rows */
};

/* Hash of a text that describes list and filters; key is the store's id key. */
uint32_t hl_page_cursor_filter(const uint8_t key[16], struct hl_str filters);
void hl_page_cursor_format(const uint8_t key[16], const struct hl_page_cursor *c, char out[HL_PAGE_CURSOR_CAP]);
/* HL_ESYNTAX: not one of ours; HL_EMISMATCH: of another listing or other filters than `filter`. */
HL_MUST_CHECK int hl_page_cursor_parse(const uint8_t key[16], struct hl_str text, uint32_t filter, struct hl_page_cursor *out);

#endif
