/* The index of enabled rules.
 *
 *   entries[item] ── groups[]            one for each (kind, currency) that has rules: 24 bytes
 *                      ├── top           threshold of the rule that fires first
 *                      └── heap[]        slots, the first to fire on top
 *   table ── the rules themselves, 32 bytes each, by slot and by number
 *
 * price_below fires the highest threshold first, the other two the lowest, so a judgement walks the groups of one item,
 * compares each top and stops at the first that does not hold: O(currencies + fired · log n).
 *
 *   no memory in add          HL_ENOMEM, nothing has changed: all room is made before anything is linked
 *   callback's error          the rule stays on top of its heap and is told again by the next judgement */
#include "alerts/rules.h"
#include "alerts/memory.h"
#include "alerts/rule_table.h"
#include "base/check.h"
#include <hookline/error.h>
#include <stdlib.h>
#include <string.h>

enum {
	FEW = 2,                      /* slots a heap holds without a block of its own */
	ENTRIES_MIN = 64,
	GROUPS_MIN = 1,
};

struct group {
	int64_t top;                  /* threshold of slots[0]; kept here, next to its neighbours, because ticks look at it */
	union {
		uint32_t few[FEW];
		uint32_t *many;       /* owned */
	};
	uint32_t n;                   /* never 0 */
	uint16_t currency;
	uint8_t kind;
	uint8_t cap_log2;             /* 1: few */
};

struct entry {
	struct group *groups;
	uint16_t n, cap;
};

struct hl_rules {
	struct entry *entries;        /* by item */
	uint32_t n_entries;
	struct hl_rule_table table;
	size_t heap_bytes;            /* of groups and heaps */
};

_Static_assert(sizeof(struct group) == 24, "there is one or more for each item");

static struct hl_rule_slot *rule_at(const struct hl_rules *r, uint32_t slot)
{
	return hl_rule_table_at(&r->table, slot);
}

/* ---- heaps --------------------------------------------------------------------------------------------------------- */

static uint32_t *slots_of(struct group *g)
{
	return g->cap_log2 == 1 ? g->few : g->many;
}

/* Does a fire before b? Of equal thresholds the older rule. */
static bool fires_first(const struct hl_rule_slot *a, const struct hl_rule_slot *b)
{
	if (a->threshold == b->threshold)
		return a->number < b->number;
	return a->kind == HL_ALERT_PRICE_BELOW ? a->threshold > b->threshold : a->threshold < b->threshold;
}

static void place(struct hl_rules *r, struct group *g, uint32_t pos, uint32_t slot)
{
	slots_of(g)[pos] = slot;
	rule_at(r, slot)->pos = pos;
	if (pos == 0)
		g->top = rule_at(r, slot)->threshold;
}

/* Puts slot where it belongs, at pos or above. */
static void sift_up(struct hl_rules *r, struct group *g, uint32_t pos, uint32_t slot)
{
	const uint32_t *slots = slots_of(g);
	while (pos > 0) {
		uint32_t parent = (pos - 1) / 2;
		if (!fires_first(rule_at(r, slot), rule_at(r, slots[parent])))
			break;
		place(r, g, pos, slots[parent]);
		pos = parent;
	}
	place(r, g, pos, slot);
}

/* Puts slot where it belongs, at pos or below. */
static void sift_down(struct hl_rules *r, struct group *g, uint32_t pos, uint32_t slot)
{
	const uint32_t *slots = slots_of(g);
	for (uint32_t child; (child = 2 * pos + 1) < g->n; pos = child) {
		if (child + 1 < g->n && fires_first(rule_at(r, slots[child + 1]), rule_at(r, slots[child])))
			child++;
		if (!fires_first(rule_at(r, slots[child]), rule_at(r, slot)))
			break;
		place(r, g, pos, slots[child]);
	}
	place(r, g, pos, slot);
}

static size_t heap_block(const struct group *g)
{
	return g->cap_log2 == 1 ? 0 : hl_memory_block(sizeof(uint32_t) << g->cap_log2);
}

static int room_in_heap(struct hl_rules *r, struct group *g)
{
	if (g->n < (uint32_t)1 << g->cap_log2)
		return 0;
	bool few = g->cap_log2 == 1;
	uint32_t *many = realloc(few ? NULL : g->many, sizeof *many << (g->cap_log2 + 1));
	if (!many)
		return HL_ENOMEM;
	if (few)
		memcpy(many, g->few, sizeof g->few);
	r->heap_bytes -= heap_block(g);
	g->many = many;
	g->cap_log2++;
	r->heap_bytes += heap_block(g);
	return 0;
}

/* Gives back half of a heap that uses no more than a quarter; without memory for that it stays. */
static void shrink_heap(struct hl_rules *r, struct group *g)
{
	if (g->cap_log2 == 1 || g->n > (uint32_t)1 << (g->cap_log2 - 2))
		return;
	uint32_t *many = g->many;
	r->heap_bytes -= heap_block(g);
	if (g->cap_log2 == 2) {
		memcpy(g->few, many, sizeof g->few);
		free(many);
		g->cap_log2 = 1;
	} else if ((many = realloc(many, sizeof *many << (g->cap_log2 - 1)))) {
		g->many = many;
		g->cap_log2--;
	}
	r->heap_bytes += heap_block(g);
}

/* ---- groups -------------------------------------------------------------------------------------------------------- */

static size_t groups_block(const struct entry *e)
{
	return hl_memory_block(e->cap * sizeof *e->groups);
}

static struct group *group_of(const struct hl_rules *r, uint32_t item, unsigned kind, uint16_t currency)
{
	if (item >= r->n_entries)
		return NULL;
	const struct entry *e = &r->entries[item];
	for (uint16_t i = 0; i < e->n; i++) {
		if (e->groups[i].currency == currency && e->groups[i].kind == kind)
			return &e->groups[i];
	}
	return NULL;
}

static int room_for_item(struct hl_rules *r, uint32_t item)
{
	if (item < r->n_entries)
		return 0;
	size_t n = (size_t)r->n_entries + r->n_entries / 2;
	if (n < ENTRIES_MIN)
		n = ENTRIES_MIN;
	if (n <= item)
		n = (size_t)item + 1;
	if (n > UINT32_MAX)
		return HL_ENOMEM;
	struct entry *entries = realloc(r->entries, n * sizeof *entries);
	if (!entries)
		return HL_ENOMEM;
	memset(entries + r->n_entries, 0, (n - r->n_entries) * sizeof *entries);
	r->entries = entries;
	r->n_entries = (uint32_t)n;
	return 0;
}

static int room_for_group(struct hl_rules *r, struct entry *e)
{
	if (e->n < e->cap)
		return 0;
	uint16_t cap = (uint16_t)(e->cap ? e->cap + (e->cap + 1) / 2 : GROUPS_MIN);
	struct group *groups = realloc(e->groups, cap * sizeof *groups);
	if (!groups)
		return HL_ENOMEM;
	r->heap_bytes -= groups_block(e);
	e->groups = groups;
	e->cap = cap;
	r->heap_bytes += groups_block(e);
	return 0;
}

/* The group has become empty: the item's last takes its place. */
static void drop_group(struct hl_rules *r, struct entry *e, struct group *g)
{
	r->heap_bytes -= heap_block(g);
	if (g->cap_log2 > 1)
		free(g->many);
	*g = e->groups[--e->n];
	if (e->n > 0)
		return;
	r->heap_bytes -= groups_block(e);
	free(e->groups);
	*e = (struct entry){ 0 };
}

/* ---- the index ----------------------------------------------------------------------------------------------------- */

int hl_rules_create(struct hl_rules **out)
{
	struct hl_rules *r = calloc(1, sizeof *r);
	if (!r)
		return HL_ENOMEM;
	int rc = hl_rule_table_init(&r->table);
	if (rc) {
		free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void hl_rules_destroy(struct hl_rules *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->n_entries; i++) {
		for (uint16_t g = 0; g < r->entries[i].n; g++) {
			if (r->entries[i].groups[g].cap_log2 > 1)
				free(r->entries[i].groups[g].many);
		}
		free(r->entries[i].groups);
	}
	free(r->entries);
	hl_rule_table_fini(&r->table);
	free(r);
}

size_t hl_rules_count(const struct hl_rules *r)
{
	return r->table.count;
}

size_t hl_rules_memory_bytes(const struct hl_rules *r)
{
	return hl_memory_block(sizeof *r) + hl_memory_block(r->n_entries * sizeof *r->entries) +
			hl_rule_table_bytes(&r->table) + r->heap_bytes;
}

int hl_rules_add(struct hl_rules *r, const struct hl_rule *v)
{
	HL_CHECK(v->threshold > 0 && v->threshold <= HL_ALERT_THRESHOLD_MAX && v->kind < HL_ALERT_KIND_N);
	HL_CHECK((v->kind == HL_ALERT_SPREAD_EXCEEDS) == (v->currency == HL_CURRENCY_NONE));
	int rc = room_for_item(r, v->item);
	if (rc == 0)
		rc = hl_rule_table_room(&r->table);
	if (rc)
		return rc;
	struct entry *e = &r->entries[v->item];
	struct group *g = group_of(r, v->item, v->kind, v->currency);
	rc = g ? room_in_heap(r, g) : room_for_group(r, e);
	if (rc)
		return rc;
	if (!g) {
		g = &e->groups[e->n++];
		*g = (struct group){ .currency = v->currency, .kind = (uint8_t)v->kind, .cap_log2 = 1 };
	}
	uint32_t slot = hl_rule_table_put(&r->table, &(struct hl_rule_slot){ .number = v->number, .threshold = v->threshold,
		.item = v->item, .currency = v->currency, .kind = (uint8_t)v->kind });
	sift_up(r, g, g->n++, slot);
	return 0;
}

/* Takes a rule of group g out of everything; g may be gone afterwards. */
static void drop_rule(struct hl_rules *r, struct group *g, uint32_t slot)
{
	uint32_t item = rule_at(r, slot)->item, pos = rule_at(r, slot)->pos;
	HL_CHECK(slots_of(g)[pos] == slot);
	hl_rule_table_del(&r->table, slot);
	uint32_t last = slots_of(g)[--g->n];
	if (g->n == 0) {
		drop_group(r, &r->entries[item], g);
		return;
	}
	if (last != slot) {
		if (pos > 0 && fires_first(rule_at(r, last), rule_at(r, slots_of(g)[(pos - 1) / 2])))
			sift_up(r, g, pos, last);
		else
			sift_down(r, g, pos, last);
	}
	shrink_heap(r, g);
}

bool hl_rules_remove(struct hl_rules *r, uint64_t number)
{
	uint32_t slot = hl_rule_table_find(&r->table, number);
	if (slot == HL_RULE_NO_SLOT)
		return false;
	const struct hl_rule_slot *v = rule_at(r, slot);
	drop_rule(r, group_of(r, v->item, v->kind, v->currency), slot);
	return true;
}

static struct hl_rule shown(const struct hl_rule_slot *v)
{
	return (struct hl_rule){ .number = v->number, .item = v->item, .kind = v->kind, .currency = v->currency,
		.threshold = v->threshold };
}

bool hl_rules_get(const struct hl_rules *r, uint64_t number, struct hl_rule *out)
{
	uint32_t slot = hl_rule_table_find(&r->table, number);
	if (slot == HL_RULE_NO_SLOT)
		return false;
	*out = shown(rule_at(r, slot));
	return true;
}

/* ---- judging ------------------------------------------------------------------------------------------------------- */

/* What a group is compared with. */
struct moment {
	int64_t ask, bid, rate;
};

static struct moment moment_of(const struct hl_market *m, uint32_t item, uint16_t currency)
{
	return (struct moment){ hl_market_best_ask(m, item), hl_market_best_bid(m, item), hl_market_rate(m, currency) };
}

static int fire(struct hl_rules *r, struct group *g, uint32_t slot, const struct moment *at, hl_rules_cb cb, void *data)
{
	struct hl_rule_fired fired = { .rule = shown(rule_at(r, slot)), .ask = at->ask, .bid = at->bid, .rate = at->rate };
	int rc = cb(data, &fired);
	if (rc == 0)
		drop_rule(r, g, slot);
	return rc;
}

/* Fires from the top of the item's group `i` until a rule does not hold. */
static int judge_group(struct hl_rules *r, const struct hl_market *m, uint32_t item, uint16_t i, hl_rules_cb cb, void *data)
{
	struct group *g = &r->entries[item].groups[i];
	struct moment at = moment_of(m, item, g->currency);
	while (hl_rule_holds(g->kind, g->top, at.ask, at.bid, at.rate)) {
		bool last = g->n == 1;
		int rc = fire(r, g, slots_of(g)[0], &at, cb, data);
		if (rc || last)
			return rc;
	}
	return 0;
}

int hl_rules_judge(struct hl_rules *r, const struct hl_market *m, uint32_t item, hl_rules_cb cb, void *data)
{
	if (item >= r->n_entries || hl_market_best_ask(m, item) <= 0)
		return 0;
	for (uint16_t i = r->entries[item].n; i-- > 0;) { /* from the end: what takes an empty group's place was seen */
		int rc = judge_group(r, m, item, i, cb, data);
		if (rc)
			return rc;
	}
	return 0;
}

int hl_rules_judge_currencies(struct hl_rules *r, const struct hl_market *m, const uint16_t *currencies, size_t n,
		hl_rules_cb cb, void *data)
{
	uint64_t wanted[HL_CURRENCY_N / 64 + 1] = { 0 };
	for (size_t i = 0; i < n; i++)
		wanted[currencies[i] / 64] |= (uint64_t)1 << currencies[i] % 64;
	for (uint32_t item = 0; item < r->n_entries; item++) {
		for (uint16_t i = r->entries[item].n; i-- > 0;) {
			uint16_t c = r->entries[item].groups[i].currency;
			int rc = c < HL_CURRENCY_N && wanted[c / 64] >> c % 64 & 1 ?
					judge_group(r, m, item, i, cb, data) : 0;
			if (rc)
				return rc;
		}
	}
	return 0;
}

int hl_rules_judge_one(struct hl_rules *r, const struct hl_market *m, uint64_t number, hl_rules_cb cb, void *data)
{
	uint32_t slot = hl_rule_table_find(&r->table, number);
	if (slot == HL_RULE_NO_SLOT)
		return 0;
	const struct hl_rule_slot *v = rule_at(r, slot);
	struct moment at = moment_of(m, v->item, v->currency);
	if (!hl_rule_holds(v->kind, v->threshold, at.ask, at.bid, at.rate))
		return 0;
	return fire(r, group_of(r, v->item, v->kind, v->currency), slot, &at, cb, data);
}
