/* Secrets and signatures, against vectors computed elsewhere. */
#include "dispatch/sign.h"
#include "base/codec.h"
#include "base/defs.h"
#include "base/str.h"
#include "fakeenv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define SECRET "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define OLD "whsec_QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZX"
#define EVENT "5b0f8a2e-6c1d-4f0e-9a57-0c1f2d3e4a5b"
#define DELIVERY "018f0000-0000-7000-8000-000000000001"
#define HEAD "{\"id\":\"" EVENT "\",\"type\":\"alert.triggered\",\"created_at\":\"2026-04-12T18:20:11Z\",\"data\":"
#define DATA "{\"alert_id\":\"6a49b4bc-95c6-4c98-8d40-5e3fca7b15e4\"}"
#define TAIL "}"
/* of HEAD DATA TAIL at 1776018011 */
#define V1 "v1,moA/rmK2By4HJstmQJax919c8GUR5welUyWpTH6vtfE="
#define V1_OLD "v1,/H91cvpoRle2hrSPPavuSb9aqZfvVH+T4ADYRJ+2yRM="
#define STAMPED "06d30ef3a8f1ede36e547d600361db05e1b66ef67cd95af46f32e723df77fcde"
#define STAMPED_OLD "8e7c4feaa4584b4599179bebbf917b14ee813236a81824bb0ccb99afe3f8af64"
#define BARE "1e83edcc15b4c17ec410b63e674ce97d37f2bfd99850b878ffc0a64d44d81251"

/* ---- secrets ---- */

static void generate(void **state)
{
	(void)state;
	struct fakeenv f;
	char a[HL_SECRET_CAP], b[HL_SECRET_CAP], last4[5];
	uint8_t raw[HL_SECRET_RAW_MAX];
	size_t len;
	fakeenv_init(&f, 1);
	assert_int_equal(hl_secret_generate(&f.env, a), HL_SECRET_GENERATED_LEN);
	assert_int_equal(hl_secret_generate(&f.env, b), HL_SECRET_GENERATED_LEN);
	assert_int_equal(strlen(b), HL_SECRET_GENERATED_LEN);
	assert_string_not_equal(a, b);
	assert_int_equal(hl_secret_parse(hl_str_from(a), raw, &len, NULL), 0);
	assert_int_equal(len, 32);
	hl_secret_last4(hl_str_from(a), last4);
	assert_string_equal(last4, a + strlen(a) - 4);
	hl_secret_last4(HL_STR("ab"), last4);
	assert_string_equal(last4, "ab");
	hl_secret_wipe(raw, sizeof raw);
	for (size_t i = 0; i < sizeof raw; i++)
		assert_int_equal(raw[i], 0);
}

static void parse(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "whsec_", "whsec", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"WHSEC_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= ",
		"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
		"whsec_-_ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"whpk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
	};
	uint8_t raw[HL_SECRET_RAW_MAX];
	size_t len;
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		struct hl_err err = { 0 };
		assert_int_equal(hl_secret_check(hl_str_from(bad[i]), &err), HL_EINVAL);
		assert_string_equal(err.field, "/secret");
		assert_null(strstr(err.text, "AAEC"));
	}
	/* every length around the limits */
	for (size_t n = 0; n <= 100; n++) {
		char text[200] = "whsec_";
		uint8_t key[100];
		for (size_t i = 0; i < n; i++)
			key[i] = (uint8_t)(i * 7);
		size_t text_len = 6 + hl_base64_encode(key, n, text + 6);
		int rc = hl_secret_parse(hl_str_make(text, text_len), raw, &len, NULL);
		assert_int_equal(rc, n >= 24 && n <= 75 ? 0 : HL_EINVAL);
		if (rc == 0) {
			assert_int_equal(len, n);
			assert_memory_equal(raw, key, n);
			assert_true(text_len <= HL_SECRET_TEXT_MAX);
		}
	}
}

/* ---- headers ---- */

static const struct hl_str body[] = { { HEAD, sizeof HEAD - 1 }, { DATA, sizeof DATA - 1 }, { TAIL, sizeof TAIL - 1 } };

/* The header lines of one request. */
static struct hl_str headers(struct hl_buf *out, enum hl_dialect dialect, enum hl_format format, bool overlap)
{
	struct hl_signer now, old;
	struct hl_sign r = { .dialect = dialect, .format = format, .current = &now, .previous = overlap ? &old : NULL,
		.event_id = HL_STR(EVENT), .delivery_id = HL_STR(DELIVERY), .event_type = HL_STR("alert.triggered"),
		.attempt = 3, .timestamp_s = 1776018011, .body = body, .n_body = 3 };
	assert_int_equal(hl_signer_init(&now, dialect, HL_STR(SECRET), NULL), 0);
	assert_int_equal(hl_signer_init(&old, dialect, HL_STR(OLD), NULL), 0);
	hl_buf_reset(out);
	assert_int_equal(hl_sign_headers(out, &r), 0);
	/* a signer can be used again: the same request gives the same lines */
	size_t len = out->len;
	assert_int_equal(hl_sign_headers(out, &r), 0);
	assert_int_equal(out->len, 2 * len);
	assert_memory_equal(out->data, out->data + len, len);
	hl_signer_fini(&now);
	hl_signer_fini(&old);
	out->len = len;
	out->data[len] = '\0';
	return hl_buf_all(out);
}

#define OURS "hookline-delivery-id: " DELIVERY "\r\nhookline-attempt: 3\r\n"
#define TRIO(sig) "webhook-id: " EVENT "\r\nwebhook-timestamp: 1776018011\r\nwebhook-signature: " sig "\r\n"
#define CS2C "X-CS2C-Event-Type: alert.triggered\r\nX-CS2C-Delivery-Id: " DELIVERY "\r\n" \
	"X-CS2C-Timestamp: 1776018011\r\nX-CS2C-Signature: " STAMPED "\r\nX-CS2Cap-Signature: " STAMPED "\r\n"
#define BITNOB "X-Bitnob-Event: alert.triggered\r\nX-Bitnob-Timestamp: 1776018011\r\n" \
	"X-Bitnob-Signature: " STAMPED "\r\n"

static void lines(void **state)
{
	(void)state;
	static const struct {
		enum hl_dialect dialect;
		enum hl_format format;
		bool overlap;
		const char *want;
	} rows[] = {
		{ HL_DIALECT_HOOKLINE, HL_FORMAT_STANDARD, false, OURS TRIO(V1) },
		{ HL_DIALECT_HOOKLINE, HL_FORMAT_STANDARD, true, OURS TRIO(V1 " " V1_OLD) },
		{ HL_DIALECT_HOOKLINE, HL_FORMAT_GOOGLE_SHEETS, false, OURS TRIO(V1) },
		{ HL_DIALECT_HOOKLINE, HL_FORMAT_DISCORD, true, OURS },
		{ HL_DIALECT_HOOKLINE, HL_FORMAT_TELEGRAM, true, OURS },
		{ HL_DIALECT_CS2CAP, HL_FORMAT_STANDARD, false, OURS TRIO(V1) CS2C },
		{ HL_DIALECT_CS2CAP, HL_FORMAT_GOOGLE_SHEETS, true,
			OURS TRIO(V1 " " V1_OLD) CS2C "X-CS2C-Signature-Previous: " STAMPED_OLD "\r\n" },
		{ HL_DIALECT_CS2CAP, HL_FORMAT_DISCORD, true, OURS },
		{ HL_DIALECT_CS2CAP, HL_FORMAT_TELEGRAM, false, OURS },
		{ HL_DIALECT_ABOUTYOU, HL_FORMAT_STANDARD, false, OURS TRIO(V1) "X-Signature: " BARE "\r\n" },
		{ HL_DIALECT_ABOUTYOU, HL_FORMAT_STANDARD, true, OURS TRIO(V1 " " V1_OLD) "X-Signature: " BARE "\r\n" },
		{ HL_DIALECT_STELLARSTACK, HL_FORMAT_DISCORD, false, OURS },
		{ HL_DIALECT_STELLARSTACK, HL_FORMAT_STANDARD, false, OURS TRIO(V1) },
		{ HL_DIALECT_BITNOB, HL_FORMAT_STANDARD, false, OURS TRIO(V1) BITNOB },
		{ HL_DIALECT_BITNOB, HL_FORMAT_STANDARD, true, OURS TRIO(V1 " " V1_OLD) BITNOB },
	};
	struct hl_buf out;
	hl_buf_init(&out);
	for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++)
		assert_string_equal(headers(&out, rows[i].dialect, rows[i].format, rows[i].overlap).ptr, rows[i].want);
	hl_buf_fini(&out);
}

/* The pieces a body comes in do not matter, and neither does a body of none. */
static void pieces(void **state)
{
	(void)state;
	static const char whole[] = HEAD DATA TAIL;
	struct hl_buf a, b;
	struct hl_signer s;
	hl_buf_init(&a);
	hl_buf_init(&b);
	assert_int_equal(hl_signer_init(&s, HL_DIALECT_CS2CAP, HL_STR(SECRET), NULL), 0);
	struct hl_sign r = { .dialect = HL_DIALECT_CS2CAP, .current = &s, .event_id = HL_STR(EVENT),
		.delivery_id = HL_STR(DELIVERY), .event_type = HL_STR("t"), .attempt = UINT32_MAX, .timestamp_s = 0 };
	struct hl_str parts[sizeof whole];
	for (size_t i = 0; i < sizeof whole - 1; i++)
		parts[i] = hl_str_make(whole + i, 1);
	parts[sizeof whole - 1] = HL_STR_NONE;
	r.body = parts;
	r.n_body = sizeof whole;
	assert_int_equal(hl_sign_headers(&a, &r), 0);
	struct hl_str one = hl_str_make(whole, sizeof whole - 1);
	r.body = &one;
	r.n_body = 1;
	assert_int_equal(hl_sign_headers(&b, &r), 0);
	assert_true(hl_str_eq(hl_buf_all(&a), hl_buf_all(&b)));
	assert_true(hl_str_contains(hl_buf_all(&a), HL_STR("hookline-attempt: 4294967295\r\n")));
	assert_true(hl_str_contains(hl_buf_all(&a), HL_STR("webhook-timestamp: 0\r\n")));
	hl_buf_reset(&a);
	r.n_body = 0;
	assert_int_equal(hl_sign_headers(&a, &r), 0);
	hl_signer_fini(&s);
	hl_buf_fini(&a);
	hl_buf_fini(&b);
}

/* A buffer that may not grow is reported; an empty signer can be freed. */
static void failures(void **state)
{
	(void)state;
	struct hl_signer s = { 0 };
	struct hl_err err = { 0 };
	hl_signer_fini(&s);
	assert_int_equal(hl_signer_init(&s, HL_DIALECT_HOOKLINE, HL_STR("k"), &err), HL_EINVAL);
	assert_null(s.raw);
	hl_signer_fini(&s);
	assert_int_equal(hl_signer_init(&s, HL_DIALECT_HOOKLINE, HL_STR(SECRET), &err), 0);
	assert_null(s.text);
	struct hl_sign r = { .current = &s, .event_id = HL_STR(EVENT), .body = body, .n_body = 3 };
	struct hl_buf out;
	hl_buf_init(&out);
	out.max = 100;
	assert_int_equal(hl_sign_headers(&out, &r), HL_ENOMEM);
	hl_buf_fini(&out);
	hl_signer_fini(&s);
}

static void owned_headers(void **state)
{
	(void)state;
	assert_true(hl_sign_owns_header(HL_DIALECT_CS2CAP, HL_STR("x-cs2c-signature")));
	assert_true(hl_sign_owns_header(HL_DIALECT_ABOUTYOU, HL_STR("X-SIGNATURE")));
	assert_false(hl_sign_owns_header(HL_DIALECT_HOOKLINE, HL_STR("X-Signature")));
	assert_false(hl_sign_owns_header(HL_DIALECT_CS2CAP, HL_STR("X-CS2C-Signatur")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generate), cmocka_unit_test(parse), cmocka_unit_test(lines), cmocka_unit_test(pieces),
		cmocka_unit_test(failures), cmocka_unit_test(owned_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
