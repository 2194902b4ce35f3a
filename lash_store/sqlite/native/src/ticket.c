/* Ticket: one submitted job, as Python sees it. */
#include "executor.h"

lash_ticket *lash_ticket_new(lash_executor *executor, lash_job_kind kind, PyObject *mailbox, PyObject *token)
{
    PyTypeObject *type = (PyTypeObject *)executor->module->ticket_type;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    lash_ticket *ticket = (lash_ticket *)allocate(type, 0); /* zeroed */
    if (ticket != NULL) {
        ticket->executor = (lash_executor *)Py_NewRef((PyObject *)executor);
        ticket->job.kind = kind;
        ticket->job.state = JOB_FINISHED; /* until it is queued */
        ticket->job.mailbox = (lash_mailbox *)Py_NewRef(mailbox);
        ticket->job.token = Py_NewRef(token);
        ticket->job.object = (PyObject *)ticket;
    }
    return ticket;
}

int lash_ticket_withdraw(lash_ticket *ticket)
{
    lash_executor *executor = ticket->executor;
    lash_mutex_lock(&executor->lock);
    int queued = ticket->job.state == JOB_QUEUED;
    if (queued) {
        lash_queue_remove_locked(executor, &ticket->job);
        ticket->job.state = JOB_WITHDRAWN;
        lash_role_offer_locked(executor); /* the next one may be a thread that waits, not the worker's */
    }
    lash_mutex_unlock(&executor->lock);
    if (queued) {
        lash_job_clear(&ticket->job);
        Py_DECREF((PyObject *)ticket); /* the queue's reference; the caller has one */
    }
    return queued;
}

static PyObject *ticket_withdraw(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(lash_ticket_withdraw((lash_ticket *)self));
}

static PyObject *ticket_call(PyObject *self, void *unused)
{
    (void)unused;
    lash_ticket *ticket = (lash_ticket *)self;
    return Py_NewRef(ticket->job.call ? ticket->job.call : Py_None);
}

static int ticket_traverse(PyObject *self, visitproc visit, void *arg)
{
    lash_ticket *ticket = (lash_ticket *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)ticket->executor);
    Py_VISIT((PyObject *)ticket->job.mailbox);
    Py_VISIT(ticket->job.token);
    Py_VISIT(ticket->job.call);
    Py_VISIT(ticket->job.answer);
    return 0;
}

static int ticket_clear(PyObject *self)
{
    /* Never of a job that is queued or runs: the queue's own reference, which no traversal sees, keeps it alive. */
    lash_ticket *ticket = (lash_ticket *)self;
    Py_CLEAR(ticket->job.token);
    Py_CLEAR(ticket->job.call);
    Py_CLEAR(ticket->job.answer);
    return 0;
}

static void ticket_dealloc(PyObject *self)
{
    lash_ticket *ticket = (lash_ticket *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    lash_job_clear(&ticket->job);
    ticket_clear(self);
    Py_XDECREF((PyObject *)ticket->job.mailbox);
    Py_XDECREF((PyObject *)ticket->executor);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef ticket_methods[] = {
    {"withdraw", ticket_withdraw, METH_NOARGS, "Take the job out of the queue; True if it had not been started."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef ticket_attributes[] = {
    {"call", ticket_call, NULL, "The object given to submit_call; None for a plan.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot ticket_slots[] = {
    {Py_tp_doc, "One submitted job."},
    {Py_tp_dealloc, ticket_dealloc},
    {Py_tp_traverse, ticket_traverse},
    {Py_tp_clear, ticket_clear},
    {Py_tp_methods, ticket_methods},
    {Py_tp_getset, ticket_attributes},
    {0, NULL},
};

PyType_Spec lash_ticket_spec = {
    .name = "lash_store.sqlite.native._native.Ticket",
    .basicsize = sizeof(lash_ticket),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ticket_slots,
};
