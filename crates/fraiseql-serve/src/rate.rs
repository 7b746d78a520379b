//! How often somebody may ask: a token bucket for each address and for each known caller.
//!
//! A bucket is one number, the time at which it is full again (the generic cell rate algorithm). Buckets
//! are kept up to a limit; the ones that were not used for longest go, and begin full when they return.
//! Where servers share buckets, Redis has the same number for all of them.

mod redis_buckets;

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fraiseql_model::digest::sha256_hex;
use fraiseql_model::identity::Identity;
use fraiseql_model::response::{Code, GraphqlError};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::cache::RedisOptions;
use crate::exposition::Exposition;
use crate::metrics::Counter;

use redis_buckets::SharedBuckets;
pub(crate) use redis_buckets::run;

/// Proxies on the way that are looked through; more are somebody's game.
const FORWARDED_MAX: usize = 16;
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const SECONDS_OF_RATE: u64 = 60;

/// How often who may ask.
#[derive(Clone, Debug, Default)]
pub struct RateOptions {
    /// Everybody behind one address, whoever they are.
    pub address: Option<Rate>,
    /// One known caller, wherever the requests come from.
    pub caller: Option<Rate>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The most buckets that are kept.
    pub entries: usize,
    /// Where servers share their buckets; `None` when each counts for itself.
    pub shared: Option<RedisOptions>,
}

/// So many requests a minute, after `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in a minute; at least 1.
    pub per_minute: u32,
    /// Requests at once; at least 1.
    pub burst: u32,
}

impl Rate {
    /// Returns what a bucket holds and what `count` requests take from it, in microseconds.
    fn size_and_cost(self, count: u64) -> (u64, u64) {
        let each = (SECONDS_OF_RATE * 1_000_000).div_ceil(u64::from(self.per_minute.max(1)));
        let size = each.saturating_mul(u64::from(self.burst.max(1)));
        // More than a whole bucket is never there: what is asked for then is a whole one.
        (size, each.saturating_mul(count).min(size))
    }
}

/// A word that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("trust the proxies of \"{0}\": it is neither an address nor a network")]
pub struct BadNetwork(pub String);

impl RateOptions {
    /// Reads addresses and networks such as `10.0.0.0/8`.
    pub fn networks(words: &[String]) -> Result<Vec<IpNet>, BadNetwork> {
        let read = |word: &String| {
            let network = IpNet::from_str(word).or_else(|_| IpAddr::from_str(word).map(IpNet::from));
            network.map_err(|_| BadNetwork(word.clone()))
        };
        words.iter().map(read).collect()
    }
}

/// The address of the other end of a connection, in the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Which limit was passed, and when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdraft {
    by: Bucket,
    rate: Rate,
    wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bucket {
    Address,
    Caller,
}

/// All buckets.
pub(crate) struct Rates {
    options: RateOptions,
    buckets: Cache<(bool, u64), Arc<AtomicU64>>,
    hasher: RandomState,
    began: Instant,
    refused: [Counter; 2],
    shared: Option<SharedBuckets>,
}

impl Rates {
    pub(crate) fn new(options: RateOptions) -> Self {
        Self {
            buckets: Cache::new(options.entries.max(1)),
            shared: options.shared.clone().map(SharedBuckets::new),
            options,
            hasher: RandomState::new(),
            began: Instant::now(),
            refused: Default::default(),
        }
    }

    /// Returns where a request comes from: the peer, or who it says it speaks for if it is trusted.
    pub(crate) fn address(&self, peer: Option<&Peer>, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer?.0.to_canonical();
        if !self.is_trusted(peer) {
            return Some(peer);
        }
        let values = headers.get_all(FORWARDED_FOR).into_iter().filter_map(|value| value.to_str().ok());
        let words: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut found = peer;
        // From the nearest: what stands behind an address that is not trusted is anybody's word.
        for word in words.iter().rev().take(FORWARDED_MAX) {
            let Ok(address) = word.parse::<IpAddr>() else { break };
            found = address.to_canonical();
            if !self.is_trusted(found) {
                break;
            }
        }
        Some(found)
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.options.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// Takes `count` requests from what an address may ask.
    pub(crate) async fn charge_address(&self, address: Option<IpAddr>, count: u64) -> Result<(), Overdraft> {
        let (Some(rate), Some(address)) = (self.options.address, address) else { return Ok(()) };
        let address = block(address);
        self.charge(Bucket::Address, (false, self.hasher.hash_one(address)), rate, count)?;
        let Some(shared) = &self.shared else { return Ok(()) };
        self.charge_shared(shared, Bucket::Address, &format!("address:{address}"), rate, count).await
    }

    /// Takes `count` requests from what a known caller may ask.
    pub(crate) async fn charge_caller(&self, caller: &Identity, count: u64) -> Result<(), Overdraft> {
        let (Some(rate), Some(subject)) = (self.options.caller, &caller.subject) else { return Ok(()) };
        let issuer = caller.claims.get("iss").and_then(|issuer| issuer.as_str());
        let key = (true, self.hasher.hash_one((issuer, subject)));
        self.charge(Bucket::Caller, key, rate, count)?;
        let Some(shared) = &self.shared else { return Ok(()) };
        // A name of any length becomes a key of one length, and is not told to Redis.
        let named = format!("{}\n{subject}", issuer.unwrap_or_default());
        let key = format!("caller:{}", sha256_hex(named.as_bytes()));
        self.charge_shared(shared, Bucket::Caller, &key, rate, count).await
    }

    async fn charge_shared(
        &self,
        shared: &SharedBuckets,
        by: Bucket,
        key: &str,
        rate: Rate,
        count: u64,
    ) -> Result<(), Overdraft> {
        let (size, cost) = rate.size_and_cost(count);
        match shared.take(key, size, cost).await {
            None => Ok(()),
            Some(wait) => {
                self.refused[usize::from(by == Bucket::Caller)].increment();
                Err(Overdraft { by, rate, wait })
            }
        }
    }

    fn charge(&self, by: Bucket, key: (bool, u64), rate: Rate, count: u64) -> Result<(), Overdraft> {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        // Zero is long ago for every bucket: a new one is full.
        let made = self.buckets.get_or_insert_with(&key, || Ok::<_, Overdraft>(Arc::default()))?;
        take(&made, rate, count, now).map_err(|wait| {
            self.refused[usize::from(by == Bucket::Caller)].increment();
            Overdraft { by, rate, wait }
        })
    }

    pub(crate) fn render(&self, page: &mut Exposition) {
        if self.options.address.is_none() && self.options.caller.is_none() {
            return;
        }
        let name = "fraiseql_rate_limited_total";
        page.head(name, "counter", "Requests that were refused because they came too often, by whose limit.");
        for (by, counter) in ["address", "caller"].iter().zip(&self.refused) {
            page.sample(name, &[("by", by)], counter.value());
        }
        if let Some(shared) = &self.shared {
            let help = "1 while servers count together in Redis, 0 while each counts for itself.";
            page.gauge("fraiseql_rate_limit_shared", help, u64::from(shared.is_up()));
        }
    }
}

/// Takes from a bucket, or tells how long to wait until that would be possible. Times in microseconds.
fn take(full_at: &AtomicU64, rate: Rate, count: u64, now: u64) -> Result<(), Duration> {
    let (size, cost) = rate.size_and_cost(count);
    let mut known = full_at.load(Ordering::Relaxed);
    loop {
        let next = known.max(now).saturating_add(cost);
        let ahead = next - now;
        if ahead > size {
            return Err(Duration::from_micros(ahead - size));
        }
        match full_at.compare_exchange_weak(known, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(other) => known = other,
        }
    }
}

/// One customer of a provider has a whole /64 of IPv6.
fn block(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl Overdraft {
    fn name(self) -> &'static str {
        match self.by {
            Bucket::Address => "address",
            Bucket::Caller => "caller",
        }
    }

    /// Whole seconds, so that who waits so long is let in.
    fn seconds(self) -> u32 {
        u32::try_from(self.wait.as_micros().div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1)
    }

    pub(crate) fn error(self) -> GraphqlError {
        let message = "too many requests: come back later, or ask for more in one";
        let mut error = GraphqlError::new(Code::RateLimited, message);
        error.extensions.limit = Some(match self.by {
            Bucket::Address => "rate_limit.address_per_minute",
            Bucket::Caller => "rate_limit.caller_per_minute",
        });
        error.extensions.retry_after_seconds = Some(self.seconds());
        error
    }

    /// Adds the fields of draft-ietf-httpapi-ratelimit-headers-10.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let Rate { per_minute, burst } = self.rate;
        let window = (SECONDS_OF_RATE * u64::from(burst)).div_ceil(u64::from(per_minute.max(1)));
        let fields = [
            (POLICY, format!("\"{}\";q={burst};w={window}", self.name())),
            (LIMIT, format!("\"{}\";r=0;t={}", self.name(), self.seconds())),
        ];
        for (name, text) in fields {
            headers.insert(name, HeaderValue::try_from(text).expect("names and numbers are header values"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one after another at these times (ms); a number is the wait that is told, in ms.
    #[track_caller]
    fn check(rate: Rate, times: &[(u64, Result<(), u64>)]) {
        let bucket = AtomicU64::new(0);
        for (index, (at, expected)) in times.iter().enumerate() {
            let got = take(&bucket, rate, 1, 1_000_000_000 + at * 1_000);
            assert_eq!(got, expected.map_err(Duration::from_millis), "number {index}, at {at} ms");
        }
    }

    #[test]
    fn a_bucket_holds_its_burst_and_fills_steadily() {
        let rate = Rate { per_minute: 60, burst: 3 };
        check(
            rate,
            &[(0, Ok(())), (0, Ok(())), (0, Ok(())), (0, Err(1_000)), (400, Err(600)), (1_000, Ok(()))],
        );
        check(rate, &[(0, Ok(())), (500, Ok(())), (500, Ok(())), (500, Err(500)), (60_000, Ok(()))]);
        check(Rate { per_minute: 6, burst: 1 }, &[(0, Ok(())), (1, Err(9_999)), (10_000, Ok(()))]);
    }

    #[test]
    fn a_batch_takes_as_many_as_it_has_and_a_huge_one_a_whole_bucket() {
        let (bucket, rate) = (AtomicU64::new(0), Rate { per_minute: 60, burst: 5 });
        assert_eq!(take(&bucket, rate, 4, 9_000_000), Ok(()));
        assert_eq!(take(&bucket, rate, 2, 9_000_000), Err(Duration::from_secs(1)));
        assert_eq!(take(&bucket, rate, 1, 9_000_000), Ok(()));
        assert_eq!(take(&AtomicU64::new(0), rate, 1_000, 9_000_000), Ok(()));
    }

    #[track_caller]
    fn check_address(peer: &str, forwarded: &[&str], expected: &str) {
        let trusted = RateOptions::networks(&["10.0.0.0/8".to_owned(), "::1".to_owned()]).unwrap();
        let rates = Rates::new(RateOptions { trusted_proxies: trusted, ..RateOptions::default() });
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        let found = rates.address(Some(&Peer(peer.parse().unwrap())), &headers);
        assert_eq!(found, Some(expected.parse().unwrap()), "{forwarded:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        check_address("203.0.113.9", &["198.51.100.1"], "203.0.113.9");
        check_address("10.1.1.1", &["198.51.100.1"], "198.51.100.1");
        check_address("10.1.1.1", &["198.51.100.1, 10.2.2.2"], "198.51.100.1");
        check_address("10.1.1.1", &["6.6.6.6, 198.51.100.1", "10.2.2.2"], "198.51.100.1");
        check_address("10.1.1.1", &["6.6.6.6, junk, 10.2.2.2"], "10.2.2.2");
        check_address("10.1.1.1", &[], "10.1.1.1");
        check_address("::1", &["2001:db8::7"], "2001:db8::7");
        check_address("::ffff:10.1.1.1", &["::ffff:198.51.100.1"], "198.51.100.1");
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let block_of = |text: &str| block(text.parse().unwrap());
        assert_eq!(block_of("2001:db8:1:2:3::4"), block_of("2001:db8:1:2:ffff::"));
        assert_ne!(block_of("2001:db8:1:2::"), block_of("2001:db8:1:3::"));
        assert_ne!(block_of("198.51.100.1"), block_of("198.51.100.2"));
    }

    #[test]
    fn networks_are_read_or_named() {
        assert_eq!(RateOptions::networks(&["10.0.0/8".to_owned()]), Err(BadNetwork("10.0.0/8".to_owned())));
    }
}
