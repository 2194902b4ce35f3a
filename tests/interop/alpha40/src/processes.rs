//! The process registry.

use lash_core::ProcessRegistry;
use lash_sqlite_store::SqliteProcessRegistry;

use crate::{Answer, Arguments, value};

pub async fn perform(registry: &SqliteProcessRegistry, op: &str, arguments: &Arguments) -> Answer {
    let process_id = arguments.get::<Option<String>>("process_id")?.unwrap_or_default();
    let id = process_id.as_str();
    match op {
        "register" => value(registry.register_process(arguments.get("registration")?).await),
        "set_external_ref" => value(registry.set_external_ref(id, arguments.get("external_ref")?).await),
        "get" => value(Ok::<_, String>(registry.get_process(id).await)),
        "list_non_terminal" => value(registry.list_non_terminal().await),
        "append" => value(registry.append_event(id, arguments.get("request")?).await),
        "complete" => value(registry.complete_process(id, arguments.get("await_output")?).await),
        "events_after" => value(registry.events_after(id, arguments.get("after_sequence")?).await),
        "wake_events_after" => value(registry.wake_events_after(id, arguments.get("after_sequence")?).await),
        "ack_wake" => value(registry.ack_wake(id, arguments.get("sequence")?).await),
        "wait_event" => {
            let event_type = arguments.text("event_type")?;
            value(
                registry
                    .wait_event_after(id, &event_type, arguments.get("after_sequence")?)
                    .await,
            )
        }
        "await" => value(registry.await_process(id).await),
        "claim" => {
            let owner_id = arguments.text("owner_id")?;
            value(
                registry
                    .claim_process_lease(id, &owner_id, arguments.get("lease_ttl_ms")?)
                    .await,
            )
        }
        "renew" => value(
            registry
                .renew_process_lease(&arguments.get("lease")?, arguments.get("lease_ttl_ms")?)
                .await,
        ),
        "complete_lease" => value(registry.complete_process_lease(&arguments.get("completion")?).await),
        _ => grants(registry, id, op, arguments).await,
    }
}

async fn grants(registry: &SqliteProcessRegistry, id: &str, op: &str, arguments: &Arguments) -> Answer {
    match op {
        "grant" => value(
            registry
                .grant_handle(&arguments.get("owner_scope")?, id, arguments.get("descriptor")?)
                .await,
        ),
        "revoke" => value(registry.revoke_handle(&arguments.get("owner_scope")?, id).await),
        "transfer" => value(
            registry
                .transfer_handle_grants(
                    &arguments.get("from_scope")?,
                    &arguments.get("to_scope")?,
                    &arguments.get::<Vec<String>>("process_ids")?,
                )
                .await,
        ),
        "list_grants" => value(registry.list_handle_grants(&arguments.get("owner_scope")?).await),
        "list_live_grants" => value(registry.list_live_handle_grants(&arguments.get("owner_scope")?).await),
        "grants_for_process" => value(registry.handle_grants_for_process(id).await),
        "delete_session" => value(
            registry
                .delete_session_process_state(&arguments.text("session_id")?)
                .await,
        ),
        _ => Err(format!("no operation of a process registry: {op}")),
    }
}
