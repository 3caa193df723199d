/* Bytes to text and back: big-endian integers, hex, base64, base62, CRC-32, constant-time compare. */
#ifndef HL_BASE_CODEC_H
#define HL_BASE_CODEC_H

#include <hookline/types.h>

static inline void hl_be16_put(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static inline void hl_be32_put(uint8_t *p, uint32_t v) { hl_be16_put(p, (uint16_t)(v >> 16)); hl_be16_put(p + 2, (uint16_t)v); }
static inline void hl_be64_put(uint8_t *p, uint64_t v) { hl_be32_put(p, (uint32_t)(v >> 32)); hl_be32_put(p + 4, (uint32_t)v); }
static inline uint16_t hl_be16_get(const uint8_t *p) { return (uint16_t)((unsigned)p[0] << 8 | p[1]); }
static inline uint32_t hl_be32_get(const uint8_t *p) { return (uint32_t)hl_be16_get(p) << 16 | hl_be16_get(p + 2); }
static inline uint64_t hl_be64_get(const uint8_t *p) { return (uint64_t)hl_be32_get(p) << 32 | hl_be32_get(p + 4); }

size_t hl_hex_encode(const uint8_t *in, size_t n, char *out);      /* 2n lower-case digits, no NUL */
bool hl_hex_decode(struct hl_str in, uint8_t *out, size_t out_len);/* exactly 2·out_len digits */
size_t hl_base64_len(size_t n);                                    /* with padding */
size_t hl_base64_encode(const uint8_t *in, size_t n, char *out);   /* standard alphabet, padded; returns length */
/* Strict: standard alphabet, correct padding, zero trailing bits. */
bool hl_base64_decode(struct hl_str in, uint8_t *out, size_t out_cap, size_t *out_len);
size_t hl_base64url_encode(const uint8_t *in, size_t n, char *out);/* no padding */
bool hl_base64url_decode(struct hl_str in, uint8_t *out, size_t out_cap, size_t *out_len);
/* n bytes as a fixed number of base62 digits (32 bytes → 43). */
size_t hl_base62_encode(const uint8_t *in, size_t n, char *out);
uint32_t hl_crc32(const void *p, size_t n);                        /* IEEE, as in zip */
bool hl_bytes_eq(const void *a, const void *b, size_t n);          /* constant time */

#endif
