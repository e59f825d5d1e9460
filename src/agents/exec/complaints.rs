//! Log lines about a child that misbehaves: few, however often it does.

use std::{sync::Mutex, time::Duration};

use crate::runtime::{Env, Moment};

/// So many lines per [`SPAN`]; the rest are counted.
const MOST: u64 = 10;
const SPAN: Duration = Duration::from_secs(10);

/// Decides which complaints are worth a line.
#[derive(Debug)]
pub(super) struct Complaints {
    env: Env,
    count: Mutex<Count>,
}

#[derive(Debug)]
struct Count {
    since: Moment,
    made: u64,
    kept_back: u64,
}

impl Complaints {
    pub(super) fn new(env: Env) -> Self {
        let count = Mutex::new(Count { since: env.now(), made: 0, kept_back: 0 });
        Self { env, count }
    }

    /// Makes one, unless there were many lately; it is told how many were kept back before it.
    pub(super) fn make(&self, write: impl FnOnce(u64)) {
        if let Some(kept_back) = self.allow() {
            write(kept_back);
        }
    }

    fn allow(&self) -> Option<u64> {
        let (now, mut count) = (self.env.now(), self.count.lock().expect("nobody panics while counting"));
        if now.since(count.since) >= SPAN {
            (count.since, count.made) = (now, 0);
        }
        if count.made == MOST {
            count.kept_back += 1;
            return None;
        }
        count.made += 1;
        Some(std::mem::take(&mut count.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_complaints_are_made_and_the_rest_are_counted() {
        let complaints = Complaints::new(Env::seeded(1));
        let made = |kept: &mut Vec<u64>| complaints.make(|kept_back| kept.push(kept_back));
        let mut kept = Vec::new();
        (0..100).for_each(|_| made(&mut kept));
        assert_eq!(kept, [0; 10]);
        tokio::time::sleep(SPAN).await;
        made(&mut kept);
        made(&mut kept);
        assert_eq!(kept[10..], [90, 0]);
    }
}
