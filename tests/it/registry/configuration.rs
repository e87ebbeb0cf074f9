//! Registries built from configurations, and plans to change them.

use std::time::Duration;

use bulklink::{
    Bulkhead, BulkheadConfig, BulkheadKind, BulkheadRegistry, Change, PartitionLimits,
    PartitionedBulkhead, PlannedChange, RegistryConfig, RegistryError, ResizeError,
    WeightedBulkhead,
};
use tokio_test::{assert_pending, task};

use crate::support::{advance_unnoticed, ms, waiting};

type Customers = PartitionedBulkhead<u64>;

fn config() -> RegistryConfig {
    let mut config = RegistryConfig::new();
    config.insert(" payments ", BulkheadConfig::plain(2).waiting_room(5)).unwrap();
    let reports = BulkheadConfig::weighted(10).waiting_room(5).wait_limit(ms(2_000));
    config.insert("reports", reports).unwrap();
    let customers = BulkheadConfig::partitioned(3, 100).idle_timeout(ms(60_000));
    config.insert("customers", customers).unwrap();
    config
}

fn registry() -> BulkheadRegistry {
    let configurator = BulkheadRegistry::configure(config());
    configurator.partitioned::<u64>("customers", |builder| builder).build().unwrap()
}

#[test]
fn a_registry_is_built_from_a_configuration_and_what_code_says() {
    let registry = BulkheadRegistry::configure(config())
        .partitioned::<u64>(" customers ", |builder| {
            builder.limits_for(|&key| PartitionLimits::new(key as usize))
        })
        .build()
        .unwrap();
    assert_eq!(registry.labels(), ["customers", "payments", "reports"]);
    assert_eq!(registry.config(), config());
    let customers = registry.get::<Customers>("customers").unwrap();
    let slots: Vec<_> = (0..7).map(|_| customers.slot_now(&7).unwrap()).collect();
    assert!(customers.slot_now(&7).is_err(), "limits_for is from code");
    assert_eq!(customers.idle_timeout(), ms(60_000));
    drop(slots);
    let snapshot = registry.snapshot();
    assert!(snapshot.config_generation == 1 && snapshot.config_applied_at.is_some());
    let none = BulkheadRegistry::new().snapshot();
    assert_eq!((none.config_generation, none.config_applied_at), (0, None));
}

#[test]
fn what_is_configured_and_what_code_says_must_agree() {
    let configure = || BulkheadRegistry::configure(config());
    let error = configure().build().unwrap_err();
    assert!(matches!(&error, RegistryError::Unclaimed { label, .. } if &**label == "customers"));
    let same = |configurator: bulklink::RegistryConfigurator| {
        configurator.partitioned::<u64>("customers", |builder| builder)
    };
    let error = same(same(configure())).build().unwrap_err();
    assert!(matches!(error, RegistryError::LabelTaken { .. }));
    let error = same(configure()).partitioned::<u64>("hosts", |builder| builder).build();
    assert_eq!(
        error.unwrap_err().to_string(),
        "\"hosts\" is built by code as a partitioned bulkhead, but not configured"
    );
    let error = same(configure()).partitioned::<u64>("payments", |builder| builder).build();
    assert_eq!(
        error.unwrap_err().to_string(),
        "\"payments\" is a plain bulkhead, not a partitioned bulkhead"
    );
    let mut invalid = config();
    invalid.insert("payments", BulkheadConfig::plain(0)).unwrap();
    let error = same(BulkheadRegistry::configure(invalid)).build().unwrap_err();
    assert!(error.to_string().contains("\"payments\": parallelism 0"), "{error}");
    let error = config().insert("  ", BulkheadConfig::plain(1)).unwrap_err();
    assert!(matches!(error, RegistryError::Config(_)));
}

#[test]
fn a_plan_says_what_would_change_and_changes_nothing() {
    let registry = registry();
    assert!(registry.plan(&config()).unwrap().is_empty());
    assert_eq!(registry.plan(&config()).unwrap().to_string(), "nothing changes\n");
    registry.create(Bulkhead::builder("by-hand").parallelism(1)).unwrap();
    let mut new = config();
    new.insert("payments", BulkheadConfig::plain(20).wait_limit(ms(1_500))).unwrap();
    new.insert("orders", BulkheadConfig::weighted(7)).unwrap();
    new.insert("customers", BulkheadConfig::partitioned(4, 50)).unwrap();
    new.remove("reports").unwrap();
    let before = registry.config();
    let plan = registry.plan(&new).unwrap();
    let text = "bulkhead \"customers\": parallelism 3 to 4, max_partitions 100 to 50, idle_timeout 60s to 300s\n\
                bulkhead \"orders\" is new: weighted, capacity 7, waiting_room 0, wait_limit none\n\
                bulkhead \"payments\": parallelism 2 to 20, waiting_room 5 to 0, wait_limit none to 1.5s\n\
                bulkhead \"reports\" is not configured, and is left alone\n\
                bulkhead \"by-hand\" is not configured, and is left alone\n";
    assert_eq!(plan.to_string(), text);
    assert_eq!(plan.missing(), ["reports".into(), "by-hand".into()]);
    assert_eq!(plan.changes().len(), 3);
    assert!(matches!(&plan.changes()[1], PlannedChange::Create { config, .. }
        if config.kind() == BulkheadKind::Weighted));
    assert_eq!(registry.config(), before);

    registry.apply(plan).unwrap();
    assert_eq!(registry.labels(), ["customers", "payments", "reports", "by-hand", "orders"]);
    let payments = registry.get::<Bulkhead>("payments").unwrap();
    assert_eq!((payments.parallelism(), payments.waiting_room()), (20, 0));
    assert_eq!(payments.wait_limit(), Some(ms(1_500)));
    let customers = registry.get::<Customers>("customers").unwrap();
    assert_eq!((customers.parallelism(), customers.max_partitions()), (4, 50));
    assert_eq!(customers.idle_timeout(), Duration::from_secs(300));
    assert_eq!(registry.get::<WeightedBulkhead>("orders").unwrap().capacity(), 7);
    assert_eq!(registry.snapshot().config_generation, 2);

    let reports = registry.get::<WeightedBulkhead>("reports").unwrap();
    let plan = registry.plan(&new).unwrap().remove_missing();
    assert_eq!(
        plan.to_string(),
        "bulkhead \"reports\" is drained and removed\nbulkhead \"by-hand\" is drained and removed\n"
    );
    registry.apply(plan).unwrap();
    assert_eq!(registry.config(), new);
    assert!(reports.is_closed());
}

/// What makes a plan impossible, and how that is told.
type Obstacle = (&'static str, fn(&BulkheadRegistry, &mut RegistryConfig), &'static str);

const OBSTACLES: [Obstacle; 5] = [
    (
        "zero",
        |_, config| _ = config.insert("payments", BulkheadConfig::plain(0)).unwrap(),
        "\"payments\": parallelism 0 is not allowed",
    ),
    (
        "absurd",
        |_, config| {
            let absurd = BulkheadConfig::plain(1).waiting_room(usize::MAX);
            config.insert("payments", absurd).unwrap();
        },
        "\"payments\": waiting_room 18446744073709551615 exceeds the maximum",
    ),
    (
        "another kind",
        |_, config| _ = config.insert("payments", BulkheadConfig::weighted(5)).unwrap(),
        "\"payments\" is a plain bulkhead, not a weighted bulkhead",
    ),
    (
        "closed",
        |registry, config| {
            registry.get::<Bulkhead>("payments").unwrap().drain();
            config.insert("payments", BulkheadConfig::plain(5)).unwrap();
        },
        "\"payments\" is closed",
    ),
    (
        "new partitions",
        |_, config| _ = config.insert("hosts", BulkheadConfig::partitioned(1, 9)).unwrap(),
        "\"hosts\" is partitioned and was not built",
    ),
];

#[test]
fn a_plan_that_is_not_possible_as_a_whole_is_refused() {
    for (name, plant, text) in OBSTACLES {
        // Before and after others that would change.
        for other in ["aaa", "zzz"] {
            let registry = registry();
            registry.create(Bulkhead::builder(other).parallelism(1)).unwrap();
            let mut new = registry.config();
            new.insert(other, BulkheadConfig::plain(9)).unwrap();
            plant(&registry, &mut new);
            let before = registry.config();
            let error = registry.plan(&new).unwrap_err();
            assert!(error.to_string().contains(text), "{name}: {error}");
            assert_eq!(registry.config(), before, "{name}");
        }
    }
    // A cost in the line that could never be admitted.
    let registry = registry();
    let reports = registry.get::<WeightedBulkhead>("reports").unwrap();
    let _slot = reports.slot_now(10).unwrap();
    let mut waiter = task::spawn(reports.slot(8));
    let _runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = _runtime.enter();
    assert_pending!(waiter.poll());
    let mut new = config();
    new.insert("reports", BulkheadConfig::weighted(7)).unwrap();
    let error = registry.plan(&new).unwrap_err();
    let cost = "bulkhead \"reports\": capacity 7 is below the cost 8 of a waiting operation";
    assert_eq!(error.to_string(), cost);
}

/// A plan, and what happens to the registry before it is applied.
type Disturbance = (&'static str, fn(&BulkheadRegistry));

const DISTURBANCES: [Disturbance; 7] = [
    ("removed", |registry| drop(registry.remove("payments"))),
    ("replaced", |registry| {
        drop(registry.remove("payments"));
        registry.create(Bulkhead::builder("payments").parallelism(2).waiting_room(5)).unwrap();
    }),
    ("another is new", |registry| {
        registry.create(Bulkhead::builder("late").parallelism(1)).unwrap();
    }),
    ("the new label is taken", |registry| {
        registry.create(Bulkhead::builder("orders").parallelism(1)).unwrap();
    }),
    ("changed directly", |registry| {
        registry.get::<Bulkhead>("payments").unwrap().resize(3).unwrap();
    }),
    ("closed", |registry| registry.get::<WeightedBulkhead>("reports").unwrap().close()),
    ("another plan was applied", |registry| {
        let mut new = config();
        new.insert("customers", BulkheadConfig::partitioned(9, 100)).unwrap();
        registry.apply(registry.plan(&new).unwrap()).unwrap();
    }),
];

#[test]
fn a_plan_made_stale_by_another_change_is_refused_and_changes_nothing() {
    for (name, disturb) in DISTURBANCES {
        let registry = registry();
        let mut new = config();
        new.insert("customers", BulkheadConfig::partitioned(5, 100)).unwrap();
        new.insert("orders", BulkheadConfig::plain(1)).unwrap();
        new.insert("payments", BulkheadConfig::plain(9)).unwrap();
        new.insert("reports", BulkheadConfig::weighted(8)).unwrap();
        let plan = registry.plan(&new).unwrap();
        disturb(&registry);
        let before = (registry.config(), registry.snapshot().config_generation);
        let error = registry.apply(plan).unwrap_err();
        let is_right = match name {
            "closed" => matches!(error, RegistryError::Change(ResizeError::Closed { .. })),
            _ => error == RegistryError::StalePlan,
        };
        assert!(is_right, "{name}: {error}");
        let after = (registry.config(), registry.snapshot().config_generation);
        assert_eq!(after, before, "{name}");
    }
    let (one, other) = (registry(), registry());
    let error = other.apply(one.plan(&config()).unwrap()).unwrap_err();
    assert_eq!(error, RegistryError::StalePlan);
    one.close_all();
    let mut new = config();
    new.insert("orders", BulkheadConfig::plain(1)).unwrap();
    assert!(one.plan(&new).is_err(), "what is closed is not configured");
}

/// A line that grows between the plan and its application: the change that fails is made first, and nothing else is changed.
#[test]
fn a_change_that_fails_late_undoes_nothing_because_it_comes_first() {
    let registry = registry();
    let reports = registry.get::<WeightedBulkhead>("reports").unwrap();
    reports.reconfigure(bulklink::WeightedChange::new().no_wait_limit()).unwrap();
    let mut new = registry.config();
    new.insert("customers", BulkheadConfig::partitioned(9, 9)).unwrap();
    new.insert("reports", BulkheadConfig::weighted(5).waiting_room(5)).unwrap();
    let plan = registry.plan(&new).unwrap();
    let _slot = reports.slot_now(10).unwrap();
    let _waiter = waiting(reports.slot(6));
    let before = registry.config();
    let error = registry.apply(plan).unwrap_err();
    assert!(matches!(error, RegistryError::Change(ResizeError::BelowQueuedCost { .. })));
    assert_eq!(registry.config(), before);
}

#[test]
fn a_shared_capacity_is_configured_and_changed_but_not_removed() {
    let with = |total: usize, room: Option<usize>| {
        let customers = BulkheadConfig::partitioned(3, 100).total_parallelism(total);
        let customers = match room {
            Some(room) => customers.waiting_room(5).total_waiting_room(room),
            None => customers,
        };
        let mut config = RegistryConfig::new();
        config.insert("customers", customers).unwrap();
        config
    };
    let build = |config: RegistryConfig| {
        let configurator = BulkheadRegistry::configure(config);
        configurator.partitioned::<u64>("customers", |builder| builder).build()
    };
    let registry = build(with(8, Some(40))).unwrap();
    let customers = registry.get::<Customers>("customers").unwrap();
    assert_eq!(
        (customers.total_parallelism(), customers.total_waiting_room()),
        (Some(8), Some(40))
    );
    assert_eq!(registry.config(), with(8, Some(40)));
    let plan = registry.plan(&with(9, Some(50))).unwrap();
    let text = "bulkhead \"customers\": total_parallelism 8 to 9, total_waiting_room 40 to 50\n";
    assert_eq!(plan.to_string(), text);
    registry.apply(plan).unwrap();
    assert_eq!(
        (customers.total_parallelism(), customers.total_waiting_room()),
        (Some(9), Some(50))
    );
    let mut without = with(1, None);
    without.insert("customers", BulkheadConfig::partitioned(3, 100)).unwrap();
    let error = registry.plan(&without).unwrap_err();
    assert!(matches!(error, RegistryError::Change(ResizeError::TotalRemoved { .. })), "{error}");
    let alone = build(without).unwrap();
    let error = alone.plan(&with(9, None)).unwrap_err();
    assert!(matches!(error, RegistryError::Change(ResizeError::WithoutTotal { .. })), "{error}");
    // Where nobody may wait, a room of none is the same as none that is named.
    let no_room = build(with(8, None)).unwrap();
    assert!(no_room.plan(&with(8, None)).unwrap().is_empty());
    let mut missing = with(8, None);
    let customers = BulkheadConfig::partitioned(3, 100).waiting_room(5).total_parallelism(8);
    missing.insert("customers", customers).unwrap();
    let error = no_room.plan(&missing).unwrap_err().to_string();
    assert_eq!(error, "bulkhead \"customers\": total_waiting_room is not set");
    assert_eq!(
        BulkheadConfig::plain(1).total_parallelism(5).total_waiting_room(5),
        BulkheadConfig::plain(1)
    );
}

/// A plan looks at the line as it is now, also if no timer has noticed that a limit has passed.
#[tokio::test(start_paused = true)]
async fn a_waiter_whose_limit_has_passed_does_not_refuse_a_plan() {
    let registry = registry();
    let reports = registry.get::<WeightedBulkhead>("reports").unwrap();
    let _slot = reports.slot_now(10).unwrap();
    let waiter = waiting(reports.slot_within(ms(10), 6));
    let mut new = registry.config();
    new.insert("reports", BulkheadConfig::weighted(5).waiting_room(5)).unwrap();
    assert!(registry.plan(&new).is_err());
    advance_unnoticed(ms(10));
    let plan = registry.plan(&new).unwrap();
    assert!(waiter.is_woken());
    registry.apply(plan).unwrap();
    assert_eq!(reports.capacity(), 5);
}

#[test]
fn those_in_line_keep_their_places_through_an_apply() {
    let registry = registry();
    let payments = registry.get::<Bulkhead>("payments").unwrap();
    let slots = (payments.slot_now().unwrap(), payments.slot_now().unwrap());
    let mut waiters: Vec<_> = (0..5).map(|_| waiting(payments.slot())).collect();
    let mut new = registry.config();
    new.insert("payments", BulkheadConfig::plain(4).waiting_room(1)).unwrap();
    registry.apply(registry.plan(&new).unwrap()).unwrap();
    let woken: Vec<_> = waiters.iter().map(|waiter| waiter.is_woken()).collect();
    assert_eq!(woken, [true, true, false, false, false]);
    assert_eq!(payments.status().waiting, 3);
    payments.reconfigure(Change::new().parallelism(9)).unwrap();
    assert!(waiters.iter().all(|waiter| waiter.is_woken()));
    waiters.clear();
    drop(slots);
}
