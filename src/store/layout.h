/* Every record on disk: what it says, what its key is, how it becomes bytes and back. The manual of the store.
 *
 * A store is one LMDB environment of the tables below. Keys are big-endian numbers side by side, so byte order is the
 * order of the columns named here; values are packed (pack.h). Decoders take bytes nobody vouches for: they answer
 * HL_ECORRUPT to anything an encoder cannot have written, and never read past the end. Slices of a decoded row point
 * into the bytes it was decoded from.
 *
 * Order is speed: `event` and `delivery` are only appended to; a delivery's row is rewritten near the tail when its
 * first attempt ends. `by_*` and `event_by_account` are built behind, in sorted runs (index.h); rows they do not hold
 * yet are the tail, which readers scan. `counts` is written once per batch.
 *
 * Raise HL_FORMAT_VERSION with any change of a key or value that older code could not read, or that older code would leave
 * untrue. This code reads every format up to its own; opening for writing brings the store to it (meta.c).
 *
 *   3  URLs and header values of webhooks are sealed. Code of format 2 would take such a row for damage.
 *   2  tables of alerts and market; totals count alerts; numbers of alerts and blocks. Code of format 1 would take the longer
 *      totals and numbers for damage, and drop events without what was kept beside them. */
#ifndef HL_STORE_LAYOUT_H
#define HL_STORE_LAYOUT_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/pack.h"
#include <hookline/alert.h>

enum { HL_FORMAT_VERSION = 3 };

/* X(NAME, "table", key → value) */
#define HL_TABLE_TABLE(X)                                                                                      \
	X(META, "meta", "text → format record, index bounds, high-water marks of numbers, mark of the first catalogue") \
	X(EVENT, "event", "event:8 → event row")                                                              \
	X(DELIVERY, "delivery", "delivery:8 → delivery row")                                                  \
	X(ATTEMPT, "attempt", "delivery:8 number:2 → attempt record; a short first one lives in the row")     \
	X(DUE, "due", "webhook:4 due_ms:8 delivery:8 → why it waits")                                         \
	X(BY_WEBHOOK, "by_webhook", "webhook:4 delivery:8 → nothing")                                         \
	X(BY_ACCOUNT, "by_account", "account:4 delivery:8 → dialect:1")                                       \
	X(BY_STATUS, "by_status", "'a' account:4 state:1 delivery:8, 'w' webhook:4 state:1 delivery:8 → nothing; "  \
				  "pending and failed only")                                                  \
	X(BY_EVENT, "by_event", "event:8 delivery:8 → nothing; only deliveries made after the publish")        \
	X(EVENT_BY_ACCOUNT, "event_by_account", "account:4 event:8 → nothing")                                \
	X(COUNTS, "counts", "'w' webhook:4, 'a' account:4, 't' 0:4 → counters")                               \
	X(WEBHOOK, "webhook", "webhook:4 → webhook row")                                                      \
	X(WEBHOOK_REVISION, "webhook_revision", "webhook:4 revision:4 → webhook row without secrets")         \
	X(WEBHOOK_BY_ACCOUNT, "webhook_by_account", "account:4 webhook:4 → nothing")                          \
	X(ACCOUNT, "account", "account:4 → account row")                                                      \
	X(ACCOUNT_BY_ID, "account_by_id", "id text → account:4")                                              \
	X(KEY, "key", "key:4 → key row")                                                                      \
	X(KEY_BY_HASH, "key_by_hash", "sha256:32 → key:4")                                                    \
	X(SERVER, "server", "server:8 → server row")                                                          \
	X(SERVER_BY_ACCOUNT, "server_by_account", "account:4 server:8 → nothing")                             \
	X(EVENT_TYPE, "event_type", "name → event type row")                                                  \
	X(IDEM, "idem", "day:4 account:4 hash:16 → idempotency row")                                          \
	X(JOB, "job", "job:8 → job row")                                                                      \
	X(ALERT, "alert", "alert:8 → alert row")                                                              \
	X(ALERT_BY_ACCOUNT, "alert_by_account", "account:4 alert:8 → dialect:1")                              \
	X(ALERT_EVENT, "alert_event", "account:4 event:8 → alert event row; kept as long as the event")       \
	X(MARKET_ITEM, "market_item", "item:8 → name and phase")                                              \
	X(MARKET_QUOTES, "market_quotes", "item:8 → its quotes as one block, written behind")                 \
	X(MARKET_LOG, "market_log", "block:8 → the quotes of one commit, until market_quotes holds them")

#define HL_X(NAME, name, what) HL_TABLE_##NAME,
enum hl_table { HL_TABLE_TABLE(HL_X) HL_TABLE_N };
#undef HL_X
const char *hl_table_name(enum hl_table t);

/* ---- events, deliveries, attempts -------------------------------------------------------------------------------- */

enum {
	HL_LAST_ERROR_MAX = 200,      /* bytes of a delivery's last_error and a webhook's last failure message */
	HL_FIRST_ATTEMPT_MAX = 512,   /* bytes of an attempt record that lives inside its delivery's row */
	HL_EVENT_DATA_MAX = 64 << 20, /* a decoder's bound; the API's own limit is far lower */
};

struct hl_event_row {
	uint32_t account;
	uint64_t server;              /* 0 = about none */
	hl_ms_t created_at_ms;
	hl_ms_t occurred_at_ms;
	hl_ms_t deliver_after_ms;     /* 0 = at once */
	hl_ms_t expires_at_ms;        /* 0 = none */
	uint64_t first_delivery;      /* the publish made first_delivery … + n_deliveries - 1 */
	uint32_t n_deliveries;
	struct hl_str type;
	struct hl_str external_id;
	struct hl_str data;
};

/* Why a delivery waits for its due time. */
enum hl_wait { HL_WAIT_BACKOFF, HL_WAIT_HINT, HL_WAIT_DELIVER_AFTER, HL_WAIT_MANUAL, HL_WAIT_N };

enum {
	HL_DF_SINGLE_SHOT = 1 << 0,   /* never retried by itself */
	HL_DF_LATER = 1 << 1,         /* made after the publish (replay, new try): found through by_event */
	HL_DF_ALL = HL_DF_SINGLE_SHOT | HL_DF_LATER,
};

/* pending, next_at_ms == 0: fresh, not attempted in this window; its webhook's fresh cursor finds it.
 * pending, next_at_ms != 0: exactly one `due` entry (webhook, next_at_ms, number), made from wait … expires_at_ms.
 * ended: next_at_ms == 0, completed_at_ms != 0. */
struct hl_delivery_row {
	uint64_t event;
	uint32_t account;
	uint32_t webhook;
	uint32_t revision;            /* of the webhook: the one used by the latest attempt, else at publish */
	uint8_t dialect;              /* enum hl_dialect */
	uint8_t state;                /* enum hl_delivery_state */
	uint8_t flags;                /* HL_DF_* */
	uint8_t last_class;           /* enum hl_class of the latest attempt, NONE before any */
	uint8_t wait;                 /* enum hl_wait; meaningful while next_at_ms != 0 */
	uint8_t n_hints;              /* hints followed in this window */
	uint16_t last_status;         /* HTTP status of the latest attempt, 0 = no answer */
	uint32_t n_attempts;
	uint32_t n_scheduled;         /* attempts of this window that used a slot of the retry policy */
	hl_ms_t created_at_ms;
	hl_ms_t window_from_ms;       /* 0 = max(created, the event's deliver_after) */
	hl_ms_t next_at_ms;
	hl_ms_t set_at_ms;            /* when next_at_ms was decided; written to the due entry, not to the row (0 when read) */
	hl_ms_t completed_at_ms;      /* 0 = pending */
	hl_ms_t expires_at_ms;        /* the event's; 0 = none */
	uint64_t retry_of;            /* 0 = none */
	struct hl_str last_error;     /* ≤ HL_LAST_ERROR_MAX bytes */
	struct hl_str first_attempt;  /* encoded record of attempt 1 when short, else "" */
};

/* A delivery that waits for its time. */
struct hl_due {
	hl_ms_t due_at_ms;
	uint64_t delivery;
	uint64_t event;
	uint8_t why;                  /* enum hl_wait */
	uint32_t attempts;            /* n_attempts of the row */
	hl_ms_t expires_at_ms;        /* 0 = none */
	hl_ms_t set_at_ms;            /* wall time at which this wait was decided; for clock jumps */
	uint32_t drain_gen;           /* the webhook's counts.drain_gen when it was written: an older one is due at once */
};

void hl_event_row_encode(struct hl_buf *b, const struct hl_event_row *r);
HL_MUST_CHECK int hl_event_row_decode(struct hl_str bytes, struct hl_event_row *out);
void hl_delivery_row_encode(struct hl_buf *b, const struct hl_delivery_row *r);
HL_MUST_CHECK int hl_delivery_row_decode(struct hl_str bytes, struct hl_delivery_row *out);
void hl_attempt_encode(struct hl_buf *b, const struct hl_attempt *a);
HL_MUST_CHECK int hl_attempt_decode(struct hl_str bytes, struct hl_attempt *out);
void hl_due_encode(struct hl_buf *b, const struct hl_due *d);              /* the value; the rest is in the key */
HL_MUST_CHECK int hl_due_decode(struct hl_str key, struct hl_str bytes, uint32_t *out_webhook, struct hl_due *out);

/* ---- configuration ----------------------------------------------------------------------------------------------- */

enum {
	HL_ACCOUNT_ID_MAX = 64,       /* bytes */
	HL_ACCOUNT_TEXT_MAX = 320,    /* bytes of every other text of an account */
	HL_KEY_NAME_MAX = 480,        /* bytes: HL_NAME_MAX scalar values */
	HL_SEALED_SECRET_MAX = 256,   /* bytes of a sealed webhook secret */
	HL_SEALED_ADDRESS_MAX = HL_URL_MAX + HL_HEADERS_BYTES_MAX + 256, /* bytes of a sealed URL with header values */
	HL_REVISIONS_KEPT = 64,
};

struct hl_webhook_row {
	struct hl_webhook w;          /* activity members and `id` are not stored */
	struct hl_str address;        /* sealed: w.url and the values of w.headers, "" there (address.h); or "": they are plain */
	struct hl_str secret;         /* sealed; "" in a revision row */
	struct hl_str previous_secret;/* sealed, while w.previous_secret_until_ms; else "" */
};
/* Arrays of a decoded webhook (event types, headers) are allocated in `a`. */
void hl_webhook_row_encode(struct hl_buf *b, const struct hl_webhook_row *r);
HL_MUST_CHECK int hl_webhook_row_decode(struct hl_str bytes, struct hl_arena *a, struct hl_webhook_row *out);

struct hl_account_row {
	uint32_t number;              /* the key */
	struct hl_str id;             /* the operator's choice, 1–64 bytes, unique */
	struct hl_str name;
	struct hl_str tier;
	struct hl_str email;
	struct hl_str preferred_currency;
	bool disabled;
	bool email_verified;
	bool alert_emails;
	uint64_t generation;          /* not in the row: hl_account_generation, filled in by hl_account_row_get and _each */
	hl_ms_t created_at_ms, updated_at_ms;
};
void hl_account_row_encode(struct hl_buf *b, const struct hl_account_row *r);
HL_MUST_CHECK int hl_account_row_decode(struct hl_str bytes, struct hl_account_row *out);

struct hl_key_row {
	uint32_t number;              /* the key */
	uint32_t account;
	uint8_t dialect;              /* enum hl_dialect */
	uint32_t scopes;              /* bit set, meaning given by the service floor */
	struct hl_str name;
	struct hl_str prefix;         /* shown in listings; ≤ 32 bytes */
	char last4[5];
	uint8_t sha256[32];           /* of the key's text */
	hl_ms_t created_at_ms;
	hl_ms_t expires_at_ms;        /* 0 = never */
	hl_ms_t revoked_at_ms;        /* 0 = valid */
	hl_ms_t last_used_at_ms;      /* 0 = never */
};
void hl_key_row_encode(struct hl_buf *b, const struct hl_key_row *r);
HL_MUST_CHECK int hl_key_row_decode(struct hl_str bytes, struct hl_key_row *out);

struct hl_server_row {
	uint64_t number;              /* the key */
	uint32_t account;
	struct hl_str name;
	struct hl_str status;
	hl_ms_t created_at_ms, updated_at_ms;
};
void hl_server_row_encode(struct hl_buf *b, const struct hl_server_row *r);
HL_MUST_CHECK int hl_server_row_decode(struct hl_str bytes, struct hl_server_row *out);

/* The row of the catalogue is the public struct; its name is the key. */
void hl_event_type_encode(struct hl_buf *b, const struct hl_event_type *t);
HL_MUST_CHECK int hl_event_type_decode(struct hl_str bytes, struct hl_event_type *out);

/* ---- alerts and the market ---------------------------------------------------------------------------------------- */

enum { HL_ALERT_REASON_MAX = 512 /* bytes */ };

struct hl_alert_row {
	uint64_t number;              /* the key */
	uint32_t account;
	uint8_t dialect;              /* enum hl_dialect: whose API made it */
	uint8_t kind;                 /* enum hl_alert_kind */
	uint64_t item;                /* item_id */
	int64_t threshold;            /* > 0, scaled by HL_ALERT_THRESHOLD_SCALE */
	char currency[4];             /* "" for spreads, and only for them */
	bool enabled;
	uint32_t revision;            /* grows with every change: whoever fires it says which one it saw */
	hl_ms_t last_triggered_at_ms; /* 0 = never */
	hl_ms_t created_at_ms, updated_at_ms;
};
void hl_alert_row_encode(struct hl_buf *b, const struct hl_alert_row *r);
HL_MUST_CHECK int hl_alert_row_decode(struct hl_str bytes, struct hl_alert_row *out);

/* What fired. Account and event are the key. */
struct hl_alert_event_row {
	uint64_t alert;               /* may be gone since */
	hl_ms_t alert_created_at_ms;  /* its id is made from it */
	uint8_t dialect, kind, email; /* enum hl_dialect, hl_alert_kind, hl_alert_email */
	struct hl_market_item item;   /* as it was called then */
	int64_t threshold;
	char currency[4];
	int64_t triggered;            /* scaled like the threshold */
	int64_t best_ask, best_bid;   /* US cents, 0 = none */
	struct hl_str reason;
	hl_ms_t created_at_ms;
};
void hl_alert_event_row_encode(struct hl_buf *b, const struct hl_alert_event_row *r);
HL_MUST_CHECK int hl_alert_event_row_decode(struct hl_str bytes, struct hl_alert_event_row *out);

/* The value only; item_id is the key. */
void hl_market_item_encode(struct hl_buf *b, const struct hl_market_item *r);
HL_MUST_CHECK int hl_market_item_decode(struct hl_str bytes, struct hl_market_item *out);

/* "rates" in meta: USD is left out. */
struct hl_rates_row {
	hl_ms_t at_ms;                /* said by the operator */
	size_t n;
	struct hl_rate rates[HL_MARKET_CURRENCIES_MAX];
};
void hl_rates_row_encode(struct hl_buf *b, const struct hl_rates_row *r);
HL_MUST_CHECK int hl_rates_row_decode(struct hl_str bytes, struct hl_rates_row *out);

/* A block: quotes in order, each taking the place of what the provider said before about that item and side. Providers are
 * named once; items and times are differences to the quote before. About 10 bytes a quote without its link. */
void hl_block_encode(struct hl_buf *b, const struct hl_market_quote *asks, size_t n_asks, const struct hl_market_quote *bids,
		size_t n_bids);
struct hl_block_reader {
	struct hl_unpack u;
	uint64_t left;                /* quotes not read yet */
	uint64_t n_providers;
	struct hl_str providers[HL_MARKET_PROVIDERS_MAX];
	uint64_t item;                /* of the quote read last */
	uint64_t at_ms;
};
/* Then hl_block_next until it says false, then hl_block_end tells whether that was the end (0) or damage (HL_ECORRUPT).
 * Borrows from bytes. */
void hl_block_read(struct hl_block_reader *r, struct hl_str bytes);
bool hl_block_next(struct hl_block_reader *r, struct hl_market_quote *out, bool *out_bid);
HL_MUST_CHECK int hl_block_end(const struct hl_block_reader *r);

/* ---- counters ---------------------------------------------------------------------------------------------------- */

/* Of one webhook. */
struct hl_counts {
	uint64_t by_state[HL_DELIVERY_STATE_N];
	uint64_t pending_by_class[HL_CLASS_N]; /* pending ones by class of the latest attempt; NONE = not attempted */
	hl_ms_t last_attempt_at_ms, last_success_at_ms, last_failure_at_ms; /* 0 = never */
	uint8_t last_class;           /* of the latest attempt */
	uint16_t last_status;
	uint64_t fresh_from;          /* no fresh delivery of the webhook has a smaller number */
	uint32_t drain_gen;           /* grows when a parked queue opens and when a webhook resumes: older backoffs are due
	                               * at once */
	bool parked;                  /* its queue is parked: after a restart it goes on probing */
	uint8_t last_failure_len;
	char last_failure[HL_LAST_ERROR_MAX]; /* text of the latest failure, last_failure_len bytes */
};
/* Of one account, and of the whole store. */
struct hl_totals {
	uint64_t generation;          /* grows with every change of the account's webhooks; of the store: of the catalogue */
	uint64_t events;
	uint64_t webhooks[4];         /* by enum hl_webhook_state */
	uint64_t deliveries[HL_DIALECT_N];
	uint64_t by_state[HL_DELIVERY_STATE_N];
	uint64_t alerts[HL_DIALECT_N];
	uint64_t alerts_enabled;
	uint64_t alert_events[HL_DIALECT_N];
};
void hl_counts_encode(struct hl_buf *b, const struct hl_counts *c);
HL_MUST_CHECK int hl_counts_decode(struct hl_str bytes, struct hl_counts *out);
void hl_totals_encode(struct hl_buf *b, const struct hl_totals *t);
HL_MUST_CHECK int hl_totals_decode(struct hl_str bytes, struct hl_totals *out);

/* ---- service records --------------------------------------------------------------------------------------------- */

enum { HL_IDEM_ANSWER_MAX = 1 << 20 };

/* What one use of an idempotency key (or of a publisher's own id) made. */
struct hl_idem_row {
	uint8_t fingerprint[32];      /* of what must be equal */
	hl_ms_t created_at_ms;
	uint8_t kind;                 /* the caller's: what `number` counts */
	uint64_t number;              /* the object made, 0 = none */
	struct hl_str answer;         /* sealed bytes, "" = none */
};
void hl_idem_row_encode(struct hl_buf *b, const struct hl_idem_row *r);
HL_MUST_CHECK int hl_idem_row_decode(struct hl_str bytes, struct hl_idem_row *out);

#define HL_JOB_TABLE(X)                                                         \
	X(CANCEL_WEBHOOK, "cancel_webhook")                                     \
	X(DROP_WEBHOOK, "drop_webhook")                                         \
	X(RECOVER, "recover")                                                   \
	X(RETENTION, "retention")
#define HL_X(NAME, name) HL_JOB_##NAME,
enum hl_job_kind { HL_JOB_TABLE(HL_X) HL_JOB_N };
#undef HL_X

struct hl_job_row {
	uint64_t number;              /* the key */
	uint8_t kind;                 /* enum hl_job_kind */
	uint32_t account;             /* 0 = none */
	uint32_t webhook;             /* 0 = none */
	hl_ms_t created_at_ms;
	uint64_t cursor;              /* where the next slice starts; 0 at first */
	uint64_t upto;                /* RECOVER: only deliveries with a smaller number, 0 = no bound */
	hl_ms_t since_ms, until_ms;   /* RECOVER: creation in [since, until); 0 = open */
	int error_class;              /* RECOVER: -1 = all */
	struct hl_str type;           /* RECOVER: event type, "" = all */
	hl_ms_t before_ms;            /* RETENTION: events created before this go, 0 = none by age */
	uint64_t used_max;            /* RETENTION: …and the oldest while more bytes are in use, 0 = no such rule */
};
void hl_job_row_encode(struct hl_buf *b, const struct hl_job_row *r);
HL_MUST_CHECK int hl_job_row_decode(struct hl_str bytes, struct hl_job_row *out);

/* ---- meta -------------------------------------------------------------------------------------------------------- */

/* "format": read before anything else. */
struct hl_format_row {
	uint32_t version;
	hl_ms_t created_at_ms;
	uint8_t uuid[16];
	uint8_t id_key[16];           /* keys the check part of public ids */
	uint8_t key_id[8];            /* names the sealing key */
	struct hl_str key_check;      /* a constant sealed under it */
};
void hl_format_row_encode(struct hl_buf *b, const struct hl_format_row *r);
/* HL_ECORRUPT for another program's bytes, HL_EVERSION (out->version set) for a newer format. */
HL_MUST_CHECK int hl_format_row_decode(struct hl_str bytes, struct hl_format_row *out);

/* "index": how far the by_* tables reach. indexed_upto ≤ running_upto; between them a run is being written. */
struct hl_index_bounds {
	uint64_t deliveries_upto;     /* deliveries below are in by_webhook, by_account, by_status */
	uint64_t deliveries_running;
	uint64_t events_upto;         /* events below are in event_by_account */
	uint64_t events_running;
	uint64_t slice;               /* grows with every slice of a run: tells a run that its last slice was rolled back */
};
void hl_index_bounds_encode(struct hl_buf *b, const struct hl_index_bounds *r);
HL_MUST_CHECK int hl_index_bounds_decode(struct hl_str bytes, struct hl_index_bounds *out);

/* "numbers": the next number to give out, of every kind. */
struct hl_numbers {
	uint64_t event, delivery, server, job;
	uint32_t webhook, account, key;
	uint64_t alert, block;        /* since format 2 */
};
void hl_numbers_encode(struct hl_buf *b, const struct hl_numbers *r);
HL_MUST_CHECK int hl_numbers_decode(struct hl_str bytes, struct hl_numbers *out);

#endif
