/* The commands of the program. Each cmd_*.c is one of them: it reads its own arguments and returns an exit code. */
#ifndef HL_MAIN_CMD_H
#define HL_MAIN_CMD_H

#include <hookline/error.h>

/* Exit codes. X(number, NAME, what it means) */
#define HL_EXIT_TABLE(X)                                                                                         \
	X(0, OK, "what was asked is done")                                                                       \
	X(1, FAILED, "what was asked could not be done; the reason is on stderr")                                \
	X(2, USAGE, "the command line does not make sense")                                                      \
	X(3, CONFIG, "the configuration is wrong; the message names option and place")                           \
	X(4, STORE, "the data directory cannot be used: missing, in use, wrong key, newer format, damaged, no permission") \
	X(5, FATAL, "the store failed while the server ran; nothing acknowledged was lost, start it again")       \
	X(6, UNSAFE, "refused: serve as root without --allow-root, or server.sandbox = require without Landlock")

#define HL_X(number, name, text) HL_EXIT_##name = number,
enum hl_exit { HL_EXIT_TABLE(HL_X) };
#undef HL_X

/* X(name, what follows it on the command line, what it does) */
#define HL_CMD_TABLE(X)                                                                                          \
	X(serve, "[DIR | --data DIR] [--config FILE] [--listen ADDR]... [--set SECTION.KEY=VALUE]... "           \
	  "[--takeover] [--allow-root] [--check-config | --print-config]",                                       \
	  "Runs the server until SIGTERM or SIGINT.")                                                            \
	X(key, "create|list|revoke [KEY] [DIR | --data DIR] [--account ID] [--dialect NAME] [--scope S,...] "    \
	  "[--name TEXT] [--expires TIME]",                                                                      \
	  "Makes, lists or revokes API keys, beside a running server or without one. create prints the new key " \
	  "and nothing else on stdout.")                                                                         \
	X(publish, "TYPE [JSON | @FILE | -] [--id ID] [--key KEY] [--url URL] [--account ID]",                   \
	  "Publishes one event to the server at HOOKLINE_URL with the key in HOOKLINE_KEY.")                     \
	X(listen, "[ADDR] [--secret S] [--answer CODE] [--delay MS] [--count N]",                                \
	  "A receiver: verifies the signature of each delivery and prints it.")                                  \
	X(check, "DIR | --data DIR [--key-file FILE]",                                                           \
	  "Audits a store, also one in use: every index entry has its row and back, counters are true.")         \
	X(backup, "DIR DEST | --data DIR DEST [--compact] [--with-key] [--key-file FILE]",                       \
	  "Copies a store, also one in use, into the new directory DEST. Without --with-key the copy opens only " \
	  "beside the key file, which is kept elsewhere.")                                                       \
	X(migrate, "DIR | --data DIR [--rekey FILE] [--key-file FILE]",                                          \
	  "Brings a store to the format of this version; with --rekey it seals every secret anew under the key " \
	  "in FILE, made if missing. The server must not run.")                                                     \
	X(version, "",                                                                                           \
	  "Prints the version and those of the libraries in use.")                                               \
	X(help, "[COMMAND | options | exit]",                                                                    \
	  "Explains the program, a command, the options or the exit codes.")

struct hl_cmd {
	const char *name;
	const char *synopsis;
	const char *help;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

#define HL_X(name, synopsis, help) int hl_cmd_##name(int argc, char **argv);
HL_CMD_TABLE(HL_X)
#undef HL_X

/* "hookline: text" on stderr; returns code. */
int hl_cmd_fail(int code, const char *fmt, ...) HL_PRINTF(2, 3);
/* The same for an error of the library; the exit code is the one that belongs to err->code. */
int hl_cmd_fail_err(const struct hl_err *err);
/* "hookline NAME: …; try hookline help NAME", HL_EXIT_USAGE. */
int hl_cmd_usage(const char *name, const char *fmt, ...) HL_PRINTF(2, 3);
/* Exit code for an error of the library. */
int hl_exit_of(int rc);

#endif
