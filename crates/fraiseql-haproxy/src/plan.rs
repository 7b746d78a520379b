//! From a generation to commands: which place has which instance, and with which weight. Pure.

use core::net::SocketAddr;

use fraiseql_model::traffic::{Generation, TrafficGate};

/// The greatest weight that HAProxy knows.
const WEIGHT_MAX: u64 = 256;

/// A place for an instance, as HAProxy has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) turn: Turn,
    pub(crate) weight: u64,
    /// It passes HAProxy's own checks.
    pub(crate) up: bool,
}

/// Whether a place gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Ready,
    Drain,
    Maintenance,
}

/// What a place is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) place: String,
    pub(crate) address: SocketAddr,
    pub(crate) turn: Turn,
    pub(crate) weight: u64,
}

/// Returns what each place is to be that is used; all others rest. `None` when there are too few.
///
/// An instance stays where it is. A new one gets a place that rests.
pub(crate) fn wishes(generation: &Generation, places: &[Place]) -> Option<Vec<Wish>> {
    let closed = matches!(generation.gate, TrafficGate::Closed { .. });
    let mut free: Vec<&Place> = Vec::new();
    let wanted: Vec<SocketAddr> =
        generation.arms.iter().flat_map(|arm| &arm.backends).map(|backend| backend.address).collect();
    let mut taken: Vec<(SocketAddr, &str)> = Vec::new();
    for place in places {
        let address = place
            .address
            .filter(|address| wanted.contains(address) && !taken.iter().any(|(other, _)| other == address));
        match address {
            Some(address) => taken.push((address, &place.name)),
            None => free.push(place),
        }
    }
    // Those that rest already come first: nobody is on his way to them.
    free.sort_by_key(|place| place.turn != Turn::Maintenance);
    let mut free = free.into_iter();
    let weights = weights(generation);
    let mut wishes = Vec::new();
    for (arm, weight) in generation.arms.iter().zip(weights) {
        for backend in &arm.backends {
            let known = taken.iter().find(|(address, _)| *address == backend.address);
            let place =
                known.map_or_else(|| free.next().map(|place| place.name.as_str()), |(_, name)| Some(name))?;
            let turn = match (closed, backend.draining) {
                (true, _) => Turn::Maintenance,
                (false, true) => Turn::Drain,
                (false, false) => Turn::Ready,
            };
            wishes.push(Wish { place: place.to_owned(), address: backend.address, turn, weight });
        }
    }
    Some(wishes)
}

/// Returns the weight of each instance of each release: together they have the release's share.
fn weights(generation: &Generation) -> Vec<u64> {
    let counts: Vec<u64> = generation
        .arms
        .iter()
        .map(|arm| arm.backends.iter().filter(|backend| !backend.draining).count().max(1) as u64)
        .collect();
    let all: u64 = counts.iter().fold(1, |multiple, count| multiple / gcd(multiple, *count) * count);
    let exact: Vec<u64> = generation
        .arms
        .iter()
        .zip(&counts)
        .map(|(arm, count)| u64::from(arm.weight) * (all / count))
        .collect();
    let divisor = exact.iter().fold(0, |divisor, weight| gcd(divisor, *weight)).max(1);
    let greatest = exact.iter().max().map_or(1, |weight| weight / divisor).max(1);
    let fit = |weight: u64| {
        let weight = weight / divisor;
        if greatest <= WEIGHT_MAX || weight == 0 {
            return weight;
        }
        // The nearest that HAProxy can do; a share is never nothing.
        ((weight * WEIGHT_MAX + greatest / 2) / greatest).max(1)
    };
    exact.into_iter().map(fit).collect()
}

fn gcd(left: u64, right: u64) -> u64 {
    if right == 0 { left } else { gcd(right, left % right) }
}

/// Returns the commands that make of places what is wished; nothing when they are so already.
pub(crate) fn commands(backend: &str, places: &[Place], wishes: &[Wish]) -> String {
    let mut commands = Vec::new();
    for wish in wishes {
        let Some(place) = places.iter().find(|place| place.name == wish.place) else { continue };
        let server = format!("set server {backend}/{}", wish.place);
        if place.address != Some(wish.address) {
            let (ip, port) = (wish.address.ip(), wish.address.port());
            commands.push(format!("{server} addr {ip} port {port}"));
        }
        if place.weight != wish.weight {
            commands.push(format!("{server} weight {}", wish.weight));
        }
        if place.turn != wish.turn {
            commands.push(format!("{server} state {}", wish.turn.word()));
        }
    }
    // Last: there is never nobody.
    for place in places.iter().filter(|place| place.turn != Turn::Maintenance) {
        if !wishes.iter().any(|wish| wish.place == place.name) {
            commands.push(format!("set server {backend}/{} state maint", place.name));
        }
    }
    commands.join("; ")
}

impl Turn {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maintenance => "maint",
        }
    }
}

#[cfg(test)]
mod tests {
    use fraiseql_model::traffic::{Arm, Backend, GENERATION_FORMAT, Stamp, Sticky};

    use super::*;

    /// Release, share, and the ports of its instances, negative when they drain.
    type Sample<'s> = (&'s str, u8, &'s [i32]);

    fn generation(arms: &[Sample<'_>]) -> Generation {
        let backend = |port: &i32| Backend {
            name: port.to_string(),
            address: SocketAddr::from(([10, 0, 0, 1], u16::try_from(port.abs()).unwrap())),
            draining: *port < 0,
        };
        let arms = arms.iter().map(|(release, weight, ports)| Arm {
            release: (*release).to_owned(),
            weight: *weight,
            backends: ports.iter().map(backend).collect(),
        });
        Generation {
            format: GENERATION_FORMAT,
            stamp: Stamp::default(),
            stable: "blue".to_owned(),
            previous: None,
            arms: arms.collect(),
            lease_ms: None,
            sticky: Sticky::None,
            gate: TrafficGate::Open,
        }
    }

    fn place(number: usize, port: u16, turn: Turn, weight: u64) -> Place {
        let address = Some(SocketAddr::from(([10, 0, 0, 1], port)));
        Place { name: format!("fq{number}"), address, turn, weight, up: true }
    }

    #[track_caller]
    fn check(places: &[Place], arms: &[Sample<'_>], expected: &str) {
        let wishes = wishes(&generation(arms), places);
        let told = wishes.map_or_else(|| "too few".to_owned(), |wishes| commands("be", places, &wishes));
        assert_eq!(told.replace("set server be/", ""), expected);
    }

    #[test]
    fn what_is_so_already_is_not_told_again() {
        let places = [place(1, 41, Turn::Ready, 1), place(2, 1, Turn::Maintenance, 1)];
        check(&places, &[("blue", 100, &[41])], "");
    }

    #[test]
    fn a_new_instance_takes_a_place_that_rests_and_an_old_one_leaves_last() {
        let places =
            [place(1, 41, Turn::Ready, 1), place(2, 40, Turn::Ready, 1), place(3, 1, Turn::Maintenance, 1)];
        check(
            &places,
            &[("blue", 100, &[41]), ("green", 0, &[42])],
            "fq3 addr 10.0.0.1 port 42; fq3 weight 0; fq3 state ready; fq2 state maint",
        );
        check(&places, &[("blue", 100, &[1, 2, 3, 4])], "too few");
    }

    #[test]
    fn an_instance_that_drains_finishes() {
        check(&[place(1, 41, Turn::Ready, 1)], &[("blue", 100, &[-41])], "fq1 state drain");
    }

    #[track_caller]
    fn check_weights(arms: &[Sample<'_>], expected: &[u64]) {
        assert_eq!(weights(&generation(arms)), expected);
    }

    #[test]
    fn shares_are_of_releases_and_not_of_instances() {
        check_weights(&[("blue", 95, &[1, 2]), ("green", 5, &[3])], &[19, 2]);
        check_weights(&[("blue", 75, &[1, 2, 3]), ("green", 25, &[4])], &[1, 1]);
        check_weights(&[("blue", 100, &[1, 2, 3]), ("green", 0, &[4])], &[1, 0]);
        check_weights(&[("blue", 50, &[1, -2]), ("green", 50, &[4])], &[1, 1]);
        // 99 / 7 and 1 / 5 have no whole numbers small enough.
        check_weights(&[("blue", 99, &[1, 2, 3, 4, 5, 6, 7]), ("green", 1, &[8, 9, 10, 11, 12])], &[256, 4]);
    }

    #[test]
    fn a_closed_gate_lets_all_places_rest() {
        let closed =
            Generation { gate: TrafficGate::Closed { body: None }, ..generation(&[("blue", 100, &[41])]) };
        let places = [place(1, 41, Turn::Ready, 1)];
        let wishes = wishes(&closed, &places).unwrap();
        assert_eq!(commands("be", &places, &wishes), "set server be/fq1 state maint");
    }
}
