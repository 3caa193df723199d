/* Messages for people: Discord embeds and Telegram texts made from any event, within the limits of the platforms. */
#ifndef HL_DISPATCH_RENDER_CHAT_H
#define HL_DISPATCH_RENDER_CHAT_H

#include "base/buf.h"
#include <hookline/event.h>

/* What is known of the server an event is about; NULL when it names none (or the server is gone). */
struct hl_render_server {
	struct hl_str id;
	struct hl_str name;
	struct hl_str status;   /* "" = unknown */
};

struct hl_render {
	enum hl_dialect dialect;
	enum hl_format format;
	const struct hl_event *event;      /* number, id, type, data, occurred_at_ms, created_at_ms are used */
	const struct hl_render_server *server;
	uint32_t webhook;       /* number; used only where hl_render_shared says false */
};

/* The event of a test request whose caller names none. */
#define HL_RENDER_TEST_TYPE "hookline.test"
#define HL_RENDER_TEST_DATA "{\"message\":\"Webhook connected\"}"
#define HL_RENDER_PRODUCT "Hookline"

/* Appends the whole JSON body. HL_ENOMEM only for the scratch memory; appending may have made `out` fail. */
HL_MUST_CHECK int hl_render_discord(const struct hl_render *r, struct hl_buf *out);
HL_MUST_CHECK int hl_render_telegram(const struct hl_render *r, struct hl_buf *out);

#endif
