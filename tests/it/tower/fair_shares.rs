//! The purpose of partitions: customers do not affect each other, and share what is behind them fairly.

use std::{collections::HashMap, convert::Infallible, rc::Rc, sync::Arc, time::Duration};

use bulklink::{
    Bulkhead, BulkheadLayer, PartitionLimits, PartitionedBulkhead, PartitionedBulkheadLayer,
    RejectionReason,
};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};
use tower::{Layer, Service, ServiceExt};

use crate::support::in_paused_time;

type Customer = char;

/// The outcomes of 20 requests of `b` after `flood` requests of `a`, all at once, and how many of `a` succeed.
fn outcomes_of_b(flood: usize) -> (HashMap<&'static str, usize>, usize) {
    in_paused_time(async move {
        let builder = PartitionedBulkhead::builder("customers").parallelism(3).waiting_room(10);
        let customers = builder.max_partitions(10).build().unwrap();
        let ends = Arc::new(Semaphore::new(0));
        let work = ends.clone();
        let handler = move |_: Customer| {
            let work = work.clone();
            async move {
                work.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(())
            }
        };
        let key = |customer: &Customer| Some(*customer);
        let layer = PartitionedBulkheadLayer::new(&customers, key).into_error();
        let mut service = layer.layer(tower::service_fn(handler));

        let mut of_a = JoinSet::new();
        for _ in 0..flood {
            of_a.spawn(service.call('a'));
        }
        let mut of_b = JoinSet::new();
        for _ in 0..20 {
            of_b.spawn(service.call('b'));
        }
        let status = customers.partition_status(&'b').unwrap();
        assert_eq!((status.in_flight, status.waiting), (3, 10));
        ends.add_permits(26);
        let mut outcomes = HashMap::new();
        for outcome in of_b.join_all().await {
            let outcome = match outcome.as_ref().map_err(|it| it.rejection().unwrap().reason()) {
                Ok(()) => "ok",
                Err(RejectionReason::Saturated { used: 3, waiting: 10, .. }) => "saturated",
                Err(other) => panic!("{other}"),
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        let of_a = of_a.join_all().await;
        (outcomes, of_a.iter().filter(|outcome| outcome.is_ok()).count())
    })
}

#[test]
fn a_flood_of_one_customer_does_not_affect_another() {
    let undisturbed = outcomes_of_b(0);
    assert_eq!(undisturbed, (HashMap::from([("ok", 13), ("saturated", 7)]), 0));
    let flooded = outcomes_of_b(1_000);
    assert_eq!(flooded.0, undisturbed.0);
    assert_eq!(flooded.1, 13, "and the flood gets what any one customer gets");
}

/// How many requests of each customer are served while all customers are always busy. Each has a partition with
/// its own parallelism, and all share one bulkhead of 4 behind the partitions.
fn served<const N: usize>(parallelism: [usize; N]) -> [usize; N] {
    const REQUESTS: usize = 5_000;
    in_paused_time(LocalSet::new().run_until(async move {
        let builder = PartitionedBulkhead::<usize>::builder("customers").parallelism(1);
        let builder = builder.limits_for(move |customer| {
            PartitionLimits::new(parallelism[*customer]).waiting_room(100)
        });
        let customers = builder.max_partitions(N).build().unwrap();
        let all = parallelism.iter().sum();
        let builder = Bulkhead::builder("all").parallelism(4).waiting_room(all);
        let all = builder.build().unwrap();

        // The work varies in length, so that requests do not proceed in lockstep.
        let handler = |request: (usize, usize)| async move {
            let milliseconds = 1 + (request.0 * 31 + request.1 * 17) as u64 % 13;
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            Ok::<_, Infallible>(request.0)
        };
        let inside = BulkheadLayer::new(&all).into_error().layer(tower::service_fn(handler));
        let key = |request: &(usize, usize)| Some(request.0);
        let service = PartitionedBulkheadLayer::new(&customers, key).into_error().layer(inside);

        let served = Rc::new(std::cell::RefCell::new([0; N]));
        let mut clients = JoinSet::new();
        for client in 0..20 * N {
            let (service, served) = (service.clone(), served.clone());
            clients.spawn_local(async move {
                for number in 0.. {
                    let request = (client % N, number);
                    let customer = service.clone().oneshot(request).await.unwrap();
                    let mut served = served.borrow_mut();
                    served[customer] += 1;
                    if served.iter().sum::<usize>() == REQUESTS {
                        break;
                    }
                }
            });
        }
        clients.join_next().await.unwrap().unwrap();
        assert_eq!(all.status().peaks.used, 4);
        *served.borrow()
    }))
}

fn assert_shares<const N: usize>(parallelism: [usize; N]) {
    let served = served(parallelism);
    let (all, slots) = (served.iter().sum::<usize>() as f64, parallelism.iter().sum::<usize>());
    for (served, parallelism) in served.iter().zip(parallelism) {
        let share = *served as f64 / all;
        let due = parallelism as f64 / slots as f64;
        assert!((share / due - 1.0).abs() < 0.02, "{share} of all instead of {due}");
    }
}

#[test]
fn always_busy_customers_get_equal_shares() {
    assert_shares([3, 3]);
    assert_shares([4, 4, 4, 4, 4]);
}

#[test]
fn always_busy_customers_get_shares_in_proportion_to_their_parallelism() {
    assert_shares([2, 6]);
    assert_shares([1, 2, 5, 8]);
}
