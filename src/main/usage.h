/* What the program says about itself, all of it made from the tables of commands, options and exit codes. */
#ifndef HL_MAIN_USAGE_H
#define HL_MAIN_USAGE_H

#include "main/config.h"
#include <stdio.h>

void hl_usage_program(FILE *out);
bool hl_usage_command(FILE *out, const char *name);  /* false: no such command */
void hl_usage_options(FILE *out);                    /* every option: name, default, what may be written, what it is */
void hl_usage_exit_codes(FILE *out);
void hl_usage_config(FILE *out, const struct hl_config *c); /* a configuration file that says the same as c */
void hl_usage_man(FILE *out);                        /* hookline(8), mdoc */
void hl_usage_markdown(FILE *out);                   /* the options as tables for docs/operations.md */

#endif
