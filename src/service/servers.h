/* Servers: what events may be about (a game server, a shop). */
#ifndef HL_SERVICE_SERVERS_H
#define HL_SERVICE_SERVERS_H

#include "service/accounts.h"

enum { HL_SERVER_NAME_MAX = 120, HL_SERVER_STATUS_MAX = 60 }; /* Unicode scalar values */

struct hl_server {
	uint64_t number;
	uint32_t account;
	struct hl_str name;
	struct hl_str status;      /* free text, "" = not said */
	hl_ms_t created_at_ms, updated_at_ms;
};

enum hl_server_field {
	HL_SF_NAME = 1 << 0,
	HL_SF_STATUS = 1 << 1,
};

HL_MUST_CHECK int hl_server_get(struct hl_service *s, uint32_t account, uint64_t number, struct hl_server *out);
/* See hl_account_list. */
HL_MUST_CHECK int hl_server_list(struct hl_service *s, uint32_t account, const struct hl_page *page, struct hl_server *out,
		size_t *out_n, struct hl_page_info *info);
HL_MUST_CHECK int hl_server_create(struct hl_service *s, const struct hl_server *v, const struct hl_idempotency *idem,
		hl_change_cb cb, void *data, struct hl_err *err);
HL_MUST_CHECK int hl_server_update(struct hl_service *s, uint32_t account, uint64_t number, uint32_t fields,
		const struct hl_server *values, hl_change_cb cb, void *data, struct hl_err *err);
HL_MUST_CHECK int hl_server_delete(struct hl_service *s, uint32_t account, uint64_t number, hl_change_cb cb, void *data,
		struct hl_err *err);

#endif
