/* HMAC-SHA256 over "id.timestamp.body", compared in constant time with every "v1,…" of the header. Written apart from the
 * sender's code on purpose: what one side does wrong the other must not do wrong as well. */
#include "main/verify.h"

#include "base/buf.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/str.h"
#include "dispatch/sign.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { MAC_LEN = 32 };

int hl_verifier_add(struct hl_verifier *v, struct hl_str secret, struct hl_err *err)
{
	if (v->n == HL_VERIFY_SECRETS_MAX)
		return hl_err_set(err, HL_ELIMIT, "more than %d secrets", HL_VERIFY_SECRETS_MAX);
	int rc = hl_secret_parse(secret, v->secrets[v->n].raw, &v->secrets[v->n].len, err);
	if (rc == HL_OK)
		v->n++;
	return rc;
}

static bool fits(const struct hl_verifier *v, struct hl_str message, const uint8_t *mac)
{
	bool found = false;
	for (size_t i = 0; i < v->n; i++) {
		uint8_t want[EVP_MAX_MD_SIZE];
		unsigned len = 0;
		if (HMAC(EVP_sha256(), v->secrets[i].raw, (int)v->secrets[i].len, (const uint8_t *)message.ptr, message.len, want, &len))
			found |= len == MAC_LEN && hl_bytes_eq(want, mac, MAC_LEN);
	}
	return found;
}

int hl_verifier_check(const struct hl_verifier *v, struct hl_str id, struct hl_str timestamp, struct hl_str signatures,
		struct hl_str body, int64_t now_s, struct hl_err *err)
{
	int64_t at;
	if (id.len == 0 || timestamp.len == 0 || signatures.len == 0)
		return hl_err_set(err, HL_EINVAL, "webhook-id, webhook-timestamp or webhook-signature is missing");
	if (!hl_str_i64(timestamp, &at))
		return hl_err_set(err, HL_EINVAL, "webhook-timestamp is not a number");
	if (at < now_s - HL_VERIFY_TOLERANCE_S || at > now_s + HL_VERIFY_TOLERANCE_S)
		return hl_err_set(err, HL_ETIMEDOUT, "webhook-timestamp is %lld s away from now", (long long)(now_s - at));
	struct hl_buf message = { 0 };
	hl_buf_str(&message, id);
	hl_buf_char(&message, '.');
	hl_buf_str(&message, timestamp);
	hl_buf_char(&message, '.');
	hl_buf_str(&message, body);
	bool found = false;
	for (struct hl_str rest = signatures; hl_buf_ok(&message) && rest.ptr;) {
		struct hl_str text = hl_str_split(&rest, ' '), version = hl_str_split(&text, ',');
		uint8_t mac[MAC_LEN];
		size_t len;
		if (hl_str_eq(version, HL_STR("v1")) && text.ptr && hl_base64_decode(text, mac, sizeof(mac), &len) && len == MAC_LEN)
			found |= fits(v, hl_buf_all(&message), mac);
	}
	bool ok = hl_buf_ok(&message);
	hl_buf_fini(&message);
	if (!ok)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	return found ? HL_OK : hl_err_set(err, HL_EPERM, "no signature fits");
}
