//! A strategy for every seed.

use super::{
    Dice, Player, RoundRobin, StrategyName,
    coverage::Guide,
    idpct::depth_of,
    name::{Kind, Setting},
    pct::Pct,
    pos::Pos,
    random::Random,
};
use crate::sim::Strategy;

/// Makes the strategies of a run of seeds over one scenario.
///
/// Asked for a seed again it gives the same again, except where seeds [guide each other](StrategyName::block): then those
/// of a block have to be asked for in order, from the first, each after the one before it has run.
pub struct Campaign {
    name: StrategyName,
    guide: Guide,
    /// The guided seed asked for last.
    last: Option<u64>,
}

impl Campaign {
    /// With nothing learnt yet.
    pub fn new(name: StrategyName) -> Self {
        Self { name, guide: Guide::default(), last: None }
    }

    /// The strategy that `seed` stands for.
    pub fn strategy(&mut self, seed: u64) -> Box<dyn Strategy + Send> {
        let [depth, steps, each, stalls] = [Setting::Depth, Setting::Steps, Setting::Each, Setting::Stalls]
            .map(|setting| self.name.get(setting));
        // The schedule's numbers are not the ones that the runtime under test draws from the same seed.
        let mut dice = Dice::new(seed ^ SCHEDULE);
        match self.name.kind {
            Kind::Random => Box::new(Player::new(Random, dice.roll(), stalls)),
            Kind::Pos => Box::new(Player::new(Pos::default(), dice.roll(), stalls)),
            Kind::Pct => Box::new(Player::new(Pct::new("pct", depth, steps, &mut dice), dice.roll(), stalls)),
            Kind::FairPct => Box::new(Player::new(Pct::fair(depth, steps, &mut dice), dice.roll(), stalls)),
            Kind::Idpct => {
                let rule = Pct::new("idpct", depth_of(seed, each, depth), steps, &mut dice);
                Box::new(Player::new(rule, dice.roll(), stalls))
            }
            Kind::RoundRobin => Box::new(RoundRobin::default()),
            Kind::Coverage => {
                self.forget_other_blocks(seed);
                Box::new(Player::new(self.guide.next(dice.roll(), steps), dice.roll(), stalls))
            }
        }
    }

    fn forget_other_blocks(&mut self, seed: u64) {
        if self.last.is_none_or(|last| last >= seed || !self.name.block(last).contains(&seed)) {
            self.guide = Guide::default();
        }
        self.last = Some(seed);
    }
}

/// `schedule` in ASCII.
const SCHEDULE: u64 = 0x7363_6865_6475_6c65;
