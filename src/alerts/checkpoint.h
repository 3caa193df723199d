/* Writing the quotes of items behind, so that the log of ticks stays short. */
#ifndef HL_ALERTS_CHECKPOINT_H
#define HL_ALERTS_CHECKPOINT_H

#include "base/buf.h"
#include "store/commit.h"

struct hl_alerts;

enum {
	HL_CHECKPOINT_FROM = 16 << 20,      /* bytes of the log from which on a round begins */
	HL_CHECKPOINT_LOG_MAX = 256 << 20,  /* so much may wait, however small the market is */
	HL_CHECKPOINT_BLOCK_COST = 64,      /* bytes a block takes besides its own */
};

/* IDLE ─► WRITING (rows of dirty items) ─► DROPPING (the blocks they cover) ─► IDLE; a failure leads back to IDLE. */
enum hl_checkpoint_state { HL_CHECKPOINT_IDLE, HL_CHECKPOINT_WRITING, HL_CHECKPOINT_DROPPING };

struct hl_checkpoint {
	enum hl_checkpoint_state state;
	uint64_t *dirty;              /* bit per item of the market: its row is older than the log */
	size_t dirty_cap;             /* items it has room for */
	uint64_t log_bytes;           /* of the blocks in the store */
	uint64_t last_block;          /* newest one in memory */
	uint64_t from_bytes;          /* HL_CHECKPOINT_FROM; tests take less */
	uint64_t round_bytes;         /* of rows written by the last round that ended well: the next begins no earlier */
	/* the round */
	uint64_t written_bytes;       /* of rows so far */
	uint32_t at;                  /* next item to look at */
	uint32_t slice_from;          /* first one looked at for the slice under way */
	uint64_t cover, cover_bytes;  /* blocks up to here may go when all is written; their bytes */
	struct hl_command command;
	struct hl_buf rows;           /* of the slice under way: item_id:8, length:4, block */
	bool dropped;                 /* by apply: none is left */
	hl_ms_t not_before_mono_ms;   /* after a failure */
};
void hl_checkpoint_init(struct hl_checkpoint *c);
void hl_checkpoint_fini(struct hl_checkpoint *c);
/* Room for that many items. HL_ENOMEM. */
HL_MUST_CHECK int hl_checkpoint_reserve(struct hl_checkpoint *c, uint64_t items);
void hl_checkpoint_note(struct hl_checkpoint *c, uint32_t item);
/* A block of that length is stored and in memory. */
void hl_checkpoint_logged(struct hl_checkpoint *c, uint64_t block, size_t len);
/* Rounds do not keep up: no ticks now. */
bool hl_checkpoint_behind(const struct hl_checkpoint *c);
/* Part of the tick; when it wants to be called again (monotonic). */
hl_ms_t hl_checkpoint_tick(struct hl_alerts *a, hl_ms_t now_mono_ms);

#endif
