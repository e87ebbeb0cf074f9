//! What is told through the `tracing` crate, received by a subscriber of `tracing-subscriber`.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use bulklink::{Bulkhead, Change, PartitionedBulkhead};
use tokio::time::{advance, sleep};
use tokio_test::task;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*, registry::LookupSpan};

use crate::support::{assert_panics, bulkhead, customers, in_paused_time, ms, panics, waiting};

const SECOND: Duration = Duration::from_secs(1);

/// The lines that a subscriber has received: level, message and fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

impl Lines {
    /// Receives the lines of this thread until the guard is dropped.
    fn receive() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        (lines, subscriber.set_default())
    }

    fn at_least(&self, level: Level) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|(own, _)| *own <= level).map(|(_, line)| line.clone()).collect()
    }

    fn of(&self, level: Level) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|(own, _)| *own == level).map(|(_, line)| line.clone()).collect()
    }

    fn push(&self, level: Level, line: String) {
        self.0.lock().unwrap().push((level, line));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = match field.name() {
            "message" => format!("{value:?}"),
            name => format!(" {name}={value:?}"),
        };
        self.0.push_str(&text);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        assert_eq!(event.metadata().target(), "bulklink");
        let mut line = Line(String::new());
        event.record(&mut line);
        self.push(*event.metadata().level(), line.0);
    }

    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        let mut line = Line(format!("span {}", attributes.metadata().name()));
        attributes.record(&mut line);
        context.span(id).unwrap().extensions_mut().insert(line);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(span.extensions_mut().get_mut::<Line>().unwrap());
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let line = span.extensions_mut().remove::<Line>().unwrap();
        self.push(*span.metadata().level(), line.0);
    }
}

#[test]
fn a_rejection_is_a_line_at_debug_with_its_reason() {
    let (lines, _guard) = Lines::receive();
    let payments = bulkhead(1, 0);
    let _slot = payments.slot_now().unwrap();
    let rejection = payments.slot_now().unwrap_err();
    assert!(lines.at_least(Level::INFO).is_empty());
    let [line] = &lines.of(Level::DEBUG)[..] else { panic!("one line") };
    assert!(line.starts_with(&rejection.to_string()), "{line}");
    assert!(line.contains("bulkhead=\"payments\" reason=\"saturated\""), "{line}");
}

#[test]
fn no_line_has_a_key() {
    let (lines, _guard) = Lines::receive();
    let customers = PartitionedBulkhead::<String>::builder("customers").parallelism(1);
    let customers = customers.max_partitions(1).build().unwrap();
    let _slot = customers.slot_now(&"secret".to_owned()).unwrap();
    assert!(customers.slot_now(&"secret".to_owned()).is_err());
    assert!(customers.slot_now(&"secret too".to_owned()).is_err());
    customers.close();
    customers.close();
    let lines = lines.at_least(Level::TRACE);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:?}");
    assert_eq!(lines[2], "bulkhead closed with all of its partitions bulkhead=\"customers\"");
}

#[test]
fn a_span_lasts_from_the_line_to_the_outcome() {
    in_paused_time(async {
        let (lines, _guard) = Lines::receive();
        let payments = bulkhead(1, 3);
        let held = payments.slot_now().unwrap();
        let mut admitted = task::spawn(payments.slot());
        let mut leaving = task::spawn(payments.slot());
        let mut expiring = task::spawn(payments.slot_within(SECOND));
        assert!(admitted.poll().is_pending());
        assert!(leaving.poll().is_pending() && expiring.poll().is_pending());
        assert!(lines.of(Level::DEBUG).is_empty());
        drop(leaving);
        advance(SECOND).await;
        assert!(expiring.await.is_err());
        drop(held);
        drop(admitted.await.unwrap());
        let spans: Vec<_> = lines.of(Level::DEBUG);
        let wait = "span bulkhead_wait bulkhead=\"payments\" cost=1";
        assert!(spans.contains(&wait.to_owned()), "{spans:?}");
        assert!(spans.contains(&format!("{wait} result=\"admitted\"")), "{spans:?}");
        assert!(spans.contains(&format!("{wait} result=\"wait_limit\"")), "{spans:?}");
        // The third is the rejection itself.
        assert_eq!(spans.len(), 4, "{spans:?}");
    });
}

#[test]
fn changes_are_lines_at_info() {
    let (lines, _guard) = Lines::receive();
    let payments = bulkhead(2, 1);
    let held = payments.slot_now().unwrap();
    payments.resize(3).unwrap();
    payments.resize(3).unwrap();
    payments.reconfigure(Change::new().waiting_room(5).wait_limit(SECOND)).unwrap();
    payments.pause();
    payments.pause();
    payments.resume();
    payments.close();
    payments.close();
    drop(held);
    let lines = lines.of(Level::INFO);
    let starts = [
        "bulkhead reconfigured: capacity 2 to 3, waiting room 1 to 1, wait limit None to None",
        "bulkhead reconfigured: capacity 3 to 3, waiting room 1 to 5, wait limit None to Some(1s)",
        "bulkhead paused: 0 operations wait until it is resumed",
        "bulkhead resumed with 0 operations waiting",
        "bulkhead closed: 1 operations run on, 0 waiters rejected",
        "bulkhead drained: its last operation has ended",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn a_drain_and_changes_of_all_partitions_are_lines_at_info() {
    let (lines, _guard) = Lines::receive();
    let payments = bulkhead(1, 1);
    let held = payments.slot_now().unwrap();
    let waiter = waiting(payments.slot());
    payments.drain();
    drop(waiter);
    drop(held);
    let customers = customers(1, 1, 5);
    let held = customers.slot_now(&7).unwrap();
    let waiter = waiting(customers.slot(&7));
    customers.pause();
    customers.resume();
    customers.drain();
    customers.drain();
    drop(waiter);
    drop(held);
    let expected = [
        "bulkhead draining: closed to newcomers, 1 waiting operations will be served",
        "bulkhead closed: 1 operations run on, 0 waiters rejected",
        "bulkhead drained: its last operation has ended",
        "bulkhead paused with all of its partitions",
        "bulkhead resumed with all of its partitions",
        "bulkhead draining with all of its partitions",
        "bulkhead closed with all of its partitions",
    ];
    let lines = lines.of(Level::INFO);
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, start) in lines.iter().zip(expected) {
        assert!(line.starts_with(start), "{line}");
        assert!(!line.contains('7'), "a key is told: {line}");
    }
}

#[test]
fn pressure_is_told_once_it_has_lasted_a_second_and_its_end_only_then() {
    in_paused_time(async {
        let (lines, _guard) = Lines::receive();
        let payments = bulkhead(1, 10);
        waiting_for(&payments, ms(900)).await;
        assert!(lines.at_least(Level::INFO).is_empty());
        waiting_for(&payments, ms(1_500)).await;
        let told = lines.at_least(Level::INFO);
        assert_eq!(told.len(), 2, "{told:?}");
        let start = "bulkhead under pressure: operations have been waiting for 1.5s";
        assert!(told[0].starts_with(start), "{told:?}");
        let start = "bulkhead relieved: no operation waits any more, after 1.5s";
        assert!(told[1].starts_with(start), "{told:?}");
    });
}

/// Lets two operations wait, and another one join after `time`, and then serves them all.
async fn waiting_for(payments: &Bulkhead, time: Duration) {
    let held = payments.slot_now().unwrap();
    let mut waiting = [task::spawn(payments.slot()), task::spawn(payments.slot())];
    assert!(waiting.iter_mut().all(|waiting| waiting.poll().is_pending()));
    advance(time).await;
    let mut last = task::spawn(payments.slot());
    assert!(last.poll().is_pending());
    drop(held);
    for waiting in waiting {
        drop(waiting.await.unwrap());
    }
    drop(last.await.unwrap());
}

#[test]
fn of_periods_within_ten_seconds_one_is_told_with_how_many_were_left_out() {
    in_paused_time(async {
        let (lines, _guard) = Lines::receive();
        let payments = bulkhead(1, 10);
        for _ in 0..8 {
            waiting_for(&payments, SECOND * 2).await;
        }
        let told = lines.at_least(Level::INFO);
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told[0].contains("left_out=0") && told[2].contains("left_out=4"), "{told:#?}");
    });
}

#[test]
fn pressure_is_told_by_a_rejection_if_nothing_else_happens() {
    in_paused_time(async {
        let (lines, _guard) = Lines::receive();
        let payments = bulkhead(1, 1);
        let _stuck = payments.slot_now().unwrap();
        let mut waiting = task::spawn(payments.slot());
        assert!(waiting.poll().is_pending());
        advance(ms(999)).await;
        assert!(payments.slot_now().is_err());
        assert!(lines.at_least(Level::INFO).is_empty());
        advance(ms(1)).await;
        (0..3).for_each(|_| assert!(payments.slot_now().is_err()));
        let told = lines.at_least(Level::INFO);
        let [line] = &told[..] else { panic!("{told:?}") };
        assert!(line.starts_with("bulkhead under pressure"), "{line}");
        assert!(line.contains("used=1 capacity=1 waiting=1"), "{line}");
    });
}

#[test]
fn a_period_that_follows_too_soon_is_told_later_if_it_still_lasts() {
    in_paused_time(async {
        let (lines, _guard) = Lines::receive();
        let payments = bulkhead(1, 10);
        waiting_for(&payments, SECOND * 2).await;
        assert_eq!(lines.at_least(Level::INFO).len(), 2);
        let held = payments.slot_now().unwrap();
        let mut waiting = task::spawn(payments.slot_within(SECOND * 60));
        assert!(waiting.poll().is_pending());
        advance(SECOND * 9).await;
        let mut joining = task::spawn(payments.slot());
        assert!(joining.poll().is_pending());
        assert_eq!(lines.at_least(Level::INFO).len(), 2);
        advance(SECOND).await;
        drop(joining);
        let told = lines.at_least(Level::INFO);
        let start = "bulkhead under pressure: operations have been waiting for 10.0s";
        assert!(told.len() == 3 && told[2].starts_with(start), "{told:?}");
        assert!(told[2].contains("left_out=0"), "{told:?}");
        drop(held);
        drop(waiting.await.unwrap());
        assert_eq!(lines.at_least(Level::INFO).len(), 4);
    });
}

#[test]
fn a_flood_is_told_in_fewer_than_twenty_lines() {
    in_paused_time(async {
        let (lines, _guard) = Lines::receive();
        let reports = Bulkhead::builder("reports").parallelism(1).waiting_room(4);
        let reports = reports.wait_limit(SECOND * 5).build().unwrap();
        // 64 clients that ask again a tenth of a second after a rejection, for a minute, and then a calm minute.
        let clients: Vec<_> = (0..64)
            .map(|number| {
                let reports = reports.clone();
                tokio::spawn(async move {
                    sleep(ms(number)).await;
                    let end = tokio::time::Instant::now() + SECOND * 60;
                    while tokio::time::Instant::now() < end {
                        if reports.execute(sleep(ms(250))).await.is_err() {
                            sleep(ms(100)).await;
                        }
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        sleep(SECOND * 60).await;
        reports.close();
        let rejected = reports.status().totals.rejected();
        assert!(rejected > 30_000, "{rejected}");
        let told = lines.at_least(Level::INFO);
        assert!(told.len() < 20, "{told:#?}");
        let told = told.join("\n");
        for part in ["bulkhead under pressure", "bulkhead=\"reports\"", "relieved", "closed"] {
            assert!(told.contains(part), "{told}");
        }
    });
}

/// A subscriber that panics at everything that it is told of which has this in its name or message.
struct Panicking(&'static str);

impl Panicking {
    fn check(&self, told: &str) {
        assert!(!told.contains(self.0) || std::thread::panicking(), "on purpose");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Panicking {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.check(&line.0);
    }

    fn on_new_span(&self, _: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        self.check("begin of a wait");
    }

    fn on_record(&self, _: &span::Id, _: &span::Record<'_>, _: Context<'_, S>) {
        self.check("end of a wait");
    }
}

fn panicking(at: &'static str) -> DefaultGuard {
    tracing_subscriber::registry().with(Panicking(at)).set_default()
}

#[test]
fn a_subscriber_that_panics_as_a_wait_begins_or_ends_loses_nothing() {
    for at in ["begin of a wait", "end of a wait"] {
        let builder = PartitionedBulkhead::builder("customers").parallelism(1).waiting_room(2);
        let builder = builder.max_partitions(10).total_parallelism(1).total_waiting_room(4);
        let customers = builder.build().unwrap();
        let slot = customers.slot_now(&1).unwrap();
        let guard = panicking(at);
        let mut waiter = task::spawn(customers.slot(&2));
        let begun = !panics(|| assert!(waiter.poll().is_pending()));
        assert_eq!(begun, at == "end of a wait");
        drop(slot);
        if begun {
            assert_panics(|| waiter.poll());
        }
        drop((waiter, guard));
        let status = customers.status();
        assert_eq!((status.in_flight, status.waiting, status.active_partitions), (0, 0, 0), "{at}");
        let total = status.total.unwrap();
        assert_eq!((total.in_flight, total.waiting, total.waiting_keys), (0, 0, 0), "{at}");
        // Keys are served as if nothing had been.
        assert!(customers.discard(&2));
        let slot = customers.slot_now(&1).unwrap();
        let mut next = waiting(customers.slot(&3));
        drop(slot);
        assert!(next.poll().is_ready());
    }
}

#[test]
fn a_subscriber_that_panics_at_a_change_does_not_stop_it() {
    let customers = customers(1, 2, 10);
    let slot = customers.slot_now(&1).unwrap();
    let mut waiter = waiting(customers.slot(&1));
    let guard = panicking("bulkhead");
    customers.pause();
    drop(slot);
    assert!(waiter.poll().is_pending());
    customers.resume();
    assert!(waiter.poll().is_ready());
    customers.drain();
    assert!(customers.is_closed());
    drop(guard);
}
