//! `Wheel`: members of a pool in the order of their tags, with steps of constant cost.
//!
//! A hierarchical timing wheel (Varghese and Lauck, 1987) that is driven by its own content: the time is the slot of its
//! first member. It owns the order and nothing else. Members are linked through their [`Links`], which the pool keeps.
//!
//! Tags are compared by slots of 16 ticks. Whoever comes with a slot that has passed already stands in the first list, in the
//! order of coming. Equal slots are served in that order too.
//!
//! Invariants:
//!
//! 1. A list has a bit in `filled` exactly if it has members.
//! 2. A member with the slot `s >= base` is in the list that `place` gives it for some `base` between its insertion and now,
//!    which is the same list until that one is cascaded.

/// Ticks per slot, as a power of two.
const SLOT_BITS: u32 = 4;

/// Lists per level, as a power of two.
const LEVEL_BITS: u32 = 6;
const LISTS: usize = 1 << LEVEL_BITS;
const LEVELS: usize = 7;

const NONE: u32 = u32::MAX;

/// The place of a member in a wheel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    tag: u64,
    previous: u32,
    next: u32,
    list: u16,
}

impl Links {
    pub(super) const UNLINKED: Self = Self { tag: 0, previous: NONE, next: NONE, list: 0 };

    /// What the member was filed under.
    pub(super) fn tag(&self) -> u64 {
        self.tag
    }
}

/// Where the links of the members are.
pub(super) trait Linked {
    fn links(&mut self, member: u32) -> &mut Links;
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Wheel {
    /// A slot: the first member is not behind it, except if it came later.
    base: u64,
    len: u32,
    /// A bit for each list that is not empty, by level.
    filled: [u64; LEVELS],
    /// The heads of circular lists.
    heads: [[u32; LISTS]; LEVELS],
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { base: 0, len: 0, filled: [0; LEVELS], heads: [[NONE; LISTS]; LEVELS] }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Adds a member behind all with the same slot. `floor` is a tag that no member will ever be below.
    pub(super) fn insert(&mut self, members: &mut impl Linked, member: u32, tag: u64, floor: u64) {
        if self.is_empty() {
            // Not its own slot: others may come before it is looked for.
            self.base = floor >> SLOT_BITS;
        }
        self.len += 1;
        let (level, list) = self.place(tag);
        self.append(members, member, tag, level, list);
    }

    pub(super) fn remove(&mut self, members: &mut impl Linked, member: u32) {
        self.len -= 1;
        let Links { previous, next, list, .. } = *members.links(member);
        let (level, list) = (list as usize / LISTS, list as usize % LISTS);
        let head = &mut self.heads[level][list];
        if next == member {
            *head = NONE;
            self.filled[level] &= !(1 << list);
        } else {
            if *head == member {
                *head = next;
            }
            members.links(previous).next = next;
            members.links(next).previous = previous;
        }
        *members.links(member) = Links::UNLINKED;
    }

    /// Gives a member another tag. It keeps its place while its slot is the same.
    pub(super) fn update(&mut self, members: &mut impl Linked, member: u32, tag: u64, floor: u64) {
        let links = members.links(member);
        if links.tag >> SLOT_BITS == tag >> SLOT_BITS {
            links.tag = tag;
        } else {
            self.remove(members, member);
            self.insert(members, member, tag, floor);
        }
    }

    /// Returns the first member and its tag.
    pub(super) fn first(&mut self, members: &mut impl Linked) -> Option<(u32, u64)> {
        loop {
            let level = self.filled.iter().position(|&lists| lists != 0)?;
            let list = self.filled[level].trailing_zeros() as usize;
            let head = self.heads[level][list];
            if level == 0 {
                self.base = self.begin_of(level, list);
                return Some((head, members.links(head).tag));
            }
            self.cascade(members, level, list);
        }
    }

    /// Returns a tag that no member is below, but for those behind the first list. Without turning the wheel.
    pub(super) fn bound(&self) -> u64 {
        let Some(level) = self.filled.iter().position(|&lists| lists != 0) else { return u64::MAX };
        let list = self.filled[level].trailing_zeros() as usize;
        // Whatever is too far away is in the last list as well, which begins no earlier.
        self.begin_of(level, list) << SLOT_BITS
    }

    /// Returns the first slot of a list.
    fn begin_of(&self, level: usize, list: usize) -> u64 {
        let shift = LEVEL_BITS * level as u32;
        let above = self.base >> (shift + LEVEL_BITS) << (shift + LEVEL_BITS);
        above | (list as u64) << shift
    }

    /// Turns the wheel to the beginning of a list, and files its members anew.
    #[cold]
    fn cascade(&mut self, members: &mut impl Linked, level: usize, list: usize) {
        let head = std::mem::replace(&mut self.heads[level][list], NONE);
        self.filled[level] &= !(1 << list);
        self.base = if (level, list) == (LEVELS - 1, LISTS - 1) {
            // Whatever is too far away is here as well.
            let mut smallest = u64::MAX;
            let mut member = head;
            loop {
                let Links { tag, next, .. } = *members.links(member);
                smallest = smallest.min(tag >> SLOT_BITS);
                member = next;
                if member == head {
                    break smallest.max(self.base);
                }
            }
        } else {
            self.begin_of(level, list)
        };
        let mut member = head;
        loop {
            let Links { tag, next, .. } = *members.links(member);
            let (level, list) = self.place(tag);
            self.append(members, member, tag, level, list);
            member = next;
            if member == head {
                return;
            }
        }
    }

    /// Returns the level and the list of a tag.
    fn place(&self, tag: u64) -> (usize, usize) {
        let slot = (tag >> SLOT_BITS).max(self.base);
        let level = ((63 - ((slot ^ self.base) | 1).leading_zeros()) / LEVEL_BITS) as usize;
        if level >= LEVELS {
            return (LEVELS - 1, LISTS - 1);
        }
        (level, (slot >> (LEVEL_BITS * level as u32)) as usize % LISTS)
    }

    fn append(
        &mut self,
        members: &mut impl Linked,
        member: u32,
        tag: u64,
        level: usize,
        list: usize,
    ) {
        let head = &mut self.heads[level][list];
        let (mut previous, mut next) = (member, member);
        if *head == NONE {
            *head = member;
            self.filled[level] |= 1 << list;
        } else {
            next = *head;
            previous = members.links(next).previous;
            members.links(next).previous = member;
            members.links(previous).next = member;
        }
        let list = (level * LISTS + list) as u16;
        *members.links(member) = Links { tag, previous, next, list };
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Table(Vec<Links>);

    impl Linked for Table {
        fn links(&mut self, member: u32) -> &mut Links {
            &mut self.0[member as usize]
        }
    }

    /// The order as a list: by slots, those behind the first one in the order of coming.
    #[derive(Default)]
    struct Model {
        base: u64,
        members: Vec<(u64, u32)>,
    }

    impl Model {
        fn insert(&mut self, member: u32, tag: u64, floor: u64) {
            let slot = tag >> SLOT_BITS;
            if self.members.is_empty() {
                self.base = floor >> SLOT_BITS;
            }
            let slot = slot.max(self.base);
            let at = self.members.partition_point(|&(other, _)| other <= slot);
            self.members.insert(at, (slot, member));
        }

        fn first(&mut self) -> Option<u32> {
            let &(slot, member) = self.members.first()?;
            self.base = slot;
            Some(member)
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Advance,
        Remove(usize),
        Update(usize, u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let ahead =
            prop_oneof![0..40_u64, 0..100_000_u64, any::<u64>().prop_map(|n| n >> (n % 60))];
        let step = prop_oneof![
            ahead.clone().prop_map(Step::Insert),
            Just(Step::Advance),
            any::<usize>().prop_map(Step::Remove),
            (any::<usize>(), ahead).prop_map(|(at, tag)| Step::Update(at, tag)),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        /// The same first member as that of a sorted list, always. What is filed behind a list that was not looked at since
        /// may differ in the order of equals only: so tags differ here once they are apart.
        #[test]
        fn members_come_in_the_order_of_their_slots(steps in steps(), looks in any::<bool>()) {
            let (mut wheel, mut table, mut model) = (Wheel::new(), Table(Vec::new()), Model::default());
            let mut unused = Vec::new();
            for step in steps {
                let base = model.base << SLOT_BITS;
                let floor = base.saturating_sub(20);
                match step {
                    Step::Insert(ahead) => {
                        let tag = base.saturating_add(ahead).saturating_sub(20);
                        let member = unused.pop().unwrap_or(table.0.len() as u32);
                        if member as usize == table.0.len() {
                            table.0.push(Links::UNLINKED);
                        }
                        wheel.insert(&mut table, member, tag, floor);
                        model.insert(member, tag, floor);
                    }
                    Step::Advance => {
                        if let Some(first) = model.first() {
                            let found = wheel.first(&mut table).map(|(member, _)| member);
                            prop_assert_eq!(found, Some(first));
                            wheel.remove(&mut table, first);
                            model.members.remove(0);
                            unused.push(first);
                        }
                    }
                    Step::Remove(at) if !model.members.is_empty() => {
                        let (_, member) = model.members.remove(at % model.members.len());
                        wheel.remove(&mut table, member);
                        unused.push(member);
                    }
                    Step::Update(at, ahead) if !model.members.is_empty() => {
                        let at = at % model.members.len();
                        let member = model.members[at].1;
                        let tag = base.saturating_add(ahead).saturating_sub(20);
                        if table.0[member as usize].tag >> SLOT_BITS != tag >> SLOT_BITS {
                            model.members.remove(at);
                            model.insert(member, tag, floor);
                        }
                        wheel.update(&mut table, member, tag, floor);
                    }
                    Step::Remove(_) | Step::Update(..) => {}
                }
                let most = table.0.iter().zip(0..).filter(|(_, at)| !unused.contains(at));
                let least = most.map(|(links, _)| links.tag.max(model.base << SLOT_BITS)).min();
                prop_assert!(wheel.bound() <= least.unwrap_or(u64::MAX));
                if looks {
                    let first = wheel.first(&mut table).map(|(member, _)| member);
                    prop_assert_eq!(first, model.first());
                }
                prop_assert_eq!(wheel.is_empty(), model.members.is_empty());
                prop_assert_eq!(wheel.len() as usize, model.members.len());
            }
        }
    }
}
