/*
 * dl.c - shared objects, of which an image has none: natives are linked in.
 */
#include <dlfcn.h>
#include <stddef.h>

void *dlopen(const char *file, int mode)
{
    (void)file, (void)mode;
    return NULL;
}

void *dlsym(void *restrict handle, const char *restrict name)
{
    (void)handle, (void)name;
    return NULL;
}

char *dlerror(void)
{
    return (char *)"an image loads no shared objects; natives are linked into it";
}

int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
