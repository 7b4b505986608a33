/* What compilers of C++ call for `new`, `delete` and functions that are none, in programs without the standard library of
 * C++. A program can define each itself. Nothing can be thrown: without memory the program ends. */
#include <stdlib.h>
#include <unistd.h>
#include "features.h"

static _Noreturn void end(const char *why, size_t n)
{
	write(2, why, n);
	abort();
}
#define END(why) end(why, sizeof why - 1)

/* void *operator new(std::size_t) */
weak void *_Znwm(size_t n)
{
	void *block = malloc(n ? n : 1);
	if (!block) END("operator new: there is no memory\n");
	return block;
}

/* void *operator new[](std::size_t) */
weak void *_Znam(size_t n)
{
	return _Znwm(n);
}

/* void *operator new(std::size_t, const std::nothrow_t &) */
weak void *_ZnwmRKSt9nothrow_t(size_t n, const void *nothrow)
{
	return malloc(n ? n : 1);
}

/* void *operator new[](std::size_t, const std::nothrow_t &) */
weak void *_ZnamRKSt9nothrow_t(size_t n, const void *nothrow)
{
	return malloc(n ? n : 1);
}

/* void operator delete(void *) */
weak void _ZdlPv(void *block)
{
	free(block);
}

/* void operator delete[](void *) */
weak void _ZdaPv(void *block)
{
	_ZdlPv(block);
}

/* void operator delete(void *, std::size_t) */
weak void _ZdlPvm(void *block, size_t n)
{
	_ZdlPv(block);
}

/* void operator delete[](void *, std::size_t) */
weak void _ZdaPvm(void *block, size_t n)
{
	_ZdaPv(block);
}

/* The same for types of a larger alignment (std::align_val_t, C++17). */

weak void *_ZnwmSt11align_val_t(size_t n, size_t align)
{
	void *block = aligned_alloc(align, n ? n : 1);
	if (!block) END("operator new: there is no memory\n");
	return block;
}

weak void *_ZnamSt11align_val_t(size_t n, size_t align)
{
	return _ZnwmSt11align_val_t(n, align);
}

weak void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t n, size_t align, const void *nothrow)
{
	return aligned_alloc(align, n ? n : 1);
}

weak void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t n, size_t align, const void *nothrow)
{
	return aligned_alloc(align, n ? n : 1);
}

weak void _ZdlPvSt11align_val_t(void *block, size_t align)
{
	free(block);
}

weak void _ZdaPvSt11align_val_t(void *block, size_t align)
{
	_ZdlPvSt11align_val_t(block, align);
}

weak void _ZdlPvmSt11align_val_t(void *block, size_t n, size_t align)
{
	_ZdlPvSt11align_val_t(block, align);
}

weak void _ZdaPvmSt11align_val_t(void *block, size_t n, size_t align)
{
	_ZdaPvSt11align_val_t(block, align);
}

weak _Noreturn void __cxa_deleted_virtual(void)
{
	END("a function was called that is deleted\n");
}

weak _Noreturn void __cxa_pure_virtual(void)
{
	END("a function was called that is pure virtual\n");
}
