/* The system calls signal handlers as functions, which return to it: nothing goes through here,
 * it only has an address. */
#include "features.h"

hidden void __restore_rt(void)
{
}

hidden void __restore(void)
{
}
