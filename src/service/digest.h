/* SHA-256 of a few pieces laid end to end. */
#ifndef HL_SERVICE_DIGEST_H
#define HL_SERVICE_DIGEST_H

#include <hookline/types.h>

enum { HL_SHA256_LEN = 32 };

void hl_sha256(const struct hl_str *parts, size_t n_parts, uint8_t out[HL_SHA256_LEN]);

#endif
