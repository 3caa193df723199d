/* hookline key create|list|revoke: through the server that uses the data directory if there is one, else by opening the
 * store (which takes its lock, so that no server can start meanwhile). */
#include "main/cmd.h"

#include "base/env.h"
#include "base/err.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "main/key_ask.h"
#include "main/process.h"
#include "main/setup.h"
#include "service/offline.h"
#include "store/store.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum action { CREATE, LIST, REVOKE, NO_ACTION };

struct listing {
	struct hl_buf *out;
	hl_ms_t now_ms;
};

static bool list_one(void *data, const struct hl_key *k, struct hl_str account_id)
{
	struct listing *l = data;
	struct hl_buf scopes = { 0 };
	for (unsigned bit = 1; bit <= HL_SCOPE_ALL; bit <<= 1)
		if (k->scopes & bit)
			hl_buf_fmt(&scopes, "%s%s", scopes.len ? "," : "", hl_scope_name(bit));
	char until[HL_RFC3339_CAP];
	size_t until_len = k->expires_at_ms ? hl_rfc3339_format(k->expires_at_ms, until) : 0;
	bool expired = k->expires_at_ms && k->expires_at_ms <= l->now_ms;
	struct hl_str state = k->revoked_at_ms ? HL_STR("revoked") : expired ? HL_STR("expired") : HL_STR("active");
	hl_key_line(l->out, hl_str_from(k->prefix), hl_str_from(k->last4), account_id, hl_str_from(hl_dialect_name(k->dialect)),
			hl_buf_all(&scopes), state, hl_str_make(until, until_len), k->name);
	hl_buf_fini(&scopes);
	return true;
}

/* *out_opened: the store is there, so what failed is the order. */
static int run_local(enum action action, const struct hl_config *c, const struct hl_key_order *o, struct hl_buf *out,
		bool *out_opened, struct hl_err *err)
{
	const struct hl_store_options so = {
		.dir = c->engine.data_dir, .max_bytes = c->engine.store_max_bytes, .key_file = c->engine.key_file,
		.create = action == CREATE, .env = &hl_env_real,
	};
	struct hl_store *store;
	int rc = hl_store_open(&store, &so, err);
	*out_opened = rc == HL_OK;
	if (rc)
		return rc;
	const struct hl_key k = {
		.dialect = o->dialect, .scopes = o->scopes, .name = o->name, .expires_at_ms = o->expires_at_ms,
	};
	struct listing l = { .out = out, .now_ms = hl_env_wall_ms(&hl_env_real) };
	char text[HL_KEY_TEXT_CAP] = "";
	rc = action == CREATE ? hl_offline_prepare(store, &hl_env_real, err) : HL_OK;
	if (rc == HL_OK && action == CREATE)
		rc = hl_offline_key_create(store, &hl_env_real, o->account, &k, text, err);
	else if (rc == HL_OK && action == LIST)
		rc = hl_offline_key_each(store, o->account, list_one, &l, err);
	else if (rc == HL_OK)
		rc = hl_offline_key_revoke(store, &hl_env_real, o->key, err);
	hl_buf_cstr(out, text);
	hl_store_close(store);
	return rc;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines in the order of their keys, whichever way they came. */
static void print_sorted(struct hl_buf *lines)
{
	size_t n = 0;
	for (size_t i = 0; i < lines->len; i++)
		n += lines->data[i] == '\n';
	char **v = calloc(n + 1, sizeof(*v));
	if (!v)
		return;
	char *at = lines->data;
	for (size_t i = 0; i < n; i++) {
		v[i] = at;
		at = strchr(at, '\n');
		*at++ = '\0';
	}
	qsort(v, n, sizeof(*v), by_text);
	for (size_t i = 0; i < n; i++)
		puts(v[i]);
	free(v);
}

static int run(enum action action, const struct hl_config *c, const struct hl_key_order *o)
{
	struct hl_err err = { 0 };
	struct hl_buf out = { 0 };
	char url[4200];
	snprintf(url, sizeof(url), "unix:%s/control.sock", c->engine.data_dir);
	int rc = action == CREATE ? hl_key_ask_create(url, o, &out, &err)
		: action == LIST  ? hl_key_ask_list(url, o, &out, &err)
				  : hl_key_ask_revoke(url, o, &err);
	bool local = rc == HL_ENOTFOUND || rc == HL_EURL; /* no server, or a path no socket can have */
	bool opened = false;
	if (local)
		rc = run_local(action, c, o, &out, &opened, &err);
	if (local)
		hl_process_give_files(c->engine.data_dir);
	if (rc == HL_OK && action == CREATE)
		printf("%.*s\n", HL_FMT(hl_buf_all(&out)));
	else if (rc == HL_OK && action == LIST)
		print_sorted(&out);
	hl_buf_fini(&out);
	if (rc == HL_OK)
		return HL_EXIT_OK;
	bool order_wrong = !local || (opened && (rc == HL_ENOTFOUND || rc == HL_EINVAL));
	int code = order_wrong ? HL_EXIT_FAILED : hl_exit_of(rc);
	return hl_cmd_fail(code, "%s", err.text[0] ? err.text : hl_strerror(rc));
}

/* One option of the command's own; an explanation when it is wrong. */
static const char *take(struct hl_key_order *o, int opt, const char *value)
{
	switch (opt) {
	case 'a':
		o->account = hl_str_from(value);
		for (size_t i = 0; i < o->account.len; i++)
			if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", value[i]))
				return "--account: want letters, digits and _ . -";
		return NULL;
	case 'd': {
		int d = hl_dialect_parse(hl_str_from(value));
		if (d < 0)
			return "--dialect: want hookline, cs2cap, aboutyou, stellarstack or bitnob";
		o->dialect = (enum hl_dialect)d;
		return NULL;
	}
	case 's':
		return hl_scopes_parse(hl_str_from(value), &o->scopes) ? NULL : "--scope: want some of admin,publish,manage,read";
	case 'n':
		o->name = hl_str_from(value);
		return NULL;
	case 'e':
		if (!hl_rfc3339_parse(hl_str_from(value), &o->expires_at_ms) || o->expires_at_ms <= hl_env_wall_ms(&hl_env_real))
			return "--expires: want a time to come, such as 2030-01-01T00:00:00Z";
		return NULL;
	default:
		return "unknown option";
	}
}

int hl_cmd_key(int argc, char **argv)
{
	static const struct option options[] = {
		HL_SETUP_OPTIONS,
		{ "account", required_argument, NULL, 'a' }, { "dialect", required_argument, NULL, 'd' },
		{ "scope", required_argument, NULL, 's' }, { "name", required_argument, NULL, 'n' },
		{ "expires", required_argument, NULL, 'e' }, { NULL, 0, NULL, 0 },
	};
	static const char *const actions[] = { "create", "list", "revoke" };
	struct hl_setup setup = { .n_flags = 0 };
	struct hl_key_order o = {
		.dialect = HL_DIALECT_HOOKLINE, .scopes = HL_SCOPE_PUBLISH | HL_SCOPE_MANAGE | HL_SCOPE_READ,
		.account = HL_STR(""), .name = HL_STR(""), .key = HL_STR(""),
	};
	for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		const char *wrong = hl_setup_take(&setup, opt, optarg) ? NULL : take(&o, opt, optarg);
		if (wrong)
			return hl_cmd_usage("key", "%s", wrong);
	}
	enum action action = CREATE;
	while (optind < argc && action < NO_ACTION && strcmp(argv[optind], actions[action]) != 0)
		action++;
	if (optind >= argc || action == NO_ACTION)
		return hl_cmd_usage("key", "want create, list or revoke");
	optind++;
	uint32_t number;
	if (action == REVOKE && optind == argc)
		return hl_cmd_usage("key", "revoke wants a key");
	if (action == REVOKE)
		o.key = hl_str_from(argv[optind++]);
	if (action == REVOKE && hl_key_text_parse(o.key, &number) && hl_key_prefix_parse(o.key, &number))
		return hl_cmd_usage("key", "%s is neither a key nor the prefix of one", argv[optind - 1]);
	if (optind < argc && !hl_setup_take_dir(&setup, argv[optind++]))
		return hl_cmd_usage("key", "the data directory is given twice");
	if (optind < argc)
		return hl_cmd_usage("key", "too many arguments");
	struct hl_config c;
	struct hl_err err = { 0 };
	if (hl_setup_config(&setup, &c, &err))
		return hl_cmd_fail(HL_EXIT_CONFIG, "%s", err.text);
	int code = run(action, &c, &o);
	hl_config_fini(&c);
	return code;
}
