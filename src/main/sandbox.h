/* What the process may still touch: Landlock rules, kept by the kernel until the process ends. Files (and a few kinds of
 * socket) not named here are closed to it, whatever its user may do. */
#ifndef HL_MAIN_SANDBOX_H
#define HL_MAIN_SANDBOX_H

#include <hookline/error.h>

/* Rules being gathered. Without Landlock, and with mode off, every call below does nothing. */
struct hl_sandbox {
	int fd;              /* the kernel's rule set; -1 = none */
	int abi;             /* Landlock's version here, 0 = none */
	uint64_t files;      /* what is closed unless a rule opens it: LANDLOCK_ACCESS_FS_… known to this kernel */
	int failed;          /* errno of the first rule the kernel did not take; then nothing is entered */
};

/* Landlock's version in the running kernel; 0 when it has none, with the errno that says why in *out_why. */
int hl_sandbox_abi(int *out_why);

void hl_sandbox_begin(struct hl_sandbox *sb, bool on);
/* A file or a whole tree to read. A path that does not exist is left out, here and below. */
void hl_sandbox_read(struct hl_sandbox *sb, const char *path);
/* A file that is read again later. Rules hold on to files, not to names, and a file is usually replaced by another one of
 * its name; so its directory is opened for reading, and the one it really lies in if it is a link. */
void hl_sandbox_reread(struct hl_sandbox *sb, const char *path);
/* A directory whose files are ours: read, write, make, replace and remove files and sockets. */
void hl_sandbox_own(struct hl_sandbox *sb, const char *dir);
/* A file or directory to be made, which takes the directory around it; one that is there already: a directory to be
 * filled, a file to be read. */
void hl_sandbox_make(struct hl_sandbox *sb, const char *path);
/* A unix socket to be made and removed. */
void hl_sandbox_socket(struct hl_sandbox *sb, const char *path);
/* A TCP port to be bound; all others are closed to bind (not to connect). */
void hl_sandbox_port(struct hl_sandbox *sb, uint16_t port);
/* From here on, for this thread and those it starts; there is no way back. Before any other thread exists. Returns HL_OK
 * also when there is nothing to enter; HL_EIO when the kernel refuses, and then nothing is closed. */
HL_MUST_CHECK int hl_sandbox_enter(struct hl_sandbox *sb, struct hl_err *err);

#endif
