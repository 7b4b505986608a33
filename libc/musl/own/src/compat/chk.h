/* Calls with a suffix _chk are made by _FORTIFY_SOURCE of glibc's headers: they know the size of the
 * destination and stop the program before it writes behind it. */
#include <stddef.h>
#include "features.h"

hidden _Noreturn void __uk_overflow(void);

static inline void check(size_t needed, size_t room)
{
	if (needed > room) __uk_overflow();
}
