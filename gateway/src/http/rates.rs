//! How much one caller may ask for: each member by itself, and whoever shows no certificate by its address.
//!
//! A caller saves up to a burst of requests and gets new ones at an even rate (the generic cell rate algorithm). Every answer says how
//! many are left (draft-ietf-httpapi-ratelimit-headers), a refusal when the next is possible. What is remembered does not grow
//! with the number of strangers: their addresses share 65,536 places. Several gateways of an organisation count each by itself.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use healthchain_rules::MemberId;

use super::caller::judge;
use super::listener::Peer;
use super::problem::{Problem, TOO_MANY_REQUESTS};
use crate::configuration::LimitsConfiguration;
use crate::gateway::Gateway;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

type Keyed<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// Counts callers' requests.
pub struct Rates {
    quota: Quota,
    members: Keyed<String>,
    strangers: Keyed<u16>,
    places: RandomState,
}

/// Where the one who made a request stands.
#[derive(Debug, Clone, Copy)]
struct Standing {
    left: u32,
    wait: Option<Duration>,
}

/// Of one request: where its caller stands, once the caller is known.
#[derive(Clone, Default)]
struct Note(Arc<OnceLock<Standing>>);

impl Rates {
    /// Nobody has asked for anything yet.
    pub fn new(limits: &LimitsConfiguration) -> Self {
        let quota = Quota::per_second(limits.requests_per_second).allow_burst(limits.burst);
        Self {
            quota,
            members: RateLimiter::keyed(quota).with_middleware(),
            strangers: RateLimiter::keyed(quota).with_middleware(),
            places: RandomState::new(),
        }
    }

    /// Counts a request of a member, once.
    pub(crate) fn count_member(&self, request: &Extensions, member: &MemberId) -> Result<(), Problem> {
        let note = request.get::<Note>().cloned().unwrap_or_default();
        if note.0.get().is_some() {
            return Ok(());
        }
        let standing = standing(&self.members, &member.to_string());
        let _ = note.0.set(standing);
        admitted(standing)
    }

    fn count_stranger(&self, note: &Note, address: IpAddr) -> Result<(), Problem> {
        let standing = standing(&self.strangers, &(self.places.hash_one(network(address)) as u16));
        let _ = note.0.set(standing);
        admitted(standing)
    }

    fn say(&self, note: &Note, response: &mut Response) {
        let Some(Standing { left, wait }) = note.0.get() else { return };
        let window = self.quota.burst_size_replenished_in().as_secs().max(1);
        let policy = format!("\"caller\";q={};w={window}", self.quota.burst_size());
        let until = wait.map(|wait| format!(";t={}", seconds(wait))).unwrap_or_default();
        let standing = format!("\"caller\";r={left}{until}");
        for (name, text) in [(POLICY, policy), (STANDING, standing)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.headers_mut().insert(name, value);
            }
        }
    }
}

/// Middleware: counts who shows no certificate that is trusted, and says on every answer where its caller stands. Members are counted where they are
/// recognised.
pub(crate) async fn limit(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let note = Note::default();
    let is_stranger = judge(request.extensions_mut(), &gateway).is_err();
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let stranger = peer.filter(|_| is_stranger).map(|peer| peer.0.address.ip());
    let token = request.headers().contains_key("authorization");
    let counted = match stranger {
        // A token is judged as a certificate is; until then the address answers for it.
        Some(address) if token => gateway.rates.count_stranger(&Note::default(), address),
        Some(address) => gateway.rates.count_stranger(&note, address),
        None => Ok(()),
    };
    request.extensions_mut().insert(note.clone());
    let mut response = match counted {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    gateway.rates.say(&note, &mut response);
    response
}

fn standing<K: Clone + Eq + std::hash::Hash>(limiter: &Keyed<K>, key: &K) -> Standing {
    match limiter.check_key(key) {
        Ok(snapshot) => Standing { left: snapshot.remaining_burst_capacity(), wait: None },
        Err(refusal) => Standing { left: 0, wait: Some(refusal.wait_time_from(limiter.clock().now())) },
    }
}

fn admitted(standing: Standing) -> Result<(), Problem> {
    match standing.wait {
        None => Ok(()),
        Some(wait) => Err(Problem::new(TOO_MANY_REQUESTS).after(seconds(wait))),
    }
}

/// Who has one IPv6 address mostly has 2^64 of them (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

/// Whole seconds, not too few.
fn seconds(wait: Duration) -> u32 {
    wait.as_secs_f64().ceil().max(1.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let one = |text: &str| network(text.parse().unwrap());
        assert_eq!(one("2001:db8::1"), one("2001:db8::ffff:1"));
        assert_ne!(one("2001:db8::1"), one("2001:db8:0:1::1"));
        assert_eq!(one("::ffff:192.0.2.1"), one("192.0.2.1"));
        assert_ne!(one("192.0.2.2"), one("192.0.2.1"));
    }

    #[test]
    fn strangers_take_no_more_memory_than_there_are_places() {
        let rates = Rates::new(&LimitsConfiguration::default());
        for address in 0..200_000_u32 {
            let _ = rates.count_stranger(&Note::default(), IpAddr::V4(address.into()));
        }
        assert!(rates.strangers.len() <= 1 << 16, "{}", rates.strangers.len());
    }
}
