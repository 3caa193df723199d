/* Tiers: what an account may do. Configuration data, not records: an account names its tier.
 *
 * Text form, as the configuration file has it, entries parted by ";":
 *   quant: webhooks, batch; free: rpm=20, max_enabled_alerts=25
 * The first entry is the default tier. An account whose tier is no longer configured gets the default one's rights. */
#ifndef HL_SERVICE_TIERS_H
#define HL_SERVICE_TIERS_H

#include <hookline/error.h>

enum { HL_TIERS_MAX = 32, HL_TIER_NAME_MAX = 32 };

struct hl_tier {
	char name[HL_TIER_NAME_MAX + 1]; /* [A-Za-z0-9_.-] */
	bool webhooks;                   /* may register webhooks */
	bool batch;                      /* may publish in batches */
	uint32_t rpm;                    /* requests per minute and key, 0 = no limit */
	uint32_t max_webhooks;           /* 0 = no limit */
	uint32_t max_enabled_alerts;     /* 0 = no limit */
};

struct hl_tiers {
	struct hl_tier list[HL_TIERS_MAX];
	size_t n;                        /* ≥ 1 */
};

/* One tier "quant" that may do everything. */
void hl_tiers_init(struct hl_tiers *t);
/* HL_EINVAL telling which entry is wrong; *out is written only on success. */
HL_MUST_CHECK int hl_tiers_parse(struct hl_str text, struct hl_tiers *out, struct hl_err *err);
/* By name, "" = the default; NULL when it is not configured. */
const struct hl_tier *hl_tiers_find(const struct hl_tiers *t, struct hl_str name);

#endif
