/* Gives libcamera's buffer allocator a DMA heap on machines whose kernel has none.
 *
 * A DMA heap hands out memory that devices can reach. Where no device is involved any memory that
 * has a file descriptor will do: it can be mapped, and synchronising it is nothing to do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

typedef int (*open_function)(const char *, int, mode_t);
typedef int (*ioctl_function)(int, unsigned long, void *);

/* Any file that can be opened stands in: only ioctl() below is ever called on it. */
static const char *stand_in(const char *path) {
  return path && strcmp(path, "/dev/dma_heap/system") == 0 ? "/dev/null" : path;
}

static int open_with(const char *function, const char *path, int flags, va_list rest) {
  open_function real = (open_function)dlsym(RTLD_NEXT, function);
  mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  return real(stand_in(path), flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  int fd = open_with("open", path, flags, rest);
  va_end(rest);
  return fd;
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  int fd = open_with("open64", path, flags, rest);
  va_end(rest);
  return fd;
}

static int allocate(struct dma_heap_allocation_data *wanted) {
  int memory = memfd_create("dma-heap", MFD_CLOEXEC);
  if (memory < 0 || ftruncate(memory, (off_t)wanted->len) < 0) return -1;
  wanted->fd = (unsigned int)memory;
  return 0;
}

int ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  if (request == DMA_HEAP_IOCTL_ALLOC) return allocate(argument);
  if (request == DMA_BUF_IOCTL_SYNC || request == DMA_BUF_SET_NAME_B) return 0;
  return ((ioctl_function)dlsym(RTLD_NEXT, "ioctl"))(fd, request, argument);
}
