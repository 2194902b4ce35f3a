/* The write lock between processes.
 *
 * SQLite's lock is the only authority. Left to itself it is unfair: whoever releases it takes it again before a sleeper
 * wakes, and sleepers back off to 100 ms. So the openers of a file keep an order among themselves, by hints:
 *
 *   the holder commits again and again until its turn is over, then wakes the one on deck and steps aside;
 *   one process at a time is on deck: it is awake nearly at once when the turn passes, and otherwise looks every
 *     DECK_NAP_NS whether the holder still commits, so a holder that stops without a word costs no more than that;
 *   all others sleep on the bench, first come first served; each holder calls one of them to the deck at its first
 *     commit.
 *
 * The hints live in the 8 bytes of the WAL index that SQLite's file format sets aside for lock bytes (offsets 120 to
 * 127): on Unix locks are taken on these bytes but nobody ever reads or writes them. They are shared by every opener of
 * the file under any name, belong to the file's owner, start as zero and vanish with the index when the last opener
 * closes. Their contents are never trusted: each sleep has a limit, after which the waiter simply tries the lock, so
 * missing, stale or garbage words cost time, never correctness, and a process killed anywhere leaves nothing to mend.
 * Only Linux has futexes on shared memory; elsewhere waiters sleep for short jittered spans. */
#include "handoff.h"
#include "platform.h"

#include <stddef.h>
#include <string.h>

enum {
    INDEX_COMMITS = 8,      /* WalIndexHdr.iChange */
    INDEX_LAST_FRAME = 16,  /* WalIndexHdr.mxFrame */
    INDEX_BACKFILLED = 96,  /* WalCkptInfo.nBackfill */
    INDEX_TURN = 120,       /* WalCkptInfo.aLock, first half */
    INDEX_BENCH = 124,      /* WalCkptInfo.aLock, second half */
    INDEX_REGION = 32768,
};

/* A turn is counted in transactions, so that all get the same even when the machine stalls one of them, and bounded in
 * time for the sake of those who wait behind long ones. */
enum { TURN_TRANSACTIONS = 96 };
#define TURN_NS (3 * LASH_NS_PER_MS)
#define STEP_ASIDE_NS (1 * LASH_NS_PER_MS)
#define DECK_NAP_NS (150 * LASH_NS_PER_US)
#define BENCH_FIRST_NAP_NS (300 * LASH_NS_PER_US)
#define BENCH_NAP_NS (50 * LASH_NS_PER_MS)
#define DECK_LIMIT_NS (4 * TURN_NS)
#define PLAIN_NAP_NS (300 * LASH_NS_PER_US)
#define DISORDER_NS (1000 * LASH_NS_PER_MS)

enum {
    BENCH_OCCUPIED = 1,  /* somebody may sleep on the bench */
    BENCH_LOCK_FREE = 2, /* the last one called was called for the lock itself, not to the deck */
    DECK_TAKEN = 4,      /* somebody was called to the deck, and has not had the lock yet */
    BENCH_CALL = 8,      /* one call */
};

static uint64_t next_random(lash_handoff *handoff)
{
    uint64_t x = handoff->random; /* xorshift64 */
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return handoff->random = x;
}

static uint64_t until(uint64_t deadline, uint64_t now, uint64_t span)
{
    uint64_t left = deadline > now ? deadline - now : 0;
    return span < left ? span : left;
}

static int nap(lash_handoff *handoff, uint64_t now)
{
    uint64_t span = PLAIN_NAP_NS + next_random(handoff) % (4 * PLAIN_NAP_NS);
    lash_sleep_ns(until(handoff->deadline, now, span));
    return 1;
}

#if LASH_HAVE_FUTEX

static uint32_t peek(volatile uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Says that somebody is about to sleep on the bench, and remembers its state: a call that comes between here and the
 * sleep changes the word, and the sleep returns at once. */
static void approach_bench(lash_handoff *handoff)
{
    handoff->turn_seen = peek(handoff->turn);
    handoff->bench_seen = __atomic_or_fetch(handoff->bench, BENCH_OCCUPIED, __ATOMIC_ACQ_REL);
}

/* Calls the longest sleeper, to the deck or for the lock itself; returns how many woke. */
static int call_from_bench(lash_handoff *handoff, uint32_t what)
{
    uint32_t seen = peek(handoff->bench);
    uint32_t called = ((seen & ~(uint32_t)(BENCH_OCCUPIED | BENCH_LOCK_FREE)) | what) + BENCH_CALL;
    if (!(seen & BENCH_OCCUPIED) ||
        !__atomic_compare_exchange_n(handoff->bench, &seen, called, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        return 0; /* nobody there; or somebody sits down at this moment, and the next commit looks again */
    }
    int woken = lash_futex_wake_one(handoff->bench);
    if (woken > 0) {
        __atomic_or_fetch(handoff->bench, BENCH_OCCUPIED, __ATOMIC_ACQ_REL); /* there may be more of them */
    } else if (what == DECK_TAKEN) {
        __atomic_and_fetch(handoff->bench, ~(uint32_t)DECK_TAKEN, __ATOMIC_ACQ_REL);
    }
    return woken;
}

static void leave_deck(lash_handoff *handoff)
{
    if (handoff->on_deck) {
        handoff->on_deck = 0;
        __atomic_and_fetch(handoff->bench, ~(uint32_t)DECK_TAKEN, __ATOMIC_ACQ_REL);
    }
}

/* On deck: sleep until the turn passes. Returns when the lock is worth a try. */
static void wait_on_deck(lash_handoff *handoff)
{
    uint32_t turn = peek(handoff->turn);
    uint32_t commits = peek(handoff->commits);
    uint64_t now = lash_now_ns();
    uint64_t limit = now + DECK_LIMIT_NS; /* a holder that keeps no order never passes the turn */
    while (now < limit && now < handoff->deadline) {
        if (lash_futex_wait(handoff->turn, turn, until(handoff->deadline, now, DECK_NAP_NS)) != LASH_TIMED_OUT) {
            return;
        }
        uint32_t newer = peek(handoff->commits);
        if (newer == commits) {
            return; /* the holder is gone, thinks, or runs something long */
        }
        commits = newer;
        now = lash_now_ns();
    }
}

/* On the bench: sleep until called. The first nap is short, for a holder that does not know of the bench; while commits
 * go on, an order may exist, and then its members will call. */
static void wait_on_bench(lash_handoff *handoff)
{
    static const uint64_t spans[] = {BENCH_FIRST_NAP_NS, BENCH_NAP_NS};
    uint32_t commits = peek(handoff->commits);
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        uint64_t span = until(handoff->deadline, lash_now_ns(), spans[i]);
        lash_wake wake = span == 0 ? LASH_TIMED_OUT : lash_futex_wait(handoff->bench, handoff->bench_seen, span);
        if (wake == LASH_WOKEN) {
            if (!(peek(handoff->bench) & BENCH_LOCK_FREE)) {
                handoff->on_deck = 1;
                wait_on_deck(handoff);
            }
            return;
        }
        if (wake == LASH_CHANGED || peek(handoff->commits) == commits) {
            return;
        }
        approach_bench(handoff); /* others were called meanwhile: with the old word the next nap would end at once */
    }
    if (peek(handoff->turn) == handoff->turn_seen) {
        handoff->disorder_until = lash_now_ns() + DISORDER_NS;
    }
}

static int wait_in_order(lash_handoff *handoff, int tries, uint64_t now)
{
    if (handoff->on_deck) {
        wait_on_deck(handoff);
        return 1;
    }
    if (tries > 0) {
        if (now < handoff->disorder_until && peek(handoff->turn) == handoff->turn_seen) {
            nap(handoff, now);
        } else {
            wait_on_bench(handoff);
        }
    }
    /* At the first try the lock may just have been released by a holder that saw an empty bench: announce first, try
     * once more, and sleep only if that fails too. */
    if (!handoff->on_deck) {
        approach_bench(handoff);
    }
    return 1;
}

static void find_words(lash_handoff *handoff, sqlite3 *db)
{
    sqlite3_file *file = NULL;
    void volatile *index = NULL;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || file == NULL ||
        file->pMethods == NULL || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap == NULL ||
        file->pMethods->xShmMap(file, 0, INDEX_REGION, 0, &index) != SQLITE_OK || index == NULL) {
        return;
    }
    volatile char *base = index;
    handoff->turn = (volatile uint32_t *)(base + INDEX_TURN);
    handoff->bench = (volatile uint32_t *)(base + INDEX_BENCH);
    handoff->commits = (volatile uint32_t *)(base + INDEX_COMMITS);
    handoff->last_frame = (volatile uint32_t *)(base + INDEX_LAST_FRAME);
    handoff->backfilled = (volatile uint32_t *)(base + INDEX_BACKFILLED);
}

#endif

static void settle_wait(lash_handoff *handoff)
{
    if (handoff->wait_began != 0) {
        handoff->last_wait_ns = (int64_t)(lash_now_ns() - handoff->wait_began);
        handoff->waited_ns += handoff->last_wait_ns;
        handoff->waits++;
        handoff->wait_began = 0;
        handoff->had_to_wait = 1;
    }
}

static int on_busy(void *context, int tries)
{
    lash_handoff *handoff = context;
    uint64_t now = lash_now_ns();
    if (tries == 0) {
        settle_wait(handoff); /* of a statement before this one: Python code runs several for one role */
        handoff->wait_began = now;
        handoff->deadline = handoff->first_deadline ? handoff->first_deadline : now + handoff->budget_ns;
        handoff->first_deadline = 0;
    } else if (now >= handoff->deadline) {
        settle_wait(handoff);
        return 0;
    }
#if LASH_HAVE_FUTEX
    if (handoff->turn != NULL) {
        return wait_in_order(handoff, tries, now);
    }
#endif
    return nap(handoff, now);
}

void lash_handoff_init(lash_handoff *handoff, sqlite3 *db, uint64_t budget_ns)
{
    memset(handoff, 0, sizeof *handoff);
    handoff->budget_ns = budget_ns;
    handoff->random = (lash_now_ns() ^ (uint64_t)(uintptr_t)handoff) | 1; /* xorshift must not start at zero */
#if LASH_HAVE_FUTEX
    find_words(handoff, db);
#endif
    sqlite3_busy_handler(db, on_busy, handoff);
}

void lash_handoff_forget(lash_handoff *handoff)
{
    handoff->turn = handoff->bench = handoff->commits = handoff->last_frame = handoff->backfilled = NULL;
}

/* Python code may have closed the log (PRAGMA journal_mode), and its index was unmapped then. */
void lash_handoff_refresh(lash_handoff *handoff, sqlite3 *db, int has_log)
{
    lash_handoff_forget(handoff);
#if LASH_HAVE_FUTEX
    if (has_log) {
        find_words(handoff, db);
    }
    handoff->on_deck = handoff->on_deck && handoff->turn != NULL;
#else
    (void)db;
    (void)has_log;
#endif
}

void lash_handoff_detach(lash_handoff *handoff, sqlite3 *db)
{
    sqlite3_busy_handler(db, NULL, NULL);
    lash_handoff_forget(handoff);
}

void lash_handoff_before_begin(lash_handoff *handoff, uint64_t deadline_ns)
{
    handoff->wait_began = 0;
    handoff->last_wait_ns = 0;
    handoff->had_to_wait = 0;
    handoff->first_deadline = deadline_ns;
#if LASH_HAVE_FUTEX
    if (handoff->gave_way_at != 0 && handoff->turn != NULL) {
        uint64_t now = lash_now_ns();
        if (now - handoff->gave_way_at < STEP_ASIDE_NS) {
            /* The one on deck was only just woken; to try the lock now would take it from under its nose. */
            handoff->wait_began = now;
            handoff->deadline = deadline_ns ? deadline_ns : now + handoff->budget_ns;
            approach_bench(handoff);
            wait_on_bench(handoff);
            settle_wait(handoff);
        }
        handoff->gave_way_at = 0;
    }
#endif
}

void lash_handoff_after_begin(lash_handoff *handoff)
{
    settle_wait(handoff);
    if (handoff->had_to_wait) {
        handoff->had_to_wait = 0;
        handoff->possession_began = lash_now_ns();
        /* Somebody took the lock in the middle of our turn: what was left of it comes on top of the next one. */
        int left = handoff->turn_open ? TURN_TRANSACTIONS - handoff->possession_count : 0;
        handoff->possession_count = left <= 0 ? 0 : left < TURN_TRANSACTIONS ? -left : -TURN_TRANSACTIONS;
        handoff->turn_open = 1;
    }
#if LASH_HAVE_FUTEX
    leave_deck(handoff);
#endif
}

void lash_handoff_released(lash_handoff *handoff, int idle)
{
#if LASH_HAVE_FUTEX
    handoff->possession_count++;
    uint32_t seen = handoff->turn ? peek(handoff->bench) : 0;
    if (!(seen & (BENCH_OCCUPIED | DECK_TAKEN))) {
        return;
    }
    uint64_t now = lash_now_ns();
    if (!idle && handoff->possession_count < TURN_TRANSACTIONS && now - handoff->possession_began < TURN_NS) {
        if (!(seen & DECK_TAKEN)) {
            call_from_bench(handoff, DECK_TAKEN);
        }
        return;
    }
    __atomic_add_fetch(handoff->turn, 1, __ATOMIC_ACQ_REL);
    int woken = lash_futex_wake_one(handoff->turn);
    if (woken == 0 && (seen & DECK_TAKEN)) {
        /* Awake already, or killed on deck: the mark must not outlive it. */
        __atomic_and_fetch(handoff->bench, ~(uint32_t)DECK_TAKEN, __ATOMIC_ACQ_REL);
        woken = 1;
    } else if (woken == 0) {
        woken = call_from_bench(handoff, BENCH_LOCK_FREE);
    }
    if (woken > 0) {
        handoff->gave_way_at = now;
        handoff->handoffs++;
    }
    handoff->possession_began = now;
    handoff->possession_count = 0;
    handoff->turn_open = 0;
#else
    (void)handoff;
    (void)idle;
#endif
}

uint32_t lash_handoff_frames(const lash_handoff *handoff)
{
    return handoff->last_frame ? *handoff->last_frame : 0;
}

uint32_t lash_handoff_frames_pending(const lash_handoff *handoff)
{
    uint32_t last = lash_handoff_frames(handoff);
    uint32_t copied = handoff->backfilled ? *handoff->backfilled : 0;
    return last > copied ? last - copied : 0;
}
