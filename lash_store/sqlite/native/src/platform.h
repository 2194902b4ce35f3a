/* What the operating system gives: threads' locks, time, short sleeps, futexes, a pollable signal. None of it needs the
 * GIL, and none of it may be called with the GIL held where it can block. */
#ifndef LASH_PLATFORM_H
#define LASH_PLATFORM_H

#include <stdint.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#define LASH_EXPORT __declspec(dllexport)
typedef SRWLOCK lash_mutex;
typedef CONDITION_VARIABLE lash_cond;
#else
#include <pthread.h>
#define LASH_EXPORT __attribute__((visibility("default")))
typedef pthread_mutex_t lash_mutex;
typedef pthread_cond_t lash_cond;
#endif

#if defined(__linux__)
#define LASH_HAVE_FUTEX 1
#else
#define LASH_HAVE_FUTEX 0
#endif

#define LASH_NS_PER_MS UINT64_C(1000000)
#define LASH_NS_PER_US UINT64_C(1000)

/* 0 on success, -1 when the system has no room for another lock. */
int lash_mutex_init(lash_mutex *mutex);
void lash_mutex_destroy(lash_mutex *mutex);
void lash_mutex_lock(lash_mutex *mutex);
int lash_mutex_try(lash_mutex *mutex); /* 1: locked */
void lash_mutex_unlock(lash_mutex *mutex);

int lash_cond_init(lash_cond *cond);
void lash_cond_destroy(lash_cond *cond);
void lash_cond_wait(lash_cond *cond, lash_mutex *mutex);
/* Waits until signalled or until the monotonic time `deadline_ns`; spurious wake-ups are possible. */
void lash_cond_wait_until(lash_cond *cond, lash_mutex *mutex, uint64_t deadline_ns);
void lash_cond_signal(lash_cond *cond);

/* Monotonic nanoseconds. */
uint64_t lash_now_ns(void);
/* Milliseconds since 1970-01-01T00:00:00Z by the wall clock. */
int64_t lash_epoch_ms(void);
void lash_sleep_ns(uint64_t ns);

/* The number of this process, to notice a fork. */
long lash_process(void);

/* A pollable signal: `reader` polls readable between raise and clear. On Windows both are -1 and nothing is pollable. */
typedef struct {
    int reader;
    int writer;
} lash_signal;

int lash_signal_open(lash_signal *signal); /* 0, or -1 with errno set */
void lash_signal_raise(lash_signal *signal);
void lash_signal_clear(lash_signal *signal);
void lash_signal_close(lash_signal *signal);

#if LASH_HAVE_FUTEX
typedef enum { LASH_WOKEN, LASH_CHANGED, LASH_TIMED_OUT } lash_wake;
/* Sleeps while *word == expected, for at most `ns`. The word may be shared between processes. */
lash_wake lash_futex_wait(volatile uint32_t *word, uint32_t expected, uint64_t ns);
/* Wakes at most one sleeper, the one that has slept longest; returns how many it woke. */
int lash_futex_wake_one(volatile uint32_t *word);
#endif

#endif
