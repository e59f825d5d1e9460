//! The differential driver bites: faults planted in the Lua scripts are found, and the scripts as
//! they stand are clean under the same sequences.
//!
//! `docs/planted-faults.md` has the table. `TENURE_PLANTED_SHOW=1 cargo test --test planted_faults
//! -- --nocapture` prints at which sequence each fault was found, and the shortest part of it that
//! still finds it.

mod differ;
mod support;

use differ::{Ground, Mismatch, Operation, sequences};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tenure::store::redis::Scripts;

/// Operations in one sequence, at most.
const LONGEST: usize = 200;
/// More sequences than any fault needs.
const MOST: usize = 60;

/// The same sequences every time, one after the other.
fn drawn() -> impl Iterator<Item = Vec<Operation>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"a seed of thirty-two bytes.....f");
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = sequences(LONGEST);
    std::iter::from_fn(move || Some(strategy.new_tree(&mut runner).expect("nothing is filtered").current()))
}

/// The number of the first sequence, from 1, under which the stores part, and where they do.
async fn first_found(ground: &mut Ground, most: usize) -> Option<(usize, Vec<Operation>, Mismatch)> {
    for (number, operations) in (1..=most).zip(drawn()) {
        if let Err(parted) = ground.try_sequence(&operations).await {
            return Some((number, operations, parted));
        }
    }
    None
}

/// The shortest part of a sequence, by leaving out ever smaller pieces, under which the stores still part.
async fn shortest(ground: &mut Ground, mut operations: Vec<Operation>) -> (Vec<Operation>, Mismatch) {
    let mut parted = ground.try_sequence(&operations).await.expect_err("it was found before");
    let mut piece = operations.len().div_ceil(2);
    while piece > 0 {
        let mut from = 0;
        while from < operations.len() {
            let mut fewer = operations.clone();
            fewer.drain(from..operations.len().min(from + piece));
            match ground.try_sequence(&fewer).await {
                Err(still) => (operations, parted) = (fewer, still),
                Ok(()) => from += piece,
            }
        }
        piece /= 2;
    }
    (operations, parted)
}

/// Plants a fault, and demands that it is found within so many sequences.
async fn found(name: &str, script: &str, right: &str, wrong: &str, within: usize) {
    let mut ground = Ground::start().await;
    ground.run_scripts(Scripts::embedded().patched(script, right, wrong)).await;
    let Some((number, operations, parted)) = first_found(&mut ground, within).await else {
        panic!("not found within {within} sequences: {script}.lua with `{wrong}` in place of `{right}`");
    };
    if std::env::var_os("TENURE_PLANTED_SHOW").is_some() {
        let (shortest, parted) = shortest(&mut ground, operations).await;
        let lines: Vec<_> = shortest.iter().map(|operation| format!("    {operation:?}")).collect();
        println!("{name}: sequence {number}, {} operations\n{}\n  {parted}\n", lines.len(), lines.join("\n"));
    } else {
        println!("{name}: sequence {number}, {parted}");
    }
}

macro_rules! planted {
    ($($(#[$doc:meta])* $name:ident: $script:literal, $right:literal => $wrong:literal, within $within:literal;)*) => {
        $($(#[$doc])*
        #[tokio::test]
        async fn $name() {
            const { assert!($within <= MOST) };
            found(stringify!($name), $script, $right, $wrong, $within).await;
        })*
    };
}

planted! {
    /// No token check: a fenced owner writes on.
    a_commit_that_checks_no_token_is_found:
        "commit", "if f[2] ~= token then" => "if not f[2] then", within 20;

    /// Release by "inbox empty": what backs off or is quarantined can never be given back.
    a_release_by_inbox_empty_is_found:
        "release", "runnable(record.hold, record.backoff, record.suspended, call(\"LLEN\", KEYS[3]))" => "call(\"LLEN\", KEYS[3]) > 0",
        within 20;

    /// Acknowledge by count: whatever stands at the head is taken for the message that is done.
    an_acknowledgement_by_count_is_found:
        "commit", "if not head or string.sub(head, 1, #name) ~= name then" => "if not head then", within 20;

    /// What a message asked for over its agent's class is forgotten when it is sent again.
    a_letter_that_asks_for_nothing_any_more_is_found:
        "revive", "durability = some(fields.durability)," => "", within 60;

    /// The plain door takes a message for less than it asks for.
    an_entry_that_asks_for_nothing_is_found:
        "relay", "durability = some(durability)," => "", within 60;

    /// The cursor as a high-water mark: a batch is taken whatever came before it.
    a_cursor_as_a_high_water_mark_is_found:
        "relay", "if cursor ~= ARGV[2] then" => "if false then", within 20;

    /// One cursor for all doors: where another door stands decides.
    a_cursor_for_all_doors_is_found:
        "relay", "call(\"HGET\", KEYS[1], ARGV[1])" => "call(\"HGET\", KEYS[1], \"ingress\")", within 20;

    /// A repeat that appends twice.
    a_repeated_commit_that_writes_again_is_found:
        "commit", "if f[4] == commit then" => "if false then", within 20;

    /// A reply that its list has stays to be delivered.
    a_reply_that_is_pushed_and_left_in_out_is_found:
        "prelude", "if reply_to and not pushed then" => "if reply_to then", within 20;

    /// A reply that its list does not take is nowhere.
    a_reply_that_no_list_has_is_found:
        "commit", "type(redis.pcall(\"RPUSH\", list, ARGV[18])) == \"number\"" => "redis.pcall(\"RPUSH\", list, ARGV[18]) ~= nil", within 20;

    /// An epoch that can go back with the server's clock.
    an_epoch_that_follows_the_clock_back_is_found:
        "claim", "math.max((tonumber(record.epoch) or -1) + 1, at, tonumber(ARGV[6]) or 0)" => "at", within 20;

    /// An epoch that forgets what the claimant saw.
    an_epoch_that_ignores_what_was_seen_is_found:
        "claim", "tonumber(ARGV[6]) or 0" => "0", within 60;

    /// A renewal that brings back the buried.
    a_renewal_that_brings_back_the_buried_is_found:
        "renew", "if gone(known) and (known or ARGV[3] ~= \"join\") then" => "if not known and ARGV[3] ~= \"join\" then",
        within 60;

    /// A live owner robbed when its `own` is deleted.
    an_owner_robbed_because_own_is_missing_is_found:
        "claim", "local owner = record.token and worker_of(record.token)" =>
        "local owner = call(\"EXISTS\", KEYS[2]) == 1 and record.token and worker_of(record.token)", within 60;

    /// The `ready` invariant broken: what is handed off with work is forgotten.
    a_session_handed_off_and_not_ready_is_found:
        "release", "settle_ready(KEYS[5], session, can_run, at)" => "", within 20;

    /// The `ready` invariant broken: what is reaped with work is forgotten.
    an_orphan_that_is_not_ready_is_found:
        "reap", "settle_ready(KEYS[6], session, can_run, since)" => "", within 60;

    /// An eager session of the dead waits like any other.
    an_eager_orphan_that_waits_behind_others_is_found:
        "reap", "at - EAGER_AHEAD_MS or at" => "at or at", within 60;

    /// Dedupe forgotten: an id seen before is a message more.
    a_forgotten_id_is_found:
        "prelude", "    if seen[1] then" => "    if false then", within 20;

    /// Dedupe forgotten: the message accepted last is a message more.
    a_forgotten_last_message_is_found:
        "prelude", "if f[7] == m.message then" => "if false then", within 20;

    /// The buried may claim.
    a_claim_by_the_buried_is_found:
        "claim", "if gone(call(\"HGET\", KEYS[6], worker)) then" => "if false then", within 20;

    /// A death with work in hand is not counted.
    a_crash_that_is_not_counted_is_found:
        "claim", "if record.orphaned then" => "if false then", within 60;

    /// What killed its owners is claimed like any other.
    a_suspect_that_is_not_left_is_found:
        "claim", "if count >= SUSPECT_FROM and ARGV[10] == \"leave\" then" => "if false then", within 60;

    /// What killed one owner too many goes on.
    a_poisonous_session_that_is_not_quarantined_is_found:
        "claim", "if record.orphaned and count >= MOST_CRASHES then" => "if false then", within 60;

    /// A session that is freed is forgotten.
    a_freed_session_that_is_not_ready_is_found:
        "free", "settle_ready(KEYS[3], session, can_run, at)" => "", within 60;

    /// A lazy turn in the middle goes on when its owner is dead.
    a_lazy_turn_that_is_not_suspended_is_found:
        "prelude", "if record.unfinished and policy(record) == \"lazy\" and waiting == 1 and not record.hold then" => "if false then", within 60;

    /// A turn is in the middle and nobody knows.
    a_boundary_that_leaves_no_unfinished_turn_is_found:
        "commit", "if ARGV[23] ~= (f[7] or \"\") then" => "if false then", within 20;

    /// A server that lost a boundary is not noticed.
    a_lost_boundary_is_found:
        "commit", " or boundaries ~= ARGV[22]" => "", within 20;

    /// A session that was told to go on is forgotten.
    a_continued_session_that_is_not_ready_is_found:
        "continue", "settle_ready(KEYS[3], session, can_run, at)" => "", within 60;

    /// A wait that ended stays in `timers`.
    a_timer_left_behind_is_found:
        "commit", "elseif some(f[5]) then" => "elseif false then", within 20;

    /// A wake that is never sent.
    a_wake_that_is_not_sent_is_found:
        "prelude", "    if waiting > 0 then" => "    if true then", within 20;

    /// A session is handed off to the one who gives it away.
    a_hand_off_to_oneself_is_found:
        "release", "offer(KEYS[6], ARGV[6], session, worker)" => "offer(KEYS[6], ARGV[6], session)", within 60;

    /// An id that is remembered for ever.
    an_id_that_is_never_forgotten_is_found:
        "prelude", "call(\"PEXPIRE\", keys.ids, REMEMBER_ID_MS)" => "", within 60;

    /// A deadline that ends a millisecond early.
    a_deadline_that_ends_early_is_found:
        "prelude", "if at > deadline then" => "if at >= deadline then", within 60;

    /// A worker is offered sessions of an agent that is full there.
    a_full_agent_that_stays_in_idle_is_found:
        "renew", " or i - 2 > tonumber(ARGV[7])" => "", within 60;

    /// A worker that does not hear stays the least loaded for ever.
    the_deaf_left_in_idle_are_found:
        "prelude", "call(\"ZREM\", idle, worker)" => "", within 60;
}

/// Without this the others would show nothing.
#[tokio::test]
async fn the_scripts_as_they_stand_are_clean_under_the_same_sequences() {
    let mut ground = Ground::start().await;
    let found = first_found(&mut ground, MOST).await;
    assert!(found.is_none(), "{found:#?}");
}
