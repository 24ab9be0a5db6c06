//! How state lies on the ledger: one module a thing. A `load_…` says what to read, [`fetch`] reads many at once; a `save_…` asks for
//! the proof that the rules allow it.
//!
//! Every value is `{"v":1,"value":…}`. A chaincode that changes a value's shape raises `v` and reads the older ones still.

pub(crate) mod accounting;
pub(crate) mod agent;
pub(crate) mod amendment;
pub(crate) mod audit;
pub(crate) mod charge;
pub(crate) mod concerned;
pub(crate) mod consent;
pub(crate) mod custody;
pub(crate) mod delegation;
pub(crate) mod emergency;
pub(crate) mod envelope;
pub(crate) mod erasure;
pub(crate) mod evidence;
pub(crate) mod governance;
pub(crate) mod grantee;
pub(crate) mod group;
mod key;
pub(crate) mod link;
pub(crate) mod member;
pub(crate) mod notarization;
pub(crate) mod opening;
pub(crate) mod organisation;
pub(crate) mod recovery;
pub(crate) mod request;
pub(crate) mod reward;
pub(crate) mod settings;
pub(crate) mod statistics;
pub(crate) mod subscription;

use std::marker::PhantomData;

use fabric_contract::{Context, LedgerError, split_composite_key};
use healthchain_rules::{Malformed, Refusal, RefusalCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    v: u32,
    value: T,
}

#[derive(Deserialize)]
struct StoredVersion {
    v: u32,
}

/// One value to be read.
pub(crate) struct Load<T> {
    key: String,
    value: PhantomData<fn() -> T>,
}

/// Values to be read together: one, none, some, or a tuple of such.
pub(crate) trait Loads {
    /// What is found.
    type Loaded;

    #[doc(hidden)]
    fn keys(&self, keys: &mut Vec<String>);

    #[doc(hidden)]
    fn take(self, values: &mut Values) -> Result<Self::Loaded, Refusal>;
}

/// What the ledger answered, in the order of the keys.
pub(crate) type Values = std::vec::IntoIter<Option<Vec<u8>>>;

/// Where values are read: the ledger as it stands, or as it stood.
pub(crate) trait Source: Sync {
    /// The values of these keys, in their order.
    fn values(&self, keys: &[String]) -> impl Future<Output = Result<Vec<Option<Vec<u8>>>, Refusal>> + Send;
}

/// In one round trip, where the peer offers that.
impl Source for Context {
    async fn values(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Refusal> {
        self.get_many(keys).await.map_err(ledger)
    }
}

/// Reads all of them at once.
pub(crate) async fn fetch<L: Loads>(source: &impl Source, loads: L) -> Result<L::Loaded, Refusal> {
    let mut keys = Vec::new();
    loads.keys(&mut keys);
    let values = if keys.is_empty() { Vec::new() } else { source.values(&keys).await? };
    loads.take(&mut values.into_iter())
}

impl<T> Load<T> {
    fn at(key: String) -> Self {
        Self { key, value: PhantomData }
    }
}

impl<T: DeserializeOwned> Loads for Load<T> {
    type Loaded = Option<T>;

    fn keys(&self, keys: &mut Vec<String>) {
        keys.push(self.key.clone());
    }

    fn take(self, values: &mut Values) -> Result<Option<T>, Refusal> {
        values.next().flatten().map(|bytes| decode(&bytes)).transpose()
    }
}

impl<L: Loads> Loads for Option<L> {
    type Loaded = Option<L::Loaded>;

    fn keys(&self, keys: &mut Vec<String>) {
        if let Some(load) = self {
            load.keys(keys);
        }
    }

    fn take(self, values: &mut Values) -> Result<Self::Loaded, Refusal> {
        self.map(|load| load.take(values)).transpose()
    }
}

/// Of many, those that exist.
impl<T: DeserializeOwned> Loads for Vec<Load<T>> {
    type Loaded = Vec<T>;

    fn keys(&self, keys: &mut Vec<String>) {
        self.iter().for_each(|load| load.keys(keys));
    }

    fn take(self, values: &mut Values) -> Result<Vec<T>, Refusal> {
        self.into_iter().filter_map(|load| load.take(values).transpose()).collect()
    }
}

/// Each of many, in their order, also those that do not exist.
pub(crate) struct Each<T>(pub(crate) Vec<Load<T>>);

impl<T: DeserializeOwned> Loads for Each<T> {
    type Loaded = Vec<Option<T>>;

    fn keys(&self, keys: &mut Vec<String>) {
        self.0.keys(keys);
    }

    fn take(self, values: &mut Values) -> Result<Vec<Option<T>>, Refusal> {
        self.0.into_iter().map(|load| load.take(values)).collect()
    }
}

macro_rules! loads_of_tuple {
    ($($name:ident),*) => {
        impl<$($name: Loads),*> Loads for ($($name,)*) {
            type Loaded = ($($name::Loaded,)*);

            #[allow(non_snake_case, unused_variables)]
            fn keys(&self, keys: &mut Vec<String>) {
                let ($($name,)*) = self;
                $($name.keys(keys);)*
            }

            #[allow(non_snake_case, unused_variables, clippy::unused_unit)]
            fn take(self, values: &mut Values) -> Result<Self::Loaded, Refusal> {
                let ($($name,)*) = self;
                Ok(($($name.take(values)?,)*))
            }
        }
    };
}

loads_of_tuple!();
loads_of_tuple!(A, B);
loads_of_tuple!(A, B, C);
loads_of_tuple!(A, B, C, D);

fn put<T: Serialize>(context: &mut Context, key: String, value: &T) -> Result<(), Refusal> {
    let json = serde_json::to_vec(&Stored { v: VERSION, value })
        .map_err(|error| Refusal::new(RefusalCode::Ledger, format!("a value cannot be written: {error}")))?;
    context.put(key, json);
    Ok(())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let unreadable = |error: serde_json::Error| {
        tracing::error!(%error, "a value of the ledger cannot be read");
        Refusal::new(RefusalCode::Ledger, "the ledger holds a value that this chaincode cannot read")
    };
    let StoredVersion { v } = serde_json::from_slice(bytes).map_err(unreadable)?;
    match v {
        VERSION => serde_json::from_slice::<Stored<T>>(bytes).map(|stored| stored.value).map_err(unreadable),
        newer => Err(Refusal::new(
            RefusalCode::Ledger,
            format!("the ledger holds a value of version {newer}: this chaincode is too old, approve the newer one"),
        )),
    }
}

/// A failed read: the cause is for the chaincode's log, not for the caller.
fn ledger(error: LedgerError) -> Refusal {
    tracing::warn!(%error, "the ledger could not be read");
    Refusal::new(RefusalCode::Ledger, "the ledger could not be read: try again")
}

/// What the last part of a key names, where a page goes on.
fn last_attribute<T: std::str::FromStr<Err = Malformed>>(bookmark: &str) -> Result<T, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the list: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    Ok(attributes.last().ok_or_else(unreadable)?.parse()?)
}
