/* Reading URLs of webhooks.
 *
 * The text is first judged byte by byte (nothing but visible ASCII, no backslash, no fragment), then cut into scheme,
 * authority and target, each judged by its own rules, and only then written down in its normal form: scheme and host in
 * lower case, IPv6 as inet_ntop writes it, no default port, no trailing dot, a path of at least "/". Path and query keep
 * their bytes (tokens live there); the few visible ones that RFC 3986 wants escaped are.
 *
 * Two readers of one URL must never see two hosts: whatever other readers take for a host in another spelling (127.1,
 * 0x7f.0.0.1, ::ffff:127.0.0.1, "a@b", a%2eb) is refused here instead of being understood. */
#include "http/url.h"
#include "base/err.h"
#include "base/str.h"
#include <arpa/inet.h>
#include <stdio.h>

enum { HOST_MAX = 253, LABEL_MAX = 63 };

static int refuse(struct hl_err *err, const char *rule)
{
	return hl_err_set(err, HL_EURL, "%s", rule);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int check_bytes(struct hl_str in, struct hl_err *err)
{
	if (in.len == 0)
		return refuse(err, "the URL is empty");
	if (in.len > HL_URL_MAX)
		return hl_err_set(err, HL_EURL, "the URL is longer than %d bytes", HL_URL_MAX);
	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = (unsigned char)in.ptr[i];
		if (c >= 0x80)
			return refuse(err, "the URL has bytes outside ASCII: write the host as its A-label (xn--…) and escape the "
					"rest with %XX");
		if (c <= 0x20 || c == 0x7f)
			return refuse(err, "the URL has a space or control character");
		if (c == '\\')
			return refuse(err, "the URL has a backslash");
		if (c == '#')
			return refuse(err, "the URL has a fragment (#…)");
	}
	return 0;
}

/* Cuts the scheme and "//" off the front of *rest. */
static int cut_scheme(struct hl_str *rest, bool *out_https, struct hl_err *err)
{
	static const struct hl_str http = HL_STR("http://"), https = HL_STR("https://");
	if (rest->len >= https.len && hl_str_ieq(hl_str_make(rest->ptr, https.len), https))
		*out_https = true;
	else if (rest->len >= http.len && hl_str_ieq(hl_str_make(rest->ptr, http.len), http))
		*out_https = false;
	else
		return refuse(err, "the URL must begin with https:// or http://");
	size_t n = *out_https ? https.len : http.len;
	*rest = hl_str_make(rest->ptr + n, rest->len - n);
	return 0;
}

static int parse_port(struct hl_str text, uint16_t *out, struct hl_err *err)
{
	uint64_t port;
	if (text.len == 0)
		return refuse(err, "the port is missing after the colon");
	if (text.len > 5 || !hl_str_u64(text, &port) || port > 65535 || text.ptr[0] == '0')
		return refuse(err, "the port must be a number from 1 to 65535");
	*out = (uint16_t)port;
	return 0;
}

/* Cuts "host[:port]" into its parts; the host keeps its brackets off. */
static int cut_authority(struct hl_str authority, struct hl_str *out_host, bool *out_bracketed, uint16_t *port,
		struct hl_err *err)
{
	if (memchr(authority.ptr, '@', authority.len))
		return refuse(err, "the URL has user information (user:password@)");
	struct hl_str after;
	*out_bracketed = authority.len && authority.ptr[0] == '[';
	if (*out_bracketed) {
		const char *end = memchr(authority.ptr, ']', authority.len);
		if (!end)
			return refuse(err, "the bracket around the IPv6 address is not closed");
		*out_host = hl_str_make(authority.ptr + 1, (size_t)(end - authority.ptr) - 1);
		after = hl_str_make(end + 1, authority.len - out_host->len - 2);
		if (after.len && after.ptr[0] != ':')
			return refuse(err, "only a port may follow the IPv6 address");
	} else {
		const char *colon = memchr(authority.ptr, ':', authority.len);
		size_t n = colon ? (size_t)(colon - authority.ptr) : authority.len;
		*out_host = hl_str_make(authority.ptr, n);
		after = hl_str_make(authority.ptr + n, authority.len - n);
		if (after.len && memchr(after.ptr + 1, ':', after.len - 1))
			return refuse(err, "an IPv6 address must stand in brackets");
	}
	if (after.len == 0)
		return 0;
	return parse_port(hl_str_make(after.ptr + 1, after.len - 1), port, err);
}

/* The address as inet_ntop writes it, into out[INET6_ADDRSTRLEN]. */
static int parse_ipv6(struct hl_str text, char *out, struct hl_err *err)
{
	char buf[INET6_ADDRSTRLEN];
	struct in6_addr a;
	if (memchr(text.ptr, '%', text.len))
		return refuse(err, "the IPv6 address has a zone id");
	if (text.len == 0 || text.len >= sizeof(buf))
		return refuse(err, "the IPv6 address is malformed");
	memcpy(buf, text.ptr, text.len);
	buf[text.len] = '\0';
	if (inet_pton(AF_INET6, buf, &a) != 1)
		return refuse(err, "the IPv6 address is malformed");
	if (IN6_IS_ADDR_V4MAPPED(&a))
		return refuse(err, "the IPv6 address is an IPv4 address in disguise (::ffff:…)");
	if (!inet_ntop(AF_INET6, &a, out, INET6_ADDRSTRLEN))
		return refuse(err, "the IPv6 address is malformed");
	return 0;
}

static bool dotted_quad(struct hl_str text)
{
	struct hl_str rest = text;
	unsigned n = 0;
	while (rest.ptr) {
		struct hl_str part = hl_str_split(&rest, '.');
		uint64_t v;
		if (++n > 4 || part.len > 3 || !hl_str_u64(part, &v) || v > 255 || (part.len > 1 && part.ptr[0] == '0'))
			return false;
	}
	return n == 4;
}

/* Would some reader take this last label for a number, and so the host for an IPv4 address? (WHATWG URL, "ends in a
 * number": all digits, or 0x and hex digits.) */
static bool ends_in_number(struct hl_str label)
{
	if (hl_str_all_between(label, '0', '9'))
		return true;
	if (label.len < 2 || label.ptr[0] != '0' || lower(label.ptr[1]) != 'x')
		return false;
	for (size_t i = 2; i < label.len; i++)
		if (!is_hex(label.ptr[i]))
			return false;
	return true;
}

static int check_name(struct hl_str name, bool *out_ipv4, struct hl_err *err)
{
	if (name.len > HOST_MAX)
		return hl_err_set(err, HL_EURL, "the host name is longer than %d bytes", HOST_MAX);
	struct hl_str rest = name, label = HL_STR_NONE;
	while (rest.ptr) {
		label = hl_str_split(&rest, '.');
		if (label.len == 0)
			return refuse(err, "the host name has an empty label");
		if (label.len > LABEL_MAX)
			return hl_err_set(err, HL_EURL, "the host name has a label longer than %d bytes", LABEL_MAX);
		for (size_t i = 0; i < label.len; i++) {
			char c = lower(label.ptr[i]);
			if (!is_digit(c) && (c < 'a' || c > 'z') && c != '-' && c != '_')
				return refuse(err, "the host name may only have letters, digits, hyphens and dots");
		}
		if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
			return refuse(err, "a label of the host name begins or ends with a hyphen");
	}
	*out_ipv4 = false;
	if (!ends_in_number(label))
		return 0;
	if (!dotted_quad(name))
		return refuse(err, "an IPv4 address must be written as four decimal numbers");
	*out_ipv4 = true;
	return 0;
}

/* Visible, but not part of a path or query by RFC 3986: other readers disagree about them, so they travel escaped. */
static bool wants_escape(char c)
{
	return c == '"' || c == '<' || c == '>' || c == '^' || c == '`' || c == '{' || c == '|' || c == '}';
}

/* Checks the escapes of path and query; *out_len is their length in normal form. */
static int check_target(struct hl_str target, size_t *out_len, struct hl_err *err)
{
	size_t n = target.len;
	for (size_t i = 0; i < target.len; i++) {
		if (target.ptr[i] == '%' && (i + 2 >= target.len || !is_hex(target.ptr[i + 1]) || !is_hex(target.ptr[i + 2])))
			return refuse(err, "a percent sign in path or query must be followed by two hex digits");
		if (wants_escape(target.ptr[i]))
			n += 2;
	}
	*out_len = n + (target.len == 0 || target.ptr[0] == '?');
	return 0;
}

static void write_target(struct hl_str target, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	if (target.len == 0 || target.ptr[0] == '?')
		*out++ = '/';
	for (size_t i = 0; i < target.len; i++) {
		unsigned char c = (unsigned char)target.ptr[i];
		if (wants_escape((char)c)) {
			*out++ = '%';
			*out++ = hex[c >> 4];
			*out++ = hex[c & 15];
		} else {
			*out++ = (char)c;
		}
	}
}

/* Host text in normal form, and what kind it is. */
static int judge_host(struct hl_str host, bool bracketed, struct hl_url *u, char out[HOST_MAX + 1], struct hl_err *err)
{
	if (bracketed) {
		u->host_kind = HL_HOST_IPV6;
		return parse_ipv6(host, out, err);
	}
	if (host.len && host.ptr[host.len - 1] == '.')
		host.len--;
	if (host.len == 0)
		return refuse(err, "the URL has no host");
	bool ipv4;
	int rc = check_name(host, &ipv4, err);
	if (rc)
		return rc;
	u->host_kind = ipv4 ? HL_HOST_IPV4 : HL_HOST_NAME;
	for (size_t i = 0; i < host.len; i++)
		out[i] = lower(host.ptr[i]);
	out[host.len] = '\0';
	return 0;
}

/* The normal form, in one piece of arena memory: "scheme://authority" target NUL host NUL. */
static int write_text(struct hl_arena *a, struct hl_str host, struct hl_str target, size_t target_len, struct hl_url *u)
{
	struct hl_str scheme = u->https ? HL_STR("https://") : HL_STR("http://");
	bool brackets = u->host_kind == HL_HOST_IPV6;
	char port[8] = "";
	if (u->port != (u->https ? 443 : 80))
		snprintf(port, sizeof(port), ":%u", u->port);
	size_t authority_len = host.len + (brackets ? 2 : 0) + strlen(port);
	size_t len = scheme.len + authority_len + target_len;
	char *p = hl_arena_alloc(a, len + 1 + host.len + 1);
	if (!p)
		return HL_ENOMEM;
	u->text = hl_str_make(p, len);
	memcpy(p, scheme.ptr, scheme.len);
	p += scheme.len;
	u->authority = hl_str_make(p, authority_len);
	if (brackets)
		*p++ = '[';
	memcpy(p, host.ptr, host.len);
	p += host.len;
	if (brackets)
		*p++ = ']';
	memcpy(p, port, strlen(port));
	p += strlen(port);
	u->target = hl_str_make(p, target_len);
	write_target(target, p);
	p += target_len;
	*p++ = '\0';
	u->host = hl_str_make(p, host.len);
	memcpy(p, host.ptr, host.len);
	p[host.len] = '\0';
	return 0;
}

int hl_url_parse(struct hl_str in, struct hl_arena *a, struct hl_url *out, struct hl_err *err)
{
	struct hl_url u = { 0 };
	struct hl_str rest = in, host = HL_STR_NONE;
	char host_text[HOST_MAX + 1];
	bool bracketed = false;
	size_t target_len = 0;

	int rc = check_bytes(in, err);
	if (!rc)
		rc = cut_scheme(&rest, &u.https, err);
	if (rc)
		return rc;
	size_t n = 0;
	while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
		n++;
	struct hl_str target = hl_str_make(rest.ptr + n, rest.len - n);
	u.port = u.https ? 443 : 80;
	rc = cut_authority(hl_str_make(rest.ptr, n), &host, &bracketed, &u.port, err);
	if (!rc)
		rc = judge_host(host, bracketed, &u, host_text, err);
	if (!rc)
		rc = check_target(target, &target_len, err);
	if (rc)
		return rc;
	rc = write_text(a, hl_str_from(host_text), target, target_len, &u);
	if (rc)
		return hl_err_set(err, rc, "out of memory");
	if (u.text.len > HL_URL_MAX)
		return hl_err_set(err, HL_EURL, "the URL is longer than %d bytes once its path is escaped", HL_URL_MAX);
	*out = u;
	return 0;
}
