/* A context that begins with a function, on a stack of its own. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <ucontext.h>
#include "features.h"

hidden void __uk_context_end(void);

/* Behind the return address are the arguments from the seventh on, and behind these the context that
 * comes next, where rbx finds it (System V ABI, x86-64 psABI section 3.2.2: at a call the stack is
 * aligned to 16 bytes). */
void makecontext(ucontext_t *context, void (*function)(), int count, ...)
{
	static const int registers[] = { REG_RDI, REG_RSI, REG_RDX, REG_RCX, REG_R8, REG_R9 };
	int on_stack = count > 6 ? count - 6 : 0;
	uintptr_t top = (uintptr_t)context->uc_stack.ss_sp + context->uc_stack.ss_size;
	uintptr_t *link = (uintptr_t *)(top - 8 & -16);
	uintptr_t *place = (uintptr_t *)((uintptr_t)(link - on_stack) & -16);
	greg_t *gregs = context->uc_mcontext.gregs;

	*link = (uintptr_t)context->uc_link;
	place[-1] = (uintptr_t)__uk_context_end;
	gregs[REG_RSP] = (greg_t)(place - 1);
	gregs[REG_RBX] = (greg_t)link;
	gregs[REG_RIP] = (greg_t)function;
	/* The end of the chain of frames. */
	gregs[REG_RBP] = 0;

	va_list list;
	va_start(list, count);
	for (int i = 0; i < count; i++) {
		/* Passed as int by the standard; as with glibc, pointers keep all their bits. */
		greg_t argument = va_arg(list, greg_t);
		if (i < 6) gregs[registers[i]] = argument;
		else place[i - 6] = argument;
	}
	va_end(list);
}
