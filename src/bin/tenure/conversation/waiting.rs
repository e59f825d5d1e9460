//! What a person sees while a reply is on its way: that it is, for how long, and what holds it up.

use std::{convert::Infallible, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tenure::{Env, store::Store};

use super::Conversation;

/// A reply that is faster shows nothing.
const AFTER: Duration = Duration::from_millis(200);
/// Between two turns of the spinner.
const TICK: Duration = Duration::from_millis(100);
/// Between two looks at what holds it up.
const LOOK: Duration = Duration::from_secs(2);

/// Shows it until dropped, then leaves no trace.
pub(super) async fn show<S: Store>(with: &Conversation<S>) -> Infallible {
    let env = Env::system();
    env.sleep(AFTER).await;
    let spinner = Spinner::start();
    loop {
        env.sleep(LOOK).await;
        if let Ok(view) = with.client.session(&with.session).await {
            spinner.0.set_message(view.reason.unwrap_or_default());
        }
    }
}

/// A line on stderr that turns; hidden where that is no terminal.
struct Spinner(ProgressBar);

impl Spinner {
    fn start() -> Self {
        let style =
            ProgressStyle::with_template("{spinner} waiting… {elapsed} {wide_msg}").expect("a good template");
        let bar = ProgressBar::new_spinner().with_style(style);
        bar.enable_steady_tick(TICK);
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
