/* `hookline key` by way of a running server: the native API over its control socket. */
#ifndef HL_MAIN_KEY_ASK_H
#define HL_MAIN_KEY_ASK_H

#include "base/buf.h"
#include "service/keys.h"

/* What was asked for on the command line. */
struct hl_key_order {
	struct hl_str account;       /* id, "" = default (create) or all (list) */
	enum hl_dialect dialect;
	unsigned scopes;
	struct hl_str name;
	hl_ms_t expires_at_ms;       /* 0 = never */
	struct hl_str key;           /* revoke: prefix or whole key */
};

/* One line of a listing; expires: RFC 3339, "" = never. */
void hl_key_line(struct hl_buf *out, struct hl_str prefix, struct hl_str last4, struct hl_str account, struct hl_str dialect,
		struct hl_str scopes, struct hl_str state, struct hl_str expires, struct hl_str name);

/* url: "unix:DIR/control.sock". HL_ENOTFOUND when no server listens there, so that the caller opens the store itself;
 * any other failure is final. */
HL_MUST_CHECK int hl_key_ask_create(const char *url, const struct hl_key_order *o, struct hl_buf *out_text, struct hl_err *err);
HL_MUST_CHECK int hl_key_ask_list(const char *url, const struct hl_key_order *o, struct hl_buf *out_lines, struct hl_err *err);
HL_MUST_CHECK int hl_key_ask_revoke(const char *url, const struct hl_key_order *o, struct hl_err *err);

#endif
