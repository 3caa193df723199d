/* The key file holds 64 hexadecimal digits and a newline, 0600. It is made beside its final name, synced, renamed, and
 * the directory synced, so that a crash leaves either no key or a whole one. A file that others may read is refused:
 * a secret that was readable is no secret, and the operator should know before the store fills up.
 *
 * Sealing makes a fresh random nonce per value; 2^32 values under one key keep the chance of a repeated nonce below
 * 2^-32, far more than a store of webhook secrets and 48 hours of answers holds. Opening authenticates kind and number,
 * so that a row copied over another row's does not open. */
#include "store/seal.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/str.h"
#include "store/durable.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NONCE_LEN = 12, TAG_LEN = 16, AAD_LEN = 9, KEY_TEXT_LEN = 2 * HL_SEAL_KEY_LEN };

static void key_name(struct hl_seal_key *k)
{
	static const char label[] = "hookline sealing key id";
	uint8_t text[sizeof(label) + HL_SEAL_KEY_LEN], sum[SHA256_DIGEST_LENGTH];
	memcpy(text, label, sizeof(label));
	memcpy(text + sizeof(label), k->bytes, HL_SEAL_KEY_LEN);
	SHA256(text, sizeof(text), sum);
	memcpy(k->id, sum, sizeof(k->id));
	OPENSSL_cleanse(text, sizeof(text));
}

static int key_read(int fd, const char *file, struct hl_seal_key *out, struct hl_err *err)
{
	struct stat st;
	char text[KEY_TEXT_LEN + 2];
	if (fstat(fd, &st))
		return hl_err_errno(err, errno, "sealing key %s", file);
	if (!S_ISREG(st.st_mode))
		return hl_err_set(err, HL_EKEY, "sealing key %s is not a regular file", file);
	/* what belongs to root may be shown to our group: a service's secret is handed to it so, or by an access list, which
	 * shows in the group's bits */
	mode_t others = st.st_uid == 0 && geteuid() != 0 ? 037 : 077;
	if (st.st_mode & others)
		return hl_err_set(err, HL_EKEY, "sealing key %s can be read by others (mode %03o); chmod 600 it",
				file, st.st_mode & 0777);
	ssize_t n = read(fd, text, sizeof(text));
	if (n < 0)
		return hl_err_errno(err, errno, "sealing key %s", file);
	struct hl_str digits = hl_str_trim(hl_str_make(text, (size_t)n));
	bool good = digits.len == KEY_TEXT_LEN && hl_hex_decode(digits, out->bytes, HL_SEAL_KEY_LEN);
	OPENSSL_cleanse(text, sizeof(text));
	if (!good)
		return hl_err_set(err, HL_EKEY, "sealing key %s is not a key: 64 hexadecimal digits expected", file);
	key_name(out);
	return 0;
}

int hl_seal_key_load(const char *file, struct hl_seal_key *out, struct hl_err *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return hl_err_set(err, HL_EKEY, "sealing key %s is missing", file);
	if (fd < 0)
		return hl_err_errno(err, errno, "sealing key %s", file);
	int rc = key_read(fd, file, out, err);
	close(fd);
	return rc;
}

static int write_synced(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd);
}

int hl_seal_key_make(const char *file, const struct hl_env *env, struct hl_seal_key *out, struct hl_err *err)
{
	char tmp[PATH_MAX], text[KEY_TEXT_LEN + 1];
	if (snprintf(tmp, sizeof(tmp), "%s.new", file) >= (int)sizeof(tmp))
		return hl_err_set(err, HL_EINVAL, "sealing key: the path is too long");
	if (access(file, F_OK) == 0)
		return hl_err_set(err, HL_EEXIST, "sealing key %s is there already", file);
	struct hl_seal_key k;
	hl_env_random(env, k.bytes, sizeof(k.bytes));
	key_name(&k);
	hl_hex_encode(k.bytes, sizeof(k.bytes), text);
	text[KEY_TEXT_LEN] = '\n';
	unlink(tmp); /* of a start that crashed here */
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return hl_err_errno(err, errno, "sealing key %s", tmp);
	int bad = write_synced(fd, text, sizeof(text));
	OPENSSL_cleanse(text, sizeof(text));
	int failed = bad ? errno : 0;
	close(fd);
	if (!failed && (rename(tmp, file) || hl_durable_name(file)))
		failed = errno;
	if (failed) {
		unlink(tmp);
		return hl_err_errno(err, failed, "sealing key %s", file);
	}
	*out = k;
	hl_seal_key_wipe(&k);
	return 0;
}

void hl_seal_key_wipe(struct hl_seal_key *k)
{
	OPENSSL_cleanse(k, sizeof(*k));
}

static void aad_fill(uint8_t aad[AAD_LEN], enum hl_seal_kind kind, uint64_t number)
{
	aad[0] = (uint8_t)kind;
	hl_be64_put(aad + 1, number);
}

static int seal_into(EVP_CIPHER_CTX *ctx, const struct hl_seal_key *k, const uint8_t *nonce, const uint8_t *aad,
		struct hl_str plain, uint8_t *out, uint8_t *tag)
{
	int n;
	return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, k->bytes, nonce) == 1 &&
			EVP_EncryptUpdate(ctx, NULL, &n, aad, AAD_LEN) == 1 &&
			(plain.len == 0 ||
			 EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)plain.ptr, (int)plain.len) == 1) &&
			EVP_EncryptFinal_ex(ctx, out + plain.len, &n) == 1 &&
			EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) == 1 ? 0 : HL_EIO;
}

int hl_seal(const struct hl_seal_key *k, const struct hl_env *env, enum hl_seal_kind kind, uint64_t number,
		struct hl_str plain, struct hl_buf *out)
{
	uint8_t aad[AAD_LEN];
	if (plain.len > INT_MAX / 2)
		return HL_ETOOBIG;
	if (!hl_buf_reserve(out, plain.len + HL_SEAL_OVERHEAD))
		return HL_ENOMEM;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return HL_ENOMEM;
	aad_fill(aad, kind, number);
	uint8_t *at = (uint8_t *)out->data + out->len;
	hl_env_random(env, at, NONCE_LEN);
	int rc = seal_into(ctx, k, at, aad, plain, at + NONCE_LEN, at + NONCE_LEN + plain.len);
	EVP_CIPHER_CTX_free(ctx);
	if (!rc)
		out->len += plain.len + HL_SEAL_OVERHEAD;
	out->data[out->len] = '\0';
	return rc;
}

static int unseal_into(EVP_CIPHER_CTX *ctx, const struct hl_seal_key *k, const uint8_t *aad, struct hl_str sealed,
		uint8_t *out)
{
	const uint8_t *at = (const uint8_t *)sealed.ptr;
	size_t len = sealed.len - HL_SEAL_OVERHEAD;
	uint8_t tag[TAG_LEN];
	int n;
	memcpy(tag, at + NONCE_LEN + len, TAG_LEN);
	return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, k->bytes, at) == 1 &&
			EVP_DecryptUpdate(ctx, NULL, &n, aad, AAD_LEN) == 1 &&
			(len == 0 || EVP_DecryptUpdate(ctx, out, &n, at + NONCE_LEN, (int)len) == 1) &&
			EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1 &&
			EVP_DecryptFinal_ex(ctx, out + len, &n) == 1 ? 0 : HL_EKEY;
}

int hl_unseal(const struct hl_seal_key *k, enum hl_seal_kind kind, uint64_t number, struct hl_str sealed,
		struct hl_buf *out)
{
	uint8_t aad[AAD_LEN];
	if (sealed.len < HL_SEAL_OVERHEAD || sealed.len > INT_MAX / 2)
		return HL_EKEY;
	size_t len = sealed.len - HL_SEAL_OVERHEAD;
	if (!hl_buf_reserve(out, len + 1))
		return HL_ENOMEM;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return HL_ENOMEM;
	aad_fill(aad, kind, number);
	int rc = unseal_into(ctx, k, aad, sealed, (uint8_t *)out->data + out->len);
	EVP_CIPHER_CTX_free(ctx);
	if (rc)
		OPENSSL_cleanse(out->data + out->len, len);
	else
		out->len += len;
	out->data[out->len] = '\0';
	return rc;
}
