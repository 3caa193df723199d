/* Every option of the program, in one table: the struct, the defaults, the file, the environment, --set, --help, the
 * manual page and --print-config are made from it.
 *
 * A value comes from the last of these that names it: default, file, environment (HOOKLINE_SECTION_KEY), flags. */
#ifndef HL_MAIN_CONFIG_H
#define HL_MAIN_CONFIG_H

#include "main/value.h"
#include "net/addr.h"
#include "service/tiers.h"
#include <hookline/dispatcher.h>

#define HL_KIB 1024ull
#define HL_MIB (1024 * HL_KIB)
#define HL_GIB (1024 * HL_MIB)
#define HL_TIB (1024 * HL_GIB)
#define HL_LIST_MAX 8192

/* X(section, key, KIND, member of struct hl_config, min, max, default, what it is)
 * min and max are in the kind's unit: bytes, milliseconds (MS), seconds (S), length of a text. */
#define HL_CONFIG_TABLE(X)                                                                                              \
	X(server, listen, LIST, listen, 0, HL_LIST_MAX, "127.0.0.1:8420",                                               \
	  "Where to listen: address:port, [address]:port or unix:path; parted by commas. Sockets from systemd come on top, " \
	  "or take the default's place")                                                                                \
	X(server, socket_mode, MODE, socket_mode, 0, 0777, "0660",                                                      \
	  "Permission bits of the unix sockets of server.listen")                                                       \
	X(server, max_connections, COUNT, max_connections, 16, 65536, "1024",                                           \
	  "Clients connected at once; who rests longest makes room. Three quarters may ask at a time, the rest is for health "  \
	  "and metrics")                                \
	X(server, head_timeout, MS, head_timeout_ms, 100, 600000, "10s",                                                \
	  "A request's head must be complete after this time")                                                          \
	X(server, body_timeout, MS, body_timeout_ms, 100, 600000, "30s",                                                \
	  "A request's body must be complete after this time")                                                          \
	X(server, idle_timeout, MS, idle_timeout_ms, 100, 3600000, "65s",                                               \
	  "A connection without a request is closed after this time; longer than the proxy's")                          \
	X(server, drain_timeout, MS, drain_timeout_ms, 0, 600000, "20s",                                                \
	  "After SIGTERM requests and attempts under way may take this long to end")                                    \
	X(server, sandbox, SANDBOX, sandbox, 0, 0, "auto",                                                              \
	  "Keep the process to its own files by Landlock: where the kernel has it, never, or not start without it")     \
	X(server, core_dumps, BOOL, core_dumps, 0, 1, "no",                                                             \
	  "Whether a crash may leave a core file, and others of this user may look into the process. A core holds the "  \
	  "sealing key, secrets and payloads")                                                                           \
	X(store, dir, PATH, engine.data_dir, 1, 4096, "data",                                                           \
	  "The data directory; made if missing")                                                                        \
	X(store, max_size, SIZE, engine.store_max_bytes, 64 * HL_MIB, 16 * HL_TIB, "64GiB",                             \
	  "Quota of the store. Publishers are refused (507) at 85 % of it")                                             \
	X(store, retention, S, engine.retention_s, 3600, 3650 * 86400, "30d",                                           \
	  "Ended deliveries and their events are kept this long")                                                       \
	X(store, retention_percent, COUNT, engine.retention_percent, 1, 80, "60",                                       \
	  "... or until the store holds this percentage of its quota")                                                  \
	X(store, key_file, PATH, engine.key_file, 0, 4096, "",                                                          \
	  "The sealing key of webhook secrets; empty: $CREDENTIALS_DIRECTORY/hookline.key if there is one, else the "   \
	  "file \"key\" in the data directory, made on first start")                                                    \
	X(store, event_types, PATH, event_types, 0, 4096, "",                                                           \
	  "Event types a new store begins with: a file as PUT /v1/event-types takes it; empty: those of the four "      \
	  "dialects; none: no types. A store in use is never changed by it")                                            \
	X(delivery, retry, RETRY, engine.retry, 0, 0, "exponential",                                                    \
	  "When native webhooks that say nothing are tried again")                                                      \
	X(delivery, retry_dialects, RETRY, engine.retry_dialects, 0, 0, "hourly",                                       \
	  "The same for webhooks made through one of the four dialects")                                                \
	X(delivery, window, S, engine.window_s, 1, HL_WINDOW_MAX_S, "48h",                                             \
	  "How long a delivery is tried before it fails")                                                               \
	X(delivery, rotation_overlap, S, engine.rotation_overlap_s, 0, 604800, "24h",                                   \
	  "After a secret was rotated the old one signs as well for this long")                                         \
	X(delivery, connect_timeout, MS, engine.connect_timeout_ms, 1, 60000, "5s",                                   \
	  "To a receiver's address")                                                                                    \
	X(delivery, timeout, MS, engine.timeout_ms, 1, HL_TIMEOUT_MAX_MS, "15s",                                      \
	  "A whole attempt, from connecting to the end of the answer")                                                  \
	X(delivery, timeout_dialects, MS, engine.timeout_dialects_ms, 1, HL_TIMEOUT_MAX_MS, "10s",                    \
	  "The same for webhooks made through one of the four dialects")                                                \
	X(delivery, max_in_flight, COUNT, engine.max_in_flight, 1, 65536, "2000",                                      \
	  "Attempts at once")                                                                                           \
	X(delivery, max_slow, COUNT, engine.max_slow, 1, 65536, "500",                                                 \
	  "Attempts at once that are slow or go to receivers that were slow")                                           \
	X(delivery, max_in_flight_per_webhook, COUNT, engine.max_in_flight_per_webhook, 1, HL_IN_FLIGHT_MAX, "20",      \
	  "Attempts at once to one webhook that says nothing")                                                          \
	X(delivery, park_after, COUNT, engine.park_after, 1, 1000, "5",                                                 \
	  "Failures in a row that say \"unavailable\" after which a webhook is only probed")                            \
	X(delivery, window_bytes, SIZE, engine.window_bytes, HL_MIB, 64 * HL_GIB, "64MiB",                              \
	  "Memory for events that wait to be sent")                                                                     \
	X(delivery, max_uncommitted, COUNT, engine.max_uncommitted, 1, 65536, "4096",                                   \
	  "Outcomes waiting for the disk before dispatch pauses; bounds repeats after a crash")                         \
	X(delivery, max_connections, COUNT, engine.max_connections, 8, 1 << 20, "16384",                                  \
	  "Outbound connections, idle ones included")                                                                   \
	X(delivery, idle_timeout, MS, engine.idle_timeout_ms, 1, 600000, "4s",                                          \
	  "A kept connection without use is closed after this time")                                                    \
	X(delivery, final_statuses, LIST, engine.final_statuses, 0, 1024, "400,405,411,413,414,415,422,431",            \
	  "Answers that end a delivery as failed at once")                                                              \
	X(delivery, user_agent, TEXT, engine.user_agent, 0, 127, "",                                                    \
	  "User-Agent of every attempt; empty: Hookline/VERSION")                                                       \
	X(egress, allow_networks, LIST, engine.allow_networks, 0, HL_LIST_MAX, "",                                      \
	  "Networks (CIDR) webhooks may reach although they are private or reserved")                                   \
	X(egress, allow_hosts, LIST, engine.allow_hosts, 0, HL_LIST_MAX, "",                                            \
	  "Exact host names webhooks may reach wherever they resolve to")                                               \
	X(egress, nat64_prefixes, LIST, engine.nat64_prefixes, 0, HL_LIST_MAX, "",                                      \
	  "IPv6 /96 prefixes whose last 32 bits are judged as IPv4")                                                    \
	X(egress, ports, LIST, engine.ports, 0, HL_LIST_MAX, "",                                                        \
	  "Ports and ranges webhooks may use; empty: 80, 443 and 1024-65535 less the well-known services")              \
	X(egress, allow_http, BOOL, engine.allow_http, 0, 1, "yes",                                                     \
	  "Whether webhooks may use http as well as https")                                                             \
	X(egress, dns_servers, LIST, engine.dns_servers, 0, HL_LIST_MAX, "",                                            \
	  "Name servers, address[:port]; empty: the system's")                                                          \
	X(tls, ca_file, PATH, engine.ca_file, 0, 4096, "",                                                              \
	  "Certificates to trust; empty: $SSL_CERT_FILE, else the system's bundle. Read again on SIGHUP")               \
	X(limits, body_max, SIZE, body_max, HL_KIB, 64 * HL_MIB, "1MiB",                                                \
	  "Largest request body, and largest line of a batch")                                                          \
	X(limits, tiers, TEXT, tiers_text, 1, HL_LIST_MAX, "quant: webhooks, batch",                                    \
	  "What accounts may do, tier by tier; the first is the default: "                                              \
	  "\"NAME: webhooks, batch, rpm=N, max_webhooks=N, max_enabled_alerts=N; NAME: ...\"") \
	X(log, level, LEVEL, engine.log_level, 0, 0, "info",                                                            \
	  "What is logged. SIGHUP reads it again")                                                                      \
	X(log, format, LOG_FORMAT, log_format, 0, 0, "auto",                                                            \
	  "How lines look; auto is logfmt")

/* Position in the table. */
enum hl_setting_index {
#define HL_X(section, key, kind, member, min, max, dflt, help) HL_SETTING_##section##_##key,
	HL_CONFIG_TABLE(HL_X)
#undef HL_X
	HL_SETTING_N
};

struct hl_setting {
	const char *section;
	const char *key;
	enum hl_value_kind kind;
	size_t offset;            /* of the member in struct hl_config */
	uint64_t min, max;
	const char *dflt;
	const char *help;
};
extern const struct hl_setting hl_settings[HL_SETTING_N];

enum { HL_CONFIG_SOURCE_CAP = 96, HL_CONFIG_LISTEN_MAX = 12 };

struct hl_config {
	struct hl_options engine;     /* data_dir, hooks, env and own_listeners are set by whoever opens the engine */
	const char *listen;
	uint32_t socket_mode;
	uint32_t max_connections;
	uint32_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, drain_timeout_ms;
	enum hl_sandbox_mode sandbox;
	bool core_dumps;
	uint64_t body_max;
	const char *event_types;
	const char *tiers_text;
	struct hl_addr addrs[HL_CONFIG_LISTEN_MAX]; /* listen, read by hl_config_check */
	unsigned n_addrs;
	struct hl_tiers tiers;        /* tiers_text, read by hl_config_check */
	enum hl_log_format log_format;
	char *text[HL_SETTING_N];     /* the value as given; owned, the members above point into it */
	char source[HL_SETTING_N][HL_CONFIG_SOURCE_CAP]; /* "default", "hookline.conf:12", "HOOKLINE_LOG_LEVEL", "--set" */
};

HL_MUST_CHECK int hl_config_init(struct hl_config *c, struct hl_err *err); /* defaults */
void hl_config_fini(struct hl_config *c);
/* One value; the reader copies it. append: a list grows instead of being replaced. HL_EINVAL, err->field "section.key". */
HL_MUST_CHECK int hl_config_set(struct hl_config *c, enum hl_setting_index i, const char *value, bool append,
		const char *source, struct hl_err *err);
/* HL_EINVAL naming file and line, and for an unknown key the nearest one; HL_EIO when it cannot be read. */
HL_MUST_CHECK int hl_config_read_file(struct hl_config *c, const char *path, struct hl_err *err);
/* environ-like list. Names of our sections with an unknown key are errors; other HOOKLINE_… names are left alone. */
HL_MUST_CHECK int hl_config_read_env(struct hl_config *c, char *const *env, struct hl_err *err);
/* "section.key=value" from the command line. */
HL_MUST_CHECK int hl_config_read_assignment(struct hl_config *c, const char *text, struct hl_err *err);
/* What a single value cannot know: lists whose entries must read, values that must fit each other. Fills in addrs and tiers. */
HL_MUST_CHECK int hl_config_check(struct hl_config *c, struct hl_err *err);

/* Index of a setting, or -1. */
int hl_setting_find(struct hl_str section, struct hl_str key);
/* The setting whose "section.key" is most like text; NULL when none is near. */
const struct hl_setting *hl_setting_nearest(struct hl_str text);

#endif
