/* SHA-256 through OpenSSL's EVP interface, the algorithm looked up once. It can only fail when memory is gone for good;
 * then there is no digest to answer with, and going on without one would accept anything: panic. */
#include "service/digest.h"

#include "base/check.h"

#include <openssl/evp.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256; /* for the life of the process */

static void fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void hl_sha256(const struct hl_str *parts, size_t n_parts, uint8_t out[HL_SHA256_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned len = 0;
	pthread_once(&once, fetch);
	HL_CHECK(ctx && sha256);
	HL_CHECK(EVP_DigestInit_ex2(ctx, sha256, NULL) == 1);
	for (size_t i = 0; i < n_parts; i++)
		HL_CHECK(parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].ptr, parts[i].len) == 1);
	HL_CHECK(EVP_DigestFinal_ex(ctx, out, &len) == 1 && len == HL_SHA256_LEN);
	EVP_MD_CTX_free(ctx);
}
