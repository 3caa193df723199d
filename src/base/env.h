/* The outside world as far as decisions depend on it: clocks, randomness, the one wake-up alarm. Replaceable, so that
 * tests run 48 hours at once. */
#ifndef HL_BASE_ENV_H
#define HL_BASE_ENV_H

#include <hookline/types.h>

struct hl_env {
	void *data;
	hl_ms_t (*wall_ms)(void *data);   /* since 1970, may jump */
	hl_ms_t (*mono_ms)(void *data);   /* never jumps */
	void (*random)(void *data, void *out, size_t n); /* unpredictable bytes; never fails */
};

extern const struct hl_env hl_env_real; /* clock_gettime, getrandom */

static inline hl_ms_t hl_env_wall_ms(const struct hl_env *e) { return e->wall_ms(e->data); }
static inline hl_ms_t hl_env_mono_ms(const struct hl_env *e) { return e->mono_ms(e->data); }
static inline void hl_env_random(const struct hl_env *e, void *out, size_t n) { e->random(e->data, out, n); }
uint32_t hl_env_random_below(const struct hl_env *e, uint32_t n); /* 0 … n-1, unbiased; n ≥ 1 */

#endif
