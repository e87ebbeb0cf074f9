//! `BulkheadRegistry`: bulkheads of all kinds under unique labels, so that any router in any module
//! can use the same bulkhead.
//!
//! This file owns the public API. It has no rules of admission of its own. `members` is the list of registered bulkheads, and
//! `member` what it needs of a bulkhead of any kind.

mod config;
mod error;
mod member;
mod members;
mod removing;

use std::fmt;

pub use self::{
    config::{
        BulkheadConfig, BulkheadKind, RegistryConfig,
        build::RegistryConfigurator,
        plan::{PlannedChange, RegistryPlan},
    },
    error::RegistryError,
    member::{BuildBulkhead, Registrable},
    removing::Removing,
};

use self::{member::Member, members::Members};
use crate::{
    core::{
        clock,
        gate::{Gate, GateKind, lifecycle::Phase},
        operation::milestone::Reached,
    },
    observe::{
        registry::{RegistrySnapshot, RegistryStatus},
        report::CapacityReport,
        status::BulkheadStatus,
    },
    sync::{Arc, Mutex},
};

/// A registry of bulkheads of all kinds under unique labels.
///
/// Labels are trimmed wherever they are passed, as they are when a bulkhead is built.
///
/// A handle is cheap to clone, and all clones share one registry.
///
/// # Examples
///
/// ```
/// use bulklink::{Bulkhead, BulkheadRegistry};
///
/// let registry = BulkheadRegistry::new();
/// let payments = registry.create(Bulkhead::builder("payments").parallelism(10))?;
/// assert_eq!(registry.get::<Bulkhead>("payments")?.parallelism(), 10);
/// let error = registry.create(Bulkhead::builder("payments").parallelism(5)).unwrap_err();
/// assert_eq!(error.to_string(), "label \"payments\" is taken");
/// # Ok::<(), bulklink::RegistryError>(())
/// ```
#[derive(Clone)]
pub struct BulkheadRegistry {
    inner: Arc<RegistryInner>,
}

struct RegistryInner {
    members: Mutex<Members>,
    /// A gate that admits no operation. It is closed once `close_all` or `drain_all` has reached every member.
    end: Gate,
}

impl BulkheadRegistry {
    /// Creates an empty registry.
    #[must_use]
    pub fn new() -> Self {
        let end = Gate::new(1, 0, GateKind::Plain, None);
        Self { inner: Arc::new(RegistryInner { members: Mutex::new(Members::default()), end }) }
    }

    /// Returns a builder for a registry of the bulkheads that are configured.
    ///
    /// What is configured and what code says must agree: the type of the key of a partitioned bulkhead comes from code, and
    /// so does its `limits_for`. See [`plan`](Self::plan) for changing it later.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::{BulkheadConfig, BulkheadRegistry, PartitionLimits, PartitionedBulkhead, RegistryConfig};
    ///
    /// let mut config = RegistryConfig::new();
    /// config.insert("payments", BulkheadConfig::plain(10))?;
    /// config.insert("customers", BulkheadConfig::partitioned(3, 1_000))?;
    /// let registry = BulkheadRegistry::configure(config)
    ///     .partitioned::<u64>("customers", |builder| {
    ///         builder.limits_for(|id| PartitionLimits::new(if *id < 100 { 20 } else { 3 }))
    ///     })
    ///     .build()?;
    /// let customers = registry.get::<PartitionedBulkhead<u64>>("customers")?;
    /// assert_eq!(customers.max_partitions(), 1_000);
    /// # Ok::<(), bulklink::RegistryError>(())
    /// ```
    pub fn configure(config: RegistryConfig) -> RegistryConfigurator {
        RegistryConfigurator::new(config)
    }

    /// Builds a bulkhead and registers it.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if a setting is invalid, the label is taken, or the registry is draining or closed.
    pub fn create<B: BuildBulkhead>(&self, builder: B) -> Result<B::Bulkhead, RegistryError> {
        let bulkhead = builder.build_bulkhead()?;
        self.register(&bulkhead)?;
        Ok(bulkhead)
    }

    /// Registers a bulkhead under its own label.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if the label is taken, or the registry is draining or closed.
    pub fn register<T: Registrable>(&self, bulkhead: &T) -> Result<(), RegistryError> {
        self.add(Arc::new(bulkhead.clone()))
    }

    /// Returns the present settings of all bulkheads.
    #[must_use]
    pub fn config(&self) -> RegistryConfig {
        let mut config = RegistryConfig::new();
        for member in self.members() {
            // The label of a bulkhead is not empty.
            let _ = config.insert(member.label(), member.config());
        }
        config
    }

    /// Returns the bulkhead with this label, which must be of the kind `T`.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if no bulkhead has this label, or if it is of another kind.
    pub fn get<T: Registrable>(&self, label: &str) -> Result<T, RegistryError> {
        let member = self.member(label)?;
        let found: Option<&T> = member.as_any().downcast_ref();
        found.cloned().ok_or_else(|| RegistryError::WrongKind {
            label: label.trim().into(),
            expected: T::type_name(),
            actual: member.kind(),
        })
    }

    /// Returns the labels of all registered bulkheads, in the order of registration.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.members().iter().map(|member| member.label().to_owned()).collect()
    }

    /// Returns the number of registered bulkheads.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.members.lock().len()
    }

    /// Returns `true` if no bulkhead is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `true` if a bulkhead with this label is registered.
    #[must_use]
    pub fn contains(&self, label: &str) -> bool {
        self.inner.members.lock().find(label).is_some()
    }

    /// Returns `true` if [`close_all`](Self::close_all) has been called, or everything has been closed since
    /// [`drain_all`](Self::drain_all) was.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase().is_closed()
    }

    /// Returns `true` if [`drain_all`](Self::drain_all) has been called and operations still wait.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.phase().is_draining()
    }

    /// Returns the status of every bulkhead, in the order of registration.
    ///
    /// Each status is taken at its own instant.
    #[must_use]
    pub fn statuses(&self) -> Vec<RegistryStatus> {
        self.members().iter().map(|member| member.status()).collect()
    }

    /// Returns the status of the bulkhead with this label, of any kind.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if no bulkhead has this label.
    pub fn status(&self, label: &str) -> Result<RegistryStatus, RegistryError> {
        Ok(self.member(label)?.status())
    }

    /// Returns the statuses of up to `n` partitions of the bulkhead with this label, the busiest first, without their keys.
    ///
    /// It is [`PartitionedBulkhead::busiest`] for those who do not know the type of the key, or must not know the keys. A
    /// bulkhead of another kind has no partitions.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if no bulkhead has this label.
    ///
    /// [`PartitionedBulkhead::busiest`]: crate::PartitionedBulkhead::busiest
    pub fn busiest_partitions(
        &self,
        label: &str,
        n: usize,
    ) -> Result<Vec<BulkheadStatus>, RegistryError> {
        let member = self.member(label)?;
        Ok(if n == 0 { Vec::new() } else { member.busiest(n) })
    }

    /// Returns the capacity report of every bulkhead since its creation, in the order of registration. For reports of what
    /// happened in between, see [`snapshot`](Self::snapshot).
    #[must_use]
    pub fn capacity_reports(&self) -> Vec<CapacityReport> {
        self.statuses().iter().map(RegistryStatus::capacity_report).collect()
    }

    /// Returns the statuses of all bulkheads as one value, from which
    /// [`since`](RegistrySnapshot::since) returns all intervals at once.
    #[must_use]
    pub fn snapshot(&self) -> RegistrySnapshot {
        let (generation, applied_at) = self.inner.members.lock().applied();
        RegistrySnapshot::new(clock::now(), self.statuses()).configured(generation, applied_at)
    }

    /// Pauses the bulkhead with this label, of any kind: see [`Bulkhead::pause`](crate::Bulkhead::pause).
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if no bulkhead has this label.
    pub fn pause(&self, label: &str) -> Result<(), RegistryError> {
        self.member(label)?.set_paused(true);
        Ok(())
    }

    /// Resumes the bulkhead with this label, of any kind: see [`Bulkhead::resume`](crate::Bulkhead::resume).
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if no bulkhead has this label.
    pub fn resume(&self, label: &str) -> Result<(), RegistryError> {
        self.member(label)?.set_paused(false);
        Ok(())
    }

    /// Removes a bulkhead from the registry and closes it: its waiters and all later operations are rejected, and running
    /// work continues.
    ///
    /// Both is done when this method returns, and the label is free: another bulkhead may be registered under it at once.
    /// Statuses, events and rejections tell the two apart by their `instance`. The future resolves to the last status of the
    /// bulkhead once none of its operations is running. Dropping it changes nothing.
    ///
    /// # Errors
    ///
    /// Resolves to a [`RegistryError`] if no bulkhead has this label.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::{Bulkhead, BulkheadRegistry};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), bulklink::RegistryError> {
    /// let registry = BulkheadRegistry::new();
    /// registry.create(Bulkhead::builder("payments").parallelism(10))?;
    /// let removing = registry.remove("payments");
    /// registry.create(Bulkhead::builder("payments").parallelism(20))?;
    /// assert!(removing.await?.is_drained());
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove(&self, label: &str) -> Removing {
        self.take_out(label, |member| member.close())
    }

    /// Removes a bulkhead from the registry and drains it: those in its waiting line are served, and all later operations are
    /// rejected. Otherwise as [`remove`](Self::remove).
    ///
    /// # Errors
    ///
    /// Resolves to a [`RegistryError`] if no bulkhead has this label.
    pub fn remove_drained(&self, label: &str) -> Removing {
        self.take_out(label, |member| member.drain())
    }

    /// Drains every registered bulkhead, and closes the registry to new ones: those who wait are served, and newcomers are
    /// rejected.
    ///
    /// It cannot be undone. [`close_all`](Self::close_all) rejects those who still wait.
    pub fn drain_all(&self) {
        self.end(Phase::Draining, |member| member.drain());
    }

    /// Drains the registry and all of its bulkheads, and waits until no operation waits or runs in any of them.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after its first poll, the registry and its bulkheads go on draining. The method may be called
    /// again.
    pub async fn drain_and_wait(&self) {
        self.drain_all();
        self.wait_closed().await;
    }

    /// Closes every registered bulkhead, and the registry to new ones. Bulkheads that were removed and still drain are closed
    /// as well.
    ///
    /// Closing is final; closing again does nothing.
    pub fn close_all(&self) {
        self.end(Phase::Closed, |member| member.close());
    }

    /// Waits until the registry is closed and no operation is running in any of its bulkheads, nor in one that was removed.
    ///
    /// Any number of callers may wait, and may start before the registry is closed.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: the future may be dropped and the method called again.
    pub async fn wait_closed(&self) {
        Reached::drained(&self.inner.end).await;
        for member in self.all_members() {
            member.wait_closed().await;
        }
    }

    /// Closes the registry and all of its bulkheads, and waits until no operation is running in any of them.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after its first poll, the registry and its bulkheads stay closed. The method
    /// may be called again.
    pub async fn close_and_wait(&self) {
        self.close_all();
        self.wait_closed().await;
    }

    /// Enters a phase, unless a later one has been entered, and lets `end` end each bulkhead.
    fn end(&self, phase: Phase, end: fn(&dyn Member)) {
        let members = {
            let mut members = self.inner.members.lock();
            members.phase = members.phase.max(phase);
            members.all()
        };
        members.iter().for_each(|member| end(&**member));
        self.inner.end.close(None);
    }

    fn take_out(&self, label: &str, end: fn(&dyn Member)) -> Removing {
        self.forget_drained();
        let removed = self.inner.members.lock().remove(label);
        if let Some(member) = &removed {
            end(&**member);
        }
        Removing::new(removed.ok_or_else(|| unknown(label)))
    }

    /// Removes this bulkhead and drains it, if it is registered.
    fn remove_this_drained(&self, member: &Arc<dyn Member>) {
        self.forget_drained();
        if self.inner.members.lock().remove_this(member) {
            member.drain();
        }
    }

    /// Drops bulkheads that were removed earlier and are drained by now.
    fn forget_drained(&self) {
        let mut drained = self.inner.members.lock().removed();
        drained.retain(|member| member.status().is_drained());
        let forgotten = self.inner.members.lock().forget(&drained);
        drop(forgotten);
    }

    fn add(&self, member: Arc<dyn Member>) -> Result<(), RegistryError> {
        self.add_all(vec![member])
    }

    /// Registers all of these or none.
    fn add_all(&self, added: Vec<Arc<dyn Member>>) -> Result<(), RegistryError> {
        // Those that are refused are dropped after the lock is released.
        self.inner.members.lock().add_all(&added)
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    fn version_and_members(&self) -> (u64, Vec<Arc<dyn Member>>) {
        let members = self.inner.members.lock();
        (members.version(), members.in_order())
    }

    /// Begins to apply a plan for this version, unless the registry has another one by now.
    fn begin_applying(&self, version: u64) -> Result<Vec<Arc<dyn Member>>, RegistryError> {
        let mut members = self.inner.members.lock();
        members.begin_applying(version)?;
        Ok(members.in_order())
    }

    /// Counts a configuration that was applied.
    fn configured(&self) {
        self.inner.members.lock().configured();
    }

    fn phase(&self) -> Phase {
        let (phase, members) = {
            let members = self.inner.members.lock();
            (members.phase, members.all())
        };
        match phase {
            Phase::Draining if members.iter().all(|member| member.is_closed()) => Phase::Closed,
            phase => phase,
        }
    }

    fn member(&self, label: &str) -> Result<Arc<dyn Member>, RegistryError> {
        let member = self.inner.members.lock().find(label).cloned();
        member.ok_or_else(|| unknown(label))
    }

    fn members(&self) -> Vec<Arc<dyn Member>> {
        self.inner.members.lock().in_order()
    }

    fn all_members(&self) -> Vec<Arc<dyn Member>> {
        self.inner.members.lock().all()
    }
}

impl Default for BulkheadRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for BulkheadRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadRegistry")
            .field("labels", &self.labels())
            .field("is_draining", &self.is_draining())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

fn wrong_kind(label: &str, actual: BulkheadKind, expected: BulkheadKind) -> RegistryError {
    let name = |kind: BulkheadKind| format!("{} bulkhead", kind.name());
    RegistryError::WrongKind { label: label.into(), expected: name(expected), actual: name(actual) }
}

fn unknown(label: &str) -> RegistryError {
    RegistryError::UnknownLabel { label: label.trim().into() }
}
