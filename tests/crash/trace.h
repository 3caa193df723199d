/* The trace of a server's disk: written by shim.c, read by power.c and power.py. Records lie behind each other in the byte
 * order of the machine: the struct, the path, the data. */
#ifndef HL_TEST_TRACE_H
#define HL_TEST_TRACE_H

#include <stdint.h>

enum { TRACE_MAGIC = 0x484c5431, TRACE_ANSWER_MAX = 1 << 20 };

enum trace_op {
	TRACE_WRITE = 1,        /* path, at, data */
	TRACE_FLUSH,            /* path of a file or directory; at = records there were when it began */
	TRACE_FLUSH_RANGE,      /* path, at, len: written through O_DSYNC */
	TRACE_CREATE,           /* path */
	TRACE_RENAME,           /* path; data = the new one */
	TRACE_REMOVE,           /* path */
	TRACE_TRUNCATE,         /* path; at = the size */
	TRACE_ANSWER,           /* fd, data: bytes of an HTTP answer about to be sent */
	TRACE_CLOSE,            /* fd of a client's connection */
	TRACE_START,            /* a process begins; one before it has ended, and its connections */
};

struct trace_record {
	uint32_t magic;
	uint8_t op;
	uint8_t zero;
	uint16_t path_len;
	uint32_t fd;
	uint32_t zero2;
	uint64_t at;
	uint64_t len;
	uint64_t data_len;
};

#endif
