/* platform.h for Linux, macOS and other POSIX systems; empty on Windows. */
#if !defined(_WIN32)

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#endif

int lash_mutex_init(lash_mutex *mutex)
{
    return pthread_mutex_init(mutex, NULL) == 0 ? 0 : -1;
}

void lash_mutex_destroy(lash_mutex *mutex)
{
    pthread_mutex_destroy(mutex);
}

void lash_mutex_lock(lash_mutex *mutex)
{
    pthread_mutex_lock(mutex);
}

int lash_mutex_try(lash_mutex *mutex)
{
    return pthread_mutex_trylock(mutex) == 0;
}

void lash_mutex_unlock(lash_mutex *mutex)
{
    pthread_mutex_unlock(mutex);
}

int lash_cond_init(lash_cond *cond)
{
#if defined(__APPLE__)
    return pthread_cond_init(cond, NULL) == 0 ? 0 : -1;
#else
    /* Deadlines are monotonic: a step of the wall clock must not stretch or cut a wait. */
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return -1;
    }
    int rc = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (rc == 0) {
        rc = pthread_cond_init(cond, &attributes);
    }
    pthread_condattr_destroy(&attributes);
    return rc == 0 ? 0 : -1;
#endif
}

void lash_cond_destroy(lash_cond *cond)
{
    pthread_cond_destroy(cond);
}

void lash_cond_wait(lash_cond *cond, lash_mutex *mutex)
{
    pthread_cond_wait(cond, mutex);
}

void lash_cond_wait_until(lash_cond *cond, lash_mutex *mutex, uint64_t deadline_ns)
{
#if defined(__APPLE__)
    uint64_t now = lash_now_ns();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    struct timespec span = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
    pthread_cond_timedwait_relative_np(cond, mutex, &span);
#else
    struct timespec until = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
    pthread_cond_timedwait(cond, mutex, &until);
#endif
}

void lash_cond_signal(lash_cond *cond)
{
    pthread_cond_signal(cond);
}

uint64_t lash_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t lash_epoch_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void lash_sleep_ns(uint64_t ns)
{
    struct timespec span = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&span, NULL); /* an early return on a signal only makes the next try come sooner */
}

long lash_process(void)
{
    return (long)getpid();
}

int lash_signal_open(lash_signal *signal)
{
#if defined(__linux__)
    signal->reader = signal->writer = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return signal->reader < 0 ? -1 : 0;
#else
    int ends[2];
    if (pipe(ends) != 0) {
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        if (fcntl(ends[i], F_SETFL, O_NONBLOCK) != 0 || fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0) {
            int saved = errno;
            close(ends[0]);
            close(ends[1]);
            errno = saved;
            return -1;
        }
    }
    signal->reader = ends[0];
    signal->writer = ends[1];
    return 0;
#endif
}

void lash_signal_raise(lash_signal *signal)
{
    static const uint64_t one = 1;
    /* EAGAIN means that the signal is up already (full pipe, full counter): nothing to do. */
    while (write(signal->writer, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void lash_signal_clear(lash_signal *signal)
{
    uint64_t sink[8];
    for (;;) {
        ssize_t got = read(signal->reader, sink, sizeof sink);
        if (got == (ssize_t)sizeof sink || (got < 0 && errno == EINTR)) {
            continue; /* a pipe may hold more than one raise */
        }
        return;
    }
}

void lash_signal_close(lash_signal *signal)
{
    if (signal->reader >= 0) {
        close(signal->reader);
    }
    if (signal->writer >= 0 && signal->writer != signal->reader) {
        close(signal->writer);
    }
    signal->reader = signal->writer = -1;
}

#if LASH_HAVE_FUTEX
lash_wake lash_futex_wait(volatile uint32_t *word, uint32_t expected, uint64_t ns)
{
    struct timespec span = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
#if defined(SYS_futex_time64)
    /* On 32-bit systems whose time_t has 64 bits the older call reads another layout. */
    long number = sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex;
#else
    long number = SYS_futex;
#endif
    if (syscall(number, word, FUTEX_WAIT, expected, &span, NULL, 0) == 0) {
        return LASH_WOKEN;
    }
    return errno == ETIMEDOUT ? LASH_TIMED_OUT : LASH_CHANGED; /* EAGAIN, EINTR: look again */
}

int lash_futex_wake_one(volatile uint32_t *word)
{
    long woken = syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
    return woken > 0 ? (int)woken : 0;
}
#endif

#endif
