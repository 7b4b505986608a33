/* Runs the test that the first argument names, as if it were the whole program. */
#include <stdio.h>
#include <string.h>

extern const struct { const char *name; int (*main)(int, char **); } tests[];

int main(int argc, char **argv)
{
	for (int i = 0; tests[i].name; i++) {
		if (argc < 2)
			puts(tests[i].name);
		else if (!strcmp(argv[1], tests[i].name)) {
			argv[1] = 0;
			return tests[i].main(1, argv);
		}
	}
	return argc < 2 ? 0 : 99;
}
