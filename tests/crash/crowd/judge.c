/* Is this request right? Independent of the program's own code: bodies are built here from the event's number, signatures are
 * computed here with OpenSSL's HMAC.
 *
 *   event       was published, is of a type the webhook wants
 *   body        `standard`: byte for byte what it must be; messages for people: the same at every attempt
 *   webhook-id  the event's, at every attempt, at every webhook, and the one the publisher was told
 *   signature   by a secret that is the webhook's, and none older than the last rotation acknowledged before this life
 *
 * A rotation whose answer was lost leaves a secret nobody knows yet: what is signed with it is kept until the rotation was
 * repeated (with the same Idempotency-Key, so the same secret comes back), and verified then. */
#include "crowd.h"
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 50000 };

/* ---- secrets ---- */

static EVP_MAC_CTX *keyed(const void *key, size_t len)
{
	static EVP_MAC *hmac;
	static char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end() };
	if (!hmac)
		hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(hmac);
	if (!ctx || EVP_MAC_init(ctx, key, len, params) != 1)
		exit(1);
	return ctx;
}

bool secret_add(int h, int life, const char *text)
{
	struct hook *k = &hooks[h];
	unsigned char raw[256];
	size_t n = strlen(text);
	if (strncmp(text, "whsec_", 6) != 0 || n > 200)
		return false;
	int len = EVP_DecodeBlock(raw, (const unsigned char *)text + 6, (int)n - 6);
	for (size_t i = n; len > 0 && i > 0 && text[i - 1] == '='; i--)
		len--;
	struct secret *more = realloc(k->secrets, (k->n_secrets + 1) * sizeof(*more));
	if (len <= 0 || !more)
		return false;
	k->secrets = more;
	more[k->n_secrets++] = (struct secret){ .life = life, .raw = keyed(raw, (size_t)len), .text = keyed(text, n) };
	return true;
}

static void mac(EVP_MAC_CTX *ctx, const struct text *parts, size_t n, uint8_t out[MAC_LEN])
{
	size_t len;
	EVP_MAC_init(ctx, NULL, 0, NULL);
	for (size_t i = 0; i < n; i++) {
		EVP_MAC_update(ctx, (const unsigned char *)parts[i].ptr, parts[i].len);
		if (i + 1 < n)
			EVP_MAC_update(ctx, (const unsigned char *)".", 1);
	}
	EVP_MAC_final(ctx, out, &len, MAC_LEN);
}

/* Whether one of "v1,<base64> v1,<base64>" is that MAC. */
static bool listed(struct text list, const uint8_t m[MAC_LEN])
{
	char want[64] = "v1,";
	int n = 3 + EVP_EncodeBlock((unsigned char *)want + 3, m, MAC_LEN);
	return memmem(list.ptr, list.len, want, (size_t)n) != NULL;
}

static bool is_hex_of(struct text hex, const uint8_t m[MAC_LEN])
{
	char want[2 * MAC_LEN + 1];
	for (int i = 0; i < MAC_LEN; i++)
		sprintf(want + 2 * i, "%02x", m[i]);
	return hex.len == 2 * MAC_LEN && memcmp(hex.ptr, want, 2 * MAC_LEN) == 0;
}

/* The header the webhook's dialect adds. Their secrets are never rotated here, so there is one. */
static bool dialect_signed(const struct hook *k, const struct request *r)
{
	struct text parts[] = { r->dialect_timestamp, r->body };
	uint8_t m[MAC_LEN];
	switch (k->dialect) {
	case CS2CAP:
	case BITNOB:
		mac(k->secrets[0].text, parts, 2, m);
		return is_hex_of(r->dialect_signature, m) && (k->dialect == BITNOB || is_hex_of(r->dialect_signature2, m));
	case ABOUTYOU:
		mac(k->secrets[0].text, &r->body, 1, m);
		return is_hex_of(r->dialect_signature, m);
	default:
		return true;
	}
}

/* The oldest secret that may still sign in this life. */
static size_t oldest_valid(const struct hook *k, int life)
{
	size_t i = k->n_secrets;
	while (i > 1 && k->secrets[i - 1].life >= life)
		i--;
	return i - 1;
}

static bool verified(const struct hook *k, const struct request *r, size_t from)
{
	struct text parts[] = { r->id, r->timestamp, r->body };
	uint8_t m[MAC_LEN];
	for (size_t i = k->n_secrets; i > from; i--) {
		mac(k->secrets[i - 1].raw, parts, 3, m);
		if (listed(r->signature, m))
			return dialect_signed(k, r);
	}
	return false;
}

/* ---- what waits for its secret ---- */

struct kept {
	struct kept *next;
	struct request r;
	size_t from;
	char bytes[];
};
static struct kept *kept[HOOKS_MAX];

static struct text copy(char **at, struct text t)
{
	struct text c = { *at, t.len };
	if (t.len)
		memcpy(*at, t.ptr, t.len);
	*at += t.len;
	return c;
}

static void keep(int h, const struct request *r, size_t from)
{
	struct kept *x = n_unverified < KEPT_MAX ? malloc(sizeof(*x) + r->id.len + r->timestamp.len + r->signature.len + r->body.len) : NULL;
	if (!x) {
		fault("signature refused", "webhook %d: too many to keep", h);
		return;
	}
	char *at = x->bytes;
	x->from = from;
	x->r = (struct request){ .life = r->life, .id = copy(&at, r->id), .timestamp = copy(&at, r->timestamp),
		.signature = copy(&at, r->signature), .body = copy(&at, r->body) };
	x->next = kept[h];
	kept[h] = x;
	n_unverified++;
}

void judge_again(int h)
{
	for (struct kept **p = &kept[h]; *p;) {
		struct kept *x = *p;
		if (!verified(&hooks[h], &x->r, x->from)) {
			p = &x->next;
			continue;
		}
		*p = x->next;
		free(x);
		n_unverified--;
	}
}

static void judge_signature(int h, const struct request *r)
{
	const struct hook *k = &hooks[h];
	if (k->format == DISCORD || k->format == TELEGRAM)
		return;
	size_t from = oldest_valid(k, r->life);
	if (verified(k, r, from))
		return;
	if (k->dialect == HOOKLINE)
		keep(h, r, from);
	else
		fault("signature refused", "webhook %d (%s), id %.*s", h, dialect_names[k->dialect], (int)r->id.len, r->id.ptr);
}

/* ---- bodies ---- */

static int64_t number_after(struct text body, const char *lead)
{
	size_t n = strlen(lead);
	const char *at = memmem(body.ptr, body.len, lead, n);
	if (!at || at + n >= body.ptr + body.len || at[n] < '0' || at[n] > '9')
		return NOT_OURS;
	int64_t v = 0;
	for (at += n; at < body.ptr + body.len && *at >= '0' && *at <= '9' && v < UINT32_MAX; at++)
		v = v * 10 + *at - '0';
	return v;
}

static int64_t number_of(const struct hook *k, struct text body)
{
	int64_t n;
	switch (k->format) {
	case DISCORD:
		n = number_after(body, "\"name\":\"n\",\"value\":\"");
		return n >= 0 ? n : number_after(body, "\"name\":\"N\",\"value\":\"");
	case TELEGRAM:
		return number_after(body, "\\nn: ");
	default:
		return number_after(body, k->dialect == ABOUTYOU ? "\"message\":{\"n\":" : "\"data\":{\"n\":");
	}
}

static bool at(struct text body, size_t *pos, const char *want, size_t n)
{
	if (*pos + n > body.len || memcmp(body.ptr + *pos, want, n) != 0)
		return false;
	*pos += n;
	return true;
}

static bool at_text(struct text body, size_t *pos, const char *want)
{
	return at(body, pos, want, strlen(want));
}

/* `standard`, byte for byte; between head and data only a time of 24 characters may stand. */
static bool body_right(const struct hook *k, struct text body, struct text id, uint32_t n)
{
	static char data[DATA_MAX];
	char head[256], tail[64] = "}";
	size_t pos = 0, len = data_of(n, data);
	if (k->dialect == ABOUTYOU) {
		snprintf(head, sizeof(head), "\",\"message\":");
		snprintf(tail, sizeof(tail), ",\"subscription_id\":%s}", k->number);
		const char *message = memmem(body.ptr, body.len, head, strlen(head));
		pos = message ? (size_t)(message - body.ptr) : body.len;
		return at_text(body, &pos, head) && at(body, &pos, data, len) && at_text(body, &pos, tail) && pos == body.len;
	}
	snprintf(head, sizeof(head), "{\"id\":\"%.*s\",%s\"type\":\"%s\",%s%s%s\"%s\":\"", (int)id.len, id.ptr,
			k->dialect == BITNOB ? "\"object\":\"event\"," : "", type_of(n),
			k->dialect == BITNOB ? "\"event\":\"" : k->dialect == CS2CAP ? "\"event_type\":\"" : "",
			k->dialect == HOOKLINE ? "" : type_of(n), k->dialect == HOOKLINE ? "" : "\",",
			k->dialect == HOOKLINE ? "timestamp" : "created_at");
	if (!at_text(body, &pos, head))
		return false;
	pos += 24;
	return at_text(body, &pos, "\",\"data\":") && at(body, &pos, data, len) && at_text(body, &pos, tail) && pos == body.len;
}

static uint32_t digest_of(struct text t)
{
	uint64_t h = t.len;
	size_t i = 0;
	for (; i + 8 <= t.len; i += 8) {
		uint64_t w;
		memcpy(&w, t.ptr + i, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	for (; i < t.len; i++)
		h = (h ^ (unsigned char)t.ptr[i]) * 1099511628211u;
	return (uint32_t)(h ^ h >> 32) | 1;
}

static int64_t judge_alert(int h, const struct request *r)
{
	const char *id = memmem(r->body.ptr, r->body.len, "\"alert_id\":\"", 12);
	if (!id || (size_t)(id - r->body.ptr) + 12 + ID_LEN > r->body.len || r->id.len != ID_LEN) {
		fault("unexpected event", "webhook %d: %.*s", h, (int)(r->body.len < 200 ? r->body.len : 200), r->body.ptr);
		return NOT_OURS;
	}
	judge_signature(h, r);
	return AN_ALERT;
}

static void judge_id(int h, const struct request *r, uint32_t n)
{
	struct event *e = &events[n];
	if (r->id.len != ID_LEN)
		fault("no webhook-id", "webhook %d, event %u", h, n);
	else if (!e->id[0])
		memcpy(e->id, r->id.ptr, ID_LEN);
	else if (memcmp(e->id, r->id.ptr, ID_LEN) != 0)
		fault("webhook-id changed", "webhook %d, event %u: %.36s, now %.36s", h, n, e->id, r->id.ptr);
}

int64_t judge(int h, const struct request *r)
{
	struct hook *k = &hooks[h];
	k->requests++;
	if (k->classes == 0)
		return judge_alert(h, r);
	int64_t number = number_of(k, r->body);
	if (number < 0 || number >= n_events || !(k->classes & 1u << class_of((uint32_t)number))) {
		fault("unexpected event", "webhook %d: %.*s", h, (int)(r->body.len < 200 ? r->body.len : 200), r->body.ptr);
		return NOT_OURS;
	}
	uint32_t n = (uint32_t)number, digest = digest_of(r->body);
	struct mark *m = &k->marks[n];
	if (m->digest && m->digest != digest)
		fault("the body changed between attempts", "webhook %d, event %u", h, n);
	m->digest = digest;
	if (m->seen < UINT8_MAX)
		m->seen++;
	bool exact = (k->format == STANDARD || k->format == GOOGLE_SHEETS) && k->dialect != STELLARSTACK;
	if (exact)
		judge_id(h, r, n);
	if (exact && !body_right(k, r->body, r->id, n))
		fault("the body is not byte for byte", "webhook %d, event %u: %.*s", h, n, (int)(r->body.len < 300 ? r->body.len : 300),
				r->body.ptr);
	judge_signature(h, r);
	return number;
}
