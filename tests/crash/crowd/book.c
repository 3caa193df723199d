/* The books. Every 2xx is entered with the life it was answered in; a second one for the same event at the same webhook is a
 * duplicate, charged to the life that had answered first: that life's death (or nothing, which is a fault) made it forget. */
#include "crowd.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const format_names[FORMATS] = { "standard", "google_sheets", "discord", "telegram" };
const char *const dialect_names[DIALECTS] = { "hookline", "cs2cap", "aboutyou", "stellarstack", "bitnob" };
const char *const mood_names[MOODS] = { "ok", "slow", "flaky", "resets", "hangs", "limited", "garbage", "final", "gone", "rude" };

struct hook hooks[HOOKS_MAX];
struct event *events;
struct life lives[LIVES_MAX + 1];
uint32_t n_events, cap_events;
int life_now = 1;
uint64_t seed, n_acked, n_acked_deliveries, n_distinct, n_replayed, n_resent, n_unverified;

/* ---- faults: what must not happen, with the first example of each ---- */

enum { FAULTS_MAX = 64 };

static struct {
	char what[64], example[400];
	uint64_t n;
} faults[FAULTS_MAX];
static size_t n_faults;

void fault(const char *what, const char *format, ...)
{
	size_t i = 0;
	while (i < n_faults && strcmp(faults[i].what, what) != 0)
		i++;
	if (i == FAULTS_MAX)
		return;
	if (i == n_faults) {
		va_list ap;
		n_faults++;
		snprintf(faults[i].what, sizeof(faults[i].what), "%s", what);
		va_start(ap, format);
		vsnprintf(faults[i].example, sizeof(faults[i].example), format, ap);
		va_end(ap);
	}
	faults[i].n++;
}

static void put_quoted(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e ? '?' : *s);
	}
	putchar('"');
}

static void put_faults(void)
{
	printf("\"faults\":{");
	for (size_t i = 0; i < n_faults; i++) {
		printf("%s", i ? "," : "");
		put_quoted(faults[i].what);
		printf(":[%llu,", (unsigned long long)faults[i].n);
		put_quoted(faults[i].example);
		putchar(']');
	}
	putchar('}');
}

/* ---- events ---- */

uint64_t dice(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + a * 0xbf58476d1ce4e5b9u + b * 0x94d049bb133111ebu + c * 0xd6e8feb86659fd93u;
	x ^= x >> 30, x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27, x *= 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

int class_of(uint32_t n)
{
	return n % 64 == 63 ? CLASS_DEAD : n % 16 == 5 ? CLASS_DOOMED : (int)(n % 4);
}

const char *type_of(uint32_t n)
{
	static const char *const names[CLASSES] = { "crash.0", "crash.1", "crash.2", "crash.3", "doomed.x", "dead.x" };
	return names[class_of(n)];
}

/* What a sender that re-serialises would change; a few are large. */
size_t data_of(uint32_t n, char *out)
{
	size_t pad = n % 512 == 11 ? 120000 : n % 64 == 7 ? 6000 : n * 7u % 300;
	int len = sprintf(out, "{\"n\":%u,\"big\":%u%021u,\"price\":%u.10,\"text\":\"\xc3\xa9\\u00e9 \\/ ", n, n + 1, n, n % 100);
	memset(out + len, 'a' + (int)(n % 26), pad);
	len += (int)pad;
	return (size_t)len + (size_t)sprintf(out + len, "\",\"z\":1.0,\"a\":[1, 2,  3]}");
}

void book_init(uint32_t cap)
{
	cap_events = cap;
	events = calloc(cap, sizeof(*events));
	if (!events)
		exit(1);
}

void book_acked(uint32_t n, const char *id, unsigned deliveries, bool replayed)
{
	struct event *e = &events[n];
	if (e->id[0] && memcmp(e->id, id, ID_LEN) != 0)
		fault("another id was acknowledged", "event %u: %.36s, then %.36s", n, e->id, id);
	if (e->acked && e->deliveries != deliveries)
		fault("another number of deliveries was acknowledged", "event %u: %u, then %u", n, e->deliveries, deliveries);
	n_replayed += replayed && !e->acked;
	if (e->acked)
		return;
	memcpy(e->id, id, ID_LEN);
	e->acked = true;
	e->deliveries = (uint16_t)deliveries;
	n_acked++;
	if (class_of(n) < CLASS_DOOMED)
		n_acked_deliveries += deliveries;
}

void book_good(int h, uint32_t n, int life)
{
	struct hook *k = &hooks[h];
	struct mark *m = &k->marks[n];
	k->goods++;
	lives[life].goods++;
	if (!m->goods) {
		k->distinct++;
		n_distinct += k->counted && class_of(n) < CLASS_DOOMED;
	} else if (m->life == life && k->strict) {
		fault("twice in one life", "webhook %d, event %u, life %d", h, n, life);
	} else if (m->life != life && lives[m->life].clean && k->strict) {
		fault("twice across an orderly end", "webhook %d, event %u, answered in life %d, again in %d", h, n, m->life, life);
	} else if (m->life != life) {
		lives[m->life].duplicates++;
	}
	m->life = (uint16_t)life;
	if (m->goods < UINT8_MAX)
		m->goods++;
}

/* ---- alerts: of each exactly one event ---- */

enum { ALERTS_MAX = 1 << 16 };

static struct alert {
	char alert[ID_LEN], event[ID_LEN];
	uint32_t goods;
} alerts[ALERTS_MAX];
static size_t n_alerts;

void book_alert(const char *alert, const char *event)
{
	uint64_t hash = 14695981039346656037u;
	for (int i = 0; i < ID_LEN; i++)
		hash = (hash ^ (unsigned char)alert[i]) * 1099511628211u;
	struct alert *a = &alerts[hash % ALERTS_MAX];
	while (a->alert[0] && memcmp(a->alert, alert, ID_LEN) != 0)
		a = a + 1 == alerts + ALERTS_MAX ? alerts : a + 1;
	if (!a->alert[0]) {
		if (++n_alerts == ALERTS_MAX - 1)
			exit(1);
		memcpy(a->alert, alert, ID_LEN);
		memcpy(a->event, event, ID_LEN);
	} else if (memcmp(a->event, event, ID_LEN) != 0) {
		fault("an alert fired twice", "alert %.36s: event %.36s, then %.36s", alert, a->event, event);
	}
	a->goods++;
}

void book_alerts(void)
{
	size_t n = 0;
	printf("[");
	for (size_t i = 0; i < ALERTS_MAX; i++)
		if (alerts[i].alert[0])
			printf("%s\"%.36s\"", n++ ? "," : "", alerts[i].alert);
	printf("]\n");
}

/* ---- sums ---- */

/* The one that forgot most. */
static int worst_life(void)
{
	int worst = 1;
	for (int i = 2; i <= life_now; i++)
		if (lives[i].duplicates > lives[worst].duplicates)
			worst = i;
	return worst;
}

void book_report(void)
{
	uint64_t requests = 0, goods = 0, duplicates = 0;
	int worst = worst_life();
	for (int h = 0; h < HOOKS_MAX; h++) {
		requests += hooks[h].requests;
		goods += hooks[h].goods;
	}
	for (int i = 1; i <= life_now; i++)
		duplicates += lives[i].duplicates;
	printf("{\"attempted\":%u,\"acked\":%llu,\"replayed\":%llu,\"resent\":%llu,\"outstanding\":%lld,\"requests\":%llu,"
	       "\"goods\":%llu,\"distinct\":%llu,\"duplicates\":%llu,\"duplicates_max\":%u,\"duplicates_max_life\":%d,\"unverified\":%llu,\"alerts\":%zu,\"idle\":%s,",
			n_events, (unsigned long long)n_acked, (unsigned long long)n_replayed, (unsigned long long)n_resent,
			(long long)(n_acked_deliveries - n_distinct), (unsigned long long)requests, (unsigned long long)goods,
			(unsigned long long)n_distinct, (unsigned long long)duplicates, lives[worst].duplicates, worst,
			(unsigned long long)n_unverified, n_alerts,
			publish_idle() ? "true" : "false");
	put_faults();
	printf("}\n");
}

static uint64_t n_lost, n_unexpected;
static char lost_example[200], unexpected_example[200];

/* One acknowledged event: whom it must have reached. */
static void judge_event(uint32_t n)
{
	const struct event *e = &events[n];
	unsigned reached = 0;
	int class = class_of(n);
	for (int h = 0; h < HOOKS_MAX; h++) {
		const struct hook *k = &hooks[h];
		if (!k->used || !k->counted || !(k->classes & 1u << class))
			continue;
		bool there = k->marks[n].goods > 0;
		reached += there;
		if (!there && k->steady && n_lost++ == 0)
			snprintf(lost_example, sizeof(lost_example), "event %u (%.36s) at webhook %d", n, e->id, h);
	}
	if (class >= CLASS_DOOMED)
		return;
	if (reached < e->deliveries && n_lost++ == 0)
		snprintf(lost_example, sizeof(lost_example), "event %u (%.36s) reached %u webhooks of %u", n, e->id, reached, e->deliveries);
	if (reached > e->deliveries && n_unexpected++ == 0)
		snprintf(unexpected_example, sizeof(unexpected_example), "event %u (%.36s) reached %u webhooks, not %u", n, e->id, reached,
				e->deliveries);
}

void book_judge(void)
{
	for (uint32_t n = 0; n < n_events; n++)
		if (events[n].acked)
			judge_event(n);
	printf("{\"lost\":%llu,\"lost_example\":\"%s\",\"unexpected\":%llu,\"unexpected_example\":\"%s\",\"hooks\":[",
			(unsigned long long)n_lost, lost_example, (unsigned long long)n_unexpected, unexpected_example);
	for (int h = 0, first = 1; h < HOOKS_MAX; h++) {
		if (!hooks[h].used)
			continue;
		printf("%s[%d,%llu,%llu,%llu]", first ? "" : ",", h, (unsigned long long)hooks[h].requests,
				(unsigned long long)hooks[h].goods, (unsigned long long)hooks[h].distinct);
		first = 0;
	}
	printf("]}\n");
}
