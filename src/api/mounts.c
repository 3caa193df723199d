/* Which API lives where. */
#include "api/resources.h"

#include "api/call.h"
#include "base/defs.h"

static const struct hl_routes *const native_tables[] = {
	&hl_routes_publish,
	&hl_routes_batch,
	&hl_routes_events,
	&hl_routes_webhooks,
	&hl_routes_webhook_actions,
	&hl_routes_deliveries,
	&hl_routes_undelivered,
	&hl_routes_event_types,
	&hl_routes_market,
	&hl_routes_alerts,
	&hl_routes_accounts,
	&hl_routes_keys,
	&hl_routes_servers,
};
static struct hl_mount native = {
	.prefixes = { "/v1" }, .dialect = HL_DIALECT_HOOKLINE, .credentials = HL_CREDENTIAL_BEARER | HL_CREDENTIAL_API_KEY,
	.documented = HL_CREDENTIAL_BEARER, .tables = native_tables, .n_tables = HL_ARRAY_LEN(native_tables),
	.write_error = hl_call_write_problem, .error_type = "application/problem+json",
};

static const struct hl_routes *const root_tables[] = {
	&hl_routes_health,
	&hl_routes_metrics,
};
static struct hl_mount root = {
	.prefixes = { "" }, .dialect = HL_DIALECT_HOOKLINE, .credentials = HL_CREDENTIAL_BEARER | HL_CREDENTIAL_API_KEY,
	.documented = HL_CREDENTIAL_BEARER, .tables = root_tables, .n_tables = HL_ARRAY_LEN(root_tables),
	.write_error = hl_call_write_problem, .error_type = "application/problem+json",
};

struct hl_mount *const hl_api_mounts[] = {
	&native,
	&hl_mount_cs2cap,
	&hl_mount_aboutyou,
	&hl_mount_bitnob,
	&hl_mount_stellarstack,
	&root,
	NULL,
};
