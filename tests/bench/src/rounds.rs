//! Taking turns, so that whatever else the machine does hits all contestants alike.

use std::time::Duration;

use anyhow::Result;

/// How often each contestant has its turn, and how long a turn lasts.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// The number of rounds.
    pub count: usize,
    /// The time of one turn.
    pub length: Duration,
}

/// Runs for about the given time, and says how many operations it did in a second.
pub type Turn<'a> = &'a mut dyn FnMut(Duration) -> Result<f64>;

impl Rounds {
    /// Gives every contestant a turn in every round, each round in another order, and returns the
    /// rates of each contestant by round. A first round, in which things warm up, does not count.
    pub fn run<const N: usize>(self, contestants: [Turn<'_>; N]) -> Result<[Vec<f64>; N]> {
        let mut rates = [const { Vec::new() }; N];
        for round in 0..=self.count {
            for turn in 0..N {
                let contestant = (round + turn) % N;
                let rate = contestants[contestant](self.length)?;
                if round > 0 {
                    rates[contestant].push(rate);
                }
            }
        }
        Ok(rates)
    }
}

/// The middle of some figures, and the middle half of them.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The lower quartile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub high: f64,
}

impl Spread {
    /// Of at least one figure.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len() - 1;
        Self { low: figures[last / 4], median: figures[last / 2], high: figures[last - last / 4] }
    }

    /// Of what `of` makes of the two contestants' rates, round by round.
    pub fn by_round(ours: &[f64], theirs: &[f64], of: impl Fn(f64, f64) -> f64) -> Self {
        Self::of(ours.iter().zip(theirs).map(|(ours, theirs)| of(*ours, *theirs)))
    }
}
