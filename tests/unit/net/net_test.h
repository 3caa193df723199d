/* What every test of the net floor starts with. */
#ifndef NET_TEST_H
#define NET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/defs.h"
#include "base/str.h"
#include "net/addr.h"

/* An IP literal that must parse. */
static inline struct hl_addr ip(const char *text, uint16_t port)
{
	struct hl_addr a;
	if (!hl_addr_parse_ip(hl_str_from(text), port, &a))
		fail_msg("%s is no IP literal", text);
	return a;
}

#endif
