/* As glibc has it: see `src/compat/gnu_version.c`. */
#ifndef _GNU_LIBC_VERSION_H
#define _GNU_LIBC_VERSION_H
#ifdef __cplusplus
extern "C" {
#endif

/* The version of glibc whose names this library has. */
const char *gnu_get_libc_version(void);
const char *gnu_get_libc_release(void);

#ifdef __cplusplus
}
#endif
#endif
