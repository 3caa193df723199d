/* The protocol is a few lines of text in a datagram; libsystemd is not worth its weight for it.
 * $NOTIFY_SOCKET is a path, or an abstract name written with '@' in front. */
#include "main/notify.h"

#include "base/str.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void hl_notify(const char *message)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(un.sun_path))
		return;
	size_t len = strlen(path);
	memcpy(un.sun_path, path, len);
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	(void)!sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&un, size);
	close(fd);
}

void hl_notify_status(const char *state, const char *fmt, ...)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s%sSTATUS=", state, state[0] ? "\n" : "");
	char *status = text + n;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(status, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	for (char *p = status; (p = strchr(p, '\n')) != NULL;)
		*p = ' ';
	hl_notify(text);
}

void hl_notify_reloading(void)
{
	struct timespec ts;
	char text[64];
	clock_gettime(CLOCK_MONOTONIC, &ts);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld%06ld", (long long)ts.tv_sec, ts.tv_nsec / 1000);
	hl_notify(text);
}

static void on_beat(uv_timer_t *t)
{
	(void)t;
	hl_notify("WATCHDOG=1");
}

void hl_watchdog_start(struct hl_watchdog *w, uv_loop_t *loop)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t period, who;
	*w = (struct hl_watchdog){ .on = false };
	if (!usec || !hl_str_u64(hl_str_from(usec), &period) || period < 2000)
		return;
	if (pid && (!hl_str_u64(hl_str_from(pid), &who) || who != (uint64_t)getpid()))
		return;
	uv_timer_init(loop, &w->timer);
	uv_timer_start(&w->timer, on_beat, period / 2000, period / 2000);
	uv_unref((uv_handle_t *)&w->timer);
	w->on = true;
}

void hl_watchdog_stop(struct hl_watchdog *w)
{
	if (w->on)
		uv_close((uv_handle_t *)&w->timer, NULL);
	w->on = false;
}
