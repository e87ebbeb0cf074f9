//! `BulkheadRegistry`: bulkheads of all kinds under unique labels, so that any router in any module
//! can use the same bulkhead.
//!
//! It owns the list of registered bulkheads, in the order of registration. It has no rules of admission of
//! its own. `member` is what it needs of a bulkhead of any kind.

mod error;
mod member;

use std::fmt;

pub use self::{
    error::RegistryError,
    member::{BuildBulkhead, Registrable},
};

use self::member::Member;
use crate::{
    core::{
        clock,
        gate::{Gate, GateKind},
        operation::drain::Drain,
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
    /// A gate that admits no operation. It is closed once `close_all` has closed every member.
    closing: Gate,
}

#[derive(Default)]
struct Members {
    is_closed: bool,
    in_order: Vec<Arc<dyn Member>>,
}

impl BulkheadRegistry {
    /// Creates an empty registry.
    #[must_use]
    pub fn new() -> Self {
        let closing = Gate::new(1, 0, GateKind::Plain, None);
        Self { inner: Arc::new(RegistryInner { members: Mutex::default(), closing }) }
    }

    /// Builds a bulkhead and registers it.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if a setting is invalid, the label is taken or the registry is closed.
    pub fn create<B: BuildBulkhead>(&self, builder: B) -> Result<B::Bulkhead, RegistryError> {
        let bulkhead = builder.build_bulkhead()?;
        self.register(&bulkhead)?;
        Ok(bulkhead)
    }

    /// Registers a bulkhead under its own label.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if the label is taken or the registry is closed.
    pub fn register<T: Registrable>(&self, bulkhead: &T) -> Result<(), RegistryError> {
        let label: Arc<str> = bulkhead.label().into();
        // Created before the lock is taken and, if it is refused, dropped after the lock is released.
        let member: Arc<dyn Member> = Arc::new(bulkhead.clone());
        let mut members = self.inner.members.lock();
        if members.is_closed {
            return Err(RegistryError::Closed { label });
        }
        if members.find(&label).is_some() {
            return Err(RegistryError::LabelTaken { label });
        }
        members.in_order.push(member);
        Ok(())
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
        self.inner.members.lock().in_order.len()
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

    /// Returns `true` if [`close_all`](Self::close_all) has been called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.members.lock().is_closed
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
        RegistrySnapshot::new(clock::now(), self.statuses())
    }

    /// Closes a bulkhead, waits until none of its operations is running, and removes it from the registry.
    ///
    /// Its label stays taken until then.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if no bulkhead has this label.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after its first poll, the bulkhead stays closed and registered. The method
    /// may be called again.
    pub async fn remove(&self, label: &str) -> Result<(), RegistryError> {
        let member = self.member(label)?;
        member.close();
        member.wait_closed().await;
        let mut members = self.inner.members.lock();
        let position = members.in_order.iter().position(|other| Arc::ptr_eq(other, &member));
        let removed = position.map(|at| members.in_order.remove(at));
        drop(members);
        drop(removed);
        Ok(())
    }

    /// Closes every registered bulkhead, and the registry to new ones.
    ///
    /// Closing is final; closing again does nothing.
    pub fn close_all(&self) {
        self.inner.members.lock().is_closed = true;
        for member in self.members() {
            member.close();
        }
        self.inner.closing.close();
    }

    /// Waits until the registry is closed and no operation is running in any of its bulkheads.
    ///
    /// Any number of callers may wait, and may start before the registry is closed.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: the future may be dropped and the method called again.
    pub async fn wait_closed(&self) {
        Drain::new(&self.inner.closing).await;
        for member in self.members() {
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

    fn member(&self, label: &str) -> Result<Arc<dyn Member>, RegistryError> {
        let member = self.inner.members.lock().find(label).cloned();
        member.ok_or_else(|| RegistryError::UnknownLabel { label: label.trim().into() })
    }

    fn members(&self) -> Vec<Arc<dyn Member>> {
        self.inner.members.lock().in_order.clone()
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
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

impl Members {
    fn find(&self, label: &str) -> Option<&Arc<dyn Member>> {
        let label = label.trim();
        self.in_order.iter().find(|member| member.label() == label)
    }
}
