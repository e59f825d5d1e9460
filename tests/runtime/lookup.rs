//! A look-up has four answers, owned by, passive, absent and unavailable, and none is ever taken for another.

use std::time::Duration;

use tenure::{
    client::{Client, ClientError, Outgoing},
    model::{SessionId, Status},
    store::{FirstMessage, HistoryRange, Store, StoreError},
};

use crate::{
    faults::flaky_worker,
    flaky::{Cable, Flaky},
    fleet::Fleet,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A client whose way to the store can be cut.
fn client(fleet: &Fleet) -> (Client<Flaky>, Cable) {
    let (store, cable) = Flaky::new(fleet.store.clone(), fleet.env.fork());
    (Client::new(store, fleet.env.fork()), cable)
}

fn is_unavailable(err: &ClientError) -> bool {
    matches!(err, ClientError::Store(StoreError::Unavailable(_)) | ClientError::Unknown(_))
}

#[tokio::test(start_paused = true)]
async fn owned_passive_absent_and_unavailable_are_told_apart() {
    let fleet = Fleet::new(1);
    let worker = fleet.worker("w").await;
    let (client, cable) = client(&fleet);
    fleet.ask("echo/a", "x").await;
    let (there, nowhere): (SessionId, SessionId) = ("echo/a".parse().unwrap(), "echo/b".parse().unwrap());
    let owned = client.session(&there).await.unwrap();
    assert_eq!((owned.status, owned.owner), (Status::Idle, Some(worker.id())));
    worker.drain().await;
    let passive = client.session(&there).await.unwrap();
    assert_eq!((passive.status, passive.owner), (Status::Passive, None));
    assert!(matches!(client.session(&nowhere).await, Err(ClientError::NoSession(_))));
    cable.cut();
    for session in [&there, &nowhere] {
        assert!(is_unavailable(&client.session(session).await.unwrap_err()), "{session}");
    }
    cable.heal();
    assert!(matches!(client.session(&nowhere).await, Err(ClientError::NoSession(_))));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_as_absent_and_nothing_is_made_while_the_store_is_unavailable() {
    let fleet = Fleet::new(2);
    let _worker = fleet.worker("w").await;
    fleet.ask("echo/a", "x").await;
    let (client, cable) = client(&fleet);
    let before = fleet.sight("echo/a").await.record;
    cable.cut();
    for name in ["echo/a", "echo/none"] {
        let session: SessionId = name.parse().unwrap();
        let range = HistoryRange::Newest(0);
        let errors = [
            client.session(&session).await.map(drop).unwrap_err(),
            client.history(&session, range).await.map(drop).unwrap_err(),
            client.delete(&session).await.unwrap_err(),
            client.unquarantine(&session, FirstMessage::Keep).await.unwrap_err(),
            client.send(Outgoing::text(session.clone(), "y")).await.map(drop).unwrap_err(),
            client.ask(Outgoing::text(session.clone(), "y"), MINUTE).await.map(drop).unwrap_err(),
            client.workers().await.map(drop).unwrap_err(),
            client.agents().await.map(drop).unwrap_err(),
            client.sessions().await.map(drop).unwrap_err(),
        ];
        assert!(errors.iter().all(is_unavailable), "{name}: {errors:?}");
    }
    cable.heal();
    fleet.env.sleep(MINUTE / 2).await;
    assert_eq!(fleet.sight("echo/a").await.record.epoch, before.epoch, "nobody else claimed it");
    assert_eq!(fleet.texts("echo/a").await, ["x"]);
    let sessions: usize = fleet.store.snapshot().partitions.values().map(|one| one.sessions.len()).sum();
    assert_eq!(sessions, 1, "no second session came into being");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_look_claims_buries_and_reaps_nothing() {
    let fleet = Fleet::new(3);
    let owner = fleet.worker("owner").await;
    for n in 0..20 {
        fleet.ask(&format!("count/{n}"), "x").await;
    }
    let (blind, cable) = flaky_worker(&fleet, "blind").await;
    // Long enough for it to have a share of the duties, and to have met the other.
    fleet.env.sleep(MINUTE / 4).await;
    let mut before = Vec::new();
    for n in 0..20 {
        before.push(fleet.sight(&format!("count/{n}")).await.record.owner);
    }
    cable.cut();
    fleet.env.sleep(MINUTE / 10).await;
    // What is left half-way is no reason either: mail comes, and its owner takes it.
    fleet.ask("count/0", "y").await;
    fleet.env.sleep(MINUTE / 2).await;
    assert_eq!(blind.load().sessions, 0);
    for (n, before) in before.iter().enumerate() {
        let session = format!("count/{n}");
        let now = fleet.sight(&session).await.record.owner;
        assert_eq!(&now, before, "{session}: same owner, same epoch");
    }
    let members = fleet.store.members().await.unwrap();
    assert_eq!(members.iter().map(|member| &member.worker).collect::<Vec<_>>(), [&owner.id()]);
    assert!(members[0].tally.reaped == 0, "it held nothing");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_accepted_is_unknown_also_where_asking_again_is_refused() {
    let fleet = Fleet::new(60);
    let (client, cable) = client(&fleet);
    let send = || client.send(Outgoing::text("echo/a".parse().unwrap(), "hi").id("k".parse().unwrap()));
    cable.demote_at_next("send");
    let unknown = send().await.unwrap_err();
    assert_eq!(fleet.sight("echo/a").await.waiting, 1, "it was accepted");
    let ClientError::Unknown(StoreError::Unavailable(cause)) = unknown else { panic!("{unknown:?}") };
    assert_eq!(cause.to_string(), "lost; asked again, the server refused: it is a replica");
    // Whose first try is refused has changed nothing, and is told so.
    let refused = send().await.unwrap_err();
    assert!(matches!(refused, ClientError::Store(StoreError::Refused(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_and_has_not_reached_its_class_is_told_so_also_where_asking_again_is_refused() {
    let fleet = Fleet::new(61);
    let (client, cable) = client(&fleet);
    fleet.store.set_replicas(0);
    let message = Outgoing::text("echo/a".parse().unwrap(), "hi").id("k".parse().unwrap());
    let send = client.send(message.durability("replicas:1".parse().unwrap()));
    let after = async {
        fleet.until(MINUTE, async || cable.calls("send") == 2).await;
        cable.refuse("send");
    };
    let (sent, ()) = tokio::join!(send, after);
    let unknown = sent.unwrap_err();
    assert!(matches!(unknown, ClientError::NotReached(_)), "{unknown:?}");
}
