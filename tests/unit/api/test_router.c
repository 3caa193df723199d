/* Which route a path and a method find, what Allow says, and that the real tables hold together. */
#include "api/resources.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void nothing(struct hl_call *c)
{
	(void)c;
}

static const struct hl_route routes_a[] = {
	{ HL_METHOD_GET, "/things/{thing}", 0, 0, nothing },
	{ HL_METHOD_DELETE, "/things/{thing}", 0, 0, nothing },
	{ HL_METHOD_GET, "/things", 0, 0, nothing },
};
static const struct hl_route routes_b[] = {
	{ HL_METHOD_POST, "/things/special", 0, 0, nothing },
	{ HL_METHOD_POST, "/things/{thing}/parts/{part}", 0, 0, nothing },
	{ HL_METHOD_POST, "/{any}/{thing}/parts/all", 0, 0, nothing },
};
static const struct hl_routes a = { routes_a, 3 }, b = { routes_b, 3 };
static const struct hl_routes *const tables[] = { &a, &b };
static struct hl_mount mount = { .prefixes = { "/v1" }, .tables = tables, .n_tables = 2 };

static struct hl_match find(enum hl_method method, const char *path)
{
	struct hl_match m;
	hl_router_match(&mount, method, hl_str_from(path), &m);
	return m;
}

static void test_finds(void **state)
{
	(void)state;
	struct hl_match m = find(HL_METHOD_GET, "/things/17");
	assert_ptr_equal(m.route, &routes_a[0]);
	assert_int_equal(m.index, 0);
	assert_int_equal(m.n_params, 1);
	assert_true(hl_str_eq(m.params[0], HL_STR("17")));
	assert_ptr_equal(find(HL_METHOD_DELETE, "/things/x").route, &routes_a[1]);
	assert_ptr_equal(find(HL_METHOD_GET, "/things").route, &routes_a[2]);
	m = find(HL_METHOD_POST, "/things/1/parts/2");
	assert_ptr_equal(m.route, &routes_b[1]);
	assert_int_equal(m.index, 4);
	assert_true(hl_str_eq(m.params[1], HL_STR("2")));
	assert_ptr_equal(hl_router_at(&mount, 4), &routes_b[1]);
	assert_int_equal(hl_router_count(&mount), 6);
}

static void test_literal_wins(void **state)
{
	(void)state;
	/* "special" is a resource of its own: GET is not answered by the pattern with the parameter */
	assert_ptr_equal(find(HL_METHOD_POST, "/things/special").route, &routes_b[0]);
	struct hl_match m = find(HL_METHOD_GET, "/things/special");
	assert_null(m.route);
	assert_int_equal(m.allow, 1u << HL_METHOD_POST | 1u << HL_METHOD_OPTIONS);
	/* the earlier literal decides, not the number of them */
	assert_ptr_equal(find(HL_METHOD_POST, "/things/1/parts/all").route, &routes_b[1]);
	assert_ptr_equal(find(HL_METHOD_POST, "/other/1/parts/all").route, &routes_b[2]);
}

static void test_methods(void **state)
{
	struct hl_buf text = { .data = NULL };
	(void)state;
	assert_ptr_equal(find(HL_METHOD_HEAD, "/things").route, &routes_a[2]);
	struct hl_match m = find(HL_METHOD_PUT, "/things/1");
	assert_null(m.route);
	hl_router_allow(m.allow, &text);
	assert_string_equal(text.data, "GET, HEAD, DELETE, OPTIONS");
	hl_buf_fini(&text);
	m = find(HL_METHOD_OPTIONS, "/things/1");
	assert_null(m.route);
	assert_int_equal(m.allow, 1u << HL_METHOD_GET | 1u << HL_METHOD_HEAD | 1u << HL_METHOD_DELETE | 1u << HL_METHOD_OPTIONS);
}

static void test_misses(void **state)
{
	static const char *const paths[] = {
		"/", "/things/", "/things//", "/thing", "/things/1/parts", "/things/1/parts/2/x", "/", "",
		"/V1/things", "/things/1/",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (find(HL_METHOD_GET, paths[i]).allow)
			fail_msg("found: %s", paths[i]);
	mount.flags = HL_MOUNT_EITHER_SLASH;
	assert_ptr_equal(find(HL_METHOD_GET, "/things/").route, &routes_a[2]);
	mount.flags = 0;
}

/* The prefix itself is a path like another, with or without a slash where the mount does not care. */
static void test_prefix_itself(void **state)
{
	static const struct hl_route own[] = { { HL_METHOD_GET, "", 0, 0, nothing, 0 }, { HL_METHOD_GET, "/{id}", 0, 0, nothing, 0 } };
	static const struct hl_routes table = { own, 2 };
	static const struct hl_routes *const one[] = { &table };
	struct hl_mount m = { .prefixes = { "/x" }, .tables = one, .n_tables = 1 };
	struct hl_match found;
	(void)state;
	hl_router_match(&m, HL_METHOD_GET, HL_STR(""), &found);
	assert_ptr_equal(found.route, &own[0]);
	hl_router_match(&m, HL_METHOD_GET, HL_STR("/"), &found);
	assert_null(found.route);
	m.flags = HL_MOUNT_EITHER_SLASH;
	hl_router_match(&m, HL_METHOD_GET, HL_STR("/"), &found);
	assert_ptr_equal(found.route, &own[0]);
	hl_router_match(&m, HL_METHOD_GET, HL_STR("/7/"), &found);
	assert_ptr_equal(found.route, &own[1]);
}

static struct hl_mount m_native = { .prefixes = { "/v1" } }, m_account = { .prefixes = { "/account", "/v1/account" } },
	m_one = { .prefixes = { "/one/hooks", "/hooks" } }, m_two = { .prefixes = { "/hooks", "/two/hooks" } },
	m_root = { .prefixes = { "" } };
static struct hl_mount *const mounts[] = { &m_root, &m_native, &m_account, &m_one, &m_two, NULL };

/* The longest prefix wins, whatever the order, and only where a segment ends; several may share one. */
static void test_mounts(void **state)
{
	static const struct { const char *path; struct hl_mount *first; size_t n, prefix_len; } cases[] = {
		{ "/v1", &m_native, 1, 3 }, { "/v1/x", &m_native, 1, 3 }, { "/v10", &m_root, 1, 0 }, { "/", &m_root, 1, 0 },
		{ "/v1/account", &m_account, 1, 11 }, { "/v1/account/x", &m_account, 1, 11 }, { "/v1/accounts", &m_native, 1, 3 },
		{ "/account/x", &m_account, 1, 8 }, { "/accounts", &m_root, 1, 0 }, { "/hooks/7", &m_one, 2, 6 },
		{ "/one/hooks", &m_one, 1, 10 }, { "/two/hooks/7", &m_two, 1, 10 }, { "/two/hook", &m_root, 1, 0 },
		{ "/V1/x", &m_root, 1, 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hl_mount *found[HL_MOUNTS_MAX];
		size_t len, n = hl_router_mounts(mounts, hl_str_from(cases[i].path), found, &len);
		if (n != cases[i].n || found[0] != cases[i].first || len != cases[i].prefix_len)
			fail_msg("%s: %zu found, prefix of %zu", cases[i].path, n, len);
	}
	struct hl_mount *found[HL_MOUNTS_MAX];
	size_t len;
	assert_int_equal(hl_router_mounts(mounts, HL_STR("*"), found, &len), 0);
}

/* Every pattern of every mount is found by a path made from it, with its own method, and the mount by its prefixes. */
static void test_real_tables(void **state)
{
	size_t n = 0;
	(void)state;
	for (size_t k = 0; hl_api_mounts[k]; k++)
		for (size_t i = 0; i < hl_router_count(hl_api_mounts[k]); i++, n++) {
			const struct hl_route *r = hl_router_at(hl_api_mounts[k], i);
			struct hl_match m;
			char path[128];
			size_t len = 0;
			for (const char *p = r->pattern; *p; p++) {
				if (*p == '{') {
					path[len++] = '7';
					p = strchr(p, '}');
				} else {
					path[len++] = *p;
				}
			}
			path[len] = '\0';
			hl_router_match(hl_api_mounts[k], r->method, hl_str_from(path), &m);
			if (m.route != r)
				fail_msg("%s finds another route", r->pattern);
			assert_int_equal(m.index, i);
			assert_true(r->method != HL_METHOD_HEAD && r->method != HL_METHOD_OPTIONS);
		}
	assert_true(n > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds), cmocka_unit_test(test_literal_wins), cmocka_unit_test(test_methods),
		cmocka_unit_test(test_misses), cmocka_unit_test(test_prefix_itself), cmocka_unit_test(test_mounts), cmocka_unit_test(test_real_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
