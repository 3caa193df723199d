/* Certificates and TLS servers for tests, made on the spot with OpenSSL: one authority, and leaves as good or bad as
 * asked for. P-256 keys, so that making them costs nothing. */
#ifndef NET_TLS_KIT_H
#define NET_TLS_KIT_H

#include "net_test.h"

#include "tmpdir.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <time.h>

struct tls_kit {
	struct tmpdir dir;
	char ca_file[TMPDIR_PATH_CAP];
	EVP_PKEY *key;              /* of the authority, and of everybody */
	X509 *ca;
	long serial;
};

struct tls_leaf {
	const char *san;            /* "DNS:a.example,IP:127.0.0.1" */
	long from_s, until_s;       /* relative to now; 0, 0 = an hour around now */
	bool self_signed;
	int max_version;            /* 0 = newest */
	bool no_tickets;
};

static inline void tls_ok(bool ok, const char *what)
{
	if (!ok) {
		ERR_print_errors_fp(stderr);
		fail_msg("OpenSSL: %s", what);
	}
}

static inline void tls_add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	tls_ok(ext && X509_add_ext(cert, ext, -1), value);
	X509_EXTENSION_free(ext);
}

static inline X509 *tls_make_cert(struct tls_kit *kit, const char *cn, X509 *issuer, const struct tls_leaf *leaf)
{
	X509 *cert = X509_new();
	long from_s = leaf && leaf->from_s ? leaf->from_s : -3600, until_s = leaf && leaf->until_s ? leaf->until_s : 3600;
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++kit->serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
	X509_set_pubkey(cert, kit->key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
	if (leaf)
		tls_add_ext(cert, issuer ? issuer : cert, NID_subject_alt_name, leaf->san);
	else
		tls_add_ext(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
	tls_ok(X509_sign(cert, kit->key, EVP_sha256()) > 0, "sign");
	return cert;
}

static inline void tls_kit_make(struct tls_kit *kit)
{
	memset(kit, 0, sizeof *kit);
	tmpdir_make(&kit->dir);
	kit->key = EVP_EC_gen("P-256");
	tls_ok(kit->key != NULL, "key");
	kit->ca = tls_make_cert(kit, "Test authority", NULL, NULL);
	tmpdir_path(&kit->dir, "ca.pem", kit->ca_file);
	FILE *f = fopen(kit->ca_file, "w");
	tls_ok(f && PEM_write_X509(f, kit->ca), "write ca.pem");
	fclose(f);
}

static inline void tls_kit_drop(struct tls_kit *kit)
{
	X509_free(kit->ca);
	EVP_PKEY_free(kit->key);
	tmpdir_remove(&kit->dir);
}

static inline int tls_kit_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		unsigned in_len,
		void *arg)
{
	(void)ssl, (void)arg;
	/* The client must offer exactly this. */
	if (in_len != 9 || memcmp(in, "\x08http/1.1", 9) != 0)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = in + 1;
	*out_len = 8;
	return SSL_TLSEXT_ERR_OK;
}

/* A server context with a certificate as described. */
static inline SSL_CTX *tls_kit_server(struct tls_kit *kit, const struct tls_leaf *leaf)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert = tls_make_cert(kit, "leaf.example", leaf->self_signed ? NULL : kit->ca, leaf);
	tls_ok(SSL_CTX_use_certificate(ctx, cert) && SSL_CTX_use_PrivateKey(ctx, kit->key), "server context");
	X509_free(cert);
	if (leaf->max_version) {
		SSL_CTX_set_security_level(ctx, 0);
		SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(ctx, leaf->max_version);
	}
	if (leaf->no_tickets)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_alpn_select_cb(ctx, tls_kit_alpn, NULL);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"test", 4);
	return ctx;
}

#endif
