/* UTF-8 (RFC 3629): check, count, cut, repair. */
#ifndef HL_BASE_UTF8_H
#define HL_BASE_UTF8_H

#include "base/buf.h"

bool hl_utf8_valid(struct hl_str s);
size_t hl_utf8_count(struct hl_str s);                     /* scalar values of a valid text */
struct hl_str hl_utf8_cut(struct hl_str s, size_t n_chars);/* first n scalar values of a valid text */
struct hl_str hl_utf8_cut_bytes(struct hl_str s, size_t n);/* at most n bytes, on a boundary */
size_t hl_utf8_put(uint32_t scalar, char out[4]);
/* Appends at most n_chars scalar values of s; each malformed sequence becomes one U+FFFD. */
void hl_utf8_repair(struct hl_buf *out, struct hl_str s, size_t n_chars);

#endif
