/* Callers that wait: a plan run on the calling thread, and the writer role for a closure. */
#include "executor.h"
#include "walwrite.h"

#include <string.h>

PyObject *lash_raise_with_path(PyObject *kind, lash_executor *executor)
{
    PyObject *error = PyObject_CallFunctionObjArgs(kind, executor->path, NULL);
    if (error != NULL) {
        PyErr_SetObject(kind, error);
        Py_DECREF(error);
    }
    return NULL;
}

int lash_check_usable(lash_executor *executor, int blocking)
{
    if (!executor->ready || executor->state != RUNNING) {
        lash_raise_with_path(executor->module->store_closed, executor);
        return -1;
    }
    if (blocking && (executor->role_thread == PyThread_get_thread_ident() ||
                     executor->batch_thread == PyThread_get_thread_ident())) {
        lash_raise_with_path(executor->module->store_reentered, executor);
        return -1;
    }
    return 0;
}

int lash_clear_exception(void)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

enum { RUN_THROUGH, RUN_CLOSED, RUN_INTERRUPTED };

/* A Python function that SQL called may have raised, and would do so again in the next one that SQL calls: the outcome
 * tells of it, so it is not needed any more. An interrupt stays, for whoever waits on this thread. */
void lash_forget_exception(void)
{
    PyGILState_STATE state = PyGILState_Ensure();
    if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
    }
    PyGILState_Release(state);
}

/* Queues a blocking job and sees it through: by another holder of the role, or by running batches until it is done. */
static int run_blocking(lash_executor *executor, lash_job *job, PyThreadState **state)
{
    lash_mutex_lock(&executor->lock);
    if (executor->state != RUNNING) {
        lash_mutex_unlock(&executor->lock);
        return RUN_CLOSED;
    }
    job->enqueued_ns = lash_now_ns();
    lash_queue_push_locked(executor, job);
    int mine = lash_role_wait_locked(executor, job, state);
    while (mine > 0) {
        lash_mutex_unlock(&executor->lock);
        lash_role_run_batch(executor, 0);
        lash_mutex_lock(&executor->lock);
        if (job->state == JOB_FINISHED) {
            lash_role_pass_on_locked(executor);
            break;
        }
        if (executor->head->kind != JOB_PLAN) {
            lash_role_pass_on_locked(executor);
            mine = lash_role_wait_locked(executor, job, state);
        }
    }
    lash_mutex_unlock(&executor->lock);
    return mine == ROLE_INTERRUPTED ? RUN_INTERRUPTED : RUN_THROUGH;
}

PyObject *lash_executor_run(PyObject *self, PyObject *steps)
{
    lash_executor *executor = (lash_executor *)self;
    lash_job job;
    if (lash_check_usable(executor, 1) != 0) {
        return NULL;
    }
    memset(&job, 0, sizeof job);
    if (lash_cond_init(&job.cond) != 0) {
        return PyErr_NoMemory();
    }
    PyObject *outcome = NULL;
    if (lash_job_compile(&job, executor, steps) == 0) {
        PyThreadState *state = PyEval_SaveThread();
        int rc = run_blocking(executor, &job, &state);
        PyEval_RestoreThread(state);
        /* The outcome tells of an exception in a Python function that SQL called, but not of Ctrl-C in it. */
        if (rc == RUN_INTERRUPTED || lash_clear_exception() != 0) {
            outcome = NULL;
        } else if (rc == RUN_CLOSED) {
            outcome = lash_raise_with_path(executor->module->store_closed, executor);
        } else {
            outcome = lash_job_outcome(&job);
        }
    }
    lash_job_clear(&job);
    lash_cond_destroy(&job.cond);
    if (outcome != NULL && lash_checkpoint_start_if_wanted(executor) != 0) {
        Py_CLEAR(outcome);
    }
    return outcome;
}

PyObject *lash_executor_acquire(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_executor *executor = (lash_executor *)self;
    lash_job job;
    if (lash_check_usable(executor, 1) != 0) {
        return NULL;
    }
    memset(&job, 0, sizeof job);
    job.kind = JOB_ROLE;
    if (lash_cond_init(&job.cond) != 0) {
        return PyErr_NoMemory();
    }
    int mine = 0;
    PyThreadState *state = PyEval_SaveThread();
    lash_mutex_lock(&executor->lock);
    if (executor->state == RUNNING) {
        job.enqueued_ns = lash_now_ns();
        lash_queue_push_locked(executor, &job);
        mine = lash_role_wait_locked(executor, &job, &state);
        if (mine > 0 && job.state == JOB_FINISHED) { /* promoted, then dropped by abort */
            lash_role_pass_on_locked(executor);
            mine = 0;
        }
        if (mine > 0) {
            lash_queue_remove_locked(executor, &job);
            executor->role_thread = PyThread_get_thread_ident();
        }
    }
    lash_mutex_unlock(&executor->lock);
    if (mine > 0) {
        lash_role_lease(executor, job.enqueued_ns); /* for the BEGIN that Python is about to issue */
    }
    PyEval_RestoreThread(state);
    lash_cond_destroy(&job.cond);
    if (mine == ROLE_INTERRUPTED) {
        return NULL;
    }
    return mine ? Py_NewRef(Py_None) : lash_raise_with_path(executor->module->store_closed, executor);
}

static void find_words(lash_executor *executor)
{
    int has_log = lash_walwrite_find(executor->db) != NULL;
    lash_mutex_lock(&executor->lock);
    lash_handoff_refresh(&executor->handoff, executor->db, has_log);
    executor->lent = 0;
    lash_mutex_unlock(&executor->lock);
}

static int holds_role(lash_executor *executor, const char *what)
{
    if (executor->role_thread == PyThread_get_thread_ident()) {
        return 1;
    }
    PyErr_Format(PyExc_RuntimeError, "%s() by a thread that does not hold the writer role", what);
    return 0;
}

PyObject *lash_executor_before_begin(PyObject *self, PyObject *waited_ms)
{
    lash_executor *executor = (lash_executor *)self;
    long long waited = PyLong_AsLongLong(waited_ms);
    if ((waited == -1 && PyErr_Occurred()) || !holds_role(executor, "before_begin")) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    if (executor->lent) {
        find_words(executor);
    }
    lash_role_lease(executor, lash_now_ns() - (uint64_t)(waited > 0 ? waited : 0) * LASH_NS_PER_MS);
    Py_END_ALLOW_THREADS
    return Py_NewRef(Py_None);
}

/* Code that may do anything can end WAL mode, and the WAL index would be unmapped under our words in it. */
PyObject *lash_executor_lend(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_executor *executor = (lash_executor *)self;
    if (!holds_role(executor, "lend")) {
        return NULL;
    }
    lash_mutex_lock(&executor->lock);
    lash_handoff_forget(&executor->handoff);
    executor->lent = 1;
    lash_mutex_unlock(&executor->lock);
    return Py_NewRef(Py_None);
}

PyObject *lash_executor_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_executor *executor = (lash_executor *)self;
    if (!holds_role(executor, "release")) {
        return NULL;
    }
    if (executor->process != lash_process()) {
        return Py_NewRef(Py_None); /* a closure forked: role, connection and locks are the parent's */
    }
    Py_BEGIN_ALLOW_THREADS
    if (executor->lent || executor->handoff.turn != NULL) {
        find_words(executor);
    }
    lash_handoff_after_begin(&executor->handoff);
    lash_batch_clean(executor); /* what a closure left open must not meet the next one */
    lash_handoff_released(&executor->handoff, 1);
    lash_checkpoint_look(executor);
    lash_mutex_lock(&executor->lock);
    executor->role_thread = 0;
    lash_role_pass_on_locked(executor);
    lash_mutex_unlock(&executor->lock);
    Py_END_ALLOW_THREADS
    if (lash_clear_exception() != 0 || lash_checkpoint_start_if_wanted(executor) != 0) {
        return NULL;
    }
    return Py_NewRef(Py_None);
}

/* Taking the role and giving it back are one call: between two, an interrupt (Ctrl-C) could keep it taken for ever. */
PyObject *lash_executor_hold(PyObject *self, PyObject *call)
{
    PyObject *taken = lash_executor_acquire(self, NULL);
    if (taken == NULL) {
        return NULL;
    }
    Py_DECREF(taken);
    PyObject *result = PyObject_CallNoArgs(call);
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *released = lash_executor_release(self, NULL); /* the role is given back, also if an interrupt comes */
    if (released == NULL && type == NULL) {
        Py_CLEAR(result);
        return NULL;
    }
    Py_XDECREF(released);
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return result;
}

