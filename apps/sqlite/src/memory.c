/* See memory.h. */
#include <sys/sysinfo.h>
#include "memory.h"

/* SQLite's own default, in KiB. */
enum { USUAL = 2000, SHARE = 6 };

int cache_of_machine(void)
{
	static int kib;
	if (!kib) {
		struct sysinfo machine;
		kib = USUAL;
		if (!sysinfo(&machine)) {
			unsigned long part = machine.totalram * machine.mem_unit / 1024 / SHARE;
			if (part < USUAL) kib = part > 1 ? part : 1;
		}
	}
	return -kib;
}
