/* Any bytes as a configuration file, an environment, assignments, or single values. Whatever was taken is printed as a
 * file that says the same: read again, every option has the same text. A number printed is read as that number.
 *
 * The first byte chooses: file, assignments (a line each), environment (a line each), one value of a kind. */
#include "fuzz.h"
#include "main/config.h"
#include "main/usage.h"
#include "main/value.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINES_MAX = 64 };

static int read_bytes(struct hl_config *c, struct hl_str bytes, struct hl_err *err)
{
	char path[64];
	int fd = memfd_create("hookline.conf", MFD_CLOEXEC);
	HL_CHECK(fd >= 0 && write(fd, bytes.len ? bytes.ptr : "", bytes.len) == (ssize_t)bytes.len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int rc = hl_config_read_file(c, path, err);
	close(fd);
	return rc;
}

static void same(const struct hl_config *a, const struct hl_config *b)
{
	for (int i = 0; i < HL_SETTING_N; i++) {
		struct hl_str x = hl_str_from(a->text[i]), y = hl_str_from(b->text[i]);
		bool list = hl_settings[i].kind == HL_VALUE_LIST || hl_settings[i].kind == HL_VALUE_RETRY;
		while (list && x.ptr && y.ptr) /* blanks around the entries are the printer's */
			HL_CHECK(hl_str_eq(hl_str_trim(hl_str_split(&x, ',')), hl_str_trim(hl_str_split(&y, ','))));
		HL_CHECK(hl_str_eq(x, y));
	}
}

/* Printed and read. */
static void again(struct hl_config *c)
{
	struct hl_config second;
	struct hl_err err = { 0 };
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	HL_CHECK(out);
	hl_usage_config(out, c);
	fclose(out);
	HL_CHECK(!hl_config_init(&second, NULL));
	if (strstr(text, "\n# longer than a line")) { /* no file can say it */
		hl_config_fini(&second);
		free(text);
		return;
	}
	if (read_bytes(&second, hl_str_make(text, len), &err))
		hl_panic(__FILE__, __LINE__, err.text);
	same(c, &second);
	HL_CHECK(hl_config_check(c, NULL) == hl_config_check(&second, NULL));
	hl_config_fini(&second);
	free(text);
}

/* The lines of the rest, each NUL-terminated; those with a NUL inside end there, as they would for the program. */
static size_t lines(struct hl_str in, char *out[LINES_MAX + 1])
{
	size_t n = 0;
	while (in.len && n < LINES_MAX) {
		struct hl_str s = fuzz_line(&in);
		out[n++] = fuzz_cstr(s);
	}
	out[n] = NULL;
	return n;
}

static void whole(unsigned how, struct hl_str in)
{
	struct hl_config c;
	struct hl_err err = { 0 };
	char *v[LINES_MAX + 1];
	int rc = 0;
	HL_CHECK(!hl_config_init(&c, &err));
	if (how == 0) {
		rc = read_bytes(&c, in, &err);
	} else {
		size_t n = lines(in, v);
		if (how == 2)
			rc = hl_config_read_env(&c, v, &err);
		for (size_t i = 0; i < n; i++) {
			if (how == 1 && !rc)
				rc = hl_config_read_assignment(&c, v[i], &err);
			free(v[i]);
		}
	}
	HL_CHECK(!rc || (err.code == rc && err.text[0]));
	again(&c); /* what came before the fault stays */
	hl_config_fini(&c);
}

static void value(struct hl_str in)
{
	union {
		uint64_t size;
		uint32_t number;
		bool yes;
		const char *text;
		int choice;
		struct hl_retry retry;
	} first = { .size = 0 }, second = { .size = 0 };
	enum hl_value_kind kind = (enum hl_value_kind)(fuzz_u8(&in) % HL_VALUE_N);
	char *text = fuzz_cstr(in), out[64];
	bool size = kind == HL_VALUE_SIZE;
	uint64_t max = size ? UINT64_MAX : kind >= HL_VALUE_TEXT ? 1000 : UINT32_MAX;
	struct hl_err err = { 0 };
	int rc = hl_value_parse(kind, text, 0, max, &first, &err);
	HL_CHECK(!rc || (err.code == rc && err.text[0]));
	bool number = size || kind == HL_VALUE_COUNT || kind == HL_VALUE_MS || kind == HL_VALUE_S || kind == HL_VALUE_MODE;
	if (!rc && number) {
		hl_value_format(kind, size ? first.size : first.number, out, sizeof(out));
		HL_CHECK(!hl_value_parse(kind, out, 0, max, &second, NULL));
		HL_CHECK(size ? first.size == second.size : first.number == second.number);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len);
	unsigned how = fuzz_u8(&in) % 4;
	if (how == 3)
		value(in);
	else
		whole(how, in);
	return 0;
}
