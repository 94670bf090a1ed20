/* frames - writes down every ZeroMQ message of the program it is preloaded into, as it is before
 * encryption and after decryption, so that a test can search what really goes over the wire.
 *
 * LD_PRELOAD it and name the file in CONFLEET_FRAMES; without that it does nothing. It never changes
 * a message. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zmq.h>

static void note(const char *way, const void *bytes, size_t len)
{
    static int fd = -2;
    const char *path = getenv("CONFLEET_FRAMES");
    if (fd == -2)
        fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || !bytes)
        return;
    struct iovec parts[] = { { (void *)(size_t)way, strlen(way) },
                             { (void *)(size_t)bytes, len },
                             { (void *)(size_t)"\n", 1 } };
    if (writev(fd, parts, 3) < 0)
        abort(); /* a test that missed a message would prove nothing */
}

/* A pointer to a function does not fit into one to an object by ISO C; dlsym says it does here. */
static void find(const char *name, void *fn)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    memcpy(fn, &found, sizeof found);
}

int zmq_send(void *socket, const void *bytes, size_t len, int flags)
{
    static int (*real)(void *, const void *, size_t, int);
    if (!real)
        find("zmq_send", &real);
    note("> ", bytes, len);
    return real(socket, bytes, len, flags);
}

int zmq_recv(void *socket, void *bytes, size_t size, int flags)
{
    static int (*real)(void *, void *, size_t, int);
    if (!real)
        find("zmq_recv", &real);
    int len = real(socket, bytes, size, flags);
    if (len > 0)
        note("< ", bytes, (size_t)len < size ? (size_t)len : size);
    return len;
}

int zmq_msg_send(zmq_msg_t *message, void *socket, int flags)
{
    static int (*real)(zmq_msg_t *, void *, int);
    if (!real)
        find("zmq_msg_send", &real);
    note("> ", zmq_msg_data(message), zmq_msg_size(message));
    return real(message, socket, flags);
}

int zmq_msg_recv(zmq_msg_t *message, void *socket, int flags)
{
    static int (*real)(zmq_msg_t *, void *, int);
    if (!real)
        find("zmq_msg_recv", &real);
    int len = real(message, socket, flags);
    if (len >= 0)
        note("< ", zmq_msg_data(message), zmq_msg_size(message));
    return len;
}
