/* The executor: one database's writer, its queue, and the types that Python sees of it. */
#ifndef LASH_EXECUTOR_H
#define LASH_EXECUTOR_H

#include "handoff.h"
#include "job.h"
#include "statements.h"

/* What the module keeps: types, and the objects of the package that the C code needs. */
typedef struct {
    PyObject *executor_type;
    PyObject *mailbox_type;
    PyObject *ticket_type;
    PyObject *invalid_plan;
    PyObject *store_closed;
    PyObject *store_reentered;
    PyObject *name_sql;
    PyObject *name_values;
    PyObject *name_expect;
    PyObject *name_otherwise;
    PyObject *name_rows;
    PyObject *name_many;
} lash_module;

extern PyType_Spec lash_executor_spec;
extern PyType_Spec lash_mailbox_spec;
extern PyType_Spec lash_ticket_spec;

/* Where outcomes of submitted jobs arrive. */
struct lash_mailbox {
    PyObject ob_base;
    lash_mutex lock;
    lash_cond arrived;
    lash_signal signal;
    lash_job *first; /* linked by next_delivered */
    lash_job *last;
    int waiters;
    int usable; /* lock and condition exist */
};

typedef struct {
    PyObject ob_base;
    lash_executor *executor;
    lash_job job;
} lash_ticket;

enum { WORKER_ABSENT, WORKER_STARTING, WORKER_PRESENT };
enum { RUNNING, STOPPING };

struct lash_executor {
    PyObject ob_base;
    lash_module *module;
    PyObject *connection;
    PyObject *path;
    PyObject *start_worker;
    PyObject *start_checkpointer;
    sqlite3 *db;
    uint64_t budget_ns;
    int page_size;

    /* The lock guards the queue, the role and the states of jobs. It is held for a few instructions at a time, and never
     * while waiting for the GIL; so it may be taken with the GIL held. */
    lash_mutex lock;
    lash_cond worker_wakes;
    lash_cond checkpointer_wakes;
    lash_cond rests; /* the role is free and the queue empty */
    int resting_watched; /* threads that wait for it */
    lash_job *head;
    lash_job *tail;
    int64_t queued;
    int64_t promotions; /* times the role went to a thread that waited */
    int role_taken;
    unsigned long role_thread; /* who holds it in Python code (acquire, serve); 0: nobody, or C code */
    unsigned long batch_thread; /* who runs a batch: SQL may call Python, and that must not come back here */
    int worker;
    int kicked;       /* what is queued shall be run, even if it is little */
    int64_t running;  /* jobs taken from the queue and not answered */
    int64_t audience; /* about how many jobs are under way at a time: decides what is worth a batch */
    int state;
    int locks; /* lock and conditions exist */
    int ready; /* initialised, not closed */
    long process; /* the one that made it: in a child nothing may touch the connection */

    /* Below: written by the holder of the writer role. */
    lash_statements statements;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
    sqlite3_stmt *savepoint;
    sqlite3_stmt *release;
    sqlite3_stmt *rollback_to;
    lash_handoff handoff;
    int lent; /* Python code has the connection, and the hand-off's words are forgotten meanwhile */
    uint64_t hand_due;   /* when this writer may do a checkpoint itself again */
    int hand_impatience; /* how often in a row it waited in vain for somebody else's */
    int wal_frames; /* as the WAL hook last told */
    int wal_copied; /* of them, as this handle's checkpoints know: where the WAL index cannot be read */
    int64_t commits;
    int64_t batches;
    int64_t largest_batch;
    int64_t conflicts;

    /* Checkpoints; guarded by the lock. */
    int checkpointer_wanted;
    int checkpointer_started;
    int checkpoint_due;
    int64_t checkpoints;
    int64_t restarts;
    int64_t checkpoint_errors;
};

/* batch.c: runs `count` plans; the caller holds the writer role and not the GIL. Jobs that were not started, because the
 * time under the lock was over or it was not to be had yet, are left in `jobs` behind the returned number of answered
 * ones. */
size_t lash_batch_run(lash_executor *executor, lash_job **jobs, size_t count);
void lash_batch_clean(lash_executor *executor); /* rolls back what is open; the caller holds the writer role */
int lash_batch_prepare(lash_executor *executor); /* SQLite's result code */
void lash_batch_finalize(lash_executor *executor);

/* blocking.c */
void lash_forget_exception(void); /* GIL not held */
int lash_clear_exception(void); /* what a Python function called by SQLite left behind; -1: an interrupt, it stays set */
PyObject *lash_executor_before_begin(PyObject *self, PyObject *waited_ms);
PyObject *lash_executor_lend(PyObject *self, PyObject *unused);

/* queue.c; `locked`: the caller holds the executor's lock. */
void lash_queue_push_locked(lash_executor *executor, lash_job *job);
void lash_queue_remove_locked(lash_executor *executor, lash_job *job);
/* Whether so much is queued that more would not make a better batch: no need to wait for a kick. */
int lash_queue_worth_a_batch(const lash_executor *executor);
/* If the role is free: sees that whoever stands at the head of the queue gets it. */
void lash_role_offer_locked(lash_executor *executor);
void lash_role_pass_on_locked(lash_executor *executor); /* the caller holds the writer role, and no longer afterwards */
void lash_role_lease(lash_executor *executor, uint64_t enqueued_ns); /* role held: Python will use the connection */
void lash_role_run_batch(lash_executor *executor, int idle_after); /* role held, lock and GIL not */
/* Waits for the role (1), or until the job was carried along by another holder (0). `state` is what PyEval_SaveThread
 * gave: an interrupt can come meanwhile, and then its exception is set and the job is not in the queue any more. */
enum { ROLE_INTERRUPTED = -1 };
#define LASH_SIGNALS_NS (100 * LASH_NS_PER_MS) /* how often a thread that waits looks whether somebody presses Ctrl-C */
int lash_interrupted_locked(lash_executor *executor, PyThreadState **state); /* gives the lock up for the question */
int lash_role_wait_locked(lash_executor *executor, lash_job *job, PyThreadState **state);
/* Tells who waits; a job may be gone afterwards. Reorders `jobs`. */
void lash_jobs_answer(lash_executor *executor, lash_job **jobs, size_t count);

int lash_ticket_withdraw(lash_ticket *ticket); /* 1: it was queued, and is not any more */

/* mailbox.c */
void lash_mailbox_put(lash_mailbox *mailbox, lash_job *first, lash_job *last); /* linked by next_delivered */

/* checkpoint.c */
void lash_checkpoint_look(lash_executor *executor); /* after a commit; role held, lock not, no GIL */
void lash_checkpoint_serve(lash_executor *executor, sqlite3 *locker, sqlite3 *checkpointer); /* no GIL */
int lash_checkpoint_start_if_wanted(lash_executor *executor); /* GIL held; -1: an interrupt came, it is set */
int64_t lash_checkpoint_log_frames(const lash_executor *executor); /* role or lock held */
int64_t lash_checkpoint_pending_frames(const lash_executor *executor);

/* executor.c; GIL held; NULL with an exception set. */
sqlite3 *lash_pointer_of(PyObject *connection);

/* blocking.c, methods and what both kinds of callers need; GIL held. */
PyObject *lash_raise_with_path(PyObject *kind, lash_executor *executor); /* NULL */
int lash_check_usable(lash_executor *executor, int blocking);            /* -1 with an exception set if it is not */
PyObject *lash_executor_run(PyObject *self, PyObject *steps);
PyObject *lash_executor_acquire(PyObject *self, PyObject *unused);
PyObject *lash_executor_hold(PyObject *self, PyObject *call);
PyObject *lash_executor_release(PyObject *self, PyObject *unused);

/* worker.c, methods. */
PyObject *lash_executor_submit(PyObject *self, PyObject *args);
PyObject *lash_executor_submit_call(PyObject *self, PyObject *args);
PyObject *lash_executor_kick(PyObject *self, PyObject *unused);
PyObject *lash_executor_serve(PyObject *self, PyObject *argument);
PyObject *lash_executor_finish(PyObject *self, PyObject *args);

/* ticket.c */
lash_ticket *lash_ticket_new(lash_executor *executor, lash_job_kind kind, PyObject *mailbox, PyObject *token);

#endif
