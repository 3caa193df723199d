/* Option values. One function per kind reads text; hl_value_parse picks it and checks the range.
 *
 * A number is digits and a unit, nothing else: no sign, no fraction, no space between. The unit is required for
 * durations ("15" could be meant as seconds or milliseconds) except for 0, and optional for sizes (bytes).
 * What does not read, overflows or leaves the range is refused with the sentence hl_value_describe makes, so that the
 * message says what would have been right. */
#include "main/value.h"

#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"
#include <hookline/dispatcher.h>
#include <stdio.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first: formatting takes the first that divides. */
static const struct unit units_size[] = {
	{ "TiB", (uint64_t)1 << 40 }, { "GiB", 1 << 30 }, { "MiB", 1 << 20 }, { "KiB", 1 << 10 }, { "B", 1 },
	{ "T", (uint64_t)1 << 40 }, { "G", 1 << 30 }, { "M", 1 << 20 }, { "K", 1 << 10 }, { "", 1 }, { NULL, 0 },
};
static const struct unit units_ms[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 },
};
static const struct unit units_s[] = {
	{ "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 }, { NULL, 0 },
};
static const struct unit units_none[] = { { "", 1 }, { NULL, 0 } };

static const struct unit *units_of(enum hl_value_kind kind)
{
	switch (kind) {
	case HL_VALUE_SIZE: return units_size;
	case HL_VALUE_MS: return units_ms;
	case HL_VALUE_S: return units_s;
	default: return units_none;
	}
}

static const char *text_of(enum hl_value_kind kind)
{
	static const char *const texts[] = {
#define HL_X(name, type, text) text,
		HL_VALUE_TABLE(HL_X)
#undef HL_X
	};
	return texts[kind];
}

static bool number_parse(const struct unit *units, struct hl_str s, uint64_t *out)
{
	size_t n = 0;
	while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
		n++;
	uint64_t v;
	if (!hl_str_u64(hl_str_make(s.ptr, n), &v))
		return false;
	struct hl_str unit = hl_str_make(s.ptr + n, s.len - n);
	if (v == 0 && unit.len == 0) {
		*out = 0;
		return true;
	}
	for (; units->name; units++)
		if (hl_str_eq(unit, hl_str_from(units->name)))
			return !__builtin_mul_overflow(v, units->factor, out);
	return false;
}

static bool octal_parse(struct hl_str s, uint64_t *out)
{
	uint64_t v = 0;
	if (s.len == 0 || s.len > 4 || !hl_str_all_between(s, '0', '7'))
		return false;
	for (size_t i = 0; i < s.len; i++)
		v = v * 8 + (uint64_t)(s.ptr[i] - '0');
	*out = v;
	return true;
}

static int choice_parse(struct hl_str s, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (hl_str_ieq(s, hl_str_from(names[i])))
			return (int)i;
	return -1;
}

static bool bool_parse(struct hl_str s, bool *out)
{
	static const char *const names[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };
	int i = choice_parse(s, names, HL_ARRAY_LEN(names));
	if (i < 0)
		return false;
	*out = i & 1;
	return true;
}

static bool retry_parse(struct hl_str s, struct hl_retry *out)
{
	struct hl_retry r = { .kind = HL_RETRY_DELAYS };
	if (hl_str_ieq(s, HL_STR("exponential")) || hl_str_ieq(s, HL_STR("hourly"))) {
		r.kind = hl_str_ieq(s, HL_STR("hourly")) ? HL_RETRY_HOURLY : HL_RETRY_EXPONENTIAL;
		*out = r;
		return true;
	}
	for (struct hl_str rest = s; rest.ptr;) {
		uint64_t v;
		if (!number_parse(units_s, hl_str_trim(hl_str_split(&rest, ',')), &v))
			return false;
		if (r.n_delays == HL_DELAYS_MAX || v < 1 || v > 172800)
			return false;
		r.delays_s[r.n_delays++] = (uint32_t)v;
	}
	*out = r;
	return r.n_delays > 0;
}

/* No control byte; and no ';' where a file would take it for the beginning of a comment, so that whatever may be set can be
 * written into a file. */
static bool writable(enum hl_value_kind kind, const char *text)
{
	char before = ' ';
	for (const char *p = text; *p; before = *p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
		if (*p == ';' && (before == ' ' || (before == ',' && kind == HL_VALUE_LIST)))
			return false;
	}
	return true;
}

void hl_value_format(enum hl_value_kind kind, uint64_t v, char *out, size_t cap)
{
	if (kind == HL_VALUE_MODE) {
		snprintf(out, cap, "%04o", (unsigned)v);
		return;
	}
	const struct unit *u = units_of(kind);
	while (v > 0 && u->name && (v % u->factor != 0 || (u->factor == 86400 && v < 3 * 86400)))
		u++;
	if (v == 0 || !u->name)
		u = units_none;
	snprintf(out, cap, "%llu%s", (unsigned long long)(v / u->factor), u->name);
}

void hl_value_describe(enum hl_value_kind kind, uint64_t min, uint64_t max, char *out, size_t cap)
{
	char lo[32], hi[32];
	hl_value_format(kind, min, lo, sizeof(lo));
	hl_value_format(kind, max, hi, sizeof(hi));
	switch (kind) {
	case HL_VALUE_COUNT:
	case HL_VALUE_SIZE:
	case HL_VALUE_MS:
	case HL_VALUE_S:
	case HL_VALUE_MODE:
		snprintf(out, cap, "%s, from %s to %s", text_of(kind), lo, hi);
		return;
	case HL_VALUE_TEXT:
	case HL_VALUE_PATH:
	case HL_VALUE_LIST:
		snprintf(out, cap, "%s of at most %s bytes", text_of(kind), hi);
		return;
	default:
		snprintf(out, cap, "%s", text_of(kind));
	}
}

static int refuse(enum hl_value_kind kind, uint64_t min, uint64_t max, const char *text, struct hl_err *err)
{
	char want[160];
	hl_value_describe(kind, min, max, want, sizeof(want));
	return hl_err_set(err, HL_EINVAL, "\"%.60s\" is not %s", text, want);
}

/* What is a number in the end: checks the range and stores it in the width of the kind. */
static bool store_number(enum hl_value_kind kind, uint64_t v, uint64_t min, uint64_t max, void *out)
{
	if (v < min || v > max)
		return false;
	if (kind == HL_VALUE_SIZE) {
		*(uint64_t *)out = v;
		return true;
	}
	if (v > UINT32_MAX)
		return false;
	*(uint32_t *)out = (uint32_t)v;
	return true;
}

int hl_value_parse(enum hl_value_kind kind, const char *text, uint64_t min, uint64_t max, void *out, struct hl_err *err)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	static const char *const formats[] = { "auto", "logfmt", "json" };
	static const char *const sandboxes[] = { "auto", "off", "require" };
	struct hl_str s = hl_str_from(text);
	uint64_t v = 0;
	int choice;
	bool ok = false;
	switch (kind) {
	case HL_VALUE_BOOL:
		ok = bool_parse(s, out);
		break;
	case HL_VALUE_COUNT:
	case HL_VALUE_SIZE:
	case HL_VALUE_MS:
	case HL_VALUE_S:
		ok = number_parse(units_of(kind), s, &v) && store_number(kind, v, min, max, out);
		break;
	case HL_VALUE_MODE:
		ok = octal_parse(s, &v) && store_number(kind, v, min, max, out);
		break;
	case HL_VALUE_TEXT:
	case HL_VALUE_PATH:
	case HL_VALUE_LIST:
		ok = s.len >= min && s.len <= max && writable(kind, text);
		if (ok)
			*(const char **)out = kind == HL_VALUE_PATH && s.len == 0 ? NULL : text;
		break;
	case HL_VALUE_LEVEL:
		choice = choice_parse(s, levels, HL_ARRAY_LEN(levels));
		ok = choice >= 0;
		if (ok)
			*(enum hl_log_level *)out = (enum hl_log_level)choice;
		break;
	case HL_VALUE_LOG_FORMAT:
		choice = choice_parse(s, formats, HL_ARRAY_LEN(formats));
		ok = choice >= 0;
		if (ok)
			*(enum hl_log_format *)out = (enum hl_log_format)choice;
		break;
	case HL_VALUE_SANDBOX:
		choice = choice_parse(s, sandboxes, HL_ARRAY_LEN(sandboxes));
		ok = choice >= 0;
		if (ok)
			*(enum hl_sandbox_mode *)out = (enum hl_sandbox_mode)choice;
		break;
	case HL_VALUE_RETRY:
		ok = retry_parse(s, out);
		break;
	case HL_VALUE_N:
		break;
	}
	return ok ? HL_OK : refuse(kind, min, max, text, err);
}
