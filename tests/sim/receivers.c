/* What a request meets. Hostile bytes and broken connections arrive here as the HTTP client reports them: as a class. */
#include "sim.h"

#include "dispatch/policy.h"

#include <stdio.h>
#include <time.h>

static const struct {
	unsigned status;
	enum hl_class error_class;
	bool hint;
} answers[SIM_MOODS] = {
	[SIM_OK] = { 200 },
	[SIM_SLOW] = { 204 },
	[SIM_500] = { 500 },
	[SIM_503] = { 503 },
	[SIM_BUSY] = { 429, .hint = true },
	[SIM_HINT_503] = { 503, .hint = true },
	[SIM_REFUSE] = { 0, HL_CLASS_CONNECT },
	[SIM_RESET] = { 0, HL_CLASS_RESET },
	[SIM_DNS] = { 0, HL_CLASS_DNS },
	[SIM_TLS] = { 0, HL_CLASS_TLS },
	[SIM_GARBAGE] = { 0, HL_CLASS_PROTOCOL },
	[SIM_HANG] = { 0 },
	[SIM_REDIRECT] = { 302 },
	[SIM_FINAL] = { 400 },
	[SIM_GONE] = { 410 },
};

/* Seconds, few or many, a date, more than any window, or something that is no hint. */
static hl_ms_t choose_hint(struct sim *m, hl_ms_t answer_at_ms, char *text, size_t cap)
{
	unsigned kind = sim_below(m, 20);
	hl_ms_t s = 1 + sim_below(m, kind < 2 ? 5 * 3600 : 300);
	if (kind == 2) {
		snprintf(text, cap, "%s", sim_chance(m, 50) ? "soon" : "-5");
		return 0;
	}
	if (kind == 3) {
		snprintf(text, cap, "99999999999999999999");
		return answer_at_ms + HL_POLICY_HINT_MAX_MS;
	}
	if (kind > 5) {
		snprintf(text, cap, "%lld", (long long)s);
		return answer_at_ms + s * 1000;
	}
	time_t at = (time_t)(answer_at_ms / 1000 + 1 + s);
	struct tm tm;
	strftime(text, cap, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &tm));
	return (hl_ms_t)at * 1000;
}

hl_ms_t sim_choose_answer(struct sim *m, enum sim_mood mood, struct fx_answer *out)
{
	static char hint[40];
	hl_ms_t not_before_ms = 0;
	if (mood == SIM_FLAKY)
		mood = sim_chance(m, 50) ? SIM_OK : (enum sim_mood)sim_below(m, SIM_FINAL);
	*out = (struct fx_answer){ .status = answers[mood].status, .error_class = answers[mood].error_class,
		.latency_ms = 1 + sim_below(m, 20), .hang = mood == SIM_HANG };
	if (answers[mood].hint) {
		not_before_ms = choose_hint(m, fx_now(&m->f) + out->latency_ms, hint, sizeof(hint));
		out->retry_after = hint;
	}
	if (mood == SIM_REDIRECT)
		out->location = "https://elsewhere.example/";
	if (mood == SIM_SLOW)
		out->latency_ms = 100 + sim_below(m, 4000);
	if (mood == SIM_GARBAGE && sim_chance(m, 30)) { /* a body that is no text */
		out->status = 500;
		out->error_class = HL_CLASS_NONE;
		out->body = "\xff\xfe\x01<html>\xc3";
	}
	return not_before_ms;
}
