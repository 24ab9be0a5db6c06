use fabric_contract::Context;
use healthchain_rules::{Refusal, Settings};

use super::{Load, key, put};

/// The channel's settings; none are as good as the defaults.
pub(crate) fn load_settings() -> Load<Settings> {
    Load::at(key::settings())
}

pub(super) fn save(context: &mut Context, settings: &Settings) -> Result<(), Refusal> {
    put(context, key::settings(), settings)
}
