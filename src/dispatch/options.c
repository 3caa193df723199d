/* Defaults and ranges of the library's options. */
#include "dispatch/options.h"

#include "base/err.h"
#include "dispatch/validate.h"
#include <stdio.h>
#include <string.h>

#ifndef HL_VERSION
#define HL_VERSION "0.1.0"
#endif

void hl_options_init(struct hl_options *o)
{
	*o = (struct hl_options){
		.store_max_bytes = 64ull << 30,
		.retention_s = 30 * 86400,
		.retention_percent = 60,
		.window_s = 48 * 3600,
		.rotation_overlap_s = 86400,
		.connect_timeout_ms = 5000,
		.timeout_ms = 15000,
		.timeout_dialects_ms = 10000,
		.max_in_flight = 2000,
		.max_slow = 500,
		.max_in_flight_per_webhook = 20,
		.park_after = 5,
		.data_max = HL_DATA_MAX_DEFAULT,
		.window_bytes = 64ull << 20,
		.max_uncommitted = 4096,
		.max_connections = 16384,
		.idle_timeout_ms = 4000,
		.final_statuses = "400,405,411,413,414,415,422,431",
		.user_agent = "Hookline/" HL_VERSION,
		.allow_networks = "",
		.allow_hosts = "",
		.nat64_prefixes = "",
		.ports = "",
		.allow_http = true,
		.own_listeners = "",
		.dns_servers = "",
		.log_level = HL_LOG_INFO,
	};
}

/* X(member, "option", least, most) */
#define RANGES(X)                                                                       \
	X(store_max_bytes, "store.max_size", 64ull << 20, 1ull << 46)                  \
	X(retention_s, "store.retention", 3600, 3650u * 86400)                         \
	X(retention_percent, "store.retention_percent", 1, 80)                         \
	X(window_s, "delivery.window", 1, HL_WINDOW_MAX_S)                             \
	X(rotation_overlap_s, "delivery.rotation_overlap", 0, 7 * 86400)               \
	X(connect_timeout_ms, "delivery.connect_timeout", 1, HL_TIMEOUT_MAX_MS)        \
	X(timeout_ms, "delivery.timeout", 1, HL_TIMEOUT_MAX_MS)                        \
	X(timeout_dialects_ms, "delivery.timeout_dialects", 1, HL_TIMEOUT_MAX_MS)      \
	X(max_in_flight, "delivery.max_in_flight", 1, 65536)                           \
	X(max_slow, "delivery.max_slow", 1, 65536)                                     \
	X(max_in_flight_per_webhook, "delivery.max_in_flight_per_webhook", 1, HL_IN_FLIGHT_MAX) \
	X(park_after, "delivery.park_after", 1, 1000)                                  \
	X(data_max, "limits.body_max", 1 << 10, 64 << 20)                              \
	X(window_bytes, "delivery.window_bytes", 1 << 20, 1ull << 36)                  \
	X(max_uncommitted, "delivery.max_uncommitted", 1, 65536)                       \
	X(max_connections, "delivery.max_connections", 1, 1 << 20)                     \
	X(idle_timeout_ms, "delivery.idle_timeout", 1, 600000)

static int check_ranges(const struct hl_options *o, struct hl_err *err)
{
#define X(member, option, least, most)                                                                             \
	if ((uint64_t)o->member + 1 < (uint64_t)(least) + 1 || (uint64_t)o->member > (uint64_t)(most))              \
		return hl_err_field(err, HL_EINVAL, option, "must lie between %llu and %llu, is %llu",              \
				(unsigned long long)(least), (unsigned long long)(most), (unsigned long long)o->member);
	RANGES(X)
#undef X
	return 0;
}

int hl_options_apply(struct hl_dispatcher *d, const struct hl_options *o, struct hl_err *err)
{
	struct hl_settings *s = &d->set;
	if (!o->data_dir || !*o->data_dir)
		return hl_err_field(err, HL_EINVAL, "store.dir", "is required");
	int rc = check_ranges(o, err);
	if (rc == 0)
		rc = hl_validate_retry(&o->retry, "delivery.retry", err);
	if (rc == 0)
		rc = hl_validate_retry(&o->retry_dialects, "delivery.retry_dialects", err);
	if (rc)
		return rc;
	rc = hl_policy_finals_parse(hl_str_from(o->final_statuses), &s->finals, err);
	if (rc) {
		if (err)
			snprintf(err->field, sizeof(err->field), "delivery.final_statuses");
		return rc;
	}
	struct hl_str agent = hl_str_from(o->user_agent);
	if (agent.len == 0 || agent.len >= sizeof(s->user_agent) || !hl_str_all_between(agent, 0x20, 0x7e))
		return hl_err_field(err, HL_EINVAL, "delivery.user_agent", "must be 1 to 127 printable ASCII characters");
	memcpy(s->user_agent, agent.ptr, agent.len + 1);
	s->policy = (struct hl_policy_defaults){ .native = o->retry, .dialects = o->retry_dialects, .window_s = o->window_s };
	s->rotation_overlap_s = o->rotation_overlap_s;
	s->timeout_ms = o->timeout_ms;
	s->timeout_dialects_ms = o->timeout_dialects_ms;
	s->max_in_flight_per_webhook = o->max_in_flight_per_webhook;
	s->park_after = o->park_after;
	s->max_uncommitted = o->max_uncommitted;
	s->retention_s = o->retention_s;
	s->retention_bytes = o->store_max_bytes / 100 * o->retention_percent;
	s->data_max = o->data_max;
	return 0;
}
