/* One pass validates the text, `data` included; what is handed on points into it. */
#include "api/publish_json.h"

#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

int hl_publish_read(struct hl_reader *r, const struct hl_webhook_scope *scope, struct hl_str text, struct hl_publish *out)
{
	enum { TYPE, DATA, ID, SERVER, OCCURRED, AFTER, EXPIRES, N };
	struct hl_json_field f[N] = {
		[TYPE] = { .name = "type", .types = HL_T_STRING, .required = true },
		[DATA] = { .name = "data", .types = HL_T_ANY, .required = true },
		[ID] = { .name = "id", .types = HL_T_STRING | HL_T_NULL },
		[SERVER] = { .name = "server", .types = HL_T_STRING | HL_T_NULL },
		[OCCURRED] = { .name = "occurred_at", .types = HL_T_STRING | HL_T_NULL },
		[AFTER] = { .name = "deliver_after", .types = HL_T_STRING | HL_T_NULL },
		[EXPIRES] = { .name = "expires_at", .types = HL_T_STRING | HL_T_NULL },
	};
	struct hl_publish p = { .external_id = HL_STR("") };
	int rc = hl_read_object(r, text, false, f, N);
	if (rc || (rc = hl_read_text(r, &f[TYPE], HL_EVENT_TYPE_MAX, &p.type)) ||
			(rc = hl_read_text(r, &f[ID], HL_EXTERNAL_ID_MAX, &p.external_id)) ||
			(rc = hl_server_id_read(r, scope, &f[SERVER], &p.server)) ||
			(rc = hl_read_time(r, &f[OCCURRED], &p.occurred_at_ms)) ||
			(rc = hl_read_time(r, &f[AFTER], &p.deliver_after_ms)) ||
			(rc = hl_read_time(r, &f[EXPIRES], &p.expires_at_ms)))
		return rc;
	if (!hl_word_valid(p.type, HL_EVENT_TYPE_MAX))
		return hl_read_fail(r, &f[TYPE], "must be 1 to %d of A-Z a-z 0-9 _ . -", HL_EVENT_TYPE_MAX);
	if (f[ID].seen && f[ID].value.type == HL_JSON_STRING &&
			(!p.external_id.len || !hl_str_all_between(p.external_id, 0x21, 0x7e)))
		return hl_read_fail(r, &f[ID], "must be 1 to %d visible ASCII characters", HL_EXTERNAL_ID_MAX);
	p.data = f[DATA].value.raw;
	p.data_checked = true;
	*out = p;
	return HL_OK;
}

const struct hl_err *hl_published_error(int status, const struct hl_published *p, struct hl_err *err)
{
	if (status != HL_EMISMATCH || !p->id_clashed)
		return NULL;
	hl_err_field(err, status, "/id", "was used for an event with other content");
	return err;
}

void hl_published_members(struct hl_jsonw *w, const struct hl_published *p)
{
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, p->event_id);
	hl_jsonw_key(w, "deliveries");
	hl_jsonw_u64(w, p->n_deliveries);
	hl_jsonw_key(w, "replayed");
	hl_jsonw_bool(w, p->replayed);
}
