//! Gates that share a capacity: whatever they do concurrently, nobody who could run waits while a seat is free, and the gates
//! and their pool agree.

use super::*;
use crate::core::{
    gate::shared_pool::{PooledGate, SharedPool},
    pool::rules::{PoolLimits, Share},
};

impl PooledGate for GateOfModel {
    fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// Returns gates with a parallelism and a room of 2 each, and how many seats and places they share.
fn pooled<const GATES: usize>(capacity: u32, room: u32) -> [SharedGate; GATES] {
    let rejections = RejectionCache::new("model".into(), 1, true);
    let pool = SharedPool::boxed(PoolLimits { capacity, room });
    let records = Arc::new(SharedRecords::new(rejections, WaitLimit::new(None), Some(pool)));
    std::array::from_fn(|hash| {
        let gate = SharedGate::partition(2, 2, records.clone());
        gate.pool().add(&gate.0, hash as u32, Share::EVEN);
        gate
    })
}

impl SharedGate {
    fn pool(&self) -> &SharedPool {
        self.shared().and_then(|shared| shared.pool.as_deref()).expect("it is in a pool")
    }

    fn set_capacity(&self, capacity: u32) {
        let mut effects = Effects::default();
        let room = self.pool().snapshot(Nanos::ZERO).state.limits.room;
        let limits = PoolLimits { capacity, room };
        self.shared().unwrap().set_pool_limits(limits, &mut effects);
        effects.carry_out();
    }
}

/// Asserts what holds while no thread is in a section.
fn assert_agree(gates: &[SharedGate]) {
    let mut sums = (0, 0);
    let pool = gates[0].pool().snapshot(Nanos::ZERO).state;
    for gate in gates {
        gate.assert_invariants();
        let snapshot = gate.checked_snapshot();
        sums = (sums.0 + snapshot.used, sums.1 + snapshot.waiting);
        let could_run = snapshot.waiting > 0 && snapshot.used < snapshot.settings.capacity;
        assert!(!could_run || pool.used >= pool.limits.capacity, "it waits beside a free seat");
    }
    assert_eq!((pool.used, pool.waiting), sums);
}

#[test]
fn a_release_of_one_key_serves_an_arrival_of_another() {
    explore(4, || {
        let gates = pooled::<2>(1, 2);
        let held = gates[0].try_enter(1);
        let releasing = thread::spawn(move || drop(held));
        drop(gates[1].enter(1).expect("there is a place"));
        join_thread(releasing);
        assert_agree(&gates);
    });
}

#[test]
fn of_two_keys_that_arrive_and_release_both_are_served() {
    explore(3, || {
        let gates = pooled::<2>(1, 2);
        let other = spawn_with(&gates[0], |gate| drop(gate.enter(1).expect("there is a place")));
        drop(gates[1].enter(1).expect("there is a place"));
        join_thread(other);
        assert_agree(&gates);
    });
}

/// The seat goes to the one who stays.
#[test]
fn a_waiter_that_leaves_or_expires_passes_the_seat_on() {
    for expires in [false, true] {
        explore(4, move || {
            let gates = pooled::<3>(1, 3);
            let held = gates[0].try_enter(1);
            let leaving = gates[1].join(1, Waker::noop());
            let (flag, waker) = WakeFlag::new();
            let staying = gates[2].join(1, &waker);
            let releasing = thread::spawn(move || drop(held));
            if expires {
                gates[1].pass_limit(leaving, Expiry::WaitLimit);
            }
            gates[1].cancel(leaving);
            join_thread(releasing);
            assert!(flag.was_woken(), "the seat is lost");
            assert_eq!(gates[2].poll_outcome(staying, Waker::noop()), Some(Ok(())));
            gates[2].release(1);
            assert_agree(&gates);
        });
    }
}

#[test]
fn a_close_of_one_key_leaves_the_seat_to_another() {
    explore(4, || {
        let gates = pooled::<3>(1, 3);
        let held = gates[0].try_enter(1);
        let closed = gates[1].join(1, Waker::noop());
        let (flag, waker) = WakeFlag::new();
        let staying = gates[2].join(1, &waker);
        let closing = spawn_with(&gates[1], |gate| gate.close());
        drop(held);
        join_thread(closing);
        match gates[1].poll_outcome(closed, Waker::noop()).expect("it was admitted or rejected") {
            // It came first.
            Ok(()) => gates[1].release(1),
            Err(reason) => assert_eq!(reason, RejectionReason::Closed),
        }
        assert!(flag.was_woken(), "the seat is lost");
        assert_eq!(gates[2].poll_outcome(staying, Waker::noop()), Some(Ok(())));
        gates[2].release(1);
        assert_agree(&gates);
    });
}

#[test]
fn a_larger_total_serves_an_arrival_and_whoever_waits() {
    explore(4, || {
        let gates = pooled::<2>(1, 2);
        let held = gates[0].try_enter(1);
        let (flag, waker) = WakeFlag::new();
        let waiting = gates[1].join(1, &waker);
        let resizing = spawn_with(&gates[0], |gate| gate.set_capacity(3));
        let arrived = gates[0].enter(1).expect("there is a place");
        join_thread(resizing);
        assert!(flag.was_woken());
        assert_eq!(gates[1].poll_outcome(waiting, Waker::noop()), Some(Ok(())));
        assert_agree(&gates);
        gates[1].release(1);
        drop((held, arrived));
        assert_agree(&gates);
    });
}

/// A key that is evicted takes nothing along, and its number may be another's at once.
#[test]
fn a_key_that_goes_while_another_arrives() {
    explore(4, || {
        let [first, going, staying] = pooled::<3>(1, 3);
        let held = first.try_enter(1);
        let leaving = spawn_with(&going, |gate| {
            gate.pool().remove(gate.gate(), 1, true);
            let new = SharedGate::partition(2, 2, gate.0.records.clone().unwrap());
            new.pool().add(&new.0, 1, Share::EVEN);
            // Whoever still knows the one that is gone may look at it.
            gate.checked_snapshot();
            new
        });
        let releasing = thread::spawn(move || drop(held));
        drop(staying.enter(1).expect("there is a place"));
        let new = join_thread(leaving);
        join_thread(releasing);
        drop(new.try_enter(1).expect("the seat is free"));
        assert_agree(&[first, staying, new]);
    });
}

/// Somebody stands in front of a gate that is full only because of the others.
#[test]
fn a_release_of_one_key_wakes_whoever_stands_at_another() {
    explore(4, || {
        let gates = pooled::<2>(1, 0);
        let held = gates[0].try_enter(1);
        let releasing = thread::spawn(move || drop(held));
        let (flag, waker) = WakeFlag::new();
        let when_full = WhenFull::Join(Some(waker), None);
        let arrival = Arrival { stands: true, ..SharedGate::arrival(1, when_full) };
        let standing = match gates[1].arrive(arrival) {
            ArrivalOutcome::Standing(ticket) => Some(ticket),
            ArrivalOutcome::Admitted => {
                gates[1].release(1);
                None
            }
            other => panic!("{other:?}"),
        };
        join_thread(releasing);
        assert_eq!(standing.is_some(), flag.was_woken());
        if let Some(ticket) = standing {
            gates[1].gate().leave_standing(ticket, gates[1].shared());
        }
        assert_agree(&gates);
    });
}
