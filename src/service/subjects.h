/* Servers: what events may be about (a game server, a shop). Not to be confused with the HTTP server. */
#ifndef HL_SERVICE_SUBJECTS_H
#define HL_SERVICE_SUBJECTS_H

#include "service/accounts.h"

enum { HL_SUBJECT_STATUS_MAX = 60 }; /* Unicode scalar values; names: HL_NAME_MAX */

/* "subject" in code, "server" in the API. */
struct hl_subject {
	uint64_t number;
	uint32_t account;
	struct hl_str name;
	struct hl_str status;      /* free text, "" = not said */
	hl_ms_t created_at_ms, updated_at_ms;
};

enum hl_subject_field {
	HL_SF_NAME = 1 << 0,
	HL_SF_STATUS = 1 << 1,
};

HL_MUST_CHECK int hl_subject_get(struct hl_service *s, uint32_t account, uint64_t number, struct hl_subject *out);
/* See hl_account_list. */
HL_MUST_CHECK int hl_subject_list(struct hl_service *s, uint32_t account, const struct hl_page *page,
		struct hl_subject *out, size_t *out_n, struct hl_page_info *info);
/* Object of the callback: struct hl_subject; NULL after a delete. */
HL_MUST_CHECK int hl_subject_create(struct hl_service *s, const struct hl_subject *v, const struct hl_idempotency *idem,
		hl_change_cb cb, void *data, struct hl_err *err);
HL_MUST_CHECK int hl_subject_update(struct hl_service *s, uint32_t account, uint64_t number, uint32_t fields,
		const struct hl_subject *values, hl_change_cb cb, void *data, struct hl_err *err);
HL_MUST_CHECK int hl_subject_delete(struct hl_service *s, uint32_t account, uint64_t number, hl_change_cb cb, void *data,
		struct hl_err *err);

#endif
