/* What a service needs and a library does not: accounts, keys, servers, tiers, request limits, cursors, answers kept for
 * idempotency keys. Shares the dispatcher's store and commit queue; lives on its loop. */
#ifndef HL_SERVICE_SERVICE_H
#define HL_SERVICE_SERVICE_H

#include "service/answers.h"
#include "service/keys.h"
#include "service/limits.h"
#include "service/paging.h"
#include "service/subjects.h"
#include "service/tiers.h"

struct hl_service_options {
	const struct hl_tiers *tiers;  /* copied; NULL = one tier "quant" that may do everything */
	size_t cache_max;              /* keys and accounts kept in memory, each; 0 = 16384 */
};

/* Makes account 1 "default" when the store is new. HL_EIO, HL_EFULL, HL_ENOMEM. */
HL_MUST_CHECK int hl_service_open(struct hl_service **out, struct hl_dispatcher *d, const struct hl_service_options *o,
		struct hl_err *err);
/* Changes under way still end; the service is freed when the last one has, then cb runs (it may be NULL). Close it before
 * the dispatcher. */
void hl_service_close(struct hl_service *s, hl_close_cb cb, void *data);

/* SIGHUP: other tiers from now on. */
void hl_service_set_tiers(struct hl_service *s, const struct hl_tiers *tiers);
const struct hl_tiers *hl_service_tiers(const struct hl_service *s);
/* The tier of an account; never NULL. */
const struct hl_tier *hl_service_tier(const struct hl_service *s, const struct hl_account *a);

struct hl_dispatcher *hl_service_dispatcher(const struct hl_service *s);
const struct hl_env *hl_service_env(const struct hl_service *s);
const struct hl_log *hl_service_log(const struct hl_service *s);
struct hl_limits *hl_service_limits(struct hl_service *s);
/* Key of cursors (hl_page_cursor_*). */
const uint8_t *hl_service_cursor_key(const struct hl_service *s);

#endif
