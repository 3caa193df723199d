/* Header fields: looked up in a list, judged when a user names them, written into heads.
 *
 * Look-ups are linear: a head has ten fields or so, and comparing lengths first settles nearly all of them. */
#include "http/headers.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

struct hl_header hl_headers_at(const struct hl_headers *h, size_t i)
{
	const struct hl_header_entry *e = &h->v[i];
	const char *bytes = h->bytes.data;
	return (struct hl_header){ { bytes + e->name_at, e->name_len }, { bytes + e->value_at, e->value_len } };
}

bool hl_headers_get(const struct hl_headers *h, struct hl_str name, struct hl_str *out_value)
{
	for (size_t i = 0; i < h->n; i++) {
		if (h->v[i].name_len != name.len)
			continue;
		struct hl_header field = hl_headers_at(h, i);
		if (hl_str_ieq(field.name, name)) {
			*out_value = field.value;
			return true;
		}
	}
	return false;
}

unsigned hl_headers_count(const struct hl_headers *h, struct hl_str name)
{
	unsigned n = 0;
	for (size_t i = 0; i < h->n; i++)
		n += h->v[i].name_len == name.len && hl_str_ieq(hl_headers_at(h, i).name, name);
	return n;
}

bool hl_headers_has_token(const struct hl_headers *h, struct hl_str name, struct hl_str token)
{
	for (size_t i = 0; i < h->n; i++) {
		struct hl_header field = hl_headers_at(h, i);
		if (!hl_str_ieq(field.name, name))
			continue;
		struct hl_str rest = field.value;
		while (rest.ptr)
			if (hl_str_ieq(hl_str_trim(hl_str_split(&rest, ',')), token))
				return true;
	}
	return false;
}

/* ---- what users may add ---------------------------------------------------------------------------------------------- */

static bool token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool hl_header_name_valid(struct hl_str name)
{
	if (name.len == 0 || name.len > 256)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!token_char((unsigned char)name.ptr[i]))
			return false;
	return true;
}

bool hl_header_value_valid(struct hl_str value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return value.len == 0 || (!strchr(" \t", value.ptr[0]) && !strchr(" \t", value.ptr[value.len - 1]));
}

/* Fields that frame the message or belong to one connection (RFC 9110 §7.6.1), and those the program writes itself. */
static const char *const reserved[] = {
	"host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade",
	"expect", "proxy-authenticate", "proxy-authorization", "http2-settings",
};
static const char *const reserved_prefixes[] = { "webhook-", "hookline-", "proxy-" };

int hl_header_check_custom(struct hl_str name, struct hl_str value, struct hl_err *err)
{
	if (!hl_header_name_valid(name))
		return hl_err_set(err, HL_EINVAL, "a header name must be a token of 1 to 256 letters, digits or !#$%%&'*+-.^_`|~");
	for (size_t i = 0; i < HL_ARRAY_LEN(reserved); i++)
		if (hl_str_ieq(name, hl_str_from(reserved[i])))
			return hl_err_set(err, HL_EINVAL, "the header %s is set by the sender and cannot be given", reserved[i]);
	for (size_t i = 0; i < HL_ARRAY_LEN(reserved_prefixes); i++) {
		struct hl_str prefix = hl_str_from(reserved_prefixes[i]);
		if (name.len >= prefix.len && hl_str_ieq(hl_str_make(name.ptr, prefix.len), prefix))
			return hl_err_set(err, HL_EINVAL, "header names beginning with %s are reserved", reserved_prefixes[i]);
	}
	if (!hl_header_value_valid(value) || !hl_str_all_between(value, 0x20, 0x7e))
		return hl_err_set(err, HL_EINVAL, "the value of header %.*s must be visible ASCII, without leading or trailing blanks",
				HL_FMT(name));
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

const char *hl_status_phrase(unsigned status)
{
	static const struct {
		uint16_t status;
		const char *phrase;
	} phrases[] = {
		{ 100, "Continue" }, { 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" },
		{ 301, "Moved Permanently" }, { 302, "Found" }, { 303, "See Other" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" }, { 308, "Permanent Redirect" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 406, "Not Acceptable" }, { 408, "Request Timeout" }, { 409, "Conflict" },
		{ 410, "Gone" }, { 411, "Length Required" }, { 412, "Precondition Failed" }, { 413, "Content Too Large" },
		{ 414, "URI Too Long" }, { 415, "Unsupported Media Type" }, { 417, "Expectation Failed" },
		{ 422, "Unprocessable Content" }, { 423, "Locked" }, { 425, "Too Early" }, { 426, "Upgrade Required" },
		{ 428, "Precondition Required" }, { 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
		{ 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "";
}

void hl_head_status(struct hl_buf *out, unsigned status)
{
	hl_buf_str(out, HL_STR("HTTP/1.1 "));
	hl_buf_u64(out, status);
	hl_buf_char(out, ' ');
	hl_buf_cstr(out, hl_status_phrase(status));
	hl_buf_str(out, HL_STR("\r\n"));
}

void hl_head_field(struct hl_buf *out, struct hl_str name, struct hl_str value)
{
	hl_buf_str(out, name);
	hl_buf_str(out, HL_STR(": "));
	size_t at = out->len;
	hl_buf_str(out, value);
	if (hl_buf_ok(out))
		for (size_t i = at; i < out->len; i++)
			if ((unsigned char)out->data[i] < 0x20 || out->data[i] == 0x7f)
				out->data[i] = ' ';
	hl_buf_str(out, HL_STR("\r\n"));
}

void hl_head_field_u64(struct hl_buf *out, struct hl_str name, uint64_t value)
{
	hl_buf_str(out, name);
	hl_buf_str(out, HL_STR(": "));
	hl_buf_u64(out, value);
	hl_buf_str(out, HL_STR("\r\n"));
}

void hl_head_end(struct hl_buf *out)
{
	hl_buf_str(out, HL_STR("\r\n"));
}
