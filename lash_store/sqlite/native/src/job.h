/* A job: one plan, one closure, or one thread's turn at the writer role; and what became of it.
 *
 * Memory rule: a job points into Python objects (texts, byte strings) that it keeps alive through `refs`; the pointers
 * are taken, and the references given back, only with the GIL held. In between, SQLite reads them without it. */
#ifndef LASH_JOB_H
#define LASH_JOB_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "platform.h"
#include "sqlite_api.h"

typedef struct lash_executor lash_executor;
typedef struct lash_statement lash_statement;
typedef struct lash_mailbox lash_mailbox;

typedef enum { OUTCOME_DONE, OUTCOME_GUARD, OUTCOME_FAILED, OUTCOME_BUSY, OUTCOME_INVALID, OUTCOME_CLOSED } lash_outcome;

enum { EXPECT_ANYTHING = -1, EXPECT_ROW = -2, EXPECT_NO_ROW = -3 };

typedef struct {
    int type; /* SQLITE_INTEGER ... SQLITE_NULL */
    union {
        int64_t integer;
        double real;
        struct {
            const char *data;
            uint64_t size;
        } bytes;
    } as;
} lash_value;

/* Rows as SQLite gave them, copied out: for each cell its type, then 8 bytes or a size and the bytes. */
typedef struct {
    char *data;
    size_t size;
    size_t capacity;
    int columns;
    int64_t count;
} lash_rows;

typedef struct {
    lash_statement *statement;
    size_t first_value; /* index into the job's values */
    size_t value_count; /* of one run of the statement */
    size_t run_count;   /* 1, or the length of an insert-many */
    int64_t expect;
    int stop_on_miss;
    int wants_rows;
    lash_rows rows;
} lash_step;

typedef enum { JOB_PLAN, JOB_CALL, JOB_ROLE } lash_job_kind;
typedef enum { JOB_QUEUED, JOB_RUNNING, JOB_FINISHED, JOB_WITHDRAWN } lash_job_state;

typedef struct lash_job {
    struct lash_job *next;
    struct lash_job *previous;
    lash_job_kind kind;
    lash_job_state state; /* guarded by the executor's lock */
    uint64_t enqueued_ns;

    lash_step *steps;
    size_t step_count;
    lash_value *values;
    size_t value_count;
    size_t value_capacity;
    PyObject **refs;
    size_t ref_count;
    size_t ref_capacity;

    lash_outcome outcome;
    int step;
    int code;
    int extended_code;
    char *message; /* malloc'ed, UTF-8 */
    int64_t stopped;
    lash_rows seen; /* the row that a guard met, at most one */
    int64_t changes;
    int64_t waited_ms;

    /* Blocking jobs: the thread that waits on `cond`. `promoted` says that the writer role is now its. */
    int waiting;
    int promoted;
    lash_cond cond;

    /* Submitted jobs: who hears of it. `object` is the ticket that this job lives in. */
    lash_mailbox *mailbox;
    struct lash_job *next_delivered;
    PyObject *object;
    PyObject *token;
    PyObject *call;
    PyObject *answer; /* of a JOB_CALL */
} lash_job;

/* values.c, GIL held. */
int lash_job_compile(lash_job *job, lash_executor *executor, PyObject *steps); /* -1 with an exception set */
void lash_job_clear(lash_job *job);                                           /* gives everything back */

/* outcomes.c, GIL held. */
PyObject *lash_job_outcome(lash_job *job);

/* rows.c, no GIL needed. */
void lash_job_forget_results(lash_job *job);             /* before the plan is run again */
void lash_job_fail(lash_job *job, lash_outcome outcome, int step, const char *message);
int lash_rows_append(lash_rows *rows, sqlite3_stmt *statement); /* 0, SQLITE_NOMEM, or SQLITE_CORRUPT: not UTF-8 */
void lash_rows_free(lash_rows *rows);

#endif
