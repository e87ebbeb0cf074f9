//! Models of the partition map: small programs of two or three threads on one shelf, run in every order
//! of their steps up to a bound of preemptions. Each states its promise.
//!
//! They own keys whose shard is known, and the question whether the books are in order when all is over.
//! The gates have models of their own in [`core`](crate::core): here a pin does as a use, where
//! admission is not the subject. `.ci/loom` runs them all.

use std::{
    hash::{BuildHasher, Hasher},
    time::Duration,
};

use super::{
    limits::{Limits, LimitsSource},
    shelf::{Shelf, ShelfSettings},
};
use crate::{
    bulkhead::{
        compartment::{Ask, Tenant},
        error::Rejection,
        slot::Slot,
    },
    core::{admission::admit_now, reason::RejectionReason},
    observe::partitions::PartitionedStatus,
    sync::{
        Arc, Ordering,
        models::{Builder, JoinHandle, Number, thread},
    },
};

/// Runs `model` in every order with at most `preemptions` switches away from a thread that could have
/// gone on, and says how many orders that were.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    explore_some(preemptions, None, model);
}

/// The same, with an end to it: at most about `most` orders.
fn explore_some(preemptions: usize, most: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    if let Some(most) = most {
        // The bound is looked at once in so many orders.
        builder.checkpoint_interval = most;
        builder.max_permutations = Some(most);
    }
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = builder.max_branches.max(2_000);
    let schedules = Arc::new(Number::new(0));
    let counted = schedules.clone();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let test = std::thread::current();
    let schedules = schedules.load(Ordering::Relaxed);
    println!("{}: {schedules} schedules", test.name().unwrap_or("model"));
}

/// A key that says where it belongs: of so many shards, it is in the one with this number.
type Key = (u32, u32);

/// Hashes a key to the number of its shard, the same in every schedule.
pub(super) struct NoRandomState;

pub(super) struct ShardOf(Option<u32>);

impl NoRandomState {
    pub(super) fn new() -> Self {
        Self
    }
}

impl BuildHasher for NoRandomState {
    type Hasher = ShardOf;

    fn build_hasher(&self) -> ShardOf {
        ShardOf(None)
    }
}

impl Hasher for ShardOf {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys of models are numbers");
    }

    fn write_u32(&mut self, number: u32) {
        self.0.get_or_insert(number);
    }

    fn finish(&self) -> u64 {
        u64::from(self.0.expect("a key was hashed")) << 32
    }
}

/// A shelf of two shards, or of one if it may retain one partition only, as several threads use it.
#[derive(Clone)]
struct Shared(Arc<Shelf<Key>>);

impl Shared {
    fn new(max_partitions: usize) -> Self {
        let settings = ShelfSettings { max_partitions, idle_timeout: Duration::from_secs(300) };
        let default = Limits { parallelism: 2, waiting_room: 0 };
        let limits = LimitsSource { default, chosen: None };
        Self(Arc::new(Shelf::new("customers".into(), None, settings, limits)))
    }

    /// With these partitions, idle in this order.
    fn with_idle(max_partitions: usize, keys: &[Key]) -> Self {
        let shelf = Self::new(max_partitions);
        keys.iter().for_each(|key| drop(shelf.slot_now(*key).expect("room for all")));
        shelf
    }

    fn slot_now(&self, key: Key) -> Result<Slot, Rejection> {
        let terms = self.0.family.terms(Ask::Now);
        admit_now(self.0.enter(&key, &terms)?, &terms).map(Slot::new)
    }

    /// Pins the partition of a key, made if there is none, and stops there.
    fn pin(&self, key: Key) -> Result<Tenant, Rejection> {
        self.0.enter(&key, &self.0.family.terms(Ask::Now))
    }

    fn has(&self, key: Key) -> bool {
        self.0.peek(&key).is_some()
    }

    fn beside<T: 'static>(&self, run: impl FnOnce(&Self) -> T + 'static) -> JoinHandle<T> {
        let shelf = self.clone();
        thread::spawn(move || run(&shelf))
    }

    /// A status whose identities hold.
    fn look_around(&self) -> PartitionedStatus {
        let status = self.0.status();
        let totals = &status.totals;
        assert_eq!(totals.admitted, status.in_flight as u64 + totals.finished + totals.abandoned);
        assert!(totals.finished <= totals.admitted, "a count fell below zero");
        assert!(status.partitions <= status.max_partitions, "{status:?}");
        assert!(status.active_partitions <= status.partitions, "{status:?}");
        status
    }

    /// The books are in order, and say the same as the counts.
    fn assert_settled(&self) -> PartitionedStatus {
        self.0.shards.all().iter().for_each(|shard| shard.assert_settled());
        let status = self.look_around();
        let blocks = (0..self.0.shards()).filter_map(|shard| self.0.block(shard, 0));
        assert_eq!(status.partitions, blocks.map(|block| block.len()).sum::<usize>());
        status
    }
}

fn ended<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a thread of a model that panics ends the model")
}

fn is_limit(rejection: &Rejection) -> bool {
    matches!(rejection.reason(), RejectionReason::PartitionLimit { .. })
}

/// Two first users of one key share one partition.
#[test]
fn two_first_users_share_one_partition() {
    explore(3, || {
        let shelf = Shared::new(2);
        let other = shelf.beside(|shelf| shelf.slot_now((0, 1)).expect("room for two"));
        let own = shelf.slot_now((0, 1)).expect("room for two");
        let other = ended(other);
        let status = shelf.assert_settled();
        assert_eq!((status.created, status.active_partitions, status.in_flight), (1, 1, 2));
        assert!(shelf.slot_now((0, 1)).is_err(), "both hold of the same two");
        drop((own, other));
        assert_eq!(shelf.assert_settled().active_partitions, 0);
    });
}

/// Keys have nothing to do with one another, in one shard or in two.
#[test]
fn each_key_has_a_partition_of_its_own() {
    explore(2, || {
        let shelf = Shared::with_idle(4, &[(0, 1), (0, 2)]);
        let use_both = |shelf: &Shared, known, new| {
            let known = shelf.slot_now(known).expect("a partition of its own");
            let new = shelf.slot_now(new).expect("room for all");
            drop((known, new));
        };
        let other = shelf.beside(move |shelf| use_both(shelf, (0, 1), (0, 3)));
        use_both(&shelf, (0, 2), (1, 4));
        ended(other);
        let status = shelf.assert_settled();
        assert_eq!((status.created, status.evicted, status.active_partitions), (4, 0, 0));
        assert_eq!((status.totals.admitted, status.totals.finished), (6, 6));
    });
}

/// Pins of one key from several threads are all counted: it is idle after the last and not before.
#[test]
fn no_pin_is_lost() {
    explore(3, || {
        let shelf = Shared::with_idle(1, &[(0, 1)]);
        let held = shelf.pin((0, 1)).expect("known");
        let other = shelf.beside(|shelf| drop(shelf.pin((0, 1)).expect("known")));
        drop(shelf.pin((0, 1)).expect("known"));
        assert!(!shelf.0.discard(&(0, 1)), "discarded in use");
        ended(other);
        assert!(shelf.pin((0, 2)).is_err_and(|rejection| is_limit(&rejection)));
        drop(held);
        assert_eq!(shelf.assert_settled().active_partitions, 0);
        assert!(shelf.pin((0, 2)).is_ok());
    });
}

/// A newcomer finds the one partition in use, and is rejected, or idle, and takes its room.
#[test]
fn a_partition_that_becomes_idle_beside_a_newcomer_is_evicted_or_stays() {
    explore(4, || {
        let shelf = Shared::new(1);
        let held = shelf.slot_now((0, 1)).expect("room for one");
        let releasing = thread::spawn(move || drop(held));
        let newcomer = shelf.slot_now((0, 2));
        ended(releasing);
        let status = shelf.assert_settled();
        assert_eq!((shelf.has((0, 1)), shelf.has((0, 2))), (newcomer.is_err(), newcomer.is_ok()));
        assert_eq!(status.evicted, u64::from(newcomer.is_ok()));
        assert_eq!(status.totals.finished, 1);
        assert!(newcomer.as_ref().err().is_none_or(is_limit));
    });
}

/// A user of an idle key and a newcomer that would take its room: whoever comes first has it.
#[test]
fn a_partition_is_not_evicted_from_under_its_user() {
    explore(4, || {
        let shelf = Shared::with_idle(1, &[(0, 1)]);
        let using = shelf.beside(|shelf| shelf.slot_now((0, 1)));
        let newcomer = shelf.slot_now((0, 2));
        let using = ended(using);
        assert_ne!(using.is_ok(), newcomer.is_ok(), "there is room for one, and always for one");
        assert_eq!((shelf.has((0, 1)), shelf.has((0, 2))), (using.is_ok(), newcomer.is_ok()));
        assert_eq!(shelf.assert_settled().active_partitions, 1);
    });
}

/// Of two newcomers at the limit with one idle partition, one takes its room and the other is rejected.
#[test]
fn one_idle_partition_makes_room_for_one_of_two_newcomers() {
    explore(3, || {
        let shelf = Shared::with_idle(2, &[(0, 1)]);
        let _held = shelf.pin((1, 2)).expect("room for two");
        let other = shelf.beside(|shelf| shelf.pin((0, 3)));
        let own = shelf.pin((1, 4));
        let other = ended(other);
        assert_ne!(own.is_ok(), other.is_ok());
        assert!([&own, &other].iter().any(|outcome| outcome.as_ref().is_err_and(is_limit)));
        let status = shelf.assert_settled();
        assert_eq!((status.evicted, status.limit_rejected, status.active_partitions), (1, 1, 2));
    });
}

/// Of two newcomers with room for one more, one has it.
#[test]
fn room_for_one_more_is_given_once() {
    explore(3, || {
        let shelf = Shared::new(2);
        let _held = shelf.pin((0, 1)).expect("room for two");
        let other = shelf.beside(|shelf| shelf.pin((0, 2)));
        let own = shelf.pin((1, 3));
        let other = ended(other);
        assert_ne!(own.is_ok(), other.is_ok());
        assert_eq!(shelf.assert_settled().partitions, 2);
    });
}

/// A newcomer is not rejected while one partition is idle at every instant, though never the same one
/// and never where it just looks.
#[test]
fn none_is_rejected_while_one_is_idle_somewhere() {
    // Four threads have more orders than anybody waits for.
    explore_some(3, Some(200_000), || {
        let (first, second) = ((1, 1), (0, 2));
        let shelf = Shared::with_idle(2, &[first]);
        let held = shelf.pin(second).expect("room for two");
        // Each thread lets one go before it takes the other, so that one is idle throughout.
        let swap = |shelf: &Shared, held: Option<Tenant>, next: Key| {
            drop(held);
            shelf.0.find(&next)
        };
        let there = shelf.beside(move |shelf| swap(shelf, Some(held), first));
        let back = shelf.beside(move |shelf| swap(shelf, ended(there), second));
        let again = shelf.beside(move |shelf| swap(shelf, ended(back), first));
        assert!(shelf.0.shards.remove_oldest().is_some(), "one was idle");
        drop(ended(again));
    });
}

/// The partition that makes room is the one that has been idle longest, also where both become idle
/// while the newcomer looks.
#[test]
fn whoever_has_been_idle_longest_makes_room() {
    explore(3, || {
        let shelf = Shared::new(2);
        let (first, second) = ((0, 1), (1, 2));
        let held = (shelf.pin(first).expect("room"), shelf.pin(second).expect("room"));
        let releasing = thread::spawn(move || {
            drop(held.0);
            drop(held.1);
        });
        let made = shelf.pin((1, 3)).map(drop);
        ended(releasing);
        assert!(shelf.has(second), "it was idle for less long, if at all");
        assert_eq!(shelf.has(first), made.is_err());
        shelf.assert_settled();
    });
}

/// Once `close` has returned nobody is admitted: in a partition that was there, in one that is made
/// beside the close, or in one that would be made after it.
#[test]
fn nobody_is_admitted_after_the_close() {
    explore(3, || {
        let shelf = Shared::with_idle(2, &[(0, 1)]);
        let known = shelf.beside(|shelf| shelf.slot_now((0, 1)).is_ok());
        let new = shelf.beside(|shelf| shelf.slot_now((1, 2)).is_ok());
        shelf.0.close();
        let closed = shelf.look_around();
        assert!(closed.is_closed);
        let late = [(0, 1), (1, 2), (1, 3)].map(|key| shelf.slot_now(key));
        let closed_to = |outcome: &Result<Slot, Rejection>| {
            outcome.as_ref().is_err_and(|error| *error.reason() == RejectionReason::Closed)
        };
        assert!(late.iter().all(closed_to), "{late:?}");
        let admitted = u64::from(ended(known)) + u64::from(ended(new));
        assert_eq!(closed.totals.admitted, 1 + admitted);
        assert_eq!(shelf.assert_settled().totals.admitted, 1 + admitted);
    });
}

/// A partition is discarded or used, and if both then one after the other.
#[test]
fn a_partition_is_not_discarded_from_under_its_user() {
    explore(4, || {
        let shelf = Shared::with_idle(1, &[(0, 1)]);
        let using = shelf.beside(|shelf| shelf.slot_now((0, 1)).expect("room for one"));
        let discarded = shelf.0.discard(&(0, 1));
        let used = ended(using);
        assert!(shelf.has((0, 1)), "in use and not there");
        let status = shelf.assert_settled();
        assert_eq!((status.created, status.in_flight), (1 + u64::from(discarded), 1));
        assert!(!shelf.0.discard(&(0, 1)));
        drop(used);
        assert!(shelf.0.discard(&(0, 1)));
        assert_eq!(shelf.assert_settled().totals.admitted, 2);
    });
}

/// A status counts a partition once, whether it goes before it is looked at, after, or meanwhile.
#[test]
fn a_status_counts_nothing_twice_and_leaves_nothing_out() {
    explore(4, || {
        let shelf = Shared::with_idle(1, &[(0, 1)]);
        let newcomer = shelf.beside(|shelf| shelf.pin((0, 2)).map(drop));
        let before = shelf.look_around();
        let after = shelf.look_around();
        assert!(ended(newcomer).is_ok());
        for status in [before, after, shelf.assert_settled()] {
            assert_eq!((status.totals.admitted, status.totals.finished), (1, 1));
        }
    });
}

/// The same where operations run meanwhile, and two look at once: what a status with a later number says
/// is not less.
#[test]
fn statuses_beside_creation_and_eviction_add_up() {
    explore(2, || {
        let shelf = Shared::with_idle(2, &[(0, 1), (1, 2)]);
        let running = shelf.beside(|shelf| drop(shelf.slot_now((0, 3)).expect("one is idle")));
        let other = shelf.beside(Shared::look_around);
        let mut seen = [shelf.look_around(), ended(other)];
        ended(running);
        seen.sort_by_key(|status| status.sequence);
        let admitted = seen.map(|status| status.totals.admitted);
        assert!(2 <= admitted[0] && admitted[0] <= admitted[1] && admitted[1] <= 3);
        assert_eq!(shelf.assert_settled().totals.finished, 3);
    });
}

/// The bulkhead and its last user go in either order, and nothing is left of it.
#[test]
fn the_last_to_go_leaves_nothing_behind() {
    explore(4, || {
        let shelf = Shared::with_idle(2, &[(0, 1)]);
        let shards = Arc::downgrade(&shelf.0.shards);
        let held = shelf.slot_now((1, 2)).expect("room for two");
        let releasing = thread::spawn(move || drop(held));
        drop(shelf);
        ended(releasing);
        assert!(shards.upgrade().is_none(), "partitions and their keeper hold each other");
    });
}
