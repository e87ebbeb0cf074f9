//! How keys share a capacity over time: each gets its part of the time that slots are held, at every moment.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bulklink::{PartitionLimits, PartitionedBulkhead};
use tokio::time::{Instant, interval, sleep};

use crate::support::ms;

type Customers = PartitionedBulkhead<u64>;

/// Runs the waiters of some keys one after the other, each for so long. Returns how much time each key got.
async fn shares(
    customers: &Customers,
    keys: &[(u64, u64)],
    seats: usize,
    time: Duration,
) -> Vec<Duration> {
    // Every key always has two in line.
    let tasks: Vec<_> = keys
        .iter()
        .map(|&(key, work)| {
            let held = Arc::new(AtomicU64::new(0));
            let workers: Vec<_> = (0..seats + 2)
                .map(|_| {
                    let (customers, held) = (customers.clone(), held.clone());
                    tokio::spawn(async move {
                        loop {
                            let slot = customers.slot(&key).await.unwrap();
                            sleep(ms(work)).await;
                            held.fetch_add(work, Ordering::Relaxed);
                            drop(slot);
                        }
                    })
                })
                .collect();
            (held, workers)
        })
        .collect();
    sleep(time).await;
    let mut got = Vec::new();
    for (held, workers) in tasks {
        got.push(ms(held.load(Ordering::Relaxed)));
        workers.iter().for_each(|worker| worker.abort());
        for worker in workers {
            let _ = worker.await;
        }
    }
    got
}

#[tokio::test(start_paused = true)]
async fn keys_get_seat_time_by_weight_whatever_one_request_takes() {
    let weights =
        |&key: &u64| PartitionLimits::new(9).waiting_room(9).weight([1, 1, 3][key as usize]);
    let builder = Customers::builder("customers").parallelism(9).max_partitions(9);
    let builder = builder.total_parallelism(2).total_waiting_room(99).limits_for(weights);
    let customers = builder.build().unwrap();
    let got = shares(&customers, &[(0, 10), (1, 250), (2, 40)], 2, ms(60_000)).await;
    let all: Duration = got.iter().sum();
    let parts: Vec<f64> = got.iter().map(|part| part.as_secs_f64() / all.as_secs_f64()).collect();
    assert!(all > ms(118_000), "no seat is ever free: {all:?}");
    for (part, fair) in parts.iter().zip([0.2, 0.2, 0.6]) {
        assert!((part - fair).abs() < 0.02, "{parts:?}");
    }
    let share = customers.partition_share(&2).unwrap();
    assert_eq!((share.weight, share.guaranteed), (3, 0));
    assert!(share.seat_time.abs_diff(got[2]) < ms(500), "{:?} of {:?}", share.seat_time, got[2]);
    assert_eq!(customers.status().total.unwrap().in_flight, 0);
}

/// All short requests end at the same instants, so that eight slots become free at once. Those with requests twenty times as
/// long must not take them all, and the one who needs little must find one soon.
#[tokio::test(start_paused = true)]
async fn long_requests_do_not_take_all_slots_that_become_free_at_once() {
    const LIGHT: u64 = 0;
    const SLOW: u64 = 3;
    let limits = |&key: &u64| {
        let limits = PartitionLimits::new(8).waiting_room(50);
        if key == 1 { limits.weight(4).guaranteed(2) } else { limits }
    };
    let builder = Customers::builder("customers").parallelism(8).max_partitions(9);
    let builder = builder.total_parallelism(8).total_waiting_room(64).limits_for(limits);
    let customers = builder.build().unwrap();
    let start = Instant::now();
    let times: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let (slow, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for (key, clients, every, work) in
        [(LIGHT, 1, Some(50), 20), (1, 40, None, 20), (2, 80, None, 20), (SLOW, 10, None, 400)]
    {
        for _ in 0..clients {
            let (customers, times) = (customers.clone(), times.clone());
            let (slow, most) = (slow.clone(), most.clone());
            tokio::spawn(async move {
                let mut every = every.map(|every| interval(ms(every)));
                loop {
                    if let Some(every) = &mut every {
                        every.tick().await;
                    }
                    let arrived = Instant::now();
                    let work = async {
                        let running = slow.fetch_add(usize::from(key == SLOW), Ordering::Relaxed);
                        // What they took while nobody else was there does not count.
                        if key == SLOW && start.elapsed() > ms(500) {
                            most.fetch_max(running + 1, Ordering::Relaxed);
                        }
                        sleep(ms(work)).await;
                        slow.fetch_sub(usize::from(key == SLOW), Ordering::Relaxed);
                    };
                    match customers.execute(&key, work).await {
                        Ok(()) if key == LIGHT && arrived - start > ms(500) => {
                            times.lock().unwrap().push(arrived.elapsed());
                        }
                        Ok(()) => {}
                        Err(_) => sleep(ms(10)).await,
                    }
                }
            });
        }
    }
    sleep(ms(20_000)).await;
    let times = times.lock().unwrap();
    assert!(times.len() > 380, "it sends one every 50 ms: {}", times.len());
    let longest = times.iter().max().unwrap();
    assert!(*longest <= ms(40), "20 ms of work, and a wait for the next slot: {longest:?}");
    let most = most.load(Ordering::Relaxed);
    assert!(most <= 3, "its fair share is 1.3 of 8 slots, and it had {most}");
    let seconds = |key: u64| customers.partition_share(&key).unwrap().seat_time.as_secs_f64();
    let gold = seconds(1) / (seconds(1) + seconds(2) + seconds(SLOW));
    assert!((gold - 4.0 / 6.0).abs() < 0.02, "{gold}");
}
