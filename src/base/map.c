/* Two hash maps with linear probing; the second differs from the first only in what a key is.
 *
 * A slot is free (value NULL), a tombstone (value == TOMB) or taken. A removed entry becomes a tombstone, so that a
 * walk and the probes of other keys are not disturbed; tombstones at the end of a probe run are freed at once, the
 * rest when put finds the table three quarters full and rebuilds it for the live entries. Only put can move
 * entries, and only put can fail (HL_ENOMEM, table unchanged); replacing a value never needs memory. The hash seed
 * is drawn once per process. */
#include "base/map.h"
#include "base/env.h"
#include "base/check.h"
#include "base/siphash.h"
#include "base/str.h"
#include <hookline/error.h>

#include <pthread.h>
#include <stdlib.h>

enum { CAP_MIN = 16 };

static char tomb_mark;
#define TOMB ((void *)&tomb_mark)

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static union {
	uint8_t key[16];
	uint64_t word[2];
} seed; /* set before the first slot of any map exists */

static void draw_seed(void)
{
	hl_env_random(&hl_env_real, &seed, sizeof seed);
}

/* Room for one more entry? Otherwise the capacity to rebuild with: half full at most. */
static size_t next_cap(size_t cap, size_t count, size_t tombs)
{
	if (cap && (count + tombs + 1) * 4 <= cap * 3)
		return 0;
	size_t want = CAP_MIN;
	while (want < (count + 1) * 2)
		want *= 2;
	return want;
}

static bool taken(const void *value)
{
	return value && value != TOMB;
}

/* --- u64 --- */

struct hl_map_u64_slot {
	uint64_t key;
	void *value;
};

static size_t hash_u64(uint64_t key)
{
	uint64_t h = key ^ seed.word[0];
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	h = (h ^ h >> 32) * (seed.word[1] | 1);
	return (size_t)(h ^ h >> 32);
}

void hl_map_u64_init(struct hl_map_u64 *m)
{
	*m = (struct hl_map_u64){ 0 };
}

void hl_map_u64_fini(struct hl_map_u64 *m)
{
	free(m->slots);
	*m = (struct hl_map_u64){ 0 };
}

static struct hl_map_u64_slot *find_u64(const struct hl_map_u64 *m, uint64_t key)
{
	if (m->count == 0)
		return NULL;
	for (size_t i = hash_u64(key);; i++) {
		struct hl_map_u64_slot *s = &m->slots[i & (m->cap - 1)];
		if (!s->value)
			return NULL;
		if (s->key == key && s->value != TOMB)
			return s;
	}
}

void *hl_map_u64_get(const struct hl_map_u64 *m, uint64_t key)
{
	struct hl_map_u64_slot *s = find_u64(m, key);
	return s ? s->value : NULL;
}

/* For a key that is not in the map. */
static void insert_u64(struct hl_map_u64 *m, uint64_t key, void *value)
{
	size_t i = hash_u64(key);
	while (taken(m->slots[i & (m->cap - 1)].value))
		i++;
	struct hl_map_u64_slot *s = &m->slots[i & (m->cap - 1)];
	if (s->value == TOMB)
		m->tombs--;
	*s = (struct hl_map_u64_slot){ key, value };
	m->count++;
}

static int rebuild_u64(struct hl_map_u64 *m, size_t cap)
{
	struct hl_map_u64 fresh = { .slots = calloc(cap, sizeof *m->slots), .cap = cap };
	if (!fresh.slots)
		return HL_ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (taken(m->slots[i].value))
			insert_u64(&fresh, m->slots[i].key, m->slots[i].value);
	free(m->slots);
	*m = fresh;
	return 0;
}

int hl_map_u64_put(struct hl_map_u64 *m, uint64_t key, void *value)
{
	HL_CHECK(value);
	struct hl_map_u64_slot *s = find_u64(m, key);
	if (s) {
		s->value = value;
		return 0;
	}
	size_t cap = next_cap(m->cap, m->count, m->tombs);
	if (cap) {
		pthread_once(&seed_once, draw_seed);
		int rc = rebuild_u64(m, cap);
		if (rc)
			return rc;
	}
	insert_u64(m, key, value);
	return 0;
}

void *hl_map_u64_del(struct hl_map_u64 *m, uint64_t key)
{
	struct hl_map_u64_slot *s = find_u64(m, key);
	if (!s)
		return NULL;
	void *value = s->value;
	size_t i = (size_t)(s - m->slots), mask = m->cap - 1;
	s->value = TOMB;
	m->count--;
	m->tombs++;
	if (m->slots[(i + 1) & mask].value)
		return value;
	for (; m->slots[i].value == TOMB; i = (i - 1) & mask) {
		m->slots[i].value = NULL;
		m->tombs--;
	}
	return value;
}

bool hl_map_u64_next(const struct hl_map_u64 *m, size_t *pos, uint64_t *out_key, void **out_value)
{
	while (*pos < m->cap) {
		const struct hl_map_u64_slot *s = &m->slots[(*pos)++];
		if (!taken(s->value))
			continue;
		if (out_key)
			*out_key = s->key;
		if (out_value)
			*out_value = s->value;
		return true;
	}
	return false;
}

/* --- slices --- */

struct hl_map_str_slot {
	uint64_t hash; /* saves comparing and, on a rebuild, hashing again */
	struct hl_str key;
	void *value;
};

void hl_map_str_init(struct hl_map_str *m)
{
	*m = (struct hl_map_str){ 0 };
}

void hl_map_str_fini(struct hl_map_str *m)
{
	free(m->slots);
	*m = (struct hl_map_str){ 0 };
}

static struct hl_map_str_slot *find_str(const struct hl_map_str *m, struct hl_str key)
{
	if (m->count == 0)
		return NULL;
	uint64_t hash = hl_siphash(seed.key, key.ptr, key.len);
	for (size_t i = (size_t)hash;; i++) {
		struct hl_map_str_slot *s = &m->slots[i & (m->cap - 1)];
		if (!s->value)
			return NULL;
		if (s->value != TOMB && s->hash == hash && hl_str_eq(s->key, key))
			return s;
	}
}

void *hl_map_str_get(const struct hl_map_str *m, struct hl_str key)
{
	struct hl_map_str_slot *s = find_str(m, key);
	return s ? s->value : NULL;
}

/* For a key that is not in the map. */
static void insert_str(struct hl_map_str *m, const struct hl_map_str_slot *entry)
{
	size_t i = (size_t)entry->hash;
	while (taken(m->slots[i & (m->cap - 1)].value))
		i++;
	struct hl_map_str_slot *s = &m->slots[i & (m->cap - 1)];
	if (s->value == TOMB)
		m->tombs--;
	*s = *entry;
	m->count++;
}

static int rebuild_str(struct hl_map_str *m, size_t cap)
{
	struct hl_map_str fresh = { .slots = calloc(cap, sizeof *m->slots), .cap = cap };
	if (!fresh.slots)
		return HL_ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (taken(m->slots[i].value))
			insert_str(&fresh, &m->slots[i]);
	free(m->slots);
	*m = fresh;
	return 0;
}

int hl_map_str_put(struct hl_map_str *m, struct hl_str key, void *value)
{
	HL_CHECK(value);
	struct hl_map_str_slot *s = find_str(m, key);
	if (s) {
		s->key = key; /* the old slice may die with the old value */
		s->value = value;
		return 0;
	}
	size_t cap = next_cap(m->cap, m->count, m->tombs);
	if (cap) {
		pthread_once(&seed_once, draw_seed);
		int rc = rebuild_str(m, cap);
		if (rc)
			return rc;
	}
	insert_str(m, &(struct hl_map_str_slot){ hl_siphash(seed.key, key.ptr, key.len), key, value });
	return 0;
}

void *hl_map_str_del(struct hl_map_str *m, struct hl_str key)
{
	struct hl_map_str_slot *s = find_str(m, key);
	if (!s)
		return NULL;
	void *value = s->value;
	size_t i = (size_t)(s - m->slots), mask = m->cap - 1;
	s->value = TOMB;
	s->key = HL_STR_NONE;
	m->count--;
	m->tombs++;
	if (m->slots[(i + 1) & mask].value)
		return value;
	for (; m->slots[i].value == TOMB; i = (i - 1) & mask) {
		m->slots[i].value = NULL;
		m->tombs--;
	}
	return value;
}

bool hl_map_str_next(const struct hl_map_str *m, size_t *pos, struct hl_str *out_key, void **out_value)
{
	while (*pos < m->cap) {
		const struct hl_map_str_slot *s = &m->slots[(*pos)++];
		if (!taken(s->value))
			continue;
		if (out_key)
			*out_key = s->key;
		if (out_value)
			*out_value = s->value;
		return true;
	}
	return false;
}
