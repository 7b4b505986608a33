/* Threads, signals and what else a program finds out about its system; run by tests/tests/posix.rs. */
#include "check.h"

_Atomic int failures;

int main(int argc, char **argv)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	struct { const char *name; void (*run)(void); } parts[] = {
		{ "threads", test_threads },
		{ "cancellation", test_cancellation },
		{ "signals", test_signals },
		{ "timers", test_timers },
		{ "system", test_system },
		{ "files", test_files },
		{ "descriptors", test_descriptors },
		{ "traps", test_traps },
		{ "mappings", test_mappings },
		{ "exhaustion", test_exhaustion },
		{ "faults", test_faults },
	};
	if (argc > 2)
		setenv("FOLDER", argv[2], 1);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		/* Not every image has a way in for instructions: they come where they are asked for. */
		if (argc > 1 ? strcmp(argv[1], parts[i].name) : parts[i].run == test_traps)
			continue;
		int before = failures;
		parts[i].run();
		printf("%s: %d failures\n", parts[i].name, failures - before);
	}
	return failures ? 1 : 0;
}
