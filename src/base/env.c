/* The real clocks and the kernel's random bytes. None of the three may fail on a supported kernel; if one does,
 * nothing that depends on time or secrets would be right any more, so the process ends. */
#include "base/env.h"
#include "base/check.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static hl_ms_t read_clock(clockid_t id)
{
	struct timespec ts;
	HL_CHECK(clock_gettime(id, &ts) == 0);
	return (hl_ms_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static hl_ms_t real_wall_ms(void *data)
{
	(void)data;
	return read_clock(CLOCK_REALTIME);
}

static hl_ms_t real_mono_ms(void *data)
{
	(void)data;
	return read_clock(CLOCK_MONOTONIC);
}

static void real_random(void *data, void *out, size_t n)
{
	char *p = out;
	(void)data;
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		HL_CHECK(got > 0);
		p += got;
		n -= (size_t)got;
	}
}

const struct hl_env hl_env_real = { NULL, real_wall_ms, real_mono_ms, real_random };

/* Multiply and keep the high half; the few low halves that would favour some results are drawn again (Lemire 2019). */
uint32_t hl_env_random_below(const struct hl_env *e, uint32_t n)
{
	HL_CHECK(n >= 1);
	uint32_t uneven = (uint32_t)(0u - n) % n;
	for (;;) {
		uint32_t r;
		hl_env_random(e, &r, sizeof r);
		uint64_t m = (uint64_t)r * n;
		if ((uint32_t)m >= uneven)
			return (uint32_t)(m >> 32);
	}
}
