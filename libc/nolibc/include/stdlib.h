#ifndef _STDLIB_H
#define _STDLIB_H

#include <features.h>
#include <stddef.h>

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1
#define RAND_MAX 0x7fffffff

typedef struct { int quot, rem; } div_t;
typedef struct { long quot, rem; } ldiv_t;
typedef struct { long long quot, rem; } lldiv_t;

__BEGIN_DECLS
void *malloc(size_t);
void *calloc(size_t, size_t);
void *realloc(void *, size_t);
void *reallocarray(void *, size_t, size_t);
void free(void *);
void *aligned_alloc(size_t, size_t);
void *memalign(size_t, size_t);
int posix_memalign(void **, size_t, size_t);
size_t malloc_usable_size(void *);

__NORETURN void abort(void);
__NORETURN void exit(int);
__NORETURN void _Exit(int);
int atexit(void (*)(void));
char *getenv(const char *);

int atoi(const char *);
long atol(const char *);
long long atoll(const char *);
long strtol(const char *__RESTRICT, char **__RESTRICT, int);
unsigned long strtoul(const char *__RESTRICT, char **__RESTRICT, int);
long long strtoll(const char *__RESTRICT, char **__RESTRICT, int);
unsigned long long strtoull(const char *__RESTRICT, char **__RESTRICT, int);
/* Without hexadecimal numbers. */
double strtod(const char *__RESTRICT, char **__RESTRICT);
double atof(const char *);

int abs(int);
long labs(long);
long long llabs(long long);
div_t div(int, int);
ldiv_t ldiv(long, long);
lldiv_t lldiv(long long, long long);

void qsort(void *, size_t, size_t, int (*)(const void *, const void *));
void *bsearch(const void *, const void *, size_t, size_t, int (*)(const void *, const void *));

int rand(void);
void srand(unsigned);
__END_DECLS

#endif
