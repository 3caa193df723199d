/* A store whose making was cut off by a power failure. */
#ifndef HL_STORE_BIRTH_H
#define HL_STORE_BIRTH_H

#include <stdbool.h>

/* Whether the file holds nothing but halves of the two first pages of an environment: then nothing was ever committed to it. */
bool hl_birth_cut_off(const char *file);

#endif
