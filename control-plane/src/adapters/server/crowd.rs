//! Who is connected to a server, and who has to go when it is full.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// A handshake has this long to itself, whoever else would like to come in; it takes some milliseconds.
const GRACE: Duration = Duration::from_secs(1);
/// As many peers share the handshakes at once: who has more than a share may lose one sooner.
const SHARES: usize = 16;

/// How many connections a server keeps, and for how long without a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, those in their handshake included.
    pub connections: usize,
    /// Connections at once that have not finished their handshake.
    pub handshakes: usize,
    /// Whether newcomers wait a moment for handshakes under way before one of these is broken off.
    pub queues: bool,
    /// Bytes that an HTTP/2 connection may send before anybody reads them: this much memory at most for each.
    pub window: u32,
    /// From the handshake to the first request.
    pub first_request: Duration,
    /// From one request's end to the next; longer than clients keep idle connections, so that these are the ones to
    /// close them: a request that meets a server's end of stream is lost.
    pub idle: Duration,
    /// From a connection's begin until its client is asked to make another, a tenth less at random: clients that keep
    /// theirs for good would all stay with the replica that was there first.
    pub age: Duration,
}

/// Requests that began on a connection before it was old may last this long: streams of reports end after an hour.
const GRACE_OF_AGE: Duration = Duration::from_mins(61);
/// For the head of an HTTP/1.1 request, from its first byte.
const HEAD: Duration = Duration::from_secs(5);

/// The connections of a server.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    limits: Limits,
    guests: Arc<Mutex<Guests>>,
    /// A handshake has ended, however.
    shaken: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    present: BTreeMap<u64, Guest>,
    /// Those in their handshake.
    shaking: usize,
}

#[derive(Debug)]
struct Guest {
    peer: IpAddr,
    stage: Stage,
    since: Instant,
    away: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Handshake,
    Silent,
    /// The head of an HTTP/1.1 request has begun to come.
    Head,
    Busy(usize),
    Idle,
}

/// One connection; it has left when this is dropped.
#[derive(Debug)]
pub(super) struct Presence {
    crowd: Crowd,
    id: u64,
    away: CancellationToken,
    heard: Notify,
    /// When it is old.
    old: Instant,
}

/// A request under way on a connection; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    crowd: Crowd,
    id: u64,
}

impl Crowd {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, guests: Arc::default(), shaken: Arc::default() }
    }

    /// Waits while as many are in their handshake as may be, each of them not for long and no peer with more than its
    /// share: thousands of sidecars that report at once had better queue than lose handshakes that were paid for.
    pub(super) async fn room(&self) {
        if !self.limits.queues {
            return;
        }
        let room_at = || self.lock().room_at(self.limits.handshakes);
        while let Some(end) = room_at() {
            let _ = timeout_at(end, self.shaken.notified()).await;
        }
    }

    /// Lets `peer` in. Who has three quarters of the places makes room for its own newcomers. Where there is no room, the
    /// peer with the most connections loses the one that has been without a request for the longest, or else, where it
    /// has more than a quarter of the places, one with a request under way; `None` where nobody can go.
    pub(super) fn enter(&self, peer: IpAddr) -> Option<Presence> {
        let (mut guests, share) = (self.lock(), self.limits.connections * 3 / 4);
        let own = network(peer);
        if guests.of(own) >= share && !guests.send_away(|guest| guest.peer == own && !guest.is_busy()) {
            guests.send_away(|guest| guest.peer == own);
        }
        if guests.shaking >= self.limits.handshakes {
            guests.send_away(|guest| guest.stage == Stage::Handshake);
        }
        let is_full = guests.present.len() >= self.limits.connections;
        if is_full && !guests.send_away(|guest| !guest.is_busy()) {
            let heavy = guests.heaviest().filter(|(_, count)| *count > self.limits.connections / 4);
            let (heaviest, _) = heavy?;
            guests.send_away(|guest| guest.peer == heaviest);
        }
        let (id, away) = (guests.next, CancellationToken::new());
        guests.next += 1;
        let guest = Guest { peer: own, stage: Stage::Handshake, since: Instant::now(), away: away.clone() };
        guests.present.insert(id, guest);
        guests.shaking += 1;
        let old = Instant::now() + self.limits.age.mul_f64(1.0 - 0.1 * random());
        Some(Presence { crowd: self.clone(), id, away, heard: Notify::new(), old })
    }

    fn lock(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, id: u64, stage: impl FnOnce(Stage) -> Stage) {
        let mut guests = self.lock();
        let Some(guest) = guests.present.get_mut(&id) else { return };
        let before = guest.stage;
        guest.stage = stage(before);
        guest.since = Instant::now();
        if before == Stage::Handshake {
            guests.shaking -= 1;
            self.shaken.notify_one();
        }
    }
}

impl Guest {
    fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Busy(_))
    }
}

impl Guests {
    /// Connections of `peer`.
    fn of(&self, peer: IpAddr) -> usize {
        self.present.values().filter(|guest| guest.peer == peer).count()
    }

    /// When one of `most` handshakes may be broken off for another; `None` where that is now, or need not be.
    fn room_at(&self, most: usize) -> Option<Instant> {
        if self.shaking < most {
            return None;
        }
        let mut of_peer: HashMap<IpAddr, usize> = HashMap::new();
        let mut oldest = None;
        for guest in self.present.values().filter(|guest| guest.stage == Stage::Handshake) {
            oldest = Some(oldest.map_or(guest.since, |oldest: Instant| oldest.min(guest.since)));
            let shaking = of_peer.entry(guest.peer).or_default();
            *shaking += 1;
            if *shaking > most / SHARES {
                return None;
            }
        }
        oldest.map(|since| since + GRACE).filter(|end| *end > Instant::now())
    }

    fn remove(&mut self, id: u64) -> Option<Guest> {
        let gone = self.present.remove(&id)?;
        self.shaking -= usize::from(gone.stage == Stage::Handshake);
        Some(gone)
    }

    fn by_peer(&self) -> HashMap<IpAddr, usize> {
        let mut of_peer: HashMap<IpAddr, usize> = HashMap::new();
        for guest in self.present.values() {
            *of_peer.entry(guest.peer).or_default() += 1;
        }
        of_peer
    }

    fn heaviest(&self) -> Option<(IpAddr, usize)> {
        self.by_peer().into_iter().max_by_key(|(_, count)| *count)
    }

    fn send_away(&mut self, may_go: impl Fn(&Guest) -> bool) -> bool {
        let of_peer = self.by_peer();
        let candidates = self.present.iter().filter(|(_, guest)| may_go(guest));
        let chosen = candidates.max_by_key(|(_, guest)| (of_peer.get(&guest.peer), Reverse(guest.since)));
        let chosen = chosen.map(|(id, _)| *id);
        let gone = chosen.and_then(|id| self.remove(id));
        gone.inspect(|guest| guest.away.cancel()).is_some()
    }
}

/// Somewhere between 0 and 1.
fn random() -> f64 {
    let bits = RandomState::new().hash_one(());
    f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

/// An IPv6 peer has a whole network of 2^64 addresses to call from.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Presence {
    /// Its handshake is done.
    pub(super) fn settle(&self) {
        self.crowd.change(self.id, |_| Stage::Silent);
    }

    /// Bytes of it came, and it speaks HTTP/1.1.
    pub(super) fn hear(&self) {
        let mut guests = self.crowd.lock();
        let Some(guest) = guests.present.get_mut(&self.id) else { return };
        if matches!(guest.stage, Stage::Silent | Stage::Idle) {
            (guest.stage, guest.since) = (Stage::Head, Instant::now());
            self.heard.notify_one();
        }
    }

    /// A request of it begins.
    pub(super) fn begin(&self) -> Busy {
        self.crowd.change(self.id, |stage| match stage {
            Stage::Busy(requests) => Stage::Busy(requests + 1),
            _ => Stage::Busy(1),
        });
        Busy { crowd: self.crowd.clone(), id: self.id }
    }

    /// Waits until it has to make room.
    pub(super) async fn sent_away(&self) {
        self.away.cancelled().await;
    }

    /// Whether its client should make another.
    pub(super) fn is_old(&self) -> bool {
        self.old <= Instant::now()
    }

    /// Waits until its client should make another.
    pub(super) async fn aged(&self) {
        sleep_until(self.old).await;
    }

    /// Waits until its client has had its time to make another.
    pub(super) async fn outlived(&self) {
        sleep_until(self.old + GRACE_OF_AGE).await;
    }

    /// Waits until it has been without a request for too long.
    pub(super) async fn neglected(&self) {
        let limits = self.crowd.limits;
        loop {
            let now = Instant::now();
            let end = match self.crowd.lock().present.get(&self.id) {
                None => return,
                Some(Guest { stage: Stage::Busy(_), .. }) => now + limits.idle,
                Some(Guest { stage: Stage::Idle, since, .. }) => *since + limits.idle,
                Some(Guest { stage: Stage::Head, since, .. }) => *since + HEAD,
                Some(Guest { since, .. }) => *since + limits.first_request,
            };
            if end <= now {
                return;
            }
            tokio::select! {
                () = sleep_until(end) => {}
                () = self.heard.notified() => {}
            }
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.crowd.lock().remove(self.id);
        self.crowd.shaken.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.crowd.change(self.id, |stage| match stage {
            Stage::Busy(requests @ 2..) => Stage::Busy(requests - 1),
            _ => Stage::Idle,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        connections: 4,
        handshakes: 2,
        queues: true,
        window: 65_535,
        first_request: Duration::from_secs(10),
        idle: Duration::from_mins(3),
        age: Duration::from_mins(30),
    };

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn settled(crowd: &Crowd, from: u8) -> Presence {
        let presence = crowd.enter(peer(from)).unwrap();
        presence.settle();
        presence
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_server_sends_away_the_idlest_connection_of_the_peer_with_the_most() {
        let crowd = Crowd::new(LIMITS);
        let lone = settled(&crowd, 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        let flood: Vec<_> = (0..3).map(|_| settled(&crowd, 66)).collect();
        drop(flood[0].begin());
        tokio::time::advance(Duration::from_secs(1)).await;
        let newcomer = settled(&crowd, 66);
        let is_away: Vec<_> = flood.iter().map(|presence| presence.away.is_cancelled()).collect();
        assert_eq!(is_away.iter().filter(|is_away| **is_away).count(), 1);
        assert!(!lone.away.is_cancelled() && !newcomer.away.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_a_request_under_way_stays() {
        let crowd = Crowd::new(LIMITS);
        let guests: Vec<_> = (1..=4).map(|number| settled(&crowd, number)).collect();
        let busy: Vec<_> = guests.iter().map(Presence::begin).collect();
        assert!(crowd.enter(peer(5)).is_none());
        drop(busy);
        assert!(crowd.enter(peer(5)).is_some());
        assert_eq!(guests.iter().filter(|presence| presence.away.is_cancelled()).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_fills_a_server_with_requests_that_do_not_end() {
        let crowd = Crowd::new(LIMITS);
        let flood: Vec<_> = (0..3).map(|_| settled(&crowd, 66)).collect();
        let held: Vec<_> = flood.iter().map(Presence::begin).collect();
        let lone = settled(&crowd, 1);
        let _under_way = lone.begin();
        let _newcomer = settled(&crowd, 2);
        let is_away = |presence: &Presence| presence.away.is_cancelled();
        assert!(!is_away(&lone) && flood.iter().filter(|presence| is_away(presence)).count() == 1);
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_its_share_makes_room_for_itself() {
        let crowd = Crowd::new(LIMITS);
        let flood: Vec<_> = (0..3).map(|_| settled(&crowd, 66)).collect();
        let held: Vec<_> = flood.iter().map(Presence::begin).collect();
        let _another = settled(&crowd, 66);
        assert!(flood[0].away.is_cancelled() || flood[1].away.is_cancelled() || flood[2].away.is_cancelled());
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn handshakes_make_room_for_handshakes_alone() {
        let crowd = Crowd::new(LIMITS);
        let settled = settled(&crowd, 66);
        let first = crowd.enter(peer(66)).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let _second = crowd.enter(peer(66)).unwrap();
        let third = crowd.enter(peer(1)).unwrap();
        assert!(first.away.is_cancelled() && !settled.away.is_cancelled() && !third.away.is_cancelled());
    }

    /// As many handshakes as may be at once, each of a peer of its own.
    fn shaking(crowd: &Crowd) -> Vec<Presence> {
        (1..).take(crowd.limits.handshakes).map(|last| crowd.enter(peer(last)).unwrap()).collect()
    }

    const MANY: Limits = Limits { connections: 64, handshakes: 32, ..LIMITS };

    #[tokio::test(start_paused = true)]
    async fn who_comes_while_others_are_in_their_handshake_waits_and_breaks_none_off() {
        let (crowd, start) = (Crowd::new(MANY), Instant::now());
        let handshakes = shaking(&crowd);
        let done = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            handshakes[7].settle();
        };
        tokio::join!(crowd.room(), done);
        assert_eq!(start.elapsed(), Duration::from_millis(5));
        let _newcomer = crowd.enter(peer(100)).unwrap();
        assert!(handshakes.iter().all(|presence| !presence.away.is_cancelled()));
    }

    #[tokio::test(start_paused = true)]
    async fn handshakes_that_last_for_a_second_do_not_keep_others_out() {
        let (crowd, start) = (Crowd::new(MANY), Instant::now());
        let handshakes = shaking(&crowd);
        crowd.room().await;
        assert_eq!(start.elapsed(), GRACE);
        let _newcomer = crowd.enter(peer(100)).unwrap();
        assert_eq!(handshakes.iter().filter(|presence| presence.away.is_cancelled()).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_peer_does_not_make_others_wait_with_its_handshakes() {
        let (crowd, start) = (Crowd::new(MANY), Instant::now());
        let others: Vec<_> = (1..=4).map(|last| crowd.enter(peer(last)).unwrap()).collect();
        let flood: Vec<_> = (0..28).map(|_| crowd.enter(peer(66)).unwrap()).collect();
        crowd.room().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let _newcomer = crowd.enter(peer(100)).unwrap();
        assert!(others.iter().all(|presence| !presence.away.is_cancelled()));
        assert_eq!(flood.iter().filter(|presence| presence.away.is_cancelled()).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_neglected_after_its_time_and_a_busy_one_never() {
        let crowd = Crowd::new(LIMITS);
        let start = Instant::now();
        let presence = settled(&crowd, 1);
        presence.neglected().await;
        assert_eq!(start.elapsed(), LIMITS.first_request);
        drop(presence.begin());
        presence.neglected().await;
        assert_eq!(start.elapsed(), LIMITS.first_request + LIMITS.idle);
        let busy = [presence.begin(), presence.begin()];
        let over = tokio::time::timeout(Duration::from_hours(1), presence.neglected()).await;
        assert!(over.is_err());
        drop(busy);
        presence.neglected().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_must_come_soon() {
        let crowd = Crowd::new(LIMITS);
        let presence = settled(&crowd, 1);
        drop(presence.begin());
        let start = Instant::now();
        let begins = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            presence.hear();
            tokio::time::sleep(Duration::from_secs(1)).await;
            presence.hear();
        };
        tokio::join!(presence.neglected(), begins);
        assert_eq!(start.elapsed(), Duration::from_mins(1) + HEAD);
    }

    #[test]
    fn a_peer_is_an_address_or_a_v6_network() {
        let network = |text: &str| super::network(text.parse().unwrap()).to_string();
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
