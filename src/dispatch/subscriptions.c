/* Who gets an event.
 *
 *   account ── entries[]   its webhooks, by number: 32 bytes each
 *          └── cache       (server, type) → answer
 *
 * A filter is an array of pointers to interned type names, so that a comparison is one of pointers and a thousand
 * webhooks with the same filter share the names. A match that is not cached walks the account's entries once; its
 * answer is cached. Any change of an account throws its answers away and raises its generation. Holders of an old
 * answer keep it: the publish that carries it is checked against the generation when it is applied.
 *
 * All cached answers together may take HL_SUBSCRIPTIONS_CACHE_BYTES_MAX; past it every cache is emptied and fills
 * again. An answer too large for that is made anew for each event.
 *
 *   no memory in put      nothing has changed
 *   no memory in match    HL_ENOMEM when there is no answer; an answer that could only not be cached is given all the
 *   same */
#include "dispatch/subscriptions.h"
#include "base/check.h"
#include "base/codec.h"
#include "base/defs.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include <stdlib.h>

enum { KEY_MAX = 8 + HL_EVENT_TYPE_MAX };

/* A type named by at least one filter. */
struct type_name {
	uint32_t refs;                /* filters */
	uint32_t len;
	char text[];
};

struct filter {
	uint32_t n;
	struct type_name *types[];
};

struct entry {
	uint32_t number;
	uint32_t revision;
	uint64_t server;              /* 0 = any */
	struct filter *filter;        /* NULL = all types; owned */
	uint8_t dialect;
	uint8_t state;
};

struct answer {
	struct hl_targets *targets;   /* one hold */
	size_t bytes;                 /* counted into the caches' sizes */
	uint32_t key_len;
	char key[];                   /* server, 8 bytes; then the type */
};

struct account {
	uint64_t generation;
	struct entry *entries;        /* ascending by number */
	uint32_t n, cap;
	struct hl_map_str cache;      /* to struct answer */
	struct hl_list cached;        /* in subscriptions.cached while the cache holds anything */
};

struct hl_subscriptions {
	hl_catalogue_cb in_catalogue;
	void *catalogue_data;
	struct hl_map_u64 accounts;
	struct hl_map_str types;      /* to struct type_name */
	struct hl_list cached;        /* accounts with a cache */
	struct hl_target *scratch;    /* where a match collects */
	size_t scratch_cap;
	struct hl_subscriptions_counts counts;
};

/* ---- targets --------------------------------------------------------------------------------------------------- */

struct hl_targets *hl_targets_hold(struct hl_targets *t)
{
	HL_CHECK(t->refs > 0);
	t->refs++;
	return t;
}

void hl_targets_release(struct hl_targets *t)
{
	if (!t)
		return;
	HL_CHECK(t->refs > 0);
	if (--t->refs == 0)
		free(t);
}

/* ---- filters --------------------------------------------------------------------------------------------------- */

static struct type_name *type_hold(struct hl_subscriptions *s, struct hl_str name)
{
	struct type_name *t = hl_map_str_get(&s->types, name);
	if (t) {
		t->refs++;
		return t;
	}
	t = malloc(sizeof *t + name.len);
	if (!t)
		return NULL;
	t->refs = 1;
	t->len = (uint32_t)name.len;
	memcpy(t->text, name.ptr, name.len);
	if (hl_map_str_put(&s->types, hl_str_make(t->text, t->len), t)) {
		free(t);
		return NULL;
	}
	return t;
}

static void filter_free(struct hl_subscriptions *s, struct filter *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < f->n; i++) {
		struct type_name *t = f->types[i];
		if (--t->refs == 0) {
			hl_map_str_del(&s->types, hl_str_make(t->text, t->len));
			free(t);
		}
	}
	free(f);
}

static int filter_make(struct hl_subscriptions *s, const struct hl_webhook *w, struct filter **out)
{
	if (w->n_event_types == 0) {
		*out = NULL;
		return HL_OK;
	}
	HL_CHECK(w->n_event_types <= HL_EVENT_TYPES_MAX);
	struct filter *f = malloc(sizeof *f + w->n_event_types * sizeof f->types[0]);
	if (!f)
		return HL_ENOMEM;
	for (f->n = 0; f->n < w->n_event_types; f->n++) {
		f->types[f->n] = type_hold(s, w->event_types[f->n]);
		if (!f->types[f->n]) {
			filter_free(s, f);
			return HL_ENOMEM;
		}
	}
	*out = f;
	return HL_OK;
}

/* type NULL: no filter names it. */
static bool filter_has(const struct filter *f, const struct type_name *type)
{
	if (!f)
		return true;
	for (uint32_t i = 0; type && i < f->n; i++) {
		if (f->types[i] == type)
			return true;
	}
	return false;
}

/* ---- caches ---------------------------------------------------------------------------------------------------- */

static void cache_clear(struct hl_subscriptions *s, struct account *a)
{
	void *value;
	struct hl_str key;
	if (!hl_list_linked(&a->cached))
		return;
	for (size_t pos = 0; hl_map_str_next(&a->cache, &pos, &key, &value);) {
		struct answer *n = value;
		s->counts.cached--;
		s->counts.cached_bytes -= n->bytes;
		hl_targets_release(n->targets);
		free(n);
	}
	hl_map_str_fini(&a->cache);
	hl_map_str_init(&a->cache);
	hl_list_remove(&a->cached);
}

/* Keeps an answer if memory allows. */
static void cache_put(struct hl_subscriptions *s, struct account *a, struct hl_str key, struct hl_targets *t)
{
	/* struct, key, targets and about two map slots of 24 bytes */
	size_t bytes = sizeof(struct answer) + key.len + sizeof *t + t->n * sizeof t->items[0] + 48;
	if (bytes > HL_SUBSCRIPTIONS_CACHE_BYTES_MAX)
		return;
	while (s->counts.cached_bytes + bytes > HL_SUBSCRIPTIONS_CACHE_BYTES_MAX)
		cache_clear(s, HL_LIST_ENTRY(s->cached.next, struct account, cached));
	struct answer *n = malloc(sizeof *n + key.len);
	if (!n)
		return;
	n->bytes = bytes;
	n->key_len = (uint32_t)key.len;
	memcpy(n->key, key.ptr, key.len);
	if (hl_map_str_put(&a->cache, hl_str_make(n->key, n->key_len), n)) {
		free(n);
		return;
	}
	n->targets = hl_targets_hold(t);
	s->counts.cached++;
	s->counts.cached_bytes += bytes;
	if (!hl_list_linked(&a->cached))
		hl_list_push_back(&s->cached, &a->cached);
}

/* ---- accounts and entries -------------------------------------------------------------------------------------- */

static struct account *account_make(struct hl_subscriptions *s, uint32_t number)
{
	struct account *a = hl_map_u64_get(&s->accounts, number);
	if (a)
		return a;
	a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	hl_map_str_init(&a->cache);
	if (hl_map_u64_put(&s->accounts, number, a)) {
		free(a);
		return NULL;
	}
	return a;
}

/* Where the webhook is, or would be. */
static uint32_t entry_pos(const struct account *a, uint32_t number)
{
	uint32_t lo = 0, hi = a->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (a->entries[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool entry_at(const struct account *a, uint32_t pos, uint32_t number)
{
	return pos < a->n && a->entries[pos].number == number;
}

static int entries_reserve(struct account *a)
{
	if (a->n < a->cap)
		return HL_OK;
	HL_CHECK(a->cap < UINT32_MAX / 2);
	uint32_t cap = a->cap ? a->cap * 2 : 2;
	struct entry *grown = realloc(a->entries, cap * sizeof *grown);
	if (!grown)
		return HL_ENOMEM;
	a->entries = grown;
	a->cap = cap;
	return HL_OK;
}

static void count_state(struct hl_subscriptions *s, uint8_t state, int by)
{
	uint64_t *n = state == HL_WEBHOOK_ENABLED ? &s->counts.enabled
			: state == HL_WEBHOOK_PAUSED ? &s->counts.paused : &s->counts.disabled;
	*n += (uint64_t)(int64_t)by;
}

static void changed(struct hl_subscriptions *s, struct account *a)
{
	cache_clear(s, a);
	a->generation++;
}

int hl_subscriptions_put(struct hl_subscriptions *s, const struct hl_webhook *w)
{
	struct filter *filter;
	if (w->state == HL_WEBHOOK_DELETED) {
		hl_subscriptions_remove(s, w->account, w->number);
		return HL_OK;
	}
	struct account *a = account_make(s, w->account);
	if (!a || filter_make(s, w, &filter))
		return HL_ENOMEM;
	uint32_t pos = entry_pos(a, w->number);
	if (entry_at(a, pos, w->number)) {
		count_state(s, a->entries[pos].state, -1);
		filter_free(s, a->entries[pos].filter);
	} else {
		if (entries_reserve(a)) {
			filter_free(s, filter);
			return HL_ENOMEM;
		}
		memmove(&a->entries[pos + 1], &a->entries[pos], (a->n - pos) * sizeof a->entries[0]);
		a->n++;
	}
	a->entries[pos] = (struct entry){ .number = w->number, .revision = w->revision, .server = w->server,
		.filter = filter, .dialect = (uint8_t)w->dialect, .state = (uint8_t)w->state };
	count_state(s, (uint8_t)w->state, 1);
	changed(s, a);
	return HL_OK;
}

void hl_subscriptions_remove(struct hl_subscriptions *s, uint32_t account, uint32_t webhook)
{
	struct account *a = hl_map_u64_get(&s->accounts, account);
	uint32_t pos = a ? entry_pos(a, webhook) : 0;
	if (!a || !entry_at(a, pos, webhook))
		return;
	count_state(s, a->entries[pos].state, -1);
	filter_free(s, a->entries[pos].filter);
	memmove(&a->entries[pos], &a->entries[pos + 1], (a->n - pos - 1) * sizeof a->entries[0]);
	a->n--;
	if (a->n == 0) {
		free(a->entries);
		a->entries = NULL;
		a->cap = 0;
	}
	changed(s, a); /* the account itself stays: its generation must never start again */
}

void hl_subscriptions_catalogue_changed(struct hl_subscriptions *s)
{
	uint64_t key;
	void *value;
	for (size_t pos = 0; hl_map_u64_next(&s->accounts, &pos, &key, &value);)
		changed(s, value);
}

/* ---- matching -------------------------------------------------------------------------------------------------- */

/* Which dialects know the type, asked once per match. */
static unsigned dialects_of(struct hl_subscriptions *s, struct hl_str type)
{
	unsigned set = 1u << HL_DIALECT_HOOKLINE;
	for (unsigned d = HL_DIALECT_HOOKLINE + 1; d < HL_DIALECT_N; d++)
		set |= s->in_catalogue(s->catalogue_data, (enum hl_dialect)d, type) ? 1u << d : 0;
	return set;
}

/* Walks all entries; the answer is the caller's. */
static struct hl_targets *collect(struct hl_subscriptions *s, const struct account *a, struct hl_str type,
		uint64_t server)
{
	size_t n = 0;
	if (s->scratch_cap < a->n) {
		struct hl_target *grown = realloc(s->scratch, a->cap * sizeof *grown);
		if (!grown)
			return NULL;
		s->scratch = grown;
		s->scratch_cap = a->cap;
	}
	unsigned dialects = dialects_of(s, type);
	const struct type_name *name = hl_map_str_get(&s->types, type);
	for (uint32_t i = 0; i < a->n; i++) {
		const struct entry *e = &a->entries[i];
		if (e->state == HL_WEBHOOK_ENABLED && (dialects & 1u << e->dialect)
				&& (e->server == 0 || e->server == server) && filter_has(e->filter, name))
			s->scratch[n++] = (struct hl_target){ e->number, e->revision, e->dialect };
	}
	struct hl_targets *t = malloc(sizeof *t + n * sizeof t->items[0]);
	if (!t)
		return NULL;
	t->refs = 1;
	t->n = (uint32_t)n;
	t->generation = a->generation;
	if (n)
		memcpy(t->items, s->scratch, n * sizeof t->items[0]);
	return t;
}

int hl_subscriptions_match(struct hl_subscriptions *s, uint32_t account, struct hl_str type, uint64_t server,
		struct hl_targets **out)
{
	static const struct account nobody;
	char key_bytes[KEY_MAX];
	struct account *a = hl_map_u64_get(&s->accounts, account);
	HL_CHECK(type.len <= HL_EVENT_TYPE_MAX);
	if (!a) {
		*out = collect(s, &nobody, type, server);
		return *out ? HL_OK : HL_ENOMEM;
	}
	hl_be64_put((uint8_t *)key_bytes, server);
	memcpy(key_bytes + 8, type.ptr, type.len);
	struct hl_str key = hl_str_make(key_bytes, 8 + type.len);
	struct answer *known = hl_map_str_get(&a->cache, key);
	if (known) {
		*out = hl_targets_hold(known->targets);
		return HL_OK;
	}
	struct hl_targets *t = collect(s, a, type, server);
	if (!t)
		return HL_ENOMEM;
	cache_put(s, a, key, t);
	*out = t;
	return HL_OK;
}

uint64_t hl_subscriptions_generation(const struct hl_subscriptions *s, uint32_t account)
{
	const struct account *a = hl_map_u64_get(&s->accounts, account);
	return a ? a->generation : 0;
}

void hl_subscriptions_count(const struct hl_subscriptions *s, struct hl_subscriptions_counts *out)
{
	*out = s->counts;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

int hl_subscriptions_create(struct hl_subscriptions **out, hl_catalogue_cb in_catalogue, void *data)
{
	struct hl_subscriptions *s = calloc(1, sizeof *s);
	if (!s)
		return HL_ENOMEM;
	s->in_catalogue = in_catalogue;
	s->catalogue_data = data;
	hl_map_u64_init(&s->accounts);
	hl_map_str_init(&s->types);
	hl_list_init(&s->cached);
	*out = s;
	return HL_OK;
}

void hl_subscriptions_destroy(struct hl_subscriptions *s)
{
	uint64_t key;
	void *value;
	if (!s)
		return;
	for (size_t pos = 0; hl_map_u64_next(&s->accounts, &pos, &key, &value);) {
		struct account *a = value;
		cache_clear(s, a);
		hl_map_str_fini(&a->cache);
		for (uint32_t i = 0; i < a->n; i++)
			filter_free(s, a->entries[i].filter);
		free(a->entries);
		free(a);
	}
	hl_map_u64_fini(&s->accounts);
	hl_map_str_fini(&s->types);
	free(s->scratch);
	free(s);
}
