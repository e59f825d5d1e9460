use super::ground::{ask_as, counting, ms, session};
use crate::{
    client::Outgoing,
    sim::{Fault, Faults, Planned, Rates, Scenario, SimClient, Workload},
};

/// A client repeats what got no answer, and what got one.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "a-repeated-send-is-one-turn",
    about: "Clients repeat sends under the same id: at once, after losses of calls and answers, and a minute later.",
    holds: "All repeats are the same message with the same reply, and one turn.",
    made: |seed| {
        let mut workload = Workload::none();
        for n in 0..4 {
            workload = workload.client(move |client| repeats(client, n));
        }
        let rates = Rates {
            lose_call: 100,
            lose_reply: 150,
            delay: 50,
            longest_delay: ms(3_000),
            until: ms(6_000),
            ..Rates::none()
        };
        let restart = vec![Planned::at(ms(2_000), Fault::RestartServer)];
        counting(seed, ms(20))
            .workload(workload)
            .faults(Faults::Both(restart, rates))
            .settles_within(ms(240_000))
    },
};

async fn repeats(client: SimClient, n: u64) {
    let session = session(n % 2);
    let mut sent = Vec::new();
    for turn in 0..5 {
        let (id, text) = (client.client().new_id(), format!("{n}.{turn}"));
        let message = || Outgoing::text(session.clone(), &text).id(id.clone());
        // What comes of the first is of no interest: it may have happened.
        _ = client.send(message()).await;
        let first = ask_as(&client, &session, &text, id.clone()).await;
        sent.push((id, text, first));
        client.env().sleep(ms(client.env().random_below(800))).await;
    }
    for wait in [ms(0), ms(60_000)] {
        client.env().sleep(wait).await;
        for (id, text, first) in &sent {
            let again = ask_as(&client, &session, text, id.clone()).await;
            assert!(again.repeat, "{session}: {text} was new the second time");
            assert_eq!((again.message, &again.reply), (first.message, &first.reply), "{session}: {text}");
        }
    }
}
