//! How a person names a strategy: `pct`, `pct:depth=5`, `coverage:block=32,steps=500`.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, str::FromStr};

/// A strategy and its options, as they are given to `--strategy` and kept in traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrategyName {
    pub(super) kind: Kind,
    given: BTreeMap<Setting, u64>,
}

/// The strategies that a name can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Random,
    Pct,
    FairPct,
    Pos,
    Idpct,
    RoundRobin,
    Coverage,
}

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Setting {
    /// How many orderings the bug needs (`idpct`: at most).
    Depth,
    /// How many steps a run is estimated to take.
    Steps,
    /// How many seeds look at one depth before the next.
    Each,
    /// How many seeds guide each other.
    Block,
    /// How often a stall begins, per thousand steps.
    Stalls,
}

impl Kind {
    const ALL: [(Self, &'static str, &'static [Setting]); 7] = [
        (Self::Random, "random", &[Setting::Stalls]),
        (Self::Pct, "pct", &[Setting::Depth, Setting::Steps, Setting::Stalls]),
        (Self::FairPct, "fair-pct", &[Setting::Depth, Setting::Steps, Setting::Stalls]),
        (Self::Pos, "pos", &[Setting::Stalls]),
        (Self::Idpct, "idpct", &[Setting::Depth, Setting::Steps, Setting::Each, Setting::Stalls]),
        (Self::RoundRobin, "round-robin", &[]),
        (Self::Coverage, "coverage", &[Setting::Block, Setting::Steps, Setting::Stalls]),
    ];

    fn row(self) -> (&'static str, &'static [Setting]) {
        let (_, word, settings) =
            Self::ALL.into_iter().find(|row| row.0 == self).expect("every kind has a row");
        (word, settings)
    }
}

impl Setting {
    /// With their names, what holds if nothing is said, and the limits.
    const ALL: [(Self, &'static str, u64, RangeInclusive<u64>); 5] = [
        (Self::Depth, "depth", 3, 1..=100),
        (Self::Steps, "steps", 2_000, 1..=10_000_000),
        (Self::Each, "each", 8, 1..=1_000_000),
        (Self::Block, "block", 256, 1..=10_000),
        (Self::Stalls, "stalls", 5, 0..=1_000),
    ];

    fn row(self) -> (&'static str, u64, RangeInclusive<u64>) {
        let found = Self::ALL.into_iter().find(|row| row.0 == self).expect("every setting has a row");
        (found.1, found.2, found.3)
    }
}

impl StrategyName {
    /// Every strategy that can be chosen by name, with no option set.
    pub fn all() -> impl Iterator<Item = Self> {
        Kind::ALL.into_iter().map(|(kind, ..)| Self { kind, given: BTreeMap::new() })
    }

    /// The strategy without its options.
    pub fn word(&self) -> &'static str {
        self.kind.row().0
    }

    /// The same, with an estimate of how many steps a run takes, unless one is set already.
    pub fn for_runs_of(mut self, steps: u64) -> Self {
        if self.kind.row().1.contains(&Setting::Steps) {
            self.given.entry(Setting::Steps).or_insert(steps.max(1));
        }
        self
    }

    /// The seeds that have to be run in order, by one [`Campaign`](super::Campaign), for `seed` to be what it is.
    ///
    /// Only seeds that guide each other need more than themselves. Runs may be shared out among threads by these blocks.
    pub fn block(&self, seed: u64) -> RangeInclusive<u64> {
        if self.kind != Kind::Coverage || seed == 0 {
            return seed..=seed;
        }
        let size = self.get(Setting::Block);
        let first = (seed - 1) / size * size + 1;
        first..=first.saturating_add(size - 1)
    }

    pub(super) fn get(&self, setting: Setting) -> u64 {
        self.given.get(&setting).copied().unwrap_or(setting.row().1)
    }
}

/// A name that stands for no strategy, or an option that it does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadStrategy {
    /// No strategy is called so.
    #[error("there is no strategy `{0}`: say one of {known}", known = words())]
    Unknown(String),
    /// A recording has to be named as well.
    #[error("`replay` needs a recording: say `tenure sim replay FILE`")]
    Replay,
    /// The strategy has no such option.
    #[error("`{strategy}` has no option `{option}`; it has {known}")]
    Option {
        /// The strategy.
        strategy: &'static str,
        /// What was given.
        option: String,
        /// What could be given.
        known: String,
    },
    /// The option's value is not a number, or out of bounds.
    #[error("`{option}` must be a number from {least} to {most}", least = range.start(), most = range.end())]
    Value {
        /// The option.
        option: &'static str,
        /// What it may be.
        range: RangeInclusive<u64>,
    },
}

fn words() -> String {
    Kind::ALL.map(|(_, word, _)| word).join(", ")
}

impl FromStr for StrategyName {
    type Err = BadStrategy;

    fn from_str(given: &str) -> Result<Self, BadStrategy> {
        let (word, options) = given.split_once(':').unwrap_or((given, ""));
        let Some((kind, ..)) = Kind::ALL.into_iter().find(|row| row.1 == word) else {
            return Err(if word == "replay" {
                BadStrategy::Replay
            } else {
                BadStrategy::Unknown(word.to_owned())
            });
        };
        let options = options.split(',').filter(|option| !option.is_empty());
        let given = options.map(|option| parse_option(kind, option)).collect::<Result<_, _>>()?;
        Ok(Self { kind, given })
    }
}

fn parse_option(kind: Kind, given: &str) -> Result<(Setting, u64), BadStrategy> {
    let (strategy, settings) = kind.row();
    let (word, value) = given.split_once('=').unwrap_or((given, ""));
    let Some(&setting) = settings.iter().find(|setting| setting.row().0 == word) else {
        let known: Vec<_> = settings.iter().map(|setting| setting.row().0).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(BadStrategy::Option { strategy, option: word.to_owned(), known });
    };
    let (option, _, range) = setting.row();
    let value = value.parse().ok().filter(|value| range.contains(value));
    value.map(|value| (setting, value)).ok_or(BadStrategy::Value { option, range })
}

impl fmt::Display for StrategyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        for (nth, (setting, value)) in self.given.iter().enumerate() {
            let sign = if nth == 0 { ':' } else { ',' };
            write!(f, "{sign}{}={value}", setting.row().0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_it_was_written() {
        for name in
            ["random", "pct:depth=5", "fair-pct:depth=2,steps=500", "coverage:block=32", "round-robin"]
        {
            assert_eq!(name.parse::<StrategyName>().unwrap().to_string(), name);
        }
        assert!(StrategyName::all().all(|name| name.to_string().parse() == Ok(name)));
    }

    #[test]
    fn a_wrong_name_says_what_would_be_right() {
        let told = |given: &str| given.parse::<StrategyName>().unwrap_err().to_string();
        assert_eq!(
            told("chaos"),
            "there is no strategy `chaos`: say one of random, pct, fair-pct, pos, idpct, round-robin, coverage"
        );
        assert_eq!(told("pos:depth=3"), "`pos` has no option `depth`; it has stalls");
        assert_eq!(told("round-robin:depth=3"), "`round-robin` has no option `depth`; it has none");
        assert_eq!(told("pct:depth=0"), "`depth` must be a number from 1 to 100");
        assert_eq!(told("pct:depth"), "`depth` must be a number from 1 to 100");
        assert_eq!(told("replay"), "`replay` needs a recording: say `tenure sim replay FILE`");
    }

    #[test]
    fn an_estimate_gives_way_to_what_was_said() {
        let steps = |name: &str| name.parse::<StrategyName>().unwrap().for_runs_of(700).get(Setting::Steps);
        assert_eq!((steps("pct"), steps("pct:steps=10")), (700, 10));
        assert_eq!("pos".parse::<StrategyName>().unwrap().for_runs_of(700).to_string(), "pos");
    }

    #[test]
    fn only_guided_seeds_need_their_neighbours() {
        let block = |name: &str, seed| name.parse::<StrategyName>().unwrap().block(seed);
        assert_eq!(block("pct", 70), 70..=70);
        assert_eq!(
            (block("coverage", 1), block("coverage", 256), block("coverage", 257)),
            (1..=256, 1..=256, 257..=512)
        );
        assert_eq!(block("coverage:block=10", 25), 21..=30);
        assert_eq!(block("coverage", u64::MAX).end(), &u64::MAX);
    }
}
