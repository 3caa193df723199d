/* Records of webhooks, accounts, keys, servers, event types and of the store itself as bytes (layout.c has the rest and
 * the rules). Texts here were checked by the floors above; the bounds are the ones a decoder insists on. */
#include "base/defs.h"
#include "store/layout.h"
#include "store/pack.h"

enum {
	NAME_BYTES = 4 * HL_NAME_MAX, DESCRIPTION_BYTES = 4 * HL_DESCRIPTION_MAX, PREFIX_MAX = 32,
	WH_STRICT = 1 << 0, WH_HTTPS_ONLY = 1 << 1, WH_SEALED = 1 << 2, WH_ALL = 7,
	AC_DISABLED = 1 << 0, AC_VERIFIED = 1 << 1, AC_ALERTS = 1 << 2, AC_ALL = 7,
};
static const char format_magic[8] = "hookline";

static void pack_last4(struct hl_buf *b, const char last4[5])
{
	hl_pack_str(b, (struct hl_str){ last4, strnlen(last4, 4) });
}

static void unpack_last4(struct hl_unpack *u, char out[5])
{
	struct hl_str s = hl_unpack_str(u, 4);
	if (s.len)
		memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
}

/* ---- webhook ----------------------------------------------------------------------------------------------------- */

static void pack_retry(struct hl_buf *b, const struct hl_retry *r)
{
	uint32_t n = r->kind == HL_RETRY_DELAYS ? HL_MIN(r->n_delays, (uint32_t)HL_DELAYS_MAX) : 0;
	hl_pack_u8(b, (uint8_t)r->kind);
	hl_pack_u64(b, n);
	for (uint32_t i = 0; i < n; i++)
		hl_pack_u64(b, r->delays_s[i]);
}

static void unpack_retry(struct hl_unpack *u, struct hl_retry *r)
{
	r->kind = (enum hl_retry_kind)hl_unpack_max(u, HL_RETRY_N - 1);
	r->n_delays = (uint32_t)hl_unpack_max(u, HL_DELAYS_MAX);
	for (uint32_t i = 0; i < r->n_delays; i++)
		r->delays_s[i] = hl_unpack_u32(u);
}

void hl_webhook_row_encode(struct hl_buf *b, const struct hl_webhook_row *r)
{
	const struct hl_webhook *w = &r->w;
	hl_pack_u64(b, w->number);
	hl_pack_u64(b, w->account);
	hl_pack_u64(b, w->revision);
	hl_pack_u8(b, (uint8_t)w->dialect);
	hl_pack_u8(b, (uint8_t)w->format);
	hl_pack_u8(b, (uint8_t)w->state);
	hl_pack_u8(b, (uint8_t)((w->strict ? WH_STRICT : 0) | (w->https_only ? WH_HTTPS_ONLY : 0) | (r->address.len ? WH_SEALED : 0)));
	hl_pack_str(b, w->name);
	hl_pack_str(b, w->description);
	hl_pack_str(b, r->address.len ? r->address : w->url);
	hl_pack_str(b, w->reason);
	hl_pack_str(b, w->metadata);
	hl_pack_u64(b, w->n_event_types);
	for (size_t i = 0; i < w->n_event_types; i++)
		hl_pack_str(b, w->event_types[i]);
	hl_pack_u64(b, w->n_headers);
	for (size_t i = 0; i < w->n_headers; i++) {
		hl_pack_str(b, w->headers[i].name);
		hl_pack_str(b, r->address.len ? HL_STR_NONE : w->headers[i].value);
	}
	hl_pack_u64(b, w->server);
	hl_pack_u64(b, w->timeout_ms);
	hl_pack_u64(b, w->rate_limit);
	hl_pack_u64(b, w->max_in_flight);
	pack_retry(b, &w->retry);
	hl_pack_u64(b, w->window_s);
	pack_last4(b, w->secret_last4);
	hl_pack_ms(b, w->previous_secret_until_ms);
	hl_pack_ms(b, w->created_at_ms);
	hl_pack_ms(b, w->updated_at_ms);
	hl_pack_str(b, r->secret);
	hl_pack_str(b, r->previous_secret);
}

static int unpack_lists(struct hl_unpack *u, struct hl_arena *a, struct hl_webhook *w)
{
	w->n_event_types = hl_unpack_max(u, HL_EVENT_TYPES_MAX);
	if (w->n_event_types) {
		struct hl_str *types = HL_ARENA_ARRAY(a, struct hl_str, w->n_event_types);
		if (!types)
			return HL_ENOMEM;
		for (size_t i = 0; i < w->n_event_types; i++)
			types[i] = hl_unpack_str(u, HL_EVENT_TYPE_MAX);
		w->event_types = types;
	}
	w->n_headers = hl_unpack_max(u, HL_HEADERS_MAX);
	if (w->n_headers) {
		struct hl_header *headers = HL_ARENA_ARRAY(a, struct hl_header, w->n_headers);
		if (!headers)
			return HL_ENOMEM;
		for (size_t i = 0; i < w->n_headers; i++) {
			headers[i].name = hl_unpack_str(u, HL_HEADERS_BYTES_MAX);
			headers[i].value = hl_unpack_str(u, HL_HEADERS_BYTES_MAX);
		}
		w->headers = headers;
	}
	return 0;
}

int hl_webhook_row_decode(struct hl_str bytes, struct hl_arena *a, struct hl_webhook_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_webhook_row r = { .w.number = hl_unpack_u32(&u) };
	struct hl_webhook *w = &r.w;
	w->account = hl_unpack_u32(&u);
	w->revision = hl_unpack_u32(&u);
	w->dialect = (enum hl_dialect)hl_unpack_max(&u, HL_DIALECT_N - 1);
	w->format = (enum hl_format)hl_unpack_max(&u, HL_FORMAT_N - 1);
	w->state = (enum hl_webhook_state)hl_unpack_max(&u, HL_WEBHOOK_STATE_N - 1);
	unsigned flags = (unsigned)hl_unpack_max(&u, WH_ALL);
	w->strict = flags & WH_STRICT;
	w->https_only = flags & WH_HTTPS_ONLY;
	w->name = hl_unpack_str(&u, NAME_BYTES);
	w->description = hl_unpack_str(&u, DESCRIPTION_BYTES);
	if (flags & WH_SEALED)
		r.address = hl_unpack_str(&u, HL_SEALED_ADDRESS_MAX);
	else
		w->url = hl_unpack_str(&u, HL_URL_MAX);
	w->reason = hl_unpack_str(&u, HL_REASON_MAX);
	w->metadata = hl_unpack_str(&u, HL_METADATA_MAX);
	int rc = unpack_lists(&u, a, w);
	if (rc)
		return rc;
	w->server = hl_unpack_u64(&u);
	w->timeout_ms = hl_unpack_u32(&u);
	w->rate_limit = hl_unpack_u32(&u);
	w->max_in_flight = hl_unpack_u32(&u);
	unpack_retry(&u, &w->retry);
	w->window_s = hl_unpack_u32(&u);
	unpack_last4(&u, w->secret_last4);
	w->previous_secret_until_ms = hl_unpack_ms(&u);
	w->created_at_ms = hl_unpack_ms(&u);
	w->updated_at_ms = hl_unpack_ms(&u);
	r.secret = hl_unpack_str(&u, HL_SEALED_SECRET_MAX);
	r.previous_secret = hl_unpack_str(&u, HL_SEALED_SECRET_MAX);
	bool half = (flags & WH_SEALED) && !r.address.len; /* sealed, and yet not */
	for (size_t i = 0; (flags & WH_SEALED) && i < w->n_headers; i++)
		half |= w->headers[i].value.len > 0;
	if (!hl_unpack_done(&u) || w->number == 0 || half)
		return HL_ECORRUPT;
	*out = r;
	return 0;
}

/* ---- account, key, server, event type ---------------------------------------------------------------------------- */

void hl_account_row_encode(struct hl_buf *b, const struct hl_account_row *r)
{
	hl_pack_u64(b, r->number);
	hl_pack_str(b, r->id);
	hl_pack_str(b, r->name);
	hl_pack_str(b, r->tier);
	hl_pack_str(b, r->email);
	hl_pack_str(b, r->preferred_currency);
	hl_pack_u8(b, (uint8_t)((r->disabled ? AC_DISABLED : 0) | (r->email_verified ? AC_VERIFIED : 0) |
			(r->alert_emails ? AC_ALERTS : 0)));
	hl_pack_ms(b, r->created_at_ms);
	hl_pack_ms(b, r->updated_at_ms);
}

int hl_account_row_decode(struct hl_str bytes, struct hl_account_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_account_row r = { .number = hl_unpack_u32(&u) };
	r.id = hl_unpack_str(&u, HL_ACCOUNT_ID_MAX);
	r.name = hl_unpack_str(&u, NAME_BYTES);
	r.tier = hl_unpack_str(&u, HL_ACCOUNT_TEXT_MAX);
	r.email = hl_unpack_str(&u, HL_ACCOUNT_TEXT_MAX);
	r.preferred_currency = hl_unpack_str(&u, HL_ACCOUNT_TEXT_MAX);
	unsigned flags = (unsigned)hl_unpack_max(&u, AC_ALL);
	r.disabled = flags & AC_DISABLED;
	r.email_verified = flags & AC_VERIFIED;
	r.alert_emails = flags & AC_ALERTS;
	r.created_at_ms = hl_unpack_ms(&u);
	r.updated_at_ms = hl_unpack_ms(&u);
	if (!hl_unpack_done(&u) || r.number == 0 || r.id.len == 0)
		return HL_ECORRUPT;
	*out = r;
	return 0;
}

void hl_key_row_encode(struct hl_buf *b, const struct hl_key_row *r)
{
	hl_pack_u64(b, r->number);
	hl_pack_u64(b, r->account);
	hl_pack_u8(b, r->dialect);
	hl_pack_u64(b, r->scopes);
	hl_pack_str(b, r->name);
	hl_pack_str(b, r->prefix);
	pack_last4(b, r->last4);
	hl_buf_add(b, r->sha256, sizeof(r->sha256));
	hl_pack_ms(b, r->created_at_ms);
	hl_pack_ms(b, r->expires_at_ms);
	hl_pack_ms(b, r->revoked_at_ms);
	hl_pack_ms(b, r->last_used_at_ms);
}

int hl_key_row_decode(struct hl_str bytes, struct hl_key_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_key_row r = { .number = hl_unpack_u32(&u) };
	r.account = hl_unpack_u32(&u);
	r.dialect = (uint8_t)hl_unpack_max(&u, HL_DIALECT_N - 1);
	r.scopes = hl_unpack_u32(&u);
	r.name = hl_unpack_str(&u, HL_KEY_NAME_MAX);
	r.prefix = hl_unpack_str(&u, PREFIX_MAX);
	unpack_last4(&u, r.last4);
	struct hl_str hash = hl_unpack_bytes(&u, sizeof(r.sha256));
	r.created_at_ms = hl_unpack_ms(&u);
	r.expires_at_ms = hl_unpack_ms(&u);
	r.revoked_at_ms = hl_unpack_ms(&u);
	r.last_used_at_ms = hl_unpack_ms(&u);
	if (!hl_unpack_done(&u) || r.number == 0)
		return HL_ECORRUPT;
	memcpy(r.sha256, hash.ptr, hash.len);
	*out = r;
	return 0;
}

void hl_server_row_encode(struct hl_buf *b, const struct hl_server_row *r)
{
	hl_pack_u64(b, r->number);
	hl_pack_u64(b, r->account);
	hl_pack_str(b, r->name);
	hl_pack_str(b, r->status);
	hl_pack_ms(b, r->created_at_ms);
	hl_pack_ms(b, r->updated_at_ms);
}

int hl_server_row_decode(struct hl_str bytes, struct hl_server_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_server_row r = { .number = hl_unpack_u64(&u) };
	r.account = hl_unpack_u32(&u);
	r.name = hl_unpack_str(&u, NAME_BYTES);
	r.status = hl_unpack_str(&u, HL_ACCOUNT_TEXT_MAX);
	r.created_at_ms = hl_unpack_ms(&u);
	r.updated_at_ms = hl_unpack_ms(&u);
	if (!hl_unpack_done(&u) || r.number == 0)
		return HL_ECORRUPT;
	*out = r;
	return 0;
}

void hl_event_type_encode(struct hl_buf *b, const struct hl_event_type *t)
{
	hl_pack_str(b, t->name);
	hl_pack_str(b, t->title);
	hl_pack_str(b, t->description);
	hl_pack_str(b, t->category);
	hl_pack_u8(b, HL_DIALECT_N);
	for (size_t i = 0; i < HL_DIALECT_N; i++)
		hl_pack_str(b, t->dialect_categories[i]);
	hl_pack_ms(b, t->created_at_ms);
	hl_pack_ms(b, t->updated_at_ms);
}

int hl_event_type_decode(struct hl_str bytes, struct hl_event_type *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_event_type t = { .name = hl_unpack_str(&u, HL_EVENT_TYPE_MAX) };
	t.title = hl_unpack_str(&u, DESCRIPTION_BYTES);
	t.description = hl_unpack_str(&u, DESCRIPTION_BYTES);
	t.category = hl_unpack_str(&u, DESCRIPTION_BYTES);
	size_t n = hl_unpack_max(&u, HL_DIALECT_N);
	for (size_t i = 0; i < n; i++)
		t.dialect_categories[i] = hl_unpack_str(&u, DESCRIPTION_BYTES);
	t.created_at_ms = hl_unpack_ms(&u);
	t.updated_at_ms = hl_unpack_ms(&u);
	if (!hl_unpack_done(&u) || t.name.len == 0)
		return HL_ECORRUPT;
	*out = t;
	return 0;
}

/* ---- meta -------------------------------------------------------------------------------------------------------- */

void hl_format_row_encode(struct hl_buf *b, const struct hl_format_row *r)
{
	hl_buf_add(b, format_magic, sizeof(format_magic));
	hl_pack_u64(b, r->version);
	hl_pack_ms(b, r->created_at_ms);
	hl_buf_add(b, r->uuid, sizeof(r->uuid));
	hl_buf_add(b, r->id_key, sizeof(r->id_key));
	hl_buf_add(b, r->key_id, sizeof(r->key_id));
	hl_pack_str(b, r->key_check);
}

int hl_format_row_decode(struct hl_str bytes, struct hl_format_row *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_str magic = hl_unpack_bytes(&u, sizeof(format_magic));
	struct hl_format_row r = { .version = 0 };
	if (u.bad || memcmp(magic.ptr, format_magic, sizeof(format_magic)) != 0)
		return HL_ECORRUPT;
	r.version = hl_unpack_u32(&u);
	if (!u.bad && r.version > HL_FORMAT_VERSION) { /* what follows is for the newer program to read */
		out->version = r.version;
		return HL_EVERSION;
	}
	r.created_at_ms = hl_unpack_ms(&u);
	struct hl_str uuid = hl_unpack_bytes(&u, sizeof(r.uuid));
	struct hl_str id_key = hl_unpack_bytes(&u, sizeof(r.id_key));
	struct hl_str key_id = hl_unpack_bytes(&u, sizeof(r.key_id));
	r.key_check = hl_unpack_str(&u, 256);
	if (!hl_unpack_done(&u) || r.version == 0)
		return HL_ECORRUPT;
	memcpy(r.uuid, uuid.ptr, uuid.len);
	memcpy(r.id_key, id_key.ptr, id_key.len);
	memcpy(r.key_id, key_id.ptr, key_id.len);
	*out = r;
	return 0;
}

void hl_index_bounds_encode(struct hl_buf *b, const struct hl_index_bounds *r)
{
	hl_pack_u64(b, r->deliveries_upto);
	hl_pack_u64(b, r->deliveries_running);
	hl_pack_u64(b, r->events_upto);
	hl_pack_u64(b, r->events_running);
	hl_pack_u64(b, r->slice);
}

int hl_index_bounds_decode(struct hl_str bytes, struct hl_index_bounds *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_index_bounds r = { .deliveries_upto = hl_unpack_u64(&u) };
	r.deliveries_running = hl_unpack_u64(&u);
	r.events_upto = hl_unpack_u64(&u);
	r.events_running = hl_unpack_u64(&u);
	r.slice = hl_unpack_u64(&u);
	if (!hl_unpack_done(&u) || r.deliveries_running < r.deliveries_upto || r.events_running < r.events_upto)
		return HL_ECORRUPT;
	*out = r;
	return 0;
}

void hl_numbers_encode(struct hl_buf *b, const struct hl_numbers *r)
{
	const uint64_t all[] = { r->event, r->delivery, r->server, r->job, r->webhook, r->account, r->key, r->alert, r->block };
	for (size_t i = 0; i < HL_ARRAY_LEN(all); i++)
		hl_pack_u64(b, all[i]);
}

int hl_numbers_decode(struct hl_str bytes, struct hl_numbers *out)
{
	struct hl_unpack u = hl_unpack_start(bytes);
	struct hl_numbers r = { .event = hl_unpack_u64(&u) };
	r.delivery = hl_unpack_u64(&u);
	r.server = hl_unpack_u64(&u);
	r.job = hl_unpack_u64(&u);
	r.webhook = hl_unpack_u32(&u);
	r.account = hl_unpack_u32(&u);
	r.key = hl_unpack_u32(&u);
	r.alert = r.block = 1;
	if (!hl_unpack_done(&u)) { /* format 1 ends here */
		r.alert = hl_unpack_u64(&u);
		r.block = hl_unpack_u64(&u);
	}
	if (!hl_unpack_done(&u))
		return HL_ECORRUPT;
	*out = r;
	return 0;
}
