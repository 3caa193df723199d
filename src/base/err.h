/* Filling in `struct hl_err`. Every function accepts err == NULL and returns the code, so that
 * `return hl_err_set(err, HL_EINVAL, "…")` is the usual form. */
#ifndef HL_BASE_ERR_H
#define HL_BASE_ERR_H

#include <hookline/error.h>

int hl_err_set(struct hl_err *err, int code, const char *fmt, ...) HL_PRINTF(3, 4);
/* Also names the culprit: a JSON pointer ("/url") or an option ("store.max_size"). */
int hl_err_field(struct hl_err *err, int code, const char *field, const char *fmt, ...) HL_PRINTF(4, 5);
/* "what: old text"; keeps code and field. Returns err->code (HL_EIO when err is NULL). */
int hl_err_prefix(struct hl_err *err, const char *fmt, ...) HL_PRINTF(2, 3);
/* From errno: ENOMEM → HL_ENOMEM, EACCES/EPERM/EROFS → HL_EPERM, ENOENT → HL_ENOTFOUND, ENOSPC/EDQUOT → HL_EFULL, else HL_EIO. */
int hl_err_errno(struct hl_err *err, int errnum, const char *fmt, ...) HL_PRINTF(3, 4);

#endif
