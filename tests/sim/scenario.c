/* Two days of a service with 1,000 webhooks of three accounts: most receivers answer, some are slow, hang, fail or ask for a pause,
 * and a few of them change their mood every hour. The network is down for an hour, the process is killed, the power fails. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

enum { WEBHOOKS = 1000, HOURS = 48, AN_HOUR = 5, BEAT_MS = SIM_HOUR / AN_HOUR };

static enum sim_mood any_mood(struct sim *m)
{
	static const enum sim_mood bad[] = { SIM_SLOW, SIM_500, SIM_503, SIM_BUSY, SIM_REFUSE, SIM_RESET, SIM_HANG, SIM_FLAKY, SIM_FINAL };
	return sim_chance(m, 90) ? SIM_OK : bad[sim_below(m, sizeof(bad) / sizeof(bad[0]))];
}

static void set_up(struct sim *m)
{
	m->max_webhooks = WEBHOOKS;
	m->usual = true;
	sim_open(m);
	while (m->n_webhooks < WEBHOOKS)
		sim_create(m);
	fx_pump(&m->f);
	for (unsigned i = 0; i < WEBHOOKS; i++)
		m->webhooks[i].mood = any_mood(m);
	m->f.disk_late = true;
	m->f.disk_takes_ms = 10;
}

static void network(struct sim *m, bool up)
{
	for (unsigned i = 0; i < WEBHOOKS; i++)
		m->webhooks[i].mood = up ? any_mood(m) : SIM_REFUSE;
}

static void an_hour(struct sim *m, unsigned hour)
{
	for (unsigned n = 0; n < WEBHOOKS / 50; n++) {
		enum sim_mood mood = any_mood(m);
		m->webhooks[sim_below(m, WEBHOOKS)].mood = mood;
	}
	if (hour == 12 || hour == 13)
		network(m, hour == 13);
	if (hour == 24 || hour == 36)
		sim_restart(m, hour == 24 ? DISK_KILLED : DISK_POWER_CUT);
	for (unsigned beat = 0; beat < AN_HOUR; beat++) {
		m->step++;
		sim_publish(m, false);
		fx_advance(&m->f, BEAT_MS);
		m->wall_max_ms = HL_MAX(m->wall_max_ms, fx_now(&m->f));
		sim_check_engine(m);
		fx_forget(&m->f);
	}
}

uint64_t sim_scenario(uint64_t seed, bool trace)
{
	struct sim *m = malloc(sizeof(*m));
	sim_init(m, seed, trace);
	m->doing = "two days";
	set_up(m);
	for (unsigned hour = 0; hour < HOURS; hour++)
		an_hour(m, hour);
	fprintf(stderr, "%llu events, %llu deliveries, %llu writes to the disk\n", (sim_ull)m->f.d->numbers.event - 1,
			(sim_ull)m->f.d->numbers.delivery - 1, (sim_ull)disk_counts()->writes);
	return sim_finish(m);
}
