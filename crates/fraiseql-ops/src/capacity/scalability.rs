//! How throughput grows with concurrency: the universal scalability law (N. J. Gunther, "Guerrilla Capacity
//! Planning", 2007), fitted to measured points.
//!
//! X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)): lambda is what one client gets, sigma the share that
//! waits for what only one can have, kappa the cost of keeping each other informed.

use serde::{Deserialize, Serialize};

use super::KNEE_SHARE;

/// Fewer points tell nothing of the three parameters.
const POINTS_MIN: usize = 4;

/// What was measured with so many clients that ask without a pause.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadPoint {
    /// Requests that were open at a time.
    pub concurrency: u32,
    /// Requests that were answered, a second.
    pub requests_s: f64,
    /// The time that 99 % of them did not exceed, in milliseconds.
    pub p99_ms: f64,
    /// Requests that failed.
    pub failed: u64,
}

/// The law's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scalability {
    /// What one client gets, in requests a second.
    pub lambda: f64,
    /// Contention.
    pub sigma: f64,
    /// Coherency.
    pub kappa: f64,
}

impl Scalability {
    /// Returns the rate with so many requests open at a time.
    pub fn at(&self, concurrency: f64) -> f64 {
        let waiting = self.sigma * (concurrency - 1.0);
        let informing = self.kappa * concurrency * (concurrency - 1.0);
        self.lambda * concurrency / (1.0 + waiting + informing)
    }

    /// Returns the highest rate, and with how many requests open at a time it is had, up to `most`.
    pub fn highest(&self, most: f64) -> (f64, f64) {
        let peak = if self.kappa > 0.0 { ((1.0 - self.sigma).max(0.0) / self.kappa).sqrt() } else { most };
        let concurrency = peak.clamp(1.0, most);
        (self.at(concurrency), concurrency)
    }

    fn of(points: &[LoadPoint]) -> Option<Self> {
        // N / X is a parabola in N. Each point counts by its relative error, as rates have it.
        let rows: Vec<([f64; 3], f64, f64)> = points
            .iter()
            .filter(|point| point.requests_s > 0.0 && point.concurrency > 0)
            .map(|point| {
                let open = f64::from(point.concurrency);
                let inverse = open / point.requests_s;
                ([1.0, open, open * open], inverse, inverse.powi(-2))
            })
            .collect();
        // A parabola that falls has no meaning: then it is a line, and then a constant.
        let with = |terms: usize| {
            let found = least_squares(&rows, terms)?;
            let [constant, linear, square] = found;
            let lambda = 1.0 / (constant + linear + square);
            let fit = Self { lambda, sigma: lambda * (linear + square), kappa: lambda * square };
            (lambda.is_finite() && lambda > 0.0 && fit.sigma >= 0.0 && fit.kappa >= 0.0).then_some(fit)
        };
        with(3).or_else(|| with(2)).or_else(|| with(1))
    }
}

/// What measured points tell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ScalabilityFit {
    /// The parameters.
    pub law: Scalability,
    /// The highest rate, in requests a second.
    pub highest: f64,
    /// The least and the most that it is when one of the points is left out.
    pub between: (f64, f64),
    /// With how many requests open at a time it is had.
    pub concurrency: f64,
}

impl ScalabilityFit {
    /// Fits the law to points; `None` when there are too few.
    pub fn of(points: &[LoadPoint]) -> Option<Self> {
        if points.len() < POINTS_MIN {
            return None;
        }
        let most = 4.0 * points.iter().map(|point| f64::from(point.concurrency)).fold(1.0, f64::max);
        let law = Scalability::of(points)?;
        let (highest, concurrency) = law.highest(most);
        let without = |left_out: usize| {
            let rest: Vec<LoadPoint> = points
                .iter()
                .enumerate()
                .filter(|(index, _)| *index != left_out)
                .map(|(_, point)| *point)
                .collect();
            Scalability::of(&rest).map(|law| law.highest(most).0)
        };
        let others: Vec<f64> = (0..points.len()).filter_map(without).collect();
        let between =
            (others.iter().copied().fold(highest, f64::min), others.iter().copied().fold(highest, f64::max));
        Some(Self { law, highest, between, concurrency })
    }

    /// Returns the rate that the service is to be used to.
    pub fn knee(&self) -> f64 {
        KNEE_SHARE * self.highest
    }
}

/// Returns how many instances a rate needs, the fewest and the most that it may be, when `measured` of them
/// reached what was measured and the database is not in their way.
pub fn instances_for(fit: &ScalabilityFit, measured: u32, requests_s: f64) -> (u32, u32, u32) {
    let needed = |highest: f64| {
        let each = KNEE_SHARE * highest / f64::from(measured.max(1));
        (requests_s / each).ceil().clamp(1.0, f64::from(u32::MAX)) as u32
    };
    (needed(fit.between.1), needed(fit.highest), needed(fit.between.0))
}

/// Solves weighted normal equations for the first `terms` of three coefficients; the others are zero.
fn least_squares(rows: &[([f64; 3], f64, f64)], terms: usize) -> Option<[f64; 3]> {
    let mut matrix = [[0.0_f64; 4]; 3];
    for (powers, value, weight) in rows {
        for row in 0..terms {
            for column in 0..terms {
                matrix[row][column] += weight * powers[row] * powers[column];
            }
            matrix[row][3] += weight * powers[row] * value;
        }
    }
    // Gauss with the largest pivot.
    for step in 0..terms {
        let pivot = (step..terms).max_by(|a, b| matrix[*a][step].abs().total_cmp(&matrix[*b][step].abs()))?;
        matrix.swap(step, pivot);
        if matrix[step][step].abs() < f64::MIN_POSITIVE {
            return None;
        }
        for row in (0..terms).filter(|row| *row != step) {
            let factor = matrix[row][step] / matrix[step][step];
            let above = matrix[step];
            for (cell, over) in matrix[row].iter_mut().zip(above) {
                *cell -= factor * over;
            }
        }
    }
    let mut found = [0.0; 3];
    for (step, value) in found.iter_mut().enumerate().take(terms) {
        *value = matrix[step][3] / matrix[step][step];
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(law: &Scalability, off: impl Fn(u32) -> f64) -> Vec<LoadPoint> {
        [1, 2, 4, 8, 16, 32, 64]
            .into_iter()
            .map(|concurrency| LoadPoint {
                concurrency,
                requests_s: law.at(f64::from(concurrency)) * off(concurrency),
                p99_ms: 1.0,
                failed: 0,
            })
            .collect()
    }

    #[track_caller]
    fn check(law: Scalability, off: impl Fn(u32) -> f64, tolerance: f64) {
        let fit = ScalabilityFit::of(&points(&law, off)).unwrap();
        let highest = law.highest(256.0).0;
        assert!((fit.highest / highest - 1.0).abs() <= tolerance, "{fit:?}, and it is {highest}");
        assert!(fit.between.0 <= fit.highest && fit.highest <= fit.between.1, "{fit:?}");
    }

    #[test]
    fn what_follows_the_law_is_found() {
        check(Scalability { lambda: 1000.0, sigma: 0.05, kappa: 0.0005 }, |_| 1.0, 1e-6);
        check(Scalability { lambda: 500.0, sigma: 0.2, kappa: 0.0 }, |_| 1.0, 1e-6);
        check(Scalability { lambda: 500.0, sigma: 0.0, kappa: 0.0 }, |_| 1.0, 1e-6);
        let uneven = |concurrency: u32| if concurrency.is_multiple_of(4) { 1.03 } else { 0.97 };
        check(Scalability { lambda: 1000.0, sigma: 0.05, kappa: 0.0005 }, uneven, 0.1);
    }

    #[test]
    fn few_points_tell_nothing() {
        let law = Scalability { lambda: 1000.0, sigma: 0.05, kappa: 0.0005 };
        assert_eq!(ScalabilityFit::of(&points(&law, |_| 1.0)[..3]), None);
    }

    #[test]
    fn instances_are_for_the_knee_and_not_for_the_edge() {
        let law = Scalability { lambda: 1000.0, sigma: 0.1, kappa: 0.0 };
        let fit = ScalabilityFit { law, highest: 5000.0, between: (4000.0, 6000.0), concurrency: 64.0 };
        assert_eq!(instances_for(&fit, 1, 5000.0), (2, 2, 2));
        assert_eq!(instances_for(&fit, 2, 10_000.0), (5, 6, 8));
    }
}
