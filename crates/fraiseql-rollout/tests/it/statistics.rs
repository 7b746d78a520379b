//! How often the judge blames a good release, and how soon it finds a bad one: many simulated canaries for each
//! cell, printed as tables. `make bench-judge` runs 10,000 for each; a test runs a few.
//!
//! A rollout is a share of 5 % for 20 minutes and one of 25 % for 20 minutes, looked at every 5 seconds. Requests
//! come at random (Poisson), each is bad at random; the seed is fixed, so that two runs print the same.

use fraiseql_model::traffic::ArmCounts;
use fraiseql_rollout::{JudgePolicy, Judgement, judge};

/// How many rollouts for each line.
const TIMES: &str = "FRAISEQL_STATISTICS_TIMES";
const LOOK_S: u32 = 5;
const SHARES: [(f64, u32); 2] = [(0.05, 1_200), (0.25, 1_200)];

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to 1, never 0.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }

    /// Returns how many of something that comes `mean` times on average.
    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            let normal = (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
            return (mean + mean.sqrt() * normal).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

/// A world: requests in a second, how many of them are bad, and what disturbs it.
#[derive(Clone, Copy)]
struct Cell {
    rate: f64,
    old: f64,
    new: f64,
    /// Now and then, for 10 seconds, so many times as many are bad, whoever answers.
    burst: f64,
}

enum End {
    Passed,
    Undecided,
    Blamed(u32),
    Held,
}

fn rollout(cell: Cell, chance: &mut Chance) -> End {
    let policy = JudgePolicy::default();
    let (mut now, mut burst_until, mut undecided) = (0, 0, false);
    for (share, seconds) in SHARES {
        let (mut new, mut old) = (ArmCounts::default(), ArmCounts::default());
        let mut last = Judgement::TooFew;
        for _ in 0..seconds / LOOK_S {
            now += LOOK_S;
            if cell.burst > 1.0 && chance.unit() < 0.02 {
                burst_until = now + 10;
            }
            let times = if now <= burst_until { cell.burst } else { 1.0 };
            let mut come = |arm: &mut ArmCounts, share: f64, bad: f64| {
                let mean = cell.rate * f64::from(LOOK_S) * share;
                let bad = (bad * times).min(1.0);
                let failed = chance.poisson(mean * bad);
                arm.requests += failed + chance.poisson(mean * (1.0 - bad));
                arm.failed += failed;
            };
            come(&mut new, share, cell.new);
            come(&mut old, 1.0 - share, cell.old);
            last = judge(&policy, &new, &old, &[]);
            match last {
                Judgement::Bad(_) => return End::Blamed(now),
                Judgement::Both(_) => return End::Held,
                Judgement::Good | Judgement::TooFew => {}
            }
        }
        undecided |= last == Judgement::TooFew;
    }
    if undecided { End::Undecided } else { End::Passed }
}

/// Runs a cell; returns how many passed, were undecided, held and blamed, and the times of the blamed ones.
fn run(cell: Cell, times: usize) -> (usize, usize, usize, Vec<u32>) {
    let mut chance = Chance(0x5eed);
    let (mut passed, mut undecided, mut held, mut blamed) = (0, 0, 0, Vec::new());
    for _ in 0..times {
        match rollout(cell, &mut chance) {
            End::Passed => passed += 1,
            End::Undecided => undecided += 1,
            End::Held => held += 1,
            End::Blamed(at) => blamed.push(at),
        }
    }
    blamed.sort_unstable();
    (passed, undecided, held, blamed)
}

#[test]
fn good_releases_are_hardly_ever_blamed_and_bad_ones_found() {
    let times: usize = std::env::var(TIMES).map_or(20, |text| text.parse().expect("a number"));
    println!("good releases, {times} rollouts for each line");
    println!("| requests/s | bad | bursts | blamed wrongly | held | too few to say | passed |");
    println!("|---|---|---|---|---|---|---|");
    for burst in [1.0, 20.0] {
        for rate in [0.2, 1.0, 10.0, 100.0, 1_000.0] {
            for bad in [0.001, 0.01] {
                let cell = Cell { rate, old: bad, new: bad, burst };
                let (passed, undecided, held, blamed) = run(cell, times);
                // One in a thousand, or a single one where there are fewer.
                assert!(blamed.len() <= (times / 1_000).max(1), "{} of {times} blamed wrongly", blamed.len());
                let percent = |count: usize| count as f64 * 100.0 / times as f64;
                println!(
                    "| {rate} | {} % | {} | {:.3} % | {:.2} % | {:.1} % | {:.1} % |",
                    bad * 100.0,
                    if burst > 1.0 { "x 20 for 10 s" } else { "none" },
                    percent(blamed.len()),
                    percent(held),
                    percent(undecided),
                    percent(passed)
                );
            }
        }
    }
    println!("\nbad releases, {} rollouts for each line; the old one has 0.1 % bad", times / 10);
    println!("| requests/s | bad in the new one | found | after, median | p95 |");
    println!("|---|---|---|---|---|");
    for rate in [0.2, 1.0, 10.0, 100.0, 1_000.0] {
        for bad in [1.0, 0.1, 0.01] {
            let (_, _, _, blamed) = run(Cell { rate, old: 0.001, new: bad, burst: 1.0 }, times / 10);
            let at = |share: usize| {
                blamed.get(blamed.len() * share / 100).map_or("-".to_owned(), |at| format!("{at} s"))
            };
            assert!(bad < 1.0 || blamed.len() == times / 10, "a release that only fails is always found");
            let found = blamed.len() as f64 * 1_000.0 / times as f64;
            println!("| {rate} | {} % | {found:.1} % | {} | {} |", bad * 100.0, at(50), at(95));
        }
    }
}
