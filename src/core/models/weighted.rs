//! Operations of several costs: the head of the line decides, however little those behind it need.

use super::*;
use crate::core::{gate::arrival::ResizeRefusal, limits::Expiry};

/// A gate of two units, both in use by operations of cost 1, and who waits for them.
fn full() -> (Shared, [Admission; 2]) {
    let gate = Shared::weighted(2, 2);
    let held = [gate.now(1), gate.now(1)];
    (gate, held)
}

/// A small operation does not pass a large one at the head, though it would fit.
#[test]
fn a_small_operation_waits_behind_a_large_one() {
    explore(3, || {
        let (gate, held) = full();
        let [(_, large), (_, small)] = [Mark::new(), Mark::new()];
        let (head, behind) = (gate.join(2, &large), gate.join(1, &small));
        let releases = held.map(|held| thread::spawn(move || drop(held)));
        assert_eq!(gate.find(behind, &small), None, "overtaken");
        assert!(gate.now(1).is_err(), "overtaken");
        releases.into_iter().for_each(ended);
        gate.assert_settled();
        assert_eq!(gate.find(head, &large), Some(Ok(())));
        assert_eq!(gate.find(behind, &small), None);
        let seen = gate.look_around();
        assert_eq!((seen.used, seen.in_flight, seen.waiting_units), (2, 1, 1));
        gate.release(2);
        assert_eq!(gate.find(behind, &small), Some(Ok(())));
        let seen = gate.look_around();
        assert_eq!((seen.used, seen.totals.admitted_units, seen.totals.queued_units), (1, 5, 3));
    });
}

/// When a large operation leaves the head, those behind it that fit are admitted at once.
#[test]
fn whoever_fits_goes_on_when_the_head_leaves() {
    for expires in [false, true] {
        explore(3, move || {
            let (gate, [first, second]) = full();
            let (_, large) = Mark::new();
            let head = gate.join(2, &large);
            let releasing = thread::spawn(move || drop(first));
            let waiting = beside(&gate, |gate| gate.enter(1).map(drop));
            let left = if expires {
                gate.expire(head, Expiry::WaitLimit).is_err()
            } else {
                gate.cancel(head);
                true
            };
            assert!(left, "two units were never free");
            ended(releasing);
            assert_eq!(ended(waiting), Ok(()));
            gate.assert_settled();
            drop(second);
            let seen = gate.look_around();
            assert_eq!((seen.used, seen.in_flight, seen.waiting_units), (0, 0, 0));
            assert_eq!(seen.totals.finished_units, 3);
        });
    }
}

/// A large release admits as many as fit, in order, and a newcomer beside it gets nothing of it.
#[test]
fn one_release_admits_as_many_as_fit() {
    explore(3, || {
        let gate = Shared::weighted(2, 2);
        let held = gate.now(2);
        let [(first_mark, first), (second_mark, second)] = [Mark::new(), Mark::new()];
        let tickets = [(gate.join(1, &first), first), (gate.join(1, &second), second)];
        let releasing = thread::spawn(move || drop(held));
        let late = beside(&gate, |gate| gate.now(1).map(drop));
        let seen = gate.look_around();
        assert!(matches!(seen.waiting, 0 | 2), "the hand-over is one step");
        ended(releasing);
        assert!(ended(late).is_err());
        assert!(first_mark.was_woken() && second_mark.was_woken());
        for (ticket, waker) in tickets {
            assert_eq!(gate.find(ticket, &waker), Some(Ok(())));
        }
        let seen = gate.look_around();
        assert_eq!((seen.used, seen.in_flight, seen.peaks.in_flight), (2, 2, 2));
    });
}

/// Of a shrink below a cost and the arrival of that cost, one is refused: nobody waits for what can
/// never be.
#[test]
fn nobody_waits_for_more_than_the_capacity() {
    explore(3, || {
        let gate = Shared::weighted(2, 1);
        let held = gate.now(1);
        let waiting = beside(&gate, |gate| gate.enter(2).map(drop));
        let shrunk = gate.resize(1);
        gate.assert_settled();
        drop(held);
        match (ended(waiting), shrunk) {
            (Ok(()), Ok(())) => assert_eq!(gate.look_around().totals.admitted, 2),
            (Ok(()), refusal) => assert_eq!(refusal, Err(ResizeRefusal::BelowQueuedCost(2))),
            (Err(reason), Ok(())) => {
                assert!(matches!(reason, RejectionReason::CostExceedsCapacity { .. }));
                assert_eq!(gate.look_around().totals.oversized, 1);
            }
            both => panic!("one had to come first: {both:?}"),
        }
        gate.assert_settled();
    });
}

/// The identities hold in units too, in the midst of large and small operations.
#[test]
fn snapshots_count_units_and_operations_alike() {
    explore(2, || {
        let gate = Shared::weighted(2, 1);
        let large = beside(&gate, |gate| gate.enter(2).map(drop));
        let small = beside(&gate, |gate| gate.now(1).map(drop));
        let seen = gate.look_around();
        assert!(seen.used == 2 * seen.in_flight || seen.used == 1);
        gate.assert_settled();
        assert_eq!(ended(large), Ok(()));
        let both = ended(small).is_ok();
        let totals = gate.look_around().totals;
        assert_eq!((totals.finished, totals.saturated), (1 + u64::from(both), u64::from(!both)));
        assert_eq!(totals.finished_units, 2 + u64::from(both));
    });
}
