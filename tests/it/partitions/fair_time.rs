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

use crate::support::{Random, ms};

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

/// What a key sends: so many clients, each one request after the other.
struct Load {
    key: u64,
    clients: usize,
    /// Milliseconds of work, at random between these.
    work: (u64, u64),
    /// How long a client sends, and then rests.
    bursts: Option<(u64, u64)>,
    /// Milliseconds between two requests of a client.
    pause: u64,
}

impl Load {
    const fn steady(key: u64, clients: usize, work: (u64, u64)) -> Self {
        Self { key, clients, work, bursts: None, pause: 0 }
    }
}

#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    rejected: usize,
    running: usize,
    most: usize,
    /// The time for which its requests ran.
    worked: Duration,
}

/// Lets keys send requests for a while. Returns what each of them saw after the first second.
async fn play(customers: &Customers, loads: &[Load], time: Duration) -> Vec<Seen> {
    let start = Instant::now();
    let seen: Vec<Arc<Mutex<Seen>>> = loads.iter().map(|_| Arc::default()).collect();
    let mut random = Random::new(42);
    let mut tasks = Vec::new();
    for (load, seen) in loads.iter().zip(&seen) {
        let &Load { key, work, bursts, pause, .. } = load;
        for _ in 0..load.clients {
            let (customers, seen) = (customers.clone(), seen.clone());
            let mut random = Random::new(random.below(1 << 30) as u64);
            tasks.push(tokio::spawn(async move {
                loop {
                    if let Some((busy, rests)) = bursts {
                        let at = start.elapsed().as_millis() as u64 % (busy + rests);
                        if at >= busy {
                            sleep(ms(busy + rests - at)).await;
                        }
                    }
                    let work = ms(work.0 + random.below((work.1 - work.0 + 1) as usize) as u64);
                    let arrived = Instant::now();
                    let is_counted = arrived - start > ms(1_000);
                    let outcome = customers
                        .execute(&key, async {
                            {
                                let mut seen = seen.lock().unwrap();
                                seen.running += 1;
                                if is_counted {
                                    seen.most = seen.most.max(seen.running);
                                }
                            }
                            sleep(work).await;
                            seen.lock().unwrap().running -= 1;
                        })
                        .await;
                    let is_rejected = outcome.is_err();
                    if is_counted {
                        let mut seen = seen.lock().unwrap();
                        match outcome {
                            Ok(()) => {
                                seen.times.push(arrived.elapsed());
                                seen.worked += work;
                            }
                            Err(_) => seen.rejected += 1,
                        }
                    }
                    sleep(ms(if is_rejected { 10 } else { pause })).await;
                }
            }));
        }
    }
    sleep(time).await;
    tasks.iter().for_each(|task| task.abort());
    seen.iter().map(|seen| std::mem::take(&mut *seen.lock().unwrap())).collect()
}

/// Eight slots, and for each key as many, with a room of 64.
fn eight_slots(total_room: usize) -> Customers {
    let builder = Customers::builder("customers").parallelism(8).waiting_room(64);
    let builder = builder.max_partitions(99).total_parallelism(8).total_waiting_room(total_room);
    builder.build().unwrap()
}

fn quantile(times: &mut [Duration], per_cent: usize) -> Duration {
    times.sort();
    times[times.len() * per_cent / 100]
}

#[tokio::test(start_paused = true)]
async fn a_flood_takes_nothing_from_one_that_needs_little() {
    let mut light = Load::steady(1, 1, (5, 15));
    light.pause = 40;
    let loads = [light, Load::steady(2, 200, (20, 80))];
    let seen = play(&eight_slots(64), &loads, ms(10_000)).await.remove(0);
    let mut times = seen.times;
    assert!(times.len() > 150 && seen.rejected == 0, "{} and {}", times.len(), seen.rejected);
    // It waits for one slot of eight whose work takes 50 ms on average.
    let slow = quantile(&mut times, 99);
    assert!(slow <= ms(50), "{slow:?}");
}

#[tokio::test(start_paused = true)]
async fn one_key_with_requests_of_a_minute_among_keys_with_requests_of_milliseconds() {
    let mut loads: Vec<_> = (0..20).map(|key| Load::steady(key, 4, (4, 6))).collect();
    loads.push(Load::steady(20, 10, (60_000, 60_000)));
    // It is not there first.
    let customers = eight_slots(256);
    play(&customers, &loads[..20], ms(2_000)).await;
    let seen = play(&customers, &loads, ms(20_000)).await;
    let hours = seen[20].most.max(seen[20].running);
    assert!((1..=2).contains(&hours), "its fair share is 0.4 slots, and it has {hours}");
    let mut all: Vec<_> = seen[..20].iter().flat_map(|seen| seen.times.iter().copied()).collect();
    let slow = quantile(&mut all, 99);
    assert!(slow <= ms(120), "80 wait for 6 slots: {slow:?}");
}

#[tokio::test(start_paused = true)]
async fn one_key_with_requests_of_a_millisecond_beside_keys_with_requests_of_a_second() {
    let mut light = Load::steady(0, 1, (1, 1));
    light.pause = 100;
    let mut loads = vec![light];
    loads.extend((1..=20).map(|key| Load::steady(key, 4, (900, 1_100))));
    let mut seen = play(&eight_slots(256), &loads, ms(60_000)).await.remove(0);
    assert_eq!(seen.rejected, 0);
    // A slot becomes free every 125 ms.
    let (half, slow) = (quantile(&mut seen.times, 50), quantile(&mut seen.times, 99));
    assert!(half <= ms(200) && slow <= ms(800), "{half:?}, {slow:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_gained_by_bursts_or_by_many_small_or_few_large_requests() {
    let loads = [
        Load::steady(0, 20, (40, 60)),
        Load { bursts: Some((500, 500)), ..Load::steady(1, 40, (40, 60)) },
        Load { bursts: Some((60, 60)), ..Load::steady(2, 40, (40, 60)) },
        Load::steady(3, 60, (2, 4)),
        Load::steady(4, 10, (1_500, 2_500)),
        Load::steady(5, 20, (40, 60)),
    ];
    let seen = play(&eight_slots(512), &loads, ms(90_000)).await;
    let all: f64 = seen.iter().map(|seen| seen.worked.as_secs_f64()).sum();
    let shares: Vec<f64> = seen.iter().map(|seen| seen.worked.as_secs_f64() / all).collect();
    // A sixth is fair. The long ones count when they are done.
    for (load, share) in loads.iter().zip(&shares) {
        assert!(*share <= 1.0 / 6.0 + 0.02, "{} has {share:.3} of {shares:.3?}", load.key);
    }
    assert!(shares[0] >= 1.0 / 6.0 - 0.02, "{shares:.3?}");
}
