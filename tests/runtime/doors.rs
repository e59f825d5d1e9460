//! The plain door: any entry ends in a history or in `dead`, in order, once.

use std::time::Duration;

use tenure::{model::Partition, model::ReplyTo, store::Store};

use crate::fleet::Fleet;

const MINUTE: Duration = Duration::from_secs(60);

async fn post(fleet: &Fleet, fields: &[(&str, &[u8])]) {
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect();
    fleet.store.post(&fields).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn entries_of_the_plain_door_become_turns_in_order_and_are_removed() {
    let fleet = Fleet::new(1);
    let _worker = fleet.worker("w").await;
    for n in 0..500 {
        let to = format!("count/{}", n % 7);
        post(&fleet, &[("to", to.as_bytes()), ("body", n.to_string().as_bytes())]).await;
    }
    for session in 0..7 {
        let expected: Vec<_> = (0..500).filter(|n| n % 7 == session).map(|n| n.to_string()).collect();
        let name = format!("count/{session}");
        fleet.until(MINUTE, async || fleet.texts(&name).await == expected).await;
    }
    fleet
        .until(MINUTE, async || fleet.store.ingress(10, Duration::ZERO).await.unwrap().entries.is_empty())
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_malformed_entry_goes_to_dead_with_an_error_reply_and_stops_nobody() {
    let fleet = Fleet::new(2);
    let _worker = fleet.worker("w").await;
    let key: ReplyTo = "my:replies".parse().unwrap();
    post(&fleet, &[("to", b"no slash"), ("body", b"x"), ("reply_to", b"my:replies")]).await;
    let error = fleet.reply(&key).await.error.unwrap();
    assert_eq!(error.reason, "malformed");
    post(&fleet, &[("to", b"echo/a"), ("body", b"x"), ("reply_to", b"my:replies")]).await;
    let envelope = fleet.reply(&key).await;
    assert_eq!(envelope.reply.unwrap().unwrap().as_text().as_deref(), Some("x"));
    let dead = fleet.store.dead(Partition(0), None, 10).await.unwrap();
    assert_eq!(dead.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["malformed"]);
}

#[tokio::test(start_paused = true)]
async fn relaying_goes_on_with_another_worker_when_the_relay_dies() {
    let fleet = Fleet::new(3);
    let first = fleet.worker("first").await;
    for n in 0..50 {
        post(&fleet, &[("to", b"count/a"), ("body", n.to_string().as_bytes())]).await;
    }
    fleet.until(MINUTE, async || fleet.texts("count/a").await.len() > 10).await;
    first.kill().await;
    for n in 50..100 {
        post(&fleet, &[("to", b"count/a"), ("body", n.to_string().as_bytes())]).await;
    }
    let _second = fleet.worker("second").await;
    let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    fleet.until(MINUTE, async || fleet.texts("count/a").await == expected).await;
}
