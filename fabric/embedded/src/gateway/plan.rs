//! Which peers shall endorse: minimal sets that satisfy every policy, those with the gateway's own organisation first.

use std::collections::BTreeSet;

use fabric_msp::{Identity, policy};
use fabric_protos::common::SignaturePolicyEnvelope;

/// Peers by their place in the gateway's list; 0 is the gateway's own.
pub(super) type Layout = BTreeSet<usize>;

/// The best layout without the peers in `failed`, if there is one.
pub(super) fn layout(
    policies: &[SignaturePolicyEnvelope],
    peers: &[Option<Identity>],
    failed: &BTreeSet<usize>,
) -> Option<Layout> {
    let available: Vec<usize> =
        (0..peers.len()).filter(|peer| !failed.contains(peer) && peers[*peer].is_some()).collect();
    let satisfied = |layout: &Layout| {
        let identities: Vec<Identity> = layout.iter().filter_map(|peer| peers[*peer].clone()).collect();
        policies.iter().all(|policy| policy::evaluate(policy, &identities))
    };
    let minimal = |layout: &Layout| {
        layout.iter().all(|peer| {
            let mut smaller = layout.clone();
            smaller.remove(peer);
            !satisfied(&smaller)
        })
    };
    let mut without_own = None;
    for size in 1..=available.len() {
        for layout in subsets(&available, size) {
            if without_own.is_some() && !layout.contains(&0) {
                continue;
            }
            if satisfied(&layout) && minimal(&layout) {
                if layout.contains(&0) || !available.contains(&0) {
                    return Some(layout);
                }
                without_own = Some(layout);
            }
        }
    }
    without_own
}

/// All subsets of so many elements, in the order of the elements.
fn subsets(elements: &[usize], size: usize) -> Vec<Layout> {
    match (elements, size) {
        (_, 0) => vec![Layout::new()],
        ([], _) => Vec::new(),
        ([first, rest @ ..], size) => {
            let mut with: Vec<Layout> = subsets(rest, size - 1);
            with.iter_mut().for_each(|layout| _ = layout.insert(*first));
            with.extend(subsets(rest, size));
            with
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsets_come_in_order() {
        let found = subsets(&[0, 1, 2], 2);
        assert_eq!(found, [Layout::from([0, 1]), Layout::from([0, 2]), Layout::from([1, 2])]);
    }
}
