/* A webhook from JSON and to JSON, by one table: create and patch read the same members the same way. */
#ifndef HL_API_WEBHOOK_JSON_H
#define HL_API_WEBHOOK_JSON_H

#include "api/call.h"

struct hl_webhook_input {
	struct hl_webhook w;    /* slices and arrays live in the reader's arena */
	uint32_t fields;        /* set of enum hl_webhook_field that were given */
	struct hl_str secret;   /* "" = none was given */
};

/* Where ids of servers are looked up, and for whom. */
struct hl_webhook_scope {
	struct hl_api *api;
	uint32_t account;
};

/* create: url is required, secret allowed. HL_ESYNTAX, HL_EINVAL, HL_EDUPLICATE with the member in err->field. */
HL_MUST_CHECK int hl_webhook_read(struct hl_reader *r, const struct hl_webhook_scope *scope, struct hl_str text, bool create,
		struct hl_webhook_input *out);
/* The whole object; with "secret" when secret is not empty. */
void hl_webhook_write(struct hl_jsonw *w, const struct hl_webhook_scope *scope, const struct hl_webhook *v,
		struct hl_str secret);

/* "server": an id of the account's, null = 0. Shared with events. */
HL_MUST_CHECK int hl_server_id_read(struct hl_reader *r, const struct hl_webhook_scope *scope, const struct hl_json_field *f,
		uint64_t *out_number);
void hl_server_id_write(struct hl_jsonw *w, const struct hl_webhook_scope *scope, uint64_t number);

#endif
