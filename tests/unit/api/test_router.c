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
	{ HL_METHOD_GET, "/v1/things/{thing}", 0, 0, nothing },
	{ HL_METHOD_DELETE, "/v1/things/{thing}", 0, 0, nothing },
	{ HL_METHOD_GET, "/v1/things", 0, 0, nothing },
};
static const struct hl_route routes_b[] = {
	{ HL_METHOD_POST, "/v1/things/special", 0, 0, nothing },
	{ HL_METHOD_POST, "/v1/things/{thing}/parts/{part}", 0, 0, nothing },
	{ HL_METHOD_POST, "/v1/{any}/{thing}/parts/all", 0, 0, nothing },
};
static const struct hl_routes a = { routes_a, 3 }, b = { routes_b, 3 };
static const struct hl_routes *const tables[] = { &a, &b };
static struct hl_mount mount = { .prefix = "/v1", .tables = tables, .n_tables = 2 };

static struct hl_match find(enum hl_method method, const char *path)
{
	struct hl_match m;
	hl_router_match(&mount, method, hl_str_from(path), &m);
	return m;
}

static void test_finds(void **state)
{
	(void)state;
	struct hl_match m = find(HL_METHOD_GET, "/v1/things/17");
	assert_ptr_equal(m.route, &routes_a[0]);
	assert_int_equal(m.index, 0);
	assert_int_equal(m.n_params, 1);
	assert_true(hl_str_eq(m.params[0], HL_STR("17")));
	assert_ptr_equal(find(HL_METHOD_DELETE, "/v1/things/x").route, &routes_a[1]);
	assert_ptr_equal(find(HL_METHOD_GET, "/v1/things").route, &routes_a[2]);
	m = find(HL_METHOD_POST, "/v1/things/1/parts/2");
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
	assert_ptr_equal(find(HL_METHOD_POST, "/v1/things/special").route, &routes_b[0]);
	struct hl_match m = find(HL_METHOD_GET, "/v1/things/special");
	assert_null(m.route);
	assert_int_equal(m.allow, 1u << HL_METHOD_POST | 1u << HL_METHOD_OPTIONS);
	/* the earlier literal decides, not the number of them */
	assert_ptr_equal(find(HL_METHOD_POST, "/v1/things/1/parts/all").route, &routes_b[1]);
	assert_ptr_equal(find(HL_METHOD_POST, "/v1/other/1/parts/all").route, &routes_b[2]);
}

static void test_methods(void **state)
{
	struct hl_buf text = { .data = NULL };
	(void)state;
	assert_ptr_equal(find(HL_METHOD_HEAD, "/v1/things").route, &routes_a[2]);
	struct hl_match m = find(HL_METHOD_PUT, "/v1/things/1");
	assert_null(m.route);
	hl_router_allow(m.allow, &text);
	assert_string_equal(text.data, "GET, HEAD, DELETE, OPTIONS");
	hl_buf_fini(&text);
	m = find(HL_METHOD_OPTIONS, "/v1/things/1");
	assert_null(m.route);
	assert_int_equal(m.allow, 1u << HL_METHOD_GET | 1u << HL_METHOD_HEAD | 1u << HL_METHOD_DELETE | 1u << HL_METHOD_OPTIONS);
}

static void test_misses(void **state)
{
	static const char *const paths[] = {
		"/v1", "/v1/", "/v1/things/", "/v1/things//", "/v1/thing", "/v1/things/1/parts", "/v1/things/1/parts/2/x", "/", "",
		"/V1/things", "/v1/things/1/",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (find(HL_METHOD_GET, paths[i]).allow)
			fail_msg("found: %s", paths[i]);
	mount.either_slash = true;
	assert_ptr_equal(find(HL_METHOD_GET, "/v1/things/").route, &routes_a[2]);
	mount.either_slash = false;
}

static void test_under(void **state)
{
	(void)state;
	assert_true(hl_router_under(&mount, HL_STR("/v1")));
	assert_true(hl_router_under(&mount, HL_STR("/v1/x")));
	assert_false(hl_router_under(&mount, HL_STR("/v10")));
	assert_false(hl_router_under(&mount, HL_STR("/")));
}

/* Every pattern of every mount is found by a path made from it, with its own method, and lies below its prefix. */
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
			assert_true(hl_router_under(hl_api_mounts[k], hl_str_from(path)));
			assert_true(r->method != HL_METHOD_HEAD && r->method != HL_METHOD_OPTIONS);
		}
	assert_true(n > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds), cmocka_unit_test(test_literal_wins), cmocka_unit_test(test_methods),
		cmocka_unit_test(test_misses), cmocka_unit_test(test_under), cmocka_unit_test(test_real_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
