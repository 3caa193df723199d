/* What the tests of the http floor share: cmocka's includes. */
#ifndef HL_TEST_HTTP_H
#define HL_TEST_HTTP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif
