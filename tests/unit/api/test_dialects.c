/* What all dialects stand on: which mount a request reaches, who gets in there, what is read leniently, in whose words an
 * error is told, whose limits count. */
#include "api_test.h"

static const char webhook[] = "{\"label\":\"x\",\"name\":\"x\",\"url\":\"https://example.com/\",\"events\":[\"server.started\"]}";

struct keys { char native[HL_KEY_TEXT_CAP], cs2cap[HL_KEY_TEXT_CAP], aboutyou[HL_KEY_TEXT_CAP], stellarstack[HL_KEY_TEXT_CAP],
	bitnob[HL_KEY_TEXT_CAP]; };

static void make_keys(struct fixture *f, struct keys *k)
{
	make_key(f, "{\"scopes\":[\"read\",\"manage\"]}", k->native);
	make_key(f, "{\"scopes\":[\"read\",\"manage\"],\"dialect\":\"cs2cap\"}", k->cs2cap);
	make_key(f, "{\"scopes\":[\"read\",\"manage\"],\"dialect\":\"aboutyou\"}", k->aboutyou);
	make_key(f, "{\"scopes\":[\"read\",\"manage\"],\"dialect\":\"stellarstack\"}", k->stellarstack);
	make_key(f, "{\"scopes\":[\"read\",\"manage\"],\"dialect\":\"bitnob\"}", k->bitnob);
}

/* The API in whose shape the last answer, an error, was told. */
static const char *told_by(struct fixture *f)
{
	if (has_field(f, "Content-Type: application/problem+json"))
		return "native";
	assert_true(has_field(f, "Content-Type: application/json"));
	if (json_is_object(json_object_get(f->last.json, "error")))
		return "bitnob";
	if (json_is_string(json_object_get(f->last.json, "error")))
		return "stellarstack";
	if (json_object_get(f->last.json, "code"))
		return "cs2cap";
	return json_object_get(f->last.json, "message") ? "aboutyou" : "?";
}

/* way: 'b' Bearer, 'k' X-API-Key, '-' nothing. */
static int present(struct fixture *f, char way, const char *key, const char *method, const char *path, const char *body)
{
	char field[256];
	snprintf(field, sizeof(field), "X-API-Key: %s\r\n", key ? key : "");
	return ask(f, way == 'b' ? key : NULL, method, path, body, way == 'k' ? field : NULL);
}

static void expect(struct fixture *f, int status, const char *by)
{
	if (f->last.status != status || (status >= 400 && strcmp(told_by(f), by)))
		fail_msg("wanted %d by %s, got %d: %s", status, by, f->last.status, f->last.body);
}

/* Unknown paths belong to the longest prefix, which ends where a segment does. */
static void test_mounts(void **state)
{
	static const struct { const char *path, *by; } cases[] = {
		{ "/x", "native" }, { "/v1/x", "native" }, { "/v1/accountsx", "native" }, { "/account", "cs2cap" }, { "/account/x", "cs2cap" },
		{ "/accounts", "native" }, { "/v1/account", "cs2cap" }, { "/v1/account/x", "cs2cap" }, { "/api/v1/webhooks/1/2", "aboutyou" },
		{ "/api/v1/webhook", "native" }, { "/api/webhooks/1/2/3/4/5", "stellarstack" }, { "/stellarstack/webhooks/1/x", "stellarstack" },
		{ "/stellarstack/x", "native" }, { "/bitnob/webhooks/1/2/3", "bitnob" }, { "/bitnob/webhooksx", "native" },
		{ "/webhooks/1/2/3/4/5", "bitnob" }, { "/webhooksx", "native" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(f, NULL, "GET", cases[i].path, NULL, NULL);
		if (f->last.status != 404 || strcmp(told_by(f), cases[i].by))
			fail_msg("%s: wanted %s, got %d: %s", cases[i].path, cases[i].by, f->last.status, f->last.body);
	}
	/* metrics call all places of a route by one name */
	struct keys k;
	make_keys(f, &k);
	ask(f, k.cs2cap, "GET", "/v1/account/webhooks", NULL, NULL);
	ask(f, k.cs2cap, "GET", "/account/webhooks", NULL, NULL);
	ask(f, k.stellarstack, "GET", "/webhooks", NULL, NULL);
	admin(f, "GET", "/metrics", NULL);
	assert_non_null(strstr(f->last.body, "{method=\"GET\",route=\"/account/webhooks\",code=\"200\"} 2\n"));
	assert_non_null(strstr(f->last.body, "{method=\"GET\",route=\"/stellarstack/webhooks\",code=\"200\"} 1\n"));
	assert_non_null(strstr(f->last.body, "{method=\"POST\",route=\"/v1/keys\",code=\"201\"} "));
}

/* On a prefix of two APIs the key says which; without a usable one, the header does. */
static void test_shared_prefix(void **state)
{
	struct fixture *f = *state;
	struct keys k;
	make_keys(f, &k);
	/* GET /webhooks/events: the catalogue here, deliveries there */
	assert_int_equal(present(f, 'b', k.stellarstack, "GET", "/webhooks/events", NULL), 200);
	assert_non_null(json_object_get(f->last.json, "categorized"));
	assert_int_equal(present(f, 'k', k.bitnob, "GET", "/webhooks/events", NULL), 200);
	assert_string_equal(text_of(f, "object"), "list");
	assert_int_equal(present(f, 'b', k.bitnob, "GET", "/webhooks/events", NULL), 200);
	assert_string_equal(text_of(f, "object"), "list");
	const struct { char way; const char *key, *by; } refused[] = {
		{ '-', NULL, "bitnob" }, { 'b', "nonsense", "stellarstack" }, { 'k', "nonsense", "bitnob" }, { 'b', k.cs2cap, "stellarstack" },
		{ 'k', k.native, "bitnob" }, { 'k', k.stellarstack, "bitnob" }, { 'b', k.aboutyou, "stellarstack" },
	};
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		present(f, refused[i].way, refused[i].key, "GET", "/webhooks", NULL);
		expect(f, 401, refused[i].by);
	}
	/* a prefix of one API does not ask the key */
	present(f, 'k', k.bitnob, "GET", "/stellarstack/webhooks", NULL);
	expect(f, 401, "stellarstack");
	present(f, 'b', k.stellarstack, "GET", "/bitnob/webhooks", NULL);
	expect(f, 401, "bitnob");
	/* one object, two addresses; a repeat at the other one is a repeat */
	char fields[256], first[64];
	snprintf(fields, sizeof(fields), "X-API-Key: %s\r\nIdempotency-Key: 7\r\n", k.bitnob);
	assert_int_equal(ask(f, NULL, "POST", "/webhooks", webhook, fields), 201);
	snprintf(first, sizeof(first), "%s", text_of(f, "id"));
	assert_int_equal(ask(f, NULL, "POST", "/bitnob/webhooks", webhook, fields), 201);
	assert_string_equal(text_of(f, "id"), first);
	assert_true(has_field(f, "Idempotent-Replayed: true"));
}

/* Each API reads the headers it documents; others are as good as none. */
static void test_credentials(void **state)
{
	struct fixture *f = *state;
	struct keys k;
	make_keys(f, &k);
	const struct { char way; const char *key, *path; int status; const char *by; } cases[] = {
		{ 'b', k.cs2cap, "/account/webhooks", 200, "" }, { 'k', k.cs2cap, "/account/webhooks", 401, "cs2cap" },
		{ 'k', k.aboutyou, "/api/v1/webhooks", 200, "" }, { 'k', k.aboutyou, "/api/v1/webhooks/", 200, "" },
		{ 'b', k.aboutyou, "/api/v1/webhooks", 401, "aboutyou" }, { 'b', k.stellarstack, "/api/webhooks", 200, "" },
		{ 'k', k.stellarstack, "/api/webhooks", 401, "stellarstack" }, { 'k', k.bitnob, "/bitnob/webhooks", 200, "" },
		{ 'b', k.bitnob, "/bitnob/webhooks", 200, "" }, { 'b', k.native, "/account/webhooks", 401, "cs2cap" },
		{ 'b', k.cs2cap, "/v1/webhooks", 401, "native" }, { 'b', k.bitnob, "/account/webhooks", 401, "cs2cap" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		present(f, cases[i].way, cases[i].key, "GET", cases[i].path, NULL);
		if (f->last.status != cases[i].status)
			fail_msg("%zu: %s: %d %s", i, cases[i].path, f->last.status, f->last.body);
		expect(f, cases[i].status, cases[i].by);
	}
	/* an ignored header does no harm, two that count do */
	assert_int_equal(ask(f, k.cs2cap, "GET", "/account/webhooks", NULL, "X-API-Key: other\r\n"), 200);
	ask(f, k.bitnob, "GET", "/bitnob/webhooks", NULL, "X-API-Key: other\r\n");
	expect(f, 400, "bitnob");
	ask(f, k.cs2cap, "GET", "/account/webhooks", NULL, "Authorization: Bearer x\r\n");
	expect(f, 400, "cs2cap");
	/* what a refused client may try */
	present(f, '-', NULL, "GET", "/api/v1/webhooks", NULL);
	assert_true(has_field(f, "WWW-Authenticate: ApiKey"));
	present(f, '-', NULL, "GET", "/account/webhooks", NULL);
	assert_true(has_field(f, "WWW-Authenticate: Bearer"));
	/* the control socket needs none */
	static const char look[] = "GET /account/webhooks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	assert_int_equal(raw(f, f->control_port, look, sizeof(look) - 1, 0), 200);
}

/* Who may change may look; who may only look may not change. */
static void test_scopes(void **state)
{
	static const struct { const char *dialect, *path; char way; } apis[] = {
		{ "cs2cap", "/account/webhooks", 'b' }, { "aboutyou", "/api/v1/webhooks", 'k' },
		{ "stellarstack", "/api/webhooks", 'b' }, { "bitnob", "/bitnob/webhooks", 'k' },
	};
	static const struct { const char *scope; bool look, change; } scopes[] = {
		{ "read", true, false }, { "manage", true, true }, { "admin", true, true }, { "publish", false, false },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++)
		for (size_t j = 0; j < sizeof(scopes) / sizeof(scopes[0]); j++) {
			char spec[120], key[HL_KEY_TEXT_CAP];
			snprintf(spec, sizeof(spec), "{\"scopes\":[\"%s\"],\"dialect\":\"%s\"}", scopes[j].scope, apis[i].dialect);
			make_key(f, spec, key);
			present(f, apis[i].way, key, "GET", apis[i].path, NULL);
			expect(f, scopes[j].look ? 200 : 403, apis[i].dialect);
			int status = present(f, apis[i].way, key, "POST", apis[i].path,
					!strcmp(apis[i].dialect, "aboutyou") ? "{\"url\":\"https://example.com/\"}" : webhook);
			/* the store of this test has no catalogue: stellarstack gets as far as its events */
			bool good = status == 200 || status == 201 || (status == 400 && !strcmp(apis[i].dialect, "stellarstack"));
			if (scopes[j].change ? !good : status != 403)
				fail_msg("%s %s: %d %s", apis[i].dialect, scopes[j].scope, status, f->last.body);
		}
}

static void test_lenient(void **state)
{
	struct fixture *f = *state;
	struct keys k;
	make_keys(f, &k);
	assert_int_equal(ask(f, k.cs2cap, "POST", "/account/webhooks?a=b&a=c", webhook, "Content-Type: text/plain\r\n"), 201);
	assert_int_equal(ask(f, k.cs2cap, "GET", "/account/webhooks/deliveries?limit=3&x=%20&limit=4", NULL, NULL), 200);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(f->last.json, "pagination"), "limit")), 4);
	/* not where the native API lives */
	assert_int_equal(ask(f, k.native, "POST", "/v1/webhooks", webhook, "Content-Type: text/plain\r\n"), 415);
	assert_int_equal(ask(f, k.native, "POST", "/v1/webhooks", webhook, NULL), 422);
	assert_int_equal(ask(f, k.native, "GET", "/v1/webhooks?x=1", NULL, NULL), 400);
	/* a limit of one route or of the whole mount */
	assert_int_equal(present(f, 'k', k.aboutyou, "GET", "/api/v1/webhooks/", NULL), 200);
	assert_true(has_field(f, "X-RateLimit-Limit: 50"));
	assert_true(has_field(f, "X-RateLimit-Remaining: 49"));
	present(f, 'k', k.aboutyou, "PATCH", "/api/v1/webhooks/7", "{}");
	assert_true(has_field(f, "X-RateLimit-Limit: 100"));
	assert_true(has_field(f, "X-RateLimit-Remaining: 99"));
	assert_int_equal(present(f, 'k', k.aboutyou, "GET", "/api/v1/webhooks", NULL), 200);
	assert_true(has_field(f, "X-RateLimit-Remaining: 48"));
	assert_false(has_field(f, "X-RateLimit-Tier"));
}

static void test_tier_limit(void **state)
{
	struct fixture *f = *state;
	char one[HL_KEY_TEXT_CAP], two[HL_KEY_TEXT_CAP];
	set_tiers(f, "quant: webhooks; slow: webhooks, rpm=2");
	assert_int_equal(admin(f, "POST", "/v1/accounts", "{\"id\":\"s\",\"tier\":\"slow\"}"), 201);
	make_key(f, "{\"account\":\"s\",\"scopes\":[\"read\"],\"dialect\":\"cs2cap\"}", one);
	make_key(f, "{\"account\":\"s\",\"scopes\":[\"read\"],\"dialect\":\"bitnob\"}", two);
	assert_int_equal(ask(f, one, "GET", "/account/webhooks", NULL, NULL), 200);
	assert_int_equal(ask(f, one, "GET", "/v1/account/webhooks/deliveries", NULL, NULL), 200);
	ask(f, one, "GET", "/account/webhooks", NULL, NULL);
	expect(f, 429, "cs2cap");
	assert_true(has_field(f, "X-RateLimit-Tier: slow"));
	assert_true(has_field(f, "Retry-After: "));
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask(f, two, "GET", "/bitnob/webhooks", NULL, NULL), 200);
	ask(f, two, "GET", "/bitnob/webhooks", NULL, NULL);
	expect(f, 429, "bitnob");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mounts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_credentials, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scopes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lenient, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tier_limit, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
