/* The end of a head, and the fields that frame a message: each found in one pass. */
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
		case 0:
			f->nameless = true;
			break;
		case 4:
			if (hl_str_ieq(h.name, HL_STR("host"))) {
				f->hosts++;
				f->host = value;
			}
			break;
		case 6:
			if (hl_str_ieq(h.name, HL_STR("expect")))
				f->expect = value;
			break;
		case 7:
			f->upgrade |= hl_str_ieq(h.name, HL_STR("upgrade"));
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

size_t hl_framing_scan(uint8_t *line, struct hl_str in, bool *out_end)
{
	size_t i = 0;
	*out_end = false;
	while (i < in.len) {
		if (*line == HL_LINE_MIDDLE) {
			const char *nl = memchr(in.ptr + i, '\n', in.len - i);
			if (!nl)
				return in.len;
			i = (size_t)(nl - in.ptr) + 1;
			*line = HL_LINE_START;
			continue;
		}
		char c = in.ptr[i];
		if (*line == HL_LINE_START && (c == ' ' || c == '\t'))
			return SIZE_MAX;
		if (c == '\n') {
			*out_end = true;
			return i + 1;
		}
		*line = *line == HL_LINE_START && c == '\r' ? HL_LINE_CR : HL_LINE_MIDDLE;
		i++;
	}
	return in.len;
}
