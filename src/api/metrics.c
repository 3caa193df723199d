/* GET /metrics: Prometheus text format 0.0.4, from the tables of hookline/stats.h, the HTTP counters and /proc/self.
 *
 * Labels are few and fixed: route patterns, status codes, classes, dialects; never ids, URLs or accounts. */
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/str.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void head(struct hl_buf *b, const char *name, const char *type, const char *help)
{
	hl_buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct hl_buf *b, const char *name, const char *type, const char *help, double v)
{
	head(b, name, type, help);
	hl_buf_fmt(b, "%s %.17g\n", name, v);
}

/* A row of the tables of hookline/stats.h; without a help it continues the metric of the row before. */
static void row(struct hl_buf *b, const char *name, const char *type, const char *labels, const char *help, uint64_t v)
{
	if (*help)
		head(b, name, type, help);
	if (*labels)
		hl_buf_fmt(b, "%s{%s} %llu\n", name, labels, (unsigned long long)v);
	else
		hl_buf_fmt(b, "%s %llu\n", name, (unsigned long long)v);
}

static void histogram(struct hl_buf *b, const char *name, const char *help, const struct hl_histogram *h)
{
	uint64_t sum = 0;
	double bound = 0.0005;
	head(b, name, "histogram", help);
	for (int i = 0; i < HL_HISTOGRAM_BUCKETS; i++, bound *= 2) {
		sum += h->buckets[i];
		if (i < HL_HISTOGRAM_BUCKETS - 1)
			hl_buf_fmt(b, "%s_bucket{le=\"%g\"} %llu\n", name, bound, (unsigned long long)sum);
	}
	hl_buf_fmt(b, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.9g\n%s_count %llu\n", name, (unsigned long long)sum, name, h->sum_s,
			name, (unsigned long long)sum);
}

static void dispatcher_metrics(struct hl_call *c, struct hl_buf *b)
{
	static const char *const hundreds[] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };
	struct hl_stats s;
	hl_dispatcher_stats(c->api->dispatcher, &s);
#define HL_X(member, metric, labels, help) row(b, "hookline_" metric, "counter", labels, help, s.member);
	HL_COUNTER_TABLE(HL_X)
#undef HL_X
#define HL_X(member, metric, labels, help) row(b, "hookline_" metric, "gauge", labels, help, s.member);
	HL_GAUGE_TABLE(HL_X)
#undef HL_X
	head(b, "hookline_attempts_total", "counter", "Attempts ended, by error class (none = success) and status");
	for (int i = 0; i < HL_CLASS_N; i++)
		for (size_t h = 0; h < HL_ARRAY_LEN(hundreds); h++)
			if (s.attempts[i][h])
				hl_buf_fmt(b, "hookline_attempts_total{class=\"%s\",status=\"%s\"} %llu\n",
						hl_class_name((enum hl_class)i), hundreds[h], (unsigned long long)s.attempts[i][h]);
	hl_ms_t now = hl_env_wall_ms(c->api->env);
	one(b, "hookline_oldest_pending_age_seconds", "gauge", "Age of the oldest pending delivery",
			s.oldest_pending_at_ms ? (double)HL_MAX(now - s.oldest_pending_at_ms, 0) / 1e3 : 0);
	histogram(b, "hookline_attempt_duration_seconds", "Duration of attempts", &s.attempt);
	histogram(b, "hookline_delivery_latency_seconds", "From accepted to 2xx", &s.latency);
	histogram(b, "hookline_dns_duration_seconds", "Time attempts took to find the address of a name (none when it is cached)",
			&s.dns);
	histogram(b, "hookline_store_commit_duration_seconds", "Duration of store commits", &s.commit);
	histogram(b, "hookline_loop_lag_seconds", "How late the event loop's own timer fired", &s.loop_lag);
}

static void alert_metrics(struct hl_call *c, struct hl_buf *b)
{
	struct hl_alerts_stats s;
	hl_alerts_stats(c->api->alerts, &s);
	row(b, "hookline_market_ticks_total", "counter", "", "Quotes of the market applied", s.ticks);
	row(b, "hookline_alerts_fired_total", "counter", "", "Events of alerts stored", s.fired);
	row(b, "hookline_market_items", "gauge", "", "Items of the market", s.items);
	row(b, "hookline_market_quotes", "gauge", "", "Asks and bids in force", s.quotes);
	row(b, "hookline_alerts_enabled", "gauge", "", "Alerts waiting to fire", s.rules_enabled);
	row(b, "hookline_alerts_firing", "gauge", "", "Alerts that fired and are not stored yet", s.firing);
	row(b, "hookline_market_log_bytes", "gauge", "", "Quotes not yet written to their items", s.log_bytes);
	row(b, "hookline_alerts_memory_bytes", "gauge", "", "Memory of the market and its alerts", s.memory_bytes);
}

static void requests_of(struct hl_buf *b, const char *method, const char *prefix, const char *pattern,
		const struct hl_route_count *k)
{
	for (size_t i = 0; i < HL_API_CODES_MAX && k->status[i]; i++)
		hl_buf_fmt(b, "hookline_http_requests_total{method=\"%s\",route=\"%s%s\",code=\"%u\"} %llu\n", method, prefix,
				pattern, k->status[i], (unsigned long long)k->n[i]);
}

static void http_metrics(struct hl_call *c, struct hl_buf *b)
{
	const struct hl_api *api = c->api;
	struct hl_server_stats sum = { .connections = 0 };
	head(b, "hookline_http_requests_total", "counter", "API requests answered, by route and status (499 = client gone)");
	for (size_t m = 0; hl_api_mounts[m]; m++)
		for (size_t i = 0; i < hl_router_count(hl_api_mounts[m]); i++) {
			const struct hl_route *r = hl_router_at(hl_api_mounts[m], i);
			requests_of(b, hl_method_name(r->method), hl_api_mounts[m]->prefixes[0], r->pattern,
					&api->counts[hl_api_mounts[m]->first + i]);
		}
	requests_of(b, "any", "none", "", &api->counts[api->n_routes]);
	histogram(b, "hookline_http_request_duration_seconds", "From the head of an API request to its answer", &api->durations);
	for (size_t i = 0; i < HL_API_SERVERS_MAX; i++) {
		if (!api->servers[i])
			continue;
		const struct hl_server_stats *s = hl_server_stats(api->servers[i]);
		sum.connections += s->connections;
		sum.accepted += s->accepted;
		sum.refused += s->refused;
		sum.overloaded += s->overloaded;
		sum.dropped += s->dropped;
		sum.aborted += s->aborted;
	}
	one(b, "hookline_http_connections", "gauge", "Inbound connections now", sum.connections);
	one(b, "hookline_http_connections_accepted_total", "counter", "Inbound connections ever", (double)sum.accepted);
	one(b, "hookline_http_refused_total", "counter", "Requests refused as malformed, too large or too slow", (double)sum.refused);
	one(b, "hookline_http_overloaded_total", "counter", "Requests refused because too many were under way", (double)sum.overloaded);
	one(b, "hookline_http_dropped_total", "counter", "Idle connections closed to make room for others", (double)sum.dropped);
	one(b, "hookline_http_aborted_total", "counter", "Requests whose client went away", (double)sum.aborted);
}

/* A number after `name` in /proc/self/status, in kB. */
static double status_kib(const char *text, const char *name)
{
	const char *p = strstr(text, name);
	unsigned long v = 0;
	return p && sscanf(p + strlen(name), " %lu", &v) == 1 ? (double)v : 0;
}

static void memory_metrics(struct hl_buf *b)
{
	char text[4096];
	FILE *f = fopen("/proc/self/status", "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	one(b, "process_resident_memory_bytes", "gauge", "Resident memory, the store's mapped pages included",
			status_kib(text, "VmRSS:") * 1024);
	one(b, "process_resident_memory_anon_bytes", "gauge", "Resident memory that belongs to no file",
			status_kib(text, "RssAnon:") * 1024);
	one(b, "process_virtual_memory_bytes", "gauge", "Address space, the store's map included", status_kib(text, "VmSize:") * 1024);
}

/* Seconds since 1970 at which this process began: boot time + field 22 of /proc/self/stat. Boot time by the clocks, because
 * /proc/stat is hidden from a confined service. */
static double start_time(void)
{
	static double known;
	char text[1024];
	unsigned long long ticks = 0;
	if (known > 0)
		return known;
	FILE *f = fopen("/proc/self/stat", "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	const char *p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks) != 1)
		return 0;
	struct timespec wall, boot;
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	known = (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9 +
			(double)ticks / (double)sysconf(_SC_CLK_TCK);
	return known;
}

/* To count descriptors is to read a directory of them, in a crowd a long one: once a second is enough. */
static size_t open_files(hl_ms_t now_mono_ms)
{
	static hl_ms_t counted_mono_ms;
	static size_t known;
	if (known && now_mono_ms - counted_mono_ms < 1000)
		return known;
	size_t n = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	counted_mono_ms = now_mono_ms;
	known = n > 3 ? n - 3 : 0; /* ., .., dir */
	return known;
}

static void process_metrics(struct hl_call *c, struct hl_buf *b)
{
	struct rusage u;
	struct rlimit fds;
	if (!getrusage(RUSAGE_SELF, &u))
		one(b, "process_cpu_seconds_total", "counter", "User and system CPU time",
				(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	one(b, "process_open_fds", "gauge", "Open file descriptors", (double)open_files(hl_env_mono_ms(c->api->env)));
	if (!getrlimit(RLIMIT_NOFILE, &fds))
		one(b, "process_max_fds", "gauge", "Limit of open file descriptors", (double)fds.rlim_cur);
	memory_metrics(b);
	one(b, "process_start_time_seconds", "gauge", "When the process began, in seconds since 1970", start_time());
	head(b, "hookline_build_info", "gauge", "Always 1; the labels say what runs");
	hl_buf_fmt(b, "hookline_build_info{version=\"%s\",uv=\"%s\"} 1\n", c->api->version, uv_version_string());
}

static void metrics(struct hl_call *c)
{
	if (!hl_query_none(c))
		return;
	hl_buf_reset(&c->out);
	dispatcher_metrics(c, &c->out);
	alert_metrics(c, &c->out);
	http_metrics(c, &c->out);
	process_metrics(c, &c->out);
	hl_call_send_as(c, 200, "text/plain; version=0.0.4; charset=utf-8");
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/metrics", 0, HL_ROUTE_PUBLIC, metrics },
};
const struct hl_routes hl_routes_metrics = { routes, HL_ARRAY_LEN(routes) };
