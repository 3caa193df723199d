/* Messages for people.
 *
 * A Discord message is one embed: a title, a sentence or none, and fields. A Telegram message is the same as lines of
 * text. Any event gets one: its type is the title, and the readable members of `data` (strings, numbers, booleans; one
 * level of nesting as "outer.inner") are the fields. An alert of dialect cs2cap and any event of dialect stellarstack
 * have layouts of their own.
 *
 * The platforms refuse a whole message for one member that is too long or empty, so every text passes through fit().
 * They count characters; which kind is not documented for all limits, so the larger count (UTF-16 units) is used
 * everywhere.
 *
 *   a member with no text          shown as "-"
 *   a text that is too long        cut, with an ellipsis as its last character
 *   more fields than fit           the rest is left out
 *   data without readable members  its JSON text, cut, is the message */
#include "dispatch/render_chat.h"
#include "base/defs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/timefmt.h"

enum {
	TITLE_MAX = 256,
	DESCRIPTION_MAX = 4096,
	FIELD_NAME_MAX = 256,
	FIELD_VALUE_MAX = 1024,
	FIELDS_MAX = 25,
	EMBED_MAX = 6000,        /* title, description, names, values and footer together */
	EMBED_URL_MAX = 2048,
	INLINE_MAX = 40,         /* usual embed.inline_max */
	TELEGRAM_MAX = 4096,
};

enum { GREEN = 65280, RED = 16711680, YELLOW = 16776960, BLUE = 39423, ALERT_GREEN = 3066993 };

/* ---- texts that fit -------------------------------------------------------------------------------------------- */

static size_t units_at(const char *p)
{
	unsigned char c = (unsigned char)*p;
	return (c & 0xC0) == 0x80 ? 0 : c >= 0xF0 ? 2 : 1;
}

/* UTF-16 units of a valid UTF-8 text, counted up to a little more than max. */
static size_t units(struct hl_str s, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len && n <= max; i++)
		n += units_at(s.ptr + i);
	return n;
}

/* s when it has at most max units, else its beginning and an ellipsis. Only a failed copy (no memory) loses the
 * latter. */
static struct hl_str fit(struct hl_arena *a, struct hl_str s, size_t max)
{
	static const char ellipsis[] = "\xE2\x80\xA6";
	size_t n = 0, len = 0;
	if (units(s, max) <= max)
		return s;
	while (len < s.len && n + units_at(s.ptr + len) <= max - 1)
		n += units_at(s.ptr + len++); /* continuation bytes count 0: this stops at the start of a character */
	char *copy = hl_arena_alloc(a, len + sizeof ellipsis);
	if (!copy)
		return hl_str_make(s.ptr, len);
	memcpy(copy, s.ptr, len);
	memcpy(copy + len, ellipsis, sizeof ellipsis - 1);
	return hl_str_make(copy, len + sizeof ellipsis - 1);
}

/* Something to see: the platforms trim texts and refuse empty ones. */
static bool is_blank(struct hl_str s)
{
	return hl_str_trim(s).len == 0;
}

/* ---- reading data
 * --------------------------------------------------------------------------------------------------- */

/* What a message is made from; lives for one call. */
struct source {
	const struct hl_event *event;
	struct hl_arena arena;
	struct hl_json root;     /* the event's data; null when it cannot be read */
};

static void source_init(struct source *s, const struct hl_event *e)
{
	s->event = e;
	hl_arena_init(&s->arena, 0);
	if (hl_json_check(e->data, HL_JSON_DEPTH_MAX, &s->root, NULL) != HL_OK)
		s->root = (struct hl_json){ HL_JSON_NULL, HL_STR("null") };
}

/* A value for people: strings decoded, the rest as written. */
static struct hl_str text_of(struct source *s, struct hl_json v)
{
	struct hl_str text;
	if (v.type == HL_JSON_STRING && hl_json_string(&s->arena, v, false, &text) == HL_OK)
		return text;
	return v.raw;
}

static bool is_readable(enum hl_json_type t)
{
	return t == HL_JSON_STRING || t == HL_JSON_NUMBER || t == HL_JSON_BOOL;
}

/* A readable member of data as text, "" when there is none. */
static struct hl_str member(struct source *s, const char *name)
{
	struct hl_json v;
	if (!hl_json_get(s->root, hl_str_from(name), &v) || !is_readable(v.type))
		return HL_STR_NONE;
	return text_of(s, v);
}

static struct hl_str key_text(struct source *s, struct hl_str raw)
{
	return text_of(s, (struct hl_json){ HL_JSON_STRING, raw });
}

static struct hl_str join(struct source *s, struct hl_str a, const char *between, struct hl_str b)
{
	size_t n = strlen(between);
	char *p = hl_arena_alloc(&s->arena, a.len + n + b.len + 1);
	if (!p)
		return a;
	if (a.len)
		memcpy(p, a.ptr, a.len);
	memcpy(p + a.len, between, n);
	if (b.len)
		memcpy(p + a.len + n, b.ptr, b.len);
	return hl_str_make(p, a.len + n + b.len);
}

/* Takes one field; false = no more of them. */
typedef bool (*field_cb)(void *to, struct hl_str name, struct hl_str value);

/* Readable members of data, one level of nesting flattened; returns how many were offered. */
static size_t each_readable(struct source *s, field_cb field, void *to)
{
	struct hl_json_iter outer, inner;
	size_t n = 0;
	for (hl_json_each(&outer, s->root); s->root.type == HL_JSON_OBJECT && hl_json_next(&outer);) {
		struct hl_str name = key_text(s, outer.key);
		if (is_readable(outer.value.type)) {
			n++;
			if (!field(to, name, text_of(s, outer.value)))
				return n;
		}
		if (outer.value.type != HL_JSON_OBJECT)
			continue;
		for (hl_json_each(&inner, outer.value); hl_json_next(&inner);) {
			if (!is_readable(inner.value.type))
				continue;
			n++;
			if (!field(to, join(s, name, ".", key_text(s, inner.key)), text_of(s, inner.value)))
				return n;
		}
	}
	return n;
}

/* ---- Discord: one embed ---------------------------------------------------------------------------------------- */

struct embed {
	struct hl_jsonw w;
	struct hl_arena *arena;
	size_t left;             /* units the embed may still hold */
	size_t inline_max;       /* units; a longer value gets a line of its own */
	unsigned n_fields;
};

static void embed_text(struct embed *m, const char *key, struct hl_str text, size_t max)
{
	text = fit(m->arena, text, max);
	m->left -= units(text, max);
	hl_jsonw_key(&m->w, key);
	hl_jsonw_str(&m->w, text);
}

static void embed_begin(struct embed *m, struct hl_buf *out, struct hl_arena *arena, struct hl_str title)
{
	m->arena = arena;
	m->left = EMBED_MAX - (sizeof HL_RENDER_PRODUCT - 1);
	m->inline_max = INLINE_MAX;
	m->n_fields = 0;
	hl_jsonw_init(&m->w, out);
	hl_jsonw_object(&m->w);
	hl_jsonw_key(&m->w, "embeds");
	hl_jsonw_array(&m->w);
	hl_jsonw_object(&m->w);
	embed_text(m, "title", title, TITLE_MAX);
}

static void embed_description(struct embed *m, struct hl_str text)
{
	if (!is_blank(text))
		embed_text(m, "description", text, HL_MIN((size_t)DESCRIPTION_MAX, m->left));
}

static void embed_facts(struct embed *m, const struct hl_event *e, unsigned color)
{
	hl_jsonw_key(&m->w, "color");
	hl_jsonw_u64(&m->w, color);
	hl_jsonw_key(&m->w, "timestamp");
	hl_jsonw_time(&m->w, e->occurred_at_ms ? e->occurred_at_ms : e->created_at_ms);
}

/* A field_cb. The array is opened by its first field and closed by embed_end. */
static bool embed_field(void *to, struct hl_str name, struct hl_str value)
{
	struct embed *m = to;
	name = is_blank(name) ? HL_STR("-") : fit(m->arena, name, FIELD_NAME_MAX);
	value = is_blank(value) ? HL_STR("-") : fit(m->arena, value, FIELD_VALUE_MAX);
	size_t value_units = units(value, FIELD_VALUE_MAX), n = units(name, FIELD_NAME_MAX) + value_units;
	if (m->n_fields == FIELDS_MAX || n > m->left)
		return false;
	m->left -= n;
	if (m->n_fields++ == 0) {
		hl_jsonw_key(&m->w, "fields");
		hl_jsonw_array(&m->w);
	}
	hl_jsonw_object(&m->w);
	hl_jsonw_key(&m->w, "name");
	hl_jsonw_str(&m->w, name);
	hl_jsonw_key(&m->w, "value");
	hl_jsonw_str(&m->w, value);
	hl_jsonw_key(&m->w, "inline");
	hl_jsonw_bool(&m->w, value_units <= m->inline_max);
	hl_jsonw_object_end(&m->w);
	return true;
}

static void embed_end_fields(struct embed *m)
{
	if (m->n_fields)
		hl_jsonw_array_end(&m->w);
}

/* Footer, and no text of a stranger may call anybody. */
static void embed_end(struct embed *m)
{
	struct hl_jsonw *w = &m->w;
	hl_jsonw_key(w, "footer");
	hl_jsonw_object(w);
	hl_jsonw_key(w, "text");
	hl_jsonw_cstr(w, HL_RENDER_PRODUCT);
	hl_jsonw_object_end(w);
	hl_jsonw_object_end(w);
	hl_jsonw_array_end(w);
	hl_jsonw_key(w, "allowed_mentions");
	hl_jsonw_object(w);
	hl_jsonw_key(w, "parse");
	hl_jsonw_array(w);
	hl_jsonw_array_end(w);
	hl_jsonw_object_end(w);
	hl_jsonw_object_end(w);
}

static void discord_any(struct source *s, struct hl_buf *out)
{
	struct embed m;
	embed_begin(&m, out, &s->arena, s->event->type);
	embed_facts(&m, s->event, BLUE);
	size_t n = each_readable(s, embed_field, &m);
	embed_end_fields(&m);
	if (n == 0 && s->root.type != HL_JSON_NULL)
		embed_description(&m, text_of(s, s->root));
	embed_end(&m);
}

/* ---- dialect cs2cap: an alert ---------------------------------------------------------------------------------- */

/* What an alert's data says, each "" when it does not. */
struct alert {
	struct hl_str title, reason, condition, observed, market, link;
};

/* "19.50 USD"; a spread has no currency and is a percentage. */
static struct hl_str amount(struct source *s, const char *value_name, const char *currency_name)
{
	struct hl_str value = member(s, value_name), currency = member(s, currency_name);
	if (value.len == 0)
		return value;
	return join(s, value, " ", currency.len ? currency : HL_STR("%"));
}

/* False when the event is no alert. */
static bool alert_read(struct source *s, struct alert *a)
{
	struct hl_str kind = member(s, "kind"), name = member(s, "market_hash_name");
	if (kind.len == 0 || name.len == 0)
		return false;
	a->title = join(s, HL_STR("Price alert"), ": ", name);
	a->reason = member(s, "reason");
	a->condition = join(s, kind, " ", amount(s, "threshold_value", "threshold_currency"));
	a->observed = amount(s, "triggered_value", "triggered_currency");
	a->market = member(s, "observed_provider");
	a->link = member(s, "observed_link");
	bool is_web = hl_str_starts(a->link, HL_STR("https://")) || hl_str_starts(a->link, HL_STR("http://"));
	if (!is_web || a->link.len > EMBED_URL_MAX)
		a->link = HL_STR_NONE;
	return true;
}

static void discord_alert(struct source *s, const struct alert *a, struct hl_buf *out)
{
	struct embed m;
	embed_begin(&m, out, &s->arena, a->title);
	embed_description(&m, a->reason);
	if (a->link.len) {
		hl_jsonw_key(&m.w, "url");
		hl_jsonw_str(&m.w, a->link);
	}
	embed_facts(&m, s->event, ALERT_GREEN);
	embed_field(&m, HL_STR("Condition"), a->condition);
	if (a->observed.len)
		embed_field(&m, HL_STR("Observed"), a->observed);
	if (a->market.len)
		embed_field(&m, HL_STR("Market"), a->market);
	embed_end_fields(&m);
	embed_end(&m);
}

/* ---- dialect stellarstack -------------------------------------------------------------------------------------- */

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* "server.started" → "🔔 Server Started". */
static struct hl_str stellarstack_title(struct source *s, struct hl_str type)
{
	struct hl_str bell = HL_STR("\xF0\x9F\x94\x94"), title = join(s, bell, " ", type);
	if (title.len != bell.len + 1 + type.len)
		return type; /* no memory for the joined copy */
	char *p = (char *)title.ptr + bell.len + 1;
	for (size_t i = 0; i < type.len; i++) {
		if (type.ptr[i] == '.')
			p[i] = ' ';
		else if (i == 0 || type.ptr[i - 1] == '.')
			p[i] = upper(p[i]);
	}
	return title;
}

static unsigned stellarstack_color(struct hl_str type)
{
	static const struct {
		const char *word;
		unsigned color;
	} table[] = {
		{ "started", GREEN }, { "created", GREEN }, { "completed", GREEN }, { "stopped", RED },
		{ "deleted", RED },   { "failed", RED },    { "warning", YELLOW },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(table); i++) {
		if (hl_str_contains(type, hl_str_from(table[i].word)))
			return table[i].color;
	}
	return BLUE;
}

static struct hl_str capitalised(struct source *s, struct hl_str name)
{
	struct hl_str copy = hl_arena_dup(&s->arena, name);
	if (!copy.ptr || copy.len == 0)
		return name;
	((char *)copy.ptr)[0] = upper(copy.ptr[0]);
	return copy;
}

static void discord_stellarstack(struct source *s, const struct hl_render_server *server, struct hl_buf *out)
{
	struct embed m;
	struct hl_json_iter it;
	struct hl_str type = s->event->type;
	bool is_test = hl_str_eq(type, HL_STR(HL_RENDER_TEST_TYPE));
	embed_begin(&m, out, &s->arena, stellarstack_title(s, is_test ? HL_STR("test") : type));
	m.inline_max = FIELD_VALUE_MAX;
	if (is_test)
		embed_description(&m, HL_STR("Webhook connected"));
	embed_facts(&m, s->event, stellarstack_color(type));
	if (server) {
		embed_field(&m, HL_STR("Server"), server->name);
		if (server->status.len)
			embed_field(&m, HL_STR("Status"), server->status);
	}
	bool more = !is_test && s->root.type == HL_JSON_OBJECT;
	for (hl_json_each(&it, s->root); more && hl_json_next(&it);) {
		if (it.value.type == HL_JSON_STRING || it.value.type == HL_JSON_NUMBER)
			more = embed_field(&m, capitalised(s, key_text(s, it.key)), text_of(s, it.value));
	}
	embed_end_fields(&m);
	embed_end(&m);
}

/* ---- Telegram: lines ------------------------------------------------------------------------------------------- */

/* Text under construction; stops growing once it is certainly too long. */
struct lines {
	struct hl_buf text;
};

static void line(struct lines *l, struct hl_str text)
{
	if (is_blank(text))
		return;
	if (l->text.len)
		hl_buf_char(&l->text, '\n');
	hl_buf_str(&l->text, text);
}

/* A field_cb: "name: value". Four bytes hold at most two units, so past this many bytes nothing more can show. */
static bool line_field(void *to, struct hl_str name, struct hl_str value)
{
	struct lines *l = to;
	if (l->text.len > 4 * TELEGRAM_MAX)
		return false;
	hl_buf_char(&l->text, '\n');
	hl_buf_str(&l->text, name);
	hl_buf_cstr(&l->text, ": ");
	hl_buf_str(&l->text, is_blank(value) ? HL_STR("-") : value);
	return true;
}

static void telegram_any(struct source *s, struct lines *l)
{
	line(l, s->event->type);
	if (each_readable(s, line_field, l) == 0 && s->root.type != HL_JSON_NULL)
		line(l, text_of(s, s->root));
}

static void telegram_alert(const struct alert *a, struct lines *l)
{
	line(l, a->title);
	line(l, a->reason);
	line_field(l, HL_STR("Condition"), a->condition);
	if (a->observed.len)
		line_field(l, HL_STR("Observed"), a->observed);
	if (a->market.len)
		line_field(l, HL_STR("Market"), a->market);
	line(l, a->link);
}

/* ---- entry points ---------------------------------------------------------------------------------------------- */

int hl_render_discord(const struct hl_render *r, struct hl_buf *out)
{
	struct source s;
	struct alert alert;
	source_init(&s, r->event);
	if (r->dialect == HL_DIALECT_STELLARSTACK)
		discord_stellarstack(&s, r->server, out);
	else if (r->dialect == HL_DIALECT_CS2CAP && alert_read(&s, &alert))
		discord_alert(&s, &alert, out);
	else
		discord_any(&s, out);
	hl_arena_fini(&s.arena);
	return hl_buf_ok(out) ? HL_OK : HL_ENOMEM;
}

int hl_render_telegram(const struct hl_render *r, struct hl_buf *out)
{
	struct source s;
	struct alert alert;
	struct lines l;
	struct hl_jsonw w;
	source_init(&s, r->event);
	hl_buf_init(&l.text);
	if (r->dialect == HL_DIALECT_CS2CAP && alert_read(&s, &alert))
		telegram_alert(&alert, &l);
	else
		telegram_any(&s, &l);
	bool ok = hl_buf_ok(&l.text);
	hl_jsonw_init(&w, out);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "text");
	hl_jsonw_str(&w, fit(&s.arena, hl_buf_all(&l.text), TELEGRAM_MAX));
	hl_jsonw_key(&w, "link_preview_options"); /* since Bot API 7.0 in place of disable_web_page_preview */
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "is_disabled");
	hl_jsonw_bool(&w, true);
	hl_jsonw_object_end(&w);
	hl_jsonw_object_end(&w);
	hl_buf_fini(&l.text);
	hl_arena_fini(&s.arena);
	return ok && hl_buf_ok(out) ? HL_OK : HL_ENOMEM;
}
