/* The crowd of the kill loop: publishers and receivers in one process, which knows of every event what was attempted, acknowledged
 * and received, and judges at the end. One thread, one epoll, made to cost far less than the server it watches.
 *
 *   publish.c   connections to the server; events until acknowledged
 *   receive.c   connections from the server; requests, and answers of every mood
 *   judge.c     is this request right: event, body, webhook-id, signature
 *   book.c      what was attempted, acknowledged, received; the sums
 *   main.c      orders on standard input, one a line; answers on standard output, one JSON line each
 *
 * A life is one run of the server, from its start to its death; the test counts them and says how each ended. */
#ifndef CROWD_H
#define CROWD_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HOOKS_MAX = 64,
	LIVES_MAX = 65535,
	CLASSES = 6,              /* crash.0 … crash.3, doomed.x, dead.x */
	CLASS_DOOMED = 4, CLASS_DEAD = 5,
	ID_LEN = 36,
	DATA_MAX = 160 * 1024,    /* bytes of an event's data, at most */
	MAC_LEN = 32,
};

enum format { STANDARD, GOOGLE_SHEETS, DISCORD, TELEGRAM, FORMATS };
enum dialect { HOOKLINE, CS2CAP, ABOUTYOU, STELLARSTACK, BITNOB, DIALECTS };

/* How a receiver behaves; dice decide per request, the same ones for the same seed. */
enum mood {
	OK, SLOW, FLAKY, RESETS, HANGS, LIMITED, GARBAGE, FINAL, GONE, RUDE, MOODS,
};
extern const char *const format_names[FORMATS], *const dialect_names[DIALECTS], *const mood_names[MOODS];

/* A request to a webhook, as slices of the connection's buffer. */
struct text {
	const char *ptr;
	size_t len;
};
struct request {
	int life;                 /* of the server that sent it */
	struct text id, timestamp, signature, attempt; /* webhook-…, hookline-attempt; len 0 = absent */
	struct text dialect_signature, dialect_signature2, dialect_timestamp;
	struct text body;
};

struct secret {
	int life;                 /* in which its rotation was acknowledged */
	EVP_MAC_CTX *raw, *text;  /* keyed with the decoded bytes, with the text itself */
};

/* One event at one webhook. */
struct mark {
	uint32_t digest;          /* of the first body */
	uint16_t life;            /* of the last 2xx; 0 = none yet */
	uint8_t goods, seen;      /* 2xx answers, requests; no further than 255 */
};

struct hook {
	bool used;
	enum format format;
	enum dialect dialect;
	enum mood mood;
	unsigned classes;         /* bits: which events may come */
	bool counted;             /* what it gets is a part of the number the publisher is told */
	bool steady;              /* enabled all the time: it gets every event of its classes */
	bool strict;              /* its attempts cannot time out: within a life nothing comes twice */
	bool healed;              /* from now on it answers as it should */
	char number[24];          /* of the webhook, in bodies of dialect aboutyou */
	struct secret *secrets;
	size_t n_secrets;
	struct mark *marks;       /* per event */
	uint64_t requests, goods, distinct;
};

struct life {
	bool over, clean;         /* ended with exit code 0 */
	uint32_t duplicates;      /* 2xx answered in it and forgotten */
	uint32_t goods;
};

/* An event as the publishers know it. */
struct event {
	char id[ID_LEN];          /* [0] = 0: nobody has said yet */
	uint16_t deliveries;
	bool acked;
};

/* ---- book.c ---- */
extern struct hook hooks[HOOKS_MAX];
extern struct event *events;
extern struct life lives[LIVES_MAX + 1];
extern uint32_t n_events, cap_events; /* attempted so far; at most */
extern int life_now;
extern uint64_t seed, n_acked, n_acked_deliveries, n_distinct, n_replayed, n_resent, n_unverified;

void fault(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t dice(uint64_t a, uint64_t b, uint64_t c);
int class_of(uint32_t n);
const char *type_of(uint32_t n);
size_t data_of(uint32_t n, char *out); /* the event's data; the same bytes every time */
void book_acked(uint32_t n, const char *id, unsigned deliveries, bool replayed);
void book_good(int h, uint32_t n, int life);
void book_init(uint32_t cap);
void book_report(void);
void book_judge(void);
void book_alert(const char *alert, const char *event);
void book_alerts(void);

/* ---- judge.c ---- */
enum { NOT_OURS = -1, AN_ALERT = -2 };
bool secret_add(int h, int life, const char *text);
/* The number of its event, or one of the above. */
int64_t judge(int h, const struct request *r);
void judge_again(int h); /* those that could not be verified, now that there is one secret more */

/* ---- loop: main.c ---- */
struct source {
	void (*ready)(struct source *s, uint32_t events);
	int fd;
};
void watch(struct source *s, uint32_t events, bool first);
int64_t now_ms(void);

/* ---- receive.c ---- */
void receive_init(const char *cert, const char *key);
void receive_tick(int64_t now);
void receive_refuse(bool refuse);
void receive_backlog(void); /* takes every connection that waits to be accepted */

/* ---- publish.c ---- */
void publish_init(unsigned connections);
void publish_server(int port, const char *unix_path, const char *key);
void publish_switch(bool on, uint64_t outstanding_max);
void publish_tick(int64_t now);
bool publish_idle(void);

#endif
