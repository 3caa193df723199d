/* Who gets an event: an index of all live webhooks by account, in memory, on the loop.
 *
 * A match is computed once per (account, type, server) and kept until anything of the account changes; then a fan-out
 * of 1000 costs one look-up. Results are immutable and counted, so a publish can hold one while it waits for the disk;
 * the count is not atomic: hold and release on the loop. */
#ifndef HL_DISPATCH_SUBSCRIPTIONS_H
#define HL_DISPATCH_SUBSCRIPTIONS_H

#include <hookline/webhook.h>

enum {
	HL_SUBSCRIPTIONS_CACHE_BYTES_MAX = 16 << 20, /* of all cached results; past it the cache is emptied */
};

struct hl_target {
	uint32_t webhook;       /* number */
	uint32_t revision;
	uint8_t dialect;        /* enum hl_dialect */
};

/* The answer of a match; ascending by webhook number. Never changes. */
struct hl_targets {
	uint32_t refs;
	uint32_t n;
	uint64_t generation;    /* of the account when it was computed */
	struct hl_target items[];
};

/* Is `type` in dialect d's catalogue? Never asked for HL_DIALECT_HOOKLINE, whose catalogue holds every type. */
typedef bool (*hl_catalogue_cb)(void *data, enum hl_dialect d, struct hl_str type);

struct hl_subscriptions;

HL_MUST_CHECK int hl_subscriptions_create(struct hl_subscriptions **out, hl_catalogue_cb in_catalogue, void *data);
/* Targets still held stay valid until released. */
void hl_subscriptions_destroy(struct hl_subscriptions *s);

/* Adds a webhook or replaces what is known of it (account, number, revision, dialect, state, server, event_types are
 * read and copied). A deleted one is removed. HL_ENOMEM changes nothing. */
HL_MUST_CHECK int hl_subscriptions_put(struct hl_subscriptions *s, const struct hl_webhook *w);
void hl_subscriptions_remove(struct hl_subscriptions *s, uint32_t account, uint32_t webhook); /* unknown: nothing */
/* The catalogue of a dialect changed: forgets every cached answer (generations grow). */
void hl_subscriptions_catalogue_changed(struct hl_subscriptions *s);

/* Enabled webhooks that want (type, server). server 0: the event names none, so only webhooks without a server limit.
 * *out is held for the caller. HL_ENOMEM. */
HL_MUST_CHECK int hl_subscriptions_match(struct hl_subscriptions *s, uint32_t account, struct hl_str type,
		uint64_t server, struct hl_targets **out);
struct hl_targets *hl_targets_hold(struct hl_targets *t);
void hl_targets_release(struct hl_targets *t);

/* Grows by one with each change of the account's webhooks; 0 = never had one. */
uint64_t hl_subscriptions_generation(const struct hl_subscriptions *s, uint32_t account);

/* How much is known. */
struct hl_subscriptions_counts {
	uint64_t enabled, paused, disabled;
	size_t cached;          /* answers */
	size_t cached_bytes;
};
void hl_subscriptions_count(const struct hl_subscriptions *s, struct hl_subscriptions_counts *out);

#endif
