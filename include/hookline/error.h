/* Error codes: every fallible function returns 0 or one of these (all negative).
 *
 * The table below is the only list: the enum, the names and the texts come from it. A failed delivery is not an
 * error but an outcome (event.h). */
#ifndef HOOKLINE_ERROR_H
#define HOOKLINE_ERROR_H

#include <hookline/types.h>

/* X(number, name, text) */
#define HL_ERROR_TABLE(X)                                                       \
	X(1, EINVAL, "invalid argument")                                        \
	X(2, ENOMEM, "out of memory")                                           \
	X(3, EEXIST, "already exists")                                          \
	X(4, ENOTFOUND, "not found")                                            \
	X(5, ECONFLICT, "the object's state does not allow this")               \
	X(6, EMISMATCH, "the same key was used with a different request")       \
	X(7, EAGAIN, "try again")                                               \
	X(8, ELIMIT, "a configured limit would be exceeded")                    \
	X(9, EFULL, "the store is full")                                        \
	X(10, EFATAL, "the store failed; restart")                              \
	X(11, ECANCELED, "cancelled")                                           \
	X(12, ETIMEDOUT, "timed out")                                           \
	X(13, EIO, "input/output error")                                        \
	X(14, ECORRUPT, "stored data is damaged")                               \
	X(15, EVERSION, "written by a newer or unknown format")                 \
	X(16, ELOCKED, "in use by another process")                             \
	X(17, EPERM, "permission denied")                                       \
	X(18, ETOOBIG, "too large")                                             \
	X(19, EBUSY, "busy")                                                    \
	X(20, EBLOCKED, "address not allowed")                                  \
	X(21, EDNS, "name does not resolve")                                    \
	X(22, ECONNECT, "connection failed")                                    \
	X(23, ETLS, "TLS failed")                                               \
	X(24, ERESET, "connection closed early")                                \
	X(25, EPROTO, "malformed message")                                      \
	X(26, EURL, "URL not allowed")                                          \
	X(27, EKEY, "wrong or missing sealing key")                             \
	X(28, ECLOSED, "closed")                                                \
	X(29, ESYNTAX, "malformed text")                                        \
	X(30, EDUPLICATE, "given twice")

enum hl_error {
	HL_OK = 0,
#define HL_X(number, name, text) HL_##name = -(number),
	HL_ERROR_TABLE(HL_X)
#undef HL_X
};

/* Code and text; the text gains a prefix on its way up ("open store: lock: in use by process 12").
 * Wherever a `struct hl_err *` is taken, NULL is allowed. */
struct hl_err {
	int code;
	char field[64]; /* JSON pointer or option name of the culprit, "" when there is none */
	char text[256];
};

/* The general text of a code; never NULL. Any thread. */
HL_API const char *hl_strerror(int code);
/* "EINVAL", "ENOTFOUND", …; "E?" for an unknown code. Any thread. */
HL_API const char *hl_errname(int code);

#endif
