//! The store of one session.

use std::time::Instant;

use lash_core::store::{PersistedSessionRead, RuntimeCommit, SessionMeta};
use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, BlobRef, RuntimePersistence, SessionHead, SessionReadScope,
};
use lash_sqlite_store::Store;
use lashlang::{LashlangArtifactStore, ModuleArtifact};
use serde_json::{Value, json};

use crate::{Answer, Arguments, text, value};

pub async fn perform(store: &Store, op: &str, arguments: &Arguments) -> Answer {
    match op {
        "load" => value(
            store
                .load_session(scope(arguments)?)
                .await
                .map(|found| found.map(read_value)),
        ),
        "load_node" => value(store.load_node(&arguments.text("node_id")?).await),
        "commit" => value(store.commit_runtime_state(arguments.get("commit")?).await),
        "commit_all" => commit_all(store, arguments.get("commits")?).await,
        "load_all" => load_all(store, arguments.get("times")?).await,
        "save_meta" => {
            Store::save_session_meta(store, arguments.get::<SessionMeta>("meta")?).await;
            Ok(Value::Null)
        }
        "load_meta" => value(RuntimePersistence::load_session_meta(store).await),
        "picker" => Ok(store.load_picker_info().await.map_or(Value::Null, |info| {
            json!({
                "session_id": info.session_id, "cwd": info.cwd, "relation": info.relation,
                "first_user_message": info.first_user_message, "user_message_count": info.user_message_count,
            })
        })),
        "save_head" => {
            store.save_session_head(arguments.get::<SessionHead>("head")?).await;
            Ok(Value::Null)
        }
        "load_head" => value(Ok::<_, String>(store.load_session_head().await)),
        "tombstone" => value(store.tombstone_nodes(&arguments.get::<Vec<String>>("ids")?).await),
        "vacuum" => value(
            RuntimePersistence::vacuum(store)
                .await
                .map(|report| report.removed_node_count),
        ),
        "gc" => value(
            RuntimePersistence::gc_unreachable(store)
                .await
                .map(|report| [report.root_count, report.retained_blob_count, report.deleted_blob_count]),
        ),
        "put_blob" => value(Ok::<_, String>(
            store.put_blob(&arguments.get::<Vec<u8>>("data")?).await,
        )),
        "put_artifact_blob" => {
            let data: Vec<u8> = arguments.get("data")?;
            value(Ok::<_, String>(
                store.put_artifact_blob(arguments.get("descriptor")?, &data).await,
            ))
        }
        "get_blob" => value(Ok::<_, String>(store.get_blob(&arguments.get::<BlobRef>("ref")?).await)),
        "put_module" => put_module(store, &arguments.text("source")?).await,
        "get_module" => {
            let found = store
                .get_module_artifact(&arguments.get("module_ref")?)
                .await
                .map_err(text)?;
            found.map_or(Ok(Value::Null), |artifact| module_text(&artifact))
        }
        _ => match manifest(store, op, arguments) {
            Some(answer) => answer,
            None => queue(store, op, arguments).await,
        },
    }
}

async fn queue(store: &Store, op: &str, arguments: &Arguments) -> Answer {
    match op {
        "enqueue" => value(store.enqueue_queued_work(arguments.get("draft")?).await),
        "claim" => value(
            store
                .claim_ready_queued_work(
                    &arguments.text("session_id")?,
                    &arguments.text("owner_id")?,
                    arguments.get("boundary")?,
                    arguments.get("lease_ttl_ms")?,
                    arguments.get("max_batches")?,
                )
                .await,
        ),
        "claim_ids" => value(
            store
                .claim_ready_queued_work_by_batch_ids(
                    &arguments.text("session_id")?,
                    &arguments.text("owner_id")?,
                    arguments.get("boundary")?,
                    arguments.get("lease_ttl_ms")?,
                    &arguments.get::<Vec<String>>("batch_ids")?,
                )
                .await,
        ),
        "renew" => value(
            store
                .renew_queued_work_claim(&arguments.get("claim")?, arguments.get("lease_ttl_ms")?)
                .await,
        ),
        "abandon" => value(store.abandon_queued_work_claim(&arguments.get("claim")?).await),
        "cancel" => {
            let session_id = arguments.text("session_id")?;
            value(
                store
                    .cancel_queued_work_batch(&session_id, &arguments.text("batch_id")?)
                    .await,
            )
        }
        "list" => value(store.list_queued_work(&arguments.text("session_id")?).await),
        "list_pending" => value(store.list_pending_queued_work(&arguments.text("session_id")?).await),
        _ => Err(format!("no operation of a session store: {op}")),
    }
}

/// The attachment manifest, whose operations block.
fn manifest(store: &Store, op: &str, arguments: &Arguments) -> Option<Answer> {
    let perform = || match op {
        "record_intent" => value(store.record_intent(AttachmentIntent {
            attachment_id: arguments.get("attachment_id")?,
            session_id: arguments.get("session_id")?,
            canonical_uri: arguments.get("canonical_uri")?,
            intent_at_epoch_ms: arguments.get("intent_at_epoch_ms")?,
        })),
        "commit_refs" => {
            let session_id = arguments.text("session_id")?;
            value(store.commit_refs(&session_id, &arguments.get::<Vec<AttachmentId>>("attachment_ids")?))
        }
        "list_uncommitted" => list_uncommitted(store, arguments.get("older_than_epoch_ms")?),
        _ => value(store.forget(&arguments.get("attachment_id")?)),
    };
    matches!(op, "record_intent" | "commit_refs" | "list_uncommitted" | "forget").then(perform)
}

fn list_uncommitted(store: &Store, older_than_epoch_ms: u64) -> Answer {
    let entries = store.list_uncommitted(older_than_epoch_ms).map_err(text)?;
    let entries = entries.into_iter().map(|entry| {
        json!({
            "attachment_id": entry.attachment_id, "session_id": entry.session_id,
            "canonical_uri": entry.canonical_uri, "intent_at_epoch_ms": entry.intent_at_epoch_ms,
            "committed_at_epoch_ms": entry.committed_at_epoch_ms,
        })
    });
    Ok(entries.collect())
}

/// Many commits one after the other, and the microseconds that each took.
async fn commit_all(store: &Store, commits: Vec<RuntimeCommit>) -> Answer {
    let mut taken = Vec::with_capacity(commits.len());
    for commit in commits {
        let began = Instant::now();
        store.commit_runtime_state(commit).await.map_err(text)?;
        taken.push(began.elapsed().as_secs_f64() * 1e6);
    }
    value(Ok::<_, String>(taken))
}

/// Many loads of the whole session, and the microseconds that each took.
async fn load_all(store: &Store, times: usize) -> Answer {
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        store.load_session(SessionReadScope::FullGraph).await.map_err(text)?;
        taken.push(began.elapsed().as_secs_f64() * 1e6);
    }
    value(Ok::<_, String>(taken))
}

/// Compile a module and store it; its reference, and its text as it is stored.
async fn put_module(store: &Store, source: &str) -> Answer {
    let artifact = ModuleArtifact::from_program(lashlang::parse(source).map_err(text)?).map_err(text)?;
    store.put_module_artifact(&artifact).await.map_err(text)?;
    Ok(json!({ "module_ref": artifact.module_ref, "text": module_text(&artifact)? }))
}

fn module_text(artifact: &ModuleArtifact) -> Answer {
    String::from_utf8(artifact.to_store_bytes().map_err(text)?)
        .map(Value::String)
        .map_err(text)
}

/// The whole graph, or the active path to `leaf_node_id`, "" being the head's leaf.
fn scope(arguments: &Arguments) -> Result<SessionReadScope, String> {
    let leaf = arguments.get::<Option<String>>("leaf_node_id")?;
    Ok(match leaf {
        None => SessionReadScope::FullGraph,
        Some(leaf) => SessionReadScope::ActivePath {
            leaf_node_id: Some(leaf).filter(|leaf| !leaf.is_empty()),
        },
    })
}

fn read_value(read: PersistedSessionRead) -> Value {
    json!({
        "session_id": read.session_id, "head_revision": read.head_revision, "config": read.config,
        "agent_frames": read.agent_frames, "current_agent_frame_id": read.current_agent_frame_id,
        "graph": read.graph, "checkpoint_ref": read.checkpoint_ref, "checkpoint": read.checkpoint,
        "token_ledger": read.token_ledger,
    })
}
