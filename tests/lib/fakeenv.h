/* A world whose clock stands until the test moves it and whose random bytes come from a seed.
 *
 *   struct fakeenv f;
 *   fakeenv_init(&f, 1);                       // 2026-01-01T00:00:00Z, seed 1
 *   options.env = &f.env;
 *   fakeenv_advance(&f, 3600 * 1000);          // both clocks
 *   fakeenv_jump(&f, -86400 * 1000);           // wall clock only, as when somebody sets it
 *
 * Timers of libuv do not follow it: code under test that sleeps must be woken by the test. */
#ifndef HL_TEST_FAKEENV_H
#define HL_TEST_FAKEENV_H

#include "base/env.h"

struct fakeenv {
	struct hl_env env;
	hl_ms_t wall_ms;
	hl_ms_t mono_ms;
	uint64_t state; /* of the generator (splitmix64) */
};

static const hl_ms_t fakeenv_epoch_ms = 1767225600000; /* 2026-01-01T00:00:00Z */

static inline hl_ms_t fakeenv_wall(void *data) { return ((struct fakeenv *)data)->wall_ms; }
static inline hl_ms_t fakeenv_mono(void *data) { return ((struct fakeenv *)data)->mono_ms; }

static inline uint64_t fakeenv_next(struct fakeenv *f)
{
	uint64_t z = f->state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline void fakeenv_random(void *data, void *out, size_t n)
{
	unsigned char *p = out;
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(fakeenv_next(data) >> 24);
}

static inline void fakeenv_init(struct fakeenv *f, uint64_t seed)
{
	f->wall_ms = fakeenv_epoch_ms;
	f->mono_ms = 1000;
	f->state = seed;
	f->env = (struct hl_env){ .data = f, .wall_ms = fakeenv_wall, .mono_ms = fakeenv_mono, .random = fakeenv_random };
}

static inline void fakeenv_advance(struct fakeenv *f, hl_ms_t ms)
{
	f->wall_ms += ms;
	f->mono_ms += ms;
}

static inline void fakeenv_jump(struct fakeenv *f, hl_ms_t ms)
{
	f->wall_ms += ms;
}

#endif
