/* A receiver's side of Standard Webhooks: is this delivery from who holds the secret, and fresh? */
#ifndef HL_MAIN_VERIFY_H
#define HL_MAIN_VERIFY_H

#include <hookline/error.h>

enum { HL_VERIFY_TOLERANCE_S = 300, HL_VERIFY_SECRETS_MAX = 16 };

struct hl_verifier {
	struct {
		uint8_t raw[75];
		size_t len;
	} secrets[HL_VERIFY_SECRETS_MAX];
	size_t n;
};

/* "whsec_…"; HL_EINVAL, HL_ELIMIT. */
HL_MUST_CHECK int hl_verifier_add(struct hl_verifier *v, struct hl_str secret, struct hl_err *err);
/* The three headers' values and the body as received. HL_OK: one of the v1 signatures fits one of the secrets and the
 * timestamp is within five minutes of now_s. HL_EINVAL: a header is missing or malformed; HL_ETIMEDOUT: too old or from
 * the future; HL_EPERM: no signature fits. */
HL_MUST_CHECK int hl_verifier_check(const struct hl_verifier *v, struct hl_str id, struct hl_str timestamp,
		struct hl_str signatures, struct hl_str body, int64_t now_s, struct hl_err *err);

#endif
