/* Hookline as a library. */
#ifndef HOOKLINE_H
#define HOOKLINE_H

#include <hookline/dispatcher.h>

#endif
