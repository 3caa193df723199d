/* The growable buffer.
 *
 * Appending makes room first: if the free tail is too short, consumed bytes at the front are dropped when that
 * costs no more than they are worth (or when only that keeps the length under max), else memory doubles. Failures —
 * ENOMEM, past max, a length that overflows — leave the content as it was and set `failed`, after which every
 * append does nothing until hl_buf_reset or hl_buf_fini. */
#include "base/buf.h"
#include "base/check.h"
#include "base/defs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAP_MIN = 64 };

void hl_buf_init(struct hl_buf *b)
{
	*b = (struct hl_buf){ 0 };
}

void hl_buf_fini(struct hl_buf *b)
{
	free(b->data);
	*b = (struct hl_buf){ .max = b->max };
}

void hl_buf_reset(struct hl_buf *b)
{
	b->len = b->rd = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

bool hl_buf_ok(const struct hl_buf *b)
{
	return !b->failed;
}

static void drop_consumed(struct hl_buf *b)
{
	memmove(b->data, b->data + b->rd, b->len - b->rd + 1);
	b->len -= b->rd;
	b->rd = 0;
}

static bool over_max(const struct hl_buf *b, size_t n)
{
	return b->max && (b->len > b->max || n > b->max - b->len);
}

static bool grow(struct hl_buf *b, size_t n)
{
	if (n > SIZE_MAX / 2 - b->len - 1)
		return false;
	size_t need = b->len + n + 1, cap = HL_MAX(b->cap * 2, (size_t)CAP_MIN);
	if (b->max && cap > b->max + 1)
		cap = b->max + 1;
	cap = HL_MAX(cap, need);
	char *p = realloc(b->data, cap);
	if (!p)
		return false;
	b->data = p;
	b->cap = cap;
	b->data[b->len] = '\0';
	return true;
}

bool hl_buf_reserve(struct hl_buf *b, size_t n)
{
	if (b->failed)
		return false;
	bool tight = over_max(b, n);
	if (!tight && b->data && n < b->cap - b->len)
		return true;
	if (b->rd > 0 && (tight || b->rd >= b->len - b->rd))
		drop_consumed(b);
	if (over_max(b, n)) {
		b->failed = true;
		return false;
	}
	if (b->data && n < b->cap - b->len)
		return true;
	b->failed = !grow(b, n);
	return !b->failed;
}

void hl_buf_add(struct hl_buf *b, const void *p, size_t n)
{
	if (n == 0 || !hl_buf_reserve(b, n))
		return;
	memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void hl_buf_str(struct hl_buf *b, struct hl_str s)
{
	hl_buf_add(b, s.ptr, s.len);
}

void hl_buf_cstr(struct hl_buf *b, const char *s)
{
	hl_buf_add(b, s, strlen(s));
}

void hl_buf_char(struct hl_buf *b, char c)
{
	hl_buf_add(b, &c, 1);
}

static size_t format_u64(uint64_t v, char out[20])
{
	char tmp[20];
	size_t n = 0;
	do {
		tmp[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	for (size_t i = 0; i < n; i++)
		out[i] = tmp[n - 1 - i];
	return n;
}

void hl_buf_u64(struct hl_buf *b, uint64_t v)
{
	char digits[20];
	hl_buf_add(b, digits, format_u64(v, digits));
}

void hl_buf_i64(struct hl_buf *b, int64_t v)
{
	char text[21];
	size_t n = 0;
	if (v < 0)
		text[n++] = '-';
	n += format_u64(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, text + n);
	hl_buf_add(b, text, n);
}

void hl_buf_fmt(struct hl_buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	hl_buf_vfmt(b, fmt, ap);
	va_end(ap);
}

void hl_buf_vfmt(struct hl_buf *b, const char *fmt, va_list ap)
{
	va_list again;
	if (b->failed)
		return;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if (!hl_buf_reserve(b, (size_t)n))
		return;
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
}

struct hl_str hl_buf_unread(const struct hl_buf *b)
{
	return (struct hl_str){ b->data ? b->data + b->rd : NULL, b->len - b->rd };
}

void hl_buf_consume(struct hl_buf *b, size_t n)
{
	HL_CHECK(n <= b->len - b->rd);
	b->rd += n;
	if (b->rd < b->len)
		return;
	b->rd = b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

bool hl_buf_check(const struct hl_buf *b)
{
	if (!b->data)
		return b->len == 0 && b->rd == 0 && b->cap == 0;
	return b->rd <= b->len && b->len < b->cap && b->data[b->len] == '\0' && (!b->max || b->len <= b->max);
}
