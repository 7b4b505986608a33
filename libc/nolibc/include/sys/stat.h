#ifndef _SYS_STAT_H
#define _SYS_STAT_H

#include <features.h>
#include <sys/types.h>

__BEGIN_DECLS
int mkdir(const char *, mode_t);
__END_DECLS

#endif
