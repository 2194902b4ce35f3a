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

/* Queues a blocking job and sees it through: by another holder of the role, or by running batches until it is done. */
static int run_blocking(lash_executor *executor, lash_job *job)
{
    lash_mutex_lock(&executor->lock);
    if (executor->state != RUNNING) {
        lash_mutex_unlock(&executor->lock);
        return -1;
    }
    job->enqueued_ns = lash_now_ns();
    lash_queue_push_locked(executor, job);
    int mine = lash_role_wait_locked(executor, job);
    while (mine) {
        lash_mutex_unlock(&executor->lock);
        lash_role_run_batch(executor, 0);
        lash_mutex_lock(&executor->lock);
        if (job->state == JOB_FINISHED) {
            lash_role_pass_on_locked(executor);
            break;
        }
        if (executor->head->kind != JOB_PLAN) {
            lash_role_pass_on_locked(executor);
            mine = lash_role_wait_locked(executor, job);
        }
    }
    lash_mutex_unlock(&executor->lock);
    return 0;
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
        int rc;
        Py_BEGIN_ALLOW_THREADS
        rc = run_blocking(executor, &job);
        Py_END_ALLOW_THREADS
        PyErr_Clear(); /* a Python function called by SQL leaves its exception behind; the outcome tells of it */
        outcome = rc == 0 ? lash_job_outcome(&job) : lash_raise_with_path(executor->module->store_closed, executor);
    }
    lash_job_clear(&job);
    lash_cond_destroy(&job.cond);
    lash_checkpoint_start_if_wanted(executor);
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
    Py_BEGIN_ALLOW_THREADS
    lash_mutex_lock(&executor->lock);
    if (executor->state == RUNNING) {
        job.enqueued_ns = lash_now_ns();
        lash_queue_push_locked(executor, &job);
        mine = lash_role_wait_locked(executor, &job);
        if (mine && job.state == JOB_FINISHED) { /* promoted, then dropped by abort */
            lash_role_pass_on_locked(executor);
            mine = 0;
        }
        if (mine) {
            lash_queue_remove_locked(executor, &job);
            executor->role_thread = PyThread_get_thread_ident();
        }
    }
    lash_mutex_unlock(&executor->lock);
    if (mine) {
        lash_role_lease(executor, job.enqueued_ns); /* for the BEGIN that Python is about to issue */
    }
    Py_END_ALLOW_THREADS
    lash_cond_destroy(&job.cond);
    return mine ? Py_NewRef(Py_None) : lash_raise_with_path(executor->module->store_closed, executor);
}

PyObject *lash_executor_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_executor *executor = (lash_executor *)self;
    if (executor->role_thread != PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError, "release() by a thread that does not hold the writer role");
        return NULL;
    }
    if (executor->process != lash_process()) {
        return Py_NewRef(Py_None); /* a closure forked: role, connection and locks are the parent's */
    }
    Py_BEGIN_ALLOW_THREADS
    if (executor->handoff.turn != NULL || executor->handoff.last_frame != NULL) {
        lash_handoff_refresh(&executor->handoff, executor->db, lash_walwrite_find(executor->db) != NULL);
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
    PyErr_Clear(); /* a Python function called by SQLite leaves its exception behind */
    lash_checkpoint_start_if_wanted(executor);
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
    PyObject *released = lash_executor_release(self, NULL); /* fails only for a thread that does not hold the role */
    Py_XDECREF(released);
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return result;
}

