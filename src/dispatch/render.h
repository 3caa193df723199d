/* The body of a delivery, by dialect and format. `data` is never copied or changed: a body is a head, the published
 * bytes and a tail, so it can be sent with one writev and serve every webhook of a fan-out that needs nothing of its
 * own. */
#ifndef HL_DISPATCH_RENDER_H
#define HL_DISPATCH_RENDER_H

#include "dispatch/render_chat.h"

/* A rendered body. `data` is borrowed from the event and must outlive the body. Zeroed memory is an empty body. */
struct hl_body {
	struct hl_buf text;     /* head, then tail */
	size_t head_len;        /* bytes of text before data */
	struct hl_str data;     /* "" when the format does not carry it (discord, telegram) */
};

/* Whether one body serves all webhooks of this dialect and format (all but aboutyou's standard body, which names the
 * webhook). */
bool hl_render_shared(enum hl_dialect dialect, enum hl_format format);
/* Whether the body depends on r->server. */
bool hl_render_wants_server(enum hl_dialect dialect);

/* Fills *out, which must be initialised (its memory is re-used). HL_ENOMEM. */
HL_MUST_CHECK int hl_render_body(const struct hl_render *r, struct hl_body *out);

void hl_body_init(struct hl_body *b);
void hl_body_fini(struct hl_body *b);
size_t hl_body_len(const struct hl_body *b);
/* The pieces in order, empty ones left out; returns how many (0 … 3). Valid while body and event live. */
size_t hl_body_slices(const struct hl_body *b, struct hl_str out[3]);

#endif
