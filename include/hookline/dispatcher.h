/* The dispatcher: stores events, fans them out, delivers them, keeps the history.
 *
 * Threads: every function is called on the thread that runs the loop given to hl_dispatcher_open, and every callback
 * runs there. The dispatcher adds one thread of its own for the disk.
 *
 * Async contract, everywhere: a non-zero return means nothing was started and the callback never runs; zero means it
 * runs exactly once, never before the call returned. A change is durable when its callback says HL_OK. After
 * hl_dispatcher_close every outstanding callback still runs, with its result or HL_ECANCELED.
 *
 * Strings passed in are copied before the call returns. Strings handed out are borrowed until control returns to the
 * event loop. Accounts are plain numbers ≥ 1; an object of another account answers exactly like an unknown one.
 *
 * Errors every change may report: HL_EFULL (quota or disk; nothing was stored), HL_EFATAL (the store failed: close and
 * restart the process), HL_EBUSY (too much waits for the disk; try again), HL_ENOMEM, HL_ECLOSED. */
#ifndef HOOKLINE_DISPATCHER_H
#define HOOKLINE_DISPATCHER_H

#include <hookline/stats.h>
#include <uv.h>

struct hl_dispatcher;

#define HL_ACCOUNT_DEFAULT 1u

/* Levels of a log line. */
enum hl_log_level { HL_LOG_ERROR, HL_LOG_WARN, HL_LOG_INFO, HL_LOG_DEBUG };

/* A finished attempt, told to options.on_attempt after its outcome is durable. */
struct hl_outcome {
	const struct hl_event *event;       /* data is "" when it was not in memory */
	const struct hl_delivery *delivery;
	const struct hl_attempt *attempt;
};

/* Settings; start from hl_options_init. All strings are copied by hl_dispatcher_open. */
struct hl_options {
	const char *data_dir;            /* required; created (0700) if missing */
	bool takeover;                   /* wait for another process to release the directory instead of failing */
	/* store */
	uint64_t store_max_bytes;        /* quota; publishers get HL_EFULL at 85 %. default 64 GiB, ≥ 64 MiB */
	uint32_t retention_s;            /* ended deliveries and their events are kept this long. default 2592000 */
	uint32_t retention_percent;      /* …or until the store holds this share of the quota. default 60 */
	const char *key_file;            /* sealing key; NULL = data_dir/key, made on first start */
	/* delivery */
	struct hl_retry retry;           /* for native webhooks that set none. default exponential */
	struct hl_retry retry_dialects;  /* for the four dialects. default hourly */
	uint32_t window_s;               /* default 172800 */
	uint32_t rotation_overlap_s;     /* both secrets sign; 0 … 604800, default 86400 */
	uint32_t connect_timeout_ms;     /* default 5000 */
	uint32_t timeout_ms;             /* whole exchange. default 15000 */
	uint32_t timeout_dialects_ms;    /* default 10000 */
	uint32_t max_in_flight;          /* default 2000 */
	uint32_t max_slow;               /* default 500 */
	uint32_t max_in_flight_per_webhook; /* default 20 */
	uint32_t park_after;             /* consecutive failures that say "unavailable". default 5 */
	uint64_t data_max;               /* bytes of an event's data; 1 KiB … 64 MiB, default HL_DATA_MAX_DEFAULT */
	uint64_t window_bytes;           /* memory for events waiting to be sent. default 64 MiB */
	uint32_t max_uncommitted;        /* outcomes waiting for the disk before dispatch pauses. default 4096 */
	uint32_t max_connections;        /* outbound sockets, idle ones included. default 16384 */
	uint32_t idle_timeout_ms;        /* of a kept connection. default 4000 */
	const char *final_statuses;      /* comma list; default "400,405,411,413,414,415,422,431" */
	const char *user_agent;          /* default "Hookline/<version>" */
	/* egress */
	const char *allow_networks;      /* comma list of CIDR; default "" */
	const char *allow_hosts;         /* comma list of exact names; default "" */
	const char *nat64_prefixes;      /* comma list of /96 prefixes; default "" */
	const char *ports;               /* "" = 80, 443 and 1024-65535 less the bad ports; else a comma list of ports and ranges */
	bool allow_http;                 /* default true */
	const char *own_listeners;       /* comma list of "address:port" never to be reached; default "" */
	const char *dns_servers;         /* comma list "address[:port]"; "" = the system's */
	/* tls */
	const char *ca_file;             /* NULL = $SSL_CERT_FILE, else the system's bundle */
	/* hooks; data is handed back */
	void *data;
	void (*on_attempt)(void *data, const struct hl_outcome *o);
	void (*on_fatal)(void *data, const struct hl_err *err);       /* once; then every change reports HL_EFATAL */
	void (*on_log)(void *data, enum hl_log_level level, const char *line); /* one logfmt line, no newline */
	enum hl_log_level log_level;     /* default HL_LOG_INFO */
	const struct hl_env *env;        /* NULL = the real clock and random source; tests replace it */
};

/* Fills in the defaults. */
HL_API void hl_options_init(struct hl_options *o);

/* Opens the store and starts delivering as soon as the loop runs.
 * Errors: HL_EINVAL (field names the option), HL_ELOCKED, HL_EVERSION, HL_EKEY, HL_EPERM, HL_EIO, HL_ECORRUPT. */
HL_API HL_MUST_CHECK int hl_dispatcher_open(struct hl_dispatcher **out, uv_loop_t *loop, const struct hl_options *o,
		struct hl_err *err);

/* Stops dispatching, lets attempts in flight end (or time out; `grace_ms` at most, then they are dropped and will be made
 * again after the next start), commits everything, frees the dispatcher, then calls cb. */
typedef void (*hl_close_cb)(void *data);
HL_API void hl_dispatcher_close(struct hl_dispatcher *d, hl_ms_t grace_ms, hl_close_cb cb, void *data);

/* Reads CA file and resolver configuration again. */
HL_API HL_MUST_CHECK int hl_dispatcher_reload(struct hl_dispatcher *d, struct hl_err *err);
HL_API void hl_dispatcher_set_log_level(struct hl_dispatcher *d, enum hl_log_level level);

/* ---- idempotency -------------------------------------------------------------------------------------------------- */

/* Makes a change happen once per key: kept 48 h per account and scope, in the transaction of the change.
 * The first use stores what `render` returns for the finished object (sealed at rest). A later use with the same
 * fingerprint changes nothing and hands the stored answer back (`replayed`); another fingerprint is HL_EMISMATCH. */
struct hl_idempotency {
	struct hl_str scope;       /* e.g. "POST /v1/webhooks"; part of the key */
	struct hl_str key;         /* 1–255 printable ASCII */
	uint8_t fingerprint[32];   /* SHA-256 of what must be equal */
	/* Called before the change is handed over, with the object as it will be stored; the result is copied. Called again when
	 * the change has to be handed over anew (a publish, when a webhook of the account changed meanwhile), at the latest before
	 * the change's callback: `data` lives as long. May be NULL: nothing is stored as answer then. `object` is a struct
	 * hl_webhook, hl_published or hl_delivery. */
	struct hl_str (*render)(void *data, const void *object, struct hl_str secret);
	void *data;
};

/* ---- publish ------------------------------------------------------------------------------------------------------ */

struct hl_publish {
	struct hl_str type;           /* 1–128 of [A-Za-z0-9_.-] */
	struct hl_str data;           /* valid JSON text; delivered byte for byte */
	bool data_checked;            /* you have checked that data is valid JSON (RFC 8259, UTF-8): it is not checked again */
	struct hl_str external_id;    /* "" = none; same id and content within 48 h: the first answer again */
	uint64_t server;              /* 0 = none */
	hl_ms_t occurred_at_ms;       /* 0 = now */
	hl_ms_t deliver_after_ms;     /* 0 = at once; at most 30 days ahead */
	hl_ms_t expires_at_ms;        /* 0 = none; after now and deliver_after */
	const struct hl_idempotency *idempotency; /* NULL = none */
};

struct hl_published {
	uint64_t event;
	char event_id[HL_ID_CAP];
	uint32_t n_deliveries;
	hl_ms_t created_at_ms;
	bool replayed;                /* an earlier publish with the same id or idempotency key */
	struct hl_str answer;         /* replayed by idempotency key: the stored answer */
	bool id_clashed;              /* HL_EMISMATCH: it was external_id, not the idempotency key */
};

/* status HL_OK: event and deliveries are on disk. HL_EMISMATCH: same id or key, different content; only id_clashed is set
 * then. p is NULL with every other status. */
typedef void (*hl_publish_cb)(void *data, int status, const struct hl_published *p);
HL_API HL_MUST_CHECK int hl_publish(struct hl_dispatcher *d, uint32_t account, const struct hl_publish *p, hl_publish_cb cb,
		void *data, struct hl_err *err);

/* ---- webhooks ----------------------------------------------------------------------------------------------------- */

/* w and secret are set on HL_OK only; secret is the plaintext "whsec_…", given on creation and rotation, else "".
 * answer is set when the change was replayed by its idempotency key (w is then NULL). */
struct hl_webhook_result {
	const struct hl_webhook *webhook;
	struct hl_str secret;
	bool replayed;
	struct hl_str answer;
};
typedef void (*hl_webhook_cb)(void *data, int status, const struct hl_err *err, const struct hl_webhook_result *r);

/* Creates a webhook from *w (number, revision, id, times, secret_last4 and activity are ignored).
 * secret "" = generate one; else "whsec_" + base64 of 24–75 bytes. max_webhooks 0 = no limit (else HL_ELIMIT).
 * Errors at once: HL_EINVAL, HL_EURL, HL_EBLOCKED with err->field a JSON pointer such as "/url" and err->text the rule. */
HL_API HL_MUST_CHECK int hl_webhook_create(struct hl_dispatcher *d, const struct hl_webhook *w, struct hl_str secret,
		uint32_t max_webhooks, const struct hl_idempotency *idem, hl_webhook_cb cb, void *data, struct hl_err *err);
/* Changes the members named by `fields` (enum hl_webhook_field). HL_ENOTFOUND for unknown, foreign and deleted ones. */
HL_API HL_MUST_CHECK int hl_webhook_update(struct hl_dispatcher *d, uint32_t account, uint32_t number, uint32_t fields,
		const struct hl_webhook *values, hl_webhook_cb cb, void *data, struct hl_err *err);
/* Cancels pending deliveries (in slices, hidden at once). drop_history also removes its deliveries. */
HL_API HL_MUST_CHECK int hl_webhook_delete(struct hl_dispatcher *d, uint32_t account, uint32_t number, bool drop_history,
		hl_webhook_cb cb, void *data, struct hl_err *err);
/* overlap_s: how long the old secret signs too; UINT32_MAX = options.rotation_overlap_s. secret "" = generate. */
HL_API HL_MUST_CHECK int hl_webhook_rotate(struct hl_dispatcher *d, uint32_t account, uint32_t number, uint32_t overlap_s,
		struct hl_str secret, const struct hl_idempotency *idem, hl_webhook_cb cb, void *data, struct hl_err *err);

/* Reads one, with its activity. include_deleted: also a deleted one. */
HL_API HL_MUST_CHECK int hl_webhook_get(struct hl_dispatcher *d, uint32_t account, uint32_t number, bool include_deleted,
		struct hl_webhook *out);
/* The webhook as it was at `revision` (URL and name shown with old deliveries). */
HL_API HL_MUST_CHECK int hl_webhook_get_revision(struct hl_dispatcher *d, uint32_t account, uint32_t number,
		uint32_t revision, struct hl_webhook *out);

/* Listings: newest first. `before`/`after` are numbers (exclusive) of the page walked from; 0 = from the newest.
 * after = x: the page of newer ones nearest to x. Both results are still newest first. */
struct hl_page {
	uint64_t before;        /* only older than this; 0 = none */
	uint64_t after;         /* only newer than this; 0 = none */
	uint32_t offset;        /* skipped first */
	uint32_t limit;         /* 1 … 250 */
	bool want_total;        /* count all that match (costs a walk unless a counter knows) */
};
struct hl_page_info {
	bool has_older;
	bool has_newer;
	uint64_t total;         /* when wanted */
};

struct hl_webhook_query {
	uint32_t account;
	int dialect;            /* -1 = all */
	int state;              /* -1 = all but deleted */
	struct hl_page page;
};
typedef void (*hl_webhooks_cb)(void *data, int status, const struct hl_webhook *w, size_t n, const struct hl_page_info *info);
HL_API HL_MUST_CHECK int hl_webhook_list(struct hl_dispatcher *d, const struct hl_webhook_query *q, hl_webhooks_cb cb,
		void *data);

/* Counters of one webhook; O(1). */
struct hl_webhook_stats {
	uint32_t webhook;
	uint64_t by_state[HL_DELIVERY_STATE_N];
	uint64_t pending_by_class[HL_CLASS_N]; /* class of the latest attempt; NONE = not attempted */
	hl_ms_t oldest_pending_at_ms;          /* 0 = nothing pending */
	hl_ms_t next_attempt_at_ms;            /* 0 = none scheduled */
	bool parked;
	uint32_t in_flight;
	double concurrency;                    /* current limit */
	hl_ms_t last_attempt_at_ms, last_success_at_ms, last_failure_at_ms;
	enum hl_class last_class;
	uint16_t last_http_status;
};
HL_API HL_MUST_CHECK int hl_webhook_stats(struct hl_dispatcher *d, uint32_t account, uint32_t number,
		struct hl_webhook_stats *out);
/* Totals of an account, by dialect (HL_DIALECT_N = all). */
struct hl_account_stats {
	uint64_t events;
	uint64_t webhooks;
	uint64_t deliveries[HL_DIALECT_N];
};
HL_API HL_MUST_CHECK int hl_account_stats(struct hl_dispatcher *d, uint32_t account, struct hl_account_stats *out);

/* One signed request, outside every queue and limit, not stored as a delivery (at most 64 such at once: HL_EBUSY).
 * type/data "" = a fixed test message. */
typedef void (*hl_attempt_cb)(void *data, int status, const struct hl_delivery *delivery, const struct hl_attempt *a);
HL_API HL_MUST_CHECK int hl_webhook_test(struct hl_dispatcher *d, uint32_t account, uint32_t number, struct hl_str type,
		struct hl_str data, hl_attempt_cb cb, void *cb_data, struct hl_err *err);

/* ---- deliveries and events ---------------------------------------------------------------------------------------- */

struct hl_delivery_query {
	uint32_t account;
	uint32_t webhook;         /* 0 = all */
	uint64_t event;           /* 0 = all */
	int dialect;              /* -1 = all */
	int state;                /* enum hl_delivery_state, -1 = all */
	bool failed_or_cancelled; /* state FAILED also matches CANCELLED */
	struct hl_str type;       /* "" = all */
	hl_ms_t since_ms, until_ms; /* creation, [since, until); 0 = open */
	struct hl_page page;
};
typedef void (*hl_deliveries_cb)(void *data, int status, const struct hl_delivery *v, size_t n,
		const struct hl_page_info *info);
/* Long walks are cut into slices over several loop turns. */
HL_API HL_MUST_CHECK int hl_delivery_list(struct hl_dispatcher *d, const struct hl_delivery_query *q, hl_deliveries_cb cb,
		void *data);
HL_API HL_MUST_CHECK int hl_delivery_get(struct hl_dispatcher *d, uint32_t account, uint64_t number, struct hl_delivery *out);
/* Attempts kept, oldest first; *out_n of them. */
HL_API HL_MUST_CHECK int hl_delivery_attempts(struct hl_dispatcher *d, uint32_t account, uint64_t number,
		const struct hl_attempt **out, size_t *out_n);
/* The body of the latest attempt, or of the next one before any: built again from event and webhook. */
HL_API HL_MUST_CHECK int hl_delivery_body(struct hl_dispatcher *d, uint32_t account, uint64_t number, struct hl_str *out);
/* Its event as JSON in the shape of the webhook's dialect, whatever the format: the body `standard` would have. */
HL_API HL_MUST_CHECK int hl_delivery_payload(struct hl_dispatcher *d, uint32_t account, uint64_t number, struct hl_str *out);

struct hl_event_query {
	uint32_t account;
	struct hl_str type;
	hl_ms_t since_ms, until_ms;
	struct hl_page page;
};
typedef void (*hl_events_cb)(void *data, int status, const struct hl_event *v, size_t n, const struct hl_page_info *info);
HL_API HL_MUST_CHECK int hl_event_list(struct hl_dispatcher *d, const struct hl_event_query *q, hl_events_cb cb, void *data);
HL_API HL_MUST_CHECK int hl_event_get(struct hl_dispatcher *d, uint32_t account, uint64_t number, struct hl_event *out);
/* Deliveries of the event by state (those made at publish and by replay). */
HL_API HL_MUST_CHECK int hl_event_summary(struct hl_dispatcher *d, uint32_t account, uint64_t number,
		uint64_t out[HL_DELIVERY_STATE_N]);

typedef void (*hl_delivery_cb)(void *data, int status, const struct hl_err *err, const struct hl_delivery *delivery);
/* Makes it pending again, due now, with the full policy and a new window. A pending one becomes due now.
 * HL_ECONFLICT when the webhook is deleted. */
HL_API HL_MUST_CHECK int hl_delivery_retry(struct hl_dispatcher *d, uint32_t account, uint64_t number, hl_delivery_cb cb,
		void *data, struct hl_err *err);
/* A new single-shot delivery of the same event to the same webhook, past pause, parking and limits (HL_EBUSY beyond 64 at
 * once); cb runs when its attempt ended and is durable. */
HL_API HL_MUST_CHECK int hl_delivery_retry_new(struct hl_dispatcher *d, uint32_t account, uint64_t number, hl_attempt_cb cb,
		void *data, struct hl_err *err);
/* HL_ECONFLICT unless pending. */
HL_API HL_MUST_CHECK int hl_delivery_cancel(struct hl_dispatcher *d, uint32_t account, uint64_t number, hl_delivery_cb cb,
		void *data, struct hl_err *err);

/* New deliveries of an event to the webhooks that match now (or only to `webhook`). */
struct hl_replay {
	uint64_t event;
	uint32_t webhook;          /* 0 = all that match */
	const struct hl_idempotency *idempotency;
};
HL_API HL_MUST_CHECK int hl_event_replay(struct hl_dispatcher *d, uint32_t account, const struct hl_replay *r,
		hl_publish_cb cb, void *data, struct hl_err *err);

/* Retries many: failed deliveries of a webhook created since/until, optionally of one type or class. Runs as a background
 * job that survives restarts; cb tells how many match (dry_run: only that). */
struct hl_recover {
	uint32_t webhook;
	hl_ms_t since_ms, until_ms; /* 0 = open */
	struct hl_str type;         /* "" = all */
	int error_class;            /* -1 = all */
	bool dry_run;
};
typedef void (*hl_count_cb)(void *data, int status, uint64_t n);
HL_API HL_MUST_CHECK int hl_webhook_recover(struct hl_dispatcher *d, uint32_t account, const struct hl_recover *r,
		hl_count_cb cb, void *data, struct hl_err *err);

/* Resolve, egress verdict, TLS, one signed ping (event type "hookline.ping"). */
struct hl_verify {
	bool url_allowed;
	struct hl_str address;
	const struct hl_attempt *attempt;
};
typedef void (*hl_verify_cb)(void *data, int status, const struct hl_verify *v);
HL_API HL_MUST_CHECK int hl_webhook_verify(struct hl_dispatcher *d, uint32_t account, uint32_t number, hl_verify_cb cb,
		void *data, struct hl_err *err);

/* ---- event types -------------------------------------------------------------------------------------------------- */

enum { HL_EVENT_TYPES_TOTAL_MAX = 10000 };

/* An entry of the catalogue (one for the whole instance). dialect_categories[d] "" = not in that dialect's catalogue. */
struct hl_event_type {
	struct hl_str name;
	struct hl_str title;
	struct hl_str description;
	struct hl_str category;
	struct hl_str dialect_categories[HL_DIALECT_N];
	hl_ms_t created_at_ms, updated_at_ms;
};
typedef void (*hl_done_cb)(void *data, int status, const struct hl_err *err);
HL_API HL_MUST_CHECK int hl_event_type_put(struct hl_dispatcher *d, const struct hl_event_type *t, hl_done_cb cb, void *data,
		struct hl_err *err);
/* Many in one transaction, all or none; of a wrong one err->field is "/INDEX/member". At most HL_EVENT_TYPES_TOTAL_MAX. */
HL_API HL_MUST_CHECK int hl_event_type_put_all(struct hl_dispatcher *d, const struct hl_event_type *v, size_t n, hl_done_cb cb,
		void *data, struct hl_err *err);
/* The same for a store that is new: it has no event type and never had a webhook or an event. It can be given its first
 * catalogue (an empty one counts) only once; HL_EEXIST afterwards. */
HL_API HL_MUST_CHECK int hl_event_type_seed(struct hl_dispatcher *d, const struct hl_event_type *v, size_t n, hl_done_cb cb,
		void *data, struct hl_err *err);
HL_API HL_MUST_CHECK int hl_event_type_delete(struct hl_dispatcher *d, struct hl_str name, hl_done_cb cb, void *data);
HL_API HL_MUST_CHECK int hl_event_type_get(struct hl_dispatcher *d, struct hl_str name, struct hl_event_type *out);
/* All of them, by name; dialect -1 = all. *out borrowed. */
HL_API HL_MUST_CHECK int hl_event_type_list(struct hl_dispatcher *d, int dialect, const struct hl_event_type **out,
		size_t *out_n);

/* ---- ids and numbers ---------------------------------------------------------------------------------------------- */

enum hl_id_kind { HL_ID_EVENT = 1, HL_ID_DELIVERY, HL_ID_WEBHOOK, HL_ID_SERVER, HL_ID_KEY, HL_ID_ACCOUNT, HL_ID_ALERT };

/* UUIDv7 of a number: creation time, number, keyed check. */
HL_API void hl_id_format(const struct hl_dispatcher *d, enum hl_id_kind kind, uint64_t number, hl_ms_t created_at_ms,
		char out[HL_ID_CAP]);
/* HL_ENOTFOUND for anything this store did not make, HL_ESYNTAX for what is no UUID. */
HL_API HL_MUST_CHECK int hl_id_parse(const struct hl_dispatcher *d, enum hl_id_kind kind, struct hl_str text,
		uint64_t *out_number);

/* ---- the rest ----------------------------------------------------------------------------------------------------- */

HL_API void hl_dispatcher_stats(struct hl_dispatcher *d, struct hl_stats *out);

/* Whether publishes are accepted now; err says why not. */
HL_API HL_MUST_CHECK int hl_dispatcher_ready(struct hl_dispatcher *d, struct hl_err *err);

#endif
