/* Orders over the control socket. The server takes them because of who we are (peer credentials), not because of a key.
 *
 * Only "nobody listens" leads to the store being opened directly: a server that refuses an order has refused it. */
#include "main/key_ask.h"

#include "base/defs.h"
#include "base/env.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "main/ask.h"
#include <stdio.h>

void hl_key_line(struct hl_buf *out, struct hl_str prefix, struct hl_str last4, struct hl_str account, struct hl_str dialect,
		struct hl_str scopes, struct hl_str state, struct hl_str expires, struct hl_str name)
{
	struct hl_str until = expires.len ? expires : HL_STR("never");
	hl_buf_fmt(out, "%.*s…%.*s  %-16.*s %-12.*s %-28.*s %-8.*s %-24.*s %.*s\n", HL_FMT(prefix), HL_FMT(last4), HL_FMT(account),
			HL_FMT(dialect), HL_FMT(scopes), HL_FMT(state), HL_FMT(until), HL_FMT(name));
}

/* One request; anything but `want` is told as the server told it. */
static int order(struct hl_ask *c, const char *url, const char *method, const char *target, struct hl_str body, unsigned want,
		struct hl_err *err)
{
	int rc = hl_ask_open(c, url, err);
	if (rc)
		return rc;
	rc = hl_ask_run(c, method, target, "", "", body, err);
	if (rc == HL_OK && c->status != want)
		rc = hl_ask_problem(c, err);
	if (rc)
		hl_ask_close(c);
	/* from here on a server has spoken */
	if (rc == HL_ENOTFOUND)
		rc = err->code = HL_ECONFLICT;
	return rc;
}

static void write_order(struct hl_buf *body, const struct hl_key_order *o)
{
	struct hl_jsonw w;
	hl_jsonw_init(&w, body);
	hl_jsonw_object(&w);
	if (o->account.len) {
		hl_jsonw_key(&w, "account");
		hl_jsonw_str(&w, o->account);
	}
	hl_jsonw_key(&w, "dialect");
	hl_jsonw_cstr(&w, hl_dialect_name(o->dialect));
	hl_jsonw_key(&w, "scopes");
	hl_jsonw_array(&w);
	for (unsigned bit = 1; bit <= HL_SCOPE_ALL; bit <<= 1)
		if (o->scopes & bit)
			hl_jsonw_cstr(&w, hl_scope_name(bit));
	hl_jsonw_array_end(&w);
	hl_jsonw_key(&w, "name");
	hl_jsonw_str(&w, o->name);
	hl_jsonw_key(&w, "expires_at");
	hl_jsonw_time(&w, o->expires_at_ms);
	hl_jsonw_object_end(&w);
}

int hl_key_ask_create(const char *url, const struct hl_key_order *o, struct hl_buf *out_text, struct hl_err *err)
{
	struct hl_buf body = { 0 };
	struct hl_ask c;
	struct hl_json answer;
	write_order(&body, o);
	int rc = order(&c, url, "POST", "/v1/keys", hl_buf_all(&body), 201, err);
	hl_buf_fini(&body);
	if (rc)
		return rc;
	rc = hl_ask_json(&c, &answer, err);
	if (rc == HL_OK) {
		struct hl_str text = hl_ask_text(&c, answer, "key");
		hl_buf_str(out_text, text);
		rc = text.len ? HL_OK : hl_err_set(err, HL_EPROTO, "the server's answer holds no key");
	}
	hl_ask_close(&c);
	return rc;
}

static bool is_past(struct hl_str time)
{
	hl_ms_t at;
	return hl_rfc3339_parse(time, &at) && at <= hl_env_wall_ms(&hl_env_real);
}

static void list_one(struct hl_ask *c, struct hl_json key, struct hl_buf *out)
{
	struct hl_buf scopes = { 0 };
	struct hl_json list, one;
	struct hl_json_iter it = { 0 };
	if (hl_json_get(key, HL_STR("scopes"), &list) && list.type == HL_JSON_ARRAY) {
		for (hl_json_each(&it, list); hl_json_next(&it);) {
			struct hl_str s;
			one = it.value;
			if (one.type != HL_JSON_STRING || hl_json_string(&c->arena, one, false, &s))
				continue;
			if (scopes.len)
				hl_buf_char(&scopes, ',');
			hl_buf_str(&scopes, s);
		}
	}
	struct hl_str revoked = hl_ask_text(c, key, "revoked_at"), expires = hl_ask_text(c, key, "expires_at");
	struct hl_str state = revoked.len ? HL_STR("revoked") : is_past(expires) ? HL_STR("expired") : HL_STR("active");
	hl_key_line(out, hl_ask_text(c, key, "prefix"), hl_ask_text(c, key, "last4"), hl_ask_text(c, key, "account"),
			hl_ask_text(c, key, "dialect"), hl_buf_all(&scopes), state, expires, hl_ask_text(c, key, "name"));
	hl_buf_fini(&scopes);
}

int hl_key_ask_list(const char *url, const struct hl_key_order *o, struct hl_buf *out_lines, struct hl_err *err)
{
	char cursor[256] = "";
	int rc;
	do {
		char target[512];
		struct hl_ask c;
		struct hl_json answer, data;
		struct hl_json_iter it = { 0 };
		snprintf(target, sizeof(target), "/v1/keys?limit=250%s%.*s%s%s", o->account.len ? "&account=" : "", HL_FMT(o->account),
				cursor[0] ? "&cursor=" : "", cursor);
		rc = order(&c, url, "GET", target, HL_STR(""), 200, err);
		if (rc)
			return rc;
		rc = hl_ask_json(&c, &answer, err);
		cursor[0] = '\0';
		if (rc == HL_OK && hl_json_get(answer, HL_STR("data"), &data) && data.type == HL_JSON_ARRAY) {
			for (hl_json_each(&it, data); hl_json_next(&it);)
				if (it.value.type == HL_JSON_OBJECT)
					list_one(&c, it.value, out_lines);
			struct hl_str next = hl_ask_text(&c, answer, "next_cursor");
			snprintf(cursor, sizeof(cursor), "%.*s", HL_FMT(next));
		}
		hl_ask_close(&c);
	} while (rc == HL_OK && cursor[0]);
	return rc;
}

int hl_key_ask_revoke(const char *url, const struct hl_key_order *o, struct hl_err *err)
{
	char target[128];
	struct hl_ask c;
	/* the prefix is enough, and the rest of a key has no business in a request line */
	snprintf(target, sizeof(target), "/v1/keys/%.*s", (int)HL_MIN(o->key.len, (size_t)HL_KEY_PREFIX_LEN), o->key.ptr);
	int rc = order(&c, url, "DELETE", target, HL_STR(""), 204, err);
	if (rc == HL_OK)
		hl_ask_close(&c);
	return rc;
}
