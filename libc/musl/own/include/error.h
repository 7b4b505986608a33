/* As glibc has it: see `src/compat/gnu_error.c`. */
#ifndef _ERROR_H
#define _ERROR_H
#ifdef __cplusplus
extern "C" {
#endif

/* Ends the program if the status is not 0, with a message of the program, and of `errno` if the number is not 0. */
void error(int __status, int __number, const char *__format, ...);
/* As well, with a place in a file. */
void error_at_line(int __status, int __number, const char *__file, unsigned __line, const char *__format, ...);

extern void (*error_print_progname)(void);
extern unsigned error_message_count;
extern int error_one_per_line;

#ifdef __cplusplus
}
#endif
#endif
