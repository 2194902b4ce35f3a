/* Checkpoints, away from the commits.
 *
 * Copying the WAL back costs a lone writer a third of its throughput if it does it itself. Here a thread of its own does
 * it, on connections of its own: PASSIVE checkpoints, which neither wait for anybody nor let anybody wait. They alone
 * would never let the log start over while commits keep coming, so once the log is long the thread takes the write lock
 * for the short rest: with all of it copied back, the next writer begins at the front of the file again. Reusing the
 * front matters for more than space, overwriting pages that the file system knows is much cheaper than appending. A
 * RESTART checkpoint would do the same, but waits for readers while it holds the write lock. */
#include "executor.h"

enum {
    DUE_FRAMES = 1000,     /* 4 MiB of pages not copied back */
    RESTART_FRAMES = 8000, /* 32 MiB of log */
};

#define LOCK_BUDGET_NS (1000 * LASH_NS_PER_MS)
#define PAUSE_NS (20 * LASH_NS_PER_MS)

static int frames_due(const lash_executor *executor)
{
    if (executor->handoff.last_frame != NULL) {
        return lash_handoff_frames_pending(&executor->handoff) >= DUE_FRAMES;
    }
    return executor->wal_frames >= DUE_FRAMES;
}

void lash_checkpoint_look(lash_executor *executor)
{
    if (!frames_due(executor)) {
        return;
    }
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
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
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

/* With the write lock held nobody appends, so PASSIVE gets everything that no reader still needs. */
static int copy_the_rest(sqlite3 *locker, lash_handoff *handoff, sqlite3 *checkpointer)
{
    int frames, copied;
    lash_handoff_before_begin(handoff, 0);
    int rc = step_once(locker, "BEGIN IMMEDIATE");
    lash_handoff_after_begin(handoff);
    if (rc != SQLITE_OK) {
        return rc;
    }
    rc = sqlite3_wal_checkpoint_v2(checkpointer, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    int ended = step_once(locker, "ROLLBACK");
    lash_handoff_released(handoff, 1);
    return rc != SQLITE_OK ? rc : ended;
}

static void count_locked(lash_executor *executor, int rc, int64_t *counter)
{
    if (rc == SQLITE_OK) {
        ++*counter;
    } else if ((rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_LOCKED) {
        executor->checkpoint_errors++; /* told by stats; commits go on, the log only grows */
    }
}

static void checkpoint(lash_executor *executor, sqlite3 *locker, lash_handoff *handoff, sqlite3 *checkpointer)
{
    int frames = 0, copied = 0;
    int rc = sqlite3_wal_checkpoint_v2(checkpointer, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    int rest = SQLITE_BUSY;
    if (rc == SQLITE_OK && frames >= RESTART_FRAMES) {
        rest = copy_the_rest(locker, handoff, checkpointer);
    }
    lash_mutex_lock(&executor->lock);
    count_locked(executor, rc, &executor->checkpoints);
    count_locked(executor, rest, &executor->restarts);
    if (rc != SQLITE_OK || copied == 0) {
        /* Another process is at it, or a reader holds the log: look again later, not in a circle. */
        uint64_t until = lash_now_ns() + PAUSE_NS;
        while (executor->state == RUNNING && lash_now_ns() < until) {
            lash_cond_wait_until(&executor->checkpointer_wakes, &executor->lock, until);
        }
    }
    executor->checkpoint_due = 0;
    lash_mutex_unlock(&executor->lock);
}

void lash_checkpoint_serve(lash_executor *executor, sqlite3 *locker, sqlite3 *checkpointer)
{
    lash_handoff handoff;
    lash_handoff_init(&handoff, locker, LOCK_BUDGET_NS);
    lash_mutex_lock(&executor->lock);
    while (executor->state == RUNNING) {
        if (!executor->checkpoint_due) {
            lash_cond_wait(&executor->checkpointer_wakes, &executor->lock);
            continue;
        }
        lash_mutex_unlock(&executor->lock);
        checkpoint(executor, locker, &handoff, checkpointer);
        lash_mutex_lock(&executor->lock);
    }
    lash_mutex_unlock(&executor->lock);
    lash_handoff_detach(&handoff, locker);
}
