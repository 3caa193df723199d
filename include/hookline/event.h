/* Events, deliveries and attempts, as the caller sees them. */
#ifndef HOOKLINE_EVENT_H
#define HOOKLINE_EVENT_H

#include <hookline/webhook.h>

/* Limits of a published event. */
enum {
	HL_EXTERNAL_ID_MAX = 255,   /* printable ASCII, 0x21–0x7e */
	HL_DATA_MAX_DEFAULT = 1 << 20, /* bytes of `data` */
	HL_RESPONSE_CHARS_MAX = 5000,  /* Unicode scalar values kept of an answer's body */
	HL_ATTEMPTS_MAX = 200,      /* attempts of one delivery */
	HL_ATTEMPTS_KEPT_FIRST = 10,/* records kept of them */
	HL_ATTEMPTS_KEPT_LAST = 40,
};

#define HL_DELIVERY_STATE_TABLE(X)                                              \
	X(0, PENDING, "pending")                                                \
	X(1, SUCCEEDED, "succeeded")                                            \
	X(2, FAILED, "failed")                                                  \
	X(3, CANCELLED, "cancelled")

/* Why an attempt was made. */
#define HL_TRIGGER_TABLE(X)                                                     \
	X(0, PUBLISH, "publish")                                                \
	X(1, RETRY, "retry")                                                    \
	X(2, PROBE, "probe")                                                    \
	X(3, LATE, "late")                                                      \
	X(4, MANUAL, "manual")                                                  \
	X(5, TEST, "test")

/* How an attempt, or the wait before one, ended. X(number, NAME, text, sentence) */
#define HL_CLASS_TABLE(X)                                                       \
	X(0, NONE, "none", "")                                                  \
	X(1, HTTP_STATUS, "http_status", "the receiver answered with an error status")  \
	X(2, DNS, "dns", "the name does not resolve")                           \
	X(3, CONNECT, "connect", "no connection")                               \
	X(4, TLS, "tls", "TLS failed")                                          \
	X(5, TIMEOUT, "timeout", "no complete answer in time")                  \
	X(6, RESET, "reset", "the connection ended before a complete answer")   \
	X(7, PROTOCOL, "protocol", "the answer is not HTTP")                    \
	X(8, BLOCKED_ADDRESS, "blocked_address", "the address is not allowed")  \
	X(9, RECEIVER_SAID_NO, "receiver_said_no", "the receiver refused although the status is 2xx") \
	X(10, PAUSED, "paused", "the webhook was paused until the end of the window") \
	X(11, EXPIRED, "expired", "expires_at passed")                          \
	X(12, DELETED, "deleted", "the webhook was deleted")                    \
	X(13, CANCELLED, "cancelled", "cancelled by request")                   \
	X(14, INTERNAL, "internal", "Hookline could not make the request")

#define HL_X(number, name, text) HL_DELIVERY_##name = number,
enum hl_delivery_state { HL_DELIVERY_STATE_TABLE(HL_X) HL_DELIVERY_STATE_N };
#undef HL_X
#define HL_X(number, name, text) HL_TRIGGER_##name = number,
enum hl_trigger { HL_TRIGGER_TABLE(HL_X) HL_TRIGGER_N };
#undef HL_X
#define HL_X(number, name, text, sentence) HL_CLASS_##name = number,
enum hl_class { HL_CLASS_TABLE(HL_X) HL_CLASS_N };
#undef HL_X

HL_API const char *hl_delivery_state_name(enum hl_delivery_state s);
HL_API const char *hl_trigger_name(enum hl_trigger t);
HL_API const char *hl_class_name(enum hl_class c);
HL_API const char *hl_class_sentence(enum hl_class c);
HL_API int hl_delivery_state_parse(struct hl_str text); /* -1 when unknown */

/* One published fact. Borrowed slices, see hl_webhook. */
struct hl_event {
	uint64_t number;
	char id[HL_ID_CAP];
	uint32_t account;
	struct hl_str type;
	struct hl_str external_id;  /* the publisher's own id, "" = none */
	uint64_t server;            /* 0 = about no server */
	struct hl_str data;         /* JSON, byte for byte as published */
	hl_ms_t created_at_ms;      /* accepted */
	hl_ms_t occurred_at_ms;     /* said by the publisher; default: accepted */
	hl_ms_t deliver_after_ms;   /* 0 = at once */
	hl_ms_t expires_at_ms;      /* 0 = at the end of the window */
	uint64_t first_delivery;    /* numbers first_delivery … +n_deliveries-1 were made at publish */
	uint32_t n_deliveries;
};

/* One HTTP request and how it ended. */
struct hl_attempt {
	uint32_t number;            /* 1, 2, … within the delivery */
	enum hl_trigger trigger;
	bool succeeded;
	enum hl_class error_class;  /* NONE on success */
	uint16_t http_status;       /* 0 = no answer */
	hl_ms_t started_at_ms;
	hl_ms_t next_at_ms;         /* when the next attempt was scheduled, 0 = none */
	struct hl_str error;        /* text for people, "" on success */
	struct hl_str response_body;/* at most HL_RESPONSE_CHARS_MAX scalar values, valid UTF-8 */
	struct hl_str address;      /* "192.0.2.1:443", "" = never connected */
	struct hl_str tls;          /* "TLSv1.3", "" = plain */
	/* durations; -1 = phase not reached or not needed (reused connection) */
	int32_t dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms;
};

/* One event for one webhook. */
struct hl_delivery {
	uint64_t number;
	char id[HL_ID_CAP];
	uint32_t account;
	uint64_t event;
	char event_id[HL_ID_CAP];
	struct hl_str event_type;
	uint32_t webhook;
	char webhook_id[HL_ID_CAP];
	uint32_t webhook_revision;  /* the one used by the latest attempt, else at publish */
	enum hl_dialect dialect;
	enum hl_delivery_state state;
	bool single_shot;           /* never retried by itself */
	uint32_t n_attempts;
	uint16_t last_http_status;
	enum hl_class last_class;
	struct hl_str last_error;
	hl_ms_t created_at_ms;
	hl_ms_t window_from_ms;     /* current window */
	hl_ms_t window_until_ms;
	hl_ms_t next_at_ms;         /* 0 = none scheduled (ended, or held) */
	hl_ms_t completed_at_ms;    /* 0 = pending */
	uint64_t retry_of;          /* the delivery this is a new try of, 0 = none */
};

#endif
