/* Which handler answers a path and a method.
 *
 * A resource's file holds a table of routes; a mount gathers the tables of one API (one dialect) with the places it is
 * served at and its manners. A pattern is what follows the mount's prefix, in literal segments and parameters in braces:
 * "/webhooks/{webhook}/test", or "" for the prefix itself. Where two patterns match a path, the one with the earlier
 * literal segment wins. */
#ifndef HL_API_ROUTER_H
#define HL_API_ROUTER_H

#include "http/message.h"

struct hl_call;
struct hl_problem;

enum { HL_ROUTE_PARAMS_MAX = 4, HL_ROUTE_SEGMENTS_MAX = 12, HL_MOUNTS_MAX = 8 };

enum hl_route_flag {
	HL_ROUTE_PUBLIC = 1 << 0,      /* no key, no limit */
	HL_ROUTE_BODY = 1 << 1,        /* a JSON body is required */
	HL_ROUTE_BODY_MAY = 1 << 2,    /* a JSON body or none; without both flags a body is ignored */
	HL_ROUTE_IDEMPOTENT = 1 << 3,  /* honours Idempotency-Key */
	HL_ROUTE_STREAM = 1 << 4,      /* the handler runs at the head and takes the body itself */
};

struct hl_route {
	enum hl_method method;         /* never HEAD or OPTIONS: those follow from the others */
	const char *pattern;           /* below the mount's prefix */
	unsigned scope;                /* set of enum hl_scope, one of which is enough; admin passes everywhere */
	unsigned flags;
	void (*handler)(struct hl_call *c);
	uint32_t rpm;                  /* requests per minute and key for this route alone; 0 = the tier's for the whole mount */
};
struct hl_routes {
	const struct hl_route *v;
	size_t n;
};

/* Where a key may be presented. */
enum hl_credential { HL_CREDENTIAL_BEARER = 1 << 0, HL_CREDENTIAL_API_KEY = 1 << 1 };

enum hl_mount_flag {
	HL_MOUNT_EITHER_SLASH = 1 << 0, /* a trailing slash does not matter */
	/* Bodies are JSON whatever Content-Type says; members and query parameters nobody knows are ignored. */
	HL_MOUNT_LENIENT = 1 << 1,
	HL_MOUNT_TELLS_TIER = 1 << 2,   /* X-RateLimit-Tier beside the other limit fields */
};

/* One API: every path below one of its prefixes is its business, unknown ones too. The longest prefix wins; where several
 * mounts share one, the key says which API is meant (hl_auth_choose). */
struct hl_mount {
	/* "/v1"; "" = whatever no other mount takes. The first is the one metrics and logs show. NULL ends the list. */
	const char *prefixes[4];
	int dialect;                   /* enum hl_dialect of the keys it takes */
	unsigned credentials;          /* set of enum hl_credential it reads; the others are ignored */
	enum hl_credential documented; /* what its clients send: decides on a shared prefix when the key does not */
	unsigned flags;                /* set of enum hl_mount_flag */
	const struct hl_routes *const *tables;
	size_t n_tables;
	/* Writes the body of an error into the emptied c->out, may add header fields; returns the status. */
	unsigned (*write_error)(struct hl_call *c, const struct hl_problem *p);
	const char *error_type;        /* Content-Type of those bodies; NULL = application/json */
	size_t first;                  /* set by the owner: number of the mount's first route over all mounts */
};

struct hl_match {
	const struct hl_route *route;  /* NULL: no such path, or not with this method */
	size_t index;                  /* of the route within the mount */
	unsigned allow;                /* bit set 1 << enum hl_method of what the path takes; 0 = no such path */
	const char *pattern;           /* of the path, NULL = no such path */
	size_t n_params;
	struct hl_str params[HL_ROUTE_PARAMS_MAX]; /* raw, still percent-encoded */
};

/* path: what follows the prefix. HEAD finds the GET route. OPTIONS finds nothing but `allow`. */
void hl_router_match(const struct hl_mount *m, enum hl_method method, struct hl_str path, struct hl_match *out);
size_t hl_router_count(const struct hl_mount *m);
const struct hl_route *hl_router_at(const struct hl_mount *m, size_t index);
/* The mounts (of a list ended by NULL) whose prefix takes the path, longest only; more than one when they share it.
 * *out_prefix_len: its length. Returns how many, at most HL_MOUNTS_MAX. */
size_t hl_router_mounts(struct hl_mount *const *list, struct hl_str path, struct hl_mount *out[HL_MOUNTS_MAX],
		size_t *out_prefix_len);
/* "GET, HEAD, OPTIONS, …" of a set; always with OPTIONS. */
void hl_router_allow(unsigned allow, struct hl_buf *out);

#endif
