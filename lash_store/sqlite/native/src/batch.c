/* A batch: some plans, one transaction, from BEGIN IMMEDIATE to COMMIT without the GIL. */
#include "executor.h"
#include "walwrite.h"

/* How long a batch may hold the write lock before it commits and leaves the rest to the next one. */
#define HOLD_NS (2 * LASH_NS_PER_MS)

typedef enum { RAN, ROLLED_BACK, LOST_TRANSACTION } plan_end;

static int run_statement(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);
    int reset = sqlite3_reset(statement);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : reset != SQLITE_OK ? reset : rc;
}

static int primary(int rc)
{
    return rc & 0xff;
}

static void fail_with_sqlite(lash_executor *executor, lash_job *job, int step, int rc)
{
    lash_job_fail(job, OUTCOME_FAILED, step, sqlite3_errmsg(executor->db));
    job->code = primary(rc);
    job->extended_code = sqlite3_extended_errcode(executor->db);
    if (primary(job->extended_code) != job->code) {
        job->extended_code = rc; /* the connection's last error is another one by now */
    }
    if (job->code == SQLITE_ERROR) {
        lash_forget_exception();
    }
}

static int bind(sqlite3_stmt *statement, int place, const lash_value *value)
{
    switch (value->type) {
    case SQLITE_INTEGER:
        return sqlite3_bind_int64(statement, place, value->as.integer);
    case SQLITE_FLOAT:
        return sqlite3_bind_double(statement, place, value->as.real);
    case SQLITE_TEXT:
        return sqlite3_bind_text64(statement, place, value->as.bytes.data, value->as.bytes.size, LASH_STATIC,
                                   SQLITE_UTF8);
    case SQLITE_BLOB:
        return sqlite3_bind_blob64(statement, place, value->as.bytes.data, value->as.bytes.size, LASH_STATIC);
    default:
        return sqlite3_bind_null(statement, place);
    }
}

/* Takes what the step and its guard want of the row that SQLite stands on. */
static int take_row(lash_job *job, lash_step *step, sqlite3_stmt *statement)
{
    if (step->wants_rows) {
        int rc = lash_rows_append(&step->rows, statement);
        if (rc != 0) {
            return rc;
        }
    }
    if (step->expect == EXPECT_NO_ROW && job->seen.count == 0) {
        return lash_rows_append(&job->seen, statement);
    }
    return 0;
}

/* One run of a step's statement to its end. */
static int run_once(lash_executor *executor, lash_job *job, lash_step *step, const lash_value *values, int *any_row)
{
    sqlite3_stmt *statement = step->statement->prepared;
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < step->value_count; i++) {
        rc = bind(statement, (int)i + 1, &values[i]);
    }
    int copied = 0;
    if (rc == SQLITE_OK) {
        while (copied == 0 && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
            *any_row = 1;
            copied = take_row(job, step, statement);
        }
    }
    if (copied != 0) {
        rc = copied;
        lash_job_fail(job, OUTCOME_FAILED, (int)(step - job->steps),
                      copied == SQLITE_CORRUPT ? "a text in the result is not UTF-8" : "out of memory");
        job->code = job->extended_code = copied;
    } else if (rc != SQLITE_DONE) {
        fail_with_sqlite(executor, job, (int)(step - job->steps), rc);
    }
    sqlite3_reset(statement); /* repeats the error that was just taken */
    /* The values belong to Python and may be gone before the statement is bound again. */
    sqlite3_clear_bindings(statement);
    return rc == SQLITE_DONE ? 0 : -1;
}

/* 0: go on, 1: stop with success, -1: the outcome is set. */
static int judge(lash_job *job, lash_step *step, int any_row, int64_t changes)
{
    int holds = step->expect == EXPECT_ANYTHING  ? 1
                : step->expect == EXPECT_ROW     ? any_row
                : step->expect == EXPECT_NO_ROW  ? !any_row
                                                 : changes == step->expect;
    if (holds) {
        return 0;
    }
    if (step->stop_on_miss) {
        job->stopped = step - job->steps;
        return 1;
    }
    job->outcome = OUTCOME_GUARD;
    job->step = (int)(step - job->steps);
    job->changes = changes;
    return -1;
}

static int run_step(lash_executor *executor, lash_job *job, lash_step *step, int savepoint_wanted, int *savepoint_open)
{
    int number = (int)(step - job->steps);
    lash_statement *statement = step->statement;
    if (lash_statement_prepare(statement, executor->db, job, number) != 0) {
        return -1;
    }
    if (step->run_count > 0 && step->value_count != (size_t)statement->parameter_count) {
        lash_job_fail(job, OUTCOME_INVALID, number, "the number of values is not the number of its parameters");
        return -1;
    }
    if (savepoint_wanted && !*savepoint_open && !statement->read_only) {
        int rc = run_statement(executor->savepoint);
        if (rc != SQLITE_OK) {
            fail_with_sqlite(executor, job, number, rc);
            return -1;
        }
        *savepoint_open = 1;
    }
    int any_row = 0;
    int64_t changes = 0;
    const lash_value *values = job->values + step->first_value;
    for (size_t i = 0; i < step->run_count; i++, values += step->value_count) {
        if (run_once(executor, job, step, values, &any_row) != 0) {
            return -1;
        }
        changes += statement->counts_changes ? sqlite3_changes64(executor->db) : 0;
    }
    job->changes += changes;
    return judge(job, step, any_row, changes);
}

/* Undoes the plan that just failed; afterwards the transaction either stands without it or is gone. */
static plan_end undo(lash_executor *executor, int savepoint_open)
{
    if (sqlite3_get_autocommit(executor->db)) {
        return LOST_TRANSACTION;
    }
    if (savepoint_open &&
        (run_statement(executor->rollback_to) != SQLITE_OK || run_statement(executor->release) != SQLITE_OK)) {
        run_statement(executor->rollback);
        return LOST_TRANSACTION;
    }
    return ROLLED_BACK;
}

/* Runs one member. `alone`: the transaction is its own, and is rolled back instead of a savepoint. */
static plan_end run_plan(lash_executor *executor, lash_job *job, int alone)
{
    int savepoint_open = 0;
    int verdict = 0;
    lash_job_forget_results(job);
    for (size_t i = 0; verdict == 0 && i < job->step_count; i++) {
        verdict = run_step(executor, job, &job->steps[i], !alone, &savepoint_open);
    }
    if (verdict < 0) {
        executor->conflicts += job->outcome == OUTCOME_GUARD;
        return undo(executor, savepoint_open);
    }
    if (savepoint_open) {
        int rc = run_statement(executor->release);
        if (rc != SQLITE_OK) {
            fail_with_sqlite(executor, job, (int)job->step_count - 1, rc);
            return undo(executor, savepoint_open);
        }
    }
    return RAN;
}

static int begin(lash_executor *executor, const lash_job *first)
{
    uint64_t now = lash_now_ns();
    uint64_t deadline = first->enqueued_ns + executor->budget_ns;
    lash_handoff_before_begin(&executor->handoff, deadline > now ? deadline : now);
    int rc = run_statement(executor->begin);
    lash_handoff_after_begin(&executor->handoff);
    return rc;
}

static int commit(lash_executor *executor)
{
    sqlite3_file *wal = lash_walwrite_find(executor->db);
    if (wal == NULL) {
        return run_statement(executor->commit);
    }
    lash_walwrite_begin(wal, executor->page_size);
    int rc = run_statement(executor->commit);
    int written = lash_walwrite_finish(wal, !sqlite3_get_autocommit(executor->db));
    return rc != SQLITE_OK ? rc : written;
}

/* The lock was not to be had: answers those whose own time is over, and returns how many that were. The queue is in the
 * order of arrival, so the ones behind them have time left. */
static size_t answer_expired(lash_executor *executor, lash_job **jobs, size_t count)
{
    uint64_t now = lash_now_ns();
    size_t answered = 0;
    for (; answered < count && jobs[answered]->enqueued_ns + executor->budget_ns <= now; answered++) {
        lash_job_forget_results(jobs[answered]);
        jobs[answered]->outcome = OUTCOME_BUSY;
        jobs[answered]->waited_ms = (int64_t)((now - jobs[answered]->enqueued_ns) / LASH_NS_PER_MS);
    }
    if (answered == 0) {
        lash_sleep_ns(LASH_NS_PER_MS); /* SQLite gave up without asking the busy handler: do not spin */
    }
    return answered;
}

static void fail_all(lash_executor *executor, lash_job **jobs, size_t count, int rc)
{
    for (size_t i = 0; i < count; i++) {
        fail_with_sqlite(executor, jobs[i], -1, rc);
    }
}

/* Moves jobs[place] to the front. */
static void bring_forward(lash_job **jobs, size_t place)
{
    lash_job *job = jobs[place];
    for (; place > 0; place--) {
        jobs[place] = jobs[place - 1];
    }
    jobs[0] = job;
}

static void note_batch(lash_executor *executor, size_t members)
{
    executor->commits += (int64_t)members;
    executor->batches++;
    if ((int64_t)members > executor->largest_batch) {
        executor->largest_batch = (int64_t)members;
    }
}

enum { LOST = -1 };

/* One transaction over the jobs; the write lock is held. Returns SQLITE_OK when the first `*ran` have their outcome and
 * the rest was not started; the result code of a COMMIT that failed; or LOST when jobs[*ran] ended the transaction, with
 * its outcome set and all others undone. */
static int run_members(lash_executor *executor, lash_job **jobs, size_t count, size_t *ran)
{
    uint64_t started = lash_now_ns();
    size_t succeeded = 0;
    for (*ran = 0; *ran < count; ++*ran) {
        if (*ran > 0 && lash_now_ns() - started > HOLD_NS) {
            break;
        }
        plan_end end = run_plan(executor, jobs[*ran], count == 1);
        if (end == LOST_TRANSACTION) {
            return LOST;
        }
        succeeded += end == RAN;
    }
    if (succeeded == 0) {
        run_statement(executor->rollback);
        return SQLITE_OK;
    }
    int rc = commit(executor);
    if (rc == SQLITE_OK) {
        note_batch(executor, succeeded);
    }
    return rc;
}

/* COMMIT failed. A member that was alone has its cause; several are run again one by one, so that only those fail that
 * cannot be committed. */
static void commit_failed(lash_executor *executor, lash_job **jobs, size_t count, int rc)
{
    if (count == 1) {
        fail_with_sqlite(executor, jobs[0], -1, rc);
    }
    if (!sqlite3_get_autocommit(executor->db)) {
        run_statement(executor->rollback);
    }
    for (size_t i = 0; count > 1 && i < count; i++) {
        if (jobs[i]->outcome == OUTCOME_DONE) {
            jobs[i]->enqueued_ns = lash_now_ns(); /* the first wait for the lock was not in vain: a new budget */
            while (lash_batch_run(executor, &jobs[i], 1) == 0) {
            }
        }
    }
}

void lash_batch_clean(lash_executor *executor)
{
    if (!sqlite3_get_autocommit(executor->db)) {
        run_statement(executor->rollback);
    }
}

static size_t run_locked(lash_executor *executor, lash_job **jobs, size_t count)
{
    size_t done = 0;
    while (done < count) {
        lash_batch_clean(executor); /* after a ROLLBACK that failed: try to come back from it */
        int rc = begin(executor, jobs[done]);
        if (primary(rc) == SQLITE_BUSY) {
            return done + answer_expired(executor, jobs + done, count - done);
        }
        if (rc != SQLITE_OK) {
            fail_all(executor, jobs + done, count - done, rc);
            return count;
        }
        size_t ran;
        rc = run_members(executor, jobs + done, count - done, &ran);
        if (rc == LOST) {
            bring_forward(jobs + done, ran);
            done++;
            continue;
        }
        if (rc != SQLITE_OK) {
            commit_failed(executor, jobs + done, ran, rc);
        }
        return done + ran;
    }
    return count;
}

size_t lash_batch_run(lash_executor *executor, lash_job **jobs, size_t count)
{
    /* One lock of SQLite's mutex for the whole batch; the calls inside take it again for next to nothing. */
    sqlite3_mutex *mutex = sqlite3_db_mutex(executor->db);
    sqlite3_mutex_enter(mutex);
    size_t answered = run_locked(executor, jobs, count);
    sqlite3_mutex_leave(mutex);
    return answered;
}

int lash_batch_prepare(lash_executor *executor)
{
    struct {
        sqlite3_stmt **statement;
        const char *text;
    } const wanted[] = {
        {&executor->begin, "BEGIN IMMEDIATE"},          {&executor->commit, "COMMIT"},
        {&executor->rollback, "ROLLBACK"},              {&executor->savepoint, "SAVEPOINT member"},
        {&executor->release, "RELEASE member"},         {&executor->rollback_to, "ROLLBACK TO member"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        int rc = sqlite3_prepare_v3(executor->db, wanted[i].text, -1, SQLITE_PREPARE_PERSISTENT, wanted[i].statement,
                                    NULL);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return SQLITE_OK;
}

void lash_batch_finalize(lash_executor *executor)
{
    sqlite3_stmt **const all[] = {&executor->begin,     &executor->commit,  &executor->rollback,
                                  &executor->savepoint, &executor->release, &executor->rollback_to};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        sqlite3_finalize(*all[i]); /* NULL is fine */
        *all[i] = NULL;
    }
}
