/* Counters and gauges of a dispatcher: one X-table, from which the struct and /metrics are made. */
#ifndef HOOKLINE_STATS_H
#define HOOKLINE_STATS_H

#include <hookline/event.h>

/* Only ever grow while the process lives. X(member, metric name without "hookline_", labels, help)
 * Rows of one name stand together and share the first one's help. */
#define HL_COUNTER_TABLE(X) \
	X(events_accepted, "events_accepted_total", "", "Events stored with all their deliveries") \
	X(events_refused_full, "events_refused_full_total", "", "Events refused because the store or disk was full") \
	X(deliveries_created, "deliveries_created_total", "", "Deliveries made: by events, replays and new tries") \
	X(deliveries_succeeded, "deliveries_total", "result=\"succeeded\"", "Deliveries ended, by result") \
	X(deliveries_failed, "deliveries_total", "result=\"failed\"", "") \
	X(deliveries_cancelled, "deliveries_total", "result=\"cancelled\"", "") \
	X(attempts_resent, "attempts_resent_total", "", "Requests sent once more because a reused connection had died") \
	X(connections_opened, "connections_opened_total", "", "Outbound connections opened") \
	X(connections_reused, "connections_reused_total", "", "Requests sent on a kept connection") \
	X(tls_handshakes_full, "tls_handshakes_total", "resumed=\"no\"", "Outbound TLS handshakes") \
	X(tls_handshakes_resumed, "tls_handshakes_total", "resumed=\"yes\"", "") \
	X(dns_queries, "dns_queries_total", "", "Names looked up past the cache") \
	X(queues_parked, "queues_parked_total", "", "Times a queue was parked") \
	X(queues_opened, "queues_opened_total", "", "Times a probe opened a parked queue") \
	X(commits, "store_commits_total", "", "Store transactions committed") \
	X(commands, "store_commands_total", "", "Commands in those transactions")

/* Go up and down. */
#define HL_GAUGE_TABLE(X) \
	X(pending_deliveries, "pending_deliveries", "", "Deliveries not ended") \
	X(due_deliveries, "due_deliveries", "", "Deliveries in memory that could be sent now") \
	X(inflight_attempts, "inflight_attempts", "", "Attempts being made") \
	X(inflight_slow, "inflight_slow_attempts", "", "Attempts in the slow lane") \
	X(queues_active, "queues_active", "", "Webhooks with work in memory") \
	X(queues_parked_now, "queues_parked", "", "Queues parked now") \
	X(connections_idle, "connections_idle", "", "Kept outbound connections not in use") \
	X(commit_backlog, "store_commit_backlog", "", "Commands waiting for the storage thread") \
	X(webhooks_enabled, "webhooks", "state=\"enabled\"", "Webhooks by state") \
	X(webhooks_paused, "webhooks", "state=\"paused\"", "") \
	X(webhooks_disabled, "webhooks", "state=\"disabled\"", "") \
	X(store_used_bytes, "store_bytes", "kind=\"used\"", "Bytes in use, free for reuse, and the quota (store.max_size)") \
	X(store_free_bytes, "store_bytes", "kind=\"free\"", "") \
	X(store_max_bytes, "store_bytes", "kind=\"quota\"", "")

#define HL_HISTOGRAM_BUCKETS 20 /* upper bounds 0.5 ms · 2^i, i = 0 … 18, and +Inf */

/* A latency histogram: bucket i counts samples at or below 0.5 ms · 2^i. */
struct hl_histogram {
	uint64_t buckets[HL_HISTOGRAM_BUCKETS]; /* not cumulative */
	uint64_t count;
	double sum_s;
};

struct hl_stats {
#define HL_X(member, metric, labels, help) uint64_t member;
	HL_COUNTER_TABLE(HL_X)
	HL_GAUGE_TABLE(HL_X)
#undef HL_X
	uint64_t attempts[HL_CLASS_N][6];  /* by class and status hundred (index 0 = no answer) */
	hl_ms_t oldest_pending_at_ms;      /* 0 = nothing pending */
	struct hl_histogram attempt;       /* duration of attempts */
	struct hl_histogram latency;       /* accepted → 2xx, first attempts and retries alike */
	struct hl_histogram dns;           /* how long attempts took to find an address; 0 when it was known */
	struct hl_histogram commit;        /* duration of store commits */
	struct hl_histogram loop_lag;      /* how late the loop's own timer fired */
};

#endif
