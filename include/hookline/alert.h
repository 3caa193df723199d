/* Alerts: rules over market prices that publish an event of type "alert.triggered" when they become true.
 *
 * Market state (items, the best prices of each provider, exchange rates) comes in by the hl_market_* calls, lives in memory
 * and is rebuilt from the store at start. A rule is judged whenever a price of its item changes, and once when it is made
 * or enabled; what it says is compared with the state as it is, not with how it changed. A rule that fires is disabled in
 * the very transaction that stores its event and deliveries, so there is exactly one event per enabled period, whatever
 * crashes in between.
 *
 * Amounts are integers: prices in US cents, thresholds in millionths of the currency's major unit (of a percent for
 * spreads), rates in 1e-8. Nothing is rounded before it is compared.
 *
 * Threads, callbacks, borrowed slices and the errors every change may report: as in dispatcher.h. */
#ifndef HOOKLINE_ALERT_H
#define HOOKLINE_ALERT_H

#include <hookline/dispatcher.h>

struct hl_alerts;

/* price_below: best ask ≤ threshold. price_above: best ask ≥ threshold. spread_exceeds: (ask − bid) / ask · 100 ≥ threshold.
 * Without an ask none fires, without a bid no spread does. */
#define HL_ALERT_KIND_TABLE(X)                                                  \
	X(0, PRICE_BELOW, "price_below")                                        \
	X(1, PRICE_ABOVE, "price_above")                                        \
	X(2, SPREAD_EXCEEDS, "spread_exceeds")
#define HL_X(number, name, text) HL_ALERT_##name = number,
enum hl_alert_kind { HL_ALERT_KIND_TABLE(HL_X) HL_ALERT_KIND_N };
#undef HL_X
HL_API const char *hl_alert_kind_name(enum hl_alert_kind k);
HL_API int hl_alert_kind_parse(struct hl_str text); /* -1 when unknown */

enum {
	HL_MARKET_NAME_MAX = 255,    /* bytes of market_hash_name */
	HL_MARKET_PHASE_MAX = 64,    /* bytes */
	HL_MARKET_PROVIDER_MAX = 64, /* bytes of [A-Za-z0-9_.-] */
	HL_MARKET_LINK_MAX = 1024,   /* bytes */
	HL_MARKET_PROVIDERS_MAX = 256,   /* different providers */
	HL_MARKET_CURRENCIES_MAX = 256,  /* in the table of rates, USD included */
	HL_MARKET_BLOCK_MAX = 4096,  /* quotes of one hl_market_apply */
	HL_ALERT_BATCH_MAX = 100,
};
#define HL_MARKET_ITEM_ID_MAX ((uint64_t)1 << 53)           /* exclusive; 0 is no id */
#define HL_MARKET_CENTS_MAX ((int64_t)1000000000000)        /* ten thousand million dollars */
#define HL_ALERT_THRESHOLD_SCALE 1000000                    /* six decimals */
#define HL_ALERT_THRESHOLD_MAX ((int64_t)1000000000000000000) /* a million million, scaled */
#define HL_RATE_SCALE 100000000                             /* eight decimals */

/* ---- the market --------------------------------------------------------------------------------------------------- */

struct hl_market_item {
	uint64_t item_id;            /* the operator's; 1 … HL_MARKET_ITEM_ID_MAX - 1 */
	struct hl_str name;          /* market_hash_name, not empty, valid UTF-8 */
	struct hl_str phase;         /* "" = none */
};

/* What one provider asks or bids for one item, in place of what it said before. */
struct hl_market_quote {
	uint64_t item_id;
	struct hl_str provider;
	int64_t cents;               /* US cents. ≤ 0, or count 0: the provider has no such quote any more */
	uint32_t count;              /* of pieces offered (asks) or bids */
	struct hl_str link;          /* asks: where to see it, "" = none */
	hl_ms_t at_ms;               /* when the price changed, 0 = unknown */
};

struct hl_rate {
	char currency[4];            /* ISO 4217, upper case */
	int64_t rate;                /* units of it per US dollar, scaled; > 0 */
};

/* What is known about one item, with the best prices over all providers. 0 = none. */
struct hl_market_view {
	struct hl_market_item item;
	int64_t best_ask, best_bid;
	struct hl_str ask_provider, ask_link, bid_provider;
};

/* Adds items or replaces their names; all or none (HL_EINVAL with a pointer such as "/3/name" to what is wrong). */
HL_API HL_MUST_CHECK int hl_market_put_items(struct hl_alerts *a, const struct hl_market_item *items, size_t n, hl_done_cb cb,
		void *data, struct hl_err *err);
/* HL_OK, or what is wrong with the quote (HL_EINVAL and a JSON pointer; HL_ENOTFOUND: no such item). */
HL_API HL_MUST_CHECK int hl_market_check(const struct hl_alerts *a, const struct hl_market_quote *q, struct hl_err *err);
/* Stores quotes (checked ones; at most HL_MARKET_BLOCK_MAX) as one block; cb: durable, in force, and rules were judged (the
 * events of those that fired follow in transactions of their own; a crash in between only makes them come after the next
 * start). Later quotes of a block win over earlier ones, but each is judged. */
HL_API HL_MUST_CHECK int hl_market_apply(struct hl_alerts *a, bool bids, const struct hl_market_quote *q, size_t n,
		hl_done_cb cb, void *data, struct hl_err *err);
/* Replaces the table of rates (USD is always 1) and judges every rule in a currency whose rate changed. */
HL_API HL_MUST_CHECK int hl_market_put_rates(struct hl_alerts *a, const struct hl_rate *rates, size_t n, hl_ms_t at_ms,
		hl_done_cb cb, void *data, struct hl_err *err);
/* HL_ENOTFOUND. */
HL_API HL_MUST_CHECK int hl_market_get(const struct hl_alerts *a, uint64_t item_id, struct hl_market_view *out);
HL_API bool hl_market_knows_currency(const struct hl_alerts *a, struct hl_str currency);

/* ---- rules -------------------------------------------------------------------------------------------------------- */

struct hl_alert {
	uint64_t number;
	char id[HL_ID_CAP];
	uint32_t account;
	enum hl_dialect dialect;     /* whose API made it: listed there and natively */
	enum hl_alert_kind kind;
	struct hl_market_item item;
	int64_t threshold;           /* > 0, scaled by HL_ALERT_THRESHOLD_SCALE */
	char currency[4];            /* "" for spreads */
	bool enabled;
	hl_ms_t last_triggered_at_ms; /* 0 = never */
	hl_ms_t created_at_ms, updated_at_ms;
};

/* Decimal text to scaled and back: "20", "+020.50", ".5"; no exponent, at most six decimals that are not zero. Text without
 * needless digits but at least two decimals ("20.00", "0.123456"). HL_ESYNTAX: no such text; HL_EINVAL: too large or too
 * many decimals. */
enum { HL_DECIMAL_CAP = 32 };
HL_API HL_MUST_CHECK int hl_decimal_parse(struct hl_str text, int64_t *out);
HL_API void hl_decimal_format(int64_t scaled, char out[HL_DECIMAL_CAP]);

/* What the owner of a rule may do; the caller knows it (tier, verified e-mail). Where one is taken, NULL asks for nothing. */
struct hl_alert_gate {
	bool email;                  /* alert mails can be sent to the account */
	bool webhooks;               /* its tier may use webhooks: an enabled one that takes "alert.triggered" is a channel */
	uint32_t max_enabled;        /* enabled rules of the account; 0 = no limit */
};

/* alert: set on HL_OK; NULL when replayed (then answer). */
struct hl_alert_result {
	const struct hl_alert *alert;
	bool replayed;
	struct hl_str answer;
};
typedef void (*hl_alert_cb)(void *data, int status, const struct hl_err *err, const struct hl_alert_result *r);

/* Uses account, dialect, kind, item.item_id, threshold, currency, enabled of *v. HL_EINVAL (field = JSON pointer),
 * HL_ENOTFOUND (no such item), HL_ECONFLICT (enabled without a channel), HL_ELIMIT (too many enabled): at once or from cb.
 * A rule that is true already fires right after cb. */
HL_API HL_MUST_CHECK int hl_alert_create(struct hl_alerts *a, const struct hl_alert *v, const struct hl_alert_gate *gate,
		const struct hl_idempotency *idem, hl_alert_cb cb, void *data, struct hl_err *err);
/* Many in one transaction, with their idempotency record. Those wrong in themselves are left out with their error
 * (v[i].status != HL_OK); no channel or too many enabled ones refuse the whole request. */
struct hl_alert_batch_result { int status; struct hl_err err; struct hl_alert alert; };
struct hl_alert_batch_made {       /* what idem->render is given, too */
	const struct hl_alert_batch_result *v;
	size_t n;
	bool replayed;                 /* by its idempotency key: answer is set, v and n are not */
	struct hl_str answer;
};
typedef void (*hl_alert_batch_cb)(void *data, int status, const struct hl_err *err, const struct hl_alert_batch_made *made);
HL_API HL_MUST_CHECK int hl_alert_create_batch(struct hl_alerts *a, const struct hl_alert *v, size_t n,
		const struct hl_alert_gate *gate, const struct hl_idempotency *idem, hl_alert_batch_cb cb, void *data,
		struct hl_err *err);

enum hl_alert_field { HL_ALF_THRESHOLD = 1 << 0, HL_ALF_CURRENCY = 1 << 1, HL_ALF_ENABLED = 1 << 2 };
/* Kind and item stay. Enabling checks the gate again; HL_ENOTFOUND. dialect -1 = whichever. */
HL_API HL_MUST_CHECK int hl_alert_update(struct hl_alerts *a, uint32_t account, int dialect, uint64_t number, uint32_t fields,
		const struct hl_alert *values, const struct hl_alert_gate *gate, hl_alert_cb cb, void *data, struct hl_err *err);
HL_API HL_MUST_CHECK int hl_alert_delete(struct hl_alerts *a, uint32_t account, int dialect, uint64_t number, hl_alert_cb cb,
		void *data, struct hl_err *err);
HL_API HL_MUST_CHECK int hl_alert_get(struct hl_alerts *a, uint32_t account, int dialect, uint64_t number,
		struct hl_alert *out);

struct hl_alert_query {
	uint32_t account;
	int dialect;                 /* -1 = all */
	struct hl_str search;        /* "" = all; an item_id exactly, or a part of the item's name in any case */
	struct hl_page page;
};
typedef void (*hl_alerts_cb)(void *data, int status, const struct hl_alert *v, size_t n, const struct hl_page_info *info);
HL_API HL_MUST_CHECK int hl_alert_list(struct hl_alerts *a, const struct hl_alert_query *q, hl_alerts_cb cb, void *data);

/* ---- what fired --------------------------------------------------------------------------------------------------- */

/* How mail was told: Hookline has no mailer of its own, so a mail that should have gone is "skipped". */
enum hl_alert_email { HL_ALERT_EMAIL_NONE, HL_ALERT_EMAIL_SKIPPED };

struct hl_alert_event {
	uint64_t event;              /* number of the event "alert.triggered" */
	char id[HL_ID_CAP];
	uint64_t alert;
	char alert_id[HL_ID_CAP];
	uint32_t account;
	enum hl_dialect dialect;     /* of the rule */
	enum hl_alert_kind kind;
	struct hl_market_item item;
	int64_t threshold;           /* the rule's then */
	char currency[4];            /* of threshold and triggered; "" for spreads */
	int64_t triggered;           /* price in `currency` or percentage, scaled and rounded half up to hundredths;
	                              * hl_decimal_format gives two decimals. More than 9e12 is shown as that limit */
	int64_t best_ask, best_bid;  /* US cents, 0 = none */
	struct hl_str reason;
	enum hl_alert_email email;
	hl_ms_t created_at_ms;
};
struct hl_alert_event_query {
	uint32_t account;
	int dialect;                 /* -1 = all */
	uint64_t alert;              /* 0 = all */
	struct hl_page page;         /* numbers are events' */
};
typedef void (*hl_alert_events_cb)(void *data, int status, const struct hl_alert_event *v, size_t n,
		const struct hl_page_info *info);
/* Newest first; deliveries of one: hl_delivery_list by event. */
HL_API HL_MUST_CHECK int hl_alert_event_list(struct hl_alerts *a, const struct hl_alert_event_query *q, hl_alert_events_cb cb,
		void *data);

/* ---- the rest ----------------------------------------------------------------------------------------------------- */

/* Reads items, quotes, rates and enabled rules from the dispatcher's store and judges every rule once. Close it before the
 * dispatcher; calls under way end first. HL_EIO, HL_ECORRUPT, HL_ENOMEM. */
HL_API HL_MUST_CHECK int hl_alerts_open(struct hl_alerts **out, struct hl_dispatcher *d, struct hl_err *err);
HL_API void hl_alerts_close(struct hl_alerts *a, hl_close_cb cb, void *data);

struct hl_alerts_stats {
	uint64_t items, quotes;
	uint64_t rules_enabled;      /* of enabled accounts; those being stored as fired not any more */
	uint64_t firing;             /* fired, and not stored yet */
	uint64_t ticks;              /* quotes applied since start */
	uint64_t fired;              /* events stored since start */
	uint64_t log_bytes;          /* of quotes not yet written to their items; too many refuse further ones (HL_EBUSY) */
	uint64_t memory_bytes;       /* of market state and index */
};
HL_API void hl_alerts_stats(const struct hl_alerts *a, struct hl_alerts_stats *out);

#endif
