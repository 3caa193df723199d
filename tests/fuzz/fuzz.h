/* What every target shares: an input taken apart from its front. Bytes that choose something come first and are taken
 * modulo, so that any byte is a choice and a seed may use printable ones; the rest is the text under test. */
#ifndef HL_FUZZ_H
#define HL_FUZZ_H

#include "base/buf.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/str.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* The next byte, 0 when there is none. */
static inline unsigned fuzz_u8(struct hl_str *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return (unsigned char)*in->ptr++;
}

static inline uint64_t fuzz_u64(struct hl_str *in)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | fuzz_u8(in);
	return v;
}

/* At most n bytes. */
static inline struct hl_str fuzz_take(struct hl_str *in, size_t n)
{
	struct hl_str s = hl_str_make(in->ptr, HL_MIN(n, in->len));
	in->ptr += s.len;
	in->len -= s.len;
	return s;
}

/* Up to a line feed, which is left out. */
static inline struct hl_str fuzz_line(struct hl_str *in)
{
	struct hl_str s = hl_str_split(in, '\n');
	if (!in->ptr)
		*in = HL_STR("");
	return s;
}

/* Memory of its own, exactly as long, so that a byte too many read is seen. */
static inline struct hl_str fuzz_own(struct hl_str s)
{
	char *p = malloc(s.len ? s.len : 1);
	HL_CHECK(p);
	memcpy(p, s.len ? s.ptr : "", s.len);
	return hl_str_make(p, s.len);
}

/* The same with a NUL behind it, for what takes texts of C; a NUL inside ends it. */
static inline char *fuzz_cstr(struct hl_str s)
{
	char *p = malloc(s.len + 1);
	HL_CHECK(p);
	memcpy(p, s.len ? s.ptr : "", s.len);
	p[s.len] = '\0';
	return p;
}

/* The next piece of a stream that is cut at random: how long is read from `seed`, which moves on. */
static inline struct hl_str fuzz_piece(struct hl_str *in, uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	size_t n = 1 + (size_t)(*seed >> 60 ? *seed >> 58 : *seed >> 48 & 4095); /* mostly short, now and then long */
	return fuzz_take(in, n);
}

#endif
