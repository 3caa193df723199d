/* TLS client sessions over memory: bytes in, bytes out, no sockets. The only file that knows OpenSSL's SSL.
 *
 * A context holds the trusted authorities, the policy (TLS 1.2 or newer, peer verified, ALPN "http/1.1", no
 * renegotiation) and the sessions kept for resumption. One per process; it must outlive its sessions.
 *
 *   hl_tls_create(&t, ctx, …)          t->… nothing public
 *   hl_tls_handshake(t, out)           appends the ClientHello to out, HL_EAGAIN
 *   hl_tls_feed(t, bytes)              lends received bytes until the next calls have used them up
 *   hl_tls_handshake(t, out) …         HL_OK when done
 *   hl_tls_read(t, out, …) until HL_EAGAIN; hl_tls_write(t, out, …) */
#ifndef HL_NET_TLS_H
#define HL_NET_TLS_H

#include "base/buf.h"
#include "net/addr.h"

struct hl_tls_ctx;
struct hl_tls;

enum {
	HL_TLS_SESSIONS_PER_KEY_MAX = 4,
	HL_TLS_SESSIONS_MAX = 4096,
};

/* The file that is read for `configured`: itself, or where NULL or "" leads to. */
const char *hl_tls_ca_file(const char *configured);
/* ca_file: PEM bundle; NULL or "" = $SSL_CERT_FILE, else /etc/ssl/certs/ca-certificates.crt. HL_ENOTFOUND, HL_EPERM,
 * HL_EINVAL (not a PEM bundle) with the file named; HL_ENOMEM. Loading takes some 20 ms. */
HL_MUST_CHECK int hl_tls_ctx_create(struct hl_tls_ctx **out, const char *ca_file, struct hl_err *err);
void hl_tls_ctx_destroy(struct hl_tls_ctx *ctx);
/* Reads the CA file again and forgets all kept sessions (a resumed handshake checks no certificate). Open sessions go
 * on under the old authorities. On error all stays as it was. */
HL_MUST_CHECK int hl_tls_ctx_reload(struct hl_tls_ctx *ctx, struct hl_err *err);
size_t hl_tls_ctx_sessions(const struct hl_tls_ctx *ctx); /* kept now */

/* A session for `host` (a name: SNI and certificate name; an IP literal: certificate address, no SNI) at the pinned
 * address `addr`, whose port counts too. Tries to resume one made for exactly the same host, address and port.
 * HL_EINVAL (host not usable), HL_ENOMEM. */
HL_MUST_CHECK int hl_tls_create(struct hl_tls **out, struct hl_tls_ctx *ctx, struct hl_str host,
		const struct hl_addr *addr);
void hl_tls_destroy(struct hl_tls *t); /* NULL allowed */

/* Lends input; it must stay in place until hl_tls_handshake or hl_tls_read has returned HL_EAGAIN or worse. Earlier
 * input must have been used up. */
void hl_tls_feed(struct hl_tls *t, struct hl_str in);
/* HL_OK: done. HL_EAGAIN: send `out`, feed more. HL_ETLS: failed, hl_tls_error says why; send `out` (an alert) if you
 * can. */
HL_MUST_CHECK int hl_tls_handshake(struct hl_tls *t, struct hl_buf *out);
/* HL_OK: *out_n ≥ 1 bytes of plain text. HL_EAGAIN: all input used. HL_ECLOSED: the peer said close_notify. HL_ETLS.
 * */
HL_MUST_CHECK int hl_tls_read(struct hl_tls *t, struct hl_buf *out, char *plain, size_t cap, size_t *out_n);
/* Encrypts all of it. HL_ETLS or HL_ENOMEM: the session is unusable. */
HL_MUST_CHECK int hl_tls_write(struct hl_tls *t, struct hl_buf *out, struct hl_str plain);
/* Appends our close_notify; keeps the session resumable. */
void hl_tls_shutdown(struct hl_tls *t, struct hl_buf *out);

const char *hl_tls_error(const struct hl_tls *t);    /* for people: "certificate has expired"; "" before a failure */
const char *hl_tls_version(const struct hl_tls *t);  /* "TLSv1.3"; static; "" before the handshake ended */
bool hl_tls_resumed(const struct hl_tls *t);

#endif
