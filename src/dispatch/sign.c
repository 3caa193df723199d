/* Secrets and signatures.
 *
 * A secret is the text "whsec_" + base64. Standard Webhooks signs "id.timestamp.body" with the decoded bytes; the older
 * recipes of the dialects sign with the text itself, prefix included, as their documents show. A signer keeps one
 * keyed HMAC context per kind of key: re-initialising a keyed context costs a third of keying a new one.
 *
 * Per attempt the pieces of the body are fed to the HMAC where they lie; nothing is joined first. Which headers a
 * dialect adds is a table; a MAC that several headers share is computed once.
 *
 *   a malformed secret       HL_EINVAL, and the text of the error never shows any of it
 *   OpenSSL fails            HL_ENOMEM at keying, HL_EIO at signing; the headers appended so far are to be thrown
 *   away */
#include "dispatch/sign.h"
#include "base/check.h"
#include "base/codec.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>

static const struct hl_str prefix = { "whsec_", 6 };

enum { MAC_LEN = 32 }; /* of HMAC-SHA256 */

/* ---- secrets --------------------------------------------------------------------------------------------------- */

size_t hl_secret_generate(const struct hl_env *env, char out[HL_SECRET_CAP])
{
	uint8_t raw[HL_SECRET_RAW_LEN];
	hl_env_random(env, raw, sizeof raw);
	memcpy(out, prefix.ptr, prefix.len);
	size_t len = prefix.len + hl_base64_encode(raw, sizeof raw, out + prefix.len);
	out[len] = '\0';
	hl_secret_wipe(raw, sizeof raw);
	return len;
}

int hl_secret_parse(struct hl_str text, uint8_t out[HL_SECRET_RAW_MAX], size_t *out_len, struct hl_err *err)
{
	uint8_t raw[HL_SECRET_RAW_MAX];
	size_t len;
	if (!hl_str_starts(text, prefix))
		return hl_err_field(err, HL_EINVAL, "/secret", "must start with \"whsec_\"");
	struct hl_str code = hl_str_make(text.ptr + prefix.len, text.len - prefix.len);
	if (!hl_base64_decode(code, raw, sizeof raw, &len) || len < HL_SECRET_RAW_MIN)
		return hl_err_field(err, HL_EINVAL, "/secret", "must be \"whsec_\" and the base64 of %d to %d bytes",
				HL_SECRET_RAW_MIN, HL_SECRET_RAW_MAX);
	memcpy(out, raw, len);
	*out_len = len;
	hl_secret_wipe(raw, sizeof raw);
	return HL_OK;
}

int hl_secret_check(struct hl_str text, struct hl_err *err)
{
	uint8_t raw[HL_SECRET_RAW_MAX];
	size_t len;
	int rc = hl_secret_parse(text, raw, &len, err);
	if (rc == HL_OK)
		hl_secret_wipe(raw, sizeof raw);
	return rc;
}

void hl_secret_last4(struct hl_str text, char out[5])
{
	size_t n = HL_MIN(text.len, (size_t)4);
	if (n)
		memcpy(out, text.ptr + text.len - n, n);
	out[n] = '\0';
}

void hl_secret_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

/* ---- keyed contexts -------------------------------------------------------------------------------------------- */

/* Fetched once and kept for the life of the process: fetching is the slow part of OpenSSL 3. */
static EVP_MAC *hmac;
static pthread_once_t hmac_once = PTHREAD_ONCE_INIT;

static void hmac_fetch(void)
{
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

static EVP_MAC_CTX *keyed(const void *key, size_t len)
{
	static char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end() };
	pthread_once(&hmac_once, hmac_fetch);
	EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	if (ctx && EVP_MAC_init(ctx, key, len, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

/* Dialects whose own headers are keyed with the text. */
static bool signs_with_text(enum hl_dialect d)
{
	return d == HL_DIALECT_CS2CAP || d == HL_DIALECT_ABOUTYOU || d == HL_DIALECT_BITNOB;
}

int hl_signer_init(struct hl_signer *s, enum hl_dialect dialect, struct hl_str secret, struct hl_err *err)
{
	uint8_t raw[HL_SECRET_RAW_MAX];
	size_t len;
	s->raw = s->text = NULL;
	int rc = hl_secret_parse(secret, raw, &len, err);
	if (rc)
		return rc;
	s->raw = keyed(raw, len);
	hl_secret_wipe(raw, sizeof raw);
	if (signs_with_text(dialect))
		s->text = keyed(secret.ptr, secret.len);
	if (!s->raw || (signs_with_text(dialect) && !s->text)) {
		hl_signer_fini(s);
		return hl_err_set(err, HL_ENOMEM, "no HMAC context");
	}
	return HL_OK;
}

void hl_signer_fini(struct hl_signer *s)
{
	EVP_MAC_CTX_free(s->raw);
	EVP_MAC_CTX_free(s->text);
	s->raw = s->text = NULL;
}

static bool feed(EVP_MAC_CTX *ctx, struct hl_str s)
{
	return s.len == 0 || EVP_MAC_update(ctx, (const unsigned char *)s.ptr, s.len) == 1;
}

/* MAC over a head (its dots included) and the body. */
static bool mac_of(EVP_MAC_CTX *ctx, struct hl_str head, const struct hl_sign *r, uint8_t out[MAC_LEN])
{
	size_t len;
	if (EVP_MAC_init(ctx, NULL, 0, NULL) != 1 || !feed(ctx, head))
		return false;
	for (size_t i = 0; i < r->n_body; i++) {
		if (!feed(ctx, r->body[i]))
			return false;
	}
	return EVP_MAC_final(ctx, out, &len, MAC_LEN) == 1 && len == MAC_LEN;
}

/* ---- headers --------------------------------------------------------------------------------------------------- */

/* What a dialect's header holds. */
enum content {
	EVENT_TYPE,
	DELIVERY_ID,
	TIMESTAMP,
	HEX_STAMPED,          /* hex MAC of "timestamp.body" */
	HEX_STAMPED_PREVIOUS, /* the same with the previous secret; left out when there is none */
	HEX_BODY,             /* hex MAC of the body alone */
};

static const struct {
	enum hl_dialect dialect;
	enum content content;
	const char *name;
} dialect_headers[] = {
	{ HL_DIALECT_CS2CAP, EVENT_TYPE, "X-CS2C-Event-Type" },
	{ HL_DIALECT_CS2CAP, DELIVERY_ID, "X-CS2C-Delivery-Id" },
	{ HL_DIALECT_CS2CAP, TIMESTAMP, "X-CS2C-Timestamp" },
	{ HL_DIALECT_CS2CAP, HEX_STAMPED, "X-CS2C-Signature" },
	{ HL_DIALECT_CS2CAP, HEX_STAMPED, "X-CS2Cap-Signature" },
	{ HL_DIALECT_CS2CAP, HEX_STAMPED_PREVIOUS, "X-CS2C-Signature-Previous" },
	{ HL_DIALECT_ABOUTYOU, HEX_BODY, "X-Signature" },
	{ HL_DIALECT_BITNOB, EVENT_TYPE, "X-Bitnob-Event" },
	{ HL_DIALECT_BITNOB, TIMESTAMP, "X-Bitnob-Timestamp" },
	{ HL_DIALECT_BITNOB, HEX_STAMPED, "X-Bitnob-Signature" },
};

/* MACs of one request as hex, made when the first header asks. */
struct hexes {
	char text[HEX_BODY + 1][2 * MAC_LEN];
	bool made[HEX_BODY + 1];
};

static void header(struct hl_buf *out, const char *name, struct hl_str value)
{
	hl_buf_cstr(out, name);
	hl_buf_add(out, ": ", 2);
	hl_buf_str(out, value);
	hl_buf_add(out, "\r\n", 2);
}

/* "v1,<base64>" of one secret, appended; head is "id.timestamp.". */
static bool standard_signature(struct hl_buf *out, struct hl_signer *s, struct hl_str head, const struct hl_sign *r)
{
	uint8_t mac[MAC_LEN];
	char text[48];
	if (!mac_of(s->raw, head, r, mac))
		return false;
	hl_buf_add(out, "v1,", 3);
	hl_buf_add(out, text, hl_base64_encode(mac, MAC_LEN, text));
	return true;
}

static bool standard_headers(struct hl_buf *out, const struct hl_sign *r, struct hl_str stamp)
{
	char head[HL_ID_LEN + 32];
	HL_CHECK(r->event_id.len <= HL_ID_LEN);
	int len = snprintf(head, sizeof head, "%.*s.%.*s.", HL_FMT(r->event_id), HL_FMT(stamp));
	struct hl_str signed_head = hl_str_make(head, (size_t)len);
	header(out, "webhook-id", r->event_id);
	header(out, "webhook-timestamp", stamp);
	hl_buf_cstr(out, "webhook-signature: ");
	if (!standard_signature(out, r->current, signed_head, r))
		return false;
	if (r->previous) {
		hl_buf_char(out, ' ');
		if (!standard_signature(out, r->previous, signed_head, r))
			return false;
	}
	hl_buf_add(out, "\r\n", 2);
	return true;
}

/* The hex MAC a header of this content shows; false when OpenSSL fails. */
static bool hex_of(struct hexes *h, enum content c, struct hl_str stamp_dot, const struct hl_sign *r)
{
	uint8_t mac[MAC_LEN];
	if (h->made[c])
		return true;
	struct hl_signer *s = c == HEX_STAMPED_PREVIOUS ? r->previous : r->current;
	HL_CHECK(s && s->text);
	if (!mac_of(s->text, c == HEX_BODY ? HL_STR_NONE : stamp_dot, r, mac))
		return false;
	hl_hex_encode(mac, MAC_LEN, h->text[c]);
	h->made[c] = true;
	return true;
}

static bool dialect_lines(struct hl_buf *out, const struct hl_sign *r, struct hl_str stamp, struct hl_str stamp_dot)
{
	struct hexes hexes = { .made = { false } };
	for (size_t i = 0; i < HL_ARRAY_LEN(dialect_headers); i++) {
		enum content c = dialect_headers[i].content;
		const char *name = dialect_headers[i].name;
		if (dialect_headers[i].dialect != r->dialect || (c == HEX_STAMPED_PREVIOUS && !r->previous))
			continue;
		switch (c) {
		case EVENT_TYPE:
			header(out, name, r->event_type);
			break;
		case DELIVERY_ID:
			header(out, name, r->delivery_id);
			break;
		case TIMESTAMP:
			header(out, name, stamp);
			break;
		case HEX_STAMPED:
		case HEX_STAMPED_PREVIOUS:
		case HEX_BODY:
			if (!hex_of(&hexes, c, stamp_dot, r))
				return false;
			header(out, name, hl_str_make(hexes.text[c], sizeof hexes.text[c]));
			break;
		}
	}
	return true;
}

bool hl_sign_wanted(enum hl_format format)
{
	return format == HL_FORMAT_STANDARD || format == HL_FORMAT_GOOGLE_SHEETS;
}

bool hl_sign_owns_header(enum hl_dialect dialect, struct hl_str name)
{
	for (size_t i = 0; i < HL_ARRAY_LEN(dialect_headers); i++) {
		if (dialect_headers[i].dialect == dialect && hl_str_ieq(name, hl_str_from(dialect_headers[i].name)))
			return true;
	}
	return false;
}

int hl_sign_headers(struct hl_buf *out, const struct hl_sign *r)
{
	char number[16], stamp[24];
	int len = snprintf(number, sizeof number, "%u", r->attempt);
	header(out, "hookline-delivery-id", r->delivery_id);
	header(out, "hookline-attempt", hl_str_make(number, (size_t)len));
	if (hl_sign_wanted(r->format)) {
		HL_CHECK(r->current);
		len = snprintf(stamp, sizeof stamp, "%lld.", (long long)r->timestamp_s);
		struct hl_str stamp_dot = hl_str_make(stamp, (size_t)len);
		struct hl_str bare = hl_str_make(stamp, (size_t)len - 1);
		if (!standard_headers(out, r, bare) || !dialect_lines(out, r, bare, stamp_dot))
			return HL_EIO;
	}
	return hl_buf_ok(out) ? HL_OK : HL_ENOMEM;
}
