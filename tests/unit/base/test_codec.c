/* Hex, base64, base62, CRC-32, comparison. */
#include "base_test.h"
#include "base/codec.h"

static void integers(void **state)
{
	(void)state;
	uint8_t b[8];
	hl_be64_put(b, 0x0102030405060708u);
	for (uint8_t i = 0; i < 8; i++)
		assert_int_equal(b[i], i + 1);
	assert_true(hl_be64_get(b) == 0x0102030405060708u);
	hl_be32_put(b, 0xfffefdfcu);
	assert_true(hl_be32_get(b) == 0xfffefdfcu);
	hl_be16_put(b, 0xff01u);
	assert_int_equal(hl_be16_get(b), 0xff01u);
}

static void hex(void **state)
{
	(void)state;
	uint8_t in[256], back[256];
	char out[512];
	for (int i = 0; i < 256; i++)
		in[i] = (uint8_t)i;
	assert_int_equal(hl_hex_encode(in, 256, out), 512);
	assert_memory_equal(out + 0x1f * 2, "1f", 2);
	assert_memory_equal(out + 510, "ff", 2);
	assert_true(hl_hex_decode((struct hl_str){ out, 512 }, back, 256));
	assert_memory_equal(in, back, 256);
	assert_true(hl_hex_decode(HL_STR("AbCd"), back, 2));
	assert_int_equal(back[0], 0xab);
	assert_true(hl_hex_decode(HL_STR_NONE, back, 0));
	assert_false(hl_hex_decode(HL_STR("abc"), back, 1));
	assert_false(hl_hex_decode(HL_STR("abcd"), back, 1));
	assert_false(hl_hex_decode(HL_STR("ab"), back, 2));
	for (int c = 0; c < 256; c++) {
		char two[2] = { '0', (char)c };
		bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
		assert_int_equal(hl_hex_decode((struct hl_str){ two, 2 }, back, 1), digit);
	}
}

static void base64_vectors(void **state)
{
	(void)state;
	/* RFC 4648 §10 */
	static const char *const text[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar" };
	static const char *const enc[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	for (size_t i = 0; i < 7; i++) {
		char out[16];
		uint8_t back[16];
		size_t n = hl_base64_encode((const uint8_t *)text[i], strlen(text[i]), out), got;
		assert_str((struct hl_str){ out, n }, enc[i]);
		assert_int_equal(n, hl_base64_len(strlen(text[i])));
		assert_true(hl_base64_decode(hl_str_from(enc[i]), back, sizeof back, &got));
		assert_str((struct hl_str){ (char *)back, got }, text[i]);
	}
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zg===", "====", "Zg==Zg==", "Z===",
			"Zm 9v",
		"Zm9v\n", "Zm-v", "Zm_v", "=Zg=", "Z=g=", "Zm9vY" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t back[16];
		size_t got = 77;
		if (hl_base64_decode(hl_str_from(bad[i]), back, sizeof back, &got))
			fail_msg("accepted %s", bad[i]);
		assert_int_equal(got, 77);
	}
}

static void base64_round_trips(void **state)
{
	(void)state;
	struct rnd r = { 1 };
	for (int turn = 0; turn < 2000; turn++) {
		uint8_t in[64], back[64];
		char out[96];
		size_t n = rnd_below(&r, sizeof in + 1), got;
		for (size_t i = 0; i < n; i++)
			in[i] = (uint8_t)rnd_u64(&r);
		size_t len = hl_base64_encode(in, n, out);
		assert_true(hl_base64_decode((struct hl_str){ out, len }, back, n, &got) && got == n);
		assert_memory_equal(in, back, n);
		if (n)
			assert_false(hl_base64_decode((struct hl_str){ out, len }, back, n - 1, &got));
		len = hl_base64url_encode(in, n, out);
		assert_int_equal(len, (n * 4 + 2) / 3);
		assert_null(memchr(out, '=', len));
		assert_null(memchr(out, '+', len));
		assert_null(memchr(out, '/', len));
		assert_true(hl_base64url_decode((struct hl_str){ out, len }, back, n, &got) && got == n);
		assert_memory_equal(in, back, n);
	}
	uint8_t back[8];
	size_t got;
	assert_true(hl_base64url_decode(HL_STR("-_8"), back, sizeof back, &got) && got == 2 && back[0] == 0xfb);
	assert_false(hl_base64url_decode(HL_STR("+/8"), back, sizeof back, &got));
	assert_false(hl_base64url_decode(HL_STR("-_8="), back, sizeof back, &got));
	assert_false(hl_base64url_decode(HL_STR("-_9"), back, sizeof back, &got));
	assert_false(hl_base64url_decode(HL_STR("A"), back, sizeof back, &got));
}

static void base62(void **state)
{
	(void)state;
	uint8_t in[64];
	char out[100];
	for (uint8_t i = 0; i < 32; i++)
		in[i] = i;
	assert_int_equal(hl_base62_encode(in, 32, out), 43);
	assert_memory_equal(out, "003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf", 43);
	memset(in, 0xff, sizeof in);
	assert_int_equal(hl_base62_encode(in, 32, out), 43);
	assert_memory_equal(out, "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1", 43);
	memset(in, 0, sizeof in);
	assert_int_equal(hl_base62_encode(in, 32, out), 43);
	for (int i = 0; i < 43; i++)
		assert_int_equal(out[i], '0');
	assert_int_equal(hl_base62_encode((const uint8_t *)"\x01\x02\x03", 3, out), 5);
	assert_memory_equal(out, "00HBL", 5);
	assert_int_equal(hl_base62_encode(in, 0, out), 0);
}

static void crc32(void **state)
{
	(void)state;
	assert_true(hl_crc32("123456789", 9) == 0xCBF43926u);
	assert_true(hl_crc32("", 0) == 0);
	assert_true(hl_crc32(NULL, 0) == 0);
	assert_true(hl_crc32("The quick brown fox jumps over the lazy dog", 43) == 0x414FA339u);
}

static void equal_bytes(void **state)
{
	(void)state;
	uint8_t a[33] = { 0 }, b[33] = { 0 };
	assert_true(hl_bytes_eq(a, b, sizeof a));
	for (size_t i = 0; i < sizeof a; i++)
		for (int bit = 0; bit < 8; bit++) {
			b[i] = (uint8_t)(1 << bit);
			assert_false(hl_bytes_eq(a, b, sizeof a));
			b[i] = 0;
		}
	assert_true(hl_bytes_eq(NULL, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),
		cmocka_unit_test(hex),
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(base64_round_trips),
		cmocka_unit_test(base62),
		cmocka_unit_test(crc32),
		cmocka_unit_test(equal_bytes),
	};
	return RUN(tests);
}
