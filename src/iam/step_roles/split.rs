//! Sets of states that share no service and no resource: each can have a role that is of no use to the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::iam::execution_role::Need;

/// A state that acts as a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acting {
    /// What it is a state of.
    pub machine: String,
    /// Its name.
    pub name: String,
    /// JSON pointer to it.
    pub path: String,
}

/// States that belong together, and what for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// The states, in the order of the text.
    pub states: Vec<Acting>,
    /// Services that they call, by their prefix in IAM.
    pub services: BTreeSet<String>,
}

/// The smallest sets. States are in one where they use the same service or resource, or each the same as a third.
pub fn split(states: &[Acting], needs: &[Need]) -> Vec<Set> {
    let mut set_of: Vec<usize> = (0..states.len()).collect();
    let mut first_with: BTreeMap<String, usize> = BTreeMap::new();
    for (index, state) in states.iter().enumerate() {
        for mark in needs.iter().filter(|need| is_of(need, state)).flat_map(marks) {
            let first = *first_with.entry(mark).or_insert(index);
            let (one, other) = (set_of[first], set_of[index]);
            let (least, most) = (one.min(other), one.max(other));
            set_of.iter_mut().filter(|set| **set == most).for_each(|set| *set = least);
        }
    }
    let mut sets: BTreeMap<usize, Set> = BTreeMap::new();
    for (state, set) in states.iter().zip(&set_of) {
        let set = sets.entry(*set).or_default();
        set.services.extend(needs.iter().filter(|need| is_of(need, state)).flat_map(services));
        set.states.push(state.clone());
    }
    sets.into_values().collect()
}

fn is_of(need: &Need, state: &Acting) -> bool {
    need.reason.path == state.path && need.reason.state == state.name
}

fn services(need: &Need) -> impl Iterator<Item = String> {
    need.actions.iter().filter_map(|action| action.split(':').next().map(str::to_owned))
}

/// What two states have in common where both have it. `*` is no resource.
fn marks(need: &Need) -> Vec<String> {
    let resources = need.resources.iter().filter(|resource| *resource != "*").cloned();
    services(need).map(|service| format!("service {service}")).chain(resources).collect()
}
