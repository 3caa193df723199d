/* Loopback listeners on a port the kernel chooses, for tests that need a peer without a library. */
#ifndef HL_TEST_PORT_H
#define HL_TEST_PORT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* The port an AF_INET or AF_INET6 socket is bound to. */
static inline uint16_t port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len)) {
		perror("getsockname");
		abort();
	}
	return ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port : ((struct sockaddr_in *)&ss)->sin_port);
}

/* A socket bound to 127.0.0.1 on a free port; backlog ≥ 0 also listens. The caller closes it. */
static inline int port_bind(int backlog, uint16_t *out_port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) || (backlog >= 0 && listen(fd, backlog))) {
		perror("port_bind");
		abort();
	}
	*out_port = port_of(fd);
	return fd;
}

/* A port nobody listens on: bound but not listening, so that a connect is refused and nobody else gets it meanwhile.
 * Close the descriptor at the end of the test. */
static inline int port_refusing(uint16_t *out_port)
{
	return port_bind(-1, out_port);
}

#endif
