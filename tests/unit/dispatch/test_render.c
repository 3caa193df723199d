/* Bodies: the exact bytes of each dialect, and the platforms' limits for whatever is published. */
#include "dispatch/render.h"
#include "base/arena.h"
#include "base/defs.h"
#include "base/json.h"
#include "base/str.h"
#include "fakeenv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ID "5b0f8a2e-6c1d-4f0e-9a57-0c1f2d3e4a5b"
#define WHEN "2026-01-01T00:00:00.000Z"

static const struct hl_render_server server = { HL_STR("srv-1"), HL_STR("Alpha \"one\""), HL_STR("running") };

static struct hl_event event(const char *type, const char *data)
{
	return (struct hl_event){ .number = 42, .id = ID, .type = hl_str_from(type), .data = hl_str_from(data),
		.created_at_ms = fakeenv_epoch_ms };
}

/* The whole body, joined from its pieces. */
static char *render(const struct hl_render *r)
{
	struct hl_body b;
	struct hl_buf all;
	struct hl_str pieces[3];
	hl_body_init(&b);
	hl_buf_init(&all);
	assert_int_equal(hl_render_body(r, &b), 0);
	size_t n = hl_body_slices(&b, pieces);
	for (size_t i = 0; i < n; i++)
		hl_buf_str(&all, pieces[i]);
	assert_int_equal(all.len, hl_body_len(&b));
	assert_true(hl_buf_ok(&all));
	hl_body_fini(&b);
	return all.data; /* the test frees it */
}

/* Expected JSON is written with single quotes, for the eye. */
static char *quoted(const char *text)
{
	char *copy = strdup(text);
	for (char *p = copy; (p = strchr(p, '\'')) != NULL;)
		*p = '"';
	return copy;
}

static void expect(enum hl_dialect dialect, enum hl_format format, const char *type, const char *data,
		const struct hl_render_server *about, const char *want)
{
	char *json = quoted(data), *want_json = quoted(want);
	struct hl_event e = event(type, json);
	struct hl_render r = { .dialect = dialect, .format = format, .event = &e, .server = about, .webhook = 7 };
	char *got = render(&r);
	assert_string_equal(got, want_json);
	struct hl_json v;
	assert_int_equal(hl_json_check(hl_str_from(got), HL_JSON_DEPTH_MAX + 1, &v, NULL), 0);
	free(got);
	free(json);
	free(want_json);
}

/* ---- standard bodies ---- */

static void standard(void **state)
{
	(void)state;
	const enum hl_format formats[] = { HL_FORMAT_STANDARD, HL_FORMAT_GOOGLE_SHEETS };
	for (size_t i = 0; i < 2; i++) {
		enum hl_format f = formats[i];
		expect(HL_DIALECT_HOOKLINE, f, "order.created", " {'n': 1.0, 'big':123456789012345678901234567890} ",
				NULL,
				"{'id':'" ID "','type':'order.created','timestamp':'" WHEN
				"','data': {'n': 1.0, 'big':123456789012345678901234567890} }");
		expect(HL_DIALECT_CS2CAP, f, "alert.triggered",
				"{'alert_id':'a1','item_id':156,'market_hash_name':'AK-47 | R\\u00e9d','x':1}", NULL,
				"{'id':'" ID "','type':'alert.triggered','event_type':'alert.triggered','created_at':"
				"'" WHEN "','alert_id':'a1','item_id':156,'market_hash_name':'AK-47 | R\\u00e9d',"
				"'data':"
				"{'alert_id':'a1','item_id':156,'market_hash_name':'AK-47 | R\\u00e9d','x':1}}");
		expect(HL_DIALECT_CS2CAP, f, "alert.triggered", "[1]", NULL,
				"{'id':'" ID "','type':'alert.triggered','event_type':'alert.triggered','created_at':"
				"'" WHEN "','data':[1]}");
		expect(HL_DIALECT_ABOUTYOU, f, "stock.updated", "[{'sku':'a'}]", NULL,
				"{'id':42,'event':'stock.updated','timestamp':'" WHEN
				"','message':[{'sku':'a'}],'subscription_id':7}");
		expect(HL_DIALECT_BITNOB, f, "transaction.confirmed", "null", NULL,
				"{'id':'" ID "','object':'event','type':'transaction.confirmed','event':"
				"'transaction.confirmed','created_at':'" WHEN "','data':null}");
		expect(HL_DIALECT_STELLARSTACK, f, "server.started", "{}", &server,
				"{'event':'server.started','timestamp':'" WHEN "','server':{'id':'srv-1','name':"
				"'Alpha \\'one\\'','status':'running'},'data':{}}");
		expect(HL_DIALECT_STELLARSTACK, f, "server.started", "{}", NULL,
				"{'event':'server.started','timestamp':'" WHEN "','data':{}}");
		/* this dialect's data is an object or not there */
		expect(HL_DIALECT_STELLARSTACK, f, "server.started", "\n {'n': 1.0} ", NULL,
				"{'event':'server.started','timestamp':'" WHEN "','data':\n {'n': 1.0} }");
		expect(HL_DIALECT_STELLARSTACK, f, "server.started", "[{}]", &server,
				"{'event':'server.started','timestamp':'" WHEN "','server':{'id':'srv-1','name':"
				"'Alpha \\'one\\'','status':'running'}}");
		expect(HL_DIALECT_STELLARSTACK, f, "server.started", "null", NULL,
				"{'event':'server.started','timestamp':'" WHEN "'}");
	}
}

/* The published bytes are handed on where they lie; the time said by the publisher wins. */
static void slices(void **state)
{
	(void)state;
	struct hl_event e = event("t", "[1, 2]");
	struct hl_render r = { .dialect = HL_DIALECT_ABOUTYOU, .event = &e, .webhook = 1 };
	struct hl_body b;
	struct hl_str s[3];
	e.occurred_at_ms = fakeenv_epoch_ms + 86400123;
	hl_body_init(&b);
	assert_int_equal(hl_body_slices(&b, s), 0);
	assert_int_equal(hl_render_body(&r, &b), 0);
	assert_int_equal(hl_body_slices(&b, s), 3);
	assert_ptr_equal(s[1].ptr, e.data.ptr);
	assert_true(hl_str_contains(s[0], HL_STR("2026-01-02T00:00:00.123Z")));
	assert_true(hl_str_eq(s[2], HL_STR(",\"subscription_id\":1}")));
	/* the same storage again, for something shorter */
	r.format = HL_FORMAT_TELEGRAM;
	assert_int_equal(hl_render_body(&r, &b), 0);
	assert_int_equal(hl_body_slices(&b, s), 1);
	assert_int_equal(s[0].len, hl_body_len(&b));
	hl_body_fini(&b);
	for (unsigned d = 0; d < HL_DIALECT_N; d++) {
		for (unsigned f = 0; f < HL_FORMAT_N; f++) {
			char *one, *two;
			r = (struct hl_render){ .dialect = d, .format = f, .event = &e, .webhook = 1 };
			one = render(&r);
			r.webhook = 2;
			two = render(&r);
			assert_int_equal(hl_render_shared(d, f), strcmp(one, two) == 0);
			r.server = &server;
			char *three = render(&r);
			if (!hl_render_wants_server(d))
				assert_string_equal(two, three);
			free(one);
			free(two);
			free(three);
		}
	}
}

static void no_memory(void **state)
{
	(void)state;
	struct hl_event e = event("order.created", "{\"a\":1}");
	for (unsigned f = 0; f < HL_FORMAT_N; f++) {
		struct hl_render r = { .format = f, .event = &e };
		struct hl_body b;
		hl_body_init(&b);
		b.text.max = 30;
		assert_int_equal(hl_render_body(&r, &b), HL_ENOMEM);
		hl_body_fini(&b);
	}
}

/* ---- messages: exact ---- */

#define FOOT "'footer':{'text':'Hookline'}}],'allowed_mentions':{'parse':[]}}"
#define FIELD(name, value, in) "{'name':'" name "','value':'" value "','inline':" in "}"
#define ALERT \
	"{'kind':'price_below','item_id':1,'market_hash_name':'AK-47 | Redline','threshold_value':'20.00',"      \
	"'threshold_currency':'USD','triggered_value':'19.50','triggered_currency':'USD','observed_provider':"   \
	"'buff163','observed_link':'https://example.org/a?b','reason':'Best ask 19.50 USD is at or below 20.00 USD'}"
#define SPREAD \
	"{'kind':'spread_exceeds','market_hash_name':'X','threshold_value':'5.00','threshold_currency':null,"    \
	"'triggered_value':'7.25','triggered_currency':null,'observed_link':'javascript:x'}"

static void discord(void **state)
{
	(void)state;
	expect(HL_DIALECT_HOOKLINE, HL_FORMAT_DISCORD, "order.created",
			"{'id':7,'total':1.50,'paid':true,'note':'a\\nb \\u00e9 @everyone','none':null,'list':[1],"
			"'to':{'city':'K\\u00f6ln','deep':{'x':1},'zip':1},'empty':' ','':'noname'}",
			NULL,
			"{'embeds':[{'title':'order.created','color':39423,'timestamp':'" WHEN "','fields':["
			FIELD("id", "7", "true") "," FIELD("total", "1.50", "true") ","
			FIELD("paid", "true", "true") ","
			FIELD("note", "a\\nb \xC3\xA9 @everyone", "true") ","
			FIELD("to.city", "K\xC3\xB6ln", "true") ","
			FIELD("to.zip", "1", "true") "," FIELD("empty", "-", "true") ","
			FIELD("-", "noname", "true") "]," FOOT);
	expect(HL_DIALECT_BITNOB, HL_FORMAT_DISCORD, "t", "[1,2]", NULL,
			"{'embeds':[{'title':'t','color':39423,'timestamp':'" WHEN "','description':'[1,2]'," FOOT);
	expect(HL_DIALECT_HOOKLINE, HL_FORMAT_DISCORD, "t", "'just\\ttext'", NULL,
			"{'embeds':[{'title':'t','color':39423,'timestamp':'" WHEN
			"','description':'just\\ttext'," FOOT);
	expect(HL_DIALECT_HOOKLINE, HL_FORMAT_DISCORD, "t", "null", NULL,
			"{'embeds':[{'title':'t','color':39423,'timestamp':'" WHEN "'," FOOT);
	/* half a surrogate pair is shown as it was written */
	expect(HL_DIALECT_HOOKLINE, HL_FORMAT_TELEGRAM, "t", "{'a':'\\ud800'}", NULL,
			"{'text':'t\\na: \\'\\\\ud800\\'','link_preview_options':{'is_disabled':true}}");
}

static void alerts(void **state)
{
	(void)state;
	expect(HL_DIALECT_CS2CAP, HL_FORMAT_DISCORD, "alert.triggered", ALERT, NULL,
			"{'embeds':[{'title':'Price alert: AK-47 | Redline','description':'Best ask 19.50 USD is at or "
			"below 20.00 USD','url':'https://example.org/a?b','color':3066993,'timestamp':'" WHEN "',"
			"'fields':["
			FIELD("Condition", "price_below 20.00 USD", "true") ","
			FIELD("Observed", "19.50 USD", "true") ","
			FIELD("Market", "buff163", "true") "]," FOOT);
	expect(HL_DIALECT_CS2CAP, HL_FORMAT_DISCORD, "alert.triggered", SPREAD, NULL,
			"{'embeds':[{'title':'Price alert: X','color':3066993,'timestamp':'" WHEN "','fields':["
			FIELD("Condition", "spread_exceeds 5.00 %", "true") ","
			FIELD("Observed", "7.25 %", "true") "]," FOOT);
	expect(HL_DIALECT_CS2CAP, HL_FORMAT_TELEGRAM, "alert.triggered", ALERT, NULL,
			"{'text':'Price alert: AK-47 | Redline\\nBest ask 19.50 USD is at or below 20.00 USD\\n"
			"Condition: price_below "
			"20.00 USD\\nObserved: 19.50 USD\\nMarket: buff163\\nhttps://example.org/a?b',"
			"'link_preview_options':{'is_disabled':true}}");
	/* no alert: like any event */
	expect(HL_DIALECT_CS2CAP, HL_FORMAT_TELEGRAM, "alert.triggered", "{'kind':'k'}", NULL,
			"{'text':'alert.triggered\\nkind: k','link_preview_options':{'is_disabled':true}}");
	expect(HL_DIALECT_HOOKLINE, HL_FORMAT_TELEGRAM, "alert.triggered", "{'kind':'k','market_hash_name':'m'}", NULL,
			"{'text':'alert.triggered\\nkind: k\\nmarket_hash_name: m','link_preview_options':{'is_disabled':true}}");
}

#define BELL "\xF0\x9F\x94\x94 "
static void stellarstack(void **state)
{
	(void)state;
	static const struct {
		const char *type, *title;
		unsigned color;
	} rows[] = {
		{ "server.started", "Server Started", 65280 },
		{ "file.created", "File Created", 65280 },
		{ "transfer.completed", "Transfer Completed", 65280 },
		{ "server.stopped", "Server Stopped", 16711680 },
		{ "backup.deleted", "Backup Deleted", 16711680 },
		{ "transfer.failed", "Transfer Failed", 16711680 },
		{ "resource.warning", "Resource Warning", 16776960 },
		{ "resource.critical", "Resource Critical", 39423 },
		{ "server.auto_shutdown", "Server Auto_shutdown", 39423 },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
		char want[1024];
		snprintf(want, sizeof want,
				"{'embeds':[{'title':'" BELL "%s','color':%u,'timestamp':'" WHEN "','fields':["
				FIELD("Server", "Alpha \\'one\\'", "true") "," FIELD("Status", "running", "true") ","
				FIELD("Reason", "x", "true") ","
				FIELD("Count", "3", "true") "]," FOOT, rows[i].title, rows[i].color);
		expect(HL_DIALECT_STELLARSTACK, HL_FORMAT_DISCORD, rows[i].type,
				"{'reason':'x','ok':true,'count':3,'o':{'a':1}}", &server, want);
	}
	/* always inline, however long; a server without status has one field */
	static const struct hl_render_server bare = { HL_STR("srv-2"), HL_STR("Beta"), HL_STR("") };
	expect(HL_DIALECT_STELLARSTACK, HL_FORMAT_DISCORD, "backup.restored",
			"{'file':'a text of more than forty characters, which needs a line','n':1.50,'':'x','nil':null}", &bare,
			"{'embeds':[{'title':'" BELL "Backup Restored','color':39423,'timestamp':'" WHEN "','fields':["
			FIELD("Server", "Beta", "true") ","
			FIELD("File", "a text of more than forty characters, which needs a line", "true") ","
			FIELD("N", "1.50", "true") "," FIELD("-", "x", "true") "]," FOOT);
	expect(HL_DIALECT_STELLARSTACK, HL_FORMAT_DISCORD, "server.created", "[1]", NULL,
			"{'embeds':[{'title':'" BELL "Server Created','color':65280,'timestamp':'" WHEN "'," FOOT);
	expect(HL_DIALECT_STELLARSTACK, HL_FORMAT_DISCORD, HL_RENDER_TEST_TYPE, HL_RENDER_TEST_DATA, NULL,
			"{'embeds':[{'title':'" BELL "Test','description':'Webhook connected','color':39423,"
			"'timestamp':'" WHEN "'," FOOT);
}

/* ---- messages: limits ---- */

/* What the platform counts, at its most careful. */
static size_t utf16(struct hl_str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.ptr[i] & 0xC0) == 0x80 ? 0 : (unsigned char)s.ptr[i] >= 0xF0 ? 2 : 1;
	return n;
}

/* Length of a string member, checked against a limit; 0 when absent. */
static size_t text_len(struct hl_arena *a, struct hl_json object, const char *name, size_t max)
{
	struct hl_json v;
	struct hl_str s;
	if (!hl_json_get(object, hl_str_from(name), &v))
		return 0;
	assert_int_equal(hl_json_string(a, v, true, &s), 0);
	assert_true(hl_str_trim(s).len > 0);
	size_t n = utf16(s);
	assert_true(n <= max);
	return n;
}

static void check_discord(const char *body)
{
	struct hl_json root, embeds, fields, footer;
	struct hl_json_iter it, f;
	struct hl_arena a;
	hl_arena_init(&a, 0);
	assert_int_equal(hl_json_check(hl_str_from(body), 10, &root, NULL), 0);
	assert_true(hl_json_get(root, HL_STR("embeds"), &embeds));
	hl_json_each(&it, embeds);
	assert_true(hl_json_next(&it));
	struct hl_json embed = it.value;
	assert_false(hl_json_next(&it));
	size_t total = text_len(&a, embed, "title", 256) + text_len(&a, embed, "description", 4096), n = 0;
	assert_true(hl_json_get(embed, HL_STR("footer"), &footer));
	total += text_len(&a, footer, "text", 2048);
	if (hl_json_get(embed, HL_STR("fields"), &fields)) {
		for (hl_json_each(&f, fields); hl_json_next(&f); n++) {
			size_t name = text_len(&a, f.value, "name", 256), value = text_len(&a, f.value, "value", 1024);
			assert_true(name > 0 && value > 0);
			total += name + value;
		}
		assert_true(n >= 1 && n <= 25);
	}
	assert_true(total <= 6000);
	hl_arena_fini(&a);
}

static void check_telegram(const char *body)
{
	struct hl_json root, v;
	struct hl_arena a;
	hl_arena_init(&a, 0);
	assert_int_equal(hl_json_check(hl_str_from(body), 10, &root, NULL), 0);
	assert_true(text_len(&a, root, "text", 4096) > 0);
	assert_false(hl_json_get(root, HL_STR("chat_id"), &v));
	assert_false(hl_json_get(root, HL_STR("parse_mode"), &v));
	hl_arena_fini(&a);
}

/* Renders for every dialect and checks. */
static void check_all(const char *type, struct hl_str data)
{
	for (unsigned d = 0; d < HL_DIALECT_N; d++) {
		struct hl_event e = event(type, "");
		struct hl_render r = { .dialect = d, .format = HL_FORMAT_DISCORD, .event = &e, .server = &server };
		e.data = data;
		char *body = render(&r);
		check_discord(body);
		free(body);
		r.format = HL_FORMAT_TELEGRAM;
		body = render(&r);
		check_telegram(body);
		free(body);
	}
}

static void add_times(struct hl_buf *b, const char *s, size_t n)
{
	while (n--)
		hl_buf_cstr(b, s);
}

static void limits(void **state)
{
	(void)state;
	static const char *const units[] = { "x", "\xC3\xA4", "\xE2\x98\x85", "\xF0\x9F\x94\x94", "\\u2605",
			"\\ud83d\\udd14", "\\n", " " };
	static const size_t sizes[] = { 0, 1, 127, 128, 255, 256, 257, 511, 512, 1023, 1024, 1025, 2047, 2048, 4095,
		4096, 4097 };
	struct hl_buf b;
	hl_buf_init(&b);
	for (size_t u = 0; u < HL_ARRAY_LEN(units); u++) {
		for (size_t i = 0; i < HL_ARRAY_LEN(sizes); i++) {
			size_t n = sizes[i];
			hl_buf_reset(&b); /* a bare string */
			hl_buf_char(&b, '"');
			add_times(&b, units[u], n);
			hl_buf_char(&b, '"');
			check_all("t", hl_buf_all(&b));
			hl_buf_reset(&b); /* an alert of such texts */
			hl_buf_cstr(&b, "{\"kind\":\"k\",\"market_hash_name\":\"");
			add_times(&b, units[u], n);
			hl_buf_cstr(&b, "\",\"reason\":\"");
			add_times(&b, units[u], n);
			hl_buf_cstr(&b, "\",\"observed_provider\":\"");
			add_times(&b, units[u], n);
			hl_buf_cstr(&b, "\",\"observed_link\":\"https://");
			add_times(&b, units[u], n);
			hl_buf_cstr(&b, "\"}");
			check_all("alert.triggered", hl_buf_all(&b));
			if (n > 1100)
				continue;
			hl_buf_reset(&b); /* 40 fields with such names and values */
			for (int f = 0; f < 40; f++) {
				hl_buf_fmt(&b, "%c\"%d", f ? ',' : '{', f);
				add_times(&b, units[u], n);
				hl_buf_cstr(&b, "\":\"");
				add_times(&b, units[u], n);
				hl_buf_cstr(&b, "\"");
			}
			hl_buf_char(&b, '}');
			check_all("t", hl_buf_all(&b));
		}
	}
	hl_buf_fini(&b);
}

/* Random JSON: whatever is valid can be rendered. */
static void grow(struct fakeenv *f, struct hl_buf *b, unsigned depth)
{
	static const char *const scalars[] = { "null", "true", "-1.5e3", "\"\"", "\"\\ud800\"", "\"\\u0000\"",
			"\"\xE2\x98\x85\"", "\" \"", "\"a\\\"b\\\\\"" };
	uint64_t dice = fakeenv_next(f);
	unsigned n = (unsigned)(dice >> 8 & 7), kind = (unsigned)dice & 3;
	if (depth == 0 || kind == 0) {
		hl_buf_cstr(b, scalars[(dice >> 16) % HL_ARRAY_LEN(scalars)]);
		return;
	}
	hl_buf_char(b, kind == 1 ? '[' : '{');
	for (unsigned i = 0; i < n; i++) {
		if (i)
			hl_buf_char(b, ',');
		if (kind != 1) {
			hl_buf_cstr(b, scalars[3 + fakeenv_next(f) % (HL_ARRAY_LEN(scalars) - 3)]);
			hl_buf_char(b, ':');
		}
		grow(f, b, depth - 1);
	}
	hl_buf_char(b, kind == 1 ? ']' : '}');
}

static void any_json(void **state)
{
	(void)state;
	struct fakeenv f;
	struct hl_buf b;
	fakeenv_init(&f, 7);
	hl_buf_init(&b);
	for (int i = 0; i < 500; i++) {
		hl_buf_reset(&b);
		grow(&f, &b, 4);
		check_all(i % 2 ? "server.started" : "x", hl_buf_all(&b));
	}
	hl_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standard), cmocka_unit_test(slices), cmocka_unit_test(no_memory),
		cmocka_unit_test(discord),
		cmocka_unit_test(alerts), cmocka_unit_test(stellarstack), cmocka_unit_test(limits),
		cmocka_unit_test(any_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
