/* Finding the mount: the longest prefix that ends where a segment ends. Then matching the rest of the path against the
 * mount's tables: segment by segment, every route looked at once.
 *
 * The best pattern so far is the one whose literal segments come earliest (bit per segment, first segment highest, so a
 * plain comparison decides). Routes with an equal mask and the same path are one resource with several methods: their
 * methods make up `allow`, from which 405, OPTIONS and HEAD are answered. */
#include "api/router.h"

#include "base/check.h"
#include "base/str.h"

static bool is_param(struct hl_str segment)
{
	return segment.len >= 2 && segment.ptr[0] == '{';
}

/* Most routes differ from a path within a few bytes: told without taking either apart. */
static bool may_match(const char *pattern, struct hl_str path)
{
	for (size_t i = 0; pattern[i] && pattern[i] != '{'; i++)
		if (i == path.len || pattern[i] != path.ptr[i])
			return false;
	return true;
}

/* Does the pattern match? *out_literals: bit 31 − i set for each literal segment i. */
static bool match(const char *pattern, struct hl_str path, uint32_t *out_literals, struct hl_match *out)
{
	struct hl_str want = hl_str_from(pattern), got = path;
	size_t n = 0;
	uint32_t literals = 0;
	out->n_params = 0;
	*out_literals = 0;
	if (!want.len || !got.len)
		return want.len == got.len;
	hl_str_split(&want, '/'); /* what is before the first slash: nothing */
	hl_str_split(&got, '/');
	while (want.ptr && got.ptr) {
		struct hl_str w = hl_str_split(&want, '/'), g = hl_str_split(&got, '/');
		HL_CHECK(n < HL_ROUTE_SEGMENTS_MAX);
		if (is_param(w)) {
			HL_CHECK(out->n_params < HL_ROUTE_PARAMS_MAX);
			if (!g.len)
				return false;
			out->params[out->n_params++] = g;
		} else if (hl_str_eq(w, g)) {
			literals |= 1u << (31 - n);
		} else {
			return false;
		}
		n++;
	}
	*out_literals = literals;
	return !want.ptr && !got.ptr;
}

void hl_router_match(const struct hl_mount *m, enum hl_method method, struct hl_str path, struct hl_match *out)
{
	enum hl_method wanted = method == HL_METHOD_HEAD ? HL_METHOD_GET : method;
	uint32_t best = 0;
	size_t index = 0;
	memset(out, 0, sizeof(*out));
	if ((m->flags & HL_MOUNT_EITHER_SLASH) && path.len && path.ptr[path.len - 1] == '/')
		path.len--;
	for (size_t t = 0; t < m->n_tables; t++)
		for (size_t i = 0; i < m->tables[t]->n; i++, index++) {
			const struct hl_route *r = &m->tables[t]->v[i];
			struct hl_match found = { .route = NULL };
			uint32_t literals;
			if (!may_match(r->pattern, path) || !match(r->pattern, path, &literals, &found)
					|| (out->pattern && literals < best))
				continue;
			if (!out->pattern || literals > best) {
				best = literals;
				*out = found;
				out->pattern = r->pattern;
			}
			out->allow |= 1u << r->method;
			if (r->method == wanted) {
				out->route = r;
				out->index = index;
			}
		}
	if (out->allow & 1u << HL_METHOD_GET)
		out->allow |= 1u << HL_METHOD_HEAD;
	if (out->allow)
		out->allow |= 1u << HL_METHOD_OPTIONS;
}

size_t hl_router_count(const struct hl_mount *m)
{
	size_t n = 0;
	for (size_t t = 0; t < m->n_tables; t++)
		n += m->tables[t]->n;
	return n;
}

const struct hl_route *hl_router_at(const struct hl_mount *m, size_t index)
{
	for (size_t t = 0; t < m->n_tables; t++) {
		if (index < m->tables[t]->n)
			return &m->tables[t]->v[index];
		index -= m->tables[t]->n;
	}
	HL_NEVER("a route's number comes from the router");
}

static bool under(struct hl_str prefix, struct hl_str path)
{
	return hl_str_starts(path, prefix) && (path.len == prefix.len || path.ptr[prefix.len] == '/');
}

size_t hl_router_mounts(struct hl_mount *const *list, struct hl_str path, struct hl_mount *out[HL_MOUNTS_MAX],
		size_t *out_prefix_len)
{
	size_t n = 0, best = 0;
	for (; *list; list++)
		for (const char *const *p = (*list)->prefixes; *p; p++) {
			struct hl_str prefix = hl_str_from(*p);
			if ((n && prefix.len < best) || !under(prefix, path))
				continue;
			if (prefix.len > best)
				n = 0;
			best = prefix.len;
			if (n < HL_MOUNTS_MAX)
				out[n++] = *list;
		}
	*out_prefix_len = best;
	return n;
}

void hl_router_allow(unsigned allow, struct hl_buf *out)
{
	const char *sep = "";
	for (int i = 0; i < HL_METHOD_N; i++)
		if (allow & 1u << i) {
			hl_buf_fmt(out, "%s%s", sep, hl_method_name((enum hl_method)i));
			sep = ", ";
		}
}
