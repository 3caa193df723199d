/* The market as it is, in memory: items, what each provider asks and bids, the best of both, exchange rates.
 *
 * Pure: no store, no loop, one thread. Nothing here judges rules and nothing is checked that hl_market_check* did not
 * check: the other calls trust their arguments. Items are known by a dense index (0, 1, 2, … in the order they came; an
 * item never goes away), providers and currencies by a number. Only what says HL_ENOMEM needs memory, and then nothing has
 * changed. */
#ifndef HL_ALERTS_MARKET_H
#define HL_ALERTS_MARKET_H

#include <hookline/alert.h>

struct hl_market;

HL_MUST_CHECK int hl_market_create(struct hl_market **out);
void hl_market_destroy(struct hl_market *m);
/* Bytes of everything held, the allocator's overhead included. */
size_t hl_market_memory_bytes(const struct hl_market *m);

/* ---- items -------------------------------------------------------------------------------------------------------- */

#define HL_MARKET_NO_ITEM UINT32_MAX

uint32_t hl_market_count(const struct hl_market *m);
uint32_t hl_market_find(const struct hl_market *m, uint64_t item_id); /* index or HL_MARKET_NO_ITEM */
/* HL_EINVAL; err->field: "/item_id", "/name" or "/phase". */
HL_MUST_CHECK int hl_market_check_item(const struct hl_market_item *v, struct hl_err *err);
/* Adds an item or replaces its name and phase. HL_ENOMEM. */
HL_MUST_CHECK int hl_market_put_item(struct hl_market *m, const struct hl_market_item *v, uint32_t *out_item);
/* Borrowed until the item is put again. */
void hl_market_item_of(const struct hl_market *m, uint32_t item, struct hl_market_item *out);
/* Is `search` in `name`, whatever the case? Both valid UTF-8; folds ASCII, Latin, Greek and Cyrillic letters. "" is in all. */
bool hl_market_name_contains(struct hl_str name, struct hl_str search);
/* What `search` of a listing means: the item's id in digits, or a part of its name. */
bool hl_market_matches(const struct hl_market *m, uint32_t item, struct hl_str search);

/* ---- providers ---------------------------------------------------------------------------------------------------- */

bool hl_market_provider_valid(struct hl_str name);
/* Number (0 … HL_MARKET_PROVIDERS_MAX - 1, in the order they came), or HL_ENOTFOUND. */
int hl_market_provider_find(const struct hl_market *m, struct hl_str name);
/* Number, or HL_EINVAL (no such form), HL_ELIMIT (too many), HL_ENOMEM. */
int hl_market_provider_put(struct hl_market *m, struct hl_str name);
uint32_t hl_market_providers(const struct hl_market *m);
struct hl_str hl_market_provider_name(const struct hl_market *m, uint32_t provider); /* lives as long as the market */

/* ---- quotes ------------------------------------------------------------------------------------------------------- */

/* What hl_market_check promises: HL_EINVAL with "/item_id", "/provider", "/price", "/quantity", "/link" or "/timestamp";
 * HL_ENOTFOUND (unknown item); HL_ELIMIT (one provider too many). */
HL_MUST_CHECK int hl_market_check_quote(const struct hl_market *m, const struct hl_market_quote *q, struct hl_err *err);
/* Room for a quote of that provider for that item: from then on hl_market_set of the two cannot fail. HL_ENOMEM. */
HL_MUST_CHECK int hl_market_room(struct hl_market *m, bool bids, uint32_t item, uint32_t provider);
/* Replaces what the provider asks or bids (cents ≤ 0 or count 0: nothing any more); item_id and provider of *q are not
 * looked at. HL_ENOMEM only without hl_market_room before; when there is no memory for the link alone, the quote is kept
 * without it. *out_moved: the item's best ask or bid is another amount now; if not, no rule can have become true.
 * Of equal amounts that of the provider with the lowest number is the best. */
HL_MUST_CHECK int hl_market_set(struct hl_market *m, bool bids, uint32_t item, uint32_t provider,
		const struct hl_market_quote *q, bool *out_moved);
/* Begins to load what hl_market_room and hl_market_set look at, each depth through what the one before loaded. Who has many
 * quotes for items all over the market asks some quotes ahead, and does not wait for memory at each. */
enum hl_market_depth { HL_MARKET_TOUCH_ITEM, HL_MARKET_TOUCH_QUOTE, HL_MARKET_TOUCH_LINK };
void hl_market_touch(const struct hl_market *m, bool bids, uint32_t item, uint32_t provider, enum hl_market_depth depth);
/* The quotes of an item one by one (those that are nothing are left out): start with *pos = 0, false at the end. Strings
 * are borrowed until the market changes, the link until link_buf does. */
bool hl_market_next(const struct hl_market *m, bool bids, uint32_t item, size_t *pos, struct hl_market_quote *out,
		char link_buf[HL_MARKET_LINK_MAX]);
uint64_t hl_market_quotes(const struct hl_market *m); /* asks and bids that are something */

int64_t hl_market_best_ask(const struct hl_market *m, uint32_t item); /* cents, 0 = none */
int64_t hl_market_best_bid(const struct hl_market *m, uint32_t item);
/* All of hl_market_view; borrowed as in hl_market_next. */
void hl_market_view_of(const struct hl_market *m, uint32_t item, struct hl_market_view *out,
		char link_buf[HL_MARKET_LINK_MAX]);

/* ---- rates -------------------------------------------------------------------------------------------------------- */

/* A currency's number follows from its three letters, so it means the same in every process. */
enum { HL_CURRENCY_N = 26 * 26 * 26, HL_CURRENCY_NONE = UINT16_MAX };

int hl_currency_number(struct hl_str code);              /* three capital letters; -1 for anything else */
void hl_currency_code(uint16_t currency, char out[4]);   /* HL_CURRENCY_NONE: "" */
/* Units per US dollar scaled by HL_RATE_SCALE, 0 = unknown. USD is always HL_RATE_SCALE. */
int64_t hl_market_rate(const struct hl_market *m, uint16_t currency);
/* HL_EINVAL (no currency code, rate ≤ 0, USD that is not 1), HL_EDUPLICATE, HL_ELIMIT; err->field "/rates/EUR" or "/rates". */
HL_MUST_CHECK int hl_market_check_rates(const struct hl_rate *v, size_t n, struct hl_err *err);
/* Replaces the whole table (checked) and lists the currencies whose rate is known and another one than before. Cannot fail. */
void hl_market_set_rates(struct hl_market *m, const struct hl_rate *v, size_t n,
		uint16_t out_changed[HL_MARKET_CURRENCIES_MAX], size_t *out_n_changed);
/* The table as it is, USD included; returns how many. */
size_t hl_market_rates(const struct hl_market *m, struct hl_rate out[HL_MARKET_CURRENCIES_MAX]);

#endif
