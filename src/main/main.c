/* hookline: picks the command named by the first argument and returns its exit code. */
#include "main/cmd.h"

#include "base/defs.h"
#include "main/usage.h"
#include <string.h>

static const struct hl_cmd cmds[] = {
#define HL_X(name, synopsis, help) { #name, synopsis, help, hl_cmd_##name },
	HL_CMD_TABLE(HL_X)
#undef HL_X
};

static const struct hl_cmd *find(const char *name)
{
	for (size_t i = 0; i < HL_ARRAY_LEN(cmds); i++)
		if (strcmp(cmds[i].name, name) == 0)
			return &cmds[i];
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		hl_usage_program(stderr);
		return HL_EXIT_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	const struct hl_cmd *cmd = find(name);
	if (!cmd)
		return hl_cmd_fail(HL_EXIT_USAGE, "no command \"%s\"; hookline help lists them", name);
	if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
		hl_usage_command(stdout, cmd->name);
		return HL_EXIT_OK;
	}
	return cmd->run(argc - 1, argv + 1);
}
