/* Which handler answers a path and a method.
 *
 * A resource's file holds a table of routes; a mount gathers the tables of one API (one dialect) with its way of writing
 * errors. A pattern is literal segments and parameters in braces: "/v1/webhooks/{webhook}/test". Where two patterns match
 * a path, the one with the earlier literal segment wins. */
#ifndef HL_API_ROUTER_H
#define HL_API_ROUTER_H

#include "http/message.h"

struct hl_call;
struct hl_problem;

enum { HL_ROUTE_PARAMS_MAX = 4, HL_ROUTE_SEGMENTS_MAX = 12 };

enum hl_route_flag {
	HL_ROUTE_PUBLIC = 1 << 0,      /* no key, no limit */
	HL_ROUTE_BODY = 1 << 1,        /* a JSON body is required */
	HL_ROUTE_BODY_MAY = 1 << 2,    /* a JSON body or none; without both flags a body is ignored */
	HL_ROUTE_IDEMPOTENT = 1 << 3,  /* honours Idempotency-Key */
	HL_ROUTE_STREAM = 1 << 4,      /* the handler runs at the head and takes the body itself */
};

struct hl_route {
	enum hl_method method;         /* never HEAD or OPTIONS: those follow from the others */
	const char *pattern;
	unsigned scope;                /* one enum hl_scope; admin passes everywhere */
	unsigned flags;
	void (*handler)(struct hl_call *c);
};
struct hl_routes {
	const struct hl_route *v;
	size_t n;
};

/* One API: every path below `prefix` is its business, unknown ones too. */
struct hl_mount {
	const char *prefix;            /* "/v1"; "" = whatever no other mount takes */
	int dialect;                   /* enum hl_dialect of the keys it takes */
	bool either_slash;             /* a trailing slash does not matter */
	const struct hl_routes *const *tables;
	size_t n_tables;
	size_t first;                  /* set by the owner: number of the mount's first route over all mounts */
	/* Writes the body of an error in the API's own shape; returns its Content-Type. */
	const char *(*write_error)(struct hl_buf *out, const struct hl_problem *p);
};

struct hl_match {
	const struct hl_route *route;  /* NULL: no such path, or not with this method */
	size_t index;                  /* of the route within the mount */
	unsigned allow;                /* bit set 1 << enum hl_method of what the path takes; 0 = no such path */
	const char *pattern;           /* of the path, NULL = no such path */
	size_t n_params;
	struct hl_str params[HL_ROUTE_PARAMS_MAX]; /* raw, still percent-encoded */
};

/* HEAD finds the GET route. OPTIONS finds nothing but `allow`. */
void hl_router_match(const struct hl_mount *m, enum hl_method method, struct hl_str path, struct hl_match *out);
size_t hl_router_count(const struct hl_mount *m);
const struct hl_route *hl_router_at(const struct hl_mount *m, size_t index);
bool hl_router_under(const struct hl_mount *m, struct hl_str path);
/* "GET, HEAD, OPTIONS, …" of a set; always with OPTIONS. */
void hl_router_allow(unsigned allow, struct hl_buf *out);

#endif
