/* The rules, command by command.
 *
 * What serve opens after it has started: its data directory; the sealing key; on SIGHUP the configuration, the CA file and
 * the resolver's files, the latter's hosts also at look-ups; /proc/self for /metrics; sockets it makes and removes;
 * /dev/urandom, where a library may want it. OpenSSL reads its own configuration at first use, so that is now.
 *
 * With server.sandbox = auto a kernel without Landlock, or one that refuses the rules, costs a warning; with require the
 * server does not start. */
#include "main/confine.h"

#include "base/err.h"
#include "base/str.h"
#include "main/process.h"
#include "main/sandbox.h"
#include "net/tls.h"
#include "store/durable.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int need_landlock(const struct hl_config *c, struct hl_err *err)
{
	int why;
	if (c->sandbox != HL_SANDBOX_REQUIRE || hl_sandbox_abi(&why) > 0)
		return HL_OK;
	return hl_err_set(err, HL_EPERM, "server.sandbox = require, and this kernel has no Landlock (%s)", strerror(why));
}

int hl_confine_admit(const struct hl_config *c, bool allow_root, struct hl_err *err)
{
	if (geteuid() == 0 && !allow_root)
		return hl_err_set(err, HL_EPERM, "serve does not run as root: give it a user of its own (sockets from systemd or a proxy "
				"for low ports), or say --allow-root");
	return need_landlock(c, err);
}

/* enter() by the mode's rules. */
static int enter(struct hl_sandbox *sb, const struct hl_config *c, const struct hl_log *log, struct hl_err *err)
{
	char text[300];
	struct hl_err why = { 0 };
	int rc = hl_sandbox_enter(sb, &why);
	if (rc && c->sandbox == HL_SANDBOX_REQUIRE) {
		if (err)
			*err = why;
		return rc;
	}
	if (!log || c->sandbox == HL_SANDBOX_OFF)
		return HL_OK;
	if (rc)
		hl_log(log, HL_LOG_WARN, "serve.no_sandbox", "error=%s", hl_log_quote(hl_str_from(why.text), text, sizeof(text)));
	else if (sb->abi == 0)
		hl_log(log, HL_LOG_WARN, "serve.no_sandbox", "this kernel has no Landlock");
	else
		hl_log(log, HL_LOG_INFO, "serve.sandbox", "landlock=%d", sb->abi);
	return HL_OK;
}

static void open_store_files(struct hl_sandbox *sb, const struct hl_config *c)
{
	hl_sandbox_own(sb, c->engine.data_dir);
	if (c->engine.key_file)
		hl_sandbox_make(sb, c->engine.key_file);
	hl_sandbox_read(sb, "/dev/urandom");
	hl_sandbox_read(sb, "/proc/self");
#ifdef HL_SANITIZED
	hl_sandbox_read(sb, "/proc/self/exe"); /* the sanitizer names functions by it */
#endif
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
}

static void open_listeners(struct hl_sandbox *sb, const struct hl_listeners *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		const struct hl_addr *a = &l->v[i].addr;
		if (l->v[i].fd >= 0)
			continue;
		if (hl_addr_is_unix(a))
			hl_sandbox_socket(sb, a->un.sun_path);
		else
			hl_sandbox_port(sb, hl_addr_port(a));
	}
}

int hl_confine_server(const struct hl_config *c, const struct hl_setup *setup, const struct hl_listeners *l,
		const struct hl_log *log, bool *out_on, struct hl_err *err)
{
	struct hl_sandbox sb;
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	const char *ca_file = hl_tls_ca_file(c->engine.ca_file);
	if (access(ca_file, R_OK))
		return hl_err_set(err, HL_EINVAL, "tls.ca_file: %s: %s", ca_file, strerror(errno));
	if (hl_durable_mkdir(c->engine.data_dir))
		return hl_err_errno(err, errno, "store %s: cannot make the directory", c->engine.data_dir);
	hl_sandbox_begin(&sb, c->sandbox != HL_SANDBOX_OFF);
	open_store_files(&sb, c);
	if (credentials)
		hl_sandbox_read(&sb, credentials);
	if (setup->config_file)
		hl_sandbox_reread(&sb, setup->config_file);
	hl_sandbox_reread(&sb, ca_file);
	hl_sandbox_reread(&sb, "/etc/resolv.conf");
	hl_sandbox_reread(&sb, "/etc/hosts");
	open_listeners(&sb, l);
	int rc = enter(&sb, c, log, err);
	*out_on = rc == HL_OK && sb.abi > 0 && !sb.failed;
	return rc;
}

int hl_confine_command(const struct hl_config *c, const char *made, struct hl_err *err)
{
	struct hl_sandbox sb;
	int rc = need_landlock(c, err);
	if (rc)
		return rc;
	hl_sandbox_begin(&sb, c->sandbox != HL_SANDBOX_OFF);
	open_store_files(&sb, c);
	if (made)
		hl_sandbox_make(&sb, made);
	return enter(&sb, c, NULL, err);
}
