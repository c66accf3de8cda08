//! Taking turns, so that other load on the machine affects all contestants alike.

use std::time::{Duration, Instant};

use anyhow::Result;

/// How many turns each contestant has, and how long a turn lasts.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// The number of rounds.
    pub count: usize,
    /// The time of one turn.
    pub length: Duration,
}

/// Runs for about the given time, and returns the operations per second.
pub type Turn<'a> = &'a mut dyn FnMut(Duration) -> Result<f64>;

impl Rounds {
    /// Gives every contestant a turn in every round, in another order each time, and returns each
    /// contestant's rates by round. The first round warms up and does not count.
    pub fn run<const N: usize>(self, mut contestants: [Turn<'_>; N]) -> Result<[Vec<f64>; N]> {
        let mut rates = [const { Vec::new() }; N];
        self.take_turns(&mut contestants, &mut rates)?;
        Ok(rates)
    }

    /// The same for a number of contestants that is known only at run time.
    pub fn run_all(self, mut contestants: Vec<Turn<'_>>) -> Result<Vec<Vec<f64>>> {
        let mut rates = vec![Vec::new(); contestants.len()];
        self.take_turns(&mut contestants, &mut rates)?;
        Ok(rates)
    }

    fn take_turns(self, contestants: &mut [Turn<'_>], rates: &mut [Vec<f64>]) -> Result<()> {
        for round in 0..=self.count {
            for turn in 0..contestants.len() {
                let contestant = (round + turn) % contestants.len();
                let rate = contestants[contestant](self.length)?;
                if round > 0 {
                    rates[contestant].push(rate);
                }
            }
        }
        Ok(())
    }
}

/// How many requests `work` makes per second.
pub fn per_second(work: impl FnOnce() -> Result<u32>) -> Result<f64> {
    let start = Instant::now();
    let requests = work()?;
    Ok(f64::from(requests) / start.elapsed().as_secs_f64())
}

/// The median of some figures, and their middle half.
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
    /// The spread of `figures`, of which there must be at least one.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len() - 1;
        Self { low: figures[last / 4], median: figures[last / 2], high: figures[last - last / 4] }
    }

    /// The spread of `of` applied to the two contestants' rates, round by round.
    pub fn by_round(ours: &[f64], theirs: &[f64], of: impl Fn(f64, f64) -> f64) -> Self {
        Self::of(ours.iter().zip(theirs).map(|(ours, theirs)| of(*ours, *theirs)))
    }
}
