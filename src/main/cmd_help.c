/* hookline help: the texts of usage.c. --man and --markdown print the sources of the manual page and of the tables in
 * docs/operations.md, which a test compares with the files. */
#include "main/cmd.h"

#include "main/usage.h"
#include <string.h>

int hl_cmd_help(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (argc > 2)
		return hl_cmd_usage("help", "takes one argument");
	if (!*what)
		hl_usage_program(stdout);
	else if (strcmp(what, "options") == 0)
		hl_usage_options(stdout);
	else if (strcmp(what, "exit") == 0)
		hl_usage_exit_codes(stdout);
	else if (strcmp(what, "--man") == 0)
		hl_usage_man(stdout);
	else if (strcmp(what, "--markdown") == 0)
		hl_usage_markdown(stdout);
	else if (!hl_usage_command(stdout, what))
		return hl_cmd_usage("help", "no command \"%s\"", what);
	return HL_EXIT_OK;
}
