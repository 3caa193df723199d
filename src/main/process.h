/* What a process that holds secrets and many sockets asks of the kernel. */
#ifndef HL_MAIN_PROCESS_H
#define HL_MAIN_PROCESS_H

#include <hookline/error.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HL_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HL_SANITIZED 1
#endif

/* New files are ours alone, SIGPIPE is ignored, unless core_dumps no core file and no ptrace (sealing key and secrets are in memory), no
 * privileges from set-user-id programs, as many descriptors as the hard limit allows. *out_files: that limit. Never fails:
 * what is refused stays as it was. */
void hl_process_harden(bool core_dumps, uint64_t *out_files);
/* After root has worked on a data directory that belongs to somebody else: files root made there (0600) become the
 * owner's, whose server could not open them otherwise. Nothing happens for anybody but root. */
void hl_process_give_files(const char *dir);
/* From now on a crash (a bad address, a failed assertion of a library) ends the process with HL_EXIT_FAILED and this line,
 * "\n" included, on stderr. line must live on. */
void hl_process_last_words(const char *line);

#endif
