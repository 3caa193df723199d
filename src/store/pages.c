/* Happy path: the newest of the two first pages names the roots of two trees, the free list and the table of tables; the
 * entries of the latter name the root of every table. Each tree is walked from its root, page by page; a page is read into
 * a buffer of its depth and looked at before anything in it is followed:
 *
 *   its number stands in it, its kind fits its depth, the offsets of its nodes lie inside it, keys ascend and lie between
 *   the keys its parent gives, pages it leads to exist and lead nowhere else, values that need pages of their own have
 *   enough of them; in the end a tree has as many pages and entries as it says.
 *
 * What is damaged is told, and not followed; the walk goes on beside it. Nothing is trusted for its size: the file is read
 * with pread, so that even one that is cut while we read only ends the walk.
 *
 *   page     number:8 pad:2 kind:2 lower:2 upper:2, then offsets of nodes (2 each) up to lower; nodes from upper on.
 *            Of a long value: lower and upper are its number of pages.
 *   node     size-low:2 size-high:2 flags:2 key-length:2 key, value. In a branch the first three are a page's number.
 *   tree     pad:4 flags:2 depth:2 branches:8 leaves:8 long:8 entries:8 root:8
 *   first    page head, magic:4 version:4 address:8 map:8 free-list tree:48 (pad = page size) main tree:48 last page:8 txn:8 */
#include "store/pages.h"
#include "base/err.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MAGIC = (int)0xbeefc0de, DATA_VERSION = 1, HEAD = 16, NODE_HEAD = 8, TREE_LEN = 48, META_LEN = 136, DEPTH_MAX = 32,
	PAGE_MIN = 512, PAGE_MAX = 32768, KEY_MAX = 511,
	KIND_BRANCH = 1, KIND_LEAF = 2, KIND_LONG = 4, KIND_META = 8, KIND_ALL = 0x7f,
	NODE_LONG = 1, NODE_TREE = 2, NODE_DUPS = 4,
	TREE_NUMBER_KEYS = 8,
};
#define NO_PAGE UINT64_MAX
#define PAGES_MAX (UINT64_C(1) << 40)
#define MISSING_MAX (1 << 20)           /* pages that were counted but never written, at the end of a file */

struct tree {
	uint16_t flags, depth;
	uint64_t branches, leaves, long_pages, entries, root;
};

struct meta {
	uint32_t page_size;
	struct tree free_list, main;
	uint64_t last_page, txnid;
};

struct key {
	const uint8_t *ptr;           /* NULL = no bound */
	size_t len;
};

struct walk {
	struct hl_pages_check *c;
	struct meta meta;
	uint64_t n_pages;             /* that exist: the last one's number + 1 */
	uint8_t *used;                /* a bit for each */
	const char *name;             /* of the tree being walked */
	struct tree says, found;
	uint8_t *page[DEPTH_MAX];
	uint8_t *extra;               /* head of a long value */
	uint64_t last_number;         /* of the free list's keys */
	int failed;                   /* errno of a read */
};

static uint16_t u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, sizeof(v)); return v; }
static uint32_t u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, sizeof(v)); return v; }
static uint64_t u64(const uint8_t *p) { uint64_t v; memcpy(&v, p, sizeof(v)); return v; }

static void HL_PRINTF(2, 3) damage(struct walk *w, const char *fmt, ...)
{
	char text[200];
	va_list ap;
	int n = w->name ? snprintf(text, sizeof(text), "%s: ", w->name) : 0;
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	w->c->damages++;
	if (w->c->damage)
		w->c->damage(w->c->data, text);
}

/* ---- the first pages ---------------------------------------------------------------------------------------------- */

static struct tree tree_of(const uint8_t *p)
{
	return (struct tree){ .flags = u16(p + 4), .depth = u16(p + 6), .branches = u64(p + 8), .leaves = u64(p + 16),
		.long_pages = u64(p + 24), .entries = u64(p + 32), .root = u64(p + 40) };
}

static bool tree_sane(const struct tree *t, uint64_t n_pages)
{
	if (t->root == NO_PAGE)
		return t->depth == 0 && t->entries == 0;
	return t->root >= 2 && t->root < n_pages && t->depth > 0 && t->depth < DEPTH_MAX;
}

/* NULL, or what is wrong with a first page. */
static const char *meta_read(const uint8_t *p, uint64_t number, struct meta *out)
{
	const uint8_t *m = p + HEAD;
	if (u64(p) != number || u16(p + 10) != KIND_META)
		return "is no first page";
	if (u32(m) != (uint32_t)MAGIC || u32(m + 4) != DATA_VERSION)
		return "is none of LMDB's";
	out->page_size = u32(m + 24);
	out->free_list = tree_of(m + 24);
	out->main = tree_of(m + 24 + TREE_LEN);
	out->last_page = u64(m + 24 + 2 * TREE_LEN);
	out->txnid = u64(m + 24 + 2 * TREE_LEN + 8);
	if (out->page_size < PAGE_MIN || out->page_size > PAGE_MAX || out->page_size & (out->page_size - 1))
		return "has an impossible page size";
	if (out->last_page < 1 || out->last_page >= PAGES_MAX)
		return "has an impossible last page";
	if (out->free_list.flags != TREE_NUMBER_KEYS || out->main.flags != 0)
		return "has flags this program never sets";
	return NULL;
}

/* Both first pages, and which of them counts. The roots of the other one may be anything: after a write of it failed LMDB puts
 * its old number back, and no more. */
static int metas_read(int fd, struct meta out[2], struct meta **out_newest, struct hl_err *err)
{
	uint8_t p[HEAD + META_LEN];
	uint64_t at = 0;
	for (uint64_t i = 0; i < 2; i++) {
		ssize_t n = pread(fd, p, sizeof(p), (off_t)at);
		if (n < 0)
			return hl_err_errno(err, errno, "data.mdb");
		if (n < (ssize_t)sizeof(p))
			return hl_err_set(err, HL_ECORRUPT, "data.mdb is damaged, restore a backup, or no store we know: page %" PRIu64
					" is cut short", i);
		const char *wrong = meta_read(p, i, &out[i]);
		if (wrong)
			return hl_err_set(err, HL_ECORRUPT, "data.mdb is damaged, restore a backup, or no store we know: page %" PRIu64 " %s",
					i, wrong);
		at = out[0].page_size;
	}
	if (out[0].page_size != out[1].page_size)
		return hl_err_set(err, HL_ECORRUPT, "data.mdb is damaged, restore a backup: its first pages tell different page sizes");
	struct meta *m = *out_newest = &out[out[1].txnid > out[0].txnid];
	if (!tree_sane(&m->free_list, m->last_page + 1) || !tree_sane(&m->main, m->last_page + 1))
		return hl_err_set(err, HL_ECORRUPT, "data.mdb is damaged, restore a backup: page %d has an impossible root", m == &out[1]);
	return 0;
}

int hl_pages_head(int fd, uint32_t *out_page_size, struct hl_err *err)
{
	struct meta m[2], *newest;
	struct stat st;
	*out_page_size = 0;
	if (fstat(fd, &st))
		return hl_err_errno(err, errno, "data.mdb");
	if (st.st_size == 0)
		return 0;
	int rc = metas_read(fd, m, &newest, err);
	if (!rc && (uint64_t)st.st_size < 2 * (uint64_t)m[0].page_size)
		rc = hl_err_set(err, HL_ECORRUPT, "data.mdb is damaged, restore a backup, or no store we know: page 1 is cut short");
	if (!rc)
		*out_page_size = m[0].page_size;
	return rc;
}

/* ---- pages -------------------------------------------------------------------------------------------------------- */

/* Marks n pages from `number` on as used by the tree; false (and told) when one does not exist or is used already. */
static bool claim(struct walk *w, uint64_t number, uint64_t n, const char *as)
{
	if (number < 2 || n == 0 || n > w->n_pages || number > w->n_pages - n) {
		damage(w, "page %" PRIu64 " (%" PRIu64 " of them) is to be %s, but there are %" PRIu64, number, n, as, w->n_pages);
		return false;
	}
	for (uint64_t i = number; i < number + n; i++) {
		if (w->used[i / 8] >> i % 8 & 1) {
			damage(w, "page %" PRIu64 " is to be %s, but is used elsewhere", i, as);
			return false;
		}
		w->used[i / 8] |= (uint8_t)(1 << i % 8);
	}
	w->c->pages += n;
	return true;
}

static bool load(struct walk *w, uint64_t number, uint8_t *out, size_t len)
{
	ssize_t n = pread(w->c->fd, out, len, (off_t)(number * w->meta.page_size));
	if (n < 0)
		w->failed = errno;
	else if (n < (ssize_t)len)
		damage(w, "page %" PRIu64 " is missing, the file was cut short", number);
	else if (u64(out) != number)
		damage(w, "page %" PRIu64 " says it is page %" PRIu64, number, u64(out));
	else
		return true;
	return false;
}

static int key_cmp(const struct walk *w, struct key a, struct key b)
{
	if (w->says.flags & TREE_NUMBER_KEYS && a.len == 8 && b.len == 8)
		return u64(a.ptr) < u64(b.ptr) ? -1 : u64(a.ptr) > u64(b.ptr);
	int c = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
	return c ? c : a.len < b.len ? -1 : a.len > b.len;
}

static unsigned n_nodes(const uint8_t *page)
{
	return (unsigned)(u16(page + 12) - HEAD) / 2;
}

static const uint8_t *node_at(const uint8_t *page, unsigned i)
{
	return page + u16(page + HEAD + 2 * i);
}

static struct key key_of(const uint8_t *node)
{
	return (struct key){ node + NODE_HEAD, u16(node + 6) };
}

static uint64_t child_of(const uint8_t *node)
{
	return (uint64_t)u16(node) | (uint64_t)u16(node + 2) << 16 | (uint64_t)u16(node + 4) << 32;
}

static uint32_t value_len(const uint8_t *node)
{
	return (uint32_t)u16(node) | (uint32_t)u16(node + 2) << 16;
}

/* Bytes a node takes in its page, with its key and what lies beside it. */
static uint64_t node_len(const uint8_t *node, bool leaf)
{
	uint64_t n = NODE_HEAD + (uint64_t)u16(node + 6);
	if (leaf)
		n += u16(node + 4) & NODE_LONG ? 8 : value_len(node);
	return n;
}

/* NULL, or what is wrong with a page before its keys and values are looked at. */
static const char *page_wrong(const struct walk *w, const uint8_t *p, bool leaf)
{
	unsigned lower = u16(p + 12), upper = u16(p + 14), size = w->meta.page_size, taken = 0;
	if ((u16(p + 10) & KIND_ALL) != (leaf ? KIND_LEAF : KIND_BRANCH))
		return leaf ? "is no leaf" : "is no branch";
	if (lower < HEAD || lower > upper || upper > size || lower % 2)
		return "has impossible bounds";
	if (n_nodes(p) < (leaf ? 1 : 2))
		return "has too few entries";
	for (unsigned i = 0; i < n_nodes(p); i++) {
		unsigned at = u16(p + HEAD + 2 * i);
		if (at < upper || at + NODE_HEAD > size || at % 2 || at + node_len(p + at, leaf) > size)
			return "has an entry that lies outside of it";
		if (u16(p + at + 6) > KEY_MAX)
			return "has an entry with an impossible key";
		taken += (unsigned)(node_len(p + at, leaf) + 1) & ~1u;
		if (leaf && (u16(p + at + 4) & NODE_DUPS || u16(p + at + 4) > 7))
			return "has an entry with flags this program never sets";
	}
	return taken == size - upper ? NULL : "has entries that lie over each other";
}

/* Keys ascend, not below `least` and below `limit`. The first key of a branch is not looked at by anybody. */
static bool keys_fine(struct walk *w, uint64_t number, const uint8_t *p, bool leaf, struct key least, struct key limit)
{
	for (unsigned i = leaf ? 0 : 1; i < n_nodes(p); i++) {
		struct key k = key_of(node_at(p, i));
		bool first = i == (leaf ? 0u : 1u);
		if (leaf && k.len == 0) {
			damage(w, "page %" PRIu64 ": an entry without a key", number);
			return false;
		}
		if (first ? least.ptr && key_cmp(w, k, least) < 0 : key_cmp(w, key_of(node_at(p, i - 1)), k) >= 0) {
			damage(w, "page %" PRIu64 ": its keys are not in order", number);
			return false;
		}
		if (limit.ptr && key_cmp(w, k, limit) >= 0) {
			damage(w, "page %" PRIu64 ": a key belongs into another page", number);
			return false;
		}
	}
	return true;
}

/* ---- values ------------------------------------------------------------------------------------------------------- */

static void long_value(struct walk *w, const uint8_t *node)
{
	uint64_t number = u64(node + NODE_HEAD + u16(node + 6)), len = value_len(node);
	if (number < 2 || number >= w->n_pages) {
		damage(w, "a long value at page %" PRIu64 ", but there are %" PRIu64, number, w->n_pages);
		return;
	}
	if (!load(w, number, w->extra, HEAD))
		return;
	uint64_t n = u32(w->extra + 12);
	if ((u16(w->extra + 10) & KIND_ALL) != KIND_LONG || n * w->meta.page_size < HEAD + len) {
		damage(w, "page %" PRIu64 ": no long value of %" PRIu64 " bytes", number, len);
		return;
	}
	if (claim(w, number, n, "a long value"))
		w->found.long_pages += n;
}

/* The free list's values are page numbers, largest first: behind a count. Those of values with pages of their own are read
 * through a buffer. */
static void free_pages(struct walk *w, const uint8_t *node)
{
	uint64_t len = value_len(node), n, before = UINT64_MAX;
	bool apart = u16(node + 4) & NODE_LONG;
	const uint8_t *value = node + NODE_HEAD + u16(node + 6);
	uint8_t *copy = NULL;
	if (apart) {
		uint64_t at = u64(value) * w->meta.page_size + HEAD;
		if (len > w->n_pages * 8 + 8 || !(copy = malloc(len))) {
			damage(w, "an impossible list of free pages");
			return;
		}
		if (pread(w->c->fd, copy, len, (off_t)at) != (ssize_t)len) {
			damage(w, "a list of free pages is missing, the file was cut short");
			free(copy);
			return;
		}
		value = copy;
	}
	n = len >= 8 ? u64(value) : 0;
	if (len < 8 || n > (len - 8) / 8)
		damage(w, "a list of free pages is longer than its value");
	else
		for (uint64_t i = 1; i <= n; i++) {
			uint64_t number = u64(value + 8 * i);
			if (number >= before)
				damage(w, "a list of free pages is not in order");
			if (number >= before || !claim(w, number, 1, "free"))
				break;
			before = number;
		}
	free(copy);
}

/* ---- trees -------------------------------------------------------------------------------------------------------- */

static void leaf_values(struct walk *w, const uint8_t *p)
{
	for (unsigned i = 0; i < n_nodes(p) && !w->failed; i++) {
		const uint8_t *node = node_at(p, i);
		w->found.entries++;
		if (u16(node + 4) & NODE_LONG)
			long_value(w, node);
		if (w->says.flags & TREE_NUMBER_KEYS)
			free_pages(w, node);
	}
}

static void page_walk(struct walk *w, uint64_t number, unsigned depth, struct key least, struct key limit)
{
	uint8_t *p = w->page[depth];
	bool leaf = depth + 1 == w->says.depth;
	if (w->failed || !claim(w, number, 1, leaf ? "a leaf" : "a branch"))
		return;
	w->found.leaves += leaf;
	w->found.branches += !leaf;
	if (leaf && w->c->branches_only && !(w->says.flags & TREE_NUMBER_KEYS))
		return;
	if (!load(w, number, p, w->meta.page_size))
		return;
	const char *wrong = page_wrong(w, p, leaf);
	if (wrong) {
		damage(w, "page %" PRIu64 " %s", number, wrong);
		return;
	}
	if (!keys_fine(w, number, p, leaf, least, limit))
		return;
	if (leaf) {
		leaf_values(w, p);
		return;
	}
	for (unsigned i = 0; i < n_nodes(p) && !w->failed; i++)
		page_walk(w, child_of(node_at(p, i)), depth + 1, i ? key_of(node_at(p, i)) : least,
				i + 1 < n_nodes(p) ? key_of(node_at(p, i + 1)) : limit);
}

static void tree_walk(struct walk *w, const char *name, const struct tree *t)
{
	const struct key none = { NULL, 0 };
	uint64_t before = w->c->damages;
	w->name = name;
	w->says = *t;
	w->found = (struct tree){ .flags = 0 };
	if (t->root != NO_PAGE)
		page_walk(w, t->root, 0, none, none);
	if (w->failed || w->c->damages != before)
		return; /* what is missing is told already */
	const struct tree *f = &w->found;
	bool leaves_read = !w->c->branches_only || t->flags & TREE_NUMBER_KEYS;
	if (f->branches != t->branches || f->leaves != t->leaves ||
			(leaves_read && (f->long_pages != t->long_pages || f->entries != t->entries)))
		damage(w, "%" PRIu64 " pages and %" PRIu64 " entries found, %" PRIu64 " and %" PRIu64 " expected",
				f->branches + f->leaves + f->long_pages, f->entries, t->branches + t->leaves + t->long_pages, t->entries);
}

/* The table of tables is small: its one leaf, or its leaves, are kept while the tables are walked. */
struct tables {
	struct { char name[KEY_MAX + 1]; struct tree tree; } list[64];
	unsigned n;
};

static void tables_read(struct walk *w, uint64_t number, unsigned depth, struct tables *out)
{
	uint8_t *p = w->page[depth];
	if (!load(w, number, p, w->meta.page_size))
		return;
	for (unsigned i = 0; i < n_nodes(p); i++) {
		const uint8_t *node = node_at(p, i);
		if (depth + 1 < w->meta.main.depth) {
			tables_read(w, child_of(node), depth + 1, out);
			continue;
		}
		struct key k = key_of(node);
		if (u16(node + 4) != NODE_TREE || value_len(node) != TREE_LEN || out->n == sizeof(out->list) / sizeof(out->list[0])) {
			damage(w, "an entry that is no table");
			continue;
		}
		memcpy(out->list[out->n].name, k.ptr, k.len);
		out->list[out->n].name[k.len] = '\0';
		out->list[out->n++].tree = tree_of(k.ptr + k.len);
	}
}

static void walk_all(struct walk *w)
{
	struct tables *t = calloc(1, sizeof(*t));
	bool branches_only = w->c->branches_only;
	if (!t) {
		w->failed = ENOMEM;
		return;
	}
	tree_walk(w, "free list", &w->meta.free_list);
	w->c->branches_only = false;
	uint64_t before = w->c->damages;
	tree_walk(w, "table of tables", &w->meta.main);
	w->c->branches_only = branches_only;
	if (w->c->damages == before && w->meta.main.root != NO_PAGE && !w->failed)
		tables_read(w, w->meta.main.root, 0, t);
	for (unsigned i = 0; i < t->n && !w->failed; i++) {
		w->name = t->list[i].name;
		if (t->list[i].tree.flags || !tree_sane(&t->list[i].tree, w->n_pages))
			damage(w, "its root is impossible");
		else
			tree_walk(w, t->list[i].name, &t->list[i].tree);
	}
	free(t);
}

static int walk_init(struct walk *w, uint64_t file_len, struct hl_err *err)
{
	struct meta m[2], *newest;
	int rc = metas_read(w->c->fd, m, &newest, err);
	if (rc)
		return rc;
	w->meta = *newest;
	if (w->c->txnid && m[w->c->txnid & 1].txnid == w->c->txnid)
		w->meta = m[w->c->txnid & 1];
	w->n_pages = w->meta.last_page + 1;
	if (w->n_pages > file_len / w->meta.page_size + MISSING_MAX)
		return hl_err_set(err, HL_ECORRUPT, "data.mdb was cut short: %" PRIu64 " bytes, %" PRIu64 " pages expected", file_len,
				w->n_pages);
	w->used = calloc(1, w->n_pages / 8 + 1);
	bool ok = w->used && (w->extra = malloc(HEAD)) != NULL;
	for (unsigned i = 0; i < DEPTH_MAX && ok; i++)
		ok = (w->page[i] = malloc(w->meta.page_size)) != NULL;
	return ok ? 0 : hl_err_set(err, HL_ENOMEM, "out of memory");
}

int hl_pages_check(struct hl_pages_check *c, struct hl_err *err)
{
	struct walk w = { .c = c };
	struct stat st;
	c->pages = c->damages = 0;
	if (fstat(c->fd, &st))
		return hl_err_errno(err, errno, "data.mdb");
	int rc = walk_init(&w, (uint64_t)st.st_size, err);
	if (!rc)
		walk_all(&w);
	if (!rc && w.failed)
		rc = hl_err_errno(err, w.failed, "data.mdb");
	free(w.used);
	free(w.extra);
	for (unsigned i = 0; i < DEPTH_MAX; i++)
		free(w.page[i]);
	return rc;
}
