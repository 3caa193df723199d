/* Requests over a socket: who gets in, what HTTP asks of every route, errors, idempotency, limits. */
#include "api_test.h"

static void expect_problem(struct fixture *f, int status, const char *code)
{
	if (f->last.status != status || !f->last.json || strcmp(text_of(f, "code"), code))
		fail_msg("wanted %d %s, got %d %s", status, code, f->last.status, f->last.body);
	assert_int_equal(number_of(f, "status"), status);
	assert_true(has_field(f, "Content-Type: application/problem+json"));
}

static void test_keys(void **state)
{
	struct fixture *f = *state;
	char reader[HL_KEY_TEXT_CAP], bitnob[HL_KEY_TEXT_CAP], wrong[HL_KEY_TEXT_CAP], field[128];
	make_key(f, "{\"scopes\":[\"read\"],\"name\":\"r\"}", reader);
	char id[40];
	snprintf(id, sizeof(id), "%s", text_of(f, "id"));
	make_key(f, "{\"scopes\":[\"admin\"],\"dialect\":\"bitnob\"}", bitnob);

	ask(f, NULL, "GET", "/v1/webhooks", NULL, NULL);
	expect_problem(f, 401, "missing_key");
	assert_true(has_field(f, "WWW-Authenticate: Bearer"));
	ask(f, "hlk_nonsense", "GET", "/v1/webhooks", NULL, NULL);
	expect_problem(f, 401, "invalid_key");
	memcpy(wrong, reader, sizeof(wrong));
	wrong[20] = wrong[20] == 'a' ? 'b' : 'a';
	ask(f, wrong, "GET", "/v1/webhooks", NULL, NULL);
	expect_problem(f, 401, "invalid_key");
	ask(f, bitnob, "GET", "/v1/webhooks", NULL, NULL);
	expect_problem(f, 401, "invalid_key");
	assert_int_equal(ask(f, reader, "GET", "/v1/webhooks", NULL, NULL), 200);
	snprintf(field, sizeof(field), "X-API-Key: %s\r\n", reader);
	assert_int_equal(ask(f, NULL, "GET", "/v1/webhooks", NULL, field), 200);
	ask(f, reader, "GET", "/v1/webhooks", NULL, field);
	expect_problem(f, 400, "bad_request");
	ask(f, NULL, "GET", "/v1/webhooks", NULL, "Authorization: Basic eDp5\r\n");
	expect_problem(f, 401, "invalid_key");
	/* scopes */
	ask(f, reader, "POST", "/v1/events", "{}", NULL);
	expect_problem(f, 403, "missing_scope");
	assert_string_equal(text_of(f, "scope"), "publish");
	ask(f, reader, "POST", "/v1/webhooks", "{}", NULL);
	expect_problem(f, 403, "missing_scope");
	ask(f, reader, "GET", "/v1/accounts", NULL, NULL);
	expect_problem(f, 403, "missing_scope");
	ask(f, reader, "PUT", "/v1/event-types/x", "{}", NULL);
	expect_problem(f, 403, "missing_scope");
	/* revoked, by id */
	char path[80];
	snprintf(path, sizeof(path), "/v1/keys/%s", id);
	assert_int_equal(admin(f, "DELETE", path, NULL), 204);
	ask(f, reader, "GET", "/v1/webhooks", NULL, NULL);
	expect_problem(f, 401, "key_revoked");
	assert_int_equal(admin(f, "GET", path, NULL), 200);
	assert_true(json_is_string(json_object_get(f->last.json, "revoked_at")));
	/* by prefix */
	snprintf(path, sizeof(path), "/v1/keys/%.10s", bitnob);
	assert_int_equal(admin(f, "DELETE", path, NULL), 204);
	assert_int_equal(admin(f, "GET", "/v1/keys?limit=1", NULL), 200);
	assert_true(has_field(f, "Link: </v1/keys?limit=1&cursor="));
	/* never again in the open */
	assert_null(strstr(f->last.body, bitnob + 12));
}

static void test_accounts(void **state)
{
	struct fixture *f = *state;
	char own[HL_KEY_TEXT_CAP];
	assert_int_equal(admin(f, "POST", "/v1/accounts", "{\"id\":\"acme\",\"name\":\"A\",\"email\":\"a@b.c\"}"), 201);
	assert_string_equal(text_of(f, "id"), "acme");
	admin(f, "POST", "/v1/accounts", "{\"id\":\"acme\"}");
	expect_problem(f, 409, "already_exists");
	admin(f, "POST", "/v1/accounts", "{\"id\":\"x\",\"tier\":\"gold\"}");
	expect_problem(f, 422, "invalid");
	make_key(f, "{\"account\":\"acme\",\"scopes\":[\"manage\",\"read\"]}", own);
	/* a webhook of one account is unknown to the other */
	assert_int_equal(ask(f, own, "POST", "/v1/webhooks", "{\"url\":\"http://127.0.0.1:9999/\"}", NULL), 201);
	char path[100];
	snprintf(path, sizeof(path), "/v1/webhooks/%s", text_of(f, "id"));
	assert_int_equal(ask(f, own, "GET", path, NULL, NULL), 200);
	admin(f, "GET", path, NULL);
	expect_problem(f, 404, "not_found");
	assert_int_equal(ask(f, f->admin, "GET", path, NULL, "Hookline-Account: acme\r\n"), 200);
	ask(f, f->admin, "GET", path, NULL, "Hookline-Account: nobody\r\n");
	expect_problem(f, 404, "not_found");
	assert_int_equal(ask(f, own, "GET", path, NULL, "Hookline-Account: acme\r\n"), 200);
	ask(f, own, "GET", path, NULL, "Hookline-Account: default\r\n");
	expect_problem(f, 403, "foreign_account");
	ask(f, own, "GET", path, NULL, "Hookline-Account: nobody\r\n");
	expect_problem(f, 403, "foreign_account");
	/* disabled */
	assert_int_equal(admin(f, "PATCH", "/v1/accounts/acme", "{\"disabled\":true,\"email\":null}"), 200);
	assert_true(json_is_null(json_object_get(f->last.json, "email")));
	assert_string_equal(text_of(f, "name"), "A");
	ask(f, own, "GET", path, NULL, NULL);
	expect_problem(f, 403, "account_disabled");
	assert_int_equal(admin(f, "GET", "/v1/accounts/acme", NULL), 200);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(f->last.json, "totals"), "webhooks")), 1);
	admin(f, "GET", "/v1/accounts/nobody", NULL);
	expect_problem(f, 404, "not_found");
	admin(f, "PATCH", "/v1/accounts/acme", "{\"id\":\"other\"}");
	expect_problem(f, 422, "invalid");
}

static void test_http(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(admin(f, "HEAD", "/v1/webhooks", NULL), 200);
	assert_int_equal(f->last.body_len, 0);
	assert_true(has_field(f, "Content-Length: ") && !has_field(f, "Content-Length: 0"));
	assert_int_equal(ask(f, NULL, "OPTIONS", "/v1/webhooks", NULL, NULL), 204);
	assert_true(has_field(f, "Allow: GET, HEAD, POST, OPTIONS"));
	admin(f, "DELETE", "/v1/webhooks", NULL);
	expect_problem(f, 405, "method_not_allowed");
	assert_true(has_field(f, "Allow: GET, HEAD, POST, OPTIONS"));
	admin(f, "GET", "/v1/nothing", NULL);
	expect_problem(f, 404, "no_route");
	admin(f, "GET", "/v1/webhooks/", NULL);
	expect_problem(f, 404, "no_route");
	admin(f, "GET", "/other", NULL);
	expect_problem(f, 404, "no_route");
	admin(f, "GET", "/v1/webhooks/not-an-id", NULL);
	expect_problem(f, 404, "not_found");
	admin(f, "GET", "/v1/webhooks/0199d2c4-0000-7000-8000-000000000007", NULL);
	expect_problem(f, 404, "not_found");
	admin(f, "GET", "/v1/webhooks/%zz", NULL);
	expect_problem(f, 404, "no_route");
	ask(f, f->admin, "POST", "/v1/events", "{}", "Content-Type: text/plain\r\n");
	expect_problem(f, 415, "unsupported_media_type");
	ask(f, f->admin, "POST", "/v1/events", "{}", "Content-Type: application/json; charset=latin1\r\n");
	expect_problem(f, 415, "unsupported_media_type");
	assert_int_equal(ask(f, f->admin, "POST", "/v1/events", "{\"type\":\"a\",\"data\":1}",
			"Content-Type: application/json; charset=UTF-8\r\n"), 202);
	admin(f, "POST", "/v1/events", NULL);
	expect_problem(f, 400, "bad_json");
	char *big = malloc((2 << 20) + 1);
	memset(big, ' ', 2 << 20);
	big[2 << 20] = '\0';
	admin(f, "POST", "/v1/events", big);
	expect_problem(f, 413, "too_large");
	free(big);
}

static void test_bad_bodies(void **state)
{
	struct fixture *f = *state;
	static const struct { const char *body, *code, *pointer; int status; } cases[] = {
		{ "{", "bad_json", NULL, 400 }, { "", "bad_json", NULL, 400 }, { "[]", "invalid", NULL, 422 },
		{ "{\"type\":\"a\",\"data\":1}x", "bad_json", NULL, 400 },
		{ "{\"type\":\"a\",\"data\":\"\xff\"}", "bad_json", NULL, 400 },
		{ "{\"type\":\"\\ud800\",\"data\":1}", "bad_json", "/type", 400 },
		{ "{\"data\":1}", "invalid", "/type", 422 }, { "{\"type\":\"a\"}", "invalid", "/data", 422 },
		{ "{\"type\":\"a b\",\"data\":1}", "invalid", "/type", 422 }, { "{\"type\":1,\"data\":1}", "invalid", "/type", 422 },
		{ "{\"type\":\"a\",\"data\":1,\"typo\":1}", "invalid", "/typo", 422 },
		{ "{\"type\":\"a\",\"type\":\"b\",\"data\":1}", "invalid", "/type", 422 },
		{ "{\"type\":\"a\",\"data\":1,\"id\":\"\"}", "invalid", "/id", 422 },
		{ "{\"type\":\"a\",\"data\":1,\"id\":\"a b\"}", "invalid", "/id", 422 },
		{ "{\"type\":\"a\",\"data\":1,\"server\":\"x\"}", "invalid", "/server", 422 },
		{ "{\"type\":\"a\",\"data\":1,\"deliver_after\":\"soon\"}", "invalid", "/deliver_after", 422 },
		{ "{\"type\":\"a\",\"data\":1,\"expires_at\":\"2001-01-01T00:00:00Z\"}", "invalid", "/expires_at", 422 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		admin(f, "POST", "/v1/events", cases[i].body);
		expect_problem(f, cases[i].status, cases[i].code);
		if (!cases[i].pointer)
			continue;
		json_t *e = json_array_get(json_object_get(f->last.json, "errors"), 0);
		assert_string_equal(json_string_value(json_object_get(e, "pointer")), cases[i].pointer);
	}
	/* nothing of it was stored */
	assert_int_equal(admin(f, "GET", "/v1/events", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(f->last.json, "data")), 0);
}

static void test_bad_queries(void **state)
{
	struct fixture *f = *state;
	static const struct { const char *target, *parameter; } cases[] = {
		{ "/v1/events?limit=0", "limit" }, { "/v1/events?limit=251", "limit" }, { "/v1/events?limit=x", "limit" },
		{ "/v1/events?limit=1&limit=2", "limit" }, { "/v1/events?cursor=abc", "cursor" }, { "/v1/events?cursor=", "cursor" },
		{ "/v1/events?since=yesterday", "since" }, { "/v1/events?type=a%20b", "type" }, { "/v1/events?typ=a", "typ" },
		{ "/v1/events?type=%f", "query" }, { "/v1/events?type=%ff", "query" }, { "/v1/deliveries?status=done", "status" },
		{ "/v1/deliveries?webhook=17", "webhook" }, { "/v1/webhooks?state=deleted", "state" },
		{ "/v1/webhooks?dialect=klingon", "dialect" }, { "/v1/accounts/default?x=1", "x" },
		{ "/v1/event-types?limit=5", "limit" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		admin(f, "GET", cases[i].target, NULL);
		expect_problem(f, 400, "bad_parameter");
		assert_string_equal(text_of(f, "parameter"), cases[i].parameter);
	}
}

static void test_idempotency(void **state)
{
	struct fixture *f = *state;
	static const char key[] = "Idempotency-Key: once and for all\r\n";
	char first[1024];
	ask(f, f->admin, "POST", "/v1/webhooks", "{\"url\":\"http://127.0.0.1:9999/\"}", key);
	assert_int_equal(f->last.status, 201);
	assert_false(has_field(f, "Idempotent-Replayed"));
	snprintf(first, sizeof(first), "%s", f->last.body);
	assert_non_null(strstr(first, "\"secret\":\"whsec_"));
	ask(f, f->admin, "POST", "/v1/webhooks", "{\"url\":\"http://127.0.0.1:9999/\"}", key);
	assert_int_equal(f->last.status, 201);
	assert_true(has_field(f, "Idempotent-Replayed: true"));
	assert_string_equal(f->last.body, first);
	ask(f, f->admin, "POST", "/v1/webhooks", "{\"url\": \"http://127.0.0.1:9999/\"}", key); /* one blank */
	expect_problem(f, 409, "idempotency_mismatch");
	admin(f, "GET", "/v1/webhooks", NULL);
	assert_int_equal(json_array_size(json_object_get(f->last.json, "data")), 1);
	/* keys are apart by route; made keys stay secret but come back */
	ask(f, f->admin, "POST", "/v1/keys", "{\"scopes\":[\"read\"]}", key);
	assert_int_equal(f->last.status, 201);
	snprintf(first, sizeof(first), "%s", f->last.body);
	ask(f, f->admin, "POST", "/v1/keys", "{\"scopes\":[\"read\"]}", key);
	assert_string_equal(f->last.body, first);
	ask(f, f->admin, "POST", "/v1/events", "{\"type\":\"a\",\"data\":1}", key);
	assert_int_equal(f->last.status, 202);
	snprintf(first, sizeof(first), "%s", f->last.body);
	ask(f, f->admin, "POST", "/v1/events", "{\"type\":\"a\",\"data\":1}", key);
	assert_string_equal(f->last.body, first);
	assert_true(has_field(f, "Idempotent-Replayed: true"));
	/* the key itself */
	ask(f, f->admin, "POST", "/v1/events", "{\"type\":\"a\",\"data\":1}", "Idempotency-Key: \r\n");
	expect_problem(f, 400, "bad_parameter");
	/* the publisher's own id */
	assert_int_equal(admin(f, "POST", "/v1/events", "{\"type\":\"a\",\"data\":{\"n\":1},\"id\":\"o-1\"}"), 202);
	assert_true(json_is_false(json_object_get(f->last.json, "replayed")));
	snprintf(first, sizeof(first), "%s", text_of(f, "id"));
	assert_int_equal(admin(f, "POST", "/v1/events", "{\"type\":\"a\",\"data\":{\"n\":1},\"id\":\"o-1\"}"), 202);
	assert_true(json_is_true(json_object_get(f->last.json, "replayed")));
	assert_string_equal(text_of(f, "id"), first);
	admin(f, "POST", "/v1/events", "{\"type\":\"a\",\"data\":{\"n\":2},\"id\":\"o-1\"}");
	expect_problem(f, 409, "idempotency_mismatch");
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	char key[HL_KEY_TEXT_CAP];
	make_key(f, "{\"scopes\":[\"read\"]}", key);
	set_tiers(f, "small: rpm=3, max_webhooks=1, webhooks; none: rpm=1000");
	for (int i = 0; i < 3; i++) {
		char left[64];
		assert_int_equal(ask(f, key, "GET", "/v1/webhooks", NULL, NULL), 200);
		snprintf(left, sizeof(left), "X-RateLimit-Remaining: %d", 2 - i);
		assert_true(has_field(f, left));
		assert_true(has_field(f, "RateLimit-Policy: \"default\";q=3;w=60"));
	}
	ask(f, key, "GET", "/v1/webhooks", NULL, NULL);
	expect_problem(f, 429, "rate_limited");
	assert_true(has_field(f, "Retry-After: "));
	assert_true(has_field(f, "RateLimit: \"default\";r=0;t="));
	/* each key has its own window; one webhook is all this tier may have; batches it may not send */
	assert_int_equal(admin(f, "POST", "/v1/webhooks", "{\"url\":\"http://127.0.0.1:9999/\"}"), 201);
	admin(f, "POST", "/v1/webhooks", "{\"url\":\"http://127.0.0.1:9999/2\"}");
	expect_problem(f, 409, "limit_reached");
	admin(f, "POST", "/v1/events/batch", "[]");
	expect_problem(f, 403, "not_in_tier");
	set_tiers(f, "none: rpm=1000");
	admin(f, "POST", "/v1/webhooks", "{\"url\":\"http://127.0.0.1:9999/3\"}");
	expect_problem(f, 403, "not_in_tier");
}

static void test_health(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = { "/livez", "/readyz", "/healthz" };
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(f, NULL, "GET", paths[i], NULL, NULL), 200);
		assert_string_equal(f->last.body, "{\"status\":\"ok\"}");
	}
	hl_api_drain(f->api);
	assert_int_equal(ask(f, NULL, "GET", "/livez", NULL, NULL), 200);
	assert_int_equal(ask(f, NULL, "GET", "/readyz", NULL, NULL), 503);
	assert_string_equal(text_of(f, "reason"), "shutting_down");
}

/* promtool has the last word, where it is installed. */
static void test_metrics(void **state)
{
	struct fixture *f = *state;
	char file[TMPDIR_PATH_CAP], command[TMPDIR_PATH_CAP + 80];
	admin(f, "GET", "/v1/webhooks", NULL);
	admin(f, "GET", "/v1/nothing", NULL);
	admin(f, "POST", "/v1/events", "{\"type\":\"a\",\"data\":1}");
	assert_int_equal(ask(f, NULL, "GET", "/metrics", NULL, NULL), 200);
	assert_true(has_field(f, "Content-Type: text/plain; version=0.0.4"));
	static const char *const wanted[] = {
		"hookline_events_accepted_total 1\n", "hookline_http_requests_total{method=\"GET\",route=\"/v1/webhooks\",code=\"200\"} 1\n",
		"hookline_http_requests_total{method=\"any\",route=\"none\",code=\"404\"} 1\n", "hookline_build_info{version=\"1.2.3\"",
		"hookline_store_commit_duration_seconds_bucket{le=\"+Inf\"}", "process_start_time_seconds 1",
	};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!strstr(f->last.body, wanted[i]))
			fail_msg("not there: %s\n%s", wanted[i], f->last.body);
	if (system("command -v promtool >/dev/null 2>&1"))
		return;
	tmpdir_write(&f->dir, "metrics", f->last.body);
	tmpdir_path(&f->dir, "metrics", file);
	snprintf(command, sizeof(command), "promtool check metrics < %s >&2", file);
	assert_int_equal(system(command), 0);
}

static void test_event_types(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(admin(f, "PUT", "/v1/event-types/my.type",
			"{\"title\":\"T\",\"category\":\"c\",\"dialects\":{\"bitnob\":\"wallet\"}}"), 201);
	assert_string_equal(text_of(f, "name"), "my.type");
	assert_int_equal(admin(f, "PUT", "/v1/event-types/my.type", "{\"title\":\"U\"}"), 200);
	assert_int_equal(admin(f, "GET", "/v1/event-types/my.type", NULL), 200);
	assert_string_equal(text_of(f, "title"), "U");
	assert_int_equal(json_object_size(json_object_get(f->last.json, "dialects")), 0);
	admin(f, "PUT", "/v1/event-types/my.type", "{\"name\":\"other\"}");
	expect_problem(f, 422, "invalid");
	admin(f, "PUT", "/v1/event-types/my.type", "{\"dialects\":{\"klingon\":\"x\"}}");
	expect_problem(f, 422, "invalid");
	assert_int_equal(admin(f, "GET", "/v1/event-types", NULL), 200);
	assert_non_null(strstr(f->last.body, "my.type"));
	assert_int_equal(admin(f, "DELETE", "/v1/event-types/my.type", NULL), 204);
	admin(f, "GET", "/v1/event-types/my.type", NULL);
	expect_problem(f, 404, "not_found");
	admin(f, "DELETE", "/v1/event-types/my.type", NULL);
	expect_problem(f, 404, "not_found");
}

static void test_servers(void **state)
{
	struct fixture *f = *state;
	char path[100], body[200], id[40];
	assert_int_equal(admin(f, "POST", "/v1/servers", "{\"name\":\"eu-1\"}"), 201);
	snprintf(id, sizeof(id), "%s", text_of(f, "id"));
	snprintf(path, sizeof(path), "/v1/servers/%s", id);
	assert_int_equal(admin(f, "PATCH", path, "{\"status\":\"online\"}"), 200);
	assert_string_equal(text_of(f, "name"), "eu-1");
	assert_string_equal(text_of(f, "status"), "online");
	assert_int_equal(admin(f, "GET", "/v1/servers", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(f->last.json, "data")), 1);
	/* a webhook and an event about it */
	snprintf(body, sizeof(body), "{\"url\":\"http://127.0.0.1:9999/\",\"server\":\"%s\"}", id);
	assert_int_equal(admin(f, "POST", "/v1/webhooks", body), 201);
	assert_string_equal(text_of(f, "server"), id);
	snprintf(body, sizeof(body), "{\"type\":\"a\",\"data\":1,\"server\":\"%s\"}", id);
	assert_int_equal(admin(f, "POST", "/v1/events", body), 202);
	assert_int_equal(number_of(f, "deliveries"), 1);
	assert_int_equal(admin(f, "POST", "/v1/events", "{\"type\":\"a\",\"data\":1}"), 202);
	assert_int_equal(number_of(f, "deliveries"), 0);
	assert_int_equal(admin(f, "DELETE", path, NULL), 204);
	admin(f, "GET", path, NULL);
	expect_problem(f, 404, "not_found");
	admin(f, "POST", "/v1/events", body);
	expect_problem(f, 422, "invalid");
}

/* Three pages there and back, and a cursor that is carried elsewhere. */
static void test_pages(void **state)
{
	struct fixture *f = *state;
	char target[200], pages[3][4][40], cursor[64];
	for (int i = 0; i < 7; i++)
		assert_int_equal(admin(f, "POST", "/v1/webhooks", "{\"url\":\"http://127.0.0.1:9999/\"}"), 201);
	snprintf(target, sizeof(target), "/v1/webhooks?limit=3");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(admin(f, "GET", target, NULL), 200);
		json_t *data = json_object_get(f->last.json, "data"), *next = json_object_get(f->last.json, "next_cursor");
		assert_int_equal(json_array_size(data), i < 2 ? 3 : 1);
		for (size_t k = 0; k < json_array_size(data); k++)
			snprintf(pages[i][k], 40, "%s", json_string_value(json_object_get(json_array_get(data, k), "id")));
		assert_int_equal(json_is_string(next), i < 2);
		assert_int_equal(json_is_string(json_object_get(f->last.json, "prev_cursor")), i > 0);
		assert_int_equal(f->last.json && strstr(f->last.head, "rel=\"next\"") != NULL, i < 2);
		if (i < 2)
			snprintf(target, sizeof(target), "/v1/webhooks?limit=3&cursor=%s", json_string_value(next));
	}
	for (int i = 1; i >= 0; i--) {
		snprintf(cursor, sizeof(cursor), "%s", text_of(f, "prev_cursor"));
		snprintf(target, sizeof(target), "/v1/webhooks?limit=3&cursor=%s", cursor);
		assert_int_equal(admin(f, "GET", target, NULL), 200);
		json_t *data = json_object_get(f->last.json, "data");
		assert_int_equal(json_array_size(data), 3);
		for (size_t k = 0; k < 3; k++)
			assert_string_equal(json_string_value(json_object_get(json_array_get(data, k), "id")), pages[i][k]);
	}
	assert_true(json_is_null(json_object_get(f->last.json, "prev_cursor")));
	/* other filters, another list, another account, one letter changed */
	static const char *const elsewhere[] = { "/v1/webhooks?state=paused&", "/v1/events?" };
	for (size_t i = 0; i < 2; i++) {
		snprintf(target, sizeof(target), "%scursor=%s", elsewhere[i], cursor);
		admin(f, "GET", target, NULL);
		expect_problem(f, 400, "bad_parameter");
		assert_string_equal(text_of(f, "parameter"), "cursor");
	}
	assert_int_equal(admin(f, "POST", "/v1/accounts", "{\"id\":\"acme\"}"), 201);
	snprintf(target, sizeof(target), "/v1/webhooks?cursor=%s", cursor);
	ask(f, f->admin, "GET", target, NULL, "Hookline-Account: acme\r\n");
	expect_problem(f, 400, "bad_parameter");
	target[strlen(target) - 3] ^= 1;
	admin(f, "GET", target, NULL);
	expect_problem(f, 400, "bad_parameter");
}

/* A route that takes no body is at work before the body is here: one that turns out malformed changes nothing for it. */
static void test_body_nobody_wanted(void **state)
{
	struct fixture *f = *state;
	static const char *const bodies[] = { "zz\r\n", "1\r\nabc", "0\r\nno field\r\n\r\n" };
	char id[64], text[512];
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(admin(f, "POST", "/v1/webhooks", "{\"name\":\"n\",\"url\":\"https://example.com/\"}"), 201);
		snprintf(id, sizeof(id), "%s", text_of(f, "id"));
		int n = snprintf(text, sizeof(text), "DELETE /v1/webhooks/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
				"Transfer-Encoding: chunked\r\n\r\n%s", id, f->admin, bodies[i]);
		assert_int_equal(raw(f, f->port, text, (size_t)n, 0), 204);
		assert_true(has_field(f, "Connection: close"));
		snprintf(text, sizeof(text), "/v1/webhooks/%s", id);
		assert_int_equal(admin(f, "GET", text, NULL), 404);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_keys), T(test_accounts), T(test_http), T(test_bad_bodies), T(test_bad_queries), T(test_idempotency),
		T(test_limits), T(test_health), T(test_metrics), T(test_event_types), T(test_servers),
		T(test_pages), T(test_body_nobody_wanted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
