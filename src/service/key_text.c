/* The text of a key: making one, and telling its number. Whether it is a good key is decided in keys.c.
 *
 * The check digits come first: a text that fails them was mistyped or cut, and costs no look-up. */
#include "service/key_text.h"

#include "base/check.h"
#include "base/codec.h"
#include "base/env.h"
#include "base/str.h"

static const struct hl_str intro = HL_STR("hlk_");

static const struct { unsigned bit; const char *name; } scopes[] = {
#define HL_X(number, name, text) { 1u << (number), text },
	HL_SCOPE_TABLE(HL_X)
#undef HL_X
};

const char *hl_scope_name(unsigned bit)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (scopes[i].bit == bit)
			return scopes[i].name;
	return NULL;
}

unsigned hl_scope_parse(struct hl_str text)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (hl_str_eq(hl_str_from(scopes[i].name), text))
			return scopes[i].bit;
	return 0;
}

bool hl_scopes_parse(struct hl_str text, unsigned *out)
{
	unsigned set = 0;
	if (!text.ptr)
		return false;
	while (text.ptr) {
		unsigned bit = hl_scope_parse(hl_str_trim(hl_str_split(&text, ',')));
		if (!bit || (set & bit))
			return false;
		set |= bit;
	}
	*out = set;
	return true;
}

/* A 32-bit number as six base62 digits: 62^6 > 2^32, so six always do. */
static void digits_put(uint32_t v, char *out)
{
	uint8_t raw[4];
	hl_be32_put(raw, v);
	size_t n = hl_base62_encode(raw, sizeof(raw), out);
	HL_CHECK(n == HL_KEY_ID_LEN);
}

static bool digits_get(const char *p, uint32_t *out)
{
	uint64_t v = 0;
	for (int i = 0; i < HL_KEY_ID_LEN; i++) {
		char c = p[i];
		unsigned d;
		if (c >= '0' && c <= '9')
			d = (unsigned)(c - '0');
		else if (c >= 'A' && c <= 'Z')
			d = (unsigned)(c - 'A') + 10;
		else if (c >= 'a' && c <= 'z')
			d = (unsigned)(c - 'a') + 36;
		else
			return false;
		v = v * 62 + d;
	}
	if (v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

void hl_key_text_make(const struct hl_env *env, uint32_t number, char out[HL_KEY_TEXT_CAP])
{
	uint8_t secret[32];
	hl_env_random(env, secret, sizeof(secret));
	memcpy(out, intro.ptr, intro.len);
	digits_put(number, out + intro.len);
	size_t n = hl_base62_encode(secret, sizeof(secret), out + HL_KEY_PREFIX_LEN);
	HL_CHECK(n == HL_KEY_SECRET_LEN);
	size_t checked = HL_KEY_PREFIX_LEN + HL_KEY_SECRET_LEN;
	digits_put(hl_crc32(out, checked), out + checked);
	out[HL_KEY_TEXT_LEN] = '\0';
	explicit_bzero(secret, sizeof(secret));
}

int hl_key_prefix_parse(struct hl_str text, uint32_t *out_number)
{
	if (text.len != HL_KEY_PREFIX_LEN || !hl_str_starts(text, intro) || !digits_get(text.ptr + intro.len, out_number))
		return HL_ESYNTAX;
	return HL_OK;
}

int hl_key_text_parse(struct hl_str text, uint32_t *out_number)
{
	char check[16];
	if (text.len != HL_KEY_TEXT_LEN)
		return HL_ESYNTAX;
	digits_put(hl_crc32(text.ptr, HL_KEY_PREFIX_LEN + HL_KEY_SECRET_LEN), check);
	if (memcmp(check, text.ptr + HL_KEY_PREFIX_LEN + HL_KEY_SECRET_LEN, HL_KEY_CHECK_LEN) != 0)
		return HL_ESYNTAX;
	return hl_key_prefix_parse(hl_str_make(text.ptr, HL_KEY_PREFIX_LEN), out_number);
}
