/* See sim.h. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void sim_init(struct sim *m, uint64_t seed, bool trace)
{
	memset(m, 0, sizeof(*m));
	fx_init(&m->f);
	m->f.world.state = seed;
	m->f.decide = sim_on_request;
	m->f.decide_data = m;
	m->f.options.on_attempt = sim_on_attempt;
	m->f.options.on_log = sim_on_log;
	m->seed = seed;
	m->trace = trace;
	m->dice = seed * 0x9e3779b97f4a7c15u + 1;
	m->doing = "start";
	m->max_webhooks = 40;
	m->n_clocks = 1;
	m->clocks[0].ahead_ms = m->f.world.wall_ms - m->f.world.mono_ms;
	disk_attach(m->f.dir.path, sim_random(m));
}

void sim_fini(struct sim *m)
{
	fx_fini(&m->f);
	disk_detach();
	free(m->deliveries);
	free(m->events);
}

uint64_t sim_random(struct sim *m)
{
	uint64_t z = m->dice += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) >> 8;
}

void sim_fail(struct sim *m, const char *fmt, ...)
{
	va_list ap;
	fflush(stdout);
	fprintf(stderr, "seed %llu step %u (%s) at %lld ms: ", (sim_ull)m->seed, m->step, m->doing, (long long)m->f.world.mono_ms);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	if (!getenv("SIM_KEEP"))
		tmpdir_remove(&m->f.dir);
	abort();
}

static void mix(struct sim *m, uint64_t v)
{
	m->hash = (m->hash ^ v) * 0x9fb21c651e98df25u;
	m->hash ^= m->hash >> 29;
}

void sim_note(struct sim *m, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t at = (uint64_t)m->f.world.mono_ms;
	mix(m, at);
	mix(m, (uint64_t)(unsigned char)what[0] << 8 | strlen(what));
	mix(m, a);
	mix(m, b);
	mix(m, c);
	if (m->trace)
		printf("%10llu %4u  %s %llu %llu %llu  #%016llx\n", (sim_ull)at, m->step, what, (sim_ull)a, (sim_ull)b, (sim_ull)c,
				(sim_ull)(m->hash ^ disk_counts()->hash));
}

bool sim_ghost(const struct sim *m)
{
	return m->crashing && (!m->f.d || m->f.d->state != HL_CORE_OPEN);
}

void sim_jump(struct sim *m, hl_ms_t by_ms)
{
	if (m->n_clocks == SIM_JUMPS_MAX)
		return;
	fakeenv_jump(&m->f.world, by_ms);
	m->disturbed_mono_ms = m->f.world.mono_ms;
	m->clocks[m->n_clocks].mono_ms = m->f.world.mono_ms;
	m->clocks[m->n_clocks++].ahead_ms = m->f.world.wall_ms - m->f.world.mono_ms;
}
