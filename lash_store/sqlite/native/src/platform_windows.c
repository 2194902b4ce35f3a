/* platform.h for Windows; empty elsewhere. */
#if defined(_WIN32)

#include "platform.h"

int lash_mutex_init(lash_mutex *mutex)
{
    InitializeSRWLock(mutex);
    return 0;
}

void lash_mutex_destroy(lash_mutex *mutex)
{
    (void)mutex; /* an SRW lock owns nothing */
}

void lash_mutex_lock(lash_mutex *mutex)
{
    AcquireSRWLockExclusive(mutex);
}

int lash_mutex_try(lash_mutex *mutex)
{
    return TryAcquireSRWLockExclusive(mutex) != 0;
}

void lash_mutex_unlock(lash_mutex *mutex)
{
    ReleaseSRWLockExclusive(mutex);
}

int lash_cond_init(lash_cond *cond)
{
    InitializeConditionVariable(cond);
    return 0;
}

void lash_cond_destroy(lash_cond *cond)
{
    (void)cond;
}

void lash_cond_wait(lash_cond *cond, lash_mutex *mutex)
{
    SleepConditionVariableSRW(cond, mutex, INFINITE, 0);
}

void lash_cond_wait_until(lash_cond *cond, lash_mutex *mutex, uint64_t deadline_ns)
{
    uint64_t now = lash_now_ns();
    uint64_t left_ms = deadline_ns > now ? (deadline_ns - now + LASH_NS_PER_MS - 1) / LASH_NS_PER_MS : 0;
    SleepConditionVariableSRW(cond, mutex, left_ms < INFINITE ? (DWORD)left_ms : INFINITE - 1, 0);
}

void lash_cond_signal(lash_cond *cond)
{
    WakeConditionVariable(cond);
}

uint64_t lash_now_ns(void)
{
    static LARGE_INTEGER frequency; /* the same for every thread and call, so a racing first write does no harm */
    LARGE_INTEGER now;
    if (frequency.QuadPart == 0) {
        QueryPerformanceFrequency(&frequency);
    }
    QueryPerformanceCounter(&now);
    uint64_t whole = (uint64_t)now.QuadPart / (uint64_t)frequency.QuadPart;
    uint64_t rest = (uint64_t)now.QuadPart % (uint64_t)frequency.QuadPart;
    return whole * 1000000000u + rest * 1000000000u / (uint64_t)frequency.QuadPart;
}

int64_t lash_epoch_ms(void)
{
    FILETIME now;
    GetSystemTimePreciseAsFileTime(&now);
    int64_t ticks = (int64_t)(((uint64_t)now.dwHighDateTime << 32) | now.dwLowDateTime); /* of 100 ns, since 1601 */
    return ticks / 10000 - INT64_C(11644473600000);
}

void lash_sleep_ns(uint64_t ns)
{
    Sleep((DWORD)((ns + LASH_NS_PER_MS - 1) / LASH_NS_PER_MS));
}

long lash_process(void)
{
    return (long)GetCurrentProcessId();
}

int lash_signal_open(lash_signal *signal)
{
    signal->reader = signal->writer = -1; /* the default event loop polls no descriptors: a thread waits instead */
    return 0;
}

void lash_signal_raise(lash_signal *signal)
{
    (void)signal;
}

void lash_signal_clear(lash_signal *signal)
{
    (void)signal;
}

void lash_signal_close(lash_signal *signal)
{
    (void)signal;
}

#endif
