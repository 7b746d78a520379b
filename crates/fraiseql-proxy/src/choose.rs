//! Which release gets a request. Pure: a number of the request, or what keeps its user on a release.

use sha2::{Digest, Sha256};

/// Points of the scale that weights are measured on: percent.
const POINTS: u64 = 100;
/// Has no divisor in common with [`POINTS`], and spreads small shares evenly over a round.
const STRIDE: u64 = 37;

/// Returns the point, from 0 to 99, of the request with that number. Any 100 requests in a row get
/// each point once: shares are exact over them.
pub(crate) fn spread(number: u64) -> u8 {
    point(number % POINTS * STRIDE)
}

/// Returns the point of a user: always the same.
pub(crate) fn sticky(key: &[u8]) -> u8 {
    let digest = Sha256::digest(key);
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    point(u64::from_be_bytes(head))
}

fn point(number: u64) -> u8 {
    u8::try_from(number % POINTS).unwrap_or(0)
}

/// Returns which of the shares, in percent and in order, has a point; `None` past their sum.
///
/// Raising the first share, at the cost of the last, moves only points between the two.
pub(crate) fn share_at(point: u8, shares: impl IntoIterator<Item = u8>) -> Option<usize> {
    let mut sum = 0_u16;
    shares.into_iter().position(|share| {
        sum += u16::from(share);
        u16::from(point) < sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_over_any_hundred_requests() {
        for share in 0..=100_u8 {
            for first in [0_u64, 1, 57, 99, 12_345, u64::MAX - 400] {
                let of_first = (first..first + 100)
                    .filter(|number| share_at(spread(*number), [share, 100 - share]) == Some(0));
                assert_eq!(of_first.count(), usize::from(share), "{share} % from {first}");
            }
        }
    }

    #[test]
    fn small_shares_are_spread_and_not_bunched() {
        let taken: Vec<u64> = (0..100).filter(|number| spread(*number) < 5).collect();
        let gaps: Vec<u64> = taken.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (15..=30).contains(gap)), "{taken:?}");
    }

    #[test]
    fn raising_a_share_moves_only_those_who_must() {
        let users: Vec<u8> = (0..10_000).map(|user: u32| sticky(&user.to_be_bytes())).collect();
        let at = |share: u8| -> Vec<bool> {
            users.iter().map(|point| share_at(*point, [share, 100 - share]) == Some(0)).collect()
        };
        let (five, quarter) = (at(5), at(25));
        assert!(five.iter().zip(&quarter).all(|(before, after)| !before || *after), "nobody goes back");
        let count = quarter.iter().filter(|on| **on).count();
        assert!((2_200..2_800).contains(&count), "{count} of 10000 are a quarter");
    }

    #[test]
    fn a_point_past_all_shares_has_none() {
        assert_eq!(share_at(99, [50, 49]), None);
        assert_eq!(share_at(0, [0, 100]), Some(1));
    }
}
