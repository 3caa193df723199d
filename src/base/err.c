/* Error codes as text, and the filling of struct hl_err.
 *
 * The happy path never comes here. Each setter formats into a local buffer first, so that an argument may point
 * into the very error being overwritten ("%s", err->text). A text that does not fit is cut; the code is never lost. */
#include "base/err.h"
#include "base/defs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *hl_strerror(int code)
{
	switch (code) {
	case HL_OK:
		return "no error";
#define HL_X(number, name, text) \
	case -(number):          \
		return text;
		HL_ERROR_TABLE(HL_X)
#undef HL_X
	default:
		return "unknown error";
	}
}

const char *hl_errname(int code)
{
	switch (code) {
	case HL_OK:
		return "OK";
#define HL_X(number, name, text) \
	case -(number):          \
		return #name;
		HL_ERROR_TABLE(HL_X)
#undef HL_X
	default:
		return "E?";
	}
}

/* A cut must not leave half a UTF-8 character behind: these texts go into JSON answers. */
static void trim_partial(char *s)
{
	size_t n = strlen(s), i = n;
	while (i > 0 && ((unsigned char)s[i - 1] & 0xC0) == 0x80)
		i--;
	if (i == 0)
		return;
	unsigned char lead = (unsigned char)s[i - 1];
	size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
	if (n - (i - 1) < want)
		s[i - 1] = '\0';
}

static void store(char *dst, size_t cap, const char *src)
{
	size_t n = strlen(src);
	bool cut = n >= cap;
	if (cut)
		n = cap - 1;
	memcpy(dst, src, n);
	dst[n] = '\0';
	if (cut)
		trim_partial(dst);
}

static void HL_PRINTF(2, 0) format(struct hl_err *err, const char *fmt, va_list ap)
{
	char text[sizeof err->text + 8]; /* a little longer, so that store() sees that it cuts */
	if (vsnprintf(text, sizeof text, fmt, ap) < 0)
		text[0] = '\0';
	store(err->text, sizeof err->text, text);
}

int hl_err_set(struct hl_err *err, int code, const char *fmt, ...)
{
	if (!err)
		return code;
	va_list ap;
	va_start(ap, fmt);
	format(err, fmt, ap);
	va_end(ap);
	err->code = code;
	err->field[0] = '\0';
	return code;
}

int hl_err_field(struct hl_err *err, int code, const char *field, const char *fmt, ...)
{
	if (!err)
		return code;
	va_list ap;
	va_start(ap, fmt);
	format(err, fmt, ap);
	va_end(ap);
	err->code = code;
	if (field != err->field)
		store(err->field, sizeof err->field, field ? field : "");
	return code;
}

int hl_err_prefix(struct hl_err *err, const char *fmt, ...)
{
	if (!err)
		return HL_EIO;
	char what[sizeof err->text], text[2 * sizeof err->text + 4];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	if (n < 0)
		what[0] = '\0';
	if (err->text[0])
		snprintf(text, sizeof text, "%s: %s", what, err->text);
	else
		snprintf(text, sizeof text, "%s", what);
	store(err->text, sizeof err->text, text);
	return err->code;
}

static int code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOMEM:
		return HL_ENOMEM;
	case EACCES:
	case EPERM:
	case EROFS:
		return HL_EPERM;
	case ENOENT:
		return HL_ENOTFOUND;
	case ENOSPC:
	case EDQUOT:
		return HL_EFULL;
	default:
		return HL_EIO;
	}
}

int hl_err_errno(struct hl_err *err, int errnum, const char *fmt, ...)
{
	int code = code_of_errno(errnum);
	if (!err)
		return code;
	char what[sizeof err->text], reason[64], text[sizeof what + sizeof reason + 4];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	if (n < 0)
		what[0] = '\0';
	/* The GNU strerror_r: may return a static string instead of filling the buffer. */
	snprintf(text, sizeof text, "%s: %s", what, strerror_r(errnum, reason, sizeof reason));
	store(err->text, sizeof err->text, text);
	err->code = code;
	err->field[0] = '\0';
	return code;
}
