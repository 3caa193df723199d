/* What a process that holds secrets and many sockets asks of the kernel. */
#ifndef HL_MAIN_PROCESS_H
#define HL_MAIN_PROCESS_H

#include "base/log.h"
#include "main/config.h"
#include <hookline/error.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HL_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HL_SANITIZED 1
#endif

/* New files are ours alone, SIGPIPE is ignored, no privileges from set-user-id programs, as many descriptors as the hard limit
 * allows; unless core_dumps, no core file and no ptrace (sealing key and secrets are in memory). *out_files: that limit. Never
 * fails: what is refused stays as it was. */
void hl_process_harden(bool core_dumps, uint64_t *out_files);
/* After root has worked on a data directory that belongs to somebody else: files root made there (0600) become the
 * owner's, whose server could not open them otherwise. Nothing happens for anybody but root. */
void hl_process_give_files(const char *dir);

enum { HL_PROCESS_FILES_LEAST = 64 }; /* without so many it cannot run */
/* The descriptor limit bounds what may be open at once: lowers what the configuration allows to that, and says so. Clients get
 * at most half, so that they cannot keep deliveries from going out; attempts get what clients leave. */
void hl_process_share_files(uint64_t files, struct hl_config *c, const struct hl_log *log);

/* From now on a crash (a bad address, a failed assertion) says this line, "\n" included, on stderr. Then the process ends with
 * exit_code; 0 = by the signal, as it would have. line must live on. */
void hl_process_last_words(const char *line, int exit_code);

#endif
