/* What the files of this floor share: the service object, the machinery of a change, pages of a table. */
#ifndef HL_SERVICE_INTERNAL_H
#define HL_SERVICE_INTERNAL_H

#include "service/cache.h"
#include "service/service.h"
#include "store/accounts.h"
#include "store/commit.h"

struct hl_service {
	struct hl_dispatcher *dispatcher;
	struct hl_store *store;
	struct hl_commit *commit;
	const struct hl_env *env;
	const struct hl_log *log;
	struct hl_tiers tiers;
	struct hl_limits limits;
	struct hl_cache keys;            /* struct key_entry */
	uint8_t key_mac[2][16];          /* random per process: see keys.c */
	struct hl_cache accounts;        /* struct account_entry */
	struct hl_map_str account_ids;   /* id → its entry in `accounts` */
	struct hl_map_str answers;       /* keys in use: struct hl_answer */
	size_t n_changes;                /* submitted, done not called yet */
	bool closing;
	hl_close_cb on_closed;
	void *on_closed_data;
};

/* ---- a change ----------------------------------------------------------------------------------------------------- */

/* Lives from hl_change_new to the return of its callback. `apply` runs on the storage thread and may run again, so it
 * keeps its results here and writes them anew each time; everything it reads was copied into `arena` before. */
struct hl_change {
	struct hl_command command;
	struct hl_service *service;
	struct hl_arena arena;
	int (*apply)(struct hl_change *c, struct hl_txn *txn);
	void (*landed)(struct hl_change *c);   /* loop, durable: caches, result.object. May be NULL */
	hl_change_cb cb;                       /* may be NULL */
	void *data;
	struct hl_err err;                     /* what apply has to say about its failure */
	struct hl_change_result result;
	union {                                /* what is to be stored; slices into arena */
		struct hl_account account;
		struct hl_key key;
		struct hl_subject subject;
	};
	uint32_t fields;                       /* of an update */
	uint8_t sha256[32];                    /* of a new key */
	struct {
		bool on;
		uint32_t account;
		struct hl_str scope, key;
		uint8_t fingerprint[32];
		struct hl_buf sealed;          /* the answer to keep */
		struct hl_buf found;           /* the sealed answer kept before (apply) */
		struct hl_buf answer;          /* …opened (loop) */
		bool replayed;
	} idem;
};

/* NULL: no memory. */
struct hl_change *hl_change_new(struct hl_service *s, int (*apply)(struct hl_change *, struct hl_txn *),
		void (*landed)(struct hl_change *), hl_change_cb cb, void *data);
void hl_change_free(struct hl_change *c);              /* one that was not submitted */
struct hl_str hl_change_dup(struct hl_change *c, struct hl_str s); /* ptr NULL: no memory */
/* The change happens once per key; `object` and `secret` are what the answer is rendered from. */
HL_MUST_CHECK int hl_change_once(struct hl_change *c, uint32_t account, const struct hl_idempotency *idem,
		const void *object, struct hl_str secret);
void hl_change_submit(struct hl_change *c);

/* ---- pages of a table --------------------------------------------------------------------------------------------- */

/* The numbers at the end of the keys below `prefix`, newest first. decode() judges a row and fills *out_row (of `size`
 * bytes ≤ HL_ROW_MAX); false leaves the row out. */
enum { HL_ROW_MAX = 256 };
struct hl_rows {
	enum hl_table table;
	struct hl_dbkey prefix;
	size_t number_len;               /* 4 or 8 bytes */
	size_t size;
	bool (*decode)(void *data, struct hl_txn *txn, uint64_t number, struct hl_str value, void *out_row);
	void *data;
};
HL_MUST_CHECK int hl_rows_page(struct hl_txn *txn, const struct hl_rows *rows, const struct hl_page *page, void *out,
		size_t *out_n, struct hl_page_info *info);

/* ---- between the files -------------------------------------------------------------------------------------------- */

/* Frees a closing service that has nothing left to wait for. */
void hl_service_settle(struct hl_service *s);

void hl_accounts_init(struct hl_service *s, size_t cache_max);
void hl_accounts_fini(struct hl_service *s);
void hl_keys_init(struct hl_service *s, size_t cache_max);
void hl_keys_fini(struct hl_service *s);
void hl_answers_fini(struct hl_service *s);
/* Writes account 1 when it is not there. */
void hl_account_default_put(struct hl_txn *txn, hl_ms_t now_ms);
/* Rows to what the API sees. */
void hl_key_from_row(const struct hl_key_row *row, struct hl_key *out);
void hl_account_from_row(const struct hl_account_row *row, struct hl_account *out);
/* A new key's row from *k and its text. */
void hl_key_row_make(const struct hl_key *k, const char *text, struct hl_key_row *out);

#endif
