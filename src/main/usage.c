/* Help in five shapes, one table each: the terminal, the configuration file, the manual page, Markdown.
 *
 * Nothing here is secret: options name files that hold secrets, never the secrets themselves, so --print-config has
 * nothing to black out. */
#include "main/usage.h"

#include "base/str.h"
#include "main/cmd.h"

struct exit_row {
	int number;
	const char *text;
};

static const struct exit_row exits[] = {
#define HL_X(number, name, text) { number, text },
	HL_EXIT_TABLE(HL_X)
#undef HL_X
};

struct cmd_row {
	const char *name, *synopsis, *help;
};

static const struct cmd_row cmds[] = {
#define HL_X(name, synopsis, help) { #name, synopsis, help },
	HL_CMD_TABLE(HL_X)
#undef HL_X
};

/* What a command's page says below its first sentence. */
static const struct {
	const char *name, *text;
} details[] = {
	{ "serve",
	  "  --config FILE        options, as \"hookline serve --print-config\" prints them\n"
	  "  DIR, --data DIR      the data directory (store.dir)\n"
	  "  --listen ADDR        where to listen (server.listen); may be given several times\n"
	  "  --key-file FILE      the sealing key (store.key_file)\n"
	  "  --set S.K=V          any option\n"
	  "  --takeover           waits until the server that uses the directory has ended\n"
	  "  --allow-root         starts although the user is root, which is refused otherwise (exit 6)\n"
	  "  --check-config       reads everything, says what is wrong, starts nothing\n"
	  "  --print-config       prints what would be in force, and where each value comes from\n\n"
	  "An option comes from the last of: its default, the file, the environment\n"
	  "(HOOKLINE_SECTION_KEY, e.g. HOOKLINE_STORE_MAX_SIZE), the command line.\n"
	  "SIGTERM or SIGINT: stop accepting, finish what is under way, exit 0; a second one\n"
	  "exits at once. SIGHUP: read certificates, name servers, tiers and log level again.\n" },
	{ "key",
	  "  create               --account ID (default: default), --dialect NAME (default: hookline),\n"
	  "                       --scope admin,publish,manage,read (default: publish,manage,read),\n"
	  "                       --name TEXT, --expires RFC3339-TIME\n"
	  "  list                 prefix, last 4, account, dialect, scopes, state, name\n"
	  "  revoke KEY           KEY is the whole key or its prefix, e.g. hlk_000003\n"
	  "  DIR, --data DIR      the data directory (default: data)\n"
	  "  --config, --set, --key-file   as for serve, when the store is opened without a server\n\n"
	  "Talks to the server that uses the directory over its control socket, which takes orders\n"
	  "from the server's own user and from root; without a server the store is opened directly.\n" },
	{ "check",
	  "  DIR, --data DIR      the data directory; unneeded where --config, --set or the environment name it\n"
	  "  --config, --set, --key-file   as for serve\n" },
	{ "backup",
	  "  DIR, --data DIR      the data directory; unneeded where --config, --set or the environment name it\n"
	  "  DEST                 the copy's directory: a new or an empty one\n"
	  "  --config, --set, --key-file   as for serve\n" },
	{ "migrate",
	  "  DIR, --data DIR      the data directory; unneeded where --config, --set or the environment name it\n"
	  "  --config, --set, --key-file   as for serve\n" },
	{ "publish",
	  "  JSON, @FILE, -       the event's data: as written, from a file, from stdin (default: {})\n"
	  "  --id ID              the event's own id; the same id again publishes nothing new\n"
	  "  --key KEY            instead of HOOKLINE_KEY\n"
	  "  --url URL            instead of HOOKLINE_URL: http://host:port or unix:/path\n"
	  "                       (default: http://127.0.0.1:8420)\n"
	  "  --account ID         the account an admin key acts for\n" },
	{ "listen",
	  "  ADDR                 address:port or unix:path (default: 127.0.0.1:9000; port 0: any free one)\n"
	  "  --secret S           whsec_..., to verify with; may be given several times; @FILE reads it\n"
	  "  --answer CODE        status of every answer (default: 204)\n"
	  "  --delay MS           wait before answering\n"
	  "  --count N            end after N deliveries; exit 1 if one of them did not verify\n" },
};

static void wrap(FILE *out, const char *text, unsigned indent, unsigned width)
{
	unsigned column = indent;
	fprintf(out, "%*s", (int)indent, "");
	for (struct hl_str rest = hl_str_from(text); rest.ptr;) {
		struct hl_str word = hl_str_split(&rest, ' ');
		if (column > indent && column + word.len + 1 > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		}
		fprintf(out, "%s%.*s", column > indent ? " " : "", HL_FMT(word));
		column += (unsigned)word.len + (column > indent);
	}
	fputc('\n', out);
}

void hl_usage_program(FILE *out)
{
	fputs("hookline: a webhook dispatcher. Stores events, delivers them signed, retries, keeps the history.\n\n", out);
	for (size_t i = 0; i < HL_ARRAY_LEN(cmds); i++) {
		fprintf(out, "  hookline %s%s%s\n", cmds[i].name, cmds[i].synopsis[0] ? " " : "", cmds[i].synopsis);
		wrap(out, cmds[i].help, 6, 96);
	}
	fputs("\nhookline help COMMAND tells more; hookline help options lists every option.\n", out);
}

bool hl_usage_command(FILE *out, const char *name)
{
	for (size_t i = 0; i < HL_ARRAY_LEN(cmds); i++) {
		if (strcmp(cmds[i].name, name) != 0)
			continue;
		fprintf(out, "hookline %s%s%s\n\n", cmds[i].name, cmds[i].synopsis[0] ? " " : "", cmds[i].synopsis);
		wrap(out, cmds[i].help, 0, 90);
		for (size_t k = 0; k < HL_ARRAY_LEN(details); k++)
			if (strcmp(details[k].name, name) == 0)
				fprintf(out, "\n%s", details[k].text);
		return true;
	}
	return false;
}

void hl_usage_exit_codes(FILE *out)
{
	for (size_t i = 0; i < HL_ARRAY_LEN(exits); i++)
		fprintf(out, "  %d  %s\n", exits[i].number, exits[i].text);
}

static bool section_begins(int i)
{
	return i == 0 || strcmp(hl_settings[i - 1].section, hl_settings[i].section) != 0;
}

void hl_usage_options(FILE *out)
{
	char want[160];
	for (int i = 0; i < HL_SETTING_N; i++) {
		const struct hl_setting *s = &hl_settings[i];
		if (section_begins(i))
			fprintf(out, "%s[%s]\n", i ? "\n" : "", s->section);
		hl_value_describe(s->kind, s->min, s->max, want, sizeof(want));
		fprintf(out, "%s.%s = %s\n", s->section, s->key, s->dflt);
		wrap(out, s->help, 6, 90);
		wrap(out, want, 6, 90);
	}
}

enum { LINE_WORD_MAX = 140, LINE_BREAK = 90 }; /* bytes; a line of a file may have 197 */

/* The next piece of a value that stays in one line: an entry of a list, a word of a text, a whole path. */
static struct hl_str next_piece(enum hl_value_kind kind, struct hl_str *rest)
{
	if (kind == HL_VALUE_LIST || kind == HL_VALUE_RETRY)
		return hl_str_trim(hl_str_split(rest, ','));
	struct hl_str all = *rest;
	if (kind == HL_VALUE_TEXT)
		return hl_str_split(rest, ' ');
	*rest = HL_STR_NONE;
	return all;
}

static bool may_break(struct hl_str last, struct hl_str one)
{
	return last.len && one.len && one.ptr[0] != '#';
}

static bool fits_a_file(enum hl_value_kind kind, const char *text)
{
	size_t unbroken = 0; /* since the last place where a line may be broken */
	struct hl_str last = HL_STR_NONE;
	for (struct hl_str rest = hl_str_from(text); rest.ptr;) {
		struct hl_str one = next_piece(kind, &rest);
		bool begins = unbroken == 0 || may_break(last, one);
		unbroken = (begins ? 0 : unbroken) + one.len + 2;
		if (unbroken > (begins ? LINE_WORD_MAX : LINE_BREAK))
			return false;
		last = one;
	}
	return true;
}

/* As a file may hold it: lists and texts in several lines, broken where reading puts them together again
 * (not beside another blank, nor before a '#', which would make a line a comment). */
static void print_value(FILE *out, enum hl_value_kind kind, const char *text)
{
	bool list = kind == HL_VALUE_LIST || kind == HL_VALUE_RETRY;
	size_t column = 0;
	struct hl_str last = HL_STR_NONE;
	for (struct hl_str rest = hl_str_from(text); rest.ptr;) {
		struct hl_str one = next_piece(kind, &rest);
		bool first = column == 0;
		bool breaks = !first && may_break(last, one) && column + one.len > LINE_BREAK;
		if (!first)
			fprintf(out, "%s%s", list ? "," : "", breaks ? "\n    " : " ");
		fprintf(out, "%.*s", HL_FMT(one));
		column = (breaks ? 0 : column) + one.len + 2;
		last = one;
	}
	fputc('\n', out);
}

void hl_usage_config(FILE *out, const struct hl_config *c)
{
	for (int i = 0; i < HL_SETTING_N; i++) {
		const struct hl_setting *s = &hl_settings[i];
		if (section_begins(i))
			fprintf(out, "%s[%s]\n", i ? "\n" : "", s->section);
		fprintf(out, "# %s (%s)\n", s->help, c->source[i]);
		if (fits_a_file(s->kind, c->text[i])) {
			fprintf(out, "%s = ", s->key);
			print_value(out, s->kind, c->text[i]);
		} else {
			fprintf(out, "# longer than a line of a file may be: %s can only be given in the environment or by --set\n", s->key);
		}
	}
}

void hl_usage_markdown(FILE *out)
{
	char want[160];
	for (int i = 0; i < HL_SETTING_N; i++) {
		const struct hl_setting *s = &hl_settings[i];
		if (section_begins(i))
			fprintf(out, "%s### `[%s]`\n\n| option | default | what it is | what may be written |\n|---|---|---|---|\n",
					i ? "\n" : "", s->section);
		hl_value_describe(s->kind, s->min, s->max, want, sizeof(want));
		fprintf(out, "| `%s` | %s%s%s | %s | %s |\n", s->key, s->dflt[0] ? "`" : "", s->dflt, s->dflt[0] ? "`" : "",
				s->help, want);
	}
}

/* Text as mdoc wants it: a period, quote or apostrophe must not begin a line, backslashes are doubled. */
static void man_text(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-' && text[1] == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
		if (*text == '.' && text[1] == ' ') { /* new sentence, new line */
			fputc('\n', out);
			text++;
		}
	}
	fputc('\n', out);
}

static void man_options(FILE *out)
{
	char want[160];
	for (int i = 0; i < HL_SETTING_N; i++) {
		const struct hl_setting *s = &hl_settings[i];
		if (section_begins(i))
			fprintf(out, "%s.Ss Section %s\n.Bl -tag -width Ds\n", i ? ".El\n" : "", s->section);
		fprintf(out, ".It Ic %s.%s\n", s->section, s->key);
		man_text(out, s->help);
		hl_value_describe(s->kind, s->min, s->max, want, sizeof(want));
		fputs(".Pq", out);
		fprintf(out, " %s; default: %s\n", want, s->dflt[0] ? s->dflt : "empty");
	}
	fputs(".El\n", out);
}

void hl_usage_man(FILE *out)
{
	fputs(".Dd $Mdocdate$\n.Dt HOOKLINE 8\n.Os\n.Sh NAME\n.Nm hookline\n.Nd webhook dispatcher\n.Sh SYNOPSIS\n", out);
	for (size_t i = 0; i < HL_ARRAY_LEN(cmds); i++)
		fprintf(out, ".Nm\n.Cm %s\n%s%s", cmds[i].name, cmds[i].synopsis, cmds[i].synopsis[0] ? "\n" : "");
	fputs(".Sh DESCRIPTION\nHookline stores published events, fans them out to the webhooks that want them, signs and\n"
	      "delivers each one over HTTP, tries again for 48 hours, and keeps the history.\n"
	      "Its commands are:\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < HL_ARRAY_LEN(cmds); i++) {
		fprintf(out, ".It Cm %s\n", cmds[i].name);
		man_text(out, cmds[i].help);
		for (size_t k = 0; k < HL_ARRAY_LEN(details); k++)
			if (strcmp(details[k].name, cmds[i].name) == 0)
				fprintf(out, ".Bd -literal\n%s.Ed\n", details[k].text);
	}
	fputs(".El\n.Sh OPTIONS\nEach option has a section and a key.\nThe file names them as\n.Ql [section]\nand\n"
	      ".Ql key = value ,\nthe environment as\n.Ev HOOKLINE_SECTION_KEY ,\nthe command line as\n"
	      ".Ql --set section.key=value .\n", out);
	man_options(out);
	fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < HL_ARRAY_LEN(exits); i++) {
		fprintf(out, ".It %d\n", exits[i].number);
		man_text(out, exits[i].text);
	}
	fputs(".El\n", out);
}
