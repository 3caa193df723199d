/* The layers of the configuration, in their one order. Flags are only noted while the command line is read, because the
 * file named by one of them comes before all of them. */
#include "main/setup.h"

#include "base/err.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool hl_setup_take(struct hl_setup *s, int opt, const char *value)
{
	if (opt == HL_SETUP_CONFIG) {
		s->config_file = value;
		return true;
	}
	if (opt < HL_SETUP_FIRST || opt > HL_SETUP_KEY_FILE || s->n_flags == HL_SETUP_FLAGS_MAX)
		return false;
	s->flags[s->n_flags].opt = opt;
	s->flags[s->n_flags++].value = value;
	return true;
}

bool hl_setup_take_dir(struct hl_setup *s, const char *dir)
{
	for (unsigned i = 0; i < s->n_flags; i++)
		if (s->flags[i].opt == HL_SETUP_DATA)
			return false;
	return hl_setup_take(s, HL_SETUP_DATA, dir);
}

/* A sealing key handed over by the service manager is used unless another one is named. */
static int take_credential(struct hl_config *c, struct hl_err *err)
{
	char file[4096];
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	if (!dir || snprintf(file, sizeof(file), "%s/hookline.key", dir) >= (int)sizeof(file) || access(file, F_OK))
		return HL_OK;
	return hl_config_set(c, HL_SETTING_store_key_file, file, false, "$CREDENTIALS_DIRECTORY", err);
}

static int apply(const struct hl_setup *s, struct hl_config *c, struct hl_err *err)
{
	bool listened = false;
	for (unsigned i = 0; i < s->n_flags; i++) {
		const char *value = s->flags[i].value;
		int rc = HL_OK;
		switch (s->flags[i].opt) {
		case HL_SETUP_DATA:
			rc = hl_config_set(c, HL_SETTING_store_dir, value, false, "--data", err);
			break;
		case HL_SETUP_KEY_FILE:
			rc = hl_config_set(c, HL_SETTING_store_key_file, value, false, "--key-file", err);
			break;
		case HL_SETUP_LISTEN: /* the first one replaces what file and environment said */
			rc = hl_config_set(c, HL_SETTING_server_listen, value, listened, "--listen", err);
			listened = true;
			break;
		default:
			rc = hl_config_read_assignment(c, value, err);
		}
		if (rc)
			return rc;
	}
	return HL_OK;
}

int hl_setup_config(const struct hl_setup *s, struct hl_config *out, struct hl_err *err)
{
	int rc = hl_config_init(out, err);
	if (rc)
		return rc;
	rc = take_credential(out, err);
	if (rc == HL_OK && s->config_file)
		rc = hl_config_read_file(out, s->config_file, err);
	if (rc == HL_OK)
		rc = hl_config_read_env(out, environ, err);
	if (rc == HL_OK)
		rc = apply(s, out, err);
	if (rc == HL_OK)
		rc = hl_config_check(out, err);
	if (rc)
		hl_config_fini(out);
	return rc;
}
