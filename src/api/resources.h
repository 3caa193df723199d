/* The route tables of the native API, one per resource, and the mounts of the dialects. */
#ifndef HL_API_RESOURCES_H
#define HL_API_RESOURCES_H

#include "api/router.h"

extern const struct hl_routes hl_routes_publish;
extern const struct hl_routes hl_routes_batch;
extern const struct hl_routes hl_routes_events;
extern const struct hl_routes hl_routes_webhooks;
extern const struct hl_routes hl_routes_webhook_actions;
extern const struct hl_routes hl_routes_deliveries;
extern const struct hl_routes hl_routes_undelivered;
extern const struct hl_routes hl_routes_event_types;
extern const struct hl_routes hl_routes_market;
extern const struct hl_routes hl_routes_alerts;
extern const struct hl_routes hl_routes_accounts;
extern const struct hl_routes hl_routes_keys;
extern const struct hl_routes hl_routes_servers;
extern const struct hl_routes hl_routes_health;
extern const struct hl_routes hl_routes_metrics;

extern struct hl_mount hl_mount_cs2cap;
extern struct hl_mount hl_mount_aboutyou;
extern struct hl_mount hl_mount_bitnob;
extern struct hl_mount hl_mount_stellarstack;

/* All mounts, ended by NULL. On a shared prefix the earlier one answers whom no key or header tells apart. */
extern struct hl_mount *const hl_api_mounts[];

#endif
