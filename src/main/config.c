/* The options' values, layer by layer.
 *
 * hl_config_init puts the table's defaults in; reading a file, the environment or the command line then replaces values
 * one by one through hl_config_set, which notes where each came from. A value that does not read leaves the old one and
 * ends the reading with "where: option: what would be right"; an unknown option ends it with the nearest known name.
 *
 * Files are read by inih. Its buffer holds lines of 197 bytes; our reader counts the lines (for messages), refuses longer
 * ones instead of letting inih cut them in two, and tells continuation lines (indented: a list goes on) from a key given
 * twice, which is refused because the reader of the file cannot see which one counts. */
#include "main/config.h"

#include "base/err.h"
#include "base/str.h"
#include "net/egress.h"
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A member must have the C type of its option's kind; hl_value_parse writes through a void pointer. */
enum {
#define HL_X(name, type, text) HL_VALUE_SIZE_##name = sizeof(type),
	HL_VALUE_TABLE(HL_X)
#undef HL_X
};
#define HL_X(section, key, kind, member, min, max, dflt, help)                                                  \
	_Static_assert(sizeof(((struct hl_config *)0)->member) == (size_t)HL_VALUE_SIZE_##kind, #section "." #key);
HL_CONFIG_TABLE(HL_X)
#undef HL_X

const struct hl_setting hl_settings[HL_SETTING_N] = {
#define HL_X(section, key, kind, member, min, max, dflt, help)                                                  \
	{ #section, #key, HL_VALUE_##kind, offsetof(struct hl_config, member), min, max, dflt, help },
	HL_CONFIG_TABLE(HL_X)
#undef HL_X
};

int hl_setting_find(struct hl_str section, struct hl_str key)
{
	for (int i = 0; i < HL_SETTING_N; i++)
		if (hl_str_eq(section, hl_str_from(hl_settings[i].section)) && hl_str_eq(key, hl_str_from(hl_settings[i].key)))
			return i;
	return -1;
}

/* Levenshtein distance of a (at most 63 bytes count) and b. */
static unsigned distance(struct hl_str a, const char *b)
{
	unsigned row[64];
	size_t n = HL_MIN(a.len, HL_ARRAY_LEN(row) - 1);
	for (size_t i = 0; i <= n; i++)
		row[i] = (unsigned)i;
	for (unsigned j = 1; b[j - 1]; j++) {
		unsigned diagonal = row[0];
		row[0] = j;
		for (size_t i = 1; i <= n; i++) {
			unsigned change = diagonal + (a.ptr[i - 1] != b[j - 1]);
			diagonal = row[i];
			row[i] = HL_MIN(change, HL_MIN(row[i - 1], row[i]) + 1);
		}
	}
	return row[n];
}

const struct hl_setting *hl_setting_nearest(struct hl_str text)
{
	const struct hl_setting *best = NULL;
	unsigned best_distance = 5; /* further away it is a guess, not a help */
	for (int i = 0; i < HL_SETTING_N; i++) {
		char name[64];
		snprintf(name, sizeof(name), ".%s", hl_settings[i].key);
		if (hl_str_ends(text, hl_str_from(name)) && best_distance > 1) {
			best = &hl_settings[i]; /* the right key in the wrong section */
			best_distance = 1;
		}
		snprintf(name, sizeof(name), "%s.%s", hl_settings[i].section, hl_settings[i].key);
		unsigned d = distance(text, name);
		if (d < best_distance) {
			best = &hl_settings[i];
			best_distance = d;
		}
	}
	return best;
}

static int unknown(const char *where, struct hl_str section, struct hl_str key, struct hl_err *err)
{
	char name[128];
	snprintf(name, sizeof(name), "%.*s%s%.*s", (int)HL_MIN(section.len, (size_t)60), section.ptr ? section.ptr : "",
			section.len ? "." : "", (int)HL_MIN(key.len, (size_t)60), key.ptr ? key.ptr : "");
	const struct hl_setting *near = hl_setting_nearest(hl_str_from(name));
	if (near)
		return hl_err_field(err, HL_EINVAL, name, "%s: unknown option \"%s\"; did you mean %s.%s?", where, name,
				near->section, near->key);
	return hl_err_field(err, HL_EINVAL, name, "%s: unknown option \"%s\" (hookline help options lists them)", where, name);
}

static bool is_list(enum hl_value_kind kind)
{
	return kind == HL_VALUE_LIST || kind == HL_VALUE_RETRY;
}

int hl_config_set(struct hl_config *c, enum hl_setting_index i, const char *value, bool append, const char *source,
		struct hl_err *err)
{
	const struct hl_setting *s = &hl_settings[i];
	struct hl_str v = hl_str_trim(hl_str_from(value));
	char *text = NULL;
	/* a list broken after its comma must not read as one with an empty entry */
	while (is_list(s->kind) && hl_str_ends(v, HL_STR(",")))
		v = hl_str_trim(hl_str_make(v.ptr, v.len - 1));
	int n = append && c->text[i] && c->text[i][0]
			? asprintf(&text, "%s%s%.*s", c->text[i], s->kind == HL_VALUE_TEXT ? " " : ",", HL_FMT(v))
			: asprintf(&text, "%.*s", (int)v.len, v.len ? v.ptr : "");
	if (n < 0)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	int rc = hl_value_parse(s->kind, text, s->min, s->max, (char *)c + s->offset, err);
	if (rc) {
		free(text);
		if (err) {
			hl_err_prefix(err, "%s: %s.%s", source, s->section, s->key);
			snprintf(err->field, sizeof(err->field), "%s.%s", s->section, s->key);
		}
		return rc;
	}
	free(c->text[i]);
	c->text[i] = text;
	snprintf(c->source[i], sizeof(c->source[i]), "%s", source);
	return HL_OK;
}

int hl_config_init(struct hl_config *c, struct hl_err *err)
{
	memset(c, 0, sizeof(*c));
	hl_options_init(&c->engine);
	hl_tiers_init(&c->tiers);
	for (int i = 0; i < HL_SETTING_N; i++) {
		int rc = hl_config_set(c, (enum hl_setting_index)i, hl_settings[i].dflt, false, "default", err);
		if (rc) {
			hl_config_fini(c);
			return rc;
		}
	}
	return HL_OK;
}

void hl_config_fini(struct hl_config *c)
{
	for (int i = 0; i < HL_SETTING_N; i++) {
		free(c->text[i]);
		c->text[i] = NULL;
	}
}

/* ---- the file ---- */

struct file_reader {
	struct hl_config *config;
	FILE *file;
	const char *path;
	int line;
	bool continued;                 /* the current line is indented: more of the last value */
	bool seen[HL_SETTING_N];
	int rc;                         /* first error; reading goes on without effect */
	struct hl_err *err;
};

static char *next_line(char *line, int cap, void *data)
{
	struct file_reader *r = data;
	if (r->rc || !fgets(line, cap, r->file))
		return NULL;
	r->line++;
	size_t len = strlen(line);
	if (len + 1 == (size_t)cap && line[len - 1] != '\n') {
		r->rc = hl_err_set(r->err, HL_EINVAL, "%s:%d: line longer than %d bytes (lists may go on in indented lines)",
				r->path, r->line, cap - 2);
		return NULL;
	}
	r->continued = line[0] == ' ' || line[0] == '\t';
	return line;
}

static int take_value(void *data, const char *section, const char *name, const char *value)
{
	struct file_reader *r = data;
	if (r->rc)
		return 0;
	char where[HL_CONFIG_SOURCE_CAP];
	snprintf(where, sizeof(where), "%.80s:%d", r->path, r->line);
	int i = hl_setting_find(hl_str_from(section), hl_str_from(name));
	if (i < 0) {
		r->rc = unknown(where, hl_str_from(section), hl_str_from(name), r->err);
		return 0;
	}
	bool append = r->seen[i] && r->continued && (is_list(hl_settings[i].kind) || hl_settings[i].kind == HL_VALUE_TEXT);
	if (r->seen[i] && !append) {
		r->rc = hl_err_field(r->err, HL_EDUPLICATE, name, "%s: %s.%s is given twice", where, section, name);
		return 0;
	}
	r->seen[i] = true;
	r->rc = hl_config_set(r->config, (enum hl_setting_index)i, value, append, where, r->err);
	return r->rc == HL_OK;
}

int hl_config_read_file(struct hl_config *c, const char *path, struct hl_err *err)
{
	struct file_reader r = { .config = c, .path = path, .err = err };
	r.file = fopen(path, "re");
	if (!r.file)
		return hl_err_errno(err, errno, "%s", path);
	int bad = ini_parse_stream(next_line, &r, take_value, &r);
	if (ferror(r.file) && r.rc == HL_OK)
		r.rc = hl_err_errno(err, errno, "%s", path);
	if (bad && r.rc == HL_OK)
		r.rc = hl_err_set(err, HL_EINVAL, "%s:%d: neither [section] nor key = value", path, bad);
	fclose(r.file);
	return r.rc;
}

/* ---- environment and command line ---- */

/* "DELIVERY_MAX_SLOW" → section and key in out; false when no section of ours begins it. */
static bool env_name(struct hl_str name, char out[128], struct hl_str *section, struct hl_str *key)
{
	if (name.len >= 128)
		return false;
	for (size_t i = 0; i < name.len; i++)
		out[i] = (char)tolower((unsigned char)name.ptr[i]);
	for (int i = 0; i < HL_SETTING_N; i++) {
		size_t n = strlen(hl_settings[i].section);
		if (name.len > n && memcmp(out, hl_settings[i].section, n) == 0 && out[n] == '_') {
			*section = hl_str_make(out, n);
			*key = hl_str_make(out + n + 1, name.len - n - 1);
			return true;
		}
	}
	return false;
}

int hl_config_read_env(struct hl_config *c, char *const *env, struct hl_err *err)
{
	for (; *env; env++) {
		struct hl_str value = hl_str_from(*env), name = hl_str_split(&value, '='), section, key;
		struct hl_str prefix = HL_STR("HOOKLINE_");
		if (!value.ptr || !hl_str_starts(name, prefix))
			continue;
		char lower[128], where[HL_CONFIG_SOURCE_CAP];
		snprintf(where, sizeof(where), "%.*s", HL_FMT(name));
		if (!env_name(hl_str_make(name.ptr + prefix.len, name.len - prefix.len), lower, &section, &key))
			continue;
		int i = hl_setting_find(section, key);
		int rc = i < 0 ? unknown(where, section, key, err)
			       : hl_config_set(c, (enum hl_setting_index)i, value.ptr, false, where, err);
		if (rc)
			return rc;
	}
	return HL_OK;
}

int hl_config_read_assignment(struct hl_config *c, const char *text, struct hl_err *err)
{
	struct hl_str value = hl_str_from(text), name = hl_str_split(&value, '=');
	if (!value.ptr)
		return hl_err_set(err, HL_EINVAL, "--set %.100s: want section.key=value", text);
	struct hl_str key = hl_str_trim(name), section = hl_str_split(&key, '.');
	int i = key.ptr ? hl_setting_find(section, key) : -1;
	if (i < 0)
		return unknown("--set", key.ptr ? section : HL_STR_NONE, key.ptr ? key : section, err);
	return hl_config_set(c, (enum hl_setting_index)i, value.ptr, false, "--set", err);
}

/* ---- the whole ---- */

/* hl_err with the option's name and where it was set in front. */
static int blame(const struct hl_config *c, enum hl_setting_index i, struct hl_err *err)
{
	int rc = hl_err_prefix(err, "%s: %s.%s", c->source[i], hl_settings[i].section, hl_settings[i].key);
	if (err)
		snprintf(err->field, sizeof(err->field), "%s.%s", hl_settings[i].section, hl_settings[i].key);
	return rc;
}

static int check_listen(struct hl_config *c, struct hl_err *err)
{
	c->n_addrs = 0;
	for (struct hl_str rest = hl_str_from(c->listen); rest.ptr && c->listen[0];) {
		struct hl_str one = hl_str_trim(hl_str_split(&rest, ','));
		int rc = HL_OK;
		if (c->n_addrs == HL_CONFIG_LISTEN_MAX)
			rc = hl_err_set(err, HL_EINVAL, "more than %d addresses", HL_CONFIG_LISTEN_MAX);
		else
			rc = hl_addr_parse(one, &c->addrs[c->n_addrs], err);
		if (rc)
			return blame(c, HL_SETTING_server_listen, err);
		c->n_addrs++;
	}
	return HL_OK;
}

static int check_egress(const struct hl_config *c, struct hl_err *err)
{
	const struct hl_egress_options o = {
		.allow_networks = c->engine.allow_networks, .allow_hosts = c->engine.allow_hosts,
		.nat64_prefixes = c->engine.nat64_prefixes, .ports = c->engine.ports, .allow_http = c->engine.allow_http,
	};
	struct hl_egress *e = calloc(1, sizeof(*e)); /* large: a bit for every port */
	if (!e)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	struct hl_err why = { 0 };
	int rc = hl_egress_init(e, &o, &why);
	if (rc == HL_OK)
		hl_egress_fini(e);
	free(e);
	struct hl_str key = hl_str_from(why.field), section = hl_str_split(&key, '.');
	int i = rc && key.ptr ? hl_setting_find(section, key) : -1;
	if (rc && err)
		*err = why;
	return i < 0 ? rc : blame(c, (enum hl_setting_index)i, err);
}

static int check_statuses(const struct hl_config *c, struct hl_err *err)
{
	for (struct hl_str rest = hl_str_from(c->engine.final_statuses); rest.ptr && c->engine.final_statuses[0];) {
		struct hl_str one = hl_str_trim(hl_str_split(&rest, ','));
		uint64_t v;
		if (!hl_str_u64(one, &v) || v < 300 || v > 599) {
			hl_err_set(err, HL_EINVAL, "\"%.*s\" is not a status from 300 to 599", (int)HL_MIN(one.len, (size_t)40), one.ptr);
			return blame(c, HL_SETTING_delivery_final_statuses, err);
		}
	}
	return HL_OK;
}

static int check_servers(const struct hl_config *c, struct hl_err *err)
{
	for (struct hl_str rest = hl_str_from(c->engine.dns_servers); rest.ptr && c->engine.dns_servers[0];) {
		struct hl_str one = hl_str_trim(hl_str_split(&rest, ','));
		struct hl_addr a;
		if (!hl_addr_parse_ip(one, 53, &a) && (hl_addr_parse(one, &a, NULL) || hl_addr_is_unix(&a))) {
			hl_err_set(err, HL_EINVAL, "\"%.*s\" is not an address with or without a port", (int)HL_MIN(one.len, (size_t)40),
					one.ptr);
			return blame(c, HL_SETTING_egress_dns_servers, err);
		}
	}
	return HL_OK;
}

static int check_files(const struct hl_config *c, struct hl_err *err)
{
	if (!c->engine.ca_file || !c->engine.ca_file[0] || access(c->engine.ca_file, R_OK) == 0)
		return HL_OK;
	hl_err_set(err, HL_EINVAL, "%.200s: %s", c->engine.ca_file, strerror(errno));
	return blame(c, HL_SETTING_tls_ca_file, err);
}

int hl_config_check(struct hl_config *c, struct hl_err *err)
{
	int rc = check_listen(c, err);
	if (rc == HL_OK)
		rc = check_egress(c, err);
	if (rc == HL_OK)
		rc = check_statuses(c, err);
	if (rc == HL_OK)
		rc = check_servers(c, err);
	if (rc == HL_OK)
		rc = check_files(c, err);
	if (rc == HL_OK && hl_tiers_parse(hl_str_from(c->tiers_text), &c->tiers, err) != HL_OK)
		rc = blame(c, HL_SETTING_limits_tiers, err);
	if (!c->engine.user_agent[0])
		c->engine.user_agent = "Hookline/" HL_VERSION;
	return rc;
}
