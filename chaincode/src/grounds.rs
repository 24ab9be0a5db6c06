//! What a decision about a patient's records rests on, loaded in one round trip together with whatever else is loaded.

use healthchain_rules::{ConsentBook, Delegation, Docket, Grounds, MemberId, Refusal, Settings, Subscription};

use crate::storage::consent::load_consent_book;
use crate::storage::delegation::load_delegation;
use crate::storage::emergency::load_docket;
use crate::storage::settings::load_settings;
use crate::storage::subscription::load_subscription;
use crate::storage::{Load, Loads, Values};

/// The grounds of a decision, to be read.
pub(crate) struct LoadGrounds {
    settings: Load<Settings>,
    book: Load<ConsentBook>,
    subscription: Load<Subscription>,
    delegation: Option<Load<Delegation>>,
    docket: Option<Load<Docket>>,
}

/// The grounds of decisions about this patient's records, for the member who asks, if it is a certain one. An emergency that is
/// claimed is loaded apart.
pub(crate) fn load_grounds(patient: &MemberId, who: Option<&MemberId>) -> LoadGrounds {
    LoadGrounds {
        settings: load_settings(),
        book: load_consent_book(patient),
        subscription: load_subscription(patient),
        delegation: who.map(|who| load_delegation(patient, who)),
        docket: who.map(load_docket),
    }
}

impl Loads for LoadGrounds {
    type Loaded = Grounds;

    fn keys(&self, keys: &mut Vec<String>) {
        self.settings.keys(keys);
        self.book.keys(keys);
        self.subscription.keys(keys);
        self.delegation.keys(keys);
        self.docket.keys(keys);
    }

    fn take(self, values: &mut Values) -> Result<Grounds, Refusal> {
        Ok(Grounds {
            settings: self.settings.take(values)?.unwrap_or_default(),
            book: self.book.take(values)?.unwrap_or_default(),
            subscription: self.subscription.take(values)?,
            delegation: self.delegation.take(values)?.flatten(),
            emergency: None,
            docket: self.docket.take(values)?.flatten().unwrap_or_default(),
        })
    }
}
