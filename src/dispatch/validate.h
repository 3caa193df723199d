/* The limits of what callers hand in. Every failure is HL_EINVAL (HL_ETOOBIG, HL_ESYNTAX for data) with a JSON pointer
 * in err->field and the rule in words in err->text. URLs are the business of http/url and the egress rule. */
#ifndef HL_DISPATCH_VALIDATE_H
#define HL_DISPATCH_VALIDATE_H

#include <hookline/dispatcher.h>

enum {
	HL_VALIDATE_DEFER_MAX_DAYS = 30, /* deliver_after at most this many days ahead */
	HL_VALIDATE_DELAY_MAX_S = 172800,   /* one entry of a list of delays */
	HL_VALIDATE_TITLE_MAX = 200,        /* scalar values: title, category of an event type */
};

/* 1–128 of [A-Za-z0-9_.-]. */
bool hl_validate_type_ok(struct hl_str type);

/* w: the webhook as it would be stored (an update merged into the old record); fields: the members to judge,
 * UINT32_MAX on creation. A telegram webhook whose URL or format is judged must have chat_id in its query. */
HL_MUST_CHECK int hl_validate_webhook(const struct hl_webhook *w, uint32_t fields, struct hl_err *err);
/* data_max: longest data in bytes. */
HL_MUST_CHECK int hl_validate_publish(const struct hl_publish *p, size_t data_max, hl_ms_t now_ms, struct hl_err *err);
HL_MUST_CHECK int hl_validate_idempotency(const struct hl_idempotency *i, struct hl_err *err);
HL_MUST_CHECK int hl_validate_event_type(const struct hl_event_type *t, struct hl_err *err);
/* field: what err->field starts with ("/retry", or an option's name). */
HL_MUST_CHECK int hl_validate_retry(const struct hl_retry *r, const char *field, struct hl_err *err);

#endif
