/* Compiler helpers used everywhere. */
#ifndef HL_BASE_DEFS_H
#define HL_BASE_DEFS_H

#include <hookline/types.h>

#define HL_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define HL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define HL_UNUSED __attribute__((unused))
#define HL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HL_MAX(a, b) ((a) > (b) ? (a) : (b))


#endif
