/* Callers that do not wait: what they submit, and the worker thread that runs it. */
#include "executor.h"

enum { MAX_CALLS = 16 };

/* How long the worker waits for more jobs to share a commit, at most. */
#define PATIENCE_NS (1 * LASH_NS_PER_MS)

/* Takes all that only a worker would run out of the queue, linked by `next`. */
static lash_job *take_unserved(lash_executor *executor)
{
    lash_job *taken = NULL;
    lash_mutex_lock(&executor->lock);
    executor->worker = WORKER_ABSENT; /* the next submission tries again */
    for (lash_job *job = executor->tail; job;) {
        lash_job *before = job->previous;
        if (job->mailbox != NULL) {
            lash_queue_remove_locked(executor, job);
            job->state = JOB_RUNNING;
            executor->running++;
            job->next = taken;
            taken = job;
        }
        job = before;
    }
    lash_role_offer_locked(executor);
    lash_mutex_unlock(&executor->lock);
    return taken;
}

/* No worker could be started, the exception is set: nobody would ever come for what was submitted, so it fails with
 * that. */
static void answer_unserved(lash_executor *executor)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *text = value ? PyObject_Str(value) : NULL;
    const char *reason = text ? PyUnicode_AsUTF8AndSize(text, NULL) : NULL;
    lash_job *taken = take_unserved(executor);
    while (taken) {
        lash_job *job = taken;
        taken = job->next;
        lash_job_fail(job, OUTCOME_FAILED, -1, reason ? reason : "the writer thread could not be started");
        job->code = job->extended_code = SQLITE_NOMEM;
        lash_jobs_answer(executor, &job, 1);
    }
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

/* The exception is set; what it interrupts is not to be run behind its back. */
static PyObject *withdraw_interrupted(lash_ticket *ticket)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    lash_ticket_withdraw(ticket);
    PyErr_Restore(type, value, traceback);
    Py_DECREF((PyObject *)ticket);
    return NULL;
}

/* Queues a ticket and sees that a worker will come for it. */
static PyObject *enqueue(lash_executor *executor, lash_ticket *ticket)
{
    lash_mutex_lock(&executor->lock);
    if (executor->state != RUNNING) {
        lash_mutex_unlock(&executor->lock);
        Py_DECREF((PyObject *)ticket);
        return lash_raise_with_path(executor->module->store_closed, executor);
    }
    ticket->job.enqueued_ns = lash_now_ns();
    Py_INCREF((PyObject *)ticket); /* the queue's; given back by drain or withdraw */
    lash_queue_push_locked(executor, &ticket->job);
    int start = executor->worker == WORKER_ABSENT;
    if (start) {
        executor->worker = WORKER_STARTING;
    } else if (!executor->role_taken && (executor->queued == 1 || lash_queue_worth_a_batch(executor))) {
        lash_cond_signal(&executor->worker_wakes);
    }
    lash_mutex_unlock(&executor->lock);
    if (start) {
        PyObject *result = PyObject_CallNoArgs(executor->start_worker);
        if (result == NULL && !PyErr_ExceptionMatches(PyExc_Exception)) {
            return withdraw_interrupted(ticket); /* Ctrl-C while the thread was on its way: it counts as started */
        }
        if (result == NULL) {
            answer_unserved(executor);
        }
        Py_XDECREF(result);
    }
    return (PyObject *)ticket;
}

static int check_mailbox(lash_executor *executor, PyObject *mailbox)
{
    int right = PyObject_IsInstance(mailbox, executor->module->mailbox_type);
    if (right == 0) {
        PyErr_SetString(PyExc_TypeError, "mailbox must be a Mailbox");
    }
    return right > 0 ? 0 : -1;
}

PyObject *lash_executor_submit(PyObject *self, PyObject *args)
{
    lash_executor *executor = (lash_executor *)self;
    PyObject *steps, *mailbox, *token;
    if (!PyArg_UnpackTuple(args, "submit", 3, 3, &steps, &mailbox, &token) || check_mailbox(executor, mailbox) != 0 ||
        lash_check_usable(executor, 0) != 0) {
        return NULL;
    }
    lash_ticket *ticket = lash_ticket_new(executor, JOB_PLAN, mailbox, token);
    if (ticket != NULL && lash_job_compile(&ticket->job, executor, steps) != 0) {
        Py_CLEAR(ticket);
    }
    return ticket ? enqueue(executor, ticket) : NULL;
}

PyObject *lash_executor_submit_call(PyObject *self, PyObject *args)
{
    lash_executor *executor = (lash_executor *)self;
    PyObject *call, *mailbox, *token;
    if (!PyArg_UnpackTuple(args, "submit_call", 3, 3, &call, &mailbox, &token) ||
        check_mailbox(executor, mailbox) != 0 || lash_check_usable(executor, 0) != 0) {
        return NULL;
    }
    lash_ticket *ticket = lash_ticket_new(executor, JOB_CALL, mailbox, token);
    if (ticket != NULL) {
        ticket->job.call = Py_NewRef(call);
    }
    return ticket ? enqueue(executor, ticket) : NULL;
}

/* Waits until there is work that the worker may take: 1, or 0 when it should leave (and is marked as gone). */
static int worker_wait_locked(lash_executor *executor, uint64_t idle_ns)
{
    uint64_t until = lash_now_ns() + idle_ns;
    uint64_t patience_ends = 0;
    for (;;) {
        if (executor->checkpointer_wanted) {
            return 1;
        }
        if (executor->state == STOPPING && executor->head == NULL && executor->running == 0) {
            executor->worker = WORKER_ABSENT; /* whoever may still hold the role, nothing will come back of it */
            return 0;
        }
        uint64_t now = lash_now_ns();
        uint64_t wake = until;
        if (executor->role_taken || executor->head == NULL || executor->head->waiting) {
            patience_ends = 0;
            if (executor->role_taken || executor->head != NULL) {
                wake = until = now + idle_ns;
            } else if (now >= until) {
                executor->worker = WORKER_ABSENT;
                return 0;
            }
        } else {
            if (patience_ends == 0) {
                patience_ends = now + PATIENCE_NS;
            }
            if (executor->kicked || now >= patience_ends || lash_queue_worth_a_batch(executor)) {
                return 1;
            }
            wake = patience_ends;
        }
        lash_cond_wait_until(&executor->worker_wakes, &executor->lock, wake);
    }
}

static size_t take_calls_locked(lash_executor *executor, lash_job **calls)
{
    size_t count = 0;
    while (count < MAX_CALLS && executor->head && executor->head->kind == JOB_CALL) {
        calls[count] = executor->head;
        lash_queue_remove_locked(executor, calls[count]);
        calls[count++]->state = JOB_RUNNING;
    }
    if (count > 0) {
        executor->running += (int64_t)count;
        executor->role_thread = PyThread_get_thread_ident();
    }
    return count;
}

/* Runs plans until closures stand at the head (their number), or the worker should leave (0) or see to the
 * checkpointer's start (-1). */
static int serve(lash_executor *executor, uint64_t idle_ns, lash_job **calls)
{
    lash_mutex_lock(&executor->lock);
    executor->worker = WORKER_PRESENT;
    while (worker_wait_locked(executor, idle_ns)) {
        if (executor->checkpointer_wanted) {
            lash_mutex_unlock(&executor->lock);
            return -1;
        }
        executor->role_taken = 1;
        executor->kicked = 0;
        size_t count = take_calls_locked(executor, calls);
        if (count > 0) {
            lash_mutex_unlock(&executor->lock);
            lash_role_lease(executor, calls[0]->enqueued_ns);
            return (int)count;
        }
        lash_mutex_unlock(&executor->lock);
        lash_role_run_batch(executor, 1);
        lash_mutex_lock(&executor->lock);
        lash_role_pass_on_locked(executor);
    }
    lash_mutex_unlock(&executor->lock);
    return 0;
}

/* The tickets of jobs that serve took. If there is no memory for the list they are answered as closed, not lost. */
static PyObject *ticket_list(lash_executor *executor, lash_job **calls, int count)
{
    PyObject *list = PyList_New(0);
    for (int i = 0; list != NULL && i < count; i++) {
        if (PyList_Append(list, calls[i]->object) != 0) {
            Py_CLEAR(list);
        }
    }
    if (list == NULL) {
        for (int i = 0; i < count; i++) {
            calls[i]->outcome = OUTCOME_CLOSED;
            lash_jobs_answer(executor, &calls[i], 1);
        }
        lash_mutex_lock(&executor->lock);
        executor->role_thread = 0;
        lash_role_pass_on_locked(executor);
        lash_mutex_unlock(&executor->lock);
    }
    return list;
}

PyObject *lash_executor_kick(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_executor *executor = (lash_executor *)self;
    lash_mutex_lock(&executor->lock);
    if (executor->head != NULL && !executor->kicked) {
        executor->kicked = 1;
        if (!executor->role_taken) {
            lash_cond_signal(&executor->worker_wakes);
        }
    }
    lash_mutex_unlock(&executor->lock);
    return Py_NewRef(Py_None);
}

PyObject *lash_executor_serve(PyObject *self, PyObject *argument)
{
    lash_executor *executor = (lash_executor *)self;
    lash_job *calls[MAX_CALLS];
    long long idle_ms = PyLong_AsLongLong(argument);
    if (idle_ms == -1 && PyErr_Occurred()) {
        return NULL;
    }
    for (;;) {
        int count;
        Py_BEGIN_ALLOW_THREADS
        count = serve(executor, (uint64_t)(idle_ms > 0 ? idle_ms : 0) * LASH_NS_PER_MS, calls);
        Py_END_ALLOW_THREADS
        PyErr_Clear(); /* a Python function called by SQL leaves its exception behind; the outcome tells of it */
        if (count > 0) {
            PyObject *list = ticket_list(executor, calls, count);
            if (list != NULL) {
                return list;
            }
            PyErr_Clear(); /* no memory for the list: the jobs were answered and the role passed on, others come */
            continue;
        }
        if (count == 0) {
            return Py_NewRef(Py_None);
        }
        if (lash_checkpoint_start_if_wanted(executor) != 0) {
            return NULL;
        }
    }
}

PyObject *lash_executor_finish(PyObject *self, PyObject *args)
{
    lash_executor *executor = (lash_executor *)self;
    PyObject *object, *answer;
    if (!PyArg_UnpackTuple(args, "finish", 2, 2, &object, &answer)) {
        return NULL;
    }
    lash_ticket *ticket = (lash_ticket *)object;
    if (Py_TYPE(object) != (PyTypeObject *)executor->module->ticket_type || ticket->executor != executor ||
        ticket->job.kind != JOB_CALL || ticket->job.state != JOB_RUNNING) {
        PyErr_SetString(PyExc_ValueError, "finish() takes a ticket that serve() returned and that has no answer yet");
        return NULL;
    }
    ticket->job.answer = Py_NewRef(answer);
    lash_job *job = &ticket->job;
    lash_jobs_answer(executor, &job, 1);
    return Py_NewRef(Py_None);
}

