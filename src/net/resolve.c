/* Names to addresses: cache, merging and budget around a DNS channel.
 *
 * A name that is not in the cache becomes a query; others who ask for the same name meanwhile wait on the same query.
 * The channel's answer goes into the cache and the waiters move to the `ready` list; an idle handle, started for just
 * that, hands the answers out in the next turn of the loop, so no callback runs inside hl_resolve_start or inside
 * c-ares.
 *
 * When a query runs over its budget, its waiters are told at once; the channel cannot give up a single question, so
 * the query lives on without waiters and its answer, should one come, still feeds the cache. When nobody could say,
 * an address that expired less than a minute ago stands in; otherwise the failure is remembered for five seconds. On
 * reload a new channel takes over: closing the old one ends its questions, and they are asked again on the new one.
 * */
#include "net/resolve.h"

#include "base/check.h"
#include "base/err.h"
#include "base/str.h"
#include <stdlib.h>

enum { TRY_MS_MIN = 50 };

/* A name being asked for. In resolver.queries and by_name until its waiters are told; freed when the channel answers.
 * */
struct query {
	struct hl_list node;    /* resolver.queries, oldest deadline first */
	struct hl_list waiters; /* hl_resolve.node */
	struct hl_resolver *resolver;
	uint64_t deadline_ms;   /* loop time */
	size_t len;
	char name[];            /* with NUL */
};

struct hl_resolver {
	uv_loop_t *loop;
	const struct hl_env *env;
	char *servers;              /* option text, "" = the system's */
	uint32_t budget_ms;
	struct hl_resolve_channel *channel;
	uv_timer_t timer;           /* active while `queries` holds one; fires at the oldest deadline */
	uv_idle_t idle;             /* active while `ready` holds one */
	struct hl_list queries;
	struct hl_list ready;       /* hl_resolve.node with their answer */
	struct hl_map_str by_name;  /* name → struct query that still has to tell its waiters */
	struct hl_resolve_cache cache;
	unsigned n_pending;         /* queries the channel has not answered */
	unsigned n_closing;         /* timer, idle and channels still to report their end; old channels count too */
	uint64_t n_queries;
	bool closing;
	void (*on_closed)(void *data);
	void *on_closed_data;
	struct hl_addr literal;     /* handed out by hl_resolver_get */
};

static void on_timer(uv_timer_t *timer);
static void on_channel_answer(void *data, int status, const char *text, const struct hl_addr *addrs, size_t n,
		hl_ms_t ttl_ms);

/* ---- handing out ------------------------------------------------------------------------------------------------ */

/* Hands w its answer; none means cancelled. The callback may do anything, also with other waiters. */
static void tell(struct hl_resolve *w)
{
	struct hl_resolve_answer *a = w->answer;
	w->answer = NULL;
	w->resolver = NULL;
	if (a)
		w->cb(w->data, a->status, a->n ? a->addrs : NULL, a->n, a->text);
	else
		w->cb(w->data, HL_ECANCELED, NULL, 0, "the resolver was closed");
	hl_resolve_answer_unref(a);
}

static void on_idle(uv_idle_t *idle)
{
	struct hl_resolver *r = idle->data;
	struct hl_list now;
	struct hl_list *n;
	/* Only those ready by now: a callback that asks again must not keep us here. */
	hl_list_init(&now);
	while ((n = hl_list_pop_front(&r->ready)))
		hl_list_push_back(&now, n);
	while ((n = hl_list_pop_front(&now)))
		tell(HL_LIST_ENTRY(n, struct hl_resolve, node));
	if (hl_list_empty(&r->ready))
		uv_idle_stop(&r->idle);
}

static void make_ready(struct hl_resolver *r, struct hl_resolve *w, struct hl_resolve_answer *a)
{
	w->answer = a ? hl_resolve_answer_ref(a) : NULL;
	hl_list_remove(&w->node);
	hl_list_push_back(&r->ready, &w->node);
	if (!r->closing)
		HL_CHECK(uv_idle_start(&r->idle, on_idle) == 0);
}

/* ---- queries ---------------------------------------------------------------------------------------------------- */

static struct hl_str query_name(const struct query *q)
{
	return hl_str_make(q->name, q->len);
}

static void rearm(struct hl_resolver *r)
{
	if (hl_list_empty(&r->queries) || r->closing) {
		uv_timer_stop(&r->timer);
		return;
	}
	uint64_t now = uv_now(r->loop), at = HL_LIST_ENTRY(r->queries.next, struct query, node)->deadline_ms;
	HL_CHECK(uv_timer_start(&r->timer, on_timer, at > now ? at - now : 1, 0) == 0);
}

/* Tells all waiters of q; from now on the name may be asked for anew. Once told, q has no waiters: nothing happens. */
static void query_tell(struct query *q, struct hl_resolve_answer *a)
{
	struct hl_resolver *r = q->resolver;
	if (!hl_list_linked(&q->node))
		return;
	hl_map_str_del(&r->by_name, query_name(q));
	hl_list_remove(&q->node);
	while (!hl_list_empty(&q->waiters))
		make_ready(r, HL_LIST_ENTRY(q->waiters.next, struct hl_resolve, node), a);
}

static void query_fail(struct query *q, const char *text, bool name_unknown)
{
	struct hl_resolver *r = q->resolver;
	hl_ms_t now = hl_env_mono_ms(r->env);
	/* When nobody could say, an old address is better than none. */
	struct hl_resolve_answer *stale = name_unknown ? NULL
			: hl_resolve_cache_get_stale(&r->cache, query_name(q), HL_RESOLVE_NEGATIVE_MS, now);
	if (stale) {
		query_tell(q, stale);
		return;
	}
	struct hl_resolve_answer *a = hl_resolve_answer_failure(text);
	hl_resolve_cache_put(&r->cache, query_name(q), a, HL_RESOLVE_NEGATIVE_MS, now);
	query_tell(q, a);
	hl_resolve_answer_unref(a);
}

static void query_succeed(struct query *q, const struct hl_addr *addrs, size_t n, hl_ms_t ttl_ms)
{
	struct hl_resolver *r = q->resolver;
	struct hl_resolve_answer *a = hl_resolve_answer_create(addrs, n);
	if (!a) {
		query_fail(q, "out of memory", false);
		return;
	}
	ttl_ms = HL_MIN(HL_MAX(ttl_ms, HL_RESOLVE_TTL_MIN_MS), HL_RESOLVE_TTL_MAX_MS);
	hl_resolve_cache_put(&r->cache, query_name(q), a, ttl_ms, hl_env_mono_ms(r->env));
	query_tell(q, a);
	hl_resolve_answer_unref(a);
}

static void on_timer(uv_timer_t *timer)
{
	struct hl_resolver *r = timer->data;
	uint64_t now = uv_now(r->loop);
	HL_LIST_EACH(n, &r->queries) {
		struct query *q = HL_LIST_ENTRY(n, struct query, node);
		if (q->deadline_ms > now)
			break;
		query_fail(q, "no answer from the name servers in time", false);
	}
	rearm(r);
}

/* The end of q, unless it has to be asked again. */
static void on_channel_answer(void *data, int status, const char *text, const struct hl_addr *addrs, size_t n,
		hl_ms_t ttl_ms)
{
	struct query *q = data;
	struct hl_resolver *r = q->resolver;
	bool told = !hl_list_linked(&q->node);
	if (status == HL_ECLOSED && !told && !r->closing) {
		hl_resolve_channel_ask(r->channel, q->name, on_channel_answer, q);
		return;
	}
	if (r->closing)
		query_tell(q, NULL);
	else if (status == HL_OK)
		query_succeed(q, addrs, n, ttl_ms);
	else if (!told) /* a late failure is no news */
		query_fail(q, text, status == HL_ENOTFOUND);
	HL_CHECK(!hl_list_linked(&q->node));
	r->n_pending--;
	free(q);
}

/* Asks for name; w waits for it. */
static int query_start(struct hl_resolver *r, struct hl_str name, struct hl_resolve *w)
{
	if (r->n_pending >= HL_RESOLVE_QUERIES_MAX)
		return HL_EBUSY;
	struct query *q = calloc(1, sizeof *q + name.len + 1);
	if (!q)
		return HL_ENOMEM;
	q->resolver = r;
	q->deadline_ms = uv_now(r->loop) + r->budget_ms;
	q->len = name.len;
	memcpy(q->name, name.ptr, name.len);
	if (hl_map_str_put(&r->by_name, query_name(q), q)) {
		free(q);
		return HL_ENOMEM;
	}
	hl_list_init(&q->waiters);
	hl_list_push_back(&q->waiters, &w->node);
	hl_list_push_back(&r->queries, &q->node);
	r->n_pending++;
	r->n_queries++;
	hl_resolve_channel_ask(r->channel, q->name, on_channel_answer, q); /* q may be gone */
	if (!uv_is_active((uv_handle_t *)&r->timer))
		rearm(r);
	return HL_OK;
}

/* ---- the resolver ----------------------------------------------------------------------------------------------- */

static int channel_create(struct hl_resolver *r, struct hl_resolve_channel **out, struct hl_err *err)
{
	return hl_resolve_channel_create(out, r->loop, r->servers, HL_MAX(r->budget_ms / 5, TRY_MS_MIN), err);
}

int hl_resolver_create(struct hl_resolver **out, uv_loop_t *loop, const struct hl_env *env,
		const struct hl_resolver_options *o, struct hl_err *err)
{
	struct hl_resolver *r = calloc(1, sizeof *r);
	char *servers = strdup(o->servers ? o->servers : "");
	int rc = r && servers ? HL_OK : hl_err_set(err, HL_ENOMEM, "out of memory");
	if (!rc) {
		r->loop = loop;
		r->env = env;
		r->servers = servers;
		r->budget_ms = o->budget_ms ? o->budget_ms : HL_RESOLVE_BUDGET_MS;
		rc = channel_create(r, &r->channel, err);
	}
	if (rc) {
		free(servers);
		free(r);
		return rc;
	}
	hl_list_init(&r->queries);
	hl_list_init(&r->ready);
	hl_map_str_init(&r->by_name);
	hl_resolve_cache_init(&r->cache);
	uv_timer_init(loop, &r->timer);
	uv_idle_init(loop, &r->idle);
	r->timer.data = r->idle.data = r;
	r->n_closing = 3;
	*out = r;
	return HL_OK;
}

/* Closing counts down timer, idle and channels; the last one out tells the waiters, frees and reports. */
static void part_closed(struct hl_resolver *r)
{
	struct hl_list *n;
	if (--r->n_closing > 0)
		return;
	HL_CHECK(r->closing && r->n_pending == 0);
	while ((n = hl_list_pop_front(&r->ready)))
		tell(HL_LIST_ENTRY(n, struct hl_resolve, node));
	void (*cb)(void *data) = r->on_closed;
	void *data = r->on_closed_data;
	hl_resolve_cache_fini(&r->cache);
	hl_map_str_fini(&r->by_name);
	free(r->servers);
	free(r);
	cb(data);
}

static void on_handle_closed(uv_handle_t *h)
{
	part_closed(h->data);
}

static void on_channel_closed(void *data)
{
	part_closed(data);
}

void hl_resolver_close(struct hl_resolver *r, void (*cb)(void *data), void *data)
{
	HL_CHECK(!r->closing);
	r->closing = true;
	r->on_closed = cb;
	r->on_closed_data = data;
	hl_resolve_channel_close(r->channel, on_channel_closed, r); /* every query ends, its waiters become ready */
	uv_close((uv_handle_t *)&r->timer, on_handle_closed);
	uv_close((uv_handle_t *)&r->idle, on_handle_closed);
}

int hl_resolver_reload(struct hl_resolver *r, struct hl_err *err)
{
	struct hl_resolve_channel *old = r->channel, *fresh;
	if (r->closing)
		return hl_err_set(err, HL_ECLOSED, "the resolver is closed");
	int rc = channel_create(r, &fresh, err);
	if (rc)
		return rc;
	hl_resolve_cache_clear(&r->cache);
	r->channel = fresh;
	r->n_closing++;
	hl_resolve_channel_close(old, on_channel_closed, r);
	return HL_OK;
}

/* Lower case, no trailing dot; false for what cannot be a host name. out has HL_RESOLVE_HOST_MAX bytes. */
static bool canonical(struct hl_str host, char *out, struct hl_str *out_name)
{
	size_t label = 0;
	if (host.len > 0 && host.ptr[host.len - 1] == '.')
		host.len--;
	if (host.len == 0 || host.len > HL_RESOLVE_HOST_MAX)
		return false;
	for (size_t i = 0; i < host.len; i++) {
		char c = host.ptr[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
		if (c == '.' ? label == 0 : !word || ++label > 63)
			return false;
		if (c == '.')
			label = 0;
		out[i] = c;
	}
	*out_name = hl_str_make(out, host.len);
	return label > 0;
}

int hl_resolver_get(struct hl_resolver *r, struct hl_str host, const struct hl_addr **out_addrs, size_t *out_n)
{
	char text[HL_RESOLVE_HOST_MAX];
	struct hl_str name;
	if (hl_addr_parse_ip(host, 0, &r->literal)) {
		*out_addrs = &r->literal;
		*out_n = 1;
		return HL_OK;
	}
	if (!canonical(host, text, &name))
		return HL_EAGAIN;
	struct hl_resolve_answer *a = hl_resolve_cache_get(&r->cache, name, hl_env_mono_ms(r->env));
	if (!a || a->status)
		return HL_EAGAIN;
	*out_addrs = a->addrs;
	*out_n = a->n;
	return HL_OK;
}

int hl_resolve_start(struct hl_resolver *r, struct hl_resolve *w, struct hl_str host, hl_resolve_cb cb, void *data)
{
	char text[HL_RESOLVE_HOST_MAX];
	struct hl_str name;
	struct hl_addr literal;
	struct query *q;
	HL_CHECK(!hl_resolve_waiting(w));
	if (r->closing)
		return HL_ECLOSED;
	*w = (struct hl_resolve){ .cb = cb, .data = data };
	struct hl_resolve_answer *a = NULL;
	if (hl_addr_parse_ip(host, 0, &literal)) {
		a = hl_resolve_answer_create(&literal, 1);
		if (!a)
			return HL_ENOMEM;
	} else if (!canonical(host, text, &name)) {
		return HL_EINVAL;
	} else if ((a = hl_resolve_cache_get(&r->cache, name, hl_env_mono_ms(r->env)))) {
		hl_resolve_answer_ref(a);
	}
	int rc = HL_OK;
	if (a)
		make_ready(r, w, a);
	else if ((q = hl_map_str_get(&r->by_name, name)))
		hl_list_push_back(&q->waiters, &w->node);
	else
		rc = query_start(r, name, w);
	hl_resolve_answer_unref(a);
	if (rc == HL_OK)
		w->resolver = r;
	return rc;
}

void hl_resolve_cancel(struct hl_resolve *w)
{
	if (!hl_resolve_waiting(w))
		return;
	hl_list_remove(&w->node);
	hl_resolve_answer_unref(w->answer);
	w->answer = NULL;
	w->resolver = NULL;
}

uint64_t hl_resolver_queries(const struct hl_resolver *r)
{
	return r->n_queries;
}

size_t hl_resolver_cached(const struct hl_resolver *r)
{
	return r->cache.entries.count;
}
