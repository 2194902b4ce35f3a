#include "executor.h"

#include <string.h>

enum { MAX_CALLS = 16 };

/* How long the worker waits for more jobs to share a commit, at most. */
#define PATIENCE_NS (1 * LASH_NS_PER_MS)

static PyObject *raise_with_path(PyObject *kind, lash_executor *executor)
{
    PyObject *error = PyObject_CallFunctionObjArgs(kind, executor->path, NULL);
    if (error != NULL) {
        PyErr_SetObject(kind, error);
        Py_DECREF(error);
    }
    return NULL;
}

/* -1 with an exception set if the executor cannot take blocking work from this thread. */
static int check_usable(lash_executor *executor, int blocking)
{
    if (!executor->ready || executor->state != RUNNING) {
        raise_with_path(executor->module->store_closed, executor);
        return -1;
    }
    if (blocking && executor->role_thread == PyThread_get_thread_ident()) {
        raise_with_path(executor->module->store_reentered, executor);
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

static PyObject *executor_run(PyObject *self, PyObject *steps)
{
    lash_executor *executor = (lash_executor *)self;
    lash_job job;
    if (check_usable(executor, 1) != 0) {
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
        outcome = rc == 0 ? lash_job_outcome(&job) : raise_with_path(executor->module->store_closed, executor);
    }
    lash_job_clear(&job);
    lash_cond_destroy(&job.cond);
    if (outcome != NULL && lash_checkpoint_start_if_wanted(executor) != 0) {
        Py_CLEAR(outcome);
    }
    return outcome;
}

/* Queues a ticket and sees that a worker will come for it. */
static PyObject *enqueue(lash_executor *executor, lash_ticket *ticket)
{
    lash_mutex_lock(&executor->lock);
    if (executor->state != RUNNING) {
        lash_mutex_unlock(&executor->lock);
        Py_DECREF((PyObject *)ticket);
        return raise_with_path(executor->module->store_closed, executor);
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
        if (result == NULL) {
            lash_mutex_lock(&executor->lock);
            executor->worker = WORKER_ABSENT; /* the next submission tries again, and serves this one too */
            lash_mutex_unlock(&executor->lock);
            Py_DECREF((PyObject *)ticket);
            return NULL;
        }
        Py_DECREF(result);
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

static PyObject *executor_submit(PyObject *self, PyObject *args)
{
    lash_executor *executor = (lash_executor *)self;
    PyObject *steps, *mailbox, *token;
    if (!PyArg_UnpackTuple(args, "submit", 3, 3, &steps, &mailbox, &token) || check_mailbox(executor, mailbox) != 0 ||
        check_usable(executor, 0) != 0) {
        return NULL;
    }
    lash_ticket *ticket = lash_ticket_new(executor, JOB_PLAN, mailbox, token);
    if (ticket != NULL && lash_job_compile(&ticket->job, executor, steps) != 0) {
        Py_CLEAR(ticket);
    }
    return ticket ? enqueue(executor, ticket) : NULL;
}

static PyObject *executor_submit_call(PyObject *self, PyObject *args)
{
    lash_executor *executor = (lash_executor *)self;
    PyObject *call, *mailbox, *token;
    if (!PyArg_UnpackTuple(args, "submit_call", 3, 3, &call, &mailbox, &token) ||
        check_mailbox(executor, mailbox) != 0 || check_usable(executor, 0) != 0) {
        return NULL;
    }
    lash_ticket *ticket = lash_ticket_new(executor, JOB_CALL, mailbox, token);
    if (ticket != NULL) {
        ticket->job.call = Py_NewRef(call);
    }
    return ticket ? enqueue(executor, ticket) : NULL;
}

static PyObject *executor_acquire(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_executor *executor = (lash_executor *)self;
    lash_job job;
    if (check_usable(executor, 1) != 0) {
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
        if (mine) {
            lash_queue_remove_locked(executor, &job);
            executor->role_thread = PyThread_get_thread_ident();
        }
    }
    lash_mutex_unlock(&executor->lock);
    if (mine) {
        lash_handoff_before_begin(&executor->handoff, 0); /* for the BEGIN that Python is about to issue */
    }
    Py_END_ALLOW_THREADS
    lash_cond_destroy(&job.cond);
    return mine ? Py_NewRef(Py_None) : raise_with_path(executor->module->store_closed, executor);
}

static PyObject *executor_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_executor *executor = (lash_executor *)self;
    if (executor->role_thread != PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError, "release() by a thread that does not hold the writer role");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    lash_handoff_after_begin(&executor->handoff);
    lash_handoff_released(&executor->handoff, 1);
    lash_checkpoint_look(executor);
    lash_mutex_lock(&executor->lock);
    executor->role_thread = 0;
    lash_role_pass_on_locked(executor);
    lash_mutex_unlock(&executor->lock);
    Py_END_ALLOW_THREADS
    if (lash_checkpoint_start_if_wanted(executor) != 0) {
        return NULL;
    }
    return Py_NewRef(Py_None);
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
        uint64_t now = lash_now_ns();
        uint64_t wake = until;
        if (executor->role_taken || executor->head == NULL || executor->head->waiting) {
            patience_ends = 0;
            if (executor->role_taken || executor->head != NULL) {
                wake = until = now + idle_ns;
            } else if (executor->state == STOPPING || now >= until) {
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
            lash_handoff_before_begin(&executor->handoff, 0);
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

static PyObject *executor_kick(PyObject *self, PyObject *unused)
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

static PyObject *executor_serve(PyObject *self, PyObject *argument)
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
        if (count > 0) {
            return ticket_list(executor, calls, count);
        }
        if (count == 0) {
            return Py_NewRef(Py_None);
        }
        if (lash_checkpoint_start_if_wanted(executor) != 0) {
            PyErr_WriteUnraisable(self); /* the log stays longer than it should; commits must go on */
        }
    }
}

static PyObject *executor_finish(PyObject *self, PyObject *args)
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

static PyObject *executor_owned(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((lash_executor *)self)->role_thread == PyThread_get_thread_ident());
}

sqlite3 *lash_pointer_of(PyObject *connection)
{
    PyObject *address = PyObject_CallMethod(connection, "sqlite3_pointer", NULL);
    void *pointer = address ? PyLong_AsVoidPtr(address) : NULL;
    Py_XDECREF(address);
    if (pointer == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "the connection is closed");
    }
    return pointer;
}

static PyObject *executor_serve_checkpoints(PyObject *self, PyObject *args)
{
    PyObject *locker, *checkpointer;
    if (!PyArg_UnpackTuple(args, "serve_checkpoints", 2, 2, &locker, &checkpointer)) {
        return NULL;
    }
    sqlite3 *locker_db = lash_pointer_of(locker);
    sqlite3 *checkpointer_db = locker_db ? lash_pointer_of(checkpointer) : NULL;
    if (checkpointer_db == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    lash_checkpoint_serve((lash_executor *)self, locker_db, checkpointer_db);
    Py_END_ALLOW_THREADS
    return Py_NewRef(Py_None);
}

static PyObject *executor_note_commit(PyObject *self, PyObject *argument)
{
    lash_executor *executor = (lash_executor *)self;
    long long members = PyLong_AsLongLong(argument);
    if (members == -1 && PyErr_Occurred()) {
        return NULL;
    }
    executor->commits += members;
    executor->batches++;
    if (members > executor->largest_batch) {
        executor->largest_batch = members;
    }
    return Py_NewRef(Py_None);
}

static PyObject *executor_last_wait_ms(PyObject *self, PyObject *unused)
{
    (void)unused;
    const lash_handoff *handoff = &((lash_executor *)self)->handoff;
    uint64_t waited = handoff->wait_began ? lash_now_ns() - handoff->wait_began : (uint64_t)handoff->last_wait_ns;
    return PyLong_FromUnsignedLongLong(waited / LASH_NS_PER_MS);
}

static PyObject *executor_counters(PyObject *self, PyObject *unused)
{
    (void)unused;
    lash_executor *executor = (lash_executor *)self;
    lash_handoff *handoff = &executor->handoff;
    int shared = executor->ready && handoff->last_frame != NULL;
    long long pages = shared ? (long long)lash_handoff_frames(handoff) : executor->wal_frames;
    long long pending = shared ? (long long)lash_handoff_frames_pending(handoff) : executor->wal_frames;
    return Py_BuildValue("{s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L}", "commits",
                         (long long)executor->commits, "batches", (long long)executor->batches, "largest_batch",
                         (long long)executor->largest_batch, "conflicts", (long long)executor->conflicts, "busy_waits",
                         (long long)handoff->waits, "busy_wait_ms", (long long)(handoff->waited_ns / 1000000),
                         "handoffs", (long long)handoff->handoffs, "checkpoints", (long long)executor->checkpoints,
                         "restarts", (long long)executor->restarts, "checkpoint_errors",
                         (long long)executor->checkpoint_errors, "queued", (long long)executor->queued, "wal_pages",
                         pages, "wal_pages_pending", pending);
}

static PyObject *stop(lash_executor *executor, int abort)
{
    if (!executor->ready) {
        return Py_NewRef(Py_None);
    }
    lash_mutex_lock(&executor->lock);
    executor->state = STOPPING;
    lash_job *dropped = NULL;
    while (abort && executor->head) {
        lash_job *job = executor->tail; /* from the tail: the list comes out in the queue's order */
        lash_queue_remove_locked(executor, job);
        job->state = JOB_RUNNING;
        executor->running++;
        job->next = dropped;
        dropped = job;
    }
    lash_cond_signal(&executor->worker_wakes);
    lash_cond_signal(&executor->checkpointer_wakes);
    lash_mutex_unlock(&executor->lock);
    while (dropped) {
        lash_job *job = dropped;
        dropped = job->next;
        job->outcome = OUTCOME_CLOSED;
        lash_jobs_answer(executor, &job, 1);
    }
    return Py_NewRef(Py_None);
}

static PyObject *executor_stop(PyObject *self, PyObject *unused)
{
    (void)unused;
    return stop((lash_executor *)self, 0);
}

static PyObject *executor_abort(PyObject *self, PyObject *unused)
{
    (void)unused;
    return stop((lash_executor *)self, 1);
}

static PyObject *executor_wait_idle(PyObject *self, PyObject *argument)
{
    lash_executor *executor = (lash_executor *)self;
    long long timeout_ms = PyLong_AsLongLong(argument);
    if (timeout_ms == -1 && PyErr_Occurred()) {
        return NULL;
    }
    int idle;
    Py_BEGIN_ALLOW_THREADS
    uint64_t until = lash_now_ns() + (timeout_ms > 0 ? (uint64_t)timeout_ms : 0) * LASH_NS_PER_MS;
    lash_mutex_lock(&executor->lock);
    executor->resting_watched++;
    while ((executor->role_taken || executor->head) && lash_now_ns() < until) {
        lash_cond_wait_until(&executor->rests, &executor->lock, until);
    }
    executor->resting_watched--;
    idle = !executor->role_taken && executor->head == NULL;
    lash_mutex_unlock(&executor->lock);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(idle);
}

static void detach(lash_executor *executor)
{
    if (executor->ready) {
        executor->ready = 0;
        executor->state = STOPPING;
        lash_statements_close(&executor->statements);
        lash_batch_finalize(executor);
        lash_handoff_detach(&executor->handoff, executor->db);
        sqlite3_wal_hook(executor->db, NULL, NULL);
    }
}

static PyObject *executor_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    detach((lash_executor *)self);
    return Py_NewRef(Py_None);
}

static int on_wal(void *context, sqlite3 *db, const char *name, int frames)
{
    (void)db;
    (void)name;
    ((lash_executor *)context)->wal_frames = frames;
    return SQLITE_OK;
}

/* One integer from a statement such as PRAGMA page_size; also makes SQLite open the WAL and its index. */
static int read_integer(sqlite3 *db, const char *text, int *result)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v3(db, text, -1, 0, &statement, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        *result = (int)sqlite3_column_int64(statement, 0);
        rc = SQLITE_OK;
    }
    int finalized = sqlite3_finalize(statement);
    return rc != SQLITE_OK ? rc : finalized;
}

static int make_locks(lash_executor *executor)
{
    if (lash_mutex_init(&executor->lock) != 0 || lash_cond_init(&executor->worker_wakes) != 0 ||
        lash_cond_init(&executor->checkpointer_wakes) != 0 || lash_cond_init(&executor->rests) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    executor->locks = 1;
    return 0;
}

static int attach(lash_executor *executor)
{
    if ((executor->db = lash_pointer_of(executor->connection)) == NULL || make_locks(executor) != 0 ||
        lash_statements_init(&executor->statements) != 0) {
        return -1;
    }
    int rc, tables;
    Py_BEGIN_ALLOW_THREADS
    rc = read_integer(executor->db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc == SQLITE_OK) {
        rc = read_integer(executor->db, "PRAGMA page_size", &executor->page_size);
    }
    if (rc == SQLITE_OK) {
        rc = lash_batch_prepare(executor);
    }
    if (rc == SQLITE_OK) {
        lash_handoff_init(&executor->handoff, executor->db, executor->budget_ns);
        sqlite3_wal_hook(executor->db, on_wal, executor);
        executor->ready = 1;
    } else {
        lash_batch_finalize(executor);
    }
    Py_END_ALLOW_THREADS
    if (rc != SQLITE_OK) {
        PyErr_Format(PyExc_RuntimeError, "SQLite refused the writer's statements (code %d)", rc);
        return -1;
    }
    return 0;
}

static PyObject *executor_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"connection", "busy_timeout_ms", "start_worker", "start_checkpointer", NULL};
    PyObject *connection, *start_worker, *start_checkpointer;
    long long busy_timeout_ms;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O$LOO", names, &connection, &busy_timeout_ms, &start_worker,
                                     &start_checkpointer)) {
        return NULL;
    }
    if (lash_api == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "no SQLite is attached; load this file as an extension first");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    lash_executor *executor = (lash_executor *)allocate(type, 0); /* zeroed */
    if (executor == NULL) {
        return NULL;
    }
    executor->module = PyType_GetModuleState(type);
    executor->connection = Py_NewRef(connection);
    executor->start_worker = Py_NewRef(start_worker);
    executor->start_checkpointer = Py_NewRef(start_checkpointer);
    executor->budget_ns = (busy_timeout_ms > 0 ? (uint64_t)busy_timeout_ms : 0) * LASH_NS_PER_MS;
    executor->path = PyObject_GetAttrString(connection, "filename");
    if (executor->path == NULL || attach(executor) != 0) {
        Py_DECREF((PyObject *)executor);
        return NULL;
    }
    return (PyObject *)executor;
}

static int executor_traverse(PyObject *self, visitproc visit, void *arg)
{
    lash_executor *executor = (lash_executor *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(executor->connection);
    Py_VISIT(executor->path);
    Py_VISIT(executor->start_worker);
    Py_VISIT(executor->start_checkpointer);
    return lash_statements_traverse(&executor->statements, visit, arg);
}

static int executor_clear(PyObject *self)
{
    lash_executor *executor = (lash_executor *)self;
    Py_CLEAR(executor->start_worker);
    Py_CLEAR(executor->start_checkpointer);
    return 0;
}

static void executor_dealloc(PyObject *self)
{
    lash_executor *executor = (lash_executor *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    detach(executor);
    Py_CLEAR(executor->statements.by_text);
    executor_clear(self);
    Py_CLEAR(executor->connection);
    Py_CLEAR(executor->path);
    if (executor->locks) {
        lash_cond_destroy(&executor->worker_wakes);
        lash_cond_destroy(&executor->checkpointer_wakes);
        lash_cond_destroy(&executor->rests);
        lash_mutex_destroy(&executor->lock);
    }
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef executor_methods[] = {
    {"run", executor_run, METH_O, "Run a plan on the calling thread, or wait for another thread to carry it along."},
    {"submit", executor_submit, METH_VARARGS, "Queue a plan for the worker."},
    {"acquire", executor_acquire, METH_NOARGS, "Wait in the queue for the writer role and take it."},
    {"submit_call", executor_submit_call, METH_VARARGS, "Queue a Python job for the worker."},
    {"release", executor_release, METH_NOARGS, "Give the writer role back."},
    {"kick", executor_kick, METH_NOARGS, "Have the worker run what is queued."},
    {"serve", executor_serve, METH_O, "Run plans until Python jobs stand at the head, and return those."},
    {"finish", executor_finish, METH_VARARGS, "Answer a Python job."},
    {"owned", executor_owned, METH_NOARGS, "True when the calling thread holds the writer role in Python."},
    {"serve_checkpoints", executor_serve_checkpoints, METH_VARARGS, "The checkpointer's loop."},
    {"counters", executor_counters, METH_NOARGS, "What was counted so far."},
    {"note_commit", executor_note_commit, METH_O, "Count a transaction of Python jobs."},
    {"last_wait_ms", executor_last_wait_ms, METH_NOARGS, "How long the last BEGIN waited for the write lock."},
    {"stop", executor_stop, METH_NOARGS, "Refuse new jobs and let the queued ones run."},
    {"abort", executor_abort, METH_NOARGS, "Refuse new jobs and answer the queued ones as closed."},
    {"wait_idle", executor_wait_idle, METH_O, "Wait until nothing is queued and nobody holds the role."},
    {"close", executor_close, METH_NOARGS, "Finalise statements, remove handler and hook."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot executor_slots[] = {
    {Py_tp_doc, "The writer of one database; see the stub for the contract."},
    {Py_tp_new, executor_new},
    {Py_tp_dealloc, executor_dealloc},
    {Py_tp_traverse, executor_traverse},
    {Py_tp_clear, executor_clear},
    {Py_tp_methods, executor_methods},
    {0, NULL},
};

PyType_Spec lash_executor_spec = {
    .name = "lash_store.sqlite.native._native.Executor",
    .basicsize = sizeof(lash_executor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = executor_slots,
};
