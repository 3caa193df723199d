/* Dialect stellarstack: webhooks of a game-server panel. Every webhook is a Discord one, its events are always named, and
 * it may be limited to one server. Here: the mount, its errors, and the webhook as the API shows it. Making and changing
 * is in stellarstack_webhooks.c, what was delivered in stellarstack_deliveries.c.
 *
 *   a body is wrong, or the library refuses a value    400 "Validation failed", with one entry per member
 *   a foreign, unknown or malformed id                 404 "Webhook not found" and the like
 *   anything else                                      {"error": text} with the usual status */
#include "api/dialects/stellarstack.h"

#include "api/resources.h"
#include "base/defs.h"
#include "base/str.h"

/* ---- errors ------------------------------------------------------------------------------------------------------- */

/* Entry of `details`; the path is written between the two. */
void hl_stellarstack_issue_begin(struct hl_stellarstack_issues *s, const char *code)
{
	if (!s->n++) {
		hl_call_writer(s->c, &s->w);
		hl_jsonw_object(&s->w);
		hl_jsonw_key(&s->w, "error");
		hl_jsonw_cstr(&s->w, "Validation failed");
		hl_jsonw_key(&s->w, "details");
		hl_jsonw_array(&s->w);
	}
	hl_jsonw_object(&s->w);
	hl_jsonw_key(&s->w, "code");
	hl_jsonw_cstr(&s->w, code);
	hl_jsonw_key(&s->w, "path");
	hl_jsonw_array(&s->w);
}

void hl_stellarstack_issue_end(struct hl_stellarstack_issues *s, struct hl_str message)
{
	hl_jsonw_array_end(&s->w);
	hl_jsonw_key(&s->w, "message");
	hl_jsonw_str(&s->w, message);
	hl_jsonw_object_end(&s->w);
}

void hl_stellarstack_issues_end(struct hl_stellarstack_issues *s)
{
	hl_jsonw_array_end(&s->w);
	hl_jsonw_object_end(&s->w);
}

/* What the library refuses about a member is one more failed validation. */
static unsigned write_refused(struct hl_call *c, const struct hl_problem *p)
{
	struct hl_stellarstack_issues s = { .c = c };
	struct hl_str member = hl_dialect_member(p->pointer);
	hl_stellarstack_issue_begin(&s, "custom");
	if (member.ptr)
		hl_jsonw_str(&s.w, member);
	hl_stellarstack_issue_end(&s, hl_problem_detail(p));
	hl_stellarstack_issues_end(&s);
	return 400;
}

static unsigned write_error(struct hl_call *c, const struct hl_problem *p)
{
	unsigned status = hl_problem_status(p);
	struct hl_str text = hl_problem_detail(p);
	struct hl_jsonw w;
	if (p->kind == HL_PROBLEM_INVALID || p->kind == HL_PROBLEM_URL_NOT_ALLOWED || p->kind == HL_PROBLEM_ADDRESS_BLOCKED)
		return write_refused(c, p);
	if (status == 401)
		text = HL_STR("Unauthorized");
	else if (p->kind == HL_PROBLEM_NOT_FOUND)
		text = HL_STR("Webhook not found");
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "error");
	hl_jsonw_str(&w, text);
	hl_jsonw_object_end(&w);
	return status;
}

/* ---- the object --------------------------------------------------------------------------------------------------- */

/* serverId and server: both null when the server is gone. */
static void write_server(struct hl_call *c, struct hl_jsonw *w, uint64_t number, bool whole)
{
	struct hl_subject s;
	char id[HL_ID_CAP];
	if (!number || hl_subject_get(c->api->service, c->account, number, &s)) {
		hl_jsonw_null(w);
		return;
	}
	hl_id_format(c->api->dispatcher, HL_ID_SERVER, number, s.created_at_ms, id);
	if (!whole) {
		hl_jsonw_cstr(w, id);
		return;
	}
	hl_jsonw_object(w);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, id);
	hl_jsonw_key(w, "name");
	hl_jsonw_str(w, s.name);
	hl_jsonw_object_end(w);
}

void hl_stellarstack_webhook_members(struct hl_call *c, struct hl_jsonw *w, const struct hl_webhook *v)
{
	struct hl_account a;
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "userId");
	hl_jsonw_str(w, hl_account_get(c->api->service, v->account, &a) ? HL_STR("") : a.id);
	hl_jsonw_key(w, "url");
	hl_jsonw_str(w, v->url);
	hl_jsonw_key(w, "events");
	hl_jsonw_array(w);
	for (size_t i = 0; i < v->n_event_types; i++)
		hl_jsonw_str(w, v->event_types[i]);
	hl_jsonw_array_end(w);
	hl_jsonw_key(w, "serverId");
	write_server(c, w, v->server, false);
	hl_jsonw_key(w, "enabled");
	hl_jsonw_bool(w, v->state == HL_WEBHOOK_ENABLED);
	hl_jsonw_key(w, "provider");
	hl_jsonw_cstr(w, hl_format_name(v->format));
	hl_jsonw_key(w, "createdAt");
	hl_jsonw_time(w, v->created_at_ms);
	hl_jsonw_key(w, "updatedAt");
	hl_jsonw_time(w, v->updated_at_ms);
	hl_jsonw_key(w, "server");
	write_server(c, w, v->server, true);
}

/* ---- the mount ---------------------------------------------------------------------------------------------------- */

static const struct hl_routes *const tables[] = {
	&hl_routes_stellarstack_webhooks,
	&hl_routes_stellarstack_deliveries,
};
struct hl_mount hl_mount_stellarstack = {
	.prefixes = { "/stellarstack/webhooks", "/api/webhooks", "/webhooks" }, .dialect = HL_DIALECT_STELLARSTACK,
	.credentials = HL_CREDENTIAL_BEARER, .documented = HL_CREDENTIAL_BEARER,
	.flags = HL_MOUNT_EITHER_SLASH | HL_MOUNT_LENIENT, .tables = tables, .n_tables = HL_ARRAY_LEN(tables),
	.write_error = write_error,
};
