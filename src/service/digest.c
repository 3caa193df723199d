/* SHA-256 through OpenSSL's EVP interface. It can only fail when memory is gone for good; then there is no digest to
 * answer with, and going on without one would accept anything: panic. */
#include "service/digest.h"

#include "base/check.h"

#include <openssl/evp.h>

void hl_sha256(const struct hl_str *parts, size_t n_parts, uint8_t out[HL_SHA256_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned len = 0;
	HL_CHECK(ctx);
	HL_CHECK(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1);
	for (size_t i = 0; i < n_parts; i++)
		HL_CHECK(parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].ptr, parts[i].len) == 1);
	HL_CHECK(EVP_DigestFinal_ex(ctx, out, &len) == 1 && len == HL_SHA256_LEN);
	EVP_MD_CTX_free(ctx);
}
