/* As glibc has it: see `src/compat/backtrace.c`. */
#ifndef _EXECINFO_H
#define _EXECINFO_H
#ifdef __cplusplus
extern "C" {
#endif

/* Puts the addresses that the calls on the stack return to, the innermost first; returns how many. */
int backtrace(void **__to, int __room);
/* Texts of addresses, in one block for `free`; null without memory. */
char **backtrace_symbols(void *const *__addresses, int __n);
/* The same, a line each, to a descriptor: without memory of the heap. */
void backtrace_symbols_fd(void *const *__addresses, int __n, int __fd);

#ifdef __cplusplus
}
#endif
#endif
