/* The members of an event type, in one table for both forms. What the texts may hold is the library's to judge. */
#include "api/event_type_json.h"

#include "base/err.h"
#include "base/map.h"
#include "base/str.h"

#include <stdio.h>

/* ---- reading ------------------------------------------------------------------------------------------------------ */

enum { NAME, TITLE, DESCRIPTION, CATEGORY, DIALECTS, N };

static int read_dialects(struct hl_reader *r, const struct hl_json_field *f, struct hl_event_type *t)
{
	struct hl_json_iter it = { .at = NULL };
	if (!f->seen || f->value.type == HL_JSON_NULL)
		return HL_OK;
	for (hl_json_each(&it, f->value); hl_json_next(&it);) {
		struct hl_json_field category = { .name = "dialects", .types = HL_T_STRING, .seen = true, .value = it.value };
		int d = hl_dialect_parse(it.key);
		if (d < 0 || it.value.type != HL_JSON_STRING)
			return hl_read_fail(r, f, "must map hookline, cs2cap, aboutyou, stellarstack or bitnob to a category");
		if (t->dialect_categories[d].len)
			return hl_read_fail(r, f, "names %s twice", hl_dialect_name((enum hl_dialect)d));
		int rc = hl_read_text(r, &category, HL_NAME_MAX, &t->dialect_categories[d]);
		if (rc)
			return rc;
		if (!t->dialect_categories[d].len)
			return hl_read_fail(r, f, "must not map to an empty category");
	}
	return HL_OK;
}

static void fields_init(struct hl_json_field f[N])
{
	static const struct hl_json_field members[N] = {
		[NAME] = { .name = "name", .types = HL_T_STRING },
		[TITLE] = { .name = "title", .types = HL_T_STRING | HL_T_NULL },
		[DESCRIPTION] = { .name = "description", .types = HL_T_STRING | HL_T_NULL },
		[CATEGORY] = { .name = "category", .types = HL_T_STRING | HL_T_NULL },
		[DIALECTS] = { .name = "dialects", .types = HL_T_OBJECT | HL_T_NULL },
	};
	memcpy(f, members, sizeof(members));
}

static int read_members(struct hl_reader *r, const struct hl_json_field f[N], struct hl_event_type *t)
{
	int rc = hl_read_text(r, &f[NAME], HL_EVENT_TYPE_MAX, &t->name);
	if (rc || (rc = hl_read_text(r, &f[TITLE], HL_NAME_MAX, &t->title)) ||
			(rc = hl_read_text(r, &f[DESCRIPTION], HL_DESCRIPTION_MAX, &t->description)) ||
			(rc = hl_read_text(r, &f[CATEGORY], HL_NAME_MAX, &t->category)))
		return rc;
	return read_dialects(r, &f[DIALECTS], t);
}

int hl_event_type_read(struct hl_reader *r, struct hl_str text, struct hl_str name, struct hl_event_type *out)
{
	struct hl_json_field f[N];
	fields_init(f);
	*out = (struct hl_event_type){ .name = name };
	int rc = hl_read_object(r, text, true, f, N);
	if (!rc)
		rc = read_members(r, f, out);
	if (!rc && (!hl_word_valid(name, HL_EVENT_TYPE_MAX) || !hl_str_eq(out->name, name)))
		rc = hl_read_fail(r, &f[NAME], "must be the name in the path, 1 to %d of A-Z a-z 0-9 _ . -", HL_EVENT_TYPE_MAX);
	return rc;
}

static int read_element(struct hl_reader *r, struct hl_json value, struct hl_map_str *names, struct hl_event_type *out)
{
	struct hl_json_field f[N];
	fields_init(f);
	f[NAME].required = true;
	*out = (struct hl_event_type){ .name = HL_STR("") };
	if (value.type != HL_JSON_OBJECT)
		return hl_err_set(r->err, HL_EINVAL, "must be an object");
	int rc = hl_json_object(value, f, N, true, "", r->err);
	if (!rc)
		rc = read_members(r, f, out);
	if (!rc && !hl_word_valid(out->name, HL_EVENT_TYPE_MAX))
		rc = hl_read_fail(r, &f[NAME], "must be 1 to %d of A-Z a-z 0-9 _ . -", HL_EVENT_TYPE_MAX);
	if (!rc && hl_map_str_get(names, out->name))
		rc = hl_read_fail(r, &f[NAME], "there is an earlier entry with this name");
	if (!rc && hl_map_str_put(names, out->name, out))
		rc = hl_err_set(r->err, HL_ENOMEM, "no memory for the event types");
	return rc;
}

/* The culprit is within entry i: "/name" becomes "/3/name". */
static void blame(struct hl_err *err, size_t i)
{
	char field[sizeof(err->field)];
	snprintf(field, sizeof(field), "/%zu%.40s", i, err->field);
	memcpy(err->field, field, sizeof(field));
}

static int read_elements(struct hl_reader *r, struct hl_json top, struct hl_map_str *names, struct hl_event_type *v)
{
	struct hl_json_iter it = { .at = NULL };
	size_t i = 0;
	for (hl_json_each(&it, top); hl_json_next(&it); i++) {
		int rc = read_element(r, it.value, names, &v[i]);
		if (rc) {
			blame(r->err, i);
			return rc;
		}
	}
	return HL_OK;
}

int hl_event_types_read(struct hl_reader *r, struct hl_str text, const struct hl_event_type **out, size_t *out_n)
{
	struct hl_json top;
	struct hl_json_iter it = { .at = NULL };
	struct hl_map_str names;
	size_t n = 0;
	int rc = hl_json_check(text, HL_JSON_DEPTH_MAX, &top, r->err);
	if (rc)
		return rc == HL_ETOOBIG ? hl_err_set(r->err, HL_ESYNTAX, "nested too deeply") : rc;
	if (top.type != HL_JSON_ARRAY)
		return hl_err_set(r->err, HL_EINVAL, "must be an array of event types");
	for (hl_json_each(&it, top); hl_json_next(&it);)
		n++;
	if (n > HL_EVENT_TYPES_TOTAL_MAX)
		return hl_err_set(r->err, HL_EINVAL, "must be at most %d event types", HL_EVENT_TYPES_TOTAL_MAX);
	struct hl_event_type *v = HL_ARENA_ARRAY(r->arena, struct hl_event_type, n + 1);
	if (!v)
		return hl_err_set(r->err, HL_ENOMEM, "no memory for the event types");
	hl_map_str_init(&names);
	rc = read_elements(r, top, &names, v);
	hl_map_str_fini(&names);
	*out = v;
	*out_n = n;
	return rc;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

void hl_event_type_write(struct hl_jsonw *w, const struct hl_event_type *t)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "name");
	hl_jsonw_str(w, t->name);
	hl_jsonw_key(w, "title");
	hl_jsonw_str(w, t->title);
	hl_jsonw_key(w, "description");
	hl_jsonw_str(w, t->description);
	hl_jsonw_key(w, "category");
	hl_jsonw_str(w, t->category);
	hl_jsonw_key(w, "dialects");
	hl_jsonw_object(w);
	for (int i = 0; i < HL_DIALECT_N; i++)
		if (t->dialect_categories[i].len) {
			hl_jsonw_key(w, hl_dialect_name((enum hl_dialect)i));
			hl_jsonw_str(w, t->dialect_categories[i]);
		}
	hl_jsonw_object_end(w);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, t->created_at_ms);
	hl_jsonw_key(w, "updated_at");
	hl_jsonw_time(w, t->updated_at_ms);
	hl_jsonw_object_end(w);
}
