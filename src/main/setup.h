/* From a command line to a configuration: the flags every command shares, and the order of the layers. */
#ifndef HL_MAIN_SETUP_H
#define HL_MAIN_SETUP_H

#include "main/config.h"
#include <getopt.h>

enum { HL_SETUP_FLAGS_MAX = 128 };

/* The shared flags for getopt_long; their values begin at HL_SETUP_FIRST. */
enum { HL_SETUP_FIRST = 1000, HL_SETUP_CONFIG = HL_SETUP_FIRST, HL_SETUP_DATA, HL_SETUP_LISTEN, HL_SETUP_SET, HL_SETUP_KEY_FILE };
#define HL_SETUP_OPTIONS                                            \
	{ "config", required_argument, NULL, HL_SETUP_CONFIG },     \
	{ "data", required_argument, NULL, HL_SETUP_DATA },         \
	{ "listen", required_argument, NULL, HL_SETUP_LISTEN },     \
	{ "set", required_argument, NULL, HL_SETUP_SET },           \
	{ "key-file", required_argument, NULL, HL_SETUP_KEY_FILE }

struct hl_setup {
	const char *config_file;
	struct {
		int opt;
		const char *value;
	} flags[HL_SETUP_FLAGS_MAX]; /* in the order given; applied after file and environment */
	unsigned n_flags;
};

/* Takes note of a shared flag; false: opt is none of them (or there are too many). */
bool hl_setup_take(struct hl_setup *s, int opt, const char *value);
/* A data directory named by a word of its own, as good as --data; false: --data names one already. */
bool hl_setup_take_dir(struct hl_setup *s, const char *dir);
/* Defaults, what systemd keeps for us ($CREDENTIALS_DIRECTORY/hookline.key), file, environment, flags, checks.
 * On failure there is nothing to fini. */
HL_MUST_CHECK int hl_setup_config(const struct hl_setup *s, struct hl_config *out, struct hl_err *err);

#endif
