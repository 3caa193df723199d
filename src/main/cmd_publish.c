/* hookline publish TYPE [JSON | @FILE | -]: one event, by the server's own API. Prints the answer ({"id", "deliveries"}).
 *
 * The data is sent byte for byte; that it is JSON is checked here first, because a message about a byte offset is worth
 * more beside the shell that made it. */
#include "main/cmd.h"

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "main/ask.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { DATA_MAX = 64 * 1024 * 1024 };

struct publish {
	const char *type, *data, *id, *key, *url, *account;
};

static int read_all(FILE *f, struct hl_buf *out, struct hl_err *err)
{
	char bytes[16384];
	size_t n;
	while ((n = fread(bytes, 1, sizeof(bytes), f)) > 0)
		hl_buf_add(out, bytes, n);
	if (ferror(f))
		return hl_err_errno(err, errno, "reading the data");
	return hl_buf_ok(out) ? HL_OK : hl_err_set(err, HL_ETOOBIG, "the data is larger than %d bytes", DATA_MAX);
}

static int read_data(const char *what, struct hl_buf *out, struct hl_err *err)
{
	out->max = DATA_MAX;
	if (strcmp(what, "-") == 0)
		return read_all(stdin, out, err);
	if (what[0] != '@') {
		hl_buf_cstr(out, what);
		return hl_buf_ok(out) ? HL_OK : hl_err_set(err, HL_ENOMEM, "out of memory");
	}
	FILE *f = fopen(what + 1, "re");
	if (!f)
		return hl_err_errno(err, errno, "%s", what + 1);
	int rc = read_all(f, out, err);
	fclose(f);
	return rc;
}

static int run(const struct publish *p, struct hl_buf *data, struct hl_buf *body, struct hl_err *err)
{
	struct hl_json json;
	int rc = read_data(p->data, data, err);
	if (rc == HL_OK && hl_json_check(hl_buf_all(data), HL_JSON_DEPTH_MAX - 1, &json, err))
		rc = hl_err_prefix(err, "the data is not JSON");
	if (rc)
		return rc;
	struct hl_jsonw w;
	hl_jsonw_init(&w, body);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "type");
	hl_jsonw_cstr(&w, p->type);
	if (p->id) {
		hl_jsonw_key(&w, "id");
		hl_jsonw_cstr(&w, p->id);
	}
	hl_jsonw_key(&w, "data");
	hl_jsonw_raw(&w, json.raw);
	hl_jsonw_object_end(&w);
	if (!hl_buf_ok(body))
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	struct hl_ask call;
	rc = hl_ask_open(&call, p->url, err);
	if (rc)
		return rc;
	rc = hl_ask_run(&call, "POST", "/v1/events", p->key, p->account, hl_buf_all(body), err);
	if (rc)
		hl_err_prefix(err, "%s: no usable answer; %s", call.authority, p->id ?
				"publish it again with the same --id" : "the event may be stored or not (with --id it could be sent again)");
	else if (call.status == 401 && !p->key[0])
		rc = hl_err_set(err, HL_EPERM, "a key is needed: HOOKLINE_KEY or --key (\"hookline key create\" makes one)");
	else if (call.status != 202)
		rc = hl_ask_problem(&call, err);
	if (rc == HL_OK)
		printf("%.*s\n", HL_FMT(hl_str_trim(hl_buf_all(&call.body))));
	hl_ask_close(&call);
	return rc;
}

static const char *from_env(const char *name, const char *otherwise)
{
	const char *v = getenv(name);
	return v && *v ? v : otherwise;
}

int hl_cmd_publish(int argc, char **argv)
{
	static const struct option options[] = {
		{ "id", required_argument, NULL, 'i' }, { "key", required_argument, NULL, 'k' },
		{ "url", required_argument, NULL, 'u' }, { "account", required_argument, NULL, 'a' }, { NULL, 0, NULL, 0 },
	};
	struct publish p = {
		.url = from_env("HOOKLINE_URL", "http://127.0.0.1:8420"), .key = from_env("HOOKLINE_KEY", ""), .account = "",
	};
	for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (opt) {
		case 'i': p.id = optarg; break;
		case 'k': p.key = optarg; break;
		case 'u': p.url = optarg; break;
		case 'a': p.account = optarg; break;
		default: return hl_cmd_usage("publish", "the options do not make sense");
		}
	}
	if (optind >= argc || argc - optind > 2)
		return hl_cmd_usage("publish", "want TYPE and at most one argument for the data");
	p.type = argv[optind];
	p.data = argc - optind == 2 ? argv[optind + 1] : "{}";
	if (!hl_str_all_between(hl_str_from(p.key), 0x21, 0x7e) || !hl_str_all_between(hl_str_from(p.account), 0x21, 0x7e))
		return hl_cmd_usage("publish", "key and account are visible ASCII");
	struct hl_buf data = { 0 }, body = { 0 };
	struct hl_err err = { 0 };
	int rc = run(&p, &data, &body, &err);
	hl_buf_fini(&data);
	hl_buf_fini(&body);
	return rc ? hl_cmd_fail(HL_EXIT_FAILED, "%s", err.text) : HL_EXIT_OK;
}
