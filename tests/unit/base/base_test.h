/* What the tests of the base floor share: cmocka with its headers, a fixed-seed generator, text placed against the
 * end of mapped memory. */
#ifndef HL_TESTS_BASE_TEST_H
#define HL_TESTS_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"

/* xorshift64*: the same numbers on every run. */
struct rnd {
	uint64_t state; /* never 0 */
};

static inline uint64_t rnd_u64(struct rnd *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545F4914F6CDD1Du;
}

static inline uint32_t rnd_below(struct rnd *r, uint32_t n)
{
	return (uint32_t)((rnd_u64(r) >> 32) * n >> 32);
}

/* Memory whose last byte is followed by a page that cannot be read: a read past a text placed at its end is a crash. */
struct guard {
	char *base;
	size_t size; /* readable bytes */
};

static inline void guard_open(struct guard *g, size_t min)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	g->size = (min + page - 1) / page * page;
	g->base = mmap(NULL, g->size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(g->base != MAP_FAILED);
	assert_int_equal(mprotect(g->base + g->size, page, PROT_NONE), 0);
}

static inline void guard_close(struct guard *g)
{
	munmap(g->base, g->size + (size_t)sysconf(_SC_PAGESIZE));
}

/* A copy of s that ends where the readable memory ends. */
static inline struct hl_str guard_put(struct guard *g, struct hl_str s)
{
	assert_true(s.len <= g->size);
	char *p = g->base + (g->size - s.len);
	if (s.len)
		memcpy(p, s.ptr, s.len);
	return (struct hl_str){ p, s.len };
}

static inline void assert_str(struct hl_str got, const char *want)
{
	size_t n = strlen(want);
	if (got.len != n || (n && memcmp(got.ptr, want, n) != 0))
		fail_msg("got \"%.*s\", want \"%s\"", HL_FMT(got), want);
}

#define RUN(tests) cmocka_run_group_tests((tests), NULL, NULL)

#endif
