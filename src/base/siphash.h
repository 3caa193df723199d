/* SipHash-2-4 (Aumasson, Bernstein 2012): keyed 64-bit hash; for maps and for the check part of ids. */
#ifndef HL_BASE_SIPHASH_H
#define HL_BASE_SIPHASH_H

#include <hookline/types.h>

uint64_t hl_siphash(const uint8_t key[16], const void *data, size_t len);

#endif
