/* Talking to the service manager (sd_notify protocol): one datagram per message to $NOTIFY_SOCKET. */
#ifndef HL_MAIN_NOTIFY_H
#define HL_MAIN_NOTIFY_H

#include <hookline/types.h>
#include <uv.h>

/* Sends e.g. "READY=1\nSTATUS=…". Nothing happens when nobody asked to be notified; failures are nobody's loss. */
void hl_notify(const char *message);
/* "RELOADING=1" with the clock value that Type=notify-reload wants. */
void hl_notify_reloading(void);

/* Sends WATCHDOG=1 twice per $WATCHDOG_USEC as long as the loop turns; without it there is no timer at all. */
struct hl_watchdog {
	uv_timer_t timer;
	bool on;
};
void hl_watchdog_start(struct hl_watchdog *w, uv_loop_t *loop);
void hl_watchdog_stop(struct hl_watchdog *w);

#endif
