#ifndef _FEATURES_H
#define _FEATURES_H

#ifdef __cplusplus
#define __BEGIN_DECLS extern "C" {
#define __END_DECLS }
#define __RESTRICT
#define __NORETURN [[noreturn]]
#else
#define __BEGIN_DECLS
#define __END_DECLS
#define __RESTRICT restrict
#define __NORETURN _Noreturn
#endif

#define __FORMAT(at, arguments) __attribute__((__format__(__printf__, at, arguments)))

#endif
