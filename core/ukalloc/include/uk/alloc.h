/* The allocation interface for C (option ukalloc.c-abi). Edge cases are those of the table in the
 * documentation of the crate ukalloc. A null handle gives null or an error, never a crash. */
#ifndef UK_ALLOC_H
#define UK_ALLOC_H

#include <stddef.h>

struct uk_alloc;

/* The heap that got the rest of memory; null before the heaps are set up. */
const struct uk_alloc *uk_alloc_get_default(void);
/* The heap with that name in the manifest, or null. */
const struct uk_alloc *uk_alloc_get(const char *name);

void *uk_malloc(const struct uk_alloc *a, size_t size);
void *uk_calloc(const struct uk_alloc *a, size_t count, size_t size);
void *uk_realloc(const struct uk_alloc *a, void *block, size_t size);
void *uk_memalign(const struct uk_alloc *a, size_t align, size_t size);
/* 0, EINVAL or ENOMEM; *out is only set on success. */
int uk_posix_memalign(const struct uk_alloc *a, void **out, size_t align, size_t size);
void uk_free(const struct uk_alloc *a, void *block);
size_t uk_malloc_usable_size(const struct uk_alloc *a, void *block);

/* Whole pages of 4096 bytes. */
void *uk_palloc(const struct uk_alloc *a, size_t pages);
void uk_pfree(const struct uk_alloc *a, void *block, size_t pages);

/* 0, -EINVAL or -ENOTSUP. The memory must stay the heap's for ever. */
int uk_alloc_addmem(const struct uk_alloc *a, void *base, size_t len);
/* Bytes in free blocks. */
size_t uk_alloc_availmem(const struct uk_alloc *a);

#endif
