/* Accounts: the tenants. Number 1 is "default" and always there.
 *
 * Reading: from a bounded cache on the loop, else from the loop's read transaction. Changing: a command, durable when
 * the callback says so. */
#ifndef HL_SERVICE_ACCOUNTS_H
#define HL_SERVICE_ACCOUNTS_H

#include "service/change.h"

enum {
	HL_ACCOUNT_WORD_MAX = 64,    /* [A-Za-z0-9_.-] */

	HL_EMAIL_MAX = 254,        /* bytes */
	HL_CURRENCY_LEN = 3,       /* ISO 4217, upper case; "" = none */
};

struct hl_account {
	uint32_t number;
	struct hl_str id;
	struct hl_str name;
	struct hl_str tier;               /* "" = the default tier */
	struct hl_str email;              /* "" = none */
	struct hl_str preferred_currency; /* "" = none */
	bool disabled;
	bool email_verified;
	bool alert_emails;
	hl_ms_t created_at_ms, updated_at_ms;
};

/* Which members of an account a change carries. */
enum hl_account_field {
	HL_AF_NAME = 1 << 0,
	HL_AF_TIER = 1 << 1,
	HL_AF_EMAIL = 1 << 2,
	HL_AF_EMAIL_VERIFIED = 1 << 3,
	HL_AF_ALERT_EMAILS = 1 << 4,
	HL_AF_PREFERRED_CURRENCY = 1 << 5,
	HL_AF_DISABLED = 1 << 6,
};

/* HL_ENOTFOUND, HL_EFATAL. The slices live until control returns to the event loop. */
HL_MUST_CHECK int hl_account_get(struct hl_service *s, uint32_t number, struct hl_account *out);
HL_MUST_CHECK int hl_account_find(struct hl_service *s, struct hl_str id, struct hl_account *out);
/* Newest first, as all listings (struct hl_page; no offset, no total). out has room for page->limit. */
HL_MUST_CHECK int hl_account_list(struct hl_service *s, const struct hl_page *page, struct hl_account *out, size_t *out_n,
		struct hl_page_info *info);

/* id "" = made from the number. HL_EINVAL (field = JSON pointer) at once; HL_EEXIST from the callback.
 * object of the callback: struct hl_account. */
HL_MUST_CHECK int hl_account_create(struct hl_service *s, const struct hl_account *a, const struct hl_idempotency *idem,
		hl_change_cb cb, void *data, struct hl_err *err);
HL_MUST_CHECK int hl_account_update(struct hl_service *s, uint32_t number, uint32_t fields, const struct hl_account *values,
		hl_change_cb cb, void *data, struct hl_err *err);

#endif
