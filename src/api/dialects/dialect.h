/* What the files of the four dialects share.
 *
 * A dialect is one mount (mounts.c): its places, the credential its clients send, a table of routes and a writer of errors.
 * Its handlers read leniently (HL_MOUNT_LENIENT), use the library like the native ones, and answer through hl_call_*:
 * hl_call_fail and hl_call_problem_kind reach the dialect's own error writer. Each file defines its mount; resources.h
 * declares it and mounts.c has it in its list, one line each. A webhook made without a name is named after its host by the
 * library. Every object is looked up with its dialect:
 * what another API made does not exist here. */
#ifndef HL_API_DIALECTS_DIALECT_H
#define HL_API_DIALECTS_DIALECT_H

#include "api/query.h"

/* Scopes of dialect routes: who may change may look as well. */
enum { HL_MAY_READ = HL_SCOPE_READ | HL_SCOPE_MANAGE, HL_MAY_CHANGE = HL_SCOPE_MANAGE };

enum {
	HL_DIALECT_URL_MAX = 2048,          /* bytes; dialect aboutyou allows HL_URL_MAX */
	HL_DIALECT_PAGE_BYTES = 4 << 20,    /* of payloads, about, after which a page ends */
};

/* ---- errors ------------------------------------------------------------------------------------------------------- */

/* An error in the dialect's own words, through its writer: p.status and p.code are these, p.detail the text. Ends the call.
 * Bodies of another shape are written by hand: hl_call_writer, hl_call_send. */
void hl_dialect_error(struct hl_call *c, unsigned status, const char *code, const char *fmt, ...) HL_PRINTF(4, 5);
/* The member a pointer "/label" names; ptr NULL when it names none or something deeper is wanted by the caller. */
struct hl_str hl_dialect_member(struct hl_str pointer);

/* ---- members ------------------------------------------------------------------------------------------------------ */

/* Given, and not null: for members whose null means "unchanged". */
static inline bool hl_dialect_given(const struct hl_json_field *f)
{
	return f->seen && f->value.type != HL_JSON_NULL;
}

/* A list of event types, checked against the dialect's catalogue. Slices and arrays live in the reader's arena. */
struct hl_dialect_types {
	struct hl_str *v;           /* known ones, each once, in the order given */
	size_t n;
	struct hl_str *unknown;     /* as they were written */
	size_t n_unknown;
};
/* Absent, null and [] give none of either. Entries that are no strings or too many: HL_EINVAL with the pointer. `spell`
 * (NULL = none) turns other spellings into a catalogue name: NULL-ptr answer = leave it. */
HL_MUST_CHECK int hl_dialect_read_types(struct hl_call *c, struct hl_reader *r, const struct hl_json_field *f,
		struct hl_str (*spell)(struct hl_arena *a, struct hl_str text), struct hl_dialect_types *out);
/* The same for dialects that refuse unknown ones like any wrong value; sets w->event_types. */
HL_MUST_CHECK int hl_dialect_read_known_types(struct hl_call *c, struct hl_reader *r, const struct hl_json_field *f,
		struct hl_webhook *w);
/* The dialect's catalogue by name; borrowed. Its category: dialect_categories[c->mount->dialect]. */
HL_MUST_CHECK int hl_dialect_catalogue(struct hl_call *c, const struct hl_event_type **out, size_t *out_n);

/* ---- objects ------------------------------------------------------------------------------------------------------ */

/* The webhook (not deleted) or delivery whose id (a UUID) is the path's i-th parameter. HL_ESYNTAX: no UUID; HL_ENOTFOUND:
 * unknown, foreign or of another dialect. Nothing is answered. */
HL_MUST_CHECK int hl_dialect_webhook(struct hl_call *c, size_t i, struct hl_webhook *out);
HL_MUST_CHECK int hl_dialect_delivery(struct hl_call *c, size_t i, struct hl_delivery *out);
/* The same for a webhook by number (dialect aboutyou). */
HL_MUST_CHECK int hl_dialect_webhook_numbered(struct hl_call *c, uint64_t number, struct hl_webhook *out);
/* The same for dialects in which what is no UUID is as unknown as a foreign one. false: answered (404). */
bool hl_dialect_find_webhook(struct hl_call *c, size_t i, struct hl_webhook *out);
bool hl_dialect_find_delivery(struct hl_call *c, size_t i, struct hl_delivery *out);

/* When a delivery is attempted next, as its owner should see it: 0 when it has ended or its webhook does not deliver; not
 * before the probe while the webhook is parked. */
hl_ms_t hl_dialect_next_at(struct hl_call *c, const struct hl_delivery *v);
/* Where and how it was sent: the webhook as it was for the latest attempt (before any: at publish). When those rows have
 * gone, name and url are "". */
void hl_dialect_snapshot(struct hl_call *c, const struct hl_delivery *v, struct hl_webhook *out);

/* What went wrong with the latest attempt, for people; "" when nothing did. */
struct hl_str hl_dialect_failure(const struct hl_delivery *v);

/* ---- changes: each ends the call, at once or when it is durable ----------------------------------------------------- */

/* Makes *w, whose account and dialect are set here, if the tier includes webhooks: `success` with what `write` says. */
void hl_dialect_create(struct hl_call *c, struct hl_webhook *w, unsigned success, hl_write write);
/* 200 with what `write` says of the changed webhook; of the one there is when nothing was given (fields 0). */
void hl_dialect_update(struct hl_call *c, const struct hl_webhook *now, uint32_t fields, const struct hl_webhook *values,
		hl_write write);
/* A new secret, told by `write`: 200. */
void hl_dialect_rotate(struct hl_call *c, uint32_t webhook, hl_write write);
/* 200 with a literal, or 204 (text NULL). */
void hl_dialect_delete(struct hl_call *c, uint32_t webhook, bool drop_history, const char *text);

/* ---- listings ----------------------------------------------------------------------------------------------------- */

/* A whole number, saturating. Absent leaves *out alone; HL_ESYNTAX. Nothing is answered. */
HL_MUST_CHECK int hl_dialect_integer(const struct hl_query *q, int64_t *out);
/* Offset paging into c->page (with want_total): limit clamped to 1 … max, `usual` when absent. What is no number, and an
 * offset below 0, is answered as BAD_PARAMETER: false. */
bool hl_dialect_offset_page(struct hl_call *c, const struct hl_query *limit, const struct hl_query *offset, uint32_t usual,
		uint32_t max);

typedef void (*hl_dialect_item)(struct hl_call *c, struct hl_jsonw *w, const struct hl_webhook *v);
/* Answers 200 with every webhook of the account in this dialect: {"<member>":[…]}, or a bare array when member is NULL.
 * Newest first, or by number. */
void hl_dialect_list_webhooks(struct hl_call *c, const char *member, bool oldest_first, hl_dialect_item item);

#endif
