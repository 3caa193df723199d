/* The end of a head or of trailers, and the fields that frame a message: each found in one pass. */
#include "http/framing.h"
#include "base/str.h"

bool hl_framing_host_valid(struct hl_str host)
{
	size_t i = 0;
	if (host.len && host.ptr[0] == '[') {
		const char *end = memchr(host.ptr, ']', host.len);
		if (!end)
			return false;
		for (i = 1; host.ptr + i < end; i++)
			if (!strchr("0123456789abcdefABCDEF:.", host.ptr[i]) || !host.ptr[i])
				return false;
		if (i < 3)
			return false;
		i++;
	} else {
		for (; i < host.len && host.ptr[i] != ':'; i++) {
			unsigned char c = (unsigned char)host.ptr[i];
			bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
			if (!alnum && (!c || !strchr("-._~!$&'()*+,;=%", c)))
				return false;
		}
		if (i == 0)
			return false;
	}
	if (i == host.len)
		return true;
	if (host.ptr[i] != ':')
		return false;
	uint64_t port;
	struct hl_str digits = { host.ptr + i + 1, host.len - i - 1 };
	return digits.len == 0 || (hl_str_u64(digits, &port) && port <= 65535);
}

/* llhttp misses a "close" with a tab behind it. */
static bool says_close(struct hl_str value)
{
	while (value.ptr)
		if (hl_str_ieq(hl_str_trim(hl_str_split(&value, ',')), HL_STR("close")))
			return true;
	return false;
}

void hl_framing_survey(struct hl_headers *list, struct hl_framing *f)
{
	*f = (struct hl_framing){ 0 };
	for (size_t i = 0; i < list->n; i++) {
		struct hl_header h = hl_headers_at(list, i);
		struct hl_str value = hl_str_trim(h.value);
		list->v[i].value_len = (uint16_t)value.len;
		if (value.len)
			list->v[i].value_at = (uint16_t)(value.ptr - list->bytes.data);
		switch (h.name.len) {
		case 4:
			if (hl_str_ieq(h.name, HL_STR("host"))) {
				f->hosts++;
				f->host = value;
			}
			break;
		case 6:
			if (hl_str_ieq(h.name, HL_STR("expect")) && value.len) {
				f->expects++;
				f->expect = value;
			}
			break;
		case 7:
			f->upgrade |= hl_str_ieq(h.name, HL_STR("upgrade"));
			break;
		case 10:
			if (hl_str_ieq(h.name, HL_STR("connection")))
				f->close |= says_close(value);
			break;
		case 17:
			if (hl_str_ieq(h.name, HL_STR("transfer-encoding"))) {
				f->encodings++;
				f->encoding = value;
			}
			break;
		default:
			break;
		}
	}
}

/* A field's name, a fold, or the empty line. */
static const char *begin_line(uint8_t *line, char c)
{
	if (c == ' ' || c == '\t')
		return "folded lines are not allowed";
	if (c == '\n')
		return "a line feed stands alone";
	if (c == ':')
		return "a field has no name";
	*line = c == '\r' ? HL_LINE_EMPTY_CR : HL_LINE_MIDDLE;
	return NULL;
}

size_t hl_framing_scan(uint8_t *line, struct hl_str in, bool *out_end, const char **out_reason)
{
	size_t i = 0;
	*out_end = false;
	*out_reason = NULL;
	while (i < in.len && !*out_reason && !*out_end) {
		if (*line == HL_LINE_START) {
			*out_reason = begin_line(line, in.ptr[i]);
			i += !*out_reason;
		} else if (*line == HL_LINE_MIDDLE) {
			const char *from = in.ptr + i, *cr = memchr(from, '\r', in.len - i);
			size_t n = cr ? (size_t)(cr - from) : in.len - i;
			const char *lf = memchr(from, '\n', n);
			if (lf)
				*out_reason = "a line feed stands alone";
			else if (cr)
				*line = HL_LINE_CR;
			i += lf ? (size_t)(lf - from) : n + (cr != NULL);
		} else if (in.ptr[i] != '\n') {
			*out_reason = "a carriage return stands alone";
		} else {
			*out_end = *line == HL_LINE_EMPTY_CR;
			*line = HL_LINE_START;
			i++;
		}
	}
	return i;
}
