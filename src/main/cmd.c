/* How every command says that something went wrong. */
#include "main/cmd.h"

#include <stdarg.h>
#include <stdio.h>

static int HL_PRINTF(3, 0) say(int code, const char *who, const char *fmt, va_list ap, const char *tail)
{
	fprintf(stderr, "hookline%s%s: ", who ? " " : "", who ? who : "");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "%s\n", tail);
	return code;
}

int hl_cmd_fail(int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(code, NULL, fmt, ap, "");
	va_end(ap);
	return code;
}

int hl_exit_of(int rc)
{
	switch (rc) {
	case HL_OK:
		return HL_EXIT_OK;
	case HL_EINVAL:
	case HL_ESYNTAX:
	case HL_EDUPLICATE:
		return HL_EXIT_CONFIG;
	case HL_ELOCKED:
	case HL_EVERSION:
	case HL_EKEY:
	case HL_ECORRUPT:
	case HL_EPERM:
	case HL_ENOTFOUND:
	case HL_EIO:
	case HL_EFULL:
		return HL_EXIT_STORE;
	case HL_EFATAL:
		return HL_EXIT_FATAL;
	default:
		return HL_EXIT_FAILED;
	}
}

int hl_cmd_fail_err(const struct hl_err *err)
{
	return hl_cmd_fail(hl_exit_of(err->code), "%s", err->text[0] ? err->text : hl_strerror(err->code));
}

int hl_cmd_usage(const char *name, const char *fmt, ...)
{
	char tail[64];
	snprintf(tail, sizeof(tail), "; try \"hookline help %s\"", name);
	va_list ap;
	va_start(ap, fmt);
	say(HL_EXIT_USAGE, name, fmt, ap, tail);
	va_end(ap);
	return HL_EXIT_USAGE;
}
