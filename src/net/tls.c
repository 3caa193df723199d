/* TLS client sessions over memory.
 *
 * A session talks to OpenSSL through a BIO of our own: reading takes bytes from the slice lent by hl_tls_feed and
 * says "try again" when it is used up, writing appends to the caller's buffer. So nothing is copied twice and nothing
 * blocks.
 *
 * Resumption: OpenSSL hands over each new session (TLS 1.3: one per ticket, after the handshake). It is kept under
 * the key host + pinned address + port, newest first, at most four per key; the next connection with the same key
 * takes the newest one away, since a ticket is to be used once. A TLS 1.2 session may be used again, so it is put
 * back after the handshake. A connection dropped without close_notify does not spoil its session: we mark it shut
 * down before freeing it. Reload makes a new SSL_CTX and forgets all sessions; those still to come from connections
 * of the old one are not kept.
 *
 * A failure is translated at once into a sentence for people; afterwards the session is of no use but to send its
 * alert. */
#include "net/tls.h"

#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	HOST_MAX = 253,
	KEY_MAX = HOST_MAX + 1 + HL_ADDR_TEXT_CAP,
	VERIFY_DEPTH = 10,
	SECURITY_LEVEL = 2,       /* no SHA-1, no RSA below 2048 bits, whatever OpenSSL's build and configuration file say */
};

static const char ca_file_default[] = "/etc/ssl/certs/ca-certificates.crt";

struct hl_tls_ctx {
	SSL_CTX *ssl;
	BIO_METHOD *bio;
	char *ca_file;            /* as configured; NULL = look it up at each load */
	struct hl_map_str keys;   /* key → struct shelf */
	struct hl_list lru;       /* shelf.lru, most recently filled first */
	size_t n_sessions;
};

/* The kept sessions of one key, newest last. */
struct shelf {
	struct hl_list lru;
	SSL_SESSION *sessions[HL_TLS_SESSIONS_PER_KEY_MAX];
	unsigned n;
	size_t len;
	char key[];
};

struct hl_tls {
	struct hl_tls_ctx *ctx;
	SSL *ssl;
	struct hl_str in;         /* lent and not yet used */
	struct hl_buf *out;       /* set during a call */
	const char *version;      /* "" until the handshake ended */
	char error[160];
	size_t key_len;
	char key[KEY_MAX];
};

/* ---- the BIO ---------------------------------------------------------------------------------------------------- */

static int bio_read(BIO *bio, char *dst, size_t cap, size_t *out_n)
{
	struct hl_tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (t->in.len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	size_t n = HL_MIN(cap, t->in.len);
	memcpy(dst, t->in.ptr, n);
	t->in.ptr += n;
	t->in.len -= n;
	*out_n = n;
	return 1;
}

static int bio_write(BIO *bio, const char *src, size_t n, size_t *out_n)
{
	struct hl_tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (!t->out)
		return -1;
	hl_buf_add(t->out, src, n);
	if (!hl_buf_ok(t->out))
		return -1;
	*out_n = n;
	return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long larg, void *parg)
{
	(void)bio, (void)larg, (void)parg;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hookline");
	if (m && BIO_meth_set_read_ex(m, bio_read) && BIO_meth_set_write_ex(m, bio_write)
			&& BIO_meth_set_ctrl(m, bio_ctrl))
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* ---- kept sessions ---------------------------------------------------------------------------------------------- */

static void shelf_free(struct hl_tls_ctx *ctx, struct shelf *s)
{
	hl_map_str_del(&ctx->keys, hl_str_make(s->key, s->len));
	hl_list_remove(&s->lru);
	for (unsigned i = 0; i < s->n; i++)
		SSL_SESSION_free(s->sessions[i]);
	ctx->n_sessions -= s->n;
	free(s);
}

static void sessions_clear(struct hl_tls_ctx *ctx)
{
	while (!hl_list_empty(&ctx->lru))
		shelf_free(ctx, HL_LIST_ENTRY(ctx->lru.next, struct shelf, lru));
}

static struct shelf *shelf_new(struct hl_tls_ctx *ctx, struct hl_str key)
{
	struct shelf *s = calloc(1, sizeof *s + key.len);
	if (!s)
		return NULL;
	s->len = key.len;
	memcpy(s->key, key.ptr, key.len);
	if (hl_map_str_put(&ctx->keys, hl_str_make(s->key, s->len), s)) {
		free(s);
		return NULL;
	}
	hl_list_push_front(&ctx->lru, &s->lru);
	return s;
}

/* Keeps the session (whose reference becomes ours); false when it cannot be kept. */
static bool session_give(struct hl_tls_ctx *ctx, struct hl_str key, SSL_SESSION *session)
{
	struct shelf *s = hl_map_str_get(&ctx->keys, key);
	if (!s)
		s = shelf_new(ctx, key);
	if (!s)
		return false;
	hl_list_remove(&s->lru);
	hl_list_push_front(&ctx->lru, &s->lru);
	if (s->n == HL_TLS_SESSIONS_PER_KEY_MAX) {
		SSL_SESSION_free(s->sessions[0]);
		memmove(&s->sessions[0], &s->sessions[1], (s->n - 1) * sizeof s->sessions[0]);
		s->n--;
		ctx->n_sessions--;
	}
	s->sessions[s->n++] = session;
	if (++ctx->n_sessions > HL_TLS_SESSIONS_MAX)
		shelf_free(ctx, HL_LIST_ENTRY(ctx->lru.prev, struct shelf, lru));
	return true;
}

/* The newest session of a key, no longer kept; NULL when there is none. */
static SSL_SESSION *session_take(struct hl_tls_ctx *ctx, struct hl_str key)
{
	struct shelf *s = hl_map_str_get(&ctx->keys, key);
	if (!s)
		return NULL;
	SSL_SESSION *session = s->sessions[--s->n];
	ctx->n_sessions--;
	if (s->n == 0)
		shelf_free(ctx, s);
	return session;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct hl_tls *t = SSL_get_app_data(ssl);
	bool current = SSL_get_SSL_CTX(ssl) == t->ctx->ssl;
	return current && SSL_SESSION_is_resumable(session)
			&& session_give(t->ctx, hl_str_make(t->key, t->key_len), session);
}

/* ---- the context ------------------------------------------------------------------------------------------------ */

const char *hl_tls_ca_file(const char *configured)
{
	const char *file = configured && *configured ? configured : getenv("SSL_CERT_FILE");
	return file && *file ? file : ca_file_default;
}

static int load_authorities(SSL_CTX *ssl, const char *configured, struct hl_err *err)
{
	const char *file = hl_tls_ca_file(configured);
	/* not access(): a sandbox lets that pass and refuses the opening */
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return hl_err_errno(err, errno, "CA file %s", file);
	close(fd);
	ERR_clear_error();
	int ok = SSL_CTX_load_verify_file(ssl, file);
	ERR_clear_error();
	return ok == 1 ? HL_OK : hl_err_set(err, HL_EINVAL, "CA file %s holds no certificates in PEM form", file);
}

static int ssl_ctx_new(const char *ca_file, SSL_CTX **out, struct hl_err *err)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());
	/* SSL_CTX_set_alpn_protos returns 0 for success. */
	if (!ssl || !SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION)
			|| SSL_CTX_set_alpn_protos(ssl, alpn, sizeof alpn - 1)) {
		SSL_CTX_free(ssl);
		ERR_clear_error();
		return hl_err_set(err, HL_ENOMEM, "OpenSSL cannot make a TLS context");
	}
	SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_verify_depth(ssl, VERIFY_DEPTH);
	SSL_CTX_set_session_cache_mode(ssl,
			SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR);
	SSL_CTX_sess_set_new_cb(ssl, on_new_session);
	/* Never set_default_verify_paths: it makes OpenSSL scan a directory at every handshake. */
	int rc = load_authorities(ssl, ca_file, err);
	if (rc)
		SSL_CTX_free(ssl);
	else
		*out = ssl;
	return rc;
}

int hl_tls_ctx_create(struct hl_tls_ctx **out, const char *ca_file, struct hl_err *err)
{
	struct hl_tls_ctx *ctx = calloc(1, sizeof *ctx);
	if (!ctx)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	bool given = ca_file && *ca_file;
	hl_list_init(&ctx->lru);
	hl_map_str_init(&ctx->keys);
	ctx->bio = bio_method_new();
	ctx->ca_file = given ? strdup(ca_file) : NULL;
	int rc = !ctx->bio || (given && !ctx->ca_file) ? hl_err_set(err, HL_ENOMEM, "out of memory") : HL_OK;
	if (!rc)
		rc = ssl_ctx_new(ctx->ca_file, &ctx->ssl, err);
	if (rc)
		hl_tls_ctx_destroy(ctx);
	else
		*out = ctx;
	return rc;
}

void hl_tls_ctx_destroy(struct hl_tls_ctx *ctx)
{
	if (!ctx)
		return;
	sessions_clear(ctx);
	hl_map_str_fini(&ctx->keys);
	SSL_CTX_free(ctx->ssl);
	BIO_meth_free(ctx->bio);
	free(ctx->ca_file);
	free(ctx);
}

int hl_tls_ctx_reload(struct hl_tls_ctx *ctx, struct hl_err *err)
{
	SSL_CTX *fresh;
	int rc = ssl_ctx_new(ctx->ca_file, &fresh, err);
	if (rc)
		return rc;
	SSL_CTX_free(ctx->ssl); /* sessions under way hold their own reference */
	ctx->ssl = fresh;
	sessions_clear(ctx);
	return HL_OK;
}

size_t hl_tls_ctx_sessions(const struct hl_tls_ctx *ctx)
{
	return ctx->n_sessions;
}

/* ---- one session ------------------------------------------------------------------------------------------------ */

/* What the certificate must be for, and what SNI says: never a name for an address. */
static bool set_peer(SSL *ssl, const char *name, struct hl_str host)
{
	struct hl_addr ip;
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	if (hl_addr_parse_ip(host, 0, &ip)) {
		size_t len;
		const uint8_t *bytes = hl_addr_bytes(&ip, &len);
		return X509_VERIFY_PARAM_set1_ip(param, bytes, len) == 1;
	}
	/* RFC 9525 §6.3: a wildcard stands for a whole label, and the subject's common name says nothing. */
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool ssl_open(struct hl_tls *t, const char *name, struct hl_str host)
{
	BIO *bio;
	t->ssl = SSL_new(t->ctx->ssl);
	if (!t->ssl || !(bio = BIO_new(t->ctx->bio)))
		return false;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	SSL_set_connect_state(t->ssl);
	if (!set_peer(t->ssl, name, host))
		return false;
	SSL_SESSION *session = session_take(t->ctx, hl_str_make(t->key, t->key_len));
	if (session) {
		(void)SSL_set_session(t->ssl, session); /* refused: a full handshake then */
		SSL_SESSION_free(session);
	}
	return true;
}

int hl_tls_create(struct hl_tls **out, struct hl_tls_ctx *ctx, struct hl_str host, const struct hl_addr *addr)
{
	char name[HOST_MAX + 1], pinned[HL_ADDR_TEXT_CAP];
	if (host.len > 0 && host.ptr[host.len - 1] == '.')
		host.len--;
	if (host.len == 0 || host.len > HOST_MAX || memchr(host.ptr, 0, host.len))
		return HL_EINVAL;
	for (size_t i = 0; i < host.len; i++)
		name[i] = (char)(host.ptr[i] >= 'A' && host.ptr[i] <= 'Z' ? host.ptr[i] + 32 : host.ptr[i]);
	name[host.len] = 0;
	hl_addr_format(addr, pinned);
	struct hl_tls *t = calloc(1, sizeof *t);
	if (!t)
		return HL_ENOMEM;
	t->ctx = ctx;
	t->version = "";
	t->key_len = (size_t)snprintf(t->key, sizeof t->key, "%s %s", name, pinned);
	ERR_clear_error();
	if (!ssl_open(t, name, host)) {
		ERR_clear_error();
		hl_tls_destroy(t);
		return HL_ENOMEM;
	}
	*out = t;
	return HL_OK;
}

void hl_tls_destroy(struct hl_tls *t)
{
	if (!t)
		return;
	/* Else OpenSSL would take its sessions for damaged. */
	if (t->ssl && *t->version)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	free(t);
}

void hl_tls_feed(struct hl_tls *t, struct hl_str in)
{
	HL_CHECK(t->in.len == 0);
	t->in = in;
}

/* The sentence for what OpenSSL just complained about. */
static const char *explain(const SSL *ssl)
{
	unsigned long e = ERR_peek_error();
	long verify = SSL_get_verify_result(ssl);
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;
	const char *text = ERR_reason_error_string(e);
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify == X509_V_ERR_HOSTNAME_MISMATCH)
		return "certificate is for another host name";
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify == X509_V_ERR_IP_ADDRESS_MISMATCH)
		return "certificate is for another address";
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK)
		return X509_verify_cert_error_string(verify);
	switch (reason) {
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_UNSUPPORTED_PROTOCOL:
		return "the peer offers neither TLS 1.2 nor TLS 1.3";
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_BAD_PROTOCOL_VERSION_NUMBER:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
		return "the peer does not speak TLS on this port";
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
		return "the peer refused the handshake (no cipher or parameter in common)";
	case SSL_R_TLSV1_UNRECOGNIZED_NAME:
		return "the peer does not know this host name";
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		return "the peer asks for a client certificate";
	default:
		return text ? text : "the peer broke the TLS protocol";
	}
}

/* What a SSL_* call that did not succeed means. */
static int outcome(struct hl_tls *t, int ret)
{
	int e = SSL_get_error(t->ssl, ret);
	if (e == SSL_ERROR_WANT_READ)
		return HL_EAGAIN;
	if (e == SSL_ERROR_ZERO_RETURN)
		return HL_ECLOSED;
	if (t->out && !hl_buf_ok(t->out))
		snprintf(t->error, sizeof t->error, "out of memory");
	else
		snprintf(t->error, sizeof t->error, "%s", explain(t->ssl));
	ERR_clear_error();
	t->in.len = 0;
	return HL_ETLS;
}

int hl_tls_handshake(struct hl_tls *t, struct hl_buf *out)
{
	t->out = out;
	ERR_clear_error();
	int ret = SSL_do_handshake(t->ssl);
	int rc = ret == 1 ? HL_OK : outcome(t, ret);
	t->out = NULL;
	if (rc == HL_ECLOSED) { /* close_notify before the handshake ended */
		snprintf(t->error, sizeof t->error, "the peer ended the handshake");
		rc = HL_ETLS;
	}
	if (rc)
		return rc;
	t->version = SSL_get_version(t->ssl);
	/* TLS 1.2 sessions may be used again, and the server need not send a new one. */
	if (SSL_session_reused(t->ssl) && SSL_version(t->ssl) < TLS1_3_VERSION) {
		SSL_SESSION *session = SSL_get1_session(t->ssl);
		if (session && !on_new_session(t->ssl, session))
			SSL_SESSION_free(session);
	}
	return HL_OK;
}

int hl_tls_read(struct hl_tls *t, struct hl_buf *out, char *plain, size_t cap, size_t *out_n)
{
	t->out = out;
	ERR_clear_error();
	int n = SSL_read(t->ssl, plain, (int)HL_MIN(cap, (size_t)INT_MAX));
	int rc = n > 0 ? HL_OK : outcome(t, n);
	t->out = NULL;
	if (!rc)
		*out_n = (size_t)n;
	return rc;
}

int hl_tls_write(struct hl_tls *t, struct hl_buf *out, struct hl_str plain)
{
	size_t n;
	if (plain.len == 0)
		return HL_OK;
	t->out = out;
	ERR_clear_error();
	int ret = SSL_write_ex(t->ssl, plain.ptr, plain.len, &n);
	int rc = ret == 1 ? HL_OK : outcome(t, ret);
	bool no_memory = !hl_buf_ok(out);
	t->out = NULL;
	if (rc)
		return no_memory ? HL_ENOMEM : HL_ETLS;
	HL_CHECK(n == plain.len);
	return HL_OK;
}

void hl_tls_shutdown(struct hl_tls *t, struct hl_buf *out)
{
	if (!*t->version || *t->error)
		return;
	t->out = out;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
	t->out = NULL;
}

const char *hl_tls_error(const struct hl_tls *t)
{
	return t->error;
}

const char *hl_tls_version(const struct hl_tls *t)
{
	return t->version;
}

bool hl_tls_resumed(const struct hl_tls *t)
{
	return *t->version && SSL_session_reused(t->ssl);
}
