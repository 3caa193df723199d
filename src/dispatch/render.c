/* The body of a delivery.
 *
 * For `standard` and `google_sheets` the body is JSON around the published bytes: everything before `data` is the head,
 * everything after it the tail, and both are written into one small buffer; the data stays where it is. The dialects
 * differ only in the names around it. `discord` and `telegram` get a message of their own, made in render_chat.c.
 *
 * Nothing here can fail but memory: whatever was accepted as an event can be rendered, and data whose members are not
 * what a dialect hopes for simply lacks the members copied out of it. */
#include "dispatch/render.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/timefmt.h"

bool hl_render_shared(enum hl_dialect dialect, enum hl_format format)
{
	return dialect != HL_DIALECT_ABOUTYOU || format == HL_FORMAT_DISCORD || format == HL_FORMAT_TELEGRAM;
}

bool hl_render_wants_server(enum hl_dialect dialect)
{
	return dialect == HL_DIALECT_STELLARSTACK;
}

/* ---- pieces of JSON written by hand: the object stays open around the data ------------------------------------- */

/* ,"name":"text" — `lead` is everything up to the value. */
static void text_member(struct hl_buf *b, const char *lead, struct hl_str text)
{
	hl_buf_cstr(b, lead);
	hl_json_quote(b, text);
}

static void time_member(struct hl_buf *b, const char *lead, const struct hl_event *e)
{
	char text[HL_RFC3339_CAP];
	size_t len = hl_rfc3339_format(e->occurred_at_ms ? e->occurred_at_ms : e->created_at_ms, text);
	text_member(b, lead, hl_str_make(text, len));
}

/* ---- heads and tails ------------------------------------------------------------------------------------------- */

static void hookline_head(struct hl_buf *b, const struct hl_event *e)
{
	text_member(b, "{\"id\":", hl_str_from(e->id));
	text_member(b, ",\"type\":", e->type);
	time_member(b, ",\"timestamp\":", e);
	hl_buf_cstr(b, ",\"data\":");
}

/* Receivers of this dialect read some members of the alert at the top level, others inside data: both are there. */
static void cs2cap_head(struct hl_buf *b, const struct hl_event *e)
{
	static const char *const flat[] = { "alert_id", "item_id", "market_hash_name" };
	struct hl_json root, v;
	text_member(b, "{\"id\":", hl_str_from(e->id));
	text_member(b, ",\"type\":", e->type);
	text_member(b, ",\"event_type\":", e->type);
	time_member(b, ",\"created_at\":", e);
	if (hl_json_check(e->data, HL_JSON_DEPTH_MAX, &root, NULL) == HL_OK && root.type == HL_JSON_OBJECT) {
		for (size_t i = 0; i < HL_ARRAY_LEN(flat); i++) {
			if (!hl_json_get(root, hl_str_from(flat[i]), &v))
				continue;
			hl_buf_cstr(b, ",\"");
			hl_buf_cstr(b, flat[i]);
			hl_buf_cstr(b, "\":");
			hl_buf_str(b, v.raw);
		}
	}
	hl_buf_cstr(b, ",\"data\":");
}

static void aboutyou_head(struct hl_buf *b, const struct hl_event *e)
{
	hl_buf_cstr(b, "{\"id\":");
	hl_buf_u64(b, e->number);
	text_member(b, ",\"event\":", e->type);
	time_member(b, ",\"timestamp\":", e);
	hl_buf_cstr(b, ",\"message\":");
}

/* Clients of this dialect know `data` as an object or not at all. */
static bool stellarstack_has_data(const struct hl_event *e)
{
	return hl_str_starts(hl_str_trim(e->data), HL_STR("{"));
}

/* The neutral event of this dialect; its webhooks normally get Discord embeds. */
static void stellarstack_head(struct hl_buf *b, const struct hl_event *e, const struct hl_render_server *server)
{
	text_member(b, "{\"event\":", e->type);
	time_member(b, ",\"timestamp\":", e);
	if (server) {
		text_member(b, ",\"server\":{\"id\":", server->id);
		text_member(b, ",\"name\":", server->name);
		if (server->status.len)
			text_member(b, ",\"status\":", server->status);
		hl_buf_char(b, '}');
	}
	if (stellarstack_has_data(e))
		hl_buf_cstr(b, ",\"data\":");
}

static void bitnob_head(struct hl_buf *b, const struct hl_event *e)
{
	text_member(b, "{\"id\":", hl_str_from(e->id));
	hl_buf_cstr(b, ",\"object\":\"event\"");
	text_member(b, ",\"type\":", e->type);
	text_member(b, ",\"event\":", e->type);
	time_member(b, ",\"created_at\":", e);
	hl_buf_cstr(b, ",\"data\":");
}

static void standard_body(const struct hl_render *r, struct hl_body *out)
{
	struct hl_buf *b = &out->text;
	const struct hl_event *e = r->event;
	switch (r->dialect) {
	case HL_DIALECT_HOOKLINE:
		hookline_head(b, e);
		break;
	case HL_DIALECT_CS2CAP:
		cs2cap_head(b, e);
		break;
	case HL_DIALECT_ABOUTYOU:
		aboutyou_head(b, e);
		break;
	case HL_DIALECT_STELLARSTACK:
		stellarstack_head(b, e, r->server);
		break;
	case HL_DIALECT_BITNOB:
		bitnob_head(b, e);
		break;
	case HL_DIALECT_N:
		HL_NEVER("not a dialect");
	}
	out->head_len = b->len;
	if (r->dialect != HL_DIALECT_STELLARSTACK || stellarstack_has_data(e))
		out->data = e->data;
	if (r->dialect == HL_DIALECT_ABOUTYOU) {
		hl_buf_cstr(b, ",\"subscription_id\":");
		hl_buf_u64(b, r->webhook);
	}
	hl_buf_char(b, '}');
}

/* ---- bodies ---------------------------------------------------------------------------------------------------- */

void hl_body_init(struct hl_body *b)
{
	memset(b, 0, sizeof *b);
	hl_buf_init(&b->text);
}

void hl_body_fini(struct hl_body *b)
{
	hl_buf_fini(&b->text);
	hl_body_init(b);
}

int hl_render_body(const struct hl_render *r, struct hl_body *out)
{
	int rc = HL_OK;
	hl_buf_reset(&out->text);
	out->head_len = 0;
	out->data = HL_STR_NONE;
	switch (r->format) {
	case HL_FORMAT_STANDARD:
	case HL_FORMAT_GOOGLE_SHEETS:
		standard_body(r, out);
		break;
	case HL_FORMAT_DISCORD:
		rc = hl_render_discord(r, &out->text);
		break;
	case HL_FORMAT_TELEGRAM:
		rc = hl_render_telegram(r, &out->text);
		break;
	case HL_FORMAT_N:
		HL_NEVER("not a format");
	}
	if (rc == HL_OK && !hl_buf_ok(&out->text))
		rc = HL_ENOMEM;
	if (rc == HL_OK && out->data.len == 0)
		out->head_len = out->text.len;
	return rc;
}

size_t hl_body_len(const struct hl_body *b)
{
	return b->text.len + b->data.len;
}

size_t hl_body_slices(const struct hl_body *b, struct hl_str out[3])
{
	const struct hl_str all[] = {
		hl_str_make(b->text.data, b->head_len),
		b->data,
		hl_str_make(b->text.data ? b->text.data + b->head_len : NULL, b->text.len - b->head_len),
	};
	size_t n = 0;
	for (size_t i = 0; i < HL_ARRAY_LEN(all); i++) {
		if (all[i].len)
			out[n++] = all[i];
	}
	return n;
}
