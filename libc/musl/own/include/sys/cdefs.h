/* What programs for glibc and BSD use of this header; musl's own headers do without. */
#ifndef _SYS_CDEFS_H
#define _SYS_CDEFS_H

#ifdef __cplusplus
#define __BEGIN_DECLS extern "C" {
#define __END_DECLS }
#if __cplusplus >= 201103L
#define __THROW noexcept(true)
#else
#define __THROW throw()
#endif
#else
#define __BEGIN_DECLS
#define __END_DECLS
#define __THROW
#endif

#define __P(parameters) parameters
#define __CONCAT(a, b) a##b
#define __STRING(text) #text
#define __attribute_pure__ __attribute__((__pure__))
#define __attribute_const__ __attribute__((__const__))
#define __attribute_malloc__ __attribute__((__malloc__))
#define __nonnull(parameters) __attribute__((__nonnull__ parameters))
#define __wur __attribute__((__warn_unused_result__))

#endif
