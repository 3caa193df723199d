/* The market in memory.
 *
 *   ids ── item_id → index      items[] ── text (name, then phase)
 *                                 └── sides[ask, bid] ── quotes[]   one for each provider that ever had one: 24 bytes
 *                                        └── best    (by provider)    └── link (link.c)
 *
 * A quote that is set replaces its provider's; the best price moves by comparing the two. Only when the best itself got worse
 * are the item's other quotes of that side looked at again. A quote that is nothing any more keeps its place (cents 0),
 * so that room once made stays.
 *
 *   no memory for an item or a quote   HL_ENOMEM, nothing has changed
 *   no memory for a link               the quote counts without it */
#include "alerts/market.h"
#include "alerts/link.h"
#include "alerts/memory.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/map.h"
#include "base/str.h"
#include <hookline/error.h>
#include <stdlib.h>

enum { ITEMS_MIN = 64, QUOTES_MIN = 2, MAP_U64_SLOT = 16, MAP_STR_SLOT = 32 };

struct quote {
	uint64_t cents : 40;          /* 0 = nothing; HL_MARKET_CENTS_MAX < 2^40 */
	uint64_t provider : 8;
	uint64_t at_high : 16;        /* at_ms >> 32 */
	uint32_t at_low;
	uint32_t count;
	struct hl_link *link;         /* NULL = none; owned */
};

struct side {
	struct quote *quotes;
	int64_t best;                 /* cents, 0 = none */
	uint16_t n, cap;
	uint8_t best_provider;        /* while best != 0 */
};

struct item {
	uint64_t id;
	char *text;                   /* name, phase; owned */
	uint8_t name_len, phase_len;
	struct side sides[2];         /* asks, bids */
};

struct provider {
	struct hl_link_base base;     /* of its links */
	uint8_t number, name_len;
	char name[HL_MARKET_PROVIDER_MAX];
};

struct hl_market {
	struct item *items;
	uint32_t n_items, cap_items;
	struct hl_map_u64 ids;        /* item_id → index + 1 */
	struct provider *providers[HL_MARKET_PROVIDERS_MAX];
	uint32_t n_providers;
	struct hl_map_str by_name;    /* → struct provider */
	uint64_t n_quotes;
	size_t heap_bytes;            /* of texts, quotes, links, providers */
	uint16_t currencies[HL_MARKET_CURRENCIES_MAX]; /* those with a rate */
	uint32_t n_currencies;
	int64_t rates[HL_CURRENCY_N]; /* 0 = unknown */
};

_Static_assert(sizeof(struct quote) == 24, "there are millions of them");
_Static_assert(HL_MARKET_CENTS_MAX < (int64_t)1 << 40 && HL_MARKET_PROVIDERS_MAX <= 256, "they fit their bits");

static const struct item *item_at(const struct hl_market *m, uint32_t item)
{
	HL_CHECK(item < m->n_items);
	return &m->items[item];
}

int hl_market_create(struct hl_market **out)
{
	struct hl_market *m = calloc(1, sizeof *m);
	if (!m)
		return HL_ENOMEM;
	hl_map_u64_init(&m->ids);
	hl_map_str_init(&m->by_name);
	hl_market_set_rates(m, NULL, 0, NULL, NULL);
	*out = m;
	return 0;
}

void hl_market_destroy(struct hl_market *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->n_items; i++) {
		for (int s = 0; s < 2; s++) {
			for (uint16_t q = 0; q < m->items[i].sides[s].n; q++)
				free(m->items[i].sides[s].quotes[q].link);
			free(m->items[i].sides[s].quotes);
		}
		free(m->items[i].text);
	}
	free(m->items);
	for (uint32_t i = 0; i < m->n_providers; i++) {
		hl_link_base_fini(&m->providers[i]->base);
		free(m->providers[i]);
	}
	hl_map_u64_fini(&m->ids);
	hl_map_str_fini(&m->by_name);
	free(m);
}

size_t hl_market_memory_bytes(const struct hl_market *m)
{
	return hl_memory_block(sizeof *m) + hl_memory_block(m->cap_items * sizeof *m->items) +
			hl_memory_block(m->ids.cap * MAP_U64_SLOT) + hl_memory_block(m->by_name.cap * MAP_STR_SLOT) + m->heap_bytes;
}

/* ---- items -------------------------------------------------------------------------------------------------------- */

uint32_t hl_market_count(const struct hl_market *m)
{
	return m->n_items;
}

uint32_t hl_market_find(const struct hl_market *m, uint64_t item_id)
{
	uintptr_t found = (uintptr_t)hl_map_u64_get(&m->ids, item_id);
	return found ? (uint32_t)(found - 1) : HL_MARKET_NO_ITEM;
}

static char *text_of(const struct hl_market_item *v)
{
	char *text = malloc(v->name.len + v->phase.len);
	if (!text)
		return NULL;
	memcpy(text, v->name.ptr, v->name.len);
	if (v->phase.len)
		memcpy(text + v->name.len, v->phase.ptr, v->phase.len);
	return text;
}

static int grow_items(struct hl_market *m)
{
	if (m->n_items < m->cap_items)
		return 0;
	uint32_t cap = m->cap_items ? m->cap_items + m->cap_items / 2 : ITEMS_MIN;
	if (m->n_items == HL_MARKET_NO_ITEM / 2)
		return HL_ENOMEM;
	struct item *items = realloc(m->items, cap * sizeof *items);
	if (!items)
		return HL_ENOMEM;
	m->items = items;
	m->cap_items = cap;
	return 0;
}

static int add_item(struct hl_market *m, uint64_t id)
{
	int rc = grow_items(m);
	if (rc == 0)
		rc = hl_map_u64_put(&m->ids, id, (void *)((uintptr_t)m->n_items + 1));
	if (rc)
		return rc;
	m->items[m->n_items++] = (struct item){ .id = id };
	return 0;
}

int hl_market_put_item(struct hl_market *m, const struct hl_market_item *v, uint32_t *out_item)
{
	char *text = text_of(v);
	if (!text)
		return HL_ENOMEM;
	uint32_t i = hl_market_find(m, v->item_id);
	if (i == HL_MARKET_NO_ITEM) {
		int rc = add_item(m, v->item_id);
		if (rc) {
			free(text);
			return rc;
		}
		i = m->n_items - 1;
	}
	struct item *item = &m->items[i];
	m->heap_bytes -= hl_memory_block((size_t)item->name_len + item->phase_len);
	free(item->text);
	item->text = text;
	item->name_len = (uint8_t)v->name.len;
	item->phase_len = (uint8_t)v->phase.len;
	m->heap_bytes += hl_memory_block(v->name.len + v->phase.len);
	if (out_item)
		*out_item = i;
	return 0;
}

void hl_market_item_of(const struct hl_market *m, uint32_t item, struct hl_market_item *out)
{
	const struct item *i = item_at(m, item);
	*out = (struct hl_market_item){ i->id, { i->text, i->name_len }, { i->text + i->name_len, i->phase_len } };
}

/* ---- providers ---------------------------------------------------------------------------------------------------- */

int hl_market_provider_find(const struct hl_market *m, struct hl_str name)
{
	const struct provider *p = hl_map_str_get(&m->by_name, name);
	return p ? p->number : HL_ENOTFOUND;
}

int hl_market_provider_put(struct hl_market *m, struct hl_str name)
{
	int found = hl_market_provider_find(m, name);
	if (found >= 0)
		return found;
	if (!hl_market_provider_valid(name))
		return HL_EINVAL;
	if (m->n_providers == HL_MARKET_PROVIDERS_MAX)
		return HL_ELIMIT;
	struct provider *p = calloc(1, sizeof *p);
	if (!p)
		return HL_ENOMEM;
	memcpy(p->name, name.ptr, name.len);
	p->name_len = (uint8_t)name.len;
	p->number = (uint8_t)m->n_providers;
	int rc = hl_map_str_put(&m->by_name, hl_str_make(p->name, name.len), p);
	if (rc) {
		free(p);
		return rc;
	}
	m->heap_bytes += hl_memory_block(sizeof *p);
	m->providers[m->n_providers++] = p;
	return p->number;
}

uint32_t hl_market_providers(const struct hl_market *m)
{
	return m->n_providers;
}

struct hl_str hl_market_provider_name(const struct hl_market *m, uint32_t provider)
{
	HL_CHECK(provider < m->n_providers);
	return hl_str_make(m->providers[provider]->name, m->providers[provider]->name_len);
}

/* ---- quotes ------------------------------------------------------------------------------------------------------- */

/* Index of the provider's quote, or of the one it would stand before. Quotes ascend by provider, so it is at its own number, or
 * below by as many as there are providers without a quote: mostly one look, at one cache line. */
static uint16_t place_of(const struct side *s, uint32_t provider)
{
	uint32_t i = HL_MIN(provider, (uint32_t)s->n);
	if (i == s->n || s->quotes[i].provider > provider)
		while (i > 0 && s->quotes[i - 1].provider >= provider)
			i--;
	return (uint16_t)i;
}

static struct quote *quote_of(const struct side *s, uint32_t provider)
{
	uint16_t i = place_of(s, provider);
	return i < s->n && s->quotes[i].provider == provider ? &s->quotes[i] : NULL;
}

int hl_market_room(struct hl_market *m, bool bids, uint32_t item, uint32_t provider)
{
	HL_CHECK(item < m->n_items && provider < m->n_providers);
	struct side *s = &m->items[item].sides[bids];
	uint16_t at = place_of(s, provider);
	if (at < s->n && s->quotes[at].provider == provider)
		return 0;
	if (s->n == s->cap) {
		uint16_t cap = (uint16_t)(s->cap ? s->cap + (s->cap + 1) / 2 : QUOTES_MIN);
		struct quote *quotes = realloc(s->quotes, cap * sizeof *quotes);
		if (!quotes)
			return HL_ENOMEM;
		m->heap_bytes += hl_memory_block(cap * sizeof *quotes) - hl_memory_block(s->cap * sizeof *quotes);
		s->quotes = quotes;
		s->cap = cap;
	}
	memmove(&s->quotes[at + 1], &s->quotes[at], (size_t)(s->n - at) * sizeof s->quotes[0]);
	s->quotes[at] = (struct quote){ .provider = (uint8_t)provider };
	s->n++;
	return 0;
}

/* Is (cents, provider) a better offer than (than, than_provider)? cents > 0; than 0 = none. */
static bool better(bool bids, int64_t cents, uint32_t provider, int64_t than, uint32_t than_provider)
{
	if (than == 0)
		return true;
	if (cents == than)
		return provider <= than_provider;
	return bids ? cents > than : cents < than;
}

static void find_best(struct side *s, bool bids)
{
	s->best = 0;
	for (uint16_t i = 0; i < s->n; i++) {
		const struct quote *q = &s->quotes[i];
		if (q->cents == 0 || !better(bids, (int64_t)q->cents, q->provider, s->best, s->best_provider))
			continue;
		s->best = (int64_t)q->cents;
		s->best_provider = (uint8_t)q->provider;
	}
}

int hl_market_set(struct hl_market *m, bool bids, uint32_t item, uint32_t provider, const struct hl_market_quote *v,
		bool *out_moved)
{
	int rc = hl_market_room(m, bids, item, provider);
	if (rc)
		return rc;
	struct side *s = &m->items[item].sides[bids];
	struct quote *q = quote_of(s, provider);
	int64_t before = s->best, cents = v->count && v->cents > 0 ? v->cents : 0;
	HL_CHECK(cents <= HL_MARKET_CENTS_MAX && v->link.len <= HL_MARKET_LINK_MAX);
	m->n_quotes += (cents != 0) - (q->cents != 0);
	q->cents = (uint64_t)cents & (((uint64_t)1 << 40) - 1);
	q->count = v->count;
	q->at_low = (uint32_t)v->at_ms;
	q->at_high = (uint16_t)(v->at_ms >> 32);
	hl_link_set(&q->link, &m->providers[provider]->base, cents ? v->link : HL_STR(""), &m->heap_bytes);
	if (cents && better(bids, cents, provider, s->best, s->best_provider)) {
		s->best = cents;
		s->best_provider = (uint8_t)provider;
	} else if (s->best && provider == s->best_provider) {
		find_best(s, bids);
	}
	if (out_moved)
		*out_moved = s->best != before;
	return 0;
}

void hl_market_touch(const struct hl_market *m, bool bids, uint32_t item, uint32_t provider, enum hl_market_depth depth)
{
	const struct side *s = &item_at(m, item)->sides[bids];
	if (depth == HL_MARKET_TOUCH_ITEM) {
		__builtin_prefetch(s);
		return;
	}
	if (s->n == 0)
		return;
	const struct quote *q = &s->quotes[HL_MIN(provider, (uint32_t)s->n - 1)];
	__builtin_prefetch(depth == HL_MARKET_TOUCH_QUOTE ? (const void *)q : (const void *)q->link);
}

bool hl_market_next(const struct hl_market *m, bool bids, uint32_t item, size_t *pos, struct hl_market_quote *out,
		char link_buf[HL_MARKET_LINK_MAX])
{
	const struct item *i = item_at(m, item);
	const struct side *s = &i->sides[bids];
	while (*pos < s->n) {
		const struct quote *q = &s->quotes[(*pos)++];
		if (q->cents == 0)
			continue;
		*out = (struct hl_market_quote){ .item_id = i->id, .provider = hl_market_provider_name(m, q->provider),
			.cents = (int64_t)q->cents, .count = q->count, .link = hl_link_get(q->link, &m->providers[q->provider]->base, link_buf),
			.at_ms = (hl_ms_t)((uint64_t)q->at_high << 32 | q->at_low) };
		return true;
	}
	return false;
}

uint64_t hl_market_quotes(const struct hl_market *m)
{
	return m->n_quotes;
}

int64_t hl_market_best_ask(const struct hl_market *m, uint32_t item)
{
	return item_at(m, item)->sides[0].best;
}

int64_t hl_market_best_bid(const struct hl_market *m, uint32_t item)
{
	return item_at(m, item)->sides[1].best;
}

void hl_market_view_of(const struct hl_market *m, uint32_t item, struct hl_market_view *out, char link_buf[HL_MARKET_LINK_MAX])
{
	const struct item *i = item_at(m, item);
	const struct side *asks = &i->sides[0], *bids = &i->sides[1];
	*out = (struct hl_market_view){ .best_ask = asks->best, .best_bid = bids->best };
	hl_market_item_of(m, item, &out->item);
	if (asks->best) {
		out->ask_provider = hl_market_provider_name(m, asks->best_provider);
		out->ask_link = hl_link_get(quote_of(asks, asks->best_provider)->link,
				&m->providers[asks->best_provider]->base, link_buf);
	}
	if (bids->best)
		out->bid_provider = hl_market_provider_name(m, bids->best_provider);
}

/* ---- rates -------------------------------------------------------------------------------------------------------- */

int64_t hl_market_rate(const struct hl_market *m, uint16_t currency)
{
	return currency < HL_CURRENCY_N ? m->rates[currency] : 0;
}

void hl_market_set_rates(struct hl_market *m, const struct hl_rate *v, size_t n,
		uint16_t out_changed[HL_MARKET_CURRENCIES_MAX], size_t *out_n_changed)
{
	struct { uint16_t currency; int64_t rate; } before[HL_MARKET_CURRENCIES_MAX];
	uint32_t n_before = m->n_currencies;
	size_t n_changed = 0;
	for (uint32_t i = 0; i < n_before; i++) {
		before[i].currency = m->currencies[i];
		before[i].rate = m->rates[m->currencies[i]];
		m->rates[m->currencies[i]] = 0;
	}
	m->n_currencies = 0;
	for (size_t i = 0; i <= n; i++) { /* last: USD, whether it was given or not */
		int c = hl_currency_number(i < n ? hl_str_make(v[i].currency, 3) : HL_STR("USD"));
		HL_CHECK(c >= 0 && (i == n || v[i].rate > 0));
		if (m->rates[c])
			continue;
		HL_CHECK(m->n_currencies < HL_MARKET_CURRENCIES_MAX);
		m->rates[c] = i < n ? v[i].rate : HL_RATE_SCALE;
		m->currencies[m->n_currencies++] = (uint16_t)c;
	}
	if (!out_changed)
		return;
	for (uint32_t i = 0; i < m->n_currencies; i++) {
		uint32_t k = 0;
		while (k < n_before && before[k].currency != m->currencies[i])
			k++;
		if (k == n_before || before[k].rate != m->rates[m->currencies[i]])
			out_changed[n_changed++] = m->currencies[i];
	}
	*out_n_changed = n_changed;
}

size_t hl_market_rates(const struct hl_market *m, struct hl_rate out[HL_MARKET_CURRENCIES_MAX])
{
	for (uint32_t i = 0; i < m->n_currencies; i++) {
		out[i].rate = m->rates[m->currencies[i]];
		hl_currency_code(m->currencies[i], out[i].currency);
	}
	return m->n_currencies;
}
