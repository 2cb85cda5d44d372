//! Where the states of a definition are in it.

use std::collections::HashMap;

use crate::asl::model::Machine;

/// JSON pointers of states. Of an unknown definition there are none.
#[derive(Debug, Default)]
pub struct Paths {
    /// What each state's pointer adds to that of the state which it is inside of.
    places: Vec<(Option<usize>, String)>,
    /// By the state that they are inside of, and by name.
    named: HashMap<(Option<usize>, String), usize>,
    bytes: usize,
}

impl Paths {
    /// Those of a definition.
    pub fn of(machine: &Machine<'_>) -> Self {
        let mut paths = Self::default();
        paths.add(machine, "", None);
        paths
    }

    fn add(&mut self, machine: &Machine<'_>, at: &str, outer: Option<usize>) {
        for state in &machine.states {
            let index = self.places.len();
            let pointer = format!("{at}/States/{}", escaped(state.name));
            self.bytes += pointer.len() + state.name.len() + 100;
            self.places.push((outer, pointer));
            self.named.entry((outer, state.name.to_owned())).or_insert(index);
            for inner in state.machines() {
                self.add(inner, &state.node.path_to(inner.node), Some(index));
            }
        }
    }

    /// About how many bytes of memory they take.
    pub fn size(&self) -> u32 {
        u32::try_from(self.bytes).unwrap_or(u32::MAX)
    }

    /// The state of this name that is directly inside another, or is so of the machine.
    pub(super) fn find(&self, outer: Option<usize>, name: &str) -> Option<usize> {
        self.named.get(&(outer, name.to_owned())).copied()
    }

    /// The whole pointer.
    pub(super) fn pointer(&self, place: usize) -> String {
        let outwards = std::iter::successors(self.places.get(place), |(outer, _)| self.places.get((*outer)?));
        let mut parts: Vec<&str> = outwards.map(|(_, part)| part.as_str()).collect();
        parts.reverse();
        parts.concat()
    }
}

/// The pointer of an outermost state.
pub(super) fn outermost(name: &str) -> String {
    format!("/States/{}", escaped(name))
}

/// True of pointers into the iterations of a Map. A state holds no `States` itself, so no name looks like this.
pub(super) fn is_in_iteration(pointer: &str) -> bool {
    pointer.contains("/ItemProcessor/States/") || pointer.contains("/Iterator/States/")
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
