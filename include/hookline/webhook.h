/* A webhook: a registered destination, and everything that can be said about how to reach it. */
#ifndef HOOKLINE_WEBHOOK_H
#define HOOKLINE_WEBHOOK_H

#include <hookline/error.h>

/* Which API made the webhook; decides the extra headers and the shape of the body. X(number, NAME, text) */
#define HL_DIALECT_TABLE(X)                                                     \
	X(0, HOOKLINE, "hookline")                                              \
	X(1, CS2CAP, "cs2cap")                                                  \
	X(2, ABOUTYOU, "aboutyou")                                              \
	X(3, STELLARSTACK, "stellarstack")                                      \
	X(4, BITNOB, "bitnob")

/* How the body is shaped for the receiver. */
#define HL_FORMAT_TABLE(X)                                                      \
	X(0, STANDARD, "standard")                                              \
	X(1, DISCORD, "discord")                                                \
	X(2, TELEGRAM, "telegram")                                              \
	X(3, GOOGLE_SHEETS, "google_sheets")

/* enabled: receives. paused: by its owner; pending deliveries are held. disabled: by the receiver (410 and the like) or
 * by an operator, with a reason; held likewise. deleted: answers like an unknown id. */
#define HL_WEBHOOK_STATE_TABLE(X)                                               \
	X(0, ENABLED, "enabled")                                                \
	X(1, PAUSED, "paused")                                                  \
	X(2, DISABLED, "disabled")                                              \
	X(3, DELETED, "deleted")

/* When the next attempt is due (DESIGN of the retry schedule: docs/delivery.md). */
#define HL_RETRY_TABLE(X)                                                       \
	X(0, DEFAULT, "default")                                                \
	X(1, EXPONENTIAL, "exponential")                                        \
	X(2, HOURLY, "hourly")                                                  \
	X(3, DELAYS, "delays")

#define HL_X(number, name, text) HL_DIALECT_##name = number,
enum hl_dialect { HL_DIALECT_TABLE(HL_X) HL_DIALECT_N };
#undef HL_X
#define HL_X(number, name, text) HL_FORMAT_##name = number,
enum hl_format { HL_FORMAT_TABLE(HL_X) HL_FORMAT_N };
#undef HL_X
#define HL_X(number, name, text) HL_WEBHOOK_##name = number,
enum hl_webhook_state { HL_WEBHOOK_STATE_TABLE(HL_X) HL_WEBHOOK_STATE_N };
#undef HL_X
#define HL_X(number, name, text) HL_RETRY_##name = number,
enum hl_retry_kind { HL_RETRY_TABLE(HL_X) HL_RETRY_N };
#undef HL_X

/* Text of an enum value, and back (-1 when unknown). Any thread. */
HL_API const char *hl_dialect_name(enum hl_dialect d);
HL_API const char *hl_format_name(enum hl_format f);
HL_API const char *hl_webhook_state_name(enum hl_webhook_state s);
HL_API const char *hl_retry_name(enum hl_retry_kind k);
HL_API int hl_dialect_parse(struct hl_str text);
HL_API int hl_format_parse(struct hl_str text);
HL_API int hl_retry_parse(struct hl_str text);

/* Limits; each one is enforced by hl_webhook_create/update and named in the error. */
enum {
	HL_URL_MAX = 2083,          /* bytes */
	HL_NAME_MAX = 120,          /* Unicode scalar values */
	HL_DESCRIPTION_MAX = 1000,  /* Unicode scalar values */
	HL_REASON_MAX = 200,        /* bytes */
	HL_EVENT_TYPES_MAX = 256,   /* entries of a filter */
	HL_EVENT_TYPE_MAX = 128,    /* bytes of one type: [A-Za-z0-9_.-] */
	HL_HEADERS_MAX = 16,        /* extra headers */
	HL_HEADERS_BYTES_MAX = 4096,/* names and values of all extra headers */
	HL_METADATA_MAX = 4096,     /* bytes of JSON */
	HL_DELAYS_MAX = 60,         /* entries of a list of delays */
	HL_SECRET_TEXT_MAX = 108,   /* bytes of "whsec_…" (24 to 75 raw bytes) */
	HL_TIMEOUT_MAX_MS = 60000,
	HL_WINDOW_MAX_S = 7 * 86400,
	HL_IN_FLIGHT_MAX = 1000,    /* per webhook */
	HL_RATE_MAX = 100000,       /* deliveries per second */
};

/* When to try again. For HL_RETRY_DELAYS attempt k+2 follows attempt k+1 by delays_s[k]; after the last one the list's
 * last entry repeats. */
struct hl_retry {
	enum hl_retry_kind kind;
	uint32_t n_delays;
	uint32_t delays_s[HL_DELAYS_MAX]; /* seconds, 1 … 172800 */
};

/* A webhook as stored. As an answer of the library every slice and array is borrowed: valid until control returns to the
 * event loop. */
struct hl_webhook {
	uint32_t number;         /* never reused; the id of dialect aboutyou */
	uint32_t account;        /* owner */
	uint32_t revision;       /* grows by one with each change */
	char id[HL_ID_CAP];
	enum hl_dialect dialect; /* fixed at creation */
	enum hl_format format;
	enum hl_webhook_state state;
	bool strict;             /* hourly for 48 h and nothing else: no hints, no early probe, no drain, no late attempt */
	struct hl_str name;
	struct hl_str description;
	struct hl_str url;       /* absolute, normalised */
	struct hl_str reason;    /* why it is disabled, else "" */
	struct hl_str metadata;  /* a JSON object, "" = {} */
	const struct hl_str *event_types; /* n_event_types entries; none = all */
	size_t n_event_types;
	const struct hl_header *headers;
	size_t n_headers;
	uint64_t server;         /* limits the webhook to events about this server; 0 = any */
	uint32_t timeout_ms;     /* whole exchange; 0 = default of the dialect */
	uint32_t rate_limit;     /* deliveries per second; 0 = none */
	uint32_t max_in_flight;  /* 0 = default */
	struct hl_retry retry;
	uint32_t window_s;       /* how long to keep trying; 0 = default (172800) */
	bool https_only;         /* refuse http URLs whatever egress says (dialect bitnob) */
	char secret_last4[5];
	hl_ms_t previous_secret_until_ms; /* end of the rotation overlap, 0 = none */
	hl_ms_t created_at_ms;
	hl_ms_t updated_at_ms;
	/* activity; filled by hl_webhook_get and the listings */
	hl_ms_t last_attempt_at_ms;
	hl_ms_t last_success_at_ms;
	hl_ms_t last_failure_at_ms;
	struct hl_str last_failure_message;
};

/* Which members of a `struct hl_webhook` a change carries. */
enum hl_webhook_field {
	HL_WF_NAME = 1 << 0,
	HL_WF_DESCRIPTION = 1 << 1,
	HL_WF_URL = 1 << 2,
	HL_WF_FORMAT = 1 << 3,
	HL_WF_EVENT_TYPES = 1 << 4,
	HL_WF_SERVER = 1 << 5,
	HL_WF_STATE = 1 << 6,     /* ENABLED or PAUSED (DISABLED with a reason) */
	HL_WF_HEADERS = 1 << 7,
	HL_WF_TIMEOUT = 1 << 8,
	HL_WF_RATE_LIMIT = 1 << 9,
	HL_WF_MAX_IN_FLIGHT = 1 << 10,
	HL_WF_RETRY = 1 << 11,
	HL_WF_WINDOW = 1 << 12,
	HL_WF_METADATA = 1 << 13,
};

#endif
