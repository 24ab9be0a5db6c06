//! Certificate chains as Go's library builds them for Fabric.

use crate::{Certificate, Invalidity};

/// The one chain from `certificate` to a root, both included.
pub(crate) fn single_chain<'a>(
    certificate: &'a Certificate,
    roots: &'a [Certificate],
    intermediates: &'a [Certificate],
) -> Result<Vec<&'a Certificate>, Invalidity> {
    let at = certificate.not_before() + 1;
    if let Some(root) = roots.iter().find(|root| *root == certificate) {
        return Ok(vec![root]);
    }
    let mut chains = Vec::new();
    extend(vec![certificate], at, roots, intermediates, &mut chains);
    match chains.len() {
        1 => Ok(chains.remove(0)),
        0 => Err(Invalidity::Chain("certificate signed by unknown authority".to_owned())),
        count => Err(Invalidity::Chain(format!("this MSP only supports a single validation chain, got {count}"))),
    }
}

fn extend<'a>(
    chain: Vec<&'a Certificate>,
    at: i64,
    roots: &'a [Certificate],
    intermediates: &'a [Certificate],
    found: &mut Vec<Vec<&'a Certificate>>,
) {
    let Some(last) = chain.last().copied() else { return };
    let fits = |authority: &&Certificate| {
        !chain.contains(authority) && may_issue(authority, &chain, at) && last.is_issued_by(authority)
    };
    for root in roots.iter().filter(fits) {
        let whole: Vec<&Certificate> = chain.iter().copied().chain([root]).collect();
        // Without a usage of its own a chain serves as any; with one, Fabric's library asks for a TLS server's.
        if whole.iter().all(|certificate| certificate.extensions().server_usage) {
            found.push(whole);
        }
    }
    for intermediate in intermediates.iter().filter(fits) {
        extend(chain.iter().copied().chain([intermediate]).collect(), at, roots, intermediates, found);
    }
}

fn may_issue(authority: &Certificate, below: &[&Certificate], at: i64) -> bool {
    // As Go counts: all between the member and this authority, self-issued ones too.
    let intermediates = below.len() - 1;
    let read = authority.extensions();
    authority.not_before() <= at
        && at <= authority.not_after()
        && below.iter().chain([&authority]).all(|certificate| certificate.extensions().unknown_critical.is_none())
        && read.path_length.is_none_or(|longest| intermediates <= longest as usize)
}
