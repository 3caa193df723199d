/* The whole API over a real socket: dispatcher, service, api and HTTP server on one loop, and a client that sends one
 * request and reads to the end of the connection. */
#ifndef HL_API_TEST_H
#define HL_API_TEST_H

#include "api/api.h"
#include "http/server.h"
#include "loop.h"
#include "tmpdir.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct answer {
	int status;
	char *head;        /* status line and fields */
	char *body;        /* chunks put together; NUL-terminated */
	size_t body_len;
	json_t *json;      /* of a JSON body, else NULL */
};

struct fixture {
	struct tmpdir dir;
	uv_loop_t loop;
	struct hl_dispatcher *dispatcher;
	struct hl_service *service;
	struct hl_alerts *alerts;
	struct hl_api *api;
	struct hl_server *server;   /* public */
	struct hl_server *control;  /* trusted */
	uint16_t port, control_port;
	char admin[HL_KEY_TEXT_CAP];
	struct answer last;
};

int setup(void **state);    /* opens all of it and makes an admin key */
int teardown(void **state);
void set_tiers(struct fixture *f, const char *text);

/* Sends "<head>\r\n…" as it is, in pieces of `piece` bytes (0 = whole), and waits for the end. Returns the status; the rest
 * is in f->last until the next call. */
int raw(struct fixture *f, uint16_t port, const char *bytes, size_t len, size_t piece);
/* A request with a JSON body (NULL = none) and a key (NULL = none). `more`: further fields, each ending in \r\n, or NULL. */
int ask(struct fixture *f, const char *key, const char *method, const char *target, const char *body, const char *more);
/* …as admin. */
int admin(struct fixture *f, const char *method, const char *target, const char *body);
const char *text_of(struct fixture *f, const char *member);   /* of the answer's object; fails when it is no string */
json_int_t number_of(struct fixture *f, const char *member);
bool has_field(struct fixture *f, const char *line_start);    /* a header field line of the answer begins like this */
/* Makes a key; text must hold HL_KEY_TEXT_CAP. */
void make_key(struct fixture *f, const char *spec_json, char *text);

#endif
