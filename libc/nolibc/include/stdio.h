/* The three standard streams; files are read and written by descriptor (unistd.h). printf and its
 * family know no %a, %n, wide characters and long double. */
#ifndef _STDIO_H
#define _STDIO_H

#include <features.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct __stream FILE;

#define EOF (-1)
#define BUFSIZ 1024
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

__BEGIN_DECLS
extern FILE *const stdin;
extern FILE *const stdout;
extern FILE *const stderr;
#define stdin stdin
#define stdout stdout
#define stderr stderr

int printf(const char *__RESTRICT, ...) __FORMAT(1, 2);
int fprintf(FILE *__RESTRICT, const char *__RESTRICT, ...) __FORMAT(2, 3);
int dprintf(int, const char *__RESTRICT, ...) __FORMAT(2, 3);
int sprintf(char *__RESTRICT, const char *__RESTRICT, ...) __FORMAT(2, 3);
int snprintf(char *__RESTRICT, size_t, const char *__RESTRICT, ...) __FORMAT(3, 4);
int asprintf(char **, const char *, ...) __FORMAT(2, 3);
int vprintf(const char *__RESTRICT, va_list) __FORMAT(1, 0);
int vfprintf(FILE *__RESTRICT, const char *__RESTRICT, va_list) __FORMAT(2, 0);
int vdprintf(int, const char *__RESTRICT, va_list) __FORMAT(2, 0);
int vsprintf(char *__RESTRICT, const char *__RESTRICT, va_list) __FORMAT(2, 0);
int vsnprintf(char *__RESTRICT, size_t, const char *__RESTRICT, va_list) __FORMAT(3, 0);
int vasprintf(char **, const char *, va_list) __FORMAT(2, 0);

int fputc(int, FILE *);
int putc(int, FILE *);
int putchar(int);
int fputs(const char *__RESTRICT, FILE *__RESTRICT);
int puts(const char *);
size_t fwrite(const void *__RESTRICT, size_t, size_t, FILE *__RESTRICT);
int fflush(FILE *);

int fgetc(FILE *);
int getc(FILE *);
int getchar(void);
int ungetc(int, FILE *);
char *fgets(char *__RESTRICT, int, FILE *__RESTRICT);
size_t fread(void *__RESTRICT, size_t, size_t, FILE *__RESTRICT);

int feof(FILE *);
int ferror(FILE *);
void clearerr(FILE *);
int fileno(FILE *);
void perror(const char *);
int rename(const char *, const char *);
__END_DECLS

#endif
