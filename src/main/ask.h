/* One HTTP request to a Hookline server, waited for: what the command line needs to talk to one. Plain HTTP over TCP or a
 * unix socket. */
#ifndef HL_MAIN_ASK_H
#define HL_MAIN_ASK_H

#include "base/buf.h"
#include "base/json.h"
#include <hookline/error.h>

enum { HL_ASK_TIMEOUT_S = 60, HL_ASK_BODY_MAX = 64 * 1024 * 1024 };

struct hl_ask {
	int fd;
	char authority[280];        /* the Host field */
	unsigned status;            /* of the answer */
	struct hl_buf body;
	struct hl_arena arena;      /* for what is read out of the body */
};

/* url: "http://host[:port]", "http://[v6]:port", or "unix:/path". HL_EURL, HL_EDNS, HL_ECONNECT; HL_ENOTFOUND: nobody
 * listens on that unix socket. */
HL_MUST_CHECK int hl_ask_open(struct hl_ask *c, const char *url, struct hl_err *err);
/* Sends it and waits for the whole answer. key "" = no Authorization; account "" = no Hookline-Account; body "" = none.
 * The answer's status is not an error. */
HL_MUST_CHECK int hl_ask_run(struct hl_ask *c, const char *method, const char *target, const char *key, const char *account,
		struct hl_str body, struct hl_err *err);
/* The answer as a JSON object. */
HL_MUST_CHECK int hl_ask_json(struct hl_ask *c, struct hl_json *out, struct hl_err *err);
/* A string member of it, decoded; "" when absent or something else. Lives as long as the call. */
struct hl_str hl_ask_text(struct hl_ask *c, struct hl_json object, const char *name);
/* The detail of a problem answer, as an error: "422 invalid: /url: …". */
int hl_ask_problem(struct hl_ask *c, struct hl_err *err);
void hl_ask_close(struct hl_ask *c);

#endif
