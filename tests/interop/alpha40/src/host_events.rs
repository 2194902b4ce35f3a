//! Trigger subscriptions, occurrences and deliveries.

use lash_core::HostEventStore;
use lash_sqlite_store::SqliteHostEventStore;

use crate::{Answer, Arguments, value};

pub async fn perform(store: &SqliteHostEventStore, op: &str, arguments: &Arguments) -> Answer {
    match op {
        "source_key" => {
            let source_type = arguments.text("source_type")?;
            value(
                store
                    .source_key_for_subscription(&source_type, &arguments.get("source")?)
                    .await,
            )
        }
        "register" => value(store.register_subscription(arguments.get("draft")?).await),
        "list" => value(store.list_subscriptions(arguments.get("filter")?).await),
        "cancel" => value(
            store
                .cancel_subscription(&arguments.text("session_id")?, &arguments.text("handle")?)
                .await,
        ),
        "record" => value(store.record_occurrence(arguments.get("request")?).await),
        "reserve" => value(
            store
                .reserve_matching_deliveries(&arguments.text("occurrence_id")?)
                .await,
        ),
        _ => Err(format!("no operation of a host-event store: {op}")),
    }
}
