/* Checkpoints, away from the commits.
 *
 * Copying the WAL back costs a lone writer a third of its throughput if it does it itself. Here a thread of its own does
 * it, on connections of its own: PASSIVE checkpoints, which neither wait for anybody nor let anybody wait. They alone
 * would never let the log start over while commits keep coming, so once the log is long the thread takes the write lock
 * for the short rest: with all of it copied back, the next writer begins at the front of the file again. Reusing the
 * front matters for more than space, overwriting pages that the file system knows is much cheaper than appending. A
 * RESTART checkpoint would do the same, but waits for readers while it holds the write lock. */
#include "executor.h"

/* Of log, in bytes of pages. */
#define DUE_BYTES (4 * 1024 * 1024)      /* not copied back: time for a checkpoint */
#define RESTART_BYTES (16 * 1024 * 1024) /* in the log: time to start it over */
#define LIMIT_BYTES (48 * 1024 * 1024)   /* the checkpointer does not keep up, writers lend a hand */

#define LOCK_BUDGET_NS (1000 * LASH_NS_PER_MS)
#define PAUSE_NS (20 * LASH_NS_PER_MS)
#define LONGEST_PAUSE_NS (1000 * LASH_NS_PER_MS)
#define HAND_PAUSE_NS (5 * LASH_NS_PER_MS)
#define GIVE_WAY_NS (2 * LASH_NS_PER_MS)
#define PATIENCE_NS (5000 * LASH_NS_PER_MS) /* with somebody else's checkpoint: a slow disk's fsync may take seconds */
#define MOST_IMPATIENT 12                   /* halvings: about a millisecond is left */

static int64_t bytes_of(const lash_executor *executor, int64_t frames)
{
    return frames * executor->page_size;
}

int64_t lash_checkpoint_log_frames(const lash_executor *executor)
{
    const lash_handoff *handoff = &executor->handoff;
    return handoff->last_frame ? (int64_t)lash_handoff_frames(handoff) : executor->wal_frames;
}

int64_t lash_checkpoint_pending_frames(const lash_executor *executor)
{
    int64_t behind = executor->wal_frames - executor->wal_copied;
    return executor->handoff.last_frame ? (int64_t)lash_handoff_frames_pending(&executor->handoff)
           : behind > 0                 ? behind
                                        : 0;
}

static void count_locked(lash_executor *executor, int rc, int64_t *counter)
{
    if (rc == SQLITE_OK) {
        ++*counter;
    } else if ((rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_LOCKED) {
        executor->checkpoint_errors++; /* told by stats; commits go on, the log only grows */
    }
}

/* The queue's waits begin anew: what was spent on the disk was not spent waiting for another writer's lock. */
static void give_time_back(lash_executor *executor, uint64_t began)
{
    uint64_t now = lash_now_ns();
    lash_mutex_lock(&executor->lock);
    for (lash_job *job = executor->head; job; job = job->next) {
        job->enqueued_ns += now - (job->enqueued_ns > began ? job->enqueued_ns : began);
    }
    lash_mutex_unlock(&executor->lock);
}

/* Holds the writers back to the pace of the disk when the log outgrows the checkpointer, which on a crowded machine may
 * get no processor, or be long at its fsync. A log that a reader pins cannot be helped this way, so it is not tried all
 * the time; and a process that was stopped in the middle of its checkpoint must not stop the others for ever: whoever
 * waited for it in vain waits half as long the next time. */
static void lend_a_hand(lash_executor *executor)
{
    uint64_t began = lash_now_ns();
    if (began < executor->hand_due) {
        return;
    }
    uint64_t patience = PATIENCE_NS < executor->budget_ns ? PATIENCE_NS : executor->budget_ns;
    int waited = 0;
    while (executor->state == RUNNING && bytes_of(executor, lash_checkpoint_log_frames(executor)) >= LIMIT_BYTES) {
        int copied = 0;
        int rc = sqlite3_wal_checkpoint_v2(executor->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, &copied);
        if ((rc & 0xff) != SQLITE_BUSY) {
            executor->hand_due = lash_now_ns() + HAND_PAUSE_NS;
            executor->hand_impatience = 0;
            lash_mutex_lock(&executor->lock);
            count_locked(executor, rc, &executor->checkpoints);
            executor->wal_copied = rc == SQLITE_OK ? copied : executor->wal_copied;
            lash_mutex_unlock(&executor->lock);
            break;
        }
        waited = 1;
        lash_sleep_ns(GIVE_WAY_NS); /* somebody is at it: let that thread have the processor */
        if (lash_now_ns() - began >= patience >> executor->hand_impatience) {
            executor->hand_impatience += executor->hand_impatience < MOST_IMPATIENT;
            break;
        }
    }
    if (waited) {
        give_time_back(executor, began);
    }
}

void lash_checkpoint_look(lash_executor *executor)
{
    if (bytes_of(executor, lash_checkpoint_pending_frames(executor)) < DUE_BYTES) {
        return;
    }
    lend_a_hand(executor);
    lash_mutex_lock(&executor->lock);
    if (!executor->checkpointer_started) {
        executor->checkpointer_wanted = 1;
    }
    if (!executor->checkpoint_due) {
        executor->checkpoint_due = 1;
        lash_cond_signal(&executor->checkpointer_wakes);
    }
    lash_mutex_unlock(&executor->lock);
}

int lash_checkpoint_start_if_wanted(lash_executor *executor)
{
    if (!executor->checkpointer_wanted) { /* a stale zero only puts it off to the next call */
        return 0;
    }
    lash_mutex_lock(&executor->lock);
    int start = executor->checkpointer_wanted && !executor->checkpointer_started && executor->state == RUNNING;
    executor->checkpointer_started |= start;
    executor->checkpointer_wanted = 0;
    lash_mutex_unlock(&executor->lock);
    if (!start) {
        return 0;
    }
    PyObject *result = PyObject_CallNoArgs(executor->start_checkpointer);
    if (result == NULL && !PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1; /* Ctrl-C while the thread was on its way: it counts as started */
    }
    if (result == NULL) {
        /* No reason to fail a plan that is committed: the statistics tell, and the next commit asks again. */
        PyErr_Clear();
        lash_mutex_lock(&executor->lock);
        executor->checkpointer_started = 0;
        executor->checkpoint_errors++;
        lash_mutex_unlock(&executor->lock);
    }
    Py_XDECREF(result);
    return 0;
}

static int step_once(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v3(db, text, -1, 0, &statement, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
    }
    int finalized = sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : finalized != SQLITE_OK ? finalized : rc;
}

/* With the write lock held nobody appends, so PASSIVE gets everything that no reader still needs: SQLITE_BUSY if one
 * still needs something. */
static int copy_the_rest(sqlite3 *locker, lash_handoff *handoff, sqlite3 *checkpointer)
{
    int frames = 0, copied = 0;
    lash_handoff_before_begin(handoff, 0);
    int rc = step_once(locker, "BEGIN IMMEDIATE");
    lash_handoff_after_begin(handoff);
    if (rc != SQLITE_OK) {
        return rc;
    }
    rc = sqlite3_wal_checkpoint_v2(checkpointer, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    int ended = step_once(locker, "ROLLBACK");
    lash_handoff_released(handoff, 1);
    return rc != SQLITE_OK ? rc : ended != SQLITE_OK ? ended : copied < frames ? SQLITE_BUSY : SQLITE_OK;
}

typedef enum { EVERYTHING, A_PART, TAKEN, NO_FURTHER } round_end;

/* One round. TAKEN: somebody else is at one; NO_FURTHER: a reader holds the log, or something failed. */
static round_end checkpoint(lash_executor *executor, sqlite3 *locker, lash_handoff *handoff, sqlite3 *checkpointer,
                            int *last_copied)
{
    int frames = 0, copied = 0;
    int rc = SQLITE_OK;
    if (!sqlite3_get_autocommit(locker)) {
        rc = step_once(locker, "ROLLBACK"); /* it failed last time, and the write lock must not stay taken */
    }
    rc = rc != SQLITE_OK ? rc : sqlite3_wal_checkpoint_v2(checkpointer, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    int rest = SQLITE_BUSY;
    /* Not a page further than the last time: a reader holds the log, and the write lock would not help. */
    int pinned = rc == SQLITE_OK && copied < frames && copied == *last_copied;
    if (rc == SQLITE_OK) {
        *last_copied = copied;
    }
    if (rc == SQLITE_OK && !pinned && bytes_of(executor, frames) >= RESTART_BYTES) {
        rest = copy_the_rest(locker, handoff, checkpointer);
    }
    lash_mutex_lock(&executor->lock);
    count_locked(executor, rc, &executor->checkpoints);
    count_locked(executor, rest, &executor->restarts);
    executor->wal_copied = rc != SQLITE_OK ? executor->wal_copied : rest == SQLITE_OK ? frames : copied;
    executor->checkpoint_due = 0;
    lash_mutex_unlock(&executor->lock);
    if (rc == SQLITE_OK && (copied == frames || rest == SQLITE_OK)) {
        return EVERYTHING;
    }
    return (rc & 0xff) == SQLITE_BUSY ? TAKEN : rc == SQLITE_OK && !pinned ? A_PART : NO_FURTHER;
}

/* A checkpoint that got no further is tried again by itself: nobody may write any more and ask for it. Less and less
 * often, if a reader holds it up or it failed; one that another process was at, soon, or the log would grow meanwhile. */
static void pause_locked(lash_executor *executor, uint64_t ns)
{
    uint64_t until = lash_now_ns() + ns;
    while (executor->state == RUNNING && lash_now_ns() < until) {
        lash_cond_wait_until(&executor->checkpointer_wakes, &executor->lock, until);
    }
    executor->checkpoint_due = 1;
}

void lash_checkpoint_serve(lash_executor *executor, sqlite3 *locker, sqlite3 *checkpointer)
{
    lash_handoff handoff;
    /* A connection that has not read yet does not know that there is a log. An error shows at the first checkpoint. */
    step_once(locker, "SELECT count(*) FROM sqlite_schema");
    step_once(checkpointer, "SELECT count(*) FROM sqlite_schema");
    lash_handoff_init(&handoff, locker, LOCK_BUDGET_NS);
    uint64_t pause_ns = PAUSE_NS;
    int last_copied = -1;
    lash_mutex_lock(&executor->lock);
    while (executor->state == RUNNING) {
        if (!executor->checkpoint_due) {
            lash_cond_wait(&executor->checkpointer_wakes, &executor->lock);
            continue;
        }
        lash_mutex_unlock(&executor->lock);
        round_end end = checkpoint(executor, locker, &handoff, checkpointer, &last_copied);
        lash_mutex_lock(&executor->lock);
        if (end != NO_FURTHER) {
            pause_ns = PAUSE_NS;
        }
        if (end == TAKEN || (end != EVERYTHING && !executor->checkpoint_due)) {
            pause_locked(executor, pause_ns);
        }
        if (end == NO_FURTHER) {
            pause_ns = pause_ns * 2 < LONGEST_PAUSE_NS ? pause_ns * 2 : LONGEST_PAUSE_NS;
        }
    }
    lash_mutex_unlock(&executor->lock);
    lash_handoff_detach(&handoff, locker);
}
