//! Hyperledger Fabric's messages and gRPC services, under the package names that they have on the wire.
//!
//! The `.proto` files in `proto/` are written for this crate from the wire facts (names, numbers, types) of Fabric 3.1;
//! fields that neither Fabric 3 nor this project uses are left out, and unknown fields are skipped when decoding.
//!
//! Map fields are [`std::collections::BTreeMap`]s, so that a message always encodes to the same bytes.

macro_rules! package {
    ($(#[$doc:meta])* $module:ident, $package:literal) => {
        $(#[$doc])*
        #[allow(missing_docs, clippy::all, unreachable_pub)] // reason: generated from proto/
        pub mod $module {
            tonic::include_proto!($package);
        }
    };
}

package!(/// Blocks, envelopes, policies, channel configuration.
    common, "common");
package!(/// Identities and membership service providers.
    msp, "msp");
package!(/// Proposals, transactions, chaincode messages; the services of a peer and of a chaincode.
    protos, "protos");
package!(/// The gateway service of a peer.
    gateway, "gateway");
package!(/// The ordering service.
    orderer, "orderer");
package!(/// Read-write sets by namespace.
    rwset, "rwset");
package!(/// Read-write set of one namespace.
    kvrwset, "kvrwset");
package!(/// Results of state and history queries.
    queryresult, "queryresult");

/// gRPC's own messages.
pub mod google {
    package!(/// The richer error model.
        rpc, "google.rpc");
}
