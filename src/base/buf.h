/* A growable byte buffer with a read and a write cursor.
 *
 *   data      data+rd        data+len       data+cap
 *   |consumed |unread        |free          |
 *
 * Appending never fails loudly in the middle: on ENOMEM or past `max` the buffer becomes `failed`, further appends do
 * nothing, and the caller asks once at the end with hl_buf_ok(). A NUL is kept at data[len] whenever data is not NULL;
 * who fills reserved room directly puts it there. Making room may move the unread part to the front. */
#ifndef HL_BASE_BUF_H
#define HL_BASE_BUF_H

#include <hookline/types.h>
#include <stdarg.h>

struct hl_buf {
	char *data;
	size_t len;   /* end of what was written */
	size_t cap;
	size_t rd;    /* start of what is unread; ≤ len */
	size_t max;   /* 0 = no limit; longest len allowed */
	bool failed;
};

void hl_buf_init(struct hl_buf *b);            /* zeroed memory is a valid empty buffer too */
void hl_buf_fini(struct hl_buf *b);            /* frees; valid empty afterwards */
void hl_buf_reset(struct hl_buf *b);           /* empty, keeps memory, clears failed */
bool hl_buf_ok(const struct hl_buf *b);
bool hl_buf_reserve(struct hl_buf *b, size_t n); /* room for n more bytes (plus NUL); false also sets failed */
void hl_buf_add(struct hl_buf *b, const void *p, size_t n);
void hl_buf_str(struct hl_buf *b, struct hl_str s);
void hl_buf_cstr(struct hl_buf *b, const char *s);
void hl_buf_char(struct hl_buf *b, char c);
void hl_buf_u64(struct hl_buf *b, uint64_t v);
void hl_buf_i64(struct hl_buf *b, int64_t v);
void hl_buf_fmt(struct hl_buf *b, const char *fmt, ...) HL_PRINTF(2, 3);
void hl_buf_vfmt(struct hl_buf *b, const char *fmt, va_list ap) HL_PRINTF(2, 0);
/* Unread part; consuming all of it rewinds both cursors to 0. */
struct hl_str hl_buf_unread(const struct hl_buf *b);
void hl_buf_consume(struct hl_buf *b, size_t n);
static inline struct hl_str hl_buf_all(const struct hl_buf *b) { return (struct hl_str){ b->data, b->len }; }
bool hl_buf_check(const struct hl_buf *b);     /* invariants */

#endif
