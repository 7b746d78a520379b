//! Cycles and use of fragments: section 5.5.1.4 and 5.5.2.2.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::Node;
use apollo_compiler::ast::{FragmentDefinition, FragmentSpread, OperationDefinition};

use super::{Checks, Found};

type Spreads<'f, 'd> = BTreeMap<&'d str, &'f [&'d Node<FragmentSpread>]>;

impl<'d> Checks<'d> {
    /// Reports each cycle once; returns true when there is one.
    pub(super) fn cycles(&mut self, fragments: &[(&'d Node<FragmentDefinition>, Found<'d>)]) -> bool {
        let spreads = spreads_of(fragments);
        let mut visited = BTreeSet::new();
        let mut path = Path::default();
        for (fragment, _) in fragments {
            self.cycles_from(&fragment.name, &spreads, &mut visited, &mut path);
        }
        path.cyclic
    }

    /// As deep as the longest chain of fragments, which the limit on tokens keeps short.
    fn cycles_from(
        &mut self,
        name: &'d str,
        spreads: &Spreads<'_, 'd>,
        visited: &mut BTreeSet<&'d str>,
        path: &mut Path<'d>,
    ) {
        if !visited.insert(name) {
            return;
        }
        path.names.push(name);
        for spread in spreads.get(name).copied().unwrap_or_default() {
            let target = spread.fragment_name.as_str();
            path.spreads.push(spread);
            match path.names.iter().position(|known| *known == target) {
                Some(start) => {
                    let spans: Vec<_> =
                        path.spreads[start..].iter().map(|spread| spread.location()).collect();
                    self.error(spans, format!("the fragment \"{target}\" spreads itself"));
                    path.cyclic = true;
                }
                None => self.cycles_from(target, spreads, visited, path),
            }
            path.spreads.pop();
        }
        path.names.pop();
    }

    /// Reports the fragments that no operation reaches.
    pub(super) fn unused_fragments(
        &mut self,
        operations: &[(&'d Node<OperationDefinition>, Found<'d>)],
        fragments: &[(&'d Node<FragmentDefinition>, Found<'d>)],
    ) {
        let spreads = spreads_of(fragments);
        let mut used = BTreeSet::new();
        for (_, found) in operations {
            reach(&found.spreads, &spreads, &mut used);
        }
        for (fragment, _) in fragments {
            if !used.contains(fragment.name.as_str()) {
                self.error([fragment.location()], format!("the fragment \"{}\" is not used", fragment.name));
            }
        }
    }
}

#[derive(Default)]
struct Path<'d> {
    names: Vec<&'d str>,
    spreads: Vec<&'d Node<FragmentSpread>>,
    cyclic: bool,
}

fn spreads_of<'f, 'd>(fragments: &'f [(&'d Node<FragmentDefinition>, Found<'d>)]) -> Spreads<'f, 'd> {
    let mut spreads = Spreads::new();
    for (fragment, found) in fragments {
        spreads.entry(&fragment.name).or_insert(&found.spreads);
    }
    spreads
}

/// Adds the names that are reached from some spreads, themselves included.
pub(super) fn reach<'d>(
    from: &[&'d Node<FragmentSpread>],
    spreads: &Spreads<'_, 'd>,
    reached: &mut BTreeSet<&'d str>,
) {
    let mut waiting: Vec<&'d str> = from.iter().map(|spread| spread.fragment_name.as_str()).collect();
    while let Some(name) = waiting.pop() {
        if reached.insert(name) {
            let below = spreads.get(name).copied().unwrap_or_default();
            waiting.extend(below.iter().map(|spread| spread.fragment_name.as_str()));
        }
    }
}
