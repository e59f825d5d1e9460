//! What a worker may be told beyond its help: agents that measure and test workers, and bugs to test tests with.

use tenure::{WorkerBuilder, store::Store};

use crate::{
    bench::sleeper::{self, Sleeper, SleeperArgs},
    failure::Failure,
    global::Global,
    tally::{self, Tally, TallyArgs},
};

/// Hidden options of `tenure worker`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ExtraArgs {
    #[command(flatten)]
    sleeper: SleeperArgs,
    #[command(flatten)]
    tally: TallyArgs,
}

/// Agents that it serves beside those of the agents file.
pub(crate) struct Extra {
    sleeper: Option<Sleeper>,
    tally: Option<Tally>,
}

impl ExtraArgs {
    /// What was asked for; bugs are planted from here on.
    pub(crate) async fn prepare(&self, global: &Global) -> Result<Extra, Failure> {
        #[cfg(feature = "planted-bugs")]
        plant()?;
        Ok(Extra { sleeper: self.sleeper.agent(global).await?, tally: self.tally.agent() })
    }
}

impl Extra {
    /// `builder`, with these agents.
    pub(crate) fn serve<S: Store>(self, mut builder: WorkerBuilder<S>) -> WorkerBuilder<S> {
        if let Some(sleeper) = self.sleeper {
            builder = builder.agent(sleeper::NAME, sleeper);
        }
        if let Some(tally) = self.tally {
            builder = builder.agent(tally::NAME, tally);
        }
        builder
    }
}

/// Plants the bug that `TENURE_PLANTED` names, if any.
#[cfg(feature = "planted-bugs")]
fn plant() -> Result<(), Failure> {
    let Ok(name) = std::env::var("TENURE_PLANTED") else { return Ok(()) };
    let unknown = |err: String| Failure::new(crate::failure::Exit::Usage, err);
    name.parse::<tenure::sim::Bug>().map_err(unknown)?.plant_everywhere();
    Ok(())
}
