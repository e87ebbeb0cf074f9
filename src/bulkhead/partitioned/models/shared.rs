//! Partitions that share a capacity: their pool agrees with them however they come, go, pause and resume, and no seat is lost.

use super::*;
use crate::core::pool::rules::PoolLimits;

impl SharedMap {
    /// Creates a map whose keys share one seat, and two places to wait.
    fn sharing(max_partitions: usize) -> Self {
        let settings = MapSettings {
            usual: Limits { parallelism: 1, waiting_room: 1, share: Share::EVEN },
            total: Some(PoolLimits { capacity: 1, room: 2 }),
            max_partitions,
            idle_timeout: Duration::from_secs(300),
        };
        Self(Arc::new(PartitionMap::new("customers".into(), None, settings, None)))
    }

    fn assert_shared(&self) {
        let status = self.assert_invariants();
        let total = status.total.expect("they share a capacity");
        assert_eq!((total.in_flight, total.waiting), (status.in_flight, status.waiting));
    }
}

type Waiting = Wait<OwnedHandle>;

/// Returns the result of a wait, if there is one.
fn result(waiting: &mut std::pin::Pin<Box<Waiting>>) -> Option<Result<(), Rejection>> {
    match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result.map(drop)),
        Poll::Pending => None,
    }
}

/// A key that begins to wait while its idle partition is evicted waits in one that the pool knows.
#[test]
fn the_first_to_wait_beside_an_eviction_gets_the_seat() {
    explore(3, || {
        let map = SharedMap::sharing(2);
        drop(map.try_enter((0, 1)).expect("the seat is free"));
        let held = map.try_enter((1, 2)).expect("the seat is free");
        let evicting = map.spawn(|map| map.try_enter((0, 3)).map(drop));
        let mut waiting = map.wait((0, 1)).ok().map(Box::pin);
        let first = waiting.as_mut().and_then(result);
        drop(held);
        let evicted = join_thread(evicting);
        // Whoever came first has the place of the partition. The other may have come after the release.
        match (&mut waiting, first) {
            (Some(waiting), None) => {
                let result = result(waiting).expect("the seat is lost");
                assert!(result.is_ok(), "{result:?}");
            }
            (Some(_), Some(result)) => assert!(result.is_ok() || evicted.is_ok(), "{result:?}"),
            (None, _) => assert!(!map.has((0, 1)), "no room beside its own partition"),
        }
        drop(waiting);
        map.assert_shared();
    });
}

/// Seats that a pause holds back are given out by the resume, whatever happens in between.
#[test]
fn a_pause_and_a_resume_lose_no_seat() {
    explore(3, || {
        let map = SharedMap::sharing(2);
        let held = map.try_enter((0, 1)).expect("the seat is free");
        let mut waiting = Box::pin(map.wait((1, 2)).expect("room for two"));
        assert!(result(&mut waiting).is_none());
        let pausing = map.spawn(|map| {
            map.0.set_paused(true);
            map.0.set_paused(false);
        });
        drop(held);
        join_thread(pausing);
        let result = result(&mut waiting).expect("the seat is lost");
        assert!(result.is_ok(), "{result:?}");
        drop(waiting);
        map.assert_shared();
        assert!(map.try_enter((0, 1)).is_ok(), "the seat is held back");
    });
}

/// A drain ends a pause: whoever waits is served, also from what the pause held back.
#[test]
fn a_drain_beside_a_pause_serves_whoever_waits() {
    explore(3, || {
        let map = SharedMap::sharing(2);
        let held = map.try_enter((0, 1)).expect("the seat is free");
        let mut waiting = Box::pin(map.wait((1, 2)).expect("room for two"));
        assert!(result(&mut waiting).is_none());
        let pausing = map.spawn(|map| map.0.set_paused(true));
        map.0.drain();
        drop(held);
        join_thread(pausing);
        let result = result(&mut waiting).expect("the seat is lost");
        assert!(result.is_ok(), "{result:?}");
        drop(waiting);
        assert_eq!(map.0.status().total.expect("they share a capacity").in_flight, 0);
    });
}
